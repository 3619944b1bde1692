"""The query log of a database: Cloudflare's GraphQL analytics, dataset `d1QueriesAdaptiveGroups`.

Texts come with their literals replaced by `?`. The data is sampled, some minutes old and kept for 31 days; the token
needs Account Analytics: Read beside D1 Read. One answer holds `MAX_GROUPS` groups at most and there are no pages, so a
window that fills an answer is asked for in two halves (Cloudflare documentation, "Metrics and analytics" of D1 and
"Limits" of the GraphQL API; wrangler 4.164 asks the same dataset).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from d1ops.client.call import Call, send

if TYPE_CHECKING:
    from datetime import datetime

    from d1ops.client.call import Envelope, Steps

MAX_GROUPS = 10_000
MAX_DAYS = 31
_SHORTEST = timedelta(hours=2)

_QUERY = """query ($account: string!, $filter: ZoneWorkersRequestsFilter_InputObject, $limit: uint64!) {
  viewer {
    accounts(filter: {accountTag: $account}) {
      d1QueriesAdaptiveGroups(limit: $limit, filter: $filter, orderBy: [sum_rowsRead_DESC]) {
        count
        sum { queryDurationMs rowsRead rowsWritten rowsReturned }
        dimensions { query }
      }
    }
  }
}"""


@dataclass(frozen=True, slots=True)
class QueryGroup:
    """One text of the query log with its sums over a time."""

    query: str
    count: int
    rows_read: int
    rows_written: int
    rows_returned: int
    duration_seconds: float

    def __add__(self, other: QueryGroup) -> QueryGroup:
        return QueryGroup(
            self.query,
            self.count + other.count,
            self.rows_read + other.rows_read,
            self.rows_written + other.rows_written,
            self.rows_returned + other.rows_returned,
            self.duration_seconds + other.duration_seconds,
        )


@dataclass(frozen=True, slots=True)
class QueryLog:
    """The groups, those that read most rows first, and whether the API held some back."""

    groups: tuple[QueryGroup, ...]
    is_whole: bool


def query_log(
    account: str, database_id: str, since: datetime, until: datetime, *, is_brief: bool = False
) -> Steps[QueryLog]:
    """Read the query log of a database between two times. `is_brief` makes it one request, without patience: of what
    does not fit into one answer it gives the part that read most rows."""
    found: dict[str, QueryGroup] = {}
    is_whole = True
    windows = [(since, until)]
    while windows:
        start, end = windows.pop()
        groups = yield from send(_window(account, database_id, start, end, is_brief=is_brief))
        if len(groups) >= MAX_GROUPS and end - start >= _SHORTEST and not is_brief:
            middle = (start + (end - start) / 2).replace(minute=0, second=0, microsecond=0)
            # Hours are counted whole and both ends belong to a window.
            windows += [(start, middle - timedelta(hours=1)), (middle, end)]
            continue
        is_whole = is_whole and len(groups) < MAX_GROUPS
        for group in groups:
            known = found.get(group.query)
            found[group.query] = known + group if known else group
    ordered = sorted(found.values(), key=lambda group: (-group.rows_read, group.query))
    return QueryLog(tuple(ordered), is_whole)


def _window(
    account: str, database_id: str, since: datetime, until: datetime, *, is_brief: bool
) -> Call[tuple[QueryGroup, ...]]:
    window = {"datetimeHour_geq": _hour(since), "datetimeHour_leq": _hour(until), "databaseId": database_id}
    variables = {"account": account, "filter": {"AND": [window]}, "limit": MAX_GROUPS}
    body = {"query": _QUERY, "variables": variables}
    return Call("POST", "/graphql", _groups, body=body, is_graphql=True, is_brief=is_brief)


def _hour(moment: datetime) -> str:
    from datetime import UTC

    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:00:00Z")


def _groups(envelope: Envelope) -> tuple[QueryGroup, ...]:
    try:
        accounts = envelope.result["viewer"]["accounts"]
        return tuple(_group(row) for account in accounts for row in account["d1QueriesAdaptiveGroups"])
    except (KeyError, TypeError) as error:
        raise ValueError(f"the analytics lack {error}") from None


def _group(row: Any) -> QueryGroup:
    sums = row["sum"]
    return QueryGroup(
        query=str(row["dimensions"]["query"]),
        count=int(row["count"]),
        rows_read=int(sums["rowsRead"]),
        rows_written=int(sums["rowsWritten"]),
        rows_returned=int(sums["rowsReturned"]),
        duration_seconds=float(sums["queryDurationMs"]) / 1000,
    )
