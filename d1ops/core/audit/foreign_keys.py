"""Foreign keys, and whether an index serves each: SQLite's planner is the judge.

A delete from the parent looks for the child rows of each deleted row: `parent.key = child.key`, with the parent's
column on the left, so that its affinity and its collation decide (SQLite documentation, "Foreign Key Support",
section 3; the sqlite3 shell's `.lint fkey-indexes` asks the same with bound values). The question is put as a join
that reads the parent first, on a mirror without statistics: a table that is small today makes a scan cheap only
today.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

import apsw

from d1ops.core.mirror import build_mirror
from d1ops.core.sql import quote_identifier

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from d1ops.core.engine import Engine
    from d1ops.core.schema import SchemaObject


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key as the child `table` declares it.

    `parent_columns` is empty when the parent, or a column that the key names, does not exist.
    """

    table: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    on_delete: str


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key, judged.

    `collations` has for every column the collation of the parent's column where it differs from the child's, else "".
    `plan` is SQLite's line for the child, which it calls `c`.
    """

    reference: Reference
    collations: tuple[str, ...]
    plan: str
    is_indexed: bool


class _Index(NamedTuple):
    """`columns` as a plan names them, with those that SQLite appends; the first `keys` are the index's own."""

    name: str
    is_unique: bool
    is_primary_key: bool
    columns: tuple[str, ...]
    keys: int


def read_foreign_keys(engine: Engine, tables: frozenset[str]) -> tuple[ForeignKey, ...]:
    """Judge every foreign key of `tables` (names as in the schema), in the order of their definition.

    `engine` is a mirror without statistics.
    """
    found: list[ForeignKey] = []
    with engine.unlimited():
        engine.ask("PRAGMA automatic_index = OFF")
        for table, references in groupby(_references(engine, tables), key=lambda reference: reference.table):
            indexes = _indexes(engine, table)
            for reference in references:
                plan = _plan(engine, reference)
                is_indexed = _is_search(plan, reference, indexes) or any(
                    _is_search(_plan(engine, reference, hint), reference, indexes) for hint in _hints(indexes)
                )
                found.append(ForeignKey(reference, _collations(engine, reference), plan, is_indexed))
        engine.ask("PRAGMA automatic_index = ON")
    return tuple(found)


def is_served(objects: Iterable[SchemaObject], reference: Reference) -> bool:
    """Return whether the foreign key is indexed in a schema of `objects` alone."""
    engine = build_mirror(objects)
    try:
        judged = read_foreign_keys(engine, frozenset((reference.table,)))
        return any(key.is_indexed for key in judged if key.reference == reference)
    finally:
        engine.close()


# -- what is declared ----------------------------------------------------------------------------------


def _references(engine: Engine, tables: frozenset[str]) -> Iterator[Reference]:
    rows = engine.ask(
        'SELECT m.name, f.id, f."table", f."from", f."to", f.on_delete'
        " FROM sqlite_master AS m CROSS JOIN pragma_foreign_key_list(m.name) AS f"
        " WHERE m.type = 'table' ORDER BY m.rowid, f.id DESC, f.seq"
    )
    for (table, _), group in groupby(rows, key=lambda row: row[:2]):
        columns = list(group)
        if table not in tables:
            continue
        _, _, parent, _, named, on_delete = columns[0]
        wanted = [str(row[4]) for row in columns] if named is not None else _primary_key(engine, str(parent))
        exist = len(wanted) == len(columns) and all(_collation(engine, str(parent), name) for name in wanted)
        yield Reference(
            table=str(table),
            columns=tuple(str(row[3]) for row in columns),
            parent=str(parent),
            parent_columns=tuple(wanted) if exist else (),
            on_delete=str(on_delete),
        )


def _primary_key(engine: Engine, table: str) -> list[str]:
    rows = engine.ask("SELECT name FROM pragma_table_xinfo(?) WHERE pk > 0 ORDER BY pk", (table,))
    return [str(name) for (name,) in rows]


def _collations(engine: Engine, reference: Reference) -> tuple[str, ...]:
    if not reference.parent_columns:
        return ("",) * len(reference.columns)
    pairs = zip(reference.parent_columns, reference.columns, strict=True)
    found = ((_collation(engine, reference.parent, p), _collation(engine, reference.table, c)) for p, c in pairs)
    return tuple("" if parent.upper() == child.upper() else parent for parent, child in found)


def _collation(engine: Engine, table: str, column: str) -> str:
    """Return the collation of a column of a table, or "" when there is none of this name (a view has none)."""
    try:
        return engine.connection.column_metadata("main", table, column)[1]
    except apsw.SQLError:
        return ""


def _indexes(engine: Engine, table: str) -> list[_Index]:
    rows = engine.ask(
        'SELECT l.name, l."unique", l.origin, x."key",'
        " CASE x.cid WHEN -1 THEN 'rowid' WHEN -2 THEN '<expr>' ELSE x.name END"
        " FROM pragma_index_list(?) AS l CROSS JOIN pragma_index_xinfo(l.name) AS x ORDER BY l.seq, x.seqno",
        (table,),
    )
    found: list[_Index] = []
    for (name, unique, origin), group in groupby(rows, key=lambda row: row[:3]):
        columns = list(group)
        found.append(
            _Index(
                name=str(name),
                is_unique=bool(unique),
                is_primary_key=origin == "pk",
                columns=tuple(str(row[4]) for row in columns),
                keys=sum(bool(row[3]) for row in columns),
            )
        )
    return found


# -- what the planner says -----------------------------------------------------------------------------


def _hints(indexes: Sequence[_Index]) -> Iterator[str]:
    """Yield what makes the planner use each way to the rows: the rowid, then one index after the other.

    A key of several columns needs that: in a join the planner may choose an index that serves a part of the key
    although another serves all of it.
    """
    yield "NOT INDEXED"
    for index in indexes:
        yield f"INDEXED BY {quote_identifier(index.name)}"


def _plan(engine: Engine, reference: Reference, hint: str = "") -> str:
    """Return the line of the plan that finds the child rows of a parent row; "" when the hint cannot be followed."""
    child = f"{quote_identifier(reference.table)} AS c {hint}"
    names = [f"c.{quote_identifier(column)}" for column in reference.columns]
    if reference.parent_columns:
        source = f"{quote_identifier(reference.parent)} AS p CROSS JOIN {child}"
        values = [f"p.{quote_identifier(column)}" for column in reference.parent_columns]
    else:
        source = child
        values = ["?"] * len(names)
    condition = " AND ".join(f"{value} = {name}" for value, name in zip(values, names, strict=True))
    try:
        rows = engine.ask(f"EXPLAIN QUERY PLAN SELECT 1 FROM {source} WHERE {condition}", [None] * values.count("?"))
    except apsw.SQLError:
        if not hint:
            raise
        return ""
    return next(str(row[3]) for row in rows if str(row[3]).startswith(("SEARCH c", "SCAN c")))


def _is_search(plan: str, reference: Reference, indexes: Sequence[_Index]) -> bool:
    """Return whether `plan` finds the child rows without reading others.

    It does when it searches the rowid, an index on every column of the key, or every column of a UNIQUE index, which
    holds one row at most. Names may hold anything, so the line is compared with what SQLite would print, not taken
    apart.
    """
    if plan == "SEARCH c USING INTEGER PRIMARY KEY (rowid=?)":
        return True
    columns = frozenset(reference.columns)
    for index in indexes:
        ways = {f"INDEX {index.name}", f"COVERING INDEX {index.name}"} | (
            {"PRIMARY KEY"} if index.is_primary_key else set()
        )
        for bound in range(1, len(index.columns) + 1):
            searched = index.columns[:bound]
            if columns <= frozenset(searched) or (index.is_unique and bound >= index.keys):
                terms = " AND ".join(f"{column}=?" for column in searched)
                if plan in {f"SEARCH c USING {way} ({terms})" for way in ways}:
                    return True
    return False
