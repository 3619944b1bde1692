"""Audit a target: at most two requests, nothing written, everything else answered in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.audit import report as core
from d1ops.core.schema import SELECT_OBJECTS, Schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.audit.report import Report
    from d1ops.core.queries import Query
    from d1ops.core.values import Row
    from d1ops.database.base import Database, Target


@dataclass(frozen=True, slots=True)
class Audited:
    """A report, the target it is about, and how many requests it took."""

    target: Target
    report: Report
    requests: int


def audit(database: Database, queries: Sequence[Query], ledger: str) -> Audited:
    """Audit the foreign keys of a target and the plans of `queries` on it.

    Raises what `Database.query` raises, and HumanNeeded when an object of the target's schema cannot be rebuilt.
    """
    before = database.requests
    schema = Schema.from_rows(database.query(SELECT_OBJECTS).rows)
    statistics: tuple[Row, ...] = ()
    if schema.has_table(core.STATISTICS):
        statistics = database.query(core.SELECT_STATISTICS).rows
    report = core.audit(schema, statistics, queries, ledger)
    return Audited(database.target, report, database.requests - before)
