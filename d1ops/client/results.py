"""Results of statements: from the JSON of `/raw` to `Result`, and from rows to the caller's own types.

`/raw` keeps duplicate columns and gives the columns of an empty result; `/query` does neither.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from math import isfinite
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, cast

from d1ops.client.failure import NotDone
from d1ops.core.values import SAFE_INTEGER, Meta, Result
from d1ops.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterator, Mapping

    from pydantic import TypeAdapter

    from d1ops.core.values import Row, Value

T = TypeVar("T")


class LostNumber(NamedTuple):
    """Where an answer holds a number that JSON rounds. `row` counts from 0."""

    column: str
    row: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """The results of one answer, and the first number in it that is not exact."""

    results: tuple[Result, ...]
    lost: LostNumber | None = None


def decode_results(result: object, *, count: int | None) -> Decoded:
    """Decode the `result` of `/raw`: a list with one entry for each statement, `count` of them if that is known.

    Raises NotDone for an entry that says it failed, and ValueError for what is not such a list.
    """
    if not isinstance(result, list):
        raise ValueError("the result is not a list")
    for index, entry in enumerate(result):
        if not isinstance(entry, dict):
            raise ValueError("an entry of the result is not an object")
        if entry.get("success", True) is not True:
            text = str(entry.get("error") or "the statement failed without saying why")
            raise NotDone(text, index, others=len(result) > 1 or (count or 1) > 1)
    if count is not None and len(result) != count:
        raise ValueError(f"{len(result)} results for {count} {'statement' if count == 1 else 'statements'}")
    decoder = _Decoder()
    return Decoded(tuple(decoder.result(entry) for entry in result), decoder.lost)


_AS_THEY_ARE = frozenset((str, float, type(None)))
"""What JSON gives exactly as it is meant."""


def _are_as_they_are(rows: list[Any], width: int) -> bool:
    """Return whether all rows are whole and need no decoding; quick, since a large answer is mostly that."""
    return (
        {list}.issuperset(map(type, rows))
        and {width}.issuperset(map(len, rows))
        and _AS_THEY_ARE.issuperset(map(type, chain.from_iterable(rows)))
    )


class _Decoder:
    """Decodes the cells of one answer and remembers the first number that was rounded."""

    def __init__(self) -> None:
        self.lost: LostNumber | None = None

    def result(self, entry: Mapping[str, Any]) -> Result:
        table = entry.get("results") or {}
        if not isinstance(table, dict):
            raise ValueError("the results are not columns and rows")
        columns, rows = table.get("columns") or [], table.get("rows") or []
        if not isinstance(columns, list) or not all(isinstance(column, str) for column in columns):
            raise ValueError("the columns are not a list of names")
        if not isinstance(rows, list):
            raise ValueError("the rows are not a list")
        if _are_as_they_are(rows, len(columns)):
            decoded = tuple(map(tuple, rows))
        else:
            decoded = tuple(self.row(columns, number, row) for number, row in enumerate(rows))
        return Result(tuple(columns), decoded, decode_meta(entry.get("meta")))

    def row(self, columns: list[str], number: int, row: object) -> Row:
        if not isinstance(row, list) or len(row) != len(columns):
            raise ValueError(f"row {number} does not fit the columns")
        cells = tuple(cell if cell is None or type(cell) is str else _cell(cell) for cell in row)
        if self.lost is None:
            for column, cell in zip(columns, cells, strict=True):
                if type(cell) is int and not -SAFE_INTEGER <= cell <= SAFE_INTEGER:
                    self.lost = LostNumber(column, number)
                    break
        return cells


def _cell(cell: object) -> Value:
    match cell:
        case bool():
            return int(cell)
        case int() | float():
            return cell
        case list():
            if any(type(byte) is not int for byte in cell):
                raise ValueError("a BLOB is not a list of bytes")
            return bytes(cell)
        case _:
            raise ValueError(f"a cell is of JSON type {type(cell).__name__}")


def decode_meta(meta: object) -> Meta:
    """Decode `meta`, any field of which may be missing. D1 counts its duration in milliseconds."""
    fields: Mapping[str, Any] = meta if isinstance(meta, dict) else {}

    def number(name: str) -> float | None:
        value = fields.get(name)
        return value if isinstance(value, int | float) and isfinite(value) else None

    def count(name: str) -> int | None:
        value = number(name)
        return None if value is None else int(value)

    return Meta(
        rows_read=count("rows_read"),
        rows_written=count("rows_written"),
        changes=count("changes") or 0,
        last_row_id=count("last_row_id") or 0,
        size_after_bytes=count("size_after") or 0,
        changed_db=fields.get("changed_db") is True,
        duration_seconds=(number("duration") or 0.0) / 1_000,
    )


# -- typed rows ------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class TypedResult(Generic[T]):
    """The answer to one statement with its rows as objects of the caller's type."""

    rows: tuple[T, ...] = ()
    meta: Meta = field(default_factory=Meta)

    def __iter__(self) -> Iterator[T]:
        return iter(self.rows)

    def __len__(self) -> int:
        return len(self.rows)

    def one(self) -> T:
        """Return the only row; raises ValueError when there is none or more than one."""
        (row,) = self.rows
        return row


def typed(result: Result, row_type: type[T]) -> TypedResult[T]:
    """Read every row as `row_type`: a pydantic model, a dataclass or a TypedDict whose fields are the columns.

    Raises UsageError, without the row's values, for a row that does not fit and for two columns of one name.
    """
    from pydantic import ValidationError

    if len(set(result.columns)) < len(result.columns):
        raise UsageError("two columns have one name", hint="name them apart with AS")
    adapter: TypeAdapter[T] = _adapter(cast("Hashable", row_type))
    rows: list[T] = []
    problem: str | None = None
    for number, row in enumerate(result.rows):
        try:
            rows.append(adapter.validate_python(dict(zip(result.columns, row, strict=True))))
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"]) or "the row"
            problem = f"row {number} does not fit {row_type.__name__}: {place}: {first['msg']}"
            break
    if problem is not None:
        # Raised here, outside of the handler: pydantic's error would carry the row into the traceback.
        raise UsageError(problem, hint="select the columns that the type has, with their names")
    return TypedResult(tuple(rows), result.meta)


@lru_cache(maxsize=64)
def _adapter(row_type: Any) -> TypeAdapter[Any]:
    from pydantic import TypeAdapter

    return TypeAdapter(row_type)
