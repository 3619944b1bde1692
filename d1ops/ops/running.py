"""The queries of the Worker that is running, as far as anybody knows them: files of the project, and the query log of a
target that keeps one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from d1ops.core.workload import merge
from d1ops.errors import DatabaseError, Denied
from d1ops.ops.insights import read_insights

if TYPE_CHECKING:
    from d1ops.core.workload import Workload
    from d1ops.ops.insights import Log
    from d1ops.ops.workspace import Workspace

LOG_DAYS = 7
MAX_LOGGED = 2_000
"""A change plans every query on the schema after each of its steps, about 0.1 ms each."""


@dataclass(frozen=True, slots=True)
class Running:
    """What is known to run. `files` and `logged` count the queries of each source before equal ones were put together;
    `logged` is None where no log was read: the target keeps none, or `problem` says why. `is_whole` is False where the
    log holds more, of which those that read most rows were taken."""

    workload: Workload
    files: int
    logged: int | None = None
    days: int | None = None
    is_whole: bool = True
    problem: str | None = None


def running_queries(workspace: Workspace) -> Running:
    """Read them. A log that cannot be had is told and keeps nobody from a change: it is asked for once, briefly."""
    found = workspace.queries()
    if not workspace.database.capabilities.query_log:
        return Running(merge(found), len(found))
    try:
        log = cast("Log", workspace.database)
        insights = read_insights(log, LOG_DAYS, workspace.now(), workspace.ledger, is_brief=True)
    except Denied:
        return Running(merge(found), len(found), problem="the token lacks the permission Account Analytics: Read")
    except DatabaseError as error:
        return Running(merge(found), len(found), problem=error.message)
    logged = insights.logged[:MAX_LOGGED]
    return Running(
        merge(found, logged, days=LOG_DAYS),
        len(found),
        len(logged),
        LOG_DAYS,
        is_whole=insights.is_whole and len(logged) == len(insights.logged),
    )
