"""Statistics that the planner should have and has not, or that tell of another time."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Finding, Rule, Severity
from d1ops.core.audit.rows import statistics_rows
from d1ops.core.sql import fold, quote_if_needed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.subject import Subject

ID = "stale-statistics"

MANY_ROWS = 1_000
"""A table of fewer rows is read as fast by a bad plan."""

FACTOR = 10
"""So many times more or fewer rows make statistics stale; `PRAGMA optimize` analyses again then (its documentation)."""


def find(subject: Subject) -> Iterator[Finding]:
    """Find tables with many rows and indexes whose statistics are absent, or are off by `FACTOR`."""
    told = {fold(table): count.number for table, count in statistics_rows(subject.statistics).items()}
    large = {
        name: count
        for name, count in subject.known_rows.items()
        if name in subject.shapes and subject.shapes[name].indexes and count.number >= MANY_ROWS
    }
    if large and not subject.statistics:
        largest = max(large, key=lambda name: (large[name].number, name))
        yield Finding(
            rule=ID,
            severity=Severity.INFO,
            table=None,
            columns=(),
            message=(
                f"the target has no statistics: {largest} has rows, {large[largest]}, and SQLite plans as for any table"
            ),
            remedy="run PRAGMA optimize, or ANALYZE, after large changes",
            facts={"tables": tuple(large)},
        )
        return
    for name, count in large.items():
        before = told.get(fold(name))
        if before is not None and before <= count.number * FACTOR and count.number <= before * FACTOR:
            continue
        had = f"no statistics tell of {name}" if before is None else f"the statistics of {name} say {before:,} rows"
        yield Finding(
            rule=ID,
            severity=Severity.INFO,
            table=name,
            columns=(),
            message=f"{had}, and the table has {count}",
            remedy=f"run ANALYZE {quote_if_needed(name)}, or PRAGMA optimize",
            facts={"rows": count.number, "rows_by_statistics": before},
        )


RULE = Rule(ID, "Statistics that are absent or stale", Severity.INFO, find)
