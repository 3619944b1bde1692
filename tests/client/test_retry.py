"""When a request is sent again: the pure decision exhaustively, then both drivers against a real server."""

from __future__ import annotations

import socket
from itertools import product
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from d1ops.client import Settings, budget
from d1ops.client.budget import Budget
from d1ops.client.call import Safety
from d1ops.client.failure import Failure, Success, Verdict
from d1ops.client.retry import MAX_ATTEMPTS, MAX_BACKOFF_SECONDS, MAX_RETRY_AFTER_SECONDS, decide
from d1ops.errors import (
    DatabaseError,
    Denied,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    StatementRejected,
    UnexpectedResponse,
    Unreachable,
)
from tests.client.scripted import UUID, Caller, Drop, Reply, Script, Time, envelope, failure, rows

if TYPE_CHECKING:
    from collections.abc import Callable

NEVER_RAN = {Verdict.NOT_EXECUTED, Verdict.LIMITED}
TRANSIENT = NEVER_RAN | {Verdict.LOST, Verdict.GARBLED}
WISHES = (None, 0.0, 5.0, MAX_RETRY_AFTER_SECONDS, MAX_RETRY_AFTER_SECONDS + 1)


def test_the_decision_for_every_verdict_safety_attempt_and_wish() -> None:
    for verdict, safety, attempt, wish, repeatable in product(
        Verdict, Safety, range(1, MAX_ATTEMPTS + 2), WISHES, (True, False)
    ):
        allowed = NEVER_RAN if safety is Safety.WRITE else TRANSIENT
        again = (
            verdict in allowed
            and repeatable
            and attempt < MAX_ATTEMPTS
            and (wish is None or wish <= MAX_RETRY_AFTER_SECONDS)
        )
        outcome = Failure(verdict, "", retry_after_seconds=wish, repeatable=repeatable)
        pause = decide(outcome, attempt, safety)
        assert (pause is not None) == again, (verdict, safety, attempt, wish, repeatable)
        if pause is not None:
            assert pause == max(0.5 * 2 ** (attempt - 1), wish or 0.0)


@given(st.integers(1, 10), st.sampled_from(list(Safety)), st.floats(0, 1))
def test_success_is_the_end(attempt: int, safety: Safety, spread: float) -> None:
    assert decide(Success(None), attempt, safety, spread) is None


@given(st.integers(1, MAX_ATTEMPTS - 1), st.floats(0, 1), st.floats(0, MAX_RETRY_AFTER_SECONDS))
def test_spread_never_undercuts_the_servers_wish(attempt: int, spread: float, wish: float) -> None:
    pause = decide(Failure(Verdict.LIMITED, "", retry_after_seconds=wish), attempt, Safety.WRITE, spread)
    assert pause is not None
    assert wish <= pause <= max(MAX_BACKOFF_SECONDS, wish)
    assert pause >= 0.25


# -- over the wire ---------------------------------------------------------------------------------------

READ = "SELECT 1 AS a"
WRITE = "DELETE FROM t"
GOOD = envelope([rows(["a"], [1])])

LOST_ANSWERS: list[Script] = [
    Drop.UNREAD,
    Drop.READ,
    Reply(200, GOOD.body, cut=len(GOOD.body) // 2),
    Reply(200, b"not JSON"),
    Reply(500, b"<html>oops</html>"),
    failure(500, 7500, "internal error; reference = abc"),
    failure(400, 7500, "Network connection lost."),
    failure(504, 7009, "upstream"),
    Reply(200, b'{"result": []}'),
]
REFUSED_AT_THE_DOOR: list[Script] = [
    failure(429, 971, "slow down"),
    failure(429, 7429, "D1 DB is overloaded. Requests queued for too long."),
    failure(400, 7500, "Currently processing a long-running export."),
    Reply(429, b"slow down"),
]


@pytest.mark.parametrize("fault", LOST_ANSWERS + REFUSED_AT_THE_DOOR, ids=repr)
def test_a_read_survives_a_passing_fault(caller: Caller, fault: Script) -> None:
    caller.server.answers(fault, fault, GOOD)
    assert caller(lambda client: client.query(UUID, READ)).scalar() == 1
    assert caller.time.sleeps == [0.5, 1.0]
    assert caller.requests == 3


@pytest.mark.parametrize("fault", LOST_ANSWERS, ids=repr)
def test_a_write_whose_answer_was_lost_is_sent_once(caller: Caller, fault: Script) -> None:
    caller.server.answers(fault)
    with pytest.raises(OutcomeUnknown) as caught:
        caller(lambda client: client.query(UUID, WRITE))
    assert caught.value.hint
    assert (caller.requests, caller.time.sleeps) == (1, [])


@pytest.mark.parametrize("fault", REFUSED_AT_THE_DOOR, ids=repr)
def test_a_write_that_never_ran_is_sent_again(caller: Caller, fault: Script) -> None:
    caller.server.answers(fault, GOOD)
    assert caller(lambda client: client.query(UUID, WRITE)).scalar() == 1
    assert caller.requests == 2


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Drop.READ, Unreachable),
        (Reply(200, b"not JSON"), UnexpectedResponse),
        (failure(429, 971, "slow down"), RateLimited),
        (failure(400, 7500, "Currently processing a long-running import."), Unreachable),
    ],
)
def test_a_read_gives_up_in_the_end(caller: Caller, fault: Script, kind: type[DatabaseError]) -> None:
    caller.server.answers(*[fault] * MAX_ATTEMPTS)
    with pytest.raises(kind):
        caller(lambda client: client.query(UUID, READ))
    assert caller.time.sleeps == [0.5, 1.0, 2.0]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (failure(401, 10000, "Authentication error"), Denied),
        (failure(403, 7403, "not authorized"), Denied),
        (failure(404, 7404, "not found"), NotFound),
        (failure(400, 7400, "Invalid property"), UnexpectedResponse),
        (failure(400, 7500, "no such table: t: SQLITE_ERROR"), StatementRejected),
        (failure(400, 7502, "exists"), DatabaseError),
        (Reply(302, b"", {"Location": "http://127.0.0.1:1/"}), DatabaseError),
    ],
)
@pytest.mark.parametrize("sql", [READ, WRITE])
def test_a_final_answer_is_final(caller: Caller, answer: Reply, kind: type[DatabaseError], sql: str) -> None:
    caller.server.answers(answer)
    with pytest.raises(kind):
        caller(lambda client: client.query(UUID, sql))
    assert (caller.requests, caller.time.sleeps) == (1, [])


def test_a_read_too_large_for_the_engine_is_not_repeated(caller: Caller) -> None:
    answer = failure(429, 7429, "D1 DB exceeded its CPU time limit and was reset.", retry_after="1")
    caller.server.answers(answer, answer)
    with pytest.raises(StatementRejected):
        caller(lambda client: client.query(UUID, READ))
    with pytest.raises(OutcomeUnknown):
        caller(lambda client: client.query(UUID, WRITE))
    assert caller.requests == 2


@pytest.mark.parametrize("sql", [READ, WRITE])
def test_a_connection_that_was_never_made_is_tried_again_and_nothing_was_changed(caller: Caller, sql: str) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
        with pytest.raises(Unreachable) as caught:
            caller.at(f"http://127.0.0.1:{port}", lambda client: client.query(UUID, sql))
    assert type(caught.value) is Unreachable
    assert caller.requests == MAX_ATTEMPTS


def test_a_late_answer_counts_as_lost(caller: Caller) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        base_url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with pytest.raises(OutcomeUnknown):
            caller.at(base_url, lambda client: client.query(UUID, WRITE), read_timeout_seconds=0.05)
        with pytest.raises(Unreachable):
            caller.at(base_url, lambda client: client.query(UUID, READ), read_timeout_seconds=0.05)
    assert caller.requests == 1 + MAX_ATTEMPTS


@pytest.mark.parametrize(
    ("sql", "params", "again"),
    [
        ("SELECT 1", (), True),
        ("-- look\nWITH a AS (SELECT 1) SELECT * FROM a", (), True),
        ("PRAGMA table_list", (), True),
        ("EXPLAIN QUERY PLAN DELETE FROM t", (), True),
        ("SELECT 1; DELETE FROM t", (), False),
        ("WITH a AS (SELECT 1) DELETE FROM t", (), False),
        ("INSERT INTO t SELECT ?", (1,), False),
        ("PRAGMA optimize", (), False),
    ],
)
def test_the_verb_decides_what_is_a_read(caller: Caller, sql: str, params: tuple[int, ...], again: bool) -> None:
    caller.server.answers(*([Drop.READ, GOOD] if again else [Drop.READ]))
    if again:
        assert caller(lambda client: client.query(UUID, sql, params)).scalar() == 1
    else:
        with pytest.raises(OutcomeUnknown):
            caller(lambda client: client.query(UUID, sql, params))


@pytest.mark.parametrize(
    "action",
    [
        lambda client: client.create_database("app"),
        lambda client: client.delete_database(UUID),
        lambda client: client.restore(UUID, bookmark="b"),
    ],
)
def test_changes_outside_of_sql_are_sent_once_too(caller: Caller, action: Callable[[Any], Any]) -> None:
    caller.server.answers(Drop.READ)
    with pytest.raises(OutcomeUnknown):
        caller(action)
    assert caller.requests == 1


def test_a_setting_is_repeated_and_stays_unknown_in_the_end(caller: Caller) -> None:
    info = envelope({"uuid": UUID, "name": "app"})
    caller.server.answers(Drop.READ, info, *[Drop.READ] * MAX_ATTEMPTS)
    assert caller(lambda client: client.update_database(UUID, read_replication="auto")).uuid == UUID
    with pytest.raises(OutcomeUnknown):
        caller(lambda client: client.update_database(UUID, read_replication="auto"))


def test_an_answer_beyond_its_bound_is_neither_kept_nor_repeated(caller: Caller) -> None:
    large = envelope([rows(["a"], ["x" * 10_000])])
    caller.server.answers(large, large, large)
    with pytest.raises(UnexpectedResponse, match="more than 9,000 bytes"):
        caller(lambda client: client.query(UUID, READ), max_answer_bytes=9_000)
    with pytest.raises(OutcomeUnknown):
        caller(lambda client: client.query(UUID, WRITE), max_answer_bytes=9_000)
    bound = len(large.body)
    assert caller(lambda client: client.query(UUID, READ), max_answer_bytes=bound).scalar() == "x" * 10_000


# -- the budget ------------------------------------------------------------------------------------------


def test_retry_after_is_honoured_and_holds_everybody(caller: Caller) -> None:
    caller.server.answers(failure(429, 971, "slow down", retry_after="30"), GOOD)
    caller(lambda client: client.query(UUID, READ))
    assert caller.time.sleeps == [30.0]
    caller.server.answers(failure(429, 971, "slow down", retry_after="100"), GOOD)
    with pytest.raises(RateLimited) as caught:
        caller(lambda client: client.query(UUID, WRITE))
    assert caught.value.retry_after_seconds == 100
    caller(lambda client: client.query(UUID, READ))
    assert caller.time.sleeps == [30.0, 100.0]


def test_an_overloaded_database_holds_nobody_else(caller: Caller) -> None:
    text = "D1 DB is overloaded. Too many requests queued."
    caller.server.answers(failure(429, 7429, text, retry_after="100"), GOOD)
    with pytest.raises(RateLimited):
        caller(lambda client: client.query(UUID, READ))
    caller(lambda client: client.query(UUID, READ))
    assert caller.time.sleeps == []


def test_requests_beyond_the_budget_wait(caller: Caller) -> None:
    caller.server.answers(*[GOOD] * 5)
    small = Budget(2, 300.0, clock=caller.time)
    for _ in range(5):
        caller(lambda client: client.query(UUID, READ), budget=small)
        caller.time.now += 1
    assert caller.time.sleeps == [298.0, 298.0]


@given(st.lists(st.floats(0, 400), max_size=60), st.integers(1, 8), st.floats(0, 500))
def test_no_window_ever_holds_more_than_the_budget(gaps: list[float], limit: int, wish: float) -> None:
    time = Time()
    shared = Budget(limit, 300.0, clock=time)
    sent: list[float] = []
    for number, gap in enumerate(gaps):
        time.now += gap
        if number == 3:
            shared.hold(wish)
        wait = shared.reserve()
        assert wait >= 0
        if number == 3:
            assert wait >= min(wish, 300.0) - 1e-6
        sent.append(time.now + wait)
    assert sent == sorted(sent)
    for first, beyond in zip(sent, sent[limit:], strict=False):
        assert beyond - first >= 300.0 - 1e-6


def test_all_clients_of_a_process_share_one_budget() -> None:
    assert Settings().budget is Settings().budget is budget.SHARED
