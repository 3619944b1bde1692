"""Answers about databases and their dumps, as pydantic models. Fields that are not known are ignored."""

from __future__ import annotations

from datetime import datetime  # noqa: TC003 - pydantic reads it at run time
from typing import Any, TypeVar

from pydantic import AliasPath, BaseModel, ConfigDict, Field, ValidationError

M = TypeVar("M", bound=BaseModel)


class _Wire(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", validate_by_name=True, validate_by_alias=True)


class DatabaseInfo(_Wire):
    """What the API tells of a database. Any field but id and name may be None, as lists tell less than `get`."""

    uuid: str
    name: str
    version: str | None = None
    created_at: datetime | None = None
    num_tables: int | None = None
    file_size_bytes: int | None = Field(None, validation_alias="file_size")
    running_in_region: str | None = None
    jurisdiction: str | None = None
    read_replication: str | None = Field(None, validation_alias=AliasPath("read_replication", "mode"))
    """`auto` or `disabled`."""


class _Finished(_Wire):
    signed_url: str | None = Field(None, repr=False)
    filename: str | None = None
    num_queries: int | None = None
    final_bookmark: str | None = None
    meta: dict[str, Any] | None = None


class Progress(_Wire):
    """Where an export or an import stands. Both URLs are secrets: who has them needs no token."""

    success: bool = True
    status: str | None = None
    at_bookmark: str | None = None
    messages: list[Any] | None = None
    error: str | None = None
    errors: list[Any] | None = None
    filename: str | None = None
    upload_url: str | None = Field(None, repr=False)
    signed_url: str | None = Field(None, repr=False)
    result: _Finished | None = None

    @property
    def failure(self) -> str | None:
        """Why it failed, or None. A successful envelope says nothing about this."""
        if self.success and self.status != "error":
            return None
        told = [self.error, *(self.errors or ())]
        texts = [entry.get("message") if isinstance(entry, dict) else entry for entry in told]
        return "; ".join(str(text) for text in texts if text) or "it failed without saying why"

    @property
    def dump_url(self) -> str | None:
        """The URL of a finished dump, in either of the places where it was seen."""
        return (self.result.signed_url if self.result else None) or self.signed_url

    @property
    def done(self) -> bool:
        """Whether it has finished."""
        return self.status == "complete" or self.dump_url is not None


def read(model: type[M], value: object) -> M:
    """Return a part of an answer as a model. Raises ValueError that names the field, without its value."""
    try:
        return model.model_validate(value)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        problem = f"{'.'.join(str(part) for part in first['loc']) or 'result'}: {first['msg']}"
    raise ValueError(problem)
