"""Foreign keys, and whether an index serves each: SQLite's planner is the judge.

A delete from the parent looks for the child rows of each deleted row: `parent.key = child.key`, with the parent's
column on the left, so that its affinity and its collation decide (SQLite documentation, "Foreign Key Support",
section 3; the sqlite3 shell's `.lint fkey-indexes` asks the same with bound values). The question is put as a join
that reads the parent first, on a mirror without statistics: a table that is small today makes a scan cheap only
today.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import groupby
from typing import TYPE_CHECKING, TypeAlias

import apsw

from d1ops.core.audit.tables import read_tables
from d1ops.core.mirror import build_mirror, schema_of
from d1ops.core.schema import SchemaObject
from d1ops.core.sql import fold, quote_identifier

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from d1ops.core.audit.tables import Index, Table
    from d1ops.core.engine import Engine


class Breakage(StrEnum):
    """Why SQLite refuses to check a foreign key, and with it every write to the child."""

    NO_PARENT = "no parent"
    MISMATCH = "mismatch"


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key as the child `table` declares it.

    `parent_columns` is empty when the parent, or a column that the key names, does not exist; `named` are those that
    the key names itself.
    """

    table: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    on_delete: str
    named: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key, judged.

    `collations` has for every column the collation of the parent's column where it differs from the child's, else "".
    `plan` is SQLite's line for the child, which it calls `c`. `index` is the index that serves, None for the rowid
    and where nothing serves.
    """

    reference: Reference
    collations: tuple[str, ...]
    plan: str
    is_indexed: bool
    index: str | None = None
    breakage: Breakage | None = None


def read_foreign_keys(engine: Engine, tables: frozenset[str]) -> tuple[ForeignKey, ...]:
    """Judge every foreign key of `tables` (names as in the schema), in the order of their definition.

    `engine` is a mirror without statistics.
    """
    return judge_foreign_keys(engine, read_tables(engine, schema_of(engine), tables))


def judge_foreign_keys(engine: Engine, tables: Mapping[str, Table]) -> tuple[ForeignKey, ...]:
    """Judge every foreign key of `tables`, in the order of their definition.

    `engine` is a mirror without statistics that holds the tables.
    """
    found: list[ForeignKey] = []
    with engine.unlimited():
        engine.ask("PRAGMA automatic_index = OFF")
        for name, references in groupby(_references(engine, tables), key=lambda reference: reference.table):
            searches = _searches(tables[name])
            found += [_judge(engine, reference, tables[name], searches) for reference in references]
        engine.ask("PRAGMA automatic_index = ON")
    children = dict.fromkeys(key.reference.table for key in found)
    with engine.trusted():
        suspects = {name for name in children if not _takes_rows(engine, name)}
    if suspects:
        broken = _breakages(engine, [key.reference for key in found if key.reference.table in suspects])
        found = [replace(key, breakage=broken.get(key.reference)) for key in found]
    return tuple(found)


def is_served_by(engine: Engine, reference: Reference, index: Index) -> bool:
    """Return whether this very index serves the foreign key; `engine` holds both."""
    with engine.unlimited():
        engine.ask("PRAGMA automatic_index = OFF")
        plan = _plan(engine, reference, f"INDEXED BY {quote_identifier(index.name)}")
        engine.ask("PRAGMA automatic_index = ON")
    return any(_serves(candidate, bound, reference) for candidate, bound in _lines(index).get(plan, ()))


# -- what is declared ----------------------------------------------------------------------------------


def _references(engine: Engine, tables: Mapping[str, Table]) -> Iterator[Reference]:
    rows = engine.ask(
        'SELECT m.name, f.id, f."table", f."from", f."to", f.on_delete'
        " FROM sqlite_master AS m CROSS JOIN pragma_foreign_key_list(m.name) AS f"
        " WHERE m.type = 'table' ORDER BY m.rowid, f.id DESC, f.seq"
    )
    for (table, _), group in groupby(rows, key=lambda row: row[:2]):
        columns = list(group)
        if table not in tables:
            continue
        _, _, parent, _, first, on_delete = columns[0]
        named = tuple(str(row[4]) for row in columns) if first is not None else ()
        wanted = named or _primary_key(engine, str(parent), tables)
        exist = len(wanted) == len(columns) and all(_collation(engine, str(parent), name) for name in wanted)
        yield Reference(
            table=str(table),
            columns=tuple(str(row[3]) for row in columns),
            parent=str(parent),
            parent_columns=wanted if exist else (),
            on_delete=str(on_delete),
            named=named,
        )


def _primary_key(engine: Engine, table: str, tables: Mapping[str, Table]) -> tuple[str, ...]:
    if table in tables:
        return tables[table].primary_key
    rows = engine.ask("SELECT name FROM pragma_table_xinfo(?) WHERE pk > 0 ORDER BY pk", (table,))
    return tuple(str(name) for (name,) in rows)


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


# -- what the planner says -----------------------------------------------------------------------------

_Lines: TypeAlias = "dict[str, list[tuple[Index | None, int]]]"
"""The lines by which a plan can search a table, with the index and how many of its columns are compared."""


def _judge(engine: Engine, reference: Reference, table: Table, searches: _Lines) -> ForeignKey:
    collations = _collations(engine, reference)
    plan = _plan(engine, reference)
    for line in _plans(engine, reference, plan, table.indexes):
        for index, bound in searches.get(line, ()):
            if _serves(index, bound, reference):
                return ForeignKey(reference, collations, plan, is_indexed=True, index=index.name if index else None)
    return ForeignKey(reference, collations, plan, is_indexed=False)


def _plans(engine: Engine, reference: Reference, plan: str, indexes: Sequence[Index]) -> Iterator[str]:
    """Yield the plan that SQLite makes, then those by each way to the rows: the rowid, one index after the other.

    A key of several columns needs that: in a join the planner may choose an index that serves a part of the key
    although another serves all of it.
    """
    yield plan
    yield _plan(engine, reference, "NOT INDEXED")
    for index in indexes:
        yield _plan(engine, reference, f"INDEXED BY {quote_identifier(index.name)}")


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


def _searches(table: Table) -> _Lines:
    found: _Lines = {"SEARCH c USING INTEGER PRIMARY KEY (rowid=?)": [(None, 1)]}
    for index in table.indexes:
        for line, ways in _lines(index).items():
            found.setdefault(line, []).extend(ways)
    return found


def _lines(index: Index) -> _Lines:
    """Return what SQLite prints where it searches the first columns of an index.

    Names may hold anything, so a line is compared with these and never taken apart.
    """
    ways = ["PRIMARY KEY"] if index.origin == "pk" else []
    ways += [f"INDEX {index.name}", f"COVERING INDEX {index.name}"]
    found: _Lines = {}
    for bound in range(1, len(index.columns) + 1):
        terms = " AND ".join([f"{column}=?" for column in index.columns[:bound]])
        for way in ways:
            found[f"SEARCH c USING {way} ({terms})"] = [(index, bound)]
    return found


def _serves(index: Index | None, bound: int, reference: Reference) -> bool:
    """Return whether a search that compares `bound` columns of an index finds the child rows and no other.

    It does on the rowid, on every column of the key, and on every column of a UNIQUE index, which holds one row at
    most.
    """
    if index is None:
        return True
    return set(reference.columns) <= set(index.columns[:bound]) or (index.is_unique and bound >= len(index.terms))


# -- what SQLite refuses -------------------------------------------------------------------------------


def _takes_rows(engine: Engine, table: str) -> bool:
    """Return whether an INSERT compiles, with the checks of every foreign key of the table."""
    try:
        engine.ask(f"EXPLAIN INSERT INTO {quote_identifier(table)} DEFAULT VALUES")
    except apsw.Error:
        return False
    return True


def _breakages(engine: Engine, references: Sequence[Reference]) -> dict[Reference, Breakage]:
    """Ask SQLite about each foreign key alone: a table that has this one and nothing else."""
    parents = {fold(reference.parent) for reference in references}
    objects = [
        SchemaObject(str(kind), str(name), str(table), None if sql is None else str(sql))
        for kind, name, table, sql in engine.ask(
            "SELECT type, name, tbl_name, sql FROM sqlite_master WHERE type <> 'trigger' ORDER BY rowid"
        )
        if fold(str(table)) in parents
    ]
    # A view that reads other tables is a parent too wide to be one; only its name matters.
    taken = {fold(o.name) for o in objects}
    probes: dict[str, Reference] = {}
    for reference in references:
        name = f"probe {len(probes)}"
        while fold(name) in taken:
            name += "_"
        probes[name] = reference
    mirror = build_mirror([*objects, *(SchemaObject("table", n, n, _probe(n, r)) for n, r in probes.items())])
    try:
        found: dict[Reference, Breakage] = {}
        for name, reference in probes.items():
            try:
                mirror.ask(f"EXPLAIN INSERT INTO {quote_identifier(name)} DEFAULT VALUES")
            except apsw.Error as error:
                is_missing = str(error) == f"no such table: main.{reference.parent}"
                found[reference] = Breakage.NO_PARENT if is_missing else Breakage.MISMATCH
        return found
    finally:
        mirror.close()


def _probe(name: str, reference: Reference) -> str:
    columns = [f"c{position}" for position, _ in enumerate(reference.columns)]
    named = f" ({', '.join(quote_identifier(column) for column in reference.named)})" if reference.named else ""
    return (
        f"CREATE TABLE {quote_identifier(name)} ({', '.join(columns)}, FOREIGN KEY ({', '.join(columns)})"
        f" REFERENCES {quote_identifier(reference.parent)}{named})"
    )
