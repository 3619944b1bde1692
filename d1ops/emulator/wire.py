"""Requests and answers as values, and the JSON around them.

The core of the emulator turns a `Request` into a `Reply`; it knows nothing of sockets. Shapes are those of Cloudflare's
API reference: every answer is an envelope of `success`, `errors`, `messages` and `result`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from d1ops.core import quick_json

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

INVALID = 7400
"""Cloudflare's code of a request whose shape is wrong."""


@dataclass(frozen=True, slots=True)
class Upload:
    """A body that went to a file as it came in. `md5` is in hexadecimal digits."""

    file: Path
    md5: str


@dataclass(frozen=True, slots=True)
class Request:
    """A request as it arrived.

    Header names are lower case; the values of a query parameter that is repeated are joined by commas, as lists are
    written in it. `origin` is the scheme and host that the client used.
    """

    method: str
    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    body: bytes = b""
    origin: str = "http://127.0.0.1"
    upload: Upload | None = None

    @property
    def token(self) -> str:
        """The bearer token, or an empty string."""
        scheme, _, token = self.headers.get("authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    def json(self) -> Any:
        """Read the body. Raises Refused where it is not JSON."""
        try:
            return quick_json.loads(self.body)
        except (ValueError, RecursionError):
            raise Refused(400, INVALID, "The request body is not valid JSON") from None


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer: `body`, or the bytes of `file`."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    file: Path | None = None


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, code: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.headers = headers or {}

    def reply(self) -> Reply:
        """Return it as the API sends it."""
        errors = [{"code": self.code, "message": self.message}]
        body = {"success": False, "errors": errors, "messages": [], "result": None}
        return envelope(self.status, body, self.headers)


def invalid(problems: Iterable[tuple[str, str]]) -> Refused:
    """Return the refusal of a request with these (property, problem), in the words of Cloudflare's validation."""
    text = " | ".join(f"Invalid property: {name} => {problem}" for name, problem in problems)
    return Refused(400, INVALID, text)


def success(result: Any, *, status: int = 200, **more: Any) -> Reply:
    """Return an answer that carries a result."""
    return envelope(status, {"success": True, "errors": [], "messages": [], "result": result, **more})


def envelope(status: int, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Reply:
    """Return an answer of JSON."""
    data = quick_json.dumps(body)
    return Reply(status, data, {"content-type": "application/json", **(headers or {})})


def storage_error(status: int, code: str, message: str) -> Reply:
    """Return an error as the object storage behind presigned URLs sends it."""
    text = f'<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>{message}</Message></Error>'
    return Reply(status, text.encode(), {"content-type": "application/xml"})


_KINDS = {dict: "object", list: "array", str: "string", bool: "boolean", int: "number", float: "number"}


def kind_of(value: object) -> str:
    """Return the name of a JSON value's type, as validation messages have it."""
    return "null" if value is None else _KINDS.get(type(value), "unknown")


class Fields:
    """An object of a request, read property by property; `check` raises Refused with all problems at once."""

    def __init__(self, value: object) -> None:
        if not isinstance(value, dict):
            raise Refused(400, INVALID, f"Invalid property:  => Expected object, received {kind_of(value)}")
        self.values: dict[str, Any] = value
        self.problems: list[tuple[str, str]] = []

    def text(self, name: str, *, required: bool = False) -> str | None:
        """Return a property that is a string."""
        value: str | None = self._of(name, str, required=required)
        return value

    def flag(self, name: str) -> bool:
        """Return a property that is true or false; absent is false."""
        return bool(self._of(name, bool, required=False))

    def choice(self, name: str, known: Iterable[str], *, required: bool = False) -> str | None:
        """Return a property that is one of some strings. null counts as absent."""
        if name in self.values and self.values[name] is None and not required:
            return None
        value = self.text(name, required=required)
        if value is not None and value not in known:
            listed = " | ".join(f"'{each}'" for each in known)
            self.problems.append((name, f"Invalid enum value. Expected {listed}, received '{value}'"))
            return None
        return value

    def texts(self, name: str) -> tuple[str, ...]:
        """Return a property that is a list of strings; absent is empty."""
        values = self._of(name, list, required=False) or []
        for index, value in enumerate(values):
            if not isinstance(value, str):
                self.problems.append((f"{name}.{index}", f"Expected string, received {kind_of(value)}"))
        return tuple(value for value in values if isinstance(value, str))

    def object(self, name: str) -> Fields:
        """Return a property that is an object; absent is empty. Its problems are reported with these."""
        inner = Fields(self._of(name, dict, required=False) or {})
        inner.problems = self.problems
        return inner

    def check(self) -> None:
        """Raise Refused if any property was wrong."""
        if self.problems:
            raise invalid(self.problems)

    def _of(self, name: str, kind: type, *, required: bool) -> Any:
        if name not in self.values:
            if required:
                self.problems.append((name, "Required"))
            return None
        value = self.values[name]
        if type(value) is not kind:
            self.problems.append((name, f"Expected {_KINDS[kind]}, received {kind_of(value)}"))
            return None
        return value
