"""The facts that the rules look at, found out once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.audit.foreign_keys import read_foreign_keys
from d1ops.core.audit.plans import PlanRefused, plan_of, trees_of
from d1ops.core.mirror import build_mirror

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from d1ops.core.audit.foreign_keys import ForeignKey
    from d1ops.core.audit.plans import Plan
    from d1ops.core.engine import Engine
    from d1ops.core.queries import Query
    from d1ops.core.schema import Schema
    from d1ops.core.values import Row


@dataclass(frozen=True, slots=True)
class PlannedQuery:
    """A query with its plan on the target, or with the reason why it has none.

    `plan` follows the target's statistics, `plan_without_statistics` what SQLite assumes of a table it knows nothing
    about; without statistics they are the same.
    """

    query: Query
    plan: Plan | None
    plan_without_statistics: Plan | None
    refusal: PlanRefused | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What is audited. `tables` are the user's own, virtual ones included; `row_estimates` come from statistics."""

    schema: Schema
    tables: frozenset[str]
    foreign_keys: tuple[ForeignKey, ...]
    queries: tuple[PlannedQuery, ...]
    row_estimates: Mapping[str, int]


def examine(schema: Schema, statistics: Sequence[Row], queries: Sequence[Query], ledger: str) -> Subject:
    """Rebuild the schema in memory and ask SQLite about every foreign key and every query.

    `statistics` are the rows (tbl, idx, stat) of `sqlite_stat1`. Raises HumanNeeded when an object of the schema
    cannot be rebuilt.
    """
    bare = build_mirror(schema.objects)
    told = build_mirror(schema.objects, statistics=statistics) if statistics else bare
    try:
        tables = _user_tables(bare, schema, ledger)
        return Subject(
            schema=schema,
            tables=tables,
            foreign_keys=read_foreign_keys(bare, tables),
            queries=tuple(_plan(queries, told, bare, tables)),
            row_estimates=_row_estimates(statistics),
        )
    finally:
        bare.close()
        told.close()


def _user_tables(mirror: Engine, schema: Schema, ledger: str) -> frozenset[str]:
    """Return the user's tables without the shadow tables that virtual tables keep."""
    with mirror.unlimited():  # the pragma compiles to a few instructions a table, more than D1's limit in all
        shadows = {name for (name,) in mirror.ask("SELECT name FROM pragma_table_list WHERE type = 'shadow'")}
    return frozenset(schema.users(ledger).tables()) - shadows


def _plan(queries: Sequence[Query], told: Engine, bare: Engine, tables: frozenset[str]) -> Iterator[PlannedQuery]:
    trees, bare_trees = trees_of(told, tables), trees_of(bare, tables)
    for query in queries:
        try:
            plan = plan_of(told, query.sql, len(query.parameters), trees)
            other = plan if told is bare else plan_of(bare, query.sql, len(query.parameters), bare_trees)
        except PlanRefused as refusal:
            yield PlannedQuery(query, None, None, refusal)
        else:
            yield PlannedQuery(query, plan, other)


def _row_estimates(statistics: Sequence[Row]) -> dict[str, int]:
    """Return the rows of each table by its statistics.

    The first number of `stat` is the number of rows in an index or table; a partial index has fewer (SQLite
    documentation, "The Database File Format", section 2.6.3).
    """
    found: dict[str, int] = {}
    for table, _, stat in statistics:
        first = str(stat).split(" ", 1)[0]
        if first.isdecimal():
            found[str(table)] = max(found.get(str(table), 0), int(first))
    return found
