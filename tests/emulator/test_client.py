"""Our own client end to end, over both engines: what it sends is what a caller of the real service sends."""

from __future__ import annotations

import io
import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from d1ops.client.protocols import DumpOptions
from d1ops.core.values import Bookmark, Statement
from d1ops.emulator import Emulator
from d1ops.errors import DatabaseError, Denied, NotFound, StatementRejected, Unreachable
from tests.emulator.conftest import READ_TOKEN, client, settings

if TYPE_CHECKING:
    from d1ops.client import D1Client


def test_databases_live_and_die(api: D1Client, server: Emulator) -> None:
    made = api.create_database("life", jurisdiction="eu", location_hint="apac", read_replication="auto")
    assert api.get_database(made.uuid) == api.get_database("life") == made
    assert (made.jurisdiction, made.running_in_region, made.read_replication) == ("eu", "WEUR", "auto")
    assert api.update_database(made.uuid, read_replication="disabled").read_replication == "disabled"
    assert [each.uuid for each in api.list_databases("life")] == [made.uuid]
    api.delete_database(made.uuid)
    with pytest.raises(NotFound) as caught:
        api.get_database(made.uuid)
    assert (caught.value.status, caught.value.code) == (404, 7404)
    assert not (server.state.folder / "databases" / made.uuid).exists()


def test_values_travel_as_the_services_json_has_them(api: D1Client, server: Emulator) -> None:
    id_ = server.create_database("values")
    given = (None, "text \U0001f600 \0", b"\x00\xff", b"", 7, -(2**53) + 1, 0.1, -0.5, True)
    cells = ", ".join("?" for _ in given)
    assert api.query(id_, f"SELECT {cells}", given).rows == ((*given[:8], 1),)
    (lossy,) = api.batch(id_, [Statement("SELECT 9007199254740993, 9223372036854775807, 9e999, 1.0")], lossy=True)
    assert lossy.rows == ((9007199254740992, 9223372036854776000, None, 1),)


def test_a_batch_is_all_or_nothing(api: D1Client, server: Emulator) -> None:
    id_ = server.create_database("batches")
    with pytest.raises(StatementRejected, match=r"UNIQUE constraint failed: t\.a") as caught:
        api.batch(
            id_,
            [
                Statement("CREATE TABLE t(a UNIQUE)"),
                Statement("INSERT INTO t VALUES(?)", (1,)),
                Statement("INSERT INTO t VALUES(?)", (1,)),
            ],
        )
    assert (caught.value.status, caught.value.code) == (400, 7500)
    assert api.query(id_, "SELECT count(*) FROM sqlite_schema WHERE name = 't'").scalar() == 0


def test_a_token_that_may_only_read_changes_nothing(server: Emulator) -> None:
    id_ = server.create_database("read-only")
    server.database(id_).query("CREATE TABLE t AS SELECT 1 AS a")
    with client(server, token=READ_TOKEN) as reader:
        assert reader.query(id_, "SELECT a FROM t").scalar() == 1
        reader.bookmark(id_)
        for refused in (
            lambda: reader.query(id_, "DELETE FROM t"),
            lambda: reader.create_database("no"),
            lambda: reader.delete_database(id_),
            lambda: reader.ingest(id_, "DELETE FROM t;"),
            lambda: reader.restore(id_, bookmark=Bookmark("0")),
        ):
            with pytest.raises(Denied):
                refused()
    with client(server, token="wrong") as stranger, pytest.raises(Denied):
        stranger.list_databases()


def test_a_dump_loads_into_another_database(api: D1Client, server: Emulator) -> None:
    script = (
        'CREATE TABLE "odd ""name"(a INTEGER PRIMARY KEY AUTOINCREMENT, b TEXT, c INT AS (a * 2) STORED, d BLOB)'
        " STRICT;\n"
        "INSERT INTO \"odd \"\"name\"(b, d) VALUES('it''s; \n', X'00'), (NULL, NULL), ('char(10)', X'');\n"
        "CREATE TABLE w(k TEXT PRIMARY KEY, v REAL) WITHOUT ROWID;\n"
        "INSERT INTO w VALUES('a', 0.1), ('b', 1e300), ('c', -2.0);\n"
        'CREATE VIEW v AS SELECT a FROM "odd ""name";\n'
        "CREATE INDEX i ON w(v DESC) WHERE v > 0;\n"
        "CREATE TRIGGER tr AFTER DELETE ON w BEGIN SELECT CASE WHEN 1 THEN 2 END; END;\n"
    )
    id_, copy = server.create_database("dump"), server.create_database("dump-copy")
    done = api.ingest(id_, script)
    assert done.num_queries == 7
    assert done.bookmark == api.bookmark(id_)
    sink = io.BytesIO()
    api.export(id_, sink)
    api.ingest(copy, sink.getvalue())
    again = io.BytesIO()
    api.export(copy, again)
    assert again.getvalue() == sink.getvalue()
    for sql in ("SELECT * FROM v", "SELECT * FROM w", "SELECT typeof(v), v FROM w", "SELECT seq FROM sqlite_sequence"):
        assert api.query(copy, sql).rows == api.query(id_, sql).rows
    few = io.BytesIO()
    api.export(id_, few, options=DumpOptions(no_schema=True, tables=("w",)))
    assert few.getvalue().decode().splitlines()[1:] == [
        f"""INSERT INTO "w" ("k","v") VALUES({values});""" for values in ("'a',0.1", "'b',1e+300", "'c',-2")
    ]


def test_every_state_that_was_named_comes_back(api: D1Client, server: Emulator) -> None:
    id_ = server.create_database("states")
    api.query(id_, "CREATE TABLE t AS SELECT 0 AS a")
    marks = {}
    for number in range(5):
        api.query(id_, "UPDATE t SET a = ?", (number,))
        marks[number] = api.bookmark(id_)
    assert list(marks.values()) == sorted(marks.values())
    assert api.bookmark(id_) == marks[4]
    for number in (2, 4, 0):
        restored = api.restore(id_, bookmark=marks[number])
        assert restored.bookmark > restored.undo
        assert api.query(id_, "SELECT a FROM t").scalar() == number
    api.restore(id_, bookmark=restored.undo)
    assert api.query(id_, "SELECT a FROM t").scalar() == 4
    with pytest.raises(NotFound):
        api.restore(id_, bookmark=Bookmark("00000001-00000000-00000000-" + "0" * 32))


def test_a_moment_gives_the_state_at_or_before_it() -> None:
    clock = [datetime(2026, 11, 22, 12, tzinfo=UTC)]
    with Emulator(settings(now=lambda: clock[0])) as server, client(server) as api:
        id_ = server.create_database("moments")
        written = {}
        for number in range(4):
            clock[0] += timedelta(minutes=1)
            api.query(id_, "CREATE TABLE t(a)" if number == 0 else f"INSERT INTO t VALUES({number})")
            written[number] = clock[0]
        clock[0] += timedelta(hours=1)
        for number, moment in written.items():
            api.restore(id_, timestamp=moment + timedelta(seconds=30))
            assert api.query(id_, "SELECT count(*) FROM t").scalar() == number
        with pytest.raises(NotFound, match="or before"):
            api.bookmark(id_, datetime(2026, 11, 22, 11, tzinfo=UTC))


@pytest.mark.parametrize("kind", ["export", "import"])
def test_a_task_blocks_its_database_until_it_is_done_or_given_up(kind: str) -> None:
    clock = [datetime(2026, 11, 22, 12, tzinfo=UTC)]
    polls = itertools.count(1)

    def look(seconds: float) -> None:
        """Between two polls: ask something else, and in the end let more time pass than a task is kept for."""
        with pytest.raises(Unreachable, match=f"Currently processing a long-running {kind}"):
            other.query(id_, "SELECT 1")
        if next(polls) == 3:
            clock[0] += timedelta(seconds=31)

    with (
        Emulator(settings(active_polls=10**6, task_seconds=30, now=lambda: clock[0])) as server,
        client(server) as other,
        client(server, clock=lambda: 0.0, sleep=look) as patient,
    ):
        id_ = server.create_database("busy")
        with pytest.raises(DatabaseError, match="Cancelled"):
            patient.export(id_, io.BytesIO()) if kind == "export" else patient.ingest(id_, "SELECT 1;")
        assert next(polls) >= 4
        assert other.query(id_, "SELECT 1").scalar() == 1


def test_many_clients_at_once(server: Emulator) -> None:
    ids = [server.create_database(f"crowd-{number}") for number in range(3)]
    for id_ in ids:
        server.database(id_).query("CREATE TABLE t(a)")

    def work(number: int) -> None:
        with client(server) as api:
            passing = api.create_database(f"passing-{number}").uuid
            for turn in range(5):
                api.query(ids[(number + turn) % 3], "INSERT INTO t VALUES(?)", (number,))
                api.list_databases()
                api.query(passing, "SELECT 1")
            api.delete_database(passing)

    with ThreadPoolExecutor(6) as pool:
        assert list(pool.map(work, range(6))) == [None] * 6
    assert sum(int(str(server.database(id_).query("SELECT count(*) FROM t").scalar())) for id_ in ids) == 30
    assert not [each for each in server.state.registry.all() if each.record.name.startswith("passing")]


def test_databases_survive_a_restart(tmp_path_factory: pytest.TempPathFactory, server: Emulator) -> None:
    folder = tmp_path_factory.mktemp("data")
    same = settings(folder=folder, engine=server.settings.engine)
    with Emulator(same) as first, client(first) as api:
        id_ = api.create_database("kept", read_replication="auto").uuid
        api.query(id_, "CREATE TABLE t AS SELECT 1 AS a")
        bookmark = api.bookmark(id_)
        api.query(id_, "UPDATE t SET a = 2")
    with Emulator(same) as second, client(second) as api:
        assert [(each.uuid, each.name) for each in api.list_databases()] == [(id_, "kept")]
        assert api.get_database(id_).read_replication == "auto"
        api.restore(id_, bookmark=bookmark)
        assert api.query(id_, "SELECT a FROM t").scalar() == 1
