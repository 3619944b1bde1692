"""Does a change break the Worker that is running? Every known query is prepared before the change and after each of
its steps, on schemas alone.

A query that does not compile before the change is no query of the running Worker: it waits for the change.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.audit.plans import PlanRefused, plan_of, trees_of
from d1ops.core.mirror import build_mirror

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from d1ops.core.audit.plans import Plan
    from d1ops.core.queries import Query
    from d1ops.core.schema import Schema
    from d1ops.core.values import Row


@dataclass(frozen=True, slots=True)
class Breakage:
    """A query that a change breaks. `after` names the step after which it does, `problem` is SQLite's refusal, or None
    where the query still compiles and reads `scanned` from one end to the other, which it searched before. The plans
    are lines, as `EXPLAIN QUERY PLAN` gives them; `plan_after` is empty where there is none."""

    query: str
    path: str
    line: int
    after: str
    problem: str | None
    scanned: tuple[str, ...]
    plan_before: tuple[str, ...]
    plan_after: tuple[str, ...]

    def __str__(self) -> str:
        if self.problem is not None:
            return f"query {self.query!r} ({self.path}:{self.line}) fails after {self.after}: {self.problem}"
        return (
            f"query {self.query!r} ({self.path}:{self.line}) reads all of {', '.join(self.scanned)} after {self.after}"
        )


def breakages(
    before: Schema, steps: Sequence[tuple[str, Schema]], queries: Sequence[Query], statistics: Sequence[Row] = ()
) -> tuple[Breakage, ...]:
    """Plan every query on the schema before a change and on the one after each step (its label and schema).

    Each query is reported once for a failure and once for a scan, at the first step where it happens. `statistics` are
    the target's rows of `sqlite_stat1`. Raises HumanNeeded when a schema cannot be rebuilt.
    """
    if not queries:
        return ()
    running = {query: plan for query, plan in _plans(before, queries, statistics).items() if isinstance(plan, _Known)}
    found: dict[tuple[Query, bool], Breakage] = {}
    for label, schema in steps:
        for query, now in _plans(schema, tuple(running), statistics).items():
            breakage = _compare(query, running[query], now, label)
            if breakage is not None:
                found.setdefault((query, breakage.problem is None), breakage)
    return tuple(found.values())


@dataclass(frozen=True, slots=True)
class _Known:
    plan: Plan
    whole: frozenset[str]


def _plans(schema: Schema, queries: Sequence[Query], statistics: Sequence[Row]) -> Mapping[Query, _Known | PlanRefused]:
    found: dict[Query, _Known | PlanRefused] = {}
    there = {name.lower() for name in schema.tables()}
    rows = [row for row in statistics if str(row[0]).lower() in there]
    with closing(build_mirror(schema.objects, statistics=rows)) as engine:
        trees = trees_of(engine, frozenset(schema.tables()))
        for query in queries:
            try:
                plan = plan_of(engine, query.sql, len(query.parameters), trees)
            except PlanRefused as refusal:
                found[query] = refusal
            else:
                found[query] = _Known(plan, frozenset(r.tree.table for r in plan.whole_reads if not r.counts))
    return found


def _compare(query: Query, before: _Known, now: _Known | PlanRefused, label: str) -> Breakage | None:
    if isinstance(now, PlanRefused):
        return Breakage(query.name, query.path, query.line, label, now.text, (), before.plan.lines, ())
    scanned = tuple(sorted(now.whole - before.whole))
    if not scanned:
        return None
    return Breakage(query.name, query.path, query.line, label, None, scanned, before.plan.lines, now.plan.lines)
