"""Rows written back bit for bit through D1's parameters: what `core.lossless` reads, as INSERT statements.

A statement carries many rows as one JSON text, which SQLite takes apart. Integers are exact there; what JSON or a text
parameter cannot carry travels as an array with a letter in front:

    ["b", HEX]  BLOB      ["x", HEX]  TEXT that is not UTF-8 or holds a NUL
    ["r", M, E, F]  REAL as M * 2^E * 2^F (a decimal text is not exact; seen on workerd: 0 of 3,000 wrong in this form)
    ["i"] ["j"] ["z"]  positive and negative infinity, negative zero

A cell too large for that goes in parameters of its own, a BLOB in pieces: two hexadecimal digits stand for each of its
bytes, and one text has at most 2,000,000 bytes (D1 documentation, "Limits").
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from d1ops.core import rules
from d1ops.core.lossless import RawText
from d1ops.core.sql import OWN, quote_identifier
from d1ops.core.values import Statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from d1ops.core.values import Param, Value

Cell: TypeAlias = "Value | RawText"
Json: TypeAlias = "str | int | list[str | int] | None"

MAX_TEXT_BYTES = 500_000
"""A statement's JSON text has at most so many bytes, unless one row alone needs more."""

_LARGE_BYTES = 400_000
"""A text or BLOB from this size on travels outside of the JSON."""

_PIECE_BYTES = 900_000
"""So much of a BLOB goes into one parameter, in twice as many digits."""


def insertions(
    table: str, columns: Sequence[str], rows: Iterable[Sequence[Cell]], *, one_by_one: bool = False
) -> Iterator[Insertion]:
    """Yield the statements that write `rows`, in their order, a bounded number of rows each.

    `columns` are the stored columns, with an alias of the rowid among them where it must be kept. Affinities apply, so
    the rows must be such as the table itself has held. `one_by_one` writes each row by a statement of its own, as
    SQLite wants it for a table that others refer to by columns which are not unique. Raises UnicodeEncodeError for a
    text with a lone surrogate.
    """
    waiting: list[str] = []
    special: set[int] = set()
    size = 0
    for row in rows:
        if one_by_one or any(_size(cell) > _LARGE_BYTES for cell in row):
            if waiting:
                yield Insertion(_many(table, columns, waiting, special), len(waiting))
                waiting, special, size = [], set(), 0
            yield Insertion(_one(table, columns, row), 1)
            continue
        cells = [_json(cell) for cell in row]
        text = json.dumps(cells, ensure_ascii=False, separators=(",", ":"))
        length = len(text.encode()) + 1
        if waiting and size + length > MAX_TEXT_BYTES:
            yield Insertion(_many(table, columns, waiting, special), len(waiting))
            waiting, special, size = [], set(), 0
        waiting.append(text)
        special.update(index for index, cell in enumerate(cells) if isinstance(cell, list))
        size += length
    if waiting:
        yield Insertion(_many(table, columns, waiting, special), len(waiting))


def _many(table: str, columns: Sequence[str], rows: Sequence[str], special: set[int]) -> Statement:
    picked = ", ".join(_unpack(f"value, '$[{index}]", special=index in special) for index, _ in enumerate(columns))
    return Statement(f"{_head(table, columns)} SELECT {picked} FROM json_each(?1)", (f"[{','.join(rows)}]",))


def _unpack(path: str, *, special: bool) -> str:
    """Return the expression for one cell; `path` ends inside of a literal that it opens."""
    if not special:
        return f"json_extract({path}')"
    part = [f"json_extract({path}[{place}]')" for place in range(4)]
    return (
        f"CASE json_type({path}') WHEN 'array' THEN CASE {part[0]} WHEN 'b' THEN unhex({part[1]})"
        f" WHEN 'x' THEN CAST(unhex({part[1]}) AS TEXT) WHEN 'r' THEN {part[1]}*pow(2.0,{part[2]})*pow(2.0,{part[3]})"
        f" WHEN 'i' THEN 9e999 WHEN 'j' THEN -9e999 WHEN 'z' THEN 0.0*-1.0 END ELSE json_extract({path}') END"
    )


def _one(table: str, columns: Sequence[str], row: Sequence[Cell]) -> Statement:
    """A row with large cells: ?1 holds the others as JSON."""
    params: list[Param] = [""]
    picked: list[str] = []
    small: list[Json] = []
    for index, cell in enumerate(row):
        if _size(cell) <= _LARGE_BYTES:
            small.append(_json(cell))
            picked.append(_unpack(f"?1, '$[{index}]", special=isinstance(small[-1], list)))
            continue
        small.append(None)
        if isinstance(cell, str) and "\0" not in cell:
            params.append(cell)
            picked.append(f"?{len(params)}")
            continue
        data = cell.encode() if isinstance(cell, str) else cell.data if isinstance(cell, RawText) else cell
        assert isinstance(data, bytes)
        pieces = [data[start : start + _PIECE_BYTES] for start in range(0, len(data), _PIECE_BYTES)]
        names = []
        for piece in pieces:
            params.append(piece.hex())
            names.append(f"unhex(?{len(params)})")
        picked.append(f"CAST({' || '.join(names)} AS {'BLOB' if isinstance(cell, bytes) else 'TEXT'})")
    params[0] = json.dumps(small, ensure_ascii=False, separators=(",", ":"))
    return Statement(f"{_head(table, columns)} VALUES ({', '.join(picked)})", tuple(params))


def _head(table: str, columns: Sequence[str]) -> str:
    names = ", ".join(quote_identifier(column) for column in columns)
    return f"INSERT INTO {quote_identifier(table)} AS {OWN} ({names})"


def _size(cell: Cell) -> int:
    match cell:
        case str():
            return len(cell) if cell.isascii() else len(cell.encode())
        case bytes():
            return len(cell)
        case RawText():
            return len(cell.data)
        case _:
            return 0


def _json(cell: Cell) -> Json:
    match cell:
        case None | int():
            return cell
        case float():
            return _real(cell)
        case RawText():
            return ["x", cell.data.hex()]
        case bytes():
            return ["b", cell.hex()]
        case _:
            return ["x", cell.encode().hex()] if "\0" in cell else cell


def _real(value: float) -> Json:
    """A REAL as mantissa and exponent in two halves, so that no intermediate result leaves the range of a double."""
    if math.isinf(value):
        return ["i" if value > 0 else "j"]
    if value == 0.0:
        return ["z"] if math.copysign(1.0, value) < 0 else ["r", 0, 0, 0]
    mantissa, exponent = math.frexp(value)
    exponent -= 53
    return ["r", int(mantissa * 2**53), exponent // 2, exponent - exponent // 2]


@dataclass(frozen=True, slots=True)
class Insertion:
    """A statement that writes `rows` rows."""

    statement: Statement
    rows: int


@dataclass(frozen=True, slots=True)
class Request:
    """Statements that go into one batch, and how many rows they write."""

    statements: tuple[Statement, ...]
    rows: int


def batches(found: Iterable[Insertion], *, max_bytes: int = rules.MAX_SCRIPT_BYTES) -> Iterator[Request]:
    """Gather insertions into batches of at most `max_bytes` of text and parameters, unless one alone needs more."""
    waiting: list[Insertion] = []
    size = 0
    for insertion in found:
        statement = insertion.statement
        length = len(statement.sql) + sum(len(param.encode()) for param in statement.params if isinstance(param, str))
        if waiting and size + length > max_bytes:
            yield _request(waiting)
            waiting, size = [], 0
        waiting.append(insertion)
        size += length
    if waiting:
        yield _request(waiting)


def _request(found: Sequence[Insertion]) -> Request:
    return Request(tuple(each.statement for each in found), sum(each.rows for each in found))
