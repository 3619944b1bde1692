"""Values read in a form that survives JSON, one expression a column.

Seen on workerd to give back 6,040 values bit for bit, typeof included. Each cell arrives as text with a letter for
its type in front, a REAL as a JSON number (exact for a double), NULL as null:

    'i123'  INTEGER        'r+inf' 'r-inf' 'r-0'  REAL that JSON has no number for
    't...'  TEXT           'b00ff'  BLOB as hexadecimal        'x00ff'  TEXT as hexadecimal

Invalid UTF-8 arrives as U+FFFD; a table with that character in a text is read again with `hexadecimal=True`.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.sql import OWN, quote_identifier

if TYPE_CHECKING:
    from d1ops.core.engine import Engine
    from d1ops.core.values import Row, Value

REPLACEMENT = "\ufffd"


@dataclass(frozen=True, slots=True)
class RawText:
    """A TEXT of exact bytes, which need not be UTF-8."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Reader:
    """How one table is read and written: its stored columns, with the rowid first where it has one of its own."""

    table: str
    columns: tuple[str, ...]
    has_rowid: bool

    def select(self, *, hexadecimal: bool = False) -> str:
        """Return the query that reads every row."""
        cells = ", ".join(projection(alias, hexadecimal=hexadecimal) for alias in self._aliases)
        return f"SELECT {cells} FROM {self._source}"

    def totals(self) -> str:
        """Return the query for one row that `read_totals` reads: the number of rows, and for every column its bytes of
        text and blobs plus the number of its numbers (whose text may differ between versions of SQLite).

        The figures come as JSON arrays, since 100 of them and the number of rows exceed D1's 100 columns.
        """
        sums = [
            f"total(iif(typeof({c}) IN ('text', 'blob'), octet_length({c}), {c} IS NOT NULL))" for c in self._aliases
        ]
        arrays = [f"json_array({', '.join(sums[start : start + 25])})" for start in range(0, len(sums), 25)]
        return f"SELECT {', '.join(['count(*)', *arrays])} FROM {self._source}"

    @property
    def _aliases(self) -> list[str]:
        return [f"c{index}" for index, _ in enumerate(self.columns)]

    @property
    def _source(self) -> str:
        """The rows under short names: a statement may have 100 KB, and a column's name any length."""
        names = ", ".join(
            f"{quote_identifier(column)} AS {alias}" for column, alias in zip(self.columns, self._aliases, strict=True)
        )
        return f"(SELECT {names} FROM {quote_identifier(self.table)}) AS {OWN}"

    def insert(self) -> str:
        """Return the statement that writes one row, with a placeholder pair (kind, value) for every cell."""
        names = ", ".join(quote_identifier(column) for column in self.columns)
        cells = ", ".join("iif(?, CAST(? AS TEXT), ?)" for _ in self.columns)
        return f"INSERT INTO {quote_identifier(self.table)} ({names}) VALUES ({cells})"


def read_totals(row: Row) -> tuple[int, tuple[float, ...]]:
    """Return the number of rows and the figure of every column from the row that `Reader.totals` asks for."""
    count, *arrays = row
    return int(float(str(count))), tuple(float(figure) for array in arrays for figure in json.loads(str(array)))


def reader_of(engine: Engine, table: str) -> Reader:
    """Return how to read a table of the mirror: generated and hidden columns left out, the rowid taken along under
    an alias that no column has, where the table has a rowid that is no column and 100 columns are not exceeded."""
    rows = engine.ask("SELECT name, type, pk FROM pragma_table_xinfo(?) WHERE hidden = 0 ORDER BY cid", (table,))
    columns = [str(name) for name, _, _ in rows]
    (kind,) = engine.ask("SELECT type, wr FROM pragma_table_list WHERE schema = 'main' AND name = ?", (table,))
    taken = {column.lower() for column in columns}
    aliases = [alias for alias in ("rowid", "_rowid_", "oid") if alias not in taken]
    key = [(str(type_), pk) for _, type_, pk in rows if pk]
    is_own = len(key) == 1 and key[0][0].upper() == "INTEGER"
    has_rowid = not kind[1] and bool(aliases) and not is_own and len(columns) < 100
    if has_rowid:
        columns.insert(0, aliases[0])
    return Reader(table, tuple(columns), has_rowid)


def projection(column: str, *, hexadecimal: bool = False) -> str:
    """Return the expression that reads one column."""
    c = quote_identifier(column)
    text = f"'x'||hex({c})" if hexadecimal else f"'t'||{c}"
    return (
        f"CASE typeof({c}) WHEN 'integer' THEN 'i'||{c} WHEN 'real' THEN CASE WHEN {c}=9e999 THEN 'r+inf'"
        f" WHEN {c}=-9e999 THEN 'r-inf' WHEN {c}=0.0 AND atan2({c},-1.0)<0 THEN 'r-0' ELSE {c} END"
        f" WHEN 'text' THEN {text} WHEN 'blob' THEN 'b'||hex({c}) END"
    )


def decode(cell: Value) -> Value | RawText:
    """Return the value that a projected cell stands for. Raises ValueError for anything else."""
    match cell:
        case None:
            return None
        case int() | float():
            return float(cell)
        case str() if cell.startswith("i"):
            return int(cell[1:])
        case str() if cell.startswith("t"):
            return cell[1:]
        case str() if cell.startswith("x"):
            return RawText(bytes.fromhex(cell[1:]))
        case str() if cell.startswith("b"):
            return bytes.fromhex(cell[1:])
        case "r+inf":
            return float("inf")
        case "r-inf":
            return float("-inf")
        case "r-0":
            return -0.0
        case _:
            raise ValueError(f"not a projected cell: {cell!r:.40}")


def is_suspect(row: Row) -> bool:
    """Return whether a projected row holds U+FFFD in a text, which may stand for bytes that are not UTF-8."""
    return any(isinstance(cell, str) and REPLACEMENT in cell for cell in row)


def bindings(row: Row) -> list[Value]:
    """Return the parameters that `Reader.insert` takes for a projected row."""
    found: list[Value] = []
    for cell in row:
        value = decode(cell)
        found += [1, value.data, None] if isinstance(value, RawText) else [0, None, value]
    return found


def digest_row(row: Row) -> int:
    """Return a 128-bit digest of a projected row. The digests of a table are summed, so their order is no matter."""
    parts: list[str] = []
    for cell in row:
        value = decode(cell)
        match value:
            case float():
                parts.append("r" + value.hex())
            case RawText():
                parts.append("x" + value.data.hex())
            case str():
                parts.append("x" + value.encode().hex())
            case bytes():
                parts.append("b" + value.hex())
            case _:
                parts.append(repr(value))
    return int.from_bytes(hashlib.sha256("|".join(parts).encode()).digest()[:16])


DIGEST_MODULUS = 2**128
