"""A query that reads a table, or an index, from one end to the other."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Finding, Rule, Severity
from d1ops.core.audit.whole_reads import (
    Manner,
    has_index_without_statistics,
    has_limit,
    is_by_choice,
    known_rows,
    place,
    rows_of,
    whole_reads,
)
from d1ops.core.sql import significant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.plans import WholeRead
    from d1ops.core.audit.subject import PlannedQuery, Subject

ID = "full-scan"


def find(subject: Subject) -> Iterator[Finding]:
    """Find the whole reads of the queries, the weightiest of each table.

    A warning where every row of a table is read, or every entry of an index to find some. Info where an index is
    walked in its order, where a bare count(*) reads it, and where SQLite prefers to scan a table of few rows. Nothing
    where the read ends as soon as LIMIT is filled, or where another rule says more of it.
    """
    for planned in subject.queries:
        findings = [_finding(subject, planned, read) for read in whole_reads(subject, planned, Manner.ONCE)]
        for table in dict.fromkeys(finding.table for finding in findings):
            yield max((one for one in findings if one.table == table), key=lambda one: one.severity.rank)


def _finding(subject: Subject, planned: PlannedQuery, read: WholeRead) -> Finding:
    assert planned.plan is not None
    query, table = planned.query, read.tree.table
    severity, what, remedy = _judge(subject, planned, read)
    return Finding(
        rule=ID,
        severity=severity,
        table=table,
        columns=(),
        message=f"{query.name!r} {what}{known_rows(subject, table)}{place(read)}",
        remedy=remedy,
        query=query.name,
        path=query.path,
        line=query.line,
        plan=planned.plan.lines,
        facts={"rows": rows_of(subject, table)},
    )


def _judge(subject: Subject, planned: PlannedQuery, read: WholeRead) -> tuple[Severity, str, str]:
    table, index = read.tree.table, read.tree.index
    if read.counts:
        remedy = "no index makes count(*) cheaper; keep the number in a row of its own if it is asked often"
        return Severity.INFO, f"counts every row of {table}", remedy
    if index is not None and read.filters and not has_limit(planned.query.sql):
        remedy = "the index is read whole because its order does not help: index what the condition compares"
        return Severity.WARNING, f"reads every entry of index {index} of {table} to find some", remedy
    if index is not None:
        remedy = "right if it returns most of what it reads, or if LIMIT ends it early"
        return Severity.INFO, f"may read every entry of index {index} of {table}", remedy
    if has_index_without_statistics(planned):
        remedy = "an index would serve, but its statistics say that it selects little: run ANALYZE if they are old"
        severity = Severity.INFO if is_by_choice(subject, planned, table) else Severity.WARNING
        return severity, f"reads every row of {table}", remedy
    remedy = "index the columns that it compares with = and after them those of its range or order"
    if any(token.upper in ("LIKE", "GLOB") for token in significant(planned.query.sql)):
        remedy += "; no index serves a LIKE that begins with %: a full-text table (FTS5) finds words inside a text"
    return Severity.WARNING, f"reads every row of {table}", remedy


RULE = Rule(ID, "A query that reads a table, or an index, from one end to the other", Severity.WARNING, find)
