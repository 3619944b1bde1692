"""The tables of a mirror with their columns and indexes, read with three questions however many there are.

Source: SQLite documentation, "PRAGMA functions"; `index_xinfo` names the column of every term of an index but neither
its expression nor the condition of a partial index, which stand in the statement that made it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from d1ops.core.rows.words import Affinity, affinity_of
from d1ops.core.schema import index_texts

if TYPE_CHECKING:
    from collections.abc import Mapping

    from d1ops.core.engine import Engine
    from d1ops.core.schema import Schema
    from d1ops.core.values import Row

_ROWID = -1
_EXPRESSION = -2


class Column(NamedTuple):
    """A column. `key` is its place in the primary key from 1, or 0."""

    name: str
    affinity: Affinity
    key: int
    is_generated: bool


class Term(NamedTuple):
    """What an index sorts by. `name` is what a plan calls it; `text` is the expression, where it is not a column."""

    name: str
    text: str
    collation: str
    is_descending: bool


@dataclass(frozen=True, slots=True)
class Index:
    """An index. `columns` are all its terms as a plan names them, those that SQLite appends included.

    `origin` is `c` for CREATE INDEX, `u` for UNIQUE, `pk` for PRIMARY KEY. `where` is the condition of a partial
    index in structural form, else "". `sql` is the statement that made it, or None.
    """

    name: str
    table: str
    origin: str
    is_unique: bool
    terms: tuple[Term, ...]
    columns: tuple[str, ...]
    where: str
    sql: str | None


@dataclass(frozen=True, slots=True)
class Table:
    """An ordinary table; `indexes` in the order of `PRAGMA index_list`, the newest first."""

    name: str
    columns: tuple[Column, ...]
    indexes: tuple[Index, ...]
    has_rowid: bool

    @property
    def primary_key(self) -> tuple[str, ...]:
        """The columns of the primary key, in its order."""
        return tuple(column.name for column in sorted(self.columns, key=lambda column: column.key) if column.key)

    @property
    def rowid_column(self) -> str | None:
        """The column that is another name of the rowid: a primary key of one column that no index keeps."""
        is_rowid = self.has_rowid and len(self.primary_key) == 1 and all(i.origin != "pk" for i in self.indexes)
        return self.primary_key[0] if is_rowid else None

    @property
    def rowid_name(self) -> str | None:
        """A name under which SQL reads the rowid, or None when columns hide all three or there is no rowid."""
        names = {column.name.lower() for column in self.columns}
        return next((name for name in ("rowid", "_rowid_", "oid") if self.has_rowid and name not in names), None)

    def column(self, name: str) -> Column | None:
        """Return the column of this name, as SQLite compares names."""
        return next((column for column in self.columns if column.name.lower() == name.lower()), None)


def read_tables(engine: Engine, schema: Schema, names: frozenset[str]) -> Mapping[str, Table]:
    """Return the ordinary tables among `names` (as in the schema) by name, in the order of the schema.

    `schema` is what the engine holds; virtual tables have no indexes of their own and are left out.
    """
    with engine.unlimited():
        kinds = {
            str(name): (bool(wr), bool(strict))
            for name, wr, strict in engine.ask(
                "SELECT name, wr, strict FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
            )
        }
        columns = _by_first(
            engine.ask(
                "SELECT m.name, c.name, c.type, c.pk, c.hidden FROM sqlite_master AS m"
                " CROSS JOIN pragma_table_xinfo(m.name) AS c WHERE m.type = 'table' ORDER BY m.rowid, c.cid"
            )
        )
        terms = _by_first(
            engine.ask(
                'SELECT m.name, i.name, i."unique", i.origin, i.partial, x.cid, x.name, upper(x.coll), x."desc",'
                ' x."key"'
                " FROM sqlite_master AS m CROSS JOIN pragma_index_list(m.name) AS i"
                " CROSS JOIN pragma_index_xinfo(i.name) AS x WHERE m.type = 'table' ORDER BY m.rowid, i.seq, x.seqno"
            )
        )
    affinities: dict[str, Affinity] = {}
    statements = {o.name: o.sql for o in schema.objects if o.type == "index"}
    found: dict[str, Table] = {}
    for name, rows in columns.items():
        if name not in names or name not in kinds:
            continue
        without_rowid, strict = kinds[name]
        found[name] = Table(
            name=name,
            columns=tuple(_column(row, affinities, strict=strict) for row in rows),
            indexes=tuple(
                _index(name, list(group), statements.get(str(index)))
                for index, group in groupby(terms.get(name, ()), key=lambda row: row[1])
            ),
            has_rowid=not without_rowid,
        )
    return found


def _by_first(rows: list[Row]) -> dict[str, list[Row]]:
    return {str(name): list(group) for name, group in groupby(rows, key=lambda row: row[0])}


def _column(row: Row, affinities: dict[str, Affinity], *, strict: bool) -> Column:
    _, name, declared, key, hidden = row
    declared = str(declared)
    if declared not in affinities:
        affinities[declared] = affinity_of(declared)
    affinity = affinities[declared]
    # ANY is a type in STRICT tables alone; anywhere else it is a word that no rule of affinity knows.
    if not strict and affinity is Affinity.ANY and declared:
        affinity = Affinity.NUMERIC
    assert isinstance(key, int)
    return Column(str(name), affinity, key, hidden in (2, 3))


def _index(table: str, rows: list[Row], sql: str | None) -> Index:
    _, name, unique, origin, partial, *_ = rows[0]
    is_plain = not partial and all(row[5] != _EXPRESSION for row in rows)
    texts, where = ((), "") if is_plain or sql is None else index_texts(sql)
    keys = sum(bool(row[-1]) for row in rows)
    if len(texts) != keys:
        texts = (sql or "",) * keys  # equal to no other
    terms: list[Term] = []
    columns: list[str] = []
    for position, (*_, cid, column, collation, descending, is_key) in enumerate(rows):
        label = {_ROWID: "rowid", _EXPRESSION: "<expr>"}.get(int(str(cid)), str(column))
        columns.append(label)
        if is_key:
            text = texts[position] if cid == _EXPRESSION else ""
            terms.append(Term(label, text, str(collation), bool(descending)))
    return Index(str(name), table, str(origin), bool(unique), tuple(terms), tuple(columns), where, sql)
