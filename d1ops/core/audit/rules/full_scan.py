"""A query that reads a table, or an index, from one end to the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Finding, Rule, Severity
from d1ops.core.sql import significant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.plans import Plan, WholeRead
    from d1ops.core.audit.subject import PlannedQuery, Subject

ID = "full-scan"

FEW_ROWS = 100
"""Up to so many rows by its statistics a table that SQLite prefers to scan is no worry."""


def find(subject: Subject) -> Iterator[Finding]:
    """Find the whole reads of the queries, the weightiest of each table.

    A warning where every row of a table is read, or every entry of an index to find some. Info where an index is
    walked in its order, where a bare count(*) reads it, and where SQLite prefers to scan a table of at most
    `FEW_ROWS` by its statistics. Nothing where the read ends as soon as LIMIT is filled.
    """
    for planned in subject.queries:
        if planned.plan is None or _ends_at_limit(planned.query.sql, planned.plan):
            continue
        findings = [_finding(subject, planned, read) for read in planned.plan.whole_reads]
        for table in dict.fromkeys(finding.table for finding in findings):
            yield max((one for one in findings if one.table == table), key=lambda one: one.severity.rank)


def _finding(subject: Subject, planned: PlannedQuery, read: WholeRead) -> Finding:
    assert planned.plan is not None
    query, table = planned.query, read.tree.table
    rows = subject.row_estimates.get(table)
    severity, what, remedy = _judge(planned, read, rows)
    known = f", about {rows:,} by its statistics" if rows is not None else ""
    line = f" ({read.line})" if read.line else ""
    return Finding(
        rule=ID,
        severity=severity,
        table=table,
        columns=(),
        message=f"{query.name!r} {what}{known}{line}",
        remedy=remedy,
        query=query.name,
        path=query.path,
        line=query.line,
        plan=planned.plan.lines,
    )


def _judge(planned: PlannedQuery, read: WholeRead, rows: int | None) -> tuple[Severity, str, str]:
    table, index = read.tree.table, read.tree.index
    if read.counts:
        remedy = "no index makes count(*) cheaper; keep the number in a row of its own if it is asked often"
        return Severity.INFO, f"counts every row of {table}", remedy
    if index is not None and read.filters and not _has_limit(planned.query.sql):
        remedy = "the index is read whole because its order does not help: index what the condition compares"
        return Severity.WARNING, f"reads every entry of index {index} of {table} to find some", remedy
    if index is not None:
        remedy = "right if it returns most of what it reads, or if LIMIT ends it early"
        return Severity.INFO, f"may read every entry of index {index} of {table}", remedy
    if not _reads_a_table(planned.plan_without_statistics):
        is_small = rows is not None and rows <= FEW_ROWS
        remedy = "an index would serve, but its statistics say that it selects little: run ANALYZE if they are old"
        return Severity.INFO if is_small else Severity.WARNING, f"reads every row of {table}", remedy
    if " AUTOMATIC " in read.line:
        remedy = "create the index that SQLite builds anew for every execution"
        return Severity.WARNING, f"reads every row of {table} to build an index of its own", remedy
    remedy = "index the columns that it compares with = and after them those of its range or order"
    return Severity.WARNING, f"reads every row of {table}", remedy


def _reads_a_table(plan: Plan | None) -> bool:
    return plan is not None and any(read.tree.index is None and not read.counts for read in plan.whole_reads)


def _ends_at_limit(sql: str, plan: Plan) -> bool:
    """Return whether one table is read in order, unfiltered and unsorted, until LIMIT is filled.

    Tables beside it may only be looked up by a search.
    """
    scans = sum(line.startswith("SCAN ") for line in plan.lines)
    searches = sum(line.startswith("SEARCH ") for line in plan.lines)
    return (
        _has_limit(sql)
        and not _words(sql) & {"WHERE", "GROUP", "DISTINCT"}
        and not plan.aggregates
        and scans == 1
        and scans + searches == len(plan.lines)
    )


def _has_limit(sql: str) -> bool:
    return "LIMIT" in _words(sql)


def _words(sql: str) -> set[str]:
    return {token.upper for token in significant(sql) if token.kind == "word"}


RULE = Rule(ID, "A query that reads a table, or an index, from one end to the other.", Severity.WARNING, find)
