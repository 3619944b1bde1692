"""The query log of a target as queries with weights."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from d1ops.client.analytics import MAX_DAYS
from d1ops.core.queries import VERBS, Query
from d1ops.core.sql import ScriptStatement, significant
from d1ops.core.workload import LOG_NAME, Logged, Observed
from d1ops.errors import Denied, UsageError

if TYPE_CHECKING:
    from datetime import datetime

    from d1ops.client import QueryLog


_BOUND_INTEGER = "+CAST(? AS INTEGER)"


class Log(Protocol):
    """A database that keeps a query log."""

    def query_log(self, since: datetime, until: datetime, *, is_brief: bool = False) -> QueryLog:
        """Return what ran between two times; `is_brief` is for who can do without."""


@dataclass(frozen=True, slots=True)
class Insights:
    """The queries of the log; what is no query (schema changes, PRAGMA) and d1ops' own are left out."""

    logged: tuple[Logged, ...]
    days: int
    is_whole: bool


def read_insights(database: Log, days: int, now: datetime, ledger: str, *, is_brief: bool = False) -> Insights:
    """Read the log of the last `days`; `is_brief` is for who can do without.

    Raises UsageError for a number of days that the service does not keep, and for a target without a log; Denied, with
    the permission that is missing.
    """
    if not 1 <= days <= MAX_DAYS:
        raise UsageError(f"the query log of {days} days cannot be had", hint=f"--days 1 to {MAX_DAYS}")
    try:
        log = database.query_log(now - timedelta(days=days), now, is_brief=is_brief)
    except Denied as error:
        raise Denied(
            f"the query log cannot be read: {error.text}",
            code=error.code,
            status=error.status,
            ray=error.ray,
            hint="give the token the permission Account Analytics: Read, or leave --from-insights out",
        ) from None
    logged: list[Logged] = []
    for group in log.groups:
        query = _query(group.query)
        if query is None or _is_own(group.query, ledger):
            continue
        figures = (group.count, group.rows_read, group.rows_written, group.duration_seconds)
        logged.append(Logged(query, Observed(*figures, days=days)))
    return Insights(tuple(logged), days, log.is_whole)


def _query(text: str) -> Query | None:
    """Return a logged text as a query that is named after its content; None for what is no query.

    An integer that d1ops binds travels as text inside a CAST, which is not how the application asks.
    """
    text = text.replace(_BOUND_INTEGER, "?")
    words = list(significant(text))
    if not words or words[0].upper not in VERBS:
        return None
    parameters = sum(word.kind == "parameter" for word in words)
    name = f"{LOG_NAME}{hashlib.sha256(text.encode()).hexdigest()[:8]}"
    return Query(name, ScriptStatement(text.strip().removesuffix(";"), "", 0, 0), ("",) * parameters)


def _is_own(text: str, ledger: str) -> bool:
    names = {word.text.strip('"`[]').lower() for word in significant(text) if word.kind in ("word", "quoted")}
    own = {ledger.lower(), "sqlite_master", "sqlite_schema", "sqlite_sequence", "sqlite_stat1"}
    return bool(names & own) or any(name.startswith(("d1ops_", "_cf_")) for name in names)
