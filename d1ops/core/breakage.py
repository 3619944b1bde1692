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
    from d1ops.core.schema import Schema
    from d1ops.core.values import Row
    from d1ops.core.workload import Entry


@dataclass(frozen=True, slots=True)
class Breakage:
    """A query that a change breaks. `after` names the step after which it does, `problem` is SQLite's refusal, or None
    where the query still compiles and reads `scanned` from one end to the other, which it searched before. The plans
    are lines, as `EXPLAIN QUERY PLAN` gives them; `plan_after` is empty where there is none.

    `path` and `line` are its file's; "" and 0 for a query that the query log alone knows. `executions` are its runs in
    the `days` of the log, None where no log knows it."""

    query: str
    path: str
    line: int
    executions: float | None
    days: int | None
    after: str
    problem: str | None
    scanned: tuple[str, ...]
    plan_before: tuple[str, ...]
    plan_after: tuple[str, ...]

    def __str__(self) -> str:
        if self.problem is not None:
            return f"query {self.query!r} ({self.origin}) fails after {self.after}: {self.problem}"
        return f"query {self.query!r} ({self.origin}) reads all of {', '.join(self.scanned)} after {self.after}"

    @property
    def origin(self) -> str:
        """Where the query was found and how often it runs: `db/queries/inbox.sql:4, 1,240 runs in 7 days`."""
        place = f"{self.path}:{self.line}" if self.path else "query log"
        if self.executions is None:
            return place
        runs, days = round(self.executions), self.days
        return f"{place}, {runs:,} run{'' if runs == 1 else 's'} in {days} day{'' if days == 1 else 's'}"


def breakages(
    before: Schema, steps: Sequence[tuple[str, Schema]], workload: Sequence[Entry], statistics: Sequence[Row] = ()
) -> tuple[Breakage, ...]:
    """Plan every query on the schema before a change and on the one after each step (its label and schema).

    Each query is reported once for a failure and once for a scan, at the first step where it happens. `statistics` are
    the target's rows of `sqlite_stat1`. Raises HumanNeeded when a schema cannot be rebuilt.
    """
    if not workload:
        return ()
    running = {entry: plan for entry, plan in _plans(before, workload, statistics).items() if isinstance(plan, _Known)}
    found: dict[tuple[Entry, bool], Breakage] = {}
    for label, schema in steps:
        for entry, now in _plans(schema, tuple(running), statistics).items():
            breakage = _compare(entry, running[entry], now, label)
            if breakage is not None:
                found.setdefault((entry, breakage.problem is None), breakage)
    return tuple(found.values())


@dataclass(frozen=True, slots=True)
class _Known:
    plan: Plan
    whole: frozenset[str]


def _plans(
    schema: Schema, workload: Sequence[Entry], statistics: Sequence[Row]
) -> Mapping[Entry, _Known | PlanRefused]:
    found: dict[Entry, _Known | PlanRefused] = {}
    there = {name.lower() for name in schema.tables()}
    rows = [row for row in statistics if str(row[0]).lower() in there]
    with closing(build_mirror(schema.objects, statistics=rows)) as engine:
        trees = trees_of(engine, frozenset(schema.tables()))
        for entry in workload:
            query = entry.query
            try:
                plan = plan_of(engine, query.sql, len(query.parameters), trees)
            except PlanRefused as refusal:
                found[entry] = refusal
            else:
                found[entry] = _Known(plan, frozenset(r.tree.table for r in plan.whole_reads if not r.counts))
    return found


def _compare(entry: Entry, before: _Known, now: _Known | PlanRefused, label: str) -> Breakage | None:
    query, observed = entry.query, entry.observed
    scanned = () if isinstance(now, PlanRefused) else tuple(sorted(now.whole - before.whole))
    if not scanned and not isinstance(now, PlanRefused):
        return None
    return Breakage(
        query=query.name if query.path else _shortened(query.sql),
        path=query.path,
        line=query.line,
        executions=observed.executions if observed else None,
        days=observed.days if observed else None,
        after=label,
        problem=now.text if isinstance(now, PlanRefused) else None,
        scanned=scanned,
        plan_before=before.plan.lines,
        plan_after=() if isinstance(now, PlanRefused) else now.plan.lines,
    )


def _shortened(sql: str, most: int = 100) -> str:
    text = " ".join(sql.split())
    return text if len(text) <= most else text[: most - 3] + "..."
