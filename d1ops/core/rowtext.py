"""Rows as texts: SQL makes one text of a row, and the text can be hashed, carried by JSON and read back bit for bit.

A row is a JSON array with one element for each stored column, the rowid first where it is no column:

    123        INTEGER, as its digits             "r4503599627370496p-52"  REAL, as mantissa and power of two (1.0)
    null       NULL                               "r0" "r-0" "r+inf" "r-inf"
    "t..."     TEXT                               "b00FF"  BLOB as hexadecimal
    "T300000" "B300000"  a TEXT or a BLOB of so many bytes, which is read by pieces
    "x00FF"    TEXT as hexadecimal, where its bytes are not UTF-8

No REAL is ever written in decimals: of 6,012 doubles SQLite's own decimal text was wrong for 595. The mantissa has 53
bits whatever `log2` makes of the last place, so two engines write one text for one number. D1 answers bytes that are
no UTF-8 with U+FFFD; a page with that character is read again with `hexadecimal=True`, and `plain` turns it into the
form above. Seen to agree on workerd and apsw.

The digest of a table is SHA-256 over its rows in the order of their key, each as `json.dumps` writes it without spaces
and a line feed after it. SQLite writes the same text unless something is escaped; a row with a backslash is
written anew, so no version's habits of escaping are part of the digest.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

from d1ops.core.lossless import RawText
from d1ops.core.rules import MAX_COLUMNS
from d1ops.core.sql import quote_identifier
from d1ops.core.values import Statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from d1ops.core.engine import Engine
    from d1ops.core.values import Param, Row, Value

Cell: TypeAlias = "int | str | None"
"""An element of a row's text."""

REPLACEMENT = "\ufffd"


@dataclass(frozen=True, slots=True)
class KeyPart:
    """A column of the key. `collation` is None where it is the column's own."""

    index: int
    collation: str | None
    descending: bool


@dataclass(frozen=True, slots=True)
class Place:
    """Where a table goes on: behind the row with this `key`, or, in a table without a key, behind so many rows."""

    key: tuple[Cell, ...] = ()
    rows: int = 0


@dataclass(frozen=True, slots=True)
class Totals:
    """What a target says of a table: its rows; for every column the bytes of its text and blobs plus the number of its
    numbers; the bytes of its largest row."""

    rows: int
    columns: tuple[int, ...]
    largest: int

    @property
    def size_bytes(self) -> int:
        """Roughly what the rows take."""
        return sum(self.columns)

    def __add__(self, other: Totals) -> Totals:
        columns = tuple(a + b for a, b in zip(self.columns, other.columns, strict=True))
        return Totals(self.rows + other.rows, columns, max(self.largest, other.largest))


@dataclass(frozen=True, slots=True)
class TableReader:
    """How one table is read and written."""

    table: str
    columns: tuple[str, ...]
    key: tuple[KeyPart, ...]
    """Empty where no name reaches the rowid and nothing else orders the rows."""
    by_rowid: bool = False

    # -- reading ---------------------------------------------------------------------------------------

    def page(
        self,
        after: Place | None = None,
        limit: int | None = None,
        *,
        most_bytes: int | None = None,
        inline_bytes: int | None = None,
        hexadecimal: bool = False,
    ) -> Statement:
        """Return the query for the next rows, in the order of the key: all, or `limit` of them.

        With `most_bytes` it stops before the texts exceed so many bytes, but not before the first row; the engine then
        keeps all `limit` texts for a moment. A text or blob of more than `inline_bytes` comes as its length, unless
        it is part of the key.
        """
        own = {part.index for part in self.key}
        cells = ", ".join(
            _cell(f"c{index}", inline_bytes=None if index in own else inline_bytes, hexadecimal=hexadecimal)
            for index, _ in enumerate(self.columns)
        )
        where, params = self._behind(after)
        sql = f"SELECT json_array({cells}) AS r FROM {self._source}{where}{self._order}{self._limit(after, limit)}"
        if most_bytes is not None:
            sql = (
                "SELECT r FROM (SELECT r, sum(octet_length(r)) OVER (ROWS UNBOUNDED PRECEDING) AS s"
                f" FROM ({sql})) WHERE s <= {most_bytes} OR s = octet_length(r)"
            )
        return Statement(sql, params)

    def totals(self, after: Place | None = None, limit: int | None = None) -> Statement:
        """Return the query for one row that `read_totals` reads, about the next rows.

        Beyond fifty columns two share a figure: SQLite takes 100 aggregates in a statement.
        """
        # All but the rowid where there are a hundred beside it, which is more than a subquery may have.
        names = [f"c{index}" for index, _ in enumerate(self.columns)][-MAX_COLUMNS:]
        sizes = ", ".join(
            f"iif(typeof({c}) IN ('text', 'blob'), octet_length({c}), {c} IS NOT NULL) AS o{index}"
            for index, c in enumerate(names)
        )
        figures = [f"o{index}" for index, _ in enumerate(names)]
        width = 1 + len(names) // 51
        groups = ["+".join(figures[start : start + width]) for start in range(0, len(figures), width)]
        where, params = self._behind(after)
        inner = f"SELECT {sizes} FROM {self._source}{where}{self._order}{self._limit(after, limit)}"
        arrays = [
            f"json_array({', '.join(f'total({group})' for group in groups[start : start + 25])})"
            for start in range(0, len(groups), 25)
        ]
        return Statement(f"SELECT {', '.join(['count(*)', f'max({_sum(figures)})', *arrays])} FROM ({inner})", params)

    def boundary(self, after: Place | None, limit: int) -> Statement:
        """Return the query for the key of the last of the next `limit` rows, which has none where they are fewer."""
        cells = ", ".join(_cell(f"c{part.index}") for part in self.key) or "NULL"
        where, params = self._behind(after)
        skipped = limit - 1 + (after.rows if after else 0)
        return Statement(
            f"SELECT json_array({cells}) FROM {self._source}{where}{self._order} LIMIT 1 OFFSET {skipped}", params
        )

    def piece(self, row: Place, column: int, start: int, length: int) -> Statement:
        """Return the query for `length` bytes of a cell from byte `start` (from 0), as hexadecimal.

        `row.key` is the row's own key; in a table without one `row.rows` is the number of rows before it.
        """
        sql = f"SELECT hex(substr(CAST(c{column} AS BLOB), {start + 1}, {length})) FROM {self._source}"
        if not self.key:
            return Statement(f"{sql} LIMIT 1 OFFSET {row.rows}")
        params: list[Param] = []
        same = " AND ".join(
            f"{self._term(part)} = {_parameter(cell, params)}" for part, cell in zip(self.key, row.key, strict=True)
        )
        return Statement(f"{sql} WHERE {same}", tuple(params))

    def span(self) -> Statement:
        """Return the query for one number: how many rows there are, or for a rowid what they cannot exceed.

        The smallest and the largest rowid cost a row read each; everything else is counted.
        """
        if not self.by_rowid:
            return Statement(f"SELECT count(*) FROM {quote_identifier(self.table)}")
        rowid, table = quote_identifier(self.columns[self.key[0].index]), quote_identifier(self.table)
        ends = f"(SELECT min({rowid}) FROM {table}) AS a, (SELECT max({rowid}) FROM {table}) AS b"
        return Statement(f"SELECT total(b - 1.0 * a + 1) FROM (SELECT {ends})")

    def place(self, cells: Sequence[Cell], rows_before: int) -> Place:
        """Return the place behind a row, given how many rows are before it."""
        return Place(tuple(cells[part.index] for part in self.key), rows_before + 1)

    def _behind(self, after: Place | None) -> tuple[str, tuple[Param, ...]]:
        """Return the condition that rows behind a place meet.

        A row value is compared along an index; where the directions differ the first column bounds the search.
        """
        if after is None or not self.key:
            return "", ()
        params: list[Param] = []

        def compared(position: int, sign: str) -> str:
            return f"{self._term(self.key[position])} {sign} {_parameter(after.key[position], params)}"

        signs = ["<" if part.descending else ">" for part in self.key]
        if len(self.key) == 1:
            return f" WHERE {compared(0, signs[0])}", tuple(params)
        if len(set(signs)) == 1:
            left = ", ".join(self._term(part) for part in self.key)
            right = ", ".join(_parameter(cell, params) for cell in after.key)
            return f" WHERE ({left}) {signs[0]} ({right})", tuple(params)
        bound = compared(0, f"{signs[0]}=")
        ways = [
            " AND ".join([*(compared(before, "=") for before in range(position)), compared(position, sign)])
            for position, sign in enumerate(signs)
        ]
        return f" WHERE {bound} AND ({' OR '.join(f'({way})' for way in ways)})", tuple(params)

    def _term(self, part: KeyPart) -> str:
        collated = f" COLLATE {quote_identifier(part.collation)}" if part.collation else ""
        return f"c{part.index}{collated}"

    @property
    def _order(self) -> str:
        terms = [f"{self._term(part)}{' DESC' if part.descending else ''}" for part in self.key]
        return f" ORDER BY {', '.join(terms)}" if terms else ""

    def _limit(self, after: Place | None, limit: int | None) -> str:
        skipped = f" OFFSET {after.rows}" if after is not None and not self.key else ""
        return f" LIMIT {-1 if limit is None else limit}{skipped}" if limit is not None or skipped else ""

    @property
    def _source(self) -> str:
        """The rows under short names: a statement may have 100 KB, and a column's name any length."""
        names = [f"{quote_identifier(column)} AS c{index}" for index, column in enumerate(self.columns)]
        table = quote_identifier(self.table)
        if len(names) > MAX_COLUMNS:  # A hundred and the rowid: more than a subquery may have.
            rowid, half = quote_identifier(self.columns[0]), MAX_COLUMNS // 2
            return (
                f"(SELECT {', '.join(names[:half])} FROM {table})"
                f" JOIN (SELECT {rowid} AS again, {', '.join(names[half:])} FROM {table}) ON again = c0"
            )
        # Rows without a key come in the order of the table, which an index that covers the query would change.
        return f"(SELECT {', '.join(names)} FROM {table}{'' if self.key else ' NOT INDEXED'})"

    # -- writing ---------------------------------------------------------------------------------------

    def insert(self, raw: Iterable[int] = (), *, replace: bool = False) -> str:
        """Return the statement that writes one row from its values; the columns `raw` take text as its bytes."""
        names = ", ".join(quote_identifier(column) for column in self.columns)
        columns = set(raw)
        cells = ", ".join("CAST(? AS TEXT)" if index in columns else "?" for index, _ in enumerate(self.columns))
        verb = "INSERT OR REPLACE" if replace else "INSERT"
        return f"{verb} INTO {quote_identifier(self.table)} ({names}) VALUES ({cells})"


def reader_of(engine: Engine, table: str) -> TableReader:
    """Return how to read a table of the mirror: generated and hidden columns left out, the rowid taken along under a
    name that no column has, where the table has a rowid that is no column."""
    rows = engine.ask("SELECT name, type, pk FROM pragma_table_xinfo(?) WHERE hidden = 0 ORDER BY cid", (table,))
    columns = [str(name) for name, _, _ in rows]
    without_rowid = engine.ask_one("SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?", (table,))
    if without_rowid:
        return TableReader(table, tuple(columns), _primary_key(engine, table, columns))
    own = _rowid_column(engine, table, columns)
    if own is not None:
        return TableReader(table, tuple(columns), (KeyPart(own, None, False),), by_rowid=True)
    taken = {column.lower() for column in columns}
    alias = next((alias for alias in ("rowid", "_rowid_", "oid") if alias not in taken), None)
    if alias is None:
        return TableReader(table, tuple(columns), ())
    return TableReader(table, (alias, *columns), (KeyPart(0, None, False),), by_rowid=True)


def _rowid_column(engine: Engine, table: str, columns: Sequence[str]) -> int | None:
    """Return which column is the rowid itself: an only key of type INTEGER for which SQLite made no index."""
    keys = engine.ask("SELECT name, type FROM pragma_table_xinfo(?) WHERE pk > 0", (table,))
    has_index = engine.ask("SELECT 1 FROM pragma_index_list(?) WHERE origin = 'pk'", (table,))
    if len(keys) != 1 or has_index or str(keys[0][1]).upper() != "INTEGER":
        return None
    return columns.index(str(keys[0][0]))


def _primary_key(engine: Engine, table: str, columns: Sequence[str]) -> tuple[KeyPart, ...]:
    """Return the key of a table WITHOUT ROWID as its b-tree is ordered."""
    parts = engine.ask(
        "SELECT i.name, i.coll, i.desc FROM pragma_index_list(?1) AS l, pragma_index_xinfo(l.name) AS i"
        " WHERE l.origin = 'pk' AND i.key ORDER BY i.seqno",
        (table,),
    )
    return tuple(
        KeyPart(
            columns.index(str(name)),
            str(collation) if str(collation).lower() != _collation(engine, table, str(name)) else None,
            bool(descending),
        )
        for name, collation, descending in parts
    )


def _collation(engine: Engine, table: str, column: str) -> str:
    with engine.free():
        return engine.connection.column_metadata("main", table, column)[1].lower()


def read_totals(row: Row) -> Totals:
    """Return the figures from the row that `TableReader.totals` asks for."""
    count, largest, *arrays = row
    columns = tuple(int(figure) for array in arrays for figure in json.loads(str(array)))
    return Totals(int(float(str(count))), columns, int(float(str(largest or 0))))


# -- one cell, in SQL --------------------------------------------------------------------------------------


def _cell(c: str, *, inline_bytes: int | None = None, hexadecimal: bool = False) -> str:
    """Return the expression that makes the element of one column."""
    text = f"'x'||hex({c})" if hexadecimal else f"'t'||{c}"
    if inline_bytes is not None:
        length = f"octet_length({c})>{inline_bytes} THEN"
        text = f"CASE WHEN {length} 'T'||octet_length({c}) ELSE {text} END"
        blob = f"CASE WHEN {length} 'B'||octet_length({c}) ELSE 'b'||hex({c}) END"
    else:
        blob = f"'b'||hex({c})"
    return f"CASE typeof({c}) WHEN 'text' THEN {text} WHEN 'blob' THEN {blob} WHEN 'real' THEN 'r'||{_real(c)} ELSE {c} END"


def _real(c: str) -> str:
    """Return the expression for a REAL: mantissa, `p`, power of two.

    m = c * 2^(53-e) with e = floor(log2(abs(c))) is a whole number of 54 bits, one more or one less where log2 rounds;
    products with powers of two are exact, and the power goes in two halves because 2^1127 is beyond a double.
    """
    return (
        f"CASE WHEN {c}=0 THEN iif(atan2({c},-1)<0,'-0','0') WHEN {c}=9e999 THEN '+inf' WHEN {c}=-9e999 THEN '-inf'"
        " ELSE (SELECT CASE WHEN abs(m)>=18014398509481984 THEN CAST(m/4 AS INT)||'p'||(e-51)"
        " WHEN abs(m)>=9007199254740992 THEN CAST(m/2 AS INT)||'p'||(e-52) ELSE CAST(m AS INT)||'p'||(e-53) END"
        f" FROM (SELECT e,{c}*pow(2,(53-e)/2)*pow(2,53-e-(53-e)/2) AS m"
        f" FROM (SELECT CAST(floor(log2(abs({c}))) AS INT) AS e))) END"
    )


def _sum(terms: Sequence[str]) -> str:
    """Add up to 127 terms; a plain chain of them is deeper than the expressions that D1 takes."""
    groups = ["+".join(terms[start : start + 12]) for start in range(0, len(terms), 12)]
    return "+".join(f"({group})" for group in groups)


def _parameter(cell: Cell, params: list[Param]) -> str:
    """Return the placeholder for a cell of a key and append its value.

    The unary plus takes the affinity of a CAST away (SQLite documentation, "Datatypes", section 3.2).
    """
    value = value_of(cell)
    params.append(value.data if isinstance(value, RawText) else value)
    return "+CAST(? AS TEXT)" if isinstance(value, RawText) else "?"


# -- one text, in Python -----------------------------------------------------------------------------------


def cells_of(text: str) -> list[Cell]:
    """Return the elements of a row's text. Raises ValueError for what is none."""
    cells: Any = json.loads(text)
    if not isinstance(cells, list):
        raise ValueError("a row's text is not a list")
    return cells


def value_of(cell: Cell) -> Value | RawText:
    """Return the value that an element stands for. Raises ValueError for anything else."""
    if cell is None or type(cell) is int:
        return cell
    if not isinstance(cell, str):
        raise ValueError(f"not an element of a row: {cell!r:.40}")
    kind, rest = cell[:1], cell[1:]
    if kind == "t":
        return rest
    if kind == "b":
        return bytes.fromhex(rest)
    if kind == "r":
        if rest in _REALS:
            return _REALS[rest]
        mantissa, _, power = rest.partition("p")
        return math.ldexp(int(mantissa), int(power))
    if kind == "x":
        return RawText(bytes.fromhex(rest))
    raise ValueError(f"not an element of a row: {cell!r:.40}")


_REALS = {"0": 0.0, "-0": -0.0, "+inf": math.inf, "-inf": -math.inf}


def values_of(texts: Sequence[str]) -> tuple[list[list[Value]], list[tuple[int, int]]]:
    """Return the values of rows, and at which (row, column) they are the bytes of a text that is not UTF-8.

    Raises ValueError for what is no row. This is `value_of` for many, which a large table spends its time in.
    """
    ldexp = math.ldexp
    rows: list[list[Any]] = json.loads(f"[{','.join(texts)}]")
    raw: list[tuple[int, int]] = []
    for at, row in enumerate(rows):
        for column, cell in enumerate(row):
            if type(cell) is str:
                if cell[0] == "t":
                    row[column] = cell[1:]
                    continue
                mantissa, power, rest = cell.partition("p")
                if power and cell[0] == "r":
                    row[column] = ldexp(int(mantissa[1:]), int(rest))
                    continue
                value = value_of(cell)
                if isinstance(value, RawText):
                    raw.append((at, column))
                    value = value.data
                row[column] = value
            elif cell is not None and type(cell) is not int:
                raise ValueError(f"not an element of a row: {cell!r:.40}")
    return rows, raw


def plain(cell: Cell) -> Cell:
    """Return an element that may hold text as hexadecimal in its one form: as text, if its bytes are UTF-8."""
    if not isinstance(cell, str) or not cell.startswith("x"):
        return cell
    try:
        return "t" + bytes.fromhex(cell[1:]).decode()
    except UnicodeDecodeError:
        return cell


def row_text(cells: Sequence[Cell]) -> str:
    """Return the one text of a row."""
    return json.dumps(cells, ensure_ascii=False, separators=(",", ":"))


_ESCAPE = re.compile(r"\\(u....|.)", re.DOTALL)
_OURS = frozenset(json.dumps(chr(code))[2:-1] for code in range(0x20))


def digestible(texts: Sequence[str]) -> bytes:
    """Return what the digest takes of these rows."""
    joined = "\n".join(texts)
    if "\\" in joined:
        # Quotes and backslashes have one way to be escaped; what else is escaped must be as `json.dumps` does it.
        rest = joined.replace("\\\\", "").replace('\\"', "")
        if "\\" in rest and not _OURS.issuperset(_ESCAPE.findall(rest)):
            joined = "\n".join(row_text(cells_of(text)) if "\\" in text else text for text in texts)
    return f"{joined}\n".encode() if texts else b""


def is_suspect(texts: Iterable[str]) -> bool:
    """Return whether a row holds U+FFFD, which may stand for bytes that are not UTF-8."""
    return any(REPLACEMENT in text for text in texts)


def without_hexadecimal(texts: Iterable[str]) -> list[str]:
    """Return rows that were read with `hexadecimal` in their one form."""
    return [row_text([plain(cell) for cell in cells_of(text)]) for text in texts]
