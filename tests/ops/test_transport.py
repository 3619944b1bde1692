"""By which way a change goes: a batch where the target is proved to keep all of it or nothing, a file where the service
breaks a statement or keeps part of a batch, and no way at all where neither is safe. Over the emulator, which can be
made to do all of that."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from d1ops.client import Budget, D1Client
from d1ops.client import Settings as ClientSettings
from d1ops.core.importing import file_of
from d1ops.core.values import Statement
from d1ops.database.base import Atomicity
from d1ops.database.http import HttpDatabase
from d1ops.database.sqlite import SqliteDatabase
from d1ops.emulator import Emulator, Settings
from d1ops.emulator.settings import Splitter
from d1ops.errors import LossRefused, NotAtomic, StatementRejected, TargetMoved
from d1ops.ops import migrate, probe
from d1ops.ops.look import look
from tests.support.delegate import Delegate
from tests.support.project import YES, Project

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path
    from typing import TypeAlias

    from d1ops.database.base import Capabilities

    Make: TypeAlias = Callable[..., Project]

TRIGGER = (
    "CREATE TRIGGER audited AFTER UPDATE ON users BEGIN\n"
    "  UPDATE users SET state = CASE WHEN new.email IS NULL THEN 'no mail' ELSE 'mail' END WHERE id = new.id;\n"
    "  INSERT INTO log (what) VALUES ('it''s; done');\n"
    "END;\n"
)
FILES = {
    "0001_base.sql": "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT, state TEXT);\n"
    "CREATE TABLE log (what TEXT);\n",
    "0002_trigger.sql": f"UPDATE users SET state = 'x''y';\n{TRIGGER}",
    "0003_last.sql": "CREATE TABLE last (id INTEGER);\n",
}


@pytest.fixture
def make(tmp_path: Path) -> Iterator[Make]:
    with ExitStack() as stack:

        def made(**settings: object) -> Project:
            server = stack.enter_context(Emulator(Settings(**settings)))  # type: ignore[arg-type]  # any of them
            options = ClientSettings(budget=Budget(10**6), sleep=lambda seconds: None)
            client = D1Client(server.settings.account_id, "t0ken", base_url=server.base_url, settings=options)
            database = HttpDatabase(client, server.create_database("app"), name="app")
            stack.enter_context(closing(database))
            return Project(tmp_path, database).write(FILES, {"0002_rollback.sql": "DROP TRIGGER audited;\n"})

        yield made


def started(project: Project) -> Project:
    """The target is probed, and the first migration is applied, with a row."""
    probe.run(project.workspace)
    project.migrate(to="1")
    project.run("INSERT INTO users VALUES (1, 'a', NULL)")
    return project


def test_a_trigger_that_the_service_cuts_goes_as_a_file(make: Make) -> None:
    project = started(make(splitter=Splitter.D1))
    applied = project.migrate(accept="users.state")
    assert set(project.states().values()) == {"applied"}
    assert [event.kind for event in applied.look.history] == ["migrate"] * 3
    assert ("trigger", "audited") in applied.look.schema.by_key()
    assert project.rows()["users"] == [(1, "a", "x'y")]
    assert any("sent as a file through the import, since the service cuts" in line for line in project.told)
    assert (
        applied.look.everything.by_key().keys().isdisjoint({("table", "d1ops_guard"), ("table", "d1ops_guard_texts")})
    )
    project.run("UPDATE users SET email = NULL")
    assert project.database.query("SELECT state FROM users").scalar() == "no mail"


def test_without_an_import_the_place_and_the_way_out_are_named(make: Make) -> None:
    project = started(make(splitter=Splitter.D1))
    workspace = replace(project.workspace, allows_ingest=False)
    before = look(workspace)
    with pytest.raises(StatementRejected, match=r"0002_trigger.sql: incomplete input") as caught:
        migrate.migrate(workspace, migrate.prepare(workspace, to="2"), YES)
    assert caught.value.hint is not None
    assert "on one line" in caught.value.hint
    assert look(workspace) == before


def test_a_target_that_keeps_part_of_a_batch_takes_every_change_as_a_file(make: Make) -> None:
    project = make(atomic_batch=False)
    assert probe.run(project.workspace) is Atomicity.REFUTED
    project.migrate(to="1")
    project.run("INSERT INTO users VALUES (1, 'a', NULL)")
    project.migrate(accept="users.state")
    assert set(project.states().values()) == {"applied"}
    project.rollback("2")
    assert project.states()["0002"] == "rolled back"
    assert any("sent as a file" in line and "keeps part of a batch" in line for line in project.told)
    assert [event.nonce for event in look(project.workspace).history] == sorted(
        event.nonce for event in look(project.workspace).history
    )


@pytest.mark.parametrize(
    ("by_hand", "assertion"),
    [
        ("CREATE INDEX by_hand ON users (email)", "schema"),
        ("INSERT INTO d1_migrations (name) VALUES ('0009_x.sql')", "ledger"),
        ("UPDATE users SET state = 'new'", "content"),
        ("INSERT INTO log VALUES ('one more')", "content"),
    ],
)
def test_the_file_refuses_itself_as_the_batch_does(make: Make, by_hand: str, assertion: str) -> None:
    project = make(atomic_batch=False)
    probe.run(project.workspace)
    project.migrate(to="1")
    project.run("INSERT INTO users VALUES (1, 'a', 'old')", "INSERT INTO log VALUES ('one')")
    project.write({"0002_trigger.sql": "UPDATE users SET state = 'over';\nDROP TABLE log;\n"})
    prepared = migrate.prepare(project.workspace, to="2")
    project.run(by_hand)
    before, seen = project.rows(), look(project.workspace)
    with pytest.raises(TargetMoved) as caught:
        migrate.migrate(project.workspace, prepared, replace(YES, accepted=frozenset({"users", "log"})))
    assert caught.value.assertion == assertion
    assert (project.rows(), look(project.workspace)) == (before, seen)


def test_a_file_that_fails_names_the_script(make: Make) -> None:
    project = make(atomic_batch=False)
    probe.run(project.workspace)
    project.migrate(to="1")
    project.write({"0002_trigger.sql": "CREATE UNIQUE INDEX one ON users (email);\n"})
    prepared = migrate.prepare(project.workspace, to="2")
    project.run("INSERT INTO users VALUES (1, 'a', NULL), (2, 'a', NULL)")
    with pytest.raises(StatementRejected, match=r"0002_trigger.sql: UNIQUE constraint failed"):
        migrate.migrate(project.workspace, prepared, YES)
    assert project.states()["0002"] == "pending"


def test_a_loss_is_refused_before_any_way_is_taken(make: Make) -> None:
    project = started(make(splitter=Splitter.D1))
    project.run("UPDATE users SET state = 'mine'")
    with pytest.raises(LossRefused):
        project.migrate()


def test_a_target_that_keeps_part_of_both_is_never_changed(make: Make) -> None:
    project = make(atomic_batch=False, atomic_import=False)
    assert probe.run(project.workspace) is Atomicity.REFUTED
    with pytest.raises(NotAtomic, match=r"an import of this target kept part of a file"):
        project.migrate()
    assert look(project.workspace).everything.objects == ()


class WithoutImport(Delegate):
    """A target that takes no file."""

    @property
    def capabilities(self) -> Capabilities:
        return replace(self.inner.capabilities, ingest=False, query_log=False)


def test_a_target_that_takes_neither_is_never_changed(make: Make) -> None:
    project = make(atomic_batch=False)
    probe.run(project.workspace)
    project.database = WithoutImport(project.database)
    with pytest.raises(NotAtomic, match=r"kept part of a batch"):
        project.migrate()
    assert look(project.workspace).everything.objects == ()


def test_a_file_holds_every_parameter_exactly(tmp_path: Path) -> None:
    long = "é'\n;--" * 30_000
    values = (None, True, -(2**63), 0.1, 5e-324, 1.7e308, float("-inf"), -2.5, b"\0'", "it's", "a\0b", long)
    marks = ", ".join(f"?{n + 1}" for n in range(len(values)))
    names = ", ".join(f"c{n}" for n in range(len(values)))
    statements = [Statement(f"CREATE TABLE t ({names})"), Statement(f"INSERT INTO t VALUES ({marks})", values)]
    with closing(SqliteDatabase(tmp_path / "file.sqlite")) as database:
        database.ingest(file_of(statements, (), ()))
        query = ", ".join(f"typeof(c{n}), c{n} IS ?{n + 1}" for n in range(len(values)))
        found = database.query(f"SELECT {query} FROM t", values).one()
        assert found[1::2] == (1,) * len(values)
        assert found[::2] == ("null", "integer", "integer", *("real",) * 5, "blob", *("text",) * 3)
        assert database.query("SELECT count(*) FROM sqlite_master").scalar() == 1
