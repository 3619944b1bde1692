"""How one table is read: its key, the queries for its pages and figures, and the statement that writes a row.

Rows are ordered by what orders their table anyway: the rowid, under a name that no column has, or the primary key of a
table WITHOUT ROWID with its collations and directions. So a page is a search along the key, not a scan.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.lossless import RawText
from d1ops.core.rowtext import Cell, cell_expression, value_of
from d1ops.core.rules import MAX_COLUMNS
from d1ops.core.sql import OWN, quote_identifier
from d1ops.core.values import Statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from d1ops.core.engine import Engine
    from d1ops.core.values import Param, Row


SMALLEST_ROW_BYTES = 6
"""What a row takes of its page at least: a cell of four bytes and two that point to it (SQLite documentation, "The
Database File Format", section 1.6)."""


@dataclass(frozen=True, slots=True)
class KeyPart:
    """A column of the key. `collation` is None where it is the column's own."""

    index: int
    collation: str | None = None
    descending: bool = False


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
            cell_expression(f"c{index}", inline_bytes=None if index in own else inline_bytes, hexadecimal=hexadecimal)
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

    def lines(self, after: Place | None, limit: int) -> Statement:
        """Return the query for the next `limit` rows as one text, a line each, NULL where there are none."""
        page = self.page(after, limit)
        return Statement(f"SELECT group_concat(r, char(10)) FROM ({page.sql})", page.params)

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
        # A limit keeps SQLite from writing out, and from computing, every size wherever it is named.
        bound = self._limit(after, limit) or " LIMIT -1"
        inner = f"SELECT {sizes} FROM {self._source}{where}{self._order}{bound}"
        arrays = [
            f"json_array({', '.join(f'total({group})' for group in groups[start : start + 25])})"
            for start in range(0, len(groups), 25)
        ]
        return Statement(f"SELECT {', '.join(['count(*)', f'max({_sum(figures)})', *arrays])} FROM ({inner})", params)

    def boundary(self, after: Place | None, limit: int) -> Statement:
        """Return the query for the key of the last of the next `limit` rows, which has none where they are fewer."""
        # A key may be text that is not UTF-8.
        cells = ", ".join(cell_expression(f"c{part.index}", hexadecimal=True) for part in self.key) or "NULL"
        where, params = self._behind(after)
        skipped = limit - 1 + (after.rows if after is not None and not self.key else 0)
        return Statement(
            f"SELECT json_array({cells}) FROM {self._source}{where}{self._order} LIMIT 1 OFFSET {skipped}", params
        )

    def piece(self, row: Place, column: int, start: int, length: int) -> Statement:
        """Return the query for `length` bytes of a cell from byte `start` (from 0), as hexadecimal.

        `row.key` is the row's own key; in a table without one `row.rows` is the number of rows before it.
        """
        needed = sorted({column, *(part.index for part in self.key)})
        names = ", ".join(f"{quote_identifier(self.columns[index])} AS c{index}" for index in needed)
        table = quote_identifier(self.table) + ("" if self.key else " NOT INDEXED")
        piece = f"hex(substr(CAST(c{column} AS BLOB), {start + 1}, {length}))"
        sql = f"SELECT {piece} FROM (SELECT {names} FROM {table}) AS {OWN}"
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
            return Statement(f"SELECT count(*) AS {OWN} FROM {quote_identifier(self.table)}")
        rowid, table = quote_identifier(self.columns[self.key[0].index]), quote_identifier(self.table)
        ends = f"(SELECT min({rowid}) FROM {table}) AS a, (SELECT max({rowid}) FROM {table}) AS b"
        return Statement(f"SELECT total(b - 1.0 * a + 1) FROM (SELECT {ends}) AS {OWN}")

    def place(self, cells: Sequence[Cell], rows_before: int) -> Place:
        """Return the place behind a row, given how many rows are before it."""
        return Place(tuple(cells[part.index] for part in self.key), rows_before + 1)

    def _behind(self, after: Place | None) -> tuple[str, tuple[Param, ...]]:
        """Return the condition that rows behind a place meet.

        A row value is compared along an index, but not where directions differ or a collation is not its column's:
        then the first column bounds the search.
        """
        if after is None or not self.key:
            return "", ()
        params: list[Param] = []

        def compared(position: int, sign: str) -> str:
            return f"{self._term(self.key[position])} {sign} {_parameter(after.key[position], params)}"

        signs = ["<" if part.descending else ">" for part in self.key]
        if len(self.key) == 1:
            return f" WHERE {compared(0, signs[0])}", tuple(params)
        if len(set(signs)) == 1 and not any(part.collation for part in self.key):
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
                f"(SELECT {', '.join(names[:half])} FROM {table}) AS {OWN}"
                f" JOIN (SELECT {rowid} AS again, {', '.join(names[half:])} FROM {table}) ON again = c0"
            )
        # Rows without a key come in the order of the table, which an index that covers the query would change.
        return f"(SELECT {', '.join(names)} FROM {table}{'' if self.key else ' NOT INDEXED'}) AS {OWN}"

    # -- writing ---------------------------------------------------------------------------------------

    def insert(self, raw: Iterable[int] = (), *, replace: bool = False, rows: int = 1) -> str:
        """Return the statement that writes rows from their values; the columns `raw` take text as its bytes."""
        names = ", ".join(quote_identifier(column) for column in self.columns)
        columns = set(raw)
        cells = ", ".join("CAST(? AS TEXT)" if index in columns else "?" for index, _ in enumerate(self.columns))
        verb = "INSERT OR REPLACE" if replace else "INSERT"
        values = ", ".join([f"({cells})"] * rows)
        return f"{verb} INTO {quote_identifier(self.table)} ({names}) VALUES {values}"


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
        return TableReader(table, tuple(columns), (KeyPart(own),), by_rowid=True)
    taken = {column.lower() for column in columns}
    alias = next((alias for alias in ("rowid", "_rowid_", "oid") if alias not in taken), None)
    if alias is None:
        return TableReader(table, tuple(columns), ())
    return TableReader(table, (alias, *columns), (KeyPart(0),), by_rowid=True)


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
