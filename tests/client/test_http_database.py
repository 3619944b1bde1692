"""`HttpDatabase` over a real engine behind HTTP; the contract suite holds it to the rest."""

from __future__ import annotations

import io
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from d1ops import D1Client
from d1ops.client import Budget, Settings
from d1ops.core.values import Bookmark, Meta, Result, Statement
from d1ops.database.base import Atomicity, Capabilities, Export, Target
from d1ops.database.http import HttpDatabase
from d1ops.errors import OutcomeUnknown, StatementRejected
from tests.client.scripted import ACCOUNT, TOKEN, UUID, Drop, Reply, Time, envelope
from tests.client.test_values import EngineBehindHttp

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.database.base import Database
    from tests.client.scripted import ScriptedServer


@pytest.fixture
def database(server: ScriptedServer) -> Iterator[Database]:
    time = Time()
    settings = Settings(budget=Budget(clock=time), clock=time, sleep=time.sleep)
    database = HttpDatabase(D1Client(ACCOUNT, TOKEN, base_url=server.base_url, settings=settings), UUID, name="app")
    yield database
    database.close()


def test_who_it_is_and_what_it_can_do(database: Database) -> None:
    assert database.target == Target("cloudflare", "app", UUID, ACCOUNT)
    assert database.capabilities == Capabilities(
        Atomicity.UNKNOWN, ingest=True, time_travel=True, create=True, query_log=True
    )
    assert database.requests == 0


def test_what_a_probe_found_is_told() -> None:
    client = D1Client(ACCOUNT, TOKEN)
    database = HttpDatabase(client, UUID, name="app", atomicity=Atomicity.PROVED)
    assert database.capabilities.atomic_batch is Atomicity.PROVED
    database.close()


def test_statements(database: Database, server: ScriptedServer) -> None:
    behind = EngineBehindHttp()
    server.answers(*[behind] * 4)
    insert = Statement("INSERT INTO t VALUES (?)", (1,))
    database.batch([Statement("CREATE TABLE t (a INTEGER PRIMARY KEY)"), insert])
    with pytest.raises(StatementRejected, match="UNIQUE constraint failed") as caught:
        database.batch([Statement("INSERT INTO t VALUES (2)"), insert])
    assert caught.value.index is None
    with pytest.raises(StatementRejected) as alone:
        database.query(*("INSERT INTO t VALUES (?)", (1,)))
    assert (alone.value.index, alone.value.sql) == (0, "INSERT INTO t VALUES (?)")
    assert database.query("SELECT a FROM t").rows == ((1,),)
    assert database.requests == 4
    behind.engine.close()


def test_the_promise_of_reads_allows_a_second_attempt(database: Database, server: ScriptedServer) -> None:
    good = envelope([{"success": True}])
    statement = Statement("PRAGMA foreign_keys = ON")
    server.answers(Drop.READ, Drop.READ, good)
    with pytest.raises(OutcomeUnknown):
        database.batch([statement])
    assert database.batch([statement], reads_only=True) == (Result(),)
    assert database.requests == 3


def test_time_travel(database: Database, server: ScriptedServer) -> None:
    at = datetime(2026, 11, 20, tzinfo=UTC)
    server.answers(*[envelope({"bookmark": "b1"})] * 2, envelope({"bookmark": "b1", "previous_bookmark": "b2"}))
    assert database.bookmark() == database.bookmark_at(at) == "b1"
    assert database.restore(Bookmark("b1")).undo == "b2"
    assert [seen.query for seen in server.seen] == [
        (),
        (("timestamp", "2026-11-20T00:00:00.000Z"),),
        (("bookmark", "b1"),),
    ]


def test_dumps(database: Database, server: ScriptedServer) -> None:
    done = {"success": True, "status": "complete"}
    server.answers(
        envelope({**done, "result": {"filename": "f", "signed_url": f"{server.url}/dump"}}),
        Reply(200, b"SELECT 1;"),
        envelope({**done, "result": {"num_queries": 1, "meta": {"rows_written": 3}}}),
    )
    sink = io.BytesIO()
    assert database.export(sink) == Export(9, "f")
    assert database.ingest("SELECT 1;") == Result(meta=Meta(rows_written=3))
