"""Audit a target: at most two requests, nothing written, everything else answered in memory."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from d1ops.core.audit import report as core
from d1ops.core.audit.subject import examine
from d1ops.ops.survey import expected_schema, remote_plans, survey

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from d1ops.core.audit.report import Report
    from d1ops.core.catalog import Catalog
    from d1ops.core.queries import Query
    from d1ops.database.base import Database, Target


@dataclass(frozen=True, slots=True)
class Audited:
    """A report, the target it is about, and how many requests it took."""

    target: Target
    report: Report
    requests: int


def audit(
    database: Database,
    queries: Sequence[Query],
    ledger: str,
    *,
    read_catalog: Callable[[], Catalog] | None = None,
    count: bool = False,
    with_remote_plans: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Audited:
    """Audit the schema of a target and the plans of `queries` on it.

    With `read_catalog` the target is compared with what its applied migrations build. `count` counts every row, which
    is billed; `with_remote_plans` asks the target for its own plans too: one more request each. Raises what
    `Database.batch` raises, and HumanNeeded when an object of the target's schema cannot be rebuilt.
    """
    before = database.requests
    seen = survey(database, ledger, count=count, tell=tell)
    subject = examine(
        seen.mirrored,
        seen.statistics,
        queries,
        known_rows=seen.known_rows,
        expected=expected_schema(seen, read_catalog, tell) if read_catalog else None,
    )
    if with_remote_plans:
        compiled = [planned.query for planned in subject.queries if planned.plan is not None]
        subject = replace(subject, remote_plans=remote_plans(database, compiled))
    return Audited(database.target, core.judge(subject), database.requests - before)
