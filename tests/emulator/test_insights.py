"""The query log, from the service's analytics to weighted queries, over the emulator."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from d1ops.client import AsyncD1Client, QueryGroup, QueryLog, analytics
from d1ops.client.call import Call, Envelope
from d1ops.core.values import Statement
from d1ops.database.http import HttpDatabase
from d1ops.emulator import Emulator
from d1ops.errors import Denied, UnexpectedResponse, UsageError
from d1ops.ops.insights import read_insights
from tests.emulator.conftest import READ_TOKEN, TOKEN, client, settings

if TYPE_CHECKING:
    from d1ops.client import D1Client

ANALYTICS_TOKEN = "token-that-may-read-analytics"


def window() -> tuple[datetime, datetime]:
    now = datetime.now(UTC)
    return now - timedelta(days=1), now + timedelta(hours=1)


def fill(api: D1Client, id_: str) -> None:
    api.batch(id_, [Statement("CREATE TABLE t(id INTEGER PRIMARY KEY, k)")])
    api.batch(id_, [Statement("INSERT INTO t(k) VALUES(?)", (f"{number % 3}",)) for number in range(30)])
    for number in range(3):
        api.query(id_, f"SELECT * FROM t WHERE k = '{number}'")
    api.query(id_, "SELECT id FROM t WHERE id = ?", (7,))


def test_the_log_has_every_text_once_with_its_sums(api: D1Client, server: Emulator) -> None:
    id_ = server.create_database("query-log")
    fill(api, id_)
    log = api.query_log(id_, *window())
    assert log.is_whole
    by_text = {group.query: group for group in log.groups}
    scan = by_text["SELECT * FROM t WHERE k = ?"]
    assert (scan.count, scan.rows_read, scan.rows_written, scan.rows_returned) == (3, 90, 0, 30)
    assert by_text["INSERT INTO t(k) VALUES(?)"].rows_written == 30
    assert log.groups[0] == scan, "what reads most comes first"
    before = window()[0]
    assert api.query_log(id_, before - timedelta(days=2), before - timedelta(days=1)).groups == ()


def test_both_clients_read_one_log(api: D1Client, server: Emulator) -> None:
    id_ = server.create_database("both")
    fill(api, id_)

    async def read() -> QueryLog:
        async with AsyncD1Client(server.settings.account_id, TOKEN, base_url=server.base_url) as other:
            return await other.query_log(id_, *window())

    assert asyncio.run(read()) == api.query_log(id_, *window())


def test_insights_are_the_queries_without_what_is_none(api: D1Client, server: Emulator) -> None:
    id_ = server.create_database("queries")
    fill(api, id_)
    api.query(id_, "SELECT name FROM sqlite_master")
    found = read_insights(HttpDatabase(api, id_, name="queries"), 31, window()[1], "d1_migrations")
    shown = {one.query.sql: (one.observed.executions, len(one.query.parameters)) for one in found.logged}
    assert shown == {
        "SELECT * FROM t WHERE k = ?": (3, 1),
        "INSERT INTO t(k) VALUES(?)": (30, 1),
        "SELECT id FROM t WHERE id = ?": (1, 1),
    }
    assert len({one.query.name for one in found.logged}) == 3
    assert (found.days, found.is_whole) == (31, True)


@pytest.mark.parametrize("days", [0, 32])
def test_days_that_the_service_does_not_keep_are_refused(api: D1Client, days: int) -> None:
    with pytest.raises(UsageError, match="cannot be had"):
        read_insights(HttpDatabase(api, "x", name="x"), days, window()[1], "d1_migrations")


def test_a_token_without_the_permission_is_told_which_one() -> None:
    with Emulator(settings(analytics_token=ANALYTICS_TOKEN)) as server:
        id_ = server.create_database("denied")
        with client(server) as api:
            fill(api, id_)
            for token in (TOKEN, READ_TOKEN):
                with client(server, token=token) as other, pytest.raises(Denied) as caught:
                    read_insights(HttpDatabase(other, id_, name="denied"), 7, window()[1], "d1_migrations")
                assert "not authorized for that account" in str(caught.value)
                assert "Account Analytics: Read" in (caught.value.hint or "")
        with client(server, token=ANALYTICS_TOKEN) as api:
            assert api.query_log(id_, *window()).groups
        with client(server, token="nobody") as api, pytest.raises(Denied):
            api.query_log(id_, *window())


def test_a_query_that_the_service_does_not_take_is_no_answer(api: D1Client) -> None:
    def steps() -> object:
        return (
            yield Call("POST", "/graphql", lambda envelope: envelope, body={"query": "{ viewer {"}, is_graphql=True)
        )

    with pytest.raises(UnexpectedResponse, match="Syntax Error"):
        api.run(steps())  # type: ignore[arg-type]  # a protocol of one step


def test_a_window_that_fills_an_answer_is_asked_for_in_halves() -> None:
    """The service has no pages: every hour is asked for once, whatever the answers' sizes."""
    until = datetime(2026, 11, 22, 12, tzinfo=UTC)
    since = until - timedelta(days=2)
    steps = analytics.query_log("acc", "db", since, until)
    asked: list[tuple[str, str]] = []
    step = next(steps)
    while True:
        assert isinstance(step, Call)
        assert step.body is not None
        (condition,) = step.body["variables"]["filter"]["AND"]  # type: ignore[index]  # the body is JSON
        bounds = (condition["datetimeHour_geq"], condition["datetimeHour_leq"])
        start, end = map(datetime.fromisoformat, bounds)
        full = end - start > timedelta(hours=13)
        group = QueryGroup("SELECT 1", 1, int((end - start).total_seconds() // 3600) + 1, 0, 0, 0.0)
        answer = (group,) * (analytics.MAX_GROUPS if full else 1)
        if not full:
            asked.append(bounds)
        try:
            step = steps.send(answer)
        except StopIteration as done:
            log = done.value
            break
    assert log.is_whole
    (total,) = log.groups
    assert total.rows_read == 49, "each of the 49 hours is counted in one window"
    assert len(asked) == total.count
    with pytest.raises(ValueError, match="the analytics lack"):
        analytics._groups(Envelope({"viewer": {}}))
