"""What goes over the wire, and what comes of its answers; the same for both kinds of clients."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import BaseModel

from d1ops import __version__
from d1ops.core.values import Bookmark, Meta, Restored, Result, Statement
from d1ops.errors import OutcomeUnknown, PrecisionLost, StatementRejected, UnexpectedResponse, UsageError
from tests.client.scripted import ACCOUNT, DATABASE, TOKEN, UUID, Caller, Reply, envelope, failure, rows

if TYPE_CHECKING:
    from collections.abc import Callable

INFO = {
    "uuid": UUID,
    "name": "app",
    "created_at": "2026-01-01T00:00:00.000Z",
    "version": "production",
    "num_tables": 3,
    "file_size": 12288,
    "running_in_region": "WEUR",
    "read_replication": {"mode": "disabled"},
    "jurisdiction": None,
    "a_field_of_tomorrow": 1,
}
BOOKMARK = "00000085-0000024c-00004c6d-8e61117bf38d7adb71b934ebbf891683"
DATABASES = f"/client/v4/accounts/{ACCOUNT}/d1/database"


def test_every_request_names_the_tool_and_carries_the_token(caller: Caller) -> None:
    caller.server.answers(envelope(INFO))
    caller(lambda client: client.get_database("app"))
    (seen,) = caller.server.seen
    assert seen.headers["user-agent"] == f"d1ops/{__version__}"
    assert seen.headers["authorization"] == f"Bearer {TOKEN}"
    assert seen.headers["accept"] == "application/json"
    assert caller.requests == 1


def test_get_reads_all_fields(caller: Caller) -> None:
    caller.server.answers(envelope(INFO))
    info = caller(lambda client: client.get_database("my app/..?x"))
    assert caller.server.seen[0].path == f"{DATABASES}/my%20app%2F..%3Fx"
    assert (info.uuid, info.name, info.file_size_bytes, info.num_tables) == (UUID, "app", 12288, 3)
    assert info.created_at == datetime(2026, 1, 1, tzinfo=UTC)
    assert info.read_replication == "disabled"


@pytest.mark.parametrize("name", ["", ".", ".."])
def test_an_id_cannot_change_the_path(caller: Caller, name: str) -> None:
    with pytest.raises(UsageError, match="database id"):
        caller(lambda client: client.delete_database(name))


def test_list_collects_pages_until_the_total(caller: Caller) -> None:
    def page(first: int, count: int) -> Reply:
        items = [{"uuid": f"u{number}", "name": f"n{number}"} for number in range(first, first + count)]
        return envelope(items, result_info={"count": count, "page": 1, "per_page": 2, "total_count": 5})

    caller.server.answers(page(0, 2), page(2, 2), page(4, 1))
    found = caller(lambda client: client.list_databases("n"))
    assert [database.uuid for database in found] == ["u0", "u1", "u2", "u3", "u4"]
    assert [dict(seen.query) for seen in caller.server.seen] == [
        {"page": str(number), "per_page": "100", "name": "n"} for number in (1, 2, 3)
    ]


def test_list_without_a_total_goes_on_until_nothing_is_new(caller: Caller) -> None:
    first, second = envelope([{"uuid": "a", "name": "a"}]), envelope([{"uuid": "b", "name": "b"}])
    caller.server.answers(first, second, second)
    found = caller(lambda client: client.list_databases())
    assert [database.uuid for database in found] == ["a", "b"]
    assert dict(caller.server.seen[0].query) == {"page": "1", "per_page": "100"}


def test_create_update_delete(caller: Caller) -> None:
    caller.server.answers(envelope(INFO), envelope(INFO), envelope(INFO), envelope(None), Reply(204))
    caller(lambda client: client.create_database("app", location_hint="weur", read_replication="auto"))
    caller(lambda client: client.create_database("app", jurisdiction="eu"))
    caller(lambda client: client.update_database(UUID, read_replication="auto"))
    assert caller(lambda client: client.delete_database(UUID)) is None
    assert caller(lambda client: client.delete_database(UUID)) is None
    first, second, third, fourth, fifth = caller.server.seen
    assert (first.method, first.path) == ("POST", DATABASES)
    assert first.json == {"name": "app", "primary_location_hint": "weur", "read_replication": {"mode": "auto"}}
    assert second.json == {"name": "app", "jurisdiction": "eu"}
    assert (third.method, third.path, third.json) == ("PATCH", DATABASE, {"read_replication": {"mode": "auto"}})
    assert (fourth.method, fourth.path, fourth.body) == ("DELETE", DATABASE, b"")
    assert "content-type" not in fifth.headers


def test_query_goes_to_raw_with_exact_parameters(caller: Caller) -> None:
    meta = {"duration": 250.0, "rows_read": 7, "rows_written": 0, "changes": 2, "last_row_id": 9, "size_after": 12288}
    caller.server.answers(envelope([rows(["id", "id", "b"], [5, 5.5, [0, 255]], [None, "x", []], **meta)]))
    sql = "SELECT ?, ?2, ? -- ?"
    result = caller(lambda client: client.query(UUID, sql, [2**60, 0.1, b"\x00"]))
    (seen,) = caller.server.seen
    assert (seen.method, seen.path) == ("POST", f"{DATABASE}/raw")
    assert seen.headers["content-type"] == "application/json"
    assert seen.json == {
        "sql": "SELECT +CAST(?1 AS INTEGER), +CAST(?2 AS REAL), unhex(?3) -- ?",
        "params": [str(2**60), 0.1, "00"],
    }
    assert result == Result(
        ("id", "id", "b"),
        ((5, 5.5, b"\x00\xff"), (None, "x", b"")),
        Meta(rows_read=7, rows_written=0, changes=2, last_row_id=9, size_after_bytes=12288, duration_seconds=0.25),
    )


def test_no_parameters_are_left_out_and_text_stays_text(caller: Caller) -> None:
    caller.server.answers(envelope([rows(["é"])]))
    result = caller(lambda client: client.query(UUID, "SELECT 'é\U0001f3b5\0'"))
    assert caller.server.seen[0].json == {"sql": "SELECT 'é\U0001f3b5\0'"}
    assert result == Result(("é",), (), Meta())


def test_batch_sends_one_element_a_statement(caller: Caller) -> None:
    caller.server.answers(envelope([rows([]), rows(["n"], [1])]))
    statements = [Statement("INSERT INTO t VALUES (?)", (True,)), Statement("SELECT count(*) AS n FROM t")]
    results = caller(lambda client: client.batch(UUID, statements))
    assert caller.server.seen[0].json == {
        "batch": [
            {"sql": "INSERT INTO t VALUES (+CAST(?1 AS INTEGER))", "params": ["1"]},
            {"sql": "SELECT count(*) AS n FROM t"},
        ]
    }
    assert [result.rows for result in results] == [(), ((1,),)]


def test_an_empty_batch_asks_nothing(caller: Caller) -> None:
    assert caller(lambda client: client.batch(UUID, [])) == ()
    assert caller.requests == 0


def test_raw_takes_several_statements_in_one_text(caller: Caller) -> None:
    caller.server.answers(envelope([rows(["a"], [1]), rows(["b"], [2])]))
    results = caller(lambda client: client.raw(UUID, "SELECT 1 AS a; SELECT 2 AS b"))
    assert [result.scalar() for result in results] == [1, 2]
    assert caller.server.seen[0].json == {"sql": "SELECT 1 AS a; SELECT 2 AS b"}


def test_query_of_several_statements_is_said_so(caller: Caller) -> None:
    caller.server.answers(envelope([rows(["a"], [1]), rows(["b"], [2])]))
    with pytest.raises(OutcomeUnknown, match="2 results for 1 statement"):
        caller(lambda client: client.query(UUID, "SELECT 1 AS a; SELECT 2 AS b"))


@pytest.mark.parametrize(
    ("sql", "params", "message"),
    [
        ("SELECT :name", (1,), "named"),
        ("SELECT ?", (1, 2), "takes 1"),
        ("SELECT ?2", (1,), "parameter 2 of 1"),
        ("SELECT ?", (2**63,), "64 bits"),
        ("SELECT ?", ("\ud800",), "surrogate"),
        ("SELECT '\ud800'", (), "surrogate"),
    ],
)
def test_parameters_that_cannot_travel_are_refused_before_anything_is_sent(
    caller: Caller, sql: str, params: tuple[Any, ...], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        caller(lambda client: client.query(UUID, sql, params))
    assert caller.requests == 0


# -- precision and types ---------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [2**53, -(2**53), 9_007_199_254_740_992, 10**20])
def test_a_rounded_number_is_refused_unless_asked_for(caller: Caller, number: int) -> None:
    caller.server.answers(*[envelope([rows(["a", "n"], [1, 2], [1, number])])] * 2)
    with pytest.raises(PrecisionLost) as caught:
        caller(lambda client: client.query(UUID, "SELECT a, n FROM t"))
    assert (caught.value.column, caught.value.row) == ("n", 1)
    lossy = caller(lambda client: client.query(UUID, "SELECT a, n FROM t", lossy=True))
    assert lossy.rows == ((1, 2), (1, number))


def test_the_largest_exact_numbers_pass(caller: Caller) -> None:
    exact = [2**53 - 1, -(2**53) + 1, 1e300, 5e-324]
    caller.server.answers(envelope([rows(["a", "b", "c", "d"], exact)]))
    assert caller(lambda client: client.query(UUID, "SELECT 1, 2, 3, 4")).one() == tuple(exact)


class Artist(BaseModel):
    id: str
    plays: int
    verified: bool = False


@dataclass
class Gig:
    id: int
    poster: bytes


def test_typed_rows(caller: Caller) -> None:
    caller.server.answers(
        envelope([rows(["id", "plays", "verified"], ["a1", 3, 1], ["a2", 4, 0], rows_read=2)]),
        envelope([rows(["id", "poster"], [1, [255, 0]])]),
    )
    artists = caller(lambda client: client.query(UUID, "SELECT * FROM artists", row_type=Artist))
    assert list(artists) == [Artist(id="a1", plays=3, verified=True), Artist(id="a2", plays=4)]
    assert (len(artists), artists.meta.rows_read) == (2, 2)
    gig = caller(lambda client: client.query(UUID, "SELECT id, poster FROM gigs", row_type=Gig))
    assert gig.one() == Gig(1, b"\xff\x00")


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (rows(["id", "plays"], ["a1", 3], ["a2", "many"]), "row 1 does not fit Artist: plays"),
        (rows(["id"], ["a1"]), "row 0 does not fit Artist: plays: Field required"),
        (rows(["id", "id"], ["a1", "a2"]), "two columns have one name"),
    ],
)
def test_a_row_that_does_not_fit_is_named_without_its_values(caller: Caller, table: Any, message: str) -> None:
    caller.server.answers(envelope([table]))
    with pytest.raises(UsageError, match=message) as caught:
        caller(lambda client: client.query(UUID, "SELECT * FROM artists", row_type=Artist))
    assert "many" not in str(caught.value)
    assert caught.value.__context__ is None


# -- time travel -----------------------------------------------------------------------------------------


def test_bookmarks(caller: Caller) -> None:
    caller.server.answers(*[envelope({"bookmark": BOOKMARK})] * 2)
    at = datetime(2026, 11, 20, 2, 0, 0, 123_456, tzinfo=timezone(timedelta(hours=2)))
    assert caller(lambda client: client.bookmark(UUID)) == BOOKMARK
    assert caller(lambda client: client.bookmark(UUID, at)) == BOOKMARK
    assert [seen.query for seen in caller.server.seen] == [(), (("timestamp", "2026-11-20T00:00:00.123Z"),)]
    assert caller.server.seen[0].path == f"{DATABASE}/time_travel/bookmark"


def test_restore_by_bookmark_and_by_time(caller: Caller) -> None:
    answer = envelope({"bookmark": BOOKMARK, "previous_bookmark": "before", "message": "done"})
    caller.server.answers(answer, answer)
    expected = Restored(Bookmark(BOOKMARK), Bookmark("before"), "done")
    assert caller(lambda client: client.restore(UUID, bookmark=BOOKMARK)) == expected
    at = datetime(2026, 11, 20, tzinfo=UTC)
    assert caller(lambda client: client.restore(UUID, timestamp=at)) == expected
    assert [(seen.method, seen.query, seen.body) for seen in caller.server.seen] == [
        ("POST", (("bookmark", BOOKMARK),), b""),
        ("POST", (("timestamp", "2026-11-20T00:00:00.000Z"),), b""),
    ]


@pytest.mark.parametrize(
    "action",
    [
        lambda client: client.restore(UUID),
        lambda client: client.restore(UUID, bookmark=BOOKMARK, timestamp=datetime(2026, 1, 1, tzinfo=UTC)),
        lambda client: client.restore(UUID, timestamp=datetime(2026, 1, 1)),  # noqa: DTZ001 - naive on purpose
        lambda client: client.bookmark(UUID, datetime(2026, 1, 1)),  # noqa: DTZ001 - naive on purpose
    ],
)
def test_an_unclear_point_in_time_is_refused(caller: Caller, action: Callable[[Any], Any]) -> None:
    with pytest.raises(UsageError):
        caller(action)
    assert caller.requests == 0


# -- rejections ------------------------------------------------------------------------------------------


def test_a_rejection_carries_its_place(caller: Caller) -> None:
    caller.server.answers(failure(400, 7500, "no such column: nope at offset 7: SQLITE_ERROR"))
    with pytest.raises(StatementRejected) as caught:
        caller(lambda client: client.query(UUID, "SELECT nope"))
    error = caught.value
    assert error.text == "no such column: nope at offset 7: SQLITE_ERROR"
    assert (error.index, error.sql, error.offset) == (0, "SELECT nope", 7)
    assert (error.code, error.status, error.ray) == (7500, 400, "ray-1")


def test_an_offset_in_rewritten_text_is_not_passed_on(caller: Caller) -> None:
    message = "no such column: nope at offset {}: SQLITE_ERROR"
    caller.server.answers(failure(400, 7500, message.format(29)), failure(400, 7500, message.format(7)))
    with pytest.raises(StatementRejected) as after:
        caller(lambda client: client.query(UUID, "SELECT ?, nope", [1]))
    with pytest.raises(StatementRejected) as before:
        caller(lambda client: client.query(UUID, "SELECT nope, ?", [1]))
    assert (after.value.offset, before.value.offset) == (None, 7)


def test_a_rejected_batch_names_no_statement(caller: Caller) -> None:
    caller.server.answers(failure(400, 7500, "no such table: t at offset 12: SQLITE_ERROR"))
    statements = [Statement("INSERT INTO t VALUES (1)")] * 2
    with pytest.raises(StatementRejected) as caught:
        caller(lambda client: client.batch(UUID, statements))
    assert (caught.value.index, caught.value.sql, caught.value.offset) == (None, None, None)


def test_a_failed_entry_inside_a_successful_envelope(caller: Caller) -> None:
    failed = {"success": False, "error": "UNIQUE constraint failed: t.a: SQLITE_CONSTRAINT"}
    caller.server.answers(envelope([failed]), envelope([rows([]), failed]), envelope([rows(["a"]), failed]))
    insert, select = Statement("INSERT INTO t VALUES (1)"), Statement("SELECT a FROM t")
    with pytest.raises(StatementRejected) as alone:
        caller(lambda client: client.query(UUID, insert.sql))
    assert (alone.value.index, alone.value.sql) == (0, insert.sql)
    with pytest.raises(OutcomeUnknown):
        caller(lambda client: client.batch(UUID, [insert, insert]))
    with pytest.raises(StatementRejected) as read:
        caller(lambda client: client.batch(UUID, [select, select]))
    assert read.value.index == 1


@pytest.mark.parametrize(
    "result",
    [
        None,
        {},
        [1],
        [],
        [{"success": True, "results": [1]}],
        [{"success": True, "results": {"columns": ["a"], "rows": [[1, 2]]}}],
        [{"success": True, "results": {"columns": [1], "rows": [[1]]}}],
        [{"success": True, "results": {"columns": ["a"], "rows": {"a": 1}}}],
        [{"success": True, "results": {"columns": ["a"], "rows": [[{"x": 1}]]}}],
        [{"success": True, "results": {"columns": ["a"], "rows": [[[256]]]}}],
        [{"success": True, "results": {"columns": ["a"], "rows": [[["x"]]]}}],
    ],
)
def test_a_result_that_is_no_result(caller: Caller, result: Any) -> None:
    caller.server.answers(*[envelope(result)] * 5)
    with pytest.raises(UnexpectedResponse, match="not what was asked for"):
        caller(lambda client: client.query(UUID, "SELECT 1"))
    with pytest.raises(OutcomeUnknown):
        caller(lambda client: client.query(UUID, "DELETE FROM t"))


@pytest.mark.parametrize("result", [None, {}, {"success": True}, {"success": True, "results": None, "meta": None}])
def test_an_entry_may_be_bare(caller: Caller, result: dict[str, Any] | None) -> None:
    caller.server.answers(envelope([result or {}]))
    assert caller(lambda client: client.query(UUID, "CREATE TABLE t (a)")) == Result()


@pytest.mark.parametrize("result", [None, [], {"uuid": UUID}, {"uuid": 1, "name": "app"}])
def test_a_database_that_is_none(caller: Caller, result: Any) -> None:
    caller.server.answers(*[envelope(result)] * 4)
    with pytest.raises(UnexpectedResponse):
        caller(lambda client: client.get_database(UUID))


@pytest.mark.parametrize("result", [None, {"uuid": UUID}, [{"name": "app"}], ["app"]])
def test_a_list_that_is_none(caller: Caller, result: Any) -> None:
    caller.server.answers(*[envelope(result)] * 4)
    with pytest.raises(UnexpectedResponse):
        caller(lambda client: client.list_databases())


def test_a_restore_whose_undo_is_not_told_is_not_called_unchanged(caller: Caller) -> None:
    caller.server.answers(envelope({"bookmark": BOOKMARK}))
    with pytest.raises(OutcomeUnknown, match="previous_bookmark is missing"):
        caller(lambda client: client.restore(UUID, bookmark=BOOKMARK))


def test_the_observer_sees_every_attempt(caller: Caller) -> None:
    caller.server.answers(failure(503, 7009, "upstream unavailable"), envelope([rows(["a"], [1])]))
    seen: list[tuple[str, int]] = []
    caller(
        lambda client: client.query(UUID, "SELECT 1 AS a"),
        on_request=lambda call, answer: seen.append((call.path, answer.status)),
    )
    path = f"/accounts/{ACCOUNT}/d1/database/{UUID}/raw"
    assert seen == [(path, 503), (path, 200)]
    assert caller.requests == 2
