"""Which of the whole reads of a query are worth a finding, and by which rule.

Each is found once: by what defeats an index if that is why, else as a read for each row of something else, else as an
automatic index, else as a full scan.
"""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

from d1ops.core.sql import significant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.plans import Plan, WholeRead
    from d1ops.core.audit.subject import PlannedQuery, Subject

FEW_ROWS = 100
"""Up to so many rows a table that SQLite prefers to scan is no worry."""


class Manner(Enum):
    """How a table or an index is read whole."""

    ONCE = auto()
    TO_BUILD_AN_INDEX = auto()
    FOR_EACH_ROW = auto()


def whole_reads(subject: Subject, planned: PlannedQuery, manner: Manner) -> Iterator[WholeRead]:
    """Yield the whole reads of a query of this manner, the first of each table."""
    if planned.plan is None or not planned.plan.whole_reads or _ends_at_limit(planned.query.sql, planned.plan):
        return
    defeated = {d.table for d in subject.defeats if d.query is planned.query}
    for read in planned.plan.whole_reads:
        if read.tree.table not in defeated and _manner(read) is manner:
            yield read


def _manner(read: WholeRead) -> Manner:
    if read.repeats:
        return Manner.FOR_EACH_ROW
    return Manner.TO_BUILD_AN_INDEX if " AUTOMATIC " in read.line else Manner.ONCE


def is_by_choice(subject: Subject, planned: PlannedQuery, table: str) -> bool:
    """Return whether SQLite scans a small table although an index would serve, because its statistics say so."""
    rows = subject.rows.get(table)
    return rows is not None and rows.number <= FEW_ROWS and has_index_without_statistics(planned)


def has_index_without_statistics(planned: PlannedQuery) -> bool:
    """Return whether the query would read no table whole if SQLite knew nothing of their rows."""
    plan = planned.plan_without_statistics
    return plan is None or not any(read.tree.index is None and not read.counts for read in plan.whole_reads)


def place(read: WholeRead) -> str:
    """Return the line of a plan as the end of a message."""
    return f" ({read.line})" if read.line else ""


def known_rows(subject: Subject, table: str) -> str:
    """Return how many rows a table has, as the continuation of a message."""
    return f", {subject.rows[table]}" if table in subject.rows else ""


def rows_of(subject: Subject, table: str) -> int | None:
    """Return how many rows a table has, or None where nobody knows."""
    count = subject.rows.get(table)
    return count.number if count is not None else None


def has_limit(sql: str) -> bool:
    """Return whether LIMIT ends a query somewhere; SQLite takes a negative one for none."""
    texts = [token.upper for token in significant(sql)]
    return any(
        text == "LIMIT" and texts[place + 1 : place + 2] != ["-"] and texts[place + 2 : place + 4] != [",", "-"]
        for place, text in enumerate(texts)
    )


def _ends_at_limit(sql: str, plan: Plan) -> bool:
    """Return whether one table is read in order, unfiltered and unsorted, until LIMIT is filled.

    Tables beside it may only be looked up by a search. A condition of ON passes over rows as one of WHERE does; the
    word is looked for as well, because the plan does not show every condition.
    """
    scans = sum(line.startswith("SCAN ") for line in plan.lines)
    searches = sum(line.startswith("SEARCH ") for line in plan.lines)
    return (
        not plan.aggregates
        and scans == 1
        and scans + searches == len(plan.lines)
        and has_limit(sql)
        and not any(read.filters or read.filters_joined for read in plan.whole_reads)
        and not _words(sql) & {"WHERE", "GROUP", "DISTINCT"}
    )


def _words(sql: str) -> set[str]:
    return {token.upper for token in significant(sql) if token.kind == "word"}
