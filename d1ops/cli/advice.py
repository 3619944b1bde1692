"""The parts of `audit` beyond findings: where queries come from, index advice, and the migration that follows."""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any

from d1ops.cli.text import columns, count, one_line
from d1ops.core.sql import quote_if_needed
from d1ops.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from d1ops.cli.call import Call
    from d1ops.config.model import Settings
    from d1ops.core.audit.advice.advise import Advice, Effect
    from d1ops.core.audit.advice.money import Bill, Prices
    from d1ops.core.audit.finding import Finding, Severity
    from d1ops.core.workload import Workload
    from d1ops.ops.advise import Written
    from d1ops.ops.audit import Audited
    from d1ops.ops.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for. `days` is None without the query log."""

    sources: Sequence[Path]
    days: int | None
    advice: bool
    measure_on: str | None
    max_indexes: int
    min_rows_saved: int
    write_migration: bool
    name: str | None
    least: Severity
    """What a finding weighs whose proposal goes into the migration."""

    def check(self) -> None:
        """Raise UsageError for options that do nothing without another."""
        if self.name is not None and not self.write_migration:
            raise UsageError(f"{self.name!r} names a migration, and none is written", hint="add --write-migration")
        if self.measure_on is not None and not self.wants_advice:
            raise UsageError("--measure-on measures advice, and none is asked for", hint="add --advice")

    @property
    def wants_advice(self) -> bool:
        """Whether indexes are to be found and measured."""
        return self.advice or self.write_migration


def read_workload(call: Call, wish: Wish, settings: Settings, workspace: Workspace) -> Workload:
    """Gather the queries of files, of source code and of the query log, each once, and note what was left out."""
    from d1ops.core.workload import merge
    from d1ops.ops.workspace import read_queries

    found = list(read_queries(settings.project, settings.catalog.queries))
    if wish.sources:
        from d1ops.ops.sources import read_sources

        sources = read_sources(settings.project, wish.sources)
        found += sources.queries
        call.note(
            sources={
                "files": sources.files,
                "queries": len(sources.queries),
                "unresolved": [asdict(one) for one in sources.unresolved],
                "left_out": [asdict(one) for one in sources.left_out],
            }
        )
        workspace.tell(f"source code: {count(len(sources.queries), 'query')} in {count(sources.files, 'file')}")
        for one in sources.unresolved:
            workspace.tell(f"  not audited: {one_line(f'{one.path}:{one.line}:{one.column}: {one.reason}')}")
        for left in sources.left_out:
            workspace.tell(f"  left out: {one_line(f'{left.path}: {left.reason}')}")
    if wish.days is None:
        return merge(found)
    from d1ops.ops.insights import read_insights

    insights = read_insights(workspace.database, wish.days, workspace.now(), workspace.ledger)  # type: ignore[arg-type]  # a WatchedDatabase, which passes it on or refuses
    call.note(insights={"days": insights.days, "queries": len(insights.logged), "is_whole": insights.is_whole})
    workspace.tell(f"query log: {count(len(insights.logged), 'query')} in {count(insights.days, 'day')}")
    if not insights.is_whole:
        workspace.tell("  the service held some of it back: an hour has more queries than an answer may hold")
    return merge(found, insights.logged, days=insights.days)


def advise(
    call: Call,
    wish: Wish,
    settings: Settings,
    workspace: Workspace,
    audited: Audited,
    workload: Workload,
    findings: Sequence[Finding],
) -> tuple[list[str], tuple[Finding, ...]]:
    """Find and measure indexes, write the migration where that was asked for, and note both.

    Return them as lines, and the findings with what the advice does to their queries.
    """
    if not wish.wants_advice:
        return [], tuple(findings)
    from d1ops.core.audit.advice.lab import Budget
    from d1ops.core.audit.advice.money import Prices, bills
    from d1ops.database.workerd import module_roots
    from d1ops.ops import advise as use_case
    from d1ops.ops import backup as backups

    prices = Prices(**settings.prices.model_dump())
    backup = backups.verify(workspace, wish.measure_on) if wish.measure_on is not None else None
    configured = settings.database.node_modules
    modules = module_roots(settings.project, settings.at(configured) if configured else None, os.environ)
    healed = None
    about = tuple(findings)
    if wish.write_migration:
        audited, about, healed = use_case.without_drift(workspace, audited, workload, findings, wish.least)
    workspace.tell("advice: trying indexes on a scratch database")
    budget = Budget(wish.max_indexes, wish.min_rows_saved, write_price=prices.write_price)
    advice = use_case.advise(workspace, audited, workload, about, modules=modules, backup=backup, budget=budget)
    months = bills(advice.effects, prices)
    call.note(advice=document(advice, months, prices))
    lines = ["", *text(advice, months, prices)]
    if wish.write_migration:
        written = use_case.write_migration(
            workspace,
            settings.project,
            settings.catalog.migrations,
            audited,
            workload,
            about,
            advice,
            wish.name,
            healed=healed,
            everything=wish.advice,
            least=wish.least,
        )
        call.note(migration=None if written is None else asdict(written))
        lines += ["", *_written(call, written)]
    return lines, tuple(_with_advice(finding, advice) for finding in findings)


def _with_advice(finding: Finding, advice: Advice) -> Finding:
    """Return a finding about a query with the indexes that mend it and the plan that it then has."""
    effect = next((one for one in advice.effects if one.query == finding.query and one.is_mended), None)
    if effect is None or not effect.indexes or not _is_of(finding, effect):
        return finding
    made = [index for index in advice.indexes if index.name in effect.indexes]
    return replace(
        finding,
        fix_sql="\n".join(index.create_sql for index in made),
        rollback_sql="\n".join(f"DROP INDEX IF EXISTS {quote_if_needed(index.name)};" for index in made),
        facts={**finding.facts, "plan_after": effect.plan_after},
    )


def _is_of(finding: Finding, effect: Effect) -> bool:
    """Return whether a finding and an effect are about one query: names are those of a file."""
    return not effect.places or f"{finding.path}:{finding.line}" in effect.places


def document(advice: Advice, months: Sequence[Bill], prices: Prices) -> dict[str, Any]:
    """Return the advice as it stands in the JSON document. Times vary from run to run, everything else does not."""
    return {
        "indexes": [asdict(index) for index in advice.indexes],
        "queries": [{**asdict(effect), "is_mended": effect.is_mended} for effect in advice.effects],
        "over_budget": list(advice.over_budget),
        "measured_by": advice.measured_by,
        "is_estimate": advice.is_estimate,
        "rows_from": advice.rows_from,
        "rows": dict(advice.rows),
        "prices": asdict(prices),
        "months": [asdict(bill) for bill in months],
    }


def text(advice: Advice, months: Sequence[Bill], prices: Prices) -> list[str]:
    """Return the advice for people."""
    how = "estimated" if advice.is_estimate else "counted by workerd"
    whose = "generated rows" if advice.rows_from == "generated" else advice.rows_from
    run = [effect for effect in advice.effects if effect.not_run is None]
    head = f"advice: {_indexes(len(advice.indexes))} for {count(len(run), 'query')};"
    lines = [f"{head} rows read a run {how} on {whose}"]
    for index in advice.indexes:
        lines += ["", f"  {index.create_sql}"]
        lines += [f"    for the foreign key: {message}" for message in index.foreign_keys]
        for effect in advice.effects:
            if effect.query in index.queries:
                lines += [f"    {line}" for line in _effect(effect)]
            elif effect.query in index.queries_kept:
                lines += ["    without it the other indexes would make this query read more:"]
                lines += [f"    {line}" for line in _effect(effect)]
    # A foreign key's index is advised whatever queries make of it, and the planner may prefer it to a better way.
    worse = [f"    {line}" for effect in advice.effects if effect.is_worse for line in _effect(effect)]
    lines += ["", "  reads more with these indexes:", *worse] if worse else []
    lines += [
        f"  not measured: {effect.query!r}{_place(effect)} does not run on the scratch database: {effect.not_run}"
        for effect in advice.effects
        if effect.not_run is not None
    ]
    lines += [f"  not advised, its table has its number of indexes: {one}" for one in advice.over_budget]
    return [*lines, *_money(months, prices)]


def _indexes(number: int) -> str:
    return "1 index" if number == 1 else f"{number:,} indexes"


def _effect(effect: Effect) -> list[str]:
    seconds = ""
    if effect.seconds_before is not None and effect.seconds_after is not None:
        seconds = f"; {effect.seconds_before * 1000:.1f} -> {effect.seconds_after * 1000:.1f} ms"
    figures = f"{_rows(effect.rows_read_before)} -> {_rows(effect.rows_read_after)} rows read{seconds}"
    return [
        f"{effect.query!r}{_place(effect)}: {figures}",
        *(f"  before: {one_line(line)}" for line in effect.plan_before),
        *(f"  after:  {one_line(line)}" for line in effect.plan_after),
    ]


def _place(effect: Effect) -> str:
    return f" ({effect.places[0]})" if effect.places else ""


def _rows(number: float | None) -> str:
    return "?" if number is None else f"{number:,.0f}"


def _money(months: Sequence[Bill], prices: Prices) -> list[str]:
    if not months:
        return []
    rows = [["runs a month", "rows read", "after", f"{prices.currency} a month", "after", "query"]]
    for bill in months[:10]:
        figures = (bill.executions, bill.rows_read_before, bill.rows_read_after)
        costs = (bill.cost_before, bill.cost_after)
        rows.append([*(f"{one:,.0f}" for one in figures), *(f"{one:,.4f}" for one in costs), bill.query])
    before, after = sum(bill.cost_before for bill in months), sum(bill.cost_after for bill in months)
    total = f"in all {before:,.4f} -> {after:,.4f} {prices.currency} a month, without what the plan includes"
    return ["", *(f"  {line}" for line in columns(rows)), f"  {total}"]


def _written(call: Call, written: Written | None) -> list[str]:
    if written is None:
        return ["nothing to mend: no migration written"]
    if written.migration is None:
        return ["no migration written", *(f"  left to you: {sql}" for sql in written.unmended)]
    lines = [f"migration: {written.migration}", f"rollback:  {written.rollback}"]
    lines += [f"  not in it, left to you: {sql}" for sql in written.unmended]
    return [
        *lines,
        f"  tried on a mirror: mends {count(len(written.mended), 'finding')}",
        *(f"  but afterwards there is {key}" for key in written.new),
        f"  next: {call.command('migrate')}",
    ]
