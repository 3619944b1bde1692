"""A query that reads a table whole, again for each row of something else."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Finding, Rule, Severity
from d1ops.core.audit.whole_reads import Manner, is_by_choice, known_rows, place, rows_of, whole_reads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.subject import Subject

ID = "correlated-scan"


def find(subject: Subject) -> Iterator[Finding]:
    """Find the whole reads inside a loop: the inner table of a join, and the table of a correlated subquery."""
    for planned in subject.queries:
        if planned.plan is None:
            continue
        reads = {read.tree.table: read for read in whole_reads(subject, planned, Manner.FOR_EACH_ROW)}
        for table, read in reads.items():
            query = planned.query
            builds = " to build an index of its own" if " AUTOMATIC " in read.line else ""
            yield Finding(
                rule=ID,
                severity=Severity.INFO if is_by_choice(subject, planned, table) else Severity.WARNING,
                table=table,
                columns=(),
                message=(
                    f"{query.name!r} reads every row of {table}{builds} again for each row of what it is joined with"
                    f"{known_rows(subject, table)}{place(read)}"
                ),
                remedy="index the columns that the join or the subquery compares: it multiplies the rows of both sides",
                query=query.name,
                path=query.path,
                line=query.line,
                plan=planned.plan.lines,
                facts={"rows": rows_of(subject, table)},
            )


RULE = Rule(ID, "A query that reads a table whole for each row of something else", Severity.WARNING, find)
