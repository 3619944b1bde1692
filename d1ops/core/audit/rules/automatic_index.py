"""A query for which SQLite builds an index that it throws away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Finding, Rule, Severity
from d1ops.core.audit.whole_reads import Manner, is_by_choice, known_rows, place, rows_of, whole_reads

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.subject import Subject

ID = "automatic-index"


def find(subject: Subject) -> Iterator[Finding]:
    """Find the automatic indexes: each execution reads the whole table and sorts it."""
    for planned in subject.queries:
        if planned.plan is None:
            continue
        reads = {read.tree.table: read for read in whole_reads(subject, planned, Manner.TO_BUILD_AN_INDEX)}
        for table, read in reads.items():
            query = planned.query
            yield Finding(
                rule=ID,
                severity=Severity.INFO if is_by_choice(subject, planned, table) else Severity.WARNING,
                table=table,
                columns=(),
                message=(
                    f"{query.name!r} reads every row of {table} to build an index of its own"
                    f"{known_rows(subject, table)}{place(read)}"
                ),
                remedy="create the index that SQLite builds anew for every execution",
                query=query.name,
                path=query.path,
                line=query.line,
                plan=planned.plan.lines,
                facts={"rows": rows_of(subject, table)},
            )


RULE = Rule(ID, "A query for which SQLite builds an index that it throws away", Severity.WARNING, find)
