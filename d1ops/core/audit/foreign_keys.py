"""Foreign keys, and whether an index serves each: SQLite's planner is the judge.

A delete from the parent looks for the child rows of each deleted row. SQLite compiles that as a search of the child
alone, `value = child.column`, in which the value has the affinity and the collation of the parent's column, and those
of a rowid where the column is one (SQLite documentation, "Foreign Key Support", section 3; `fkScanChildren` in its
source; the sqlite3 shell's `.lint fkey-indexes` asks for `child.column = ?`). The same question is put here, on a
mirror without statistics: a table that is small today makes a scan cheap only today.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import groupby
from operator import itemgetter
from typing import TYPE_CHECKING

import apsw

from d1ops.core.audit.tables import ask_column, read_tables
from d1ops.core.mirror import build_mirror, schema_of
from d1ops.core.rows.words import Affinity
from d1ops.core.schema import SchemaObject
from d1ops.core.sql import fold, quote_identifier

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from d1ops.core.audit.tables import Column, Index, Table
    from d1ops.core.engine import Engine


class Breakage(StrEnum):
    """Why SQLite refuses to check a foreign key, and with it every write to the child."""

    NO_PARENT = "no parent"
    MISMATCH = "mismatch"


@dataclass(frozen=True, slots=True)
class Reference:
    """A foreign key as the child `table` declares it.

    `parent_columns` is empty when the parent, or a column that the key names, does not exist; `named` are those that
    the key names itself. `collations` has for every column the collation of the parent's column where it differs from
    the child's, else "". `values` stand for the parent's values in SQL: parameters with the affinity and the collation
    that they are compared with.
    """

    table: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    on_delete: str
    named: tuple[str, ...] = ()
    collations: tuple[str, ...] = field(default=(), compare=False)
    values: tuple[str, ...] = field(default=(), compare=False)


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key, judged.

    `plan` is SQLite's line for the child, which it calls `c`. `index` is the index that serves, None for the rowid
    and where nothing serves.
    """

    reference: Reference
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
    return judge_references(engine, list(_references(engine, tables)), tables)


def judge_references(
    engine: Engine, references: Sequence[Reference], tables: Mapping[str, Table]
) -> tuple[ForeignKey, ...]:
    """Judge these foreign keys, whose children are among `tables`; their values may come from another mirror."""
    with engine.unlimited():
        engine.ask("PRAGMA automatic_index = OFF")
        found = [_judge(engine, reference, tables[reference.table]) for reference in references]
        engine.ask("PRAGMA automatic_index = ON")
    by_name = {fold(name): table for name, table in tables.items()}
    asked = {(reference.parent, reference.parent_columns) for reference in references}
    keys = {(parent, columns) for parent, columns in asked if _has_key(by_name.get(fold(parent)), columns)}
    unsure = [reference for reference in references if (reference.parent, reference.parent_columns) not in keys]
    with engine.trusted():
        suspects = {name for name in dict.fromkeys(r.table for r in unsure) if not _takes_rows(engine, name)}
    if suspects:
        broken = _breakages(engine, [reference for reference in unsure if reference.table in suspects])
        found = [replace(key, breakage=broken.get(key.reference)) for key in found]
    return tuple(found)


def plan_by(engine: Engine, reference: Reference, index: Index) -> str | None:
    """Return the plan of the search for child rows by this very index, None where it does not serve the foreign key.

    `engine` holds the child and the index.
    """
    with engine.unlimited():
        plan = _plan(engine, reference, f"INDEXED BY {quote_identifier(index.name)}")
    return plan if any(_serves(index, bound, reference) for bound in _compared(plan, index)) else None


def with_child(plan: str, reference: Reference) -> str:
    """Return a plan with the name of the child, which SQLite calls `c`."""
    return plan.replace(" c", f" {reference.table}", 1)


# -- what is declared ----------------------------------------------------------------------------------


def _references(engine: Engine, tables: Mapping[str, Table]) -> Iterator[Reference]:
    by_name = {fold(name): table for name, table in tables.items()}
    rows = engine.ask(
        'SELECT m.name, f.id, f."table", f."from", f."to", f.on_delete'
        " FROM sqlite_master AS m CROSS JOIN pragma_foreign_key_list(m.name) AS f"
        " WHERE m.type = 'table' ORDER BY m.rowid, f.id DESC, f.seq"
    )
    for (name, _), group in groupby(rows, key=itemgetter(0, 1)):
        child = tables.get(str(name))
        if child is None:
            continue
        pairs = list(group)
        _, _, parent, _, first, on_delete = pairs[0]
        parent = str(parent)
        shape = by_name.get(fold(parent))
        columns = tuple([str(row[3]) for row in pairs])
        named = tuple([str(row[4]) for row in pairs]) if first is not None else ()
        wanted = named or _primary_key(engine, parent, shape)
        theirs = [column for key in wanted if (column := _column(engine, parent, shape, key))]
        exist = len(theirs) == len(wanted) == len(columns)
        yield Reference(
            table=child.name,
            columns=columns,
            parent=parent,
            parent_columns=wanted if exist else (),
            on_delete=str(on_delete),
            named=named,
            collations=_collations(child, columns, theirs) if exist else ("",) * len(columns),
            values=tuple([_value(engine, parent, shape, column) for column in theirs])
            if exist
            else ("?",) * len(columns),
        )


def _primary_key(engine: Engine, table: str, shape: Table | None) -> tuple[str, ...]:
    if shape is not None:
        return shape.primary_key
    rows = engine.ask("SELECT name FROM pragma_table_xinfo(?) WHERE pk > 0 ORDER BY pk", (table,))
    return tuple(str(name) for (name,) in rows)


def _column(engine: Engine, table: str, shape: Table | None, name: str) -> Column | None:
    """Return a parent's column. Parents that are nobody's table, such as the ledger, have no shape."""
    return (shape.column(name) if shape is not None else None) or ask_column(engine, table, name)


def _collations(child: Table, columns: Sequence[str], parents: Sequence[Column]) -> tuple[str, ...]:
    found: list[str] = []
    for name, parent in zip(columns, parents, strict=True):
        column = child.column(name)
        is_same = column is not None and column.collation.upper() == parent.collation.upper()
        found.append("" if is_same else parent.collation)
    return tuple(found)


def _value(engine: Engine, table: str, shape: Table | None, column: Column) -> str:
    """Return a parameter that compares as the parent's column does; a rowid is an integer and has no collation."""
    if column.key and column.affinity is Affinity.INTEGER and _is_rowid(engine, table, shape, column):
        return "CAST(? AS INTEGER)"
    kind = Affinity.BLOB if column.affinity is Affinity.ANY else column.affinity
    return f"CAST(? AS {kind.upper()}) COLLATE {quote_identifier(column.collation)}"


def _is_rowid(engine: Engine, table: str, shape: Table | None, column: Column) -> bool:
    if shape is not None:
        return column.name == shape.rowid_column
    source, name = quote_identifier(table), quote_identifier(column.name)
    ((*_, plan),) = engine.ask(f"EXPLAIN QUERY PLAN SELECT 1 FROM {source} AS c WHERE c.{name} = ?", (None,))
    return plan == _BY_ROWID


# -- what the planner says -----------------------------------------------------------------------------

_BY_ROWID = "SEARCH c USING INTEGER PRIMARY KEY (rowid=?)"


def _judge(engine: Engine, reference: Reference, table: Table) -> ForeignKey:
    plan = _plan(engine, reference)
    for line in _plans(engine, reference, plan, table.indexes):
        if line == _BY_ROWID:
            return ForeignKey(reference, plan, is_indexed=True)
        for index in table.indexes:
            is_meant = index.name in line or index.origin == "pk"
            if is_meant and any(_serves(index, bound, reference) for bound in _compared(line, index)):
                return ForeignKey(reference, plan, is_indexed=True, index=index.name)
    return ForeignKey(reference, plan, is_indexed=False)


def _plans(engine: Engine, reference: Reference, plan: str, indexes: Sequence[Index]) -> Iterator[str]:
    """Yield the plan that SQLite makes, then those by each way to the rows: the rowid, one index after the other.

    A key of several columns needs that: the planner may choose an index that serves a part of the key although another
    serves all of it.
    """
    yield plan
    yield _plan(engine, reference, "NOT INDEXED")
    for index in indexes:
        yield _plan(engine, reference, f"INDEXED BY {quote_identifier(index.name)}")


def _plan(engine: Engine, reference: Reference, hint: str = "") -> str:
    """Return the line of the plan that finds the child rows of a parent row; "" when the hint cannot be followed."""
    values = zip(reference.values, reference.columns, strict=True)
    condition = " AND ".join([f"{value} = c.{quote_identifier(column)}" for value, column in values])
    sql = f"EXPLAIN QUERY PLAN SELECT 1 FROM {quote_identifier(reference.table)} AS c {hint} WHERE {condition}"
    try:
        # No such question is asked twice, and a cache would hold the statement.
        rows = list(engine.connection.execute(sql, (None,) * len(reference.values), can_cache=False))
    except apsw.SQLError:
        if not hint:
            raise
        return ""
    return str(rows[0][3])


def _compared(line: str, index: Index) -> Iterator[int]:
    """Yield how many columns of an index a line compares, if it is a line that SQLite prints for a search by it.

    Names may hold anything, so a line is compared with what SQLite prints and never taken apart.
    """
    ways = ["PRIMARY KEY"] if index.origin == "pk" else []
    for way in (*ways, f"INDEX {index.name}", f"COVERING INDEX {index.name}"):
        for bound in range(1, len(index.columns) + 1):
            terms = " AND ".join([f"{column}=?" for column in index.columns[:bound]])
            if line == f"SEARCH c USING {way} ({terms})":
                yield bound


def _serves(index: Index, bound: int, reference: Reference) -> bool:
    """Return whether a search that compares `bound` columns of an index finds the child rows and no other.

    It does on every column of the key, and on every column of a UNIQUE index, which holds one row at most.
    """
    return set(reference.columns) <= set(index.columns[:bound]) or (index.is_unique and bound >= len(index.terms))


# -- what SQLite refuses -------------------------------------------------------------------------------


def _has_key(parent: Table | None, columns: Sequence[str]) -> bool:
    """Return whether a parent is seen to have a key of these columns, so that SQLite need not be asked.

    That is its rowid, or a UNIQUE index of the columns, as they collate, without a condition (SQLite documentation,
    "Foreign Key Support", section 3).
    """
    if parent is None or not columns:
        return False
    if tuple(columns) == (parent.rowid_column,):
        return True
    found = [parent.column(name) for name in columns]
    wanted = sorted((column.name, column.collation.upper()) for column in found if column)
    return any(
        index.is_unique
        and not index.where
        and sorted((term.name, term.collation) for term in index.terms if not term.text) == wanted
        and len(index.terms) == len(columns)
        for index in parent.indexes
    )


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
