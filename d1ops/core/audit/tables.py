"""The tables of a mirror with their columns and indexes, read with three questions however many there are.

Source: SQLite documentation, "PRAGMA functions"; `index_xinfo` names the column of every term of an index but neither
its expression nor the condition of a partial index, which stand in the statement that made it.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING, NamedTuple

import apsw

from d1ops.core.mirror import build_mirror
from d1ops.core.rows.words import Affinity, affinity_of
from d1ops.core.schema import index_texts
from d1ops.core.sql import fold

if TYPE_CHECKING:
    from collections.abc import Container, Mapping, Sequence

    from d1ops.core.engine import Engine
    from d1ops.core.schema import Schema, SchemaObject
    from d1ops.core.values import Row

_ROWID = -1
_EXPRESSION = -2


class Column(NamedTuple):
    """A column. `key` is its place in the primary key from 1, or 0; `collation` is spelled as in the schema."""

    name: str
    affinity: Affinity
    key: int
    is_generated: bool
    collation: str = "BINARY"


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
        keys = [column for column in self.columns if column.key]
        return tuple([column.name for column in sorted(keys, key=lambda column: column.key)])

    @property
    def rowid_column(self) -> str | None:
        """The column that is another name of the rowid: a primary key of one column that no index keeps."""
        if not self.has_rowid or any(index.origin == "pk" for index in self.indexes):
            return None
        key = self.primary_key
        return key[0] if len(key) == 1 else None

    @property
    def rowid_name(self) -> str | None:
        """A name under which SQL reads the rowid, or None when columns hide all three or there is no rowid."""
        names = {column.name.lower() for column in self.columns}
        return next((name for name in ("rowid", "_rowid_", "oid") if self.has_rowid and name not in names), None)

    def without(self, indexes: Container[str]) -> Table:
        """Return the table without the indexes of these names."""
        return replace(self, indexes=tuple([index for index in self.indexes if index.name not in indexes]))

    def column(self, name: str) -> Column | None:
        """Return the column of this name, as SQLite compares names."""
        for column in self.columns:
            if column.name == name:
                return column
        return next((column for column in self.columns if fold(column.name) == fold(name)), None)


_FEW_TABLES = 500
"""SQLite keeps the names of a schema in 64 lists, so to find each of n indexes by its name takes n^2 in the end. The
tables of a larger schema are read from small mirrors of so many each."""


def read_tables(engine: Engine, schema: Schema, names: frozenset[str]) -> Mapping[str, Table]:
    """Return the ordinary tables among `names` (as in the schema) by name, in the order of the schema.

    `schema` is what the engine holds; virtual tables have no indexes of their own and are left out.
    """
    with engine.unlimited():
        kinds = {
            str(name): _Kind(bool(wr), bool(strict))
            for name, wr, strict in engine.ask(
                "SELECT name, wr, strict FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"
            )
        }
    wanted = [o for o in schema.objects if o.type == "table" and o.name in names and o.name in kinds]
    if len(wanted) <= _FEW_TABLES:
        return _read(engine, schema.objects, kinds, names)
    indexes: dict[str, list[SchemaObject]] = {}
    for o in schema.objects:
        if o.type == "index":
            indexes.setdefault(o.table, []).append(o)
    found: dict[str, Table] = {}
    for start in range(0, len(wanted), _FEW_TABLES):
        part = wanted[start : start + _FEW_TABLES]
        objects = [*part, *(index for table in part for index in indexes.get(table.name, ()))]
        with closing(build_mirror(objects)) as mirror:
            found |= _read(mirror, objects, kinds, frozenset(table.name for table in part))
    return found


class _Kind(NamedTuple):
    is_without_rowid: bool
    is_strict: bool


def _read(
    engine: Engine, objects: Sequence[SchemaObject], kinds: Mapping[str, _Kind], names: frozenset[str]
) -> dict[str, Table]:
    with engine.unlimited():
        columns = _by_first(
            engine.ask(
                "SELECT m.name, c.name, c.type, c.pk, c.hidden FROM sqlite_master AS m"
                " CROSS JOIN pragma_table_xinfo(m.name) AS c WHERE m.type = 'table' ORDER BY m.rowid, c.cid"
            )
        )
        terms = _by_first(
            engine.ask(
                'SELECT m.name, i.name, i."unique", i.origin, i.partial, x.cid,'
                f" CASE x.cid WHEN {_ROWID} THEN 'rowid' WHEN {_EXPRESSION} THEN '<expr>' ELSE x.name END,"
                ' upper(x.coll), x."desc", x."key"'
                " FROM sqlite_master AS m CROSS JOIN pragma_index_list(m.name) AS i"
                " CROSS JOIN pragma_index_xinfo(i.name) AS x WHERE m.type = 'table' ORDER BY m.rowid, i.seq, x.seqno"
            )
        )
    statements = {o.name: o.sql for o in objects if o.type == "index"}
    # A column has another collation than BINARY only where the statement that made its table says COLLATE.
    collated = {o.name for o in objects if o.type == "table" and "collate" in (o.sql or "").lower()}
    found: dict[str, Table] = {}
    for name, rows in columns.items():
        if name not in names or name not in kinds:
            continue
        kind = kinds[name]
        shapes = [_column(row, strict=kind.is_strict) for row in rows]
        if name in collated:
            shapes = [
                column._replace(collation=engine.connection.column_metadata("main", name, column.name)[1])
                for column in shapes
            ]
        found[name] = Table(
            name=name,
            columns=tuple(shapes),
            indexes=tuple(
                [
                    _index(name, list(group), statements.get(str(index)))
                    for index, group in groupby(terms.get(name, ()), key=itemgetter(1))
                ]
            ),
            has_rowid=not kind.is_without_rowid,
        )
    return found


def ask_column(engine: Engine, table: str, name: str) -> Column | None:
    """Return a column of any table, virtual ones and SQLite's own included; None where there is none of this name.

    A view has no column, and `rowid` is one of every table that has a rowid (SQLite documentation,
    `sqlite3_table_column_metadata`).
    """
    try:
        declared, collation, _, is_key, _ = engine.connection.column_metadata("main", table, name)
    except apsw.SQLError:
        return None
    strict = engine.ask("SELECT 1 FROM pragma_table_list(?) WHERE schema = 'main' AND strict", (table,))
    affinity = _affinity(declared or "", strict=bool(strict))
    return Column(name, affinity, int(is_key), is_generated=False, collation=collation)


def _by_first(rows: list[Row]) -> dict[str, list[Row]]:
    return {str(name): list(group) for name, group in groupby(rows, key=itemgetter(0))}


def _column(row: Row, *, strict: bool) -> Column:
    _, name, declared, key, hidden = row
    assert isinstance(key, int)
    return Column(str(name), _affinity(str(declared), strict=strict), key, hidden in (2, 3))


@lru_cache
def _affinity(declared: str, *, strict: bool) -> Affinity:
    affinity = affinity_of(declared)
    # ANY is a type in STRICT tables alone; anywhere else it is a word that no rule of affinity knows.
    return Affinity.NUMERIC if affinity is Affinity.ANY and declared and not strict else affinity


def _index(table: str, rows: list[Row], sql: str | None) -> Index:
    _, name, unique, origin, partial, *_ = rows[0]
    keys = [row for row in rows if row[-1]]
    texts: tuple[str, ...] = ("",) * len(keys)
    where = ""
    if sql is not None and (partial or any(row[5] == _EXPRESSION for row in keys)):
        texts, where = index_texts(sql)
        if len(texts) != len(keys):
            texts = (sql,) * len(keys)  # equal to no other
    terms = [
        Term(str(label), text if cid == _EXPRESSION else "", str(collation), bool(descending))
        for text, (*_, cid, label, collation, descending, _) in zip(texts, keys, strict=True)
    ]
    columns = tuple([str(row[6]) for row in rows])
    return Index(str(name), table, str(origin), bool(unique), tuple(terms), columns, where, sql)
