"""The values that travel between d1ops and a database. Frozen, without behaviour that reaches anything."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NewType, TypeAlias

Value: TypeAlias = int | float | str | bytes | None
"""A cell of an answer. A BLOB is `bytes`; NULL is `None`."""

Param: TypeAlias = bool | int | float | str | bytes | None
"""A parameter of a statement. An `int` binds as INTEGER whatever its size, a `bool` as 0 or 1."""

Row: TypeAlias = tuple[Value, ...]

Bookmark = NewType("Bookmark", str)
"""A point in time of one database: 8-8-8-32 hexadecimal digits, ordered as text (D1 Time Travel)."""

SAFE_INTEGER = 2**53 - 1
"""The largest integer that survives a JSON number (ECMAScript's MAX_SAFE_INTEGER)."""


@dataclass(frozen=True, slots=True)
class Statement:
    """One SQL statement with its parameters (`?` or `?NNN`, at most 100 on D1)."""

    sql: str
    params: tuple[Param, ...] = ()


@dataclass(frozen=True, slots=True)
class Meta:
    """What a statement cost and did, as D1 reports it. Sizes in bytes, durations in seconds.

    `rows_read` and `rows_written` are None where the engine does not count them as D1 bills them.
    """

    rows_read: int | None = None
    rows_written: int | None = None
    changes: int = 0
    last_row_id: int = 0
    size_after_bytes: int = 0
    changed_db: bool = False
    duration_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Result:
    """The answer to one statement. Column names may repeat; they are there for zero rows too."""

    columns: tuple[str, ...] = ()
    rows: tuple[Row, ...] = ()
    meta: Meta = field(default_factory=Meta)

    def one(self) -> Row:
        """Return the only row; raises ValueError when there is none or more than one."""
        (row,) = self.rows
        return row

    def scalar(self) -> Value:
        """Return the only value of the only row."""
        (value,) = self.one()
        return value


@dataclass(frozen=True, slots=True)
class Restored:
    """What a rewind did: where the database stands now, and the bookmark that undoes the rewind."""

    bookmark: Bookmark
    undo: Bookmark
    message: str = ""
