"""Databases that were there before: exactly the prefix that the schema shows is marked, and nothing else."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from d1ops.core.ledger import State
from d1ops.database.sqlite import SqliteDatabase
from d1ops.errors import AmbiguousPrefix, LedgerRefused, NoPrefix, TargetMoved, UsageError
from d1ops.ops import baseline
from d1ops.ops.look import look
from tests.support.project import YES, Project

if TYPE_CHECKING:
    from d1ops.ops.baseline import Adopted


def adopt(project: Project, to: str | None = None) -> Adopted:
    workspace = project.workspace
    return baseline.adopt(workspace, baseline.plan(workspace, look(workspace), to=to), YES)


def made_by_hand(project: Project, *numbers: str) -> None:
    """Run migration files as another tool would: no ledger of ours, no history."""
    by_label = {migration.label: migration for migration in project.workspace.catalog.migrations}
    for number in numbers:
        project.run(*(statement.sql for statement in by_label[number].script.statements))


def test_a_database_without_a_ledger_gets_one_in_wranglers_shape(small: Project) -> None:
    made_by_hand(small, "0001", "0002")
    done = adopt(small)
    assert small.states() == {"0001": "applied", "0002": "applied", "0003": "pending"}
    assert [(row.id, row.name) for row in done.look.ledger] == [(1, "0001_base.sql"), (2, "0002_clerk.sql")]
    ddl = small.database.query("SELECT sql FROM sqlite_master WHERE name = 'd1_migrations'").scalar()
    assert "name       TEXT UNIQUE" in str(ddl)
    events = done.look.history
    assert [(event.kind, event.migration, event.ledger_id) for event in events] == [
        ("baseline", "0001_base.sql", 1),
        ("baseline", "0002_clerk.sql", 2),
    ]
    assert all(event.checksum and event.actor == "tester" and event.bookmark for event in events)
    small.migrate()
    assert small.states()["0003"] == "applied"


def test_what_wrangler_applied_becomes_verified(small: Project) -> None:
    small.migrate(to="1")
    made_by_hand(small, "0002")
    small.run("INSERT INTO d1_migrations (name) VALUES ('0002_clerk.sql')")
    assert small.states()["0002"] == "unverified"
    done = adopt(small)
    assert [event.migration for event in done.events] == ["0002_clerk.sql"]
    assert small.states() == {"0001": "applied", "0002": "applied", "0003": "pending"}


def test_a_changed_file_that_makes_the_same_is_taken_and_said(filled: Project) -> None:
    file = filled.root / "db" / "migrations" / "0003_index.sql"
    file.write_text("-- tidied\n" + file.read_text())
    assert filled.states()["0003"] == "changed"
    workspace = filled.workspace
    found = baseline.plan(workspace, look(workspace))
    assert found.warnings == ("0003_index.sql was changed after it was applied, and is recorded as it is now",)
    adopt(filled)
    assert filled.states()["0003"] == "applied"
    file.write_text("CREATE INDEX artists_user ON artists (user_id, id);\n")
    with pytest.raises(NoPrefix, match=r"index artists_user is different on the target"):
        adopt(filled)


def test_a_row_that_somebody_took_off_the_ledger_comes_back(filled: Project) -> None:
    filled.run("DELETE FROM d1_migrations WHERE name = '0002_clerk.sql'")
    adopt(filled)
    assert set(filled.states().values()) == {"applied"}


def test_nothing_to_do_writes_nothing(filled: Project) -> None:
    before = look(filled.workspace)
    assert adopt(filled).events == ()
    assert look(filled.workspace).history == before.history


def test_no_prefix_matches_and_every_difference_is_named(small: Project) -> None:
    made_by_hand(small, "0001", "0003")
    small.run("CREATE TABLE extra (a)", "DROP TABLE reviews")
    with pytest.raises(NoPrefix) as caught:
        adopt(small)
    error = caught.value
    assert error.nearest in ("0001_base.sql", "0003_index.sql")
    assert {"table extra is only on the target", "table reviews is not on the target"} <= set(error.differences)
    assert not look(small.workspace).has_ledger


def test_migrations_of_rows_alone_are_asked_for(small: Project) -> None:
    small.write({"0004_fill.sql": "UPDATE users SET email = lower(email);\n", "0005_end.sql": "CREATE TABLE e (a);\n"})
    made_by_hand(small, "0001", "0002", "0003")
    with pytest.raises(AmbiguousPrefix, match=r"0004_fill.sql would leave the same schema") as caught:
        adopt(small)
    assert caught.value.prefixes == ("0003_index.sql", "0004_fill.sql")
    assert caught.value.hint == "look at the rows, then say which: d1ops baseline --to 0004"
    with pytest.raises(NoPrefix, match=r"table e is not on the target"):
        adopt(small, to="5")
    with pytest.raises(NoPrefix):
        adopt(small, to="2")
    adopt(small, to="4")
    assert small.states() == {**dict.fromkeys(("0001", "0002", "0003", "0004"), "applied"), "0005": "pending"}


def test_a_ledger_that_says_where_it_stands_is_believed(small: Project) -> None:
    small.write({"0004_fill.sql": "UPDATE users SET email = lower(email);\n"})
    small.migrate(to="3")
    workspace = small.workspace
    found = baseline.plan(workspace, look(workspace))
    assert found.marks == ()
    assert found.warnings == (
        "0004_fill.sql would leave the same schema, so nobody can see whether it ran; it stays pending",
    )
    adopt(small, to="4")
    assert small.states()["0004"] == "applied"


def test_columns_in_another_order_match_with_a_warning(project: Project) -> None:
    project.write({"0001_a.sql": "CREATE TABLE a (x TEXT, y TEXT);\n"}).run("CREATE TABLE a (y TEXT, x TEXT)")
    workspace = project.workspace
    found = baseline.plan(workspace, look(workspace))
    assert found.warnings == ("table a has its columns in another order on the target",)
    assert [mark.migration.label for mark in found.marks] == ["0001"]


def test_another_tools_ledger_is_left_alone_and_no_difference(small: Project) -> None:
    made_by_hand(small, "0001", "0002", "0003")
    small.run("CREATE TABLE __drizzle_migrations (id INTEGER PRIMARY KEY, hash text NOT NULL, created_at numeric)")
    small.run("INSERT INTO __drizzle_migrations VALUES (1, 'x', 2)")
    with pytest.raises(LedgerRefused, match=r"is the ledger of drizzle-kit, and d1_migrations is empty") as caught:
        small.migrate()
    assert "d1ops baseline" in str(caught.value.hint)
    workspace = small.workspace
    assert [other.tool for other in baseline.plan(workspace, look(workspace)).others] == ["drizzle-kit"]
    adopt(small)
    assert set(small.states().values()) == {"applied"}
    assert small.database.query("SELECT count(*) FROM __drizzle_migrations").scalar() == 1


def test_a_missing_file_is_refused(filled: Project) -> None:
    filled.run("INSERT INTO d1_migrations (name) VALUES ('0009_gone.sql')")
    with pytest.raises(LedgerRefused, match=r"0009_gone.sql is in the ledger and no file has that name"):
        adopt(filled)


def test_an_end_that_does_not_run_is_a_usage_error(small: Project) -> None:
    small.write({"0004_broken.sql": "CREATE TABLE users (a);\n"})
    made_by_hand(small, "0001")
    with pytest.raises(UsageError, match=r"0004_broken.sql is not the last of any order that runs"):
        adopt(small, to="4")


@pytest.mark.parametrize(
    ("meanwhile", "says"),
    [
        ("CREATE TABLE more (a)", "table more is extra"),
        ("INSERT INTO d1_migrations (name) VALUES ('0009_x.sql')", "0009_x.sql was applied by another tool"),
    ],
)
def test_a_target_that_moves_is_refused_with_what_moved(small: Project, meanwhile: str, says: str) -> None:
    small.migrate(to="2")
    made_by_hand(small, "0003")
    workspace = small.workspace
    found = baseline.plan(workspace, look(workspace))
    small.run(meanwhile)
    with pytest.raises(TargetMoved, match=says):
        baseline.adopt(workspace, found, YES)
    assert small.states()["0003"] in (State.PENDING, State.OUT_OF_ORDER)


STEPS = (
    "CREATE TABLE {n} (id INTEGER PRIMARY KEY, a TEXT);\n",
    "CREATE TABLE {n} (id TEXT PRIMARY KEY) STRICT;\nCREATE INDEX {n}_i ON {n} (id DESC);\n",
    "CREATE VIEW {n} AS SELECT 1 AS one;\n",
    "CREATE TABLE {n} (id);\nALTER TABLE {n} ADD COLUMN more TEXT DEFAULT 'x';\n",
    "CREATE TABLE {n} (id);\nCREATE TRIGGER {n}_t AFTER INSERT ON {n} BEGIN SELECT 1; END;\n",
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.sampled_from(STEPS), min_size=1, max_size=6), data=st.data())
def test_the_prefix_that_ran_is_the_prefix_that_is_found(
    tmp_path_factory: pytest.TempPathFactory, steps: list[str], data: st.DataObject
) -> None:
    """Whatever the files make, and whatever part of the ledger is there: exactly those that ran are marked."""
    root = tmp_path_factory.mktemp("prefix")
    database = SqliteDatabase(root / "dev.sqlite")
    try:
        project = Project(root, database)
        project.write({f"{n:04}_s.sql": text.format(n=f"t{n}") for n, text in enumerate(steps, start=1)})
        ran = data.draw(st.integers(0, len(steps)))
        known = data.draw(st.integers(0, ran))
        if known:
            project.migrate(to=str(known))
        made_by_hand(project, *(f"{n:04}" for n in range(known + 1, ran + 1)))
        adopt(project)
        expected = {f"{n:04}": "applied" if n <= ran else "pending" for n in range(1, len(steps) + 1)}
        assert project.states() == expected
        project.migrate()
        assert set(project.states().values()) == {"applied"}
        assert baseline.plan(project.workspace, look(project.workspace)).marks == ()
    finally:
        database.close()


def test_a_ledger_of_another_name(small: Project) -> None:
    made_by_hand(small, "0001")
    workspace = replace(small.workspace, ledger="ours")
    done = baseline.adopt(workspace, baseline.plan(workspace, look(workspace)), YES)
    assert [row.name for row in done.look.ledger] == ["0001_base.sql"]
    assert not small.database.query("SELECT count(*) FROM sqlite_master WHERE name = 'd1_migrations'").scalar()
