"""The facts that the rules look at, found out once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from d1ops.core.audit.defeats import find_defeats
from d1ops.core.audit.foreign_keys import judge_foreign_keys
from d1ops.core.audit.inner import inner_queries
from d1ops.core.audit.plans import PlanRefused, best_plan_of, trees_of
from d1ops.core.audit.rows import Source, statistics_rows
from d1ops.core.audit.surplus import find_surplus
from d1ops.core.audit.tables import read_tables
from d1ops.core.mirror import build_mirror, load_statistics
from d1ops.core.schema import Schema

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from d1ops.core.audit.defeats import Defeat
    from d1ops.core.audit.foreign_keys import ForeignKey
    from d1ops.core.audit.plans import Plan, Tree
    from d1ops.core.audit.rows import RowCount
    from d1ops.core.audit.surplus import Surplus
    from d1ops.core.audit.tables import Table
    from d1ops.core.engine import Engine
    from d1ops.core.queries import Query
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
class RemotePlan:
    """What the target itself says of a query: the lines of its plan, or why it refuses the query."""

    query: Query
    lines: tuple[str, ...] = ()
    refusal: str | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What is audited.

    `tables` are the user's own, virtual ones included; `shapes` are the ordinary ones of them, with their columns and
    indexes. `inner_queries` are those of the schema itself, of its views and triggers. `rows` are the rows of a table
    as far as they are known, `known_rows` those that do not come from statistics. `statistics` are the rows of
    `sqlite_stat1`. `expected` is the schema that the applied migrations build, None where nobody can say.
    `remote_plans` are the target's own plans, where they were asked for.
    """

    schema: Schema
    tables: frozenset[str]
    foreign_keys: tuple[ForeignKey, ...]
    queries: tuple[PlannedQuery, ...]
    inner_queries: tuple[PlannedQuery, ...] = ()
    shapes: Mapping[str, Table] = field(default_factory=dict)
    surplus: tuple[Surplus, ...] = ()
    defeats: tuple[Defeat, ...] = ()
    rows: Mapping[str, RowCount] = field(default_factory=dict)
    known_rows: Mapping[str, RowCount] = field(default_factory=dict)
    statistics: tuple[Row, ...] = ()
    expected: Schema | None = None
    remote_plans: tuple[RemotePlan, ...] = ()
    ledger: str = ""

    @property
    def row_estimates(self) -> dict[str, int]:
        """The rows of each table, as far as they are known."""
        return {table: count.number for table, count in self.rows.items()}


@dataclass(frozen=True, slots=True)
class Mirrored:
    """A schema, rebuilt in memory without statistics, and its user's tables as in `Subject`."""

    schema: Schema
    ledger: str
    mirror: Engine
    tables: frozenset[str]
    shapes: Mapping[str, Table]

    def close(self) -> None:
        """Let go of the mirror."""
        self.mirror.close()


def rebuild(schema: Schema, ledger: str) -> Mirrored:
    """Rebuild a schema in memory. Raises HumanNeeded when an object cannot be rebuilt."""
    mirror = build_mirror(schema.objects)
    tables = _user_tables(mirror, schema, ledger)
    return Mirrored(schema, ledger, mirror, tables, read_tables(mirror, schema, tables))


def examine(
    mirrored: Mirrored,
    statistics: Sequence[Row],
    queries: Sequence[Query],
    *,
    known_rows: Mapping[str, RowCount] | None = None,
    expected: Schema | None = None,
) -> Subject:
    """Ask SQLite about every foreign key and every query; the mirror is used up.

    `statistics` are the rows (tbl, idx, stat) of `sqlite_stat1`; `known_rows` and `expected` are as in `Subject`.
    """
    schema, mirror, tables, shapes = mirrored.schema, mirrored.mirror, mirrored.tables, mirrored.shapes
    try:
        keys = judge_foreign_keys(mirror, shapes)
        trees = trees_of(mirror, tables)
        everything = [*queries, *inner_queries(mirror, schema, shapes)]
        bare = [_plan(mirror, query, trees) for query in everything]
        told = bare
        if statistics:
            load_statistics(mirror, statistics)
            told = [_plan(mirror, query, trees) for query in everything]
        all_planned = tuple(map(_planned, everything, told, bare))
        planned, inner = all_planned[: len(queries)], all_planned[len(queries) :]
        return Subject(
            schema=schema,
            tables=tables,
            foreign_keys=keys,
            queries=planned,
            inner_queries=tuple(one for one in inner if one.plan is not None),
            shapes=shapes,
            surplus=find_surplus(schema, shapes, keys, all_planned, statistics),
            defeats=find_defeats(mirror, schema, shapes, planned, statistics, trees),
            rows={**(known_rows or {}), **statistics_rows(statistics), **_counted(known_rows or {})},
            known_rows=known_rows or {},
            statistics=tuple(statistics),
            expected=expected,
            ledger=mirrored.ledger,
        )
    finally:
        mirror.close()


def _user_tables(mirror: Engine, schema: Schema, ledger: str) -> frozenset[str]:
    """Return the user's tables without the shadow tables that virtual tables keep."""
    with mirror.unlimited():  # the pragma compiles to a few instructions a table, more than D1's limit in all
        shadows = {name for (name,) in mirror.ask("SELECT name FROM pragma_table_list WHERE type = 'shadow'")}
    tables = Schema(tuple([o for o in schema.objects if o.type == "table"]))
    return frozenset(tables.users(ledger).tables()) - shadows


def _plan(mirror: Engine, query: Query, trees: Mapping[int, Tree]) -> Plan | PlanRefused:
    try:
        return best_plan_of(mirror, query.sql, len(query.parameters), trees)
    except PlanRefused as refusal:
        return refusal


def _planned(query: Query, told: Plan | PlanRefused, bare: Plan | PlanRefused) -> PlannedQuery:
    for one in (told, bare):
        if isinstance(one, PlanRefused):
            return PlannedQuery(query, None, None, one)
    assert not isinstance(told, PlanRefused)
    assert not isinstance(bare, PlanRefused)
    return PlannedQuery(query, told, bare)


def _counted(known: Mapping[str, RowCount]) -> dict[str, RowCount]:
    return {table: count for table, count in known.items() if count.source is Source.COUNT}
