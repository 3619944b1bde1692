"""Every state that a crash, a lost answer or another tool leaves has a name, a fact and one command that goes on."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from d1ops.core.restoring import MARK
from d1ops.errors import HumanNeeded, LedgerRefused, PartialRun, StatementRejected, TargetMoved
from d1ops.ops import backup as backups
from d1ops.ops import baseline, doctor, migrate, restore, rollback
from d1ops.ops.condition import conditions
from d1ops.ops.diagnosis import Health
from d1ops.ops.look import look
from tests.support.delegate import Delegate
from tests.support.project import YES, Project

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from d1ops.core.values import Bookmark, Restored, Result, Statement
    from d1ops.database.base import Database
    from d1ops.ops.workspace import Workspace


class Killed(BaseException):
    """What a process feels of SIGKILL: nothing behind it runs."""


class Dying(Delegate):
    """A target on whose `nth` change the process ends, before or after it was carried out."""

    def __init__(self, inner: Database, nth: int, *, carried_out: bool) -> None:
        super().__init__(inner)
        self.left = nth
        self.carried_out = carried_out

    def batch(
        self, statements: Sequence[Statement], *, reads_only: bool = False, lossy: bool = False
    ) -> tuple[Result, ...]:
        if reads_only:
            return super().batch(statements, reads_only=True, lossy=lossy)
        if self._dies() and not self.carried_out:
            raise Killed
        results = super().batch(statements, lossy=lossy)
        if self.left == 0:
            raise Killed
        return results

    def restore(self, to: Bookmark) -> Restored:
        if self._dies() and not self.carried_out:
            raise Killed
        restored = super().restore(to)
        if self.left == 0:
            raise Killed
        return restored

    def _dies(self) -> bool:
        self.left -= 1
        return self.left == 0


def dying(project: Project, nth: int, *, carried_out: bool) -> Workspace:
    return replace(project.workspace, database=Dying(project.database, nth, carried_out=carried_out))


def named(project: Project) -> dict[str, tuple[str, tuple[str, ...]]]:
    workspace = project.workspace
    found = conditions(workspace, look(workspace))
    checks = {check.name: check for check in doctor.examine(workspace).checks}
    for each in found:
        assert checks[each.name].fact == each.fact, "doctor says it too"
        assert checks[each.name].state is (Health.PROBLEM if each.is_serious else Health.WARNING)
    return {each.name: (each.fact, each.command) for each in found}


def facts(project: Project, name: str) -> tuple[str, tuple[str, ...]]:
    found = named(project)
    assert list(found) == [name], found
    return found[name]


def test_a_target_that_is_as_it_should_be_asks_for_nothing(filled: Project) -> None:
    assert named(filled) == {}


# -- runs ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("carried_out", "says"), [(True, "the target has it, whole"), (False, "does not have it")])
def test_a_killed_run_says_what_became_of_the_step_and_the_next_run_goes_on(
    small: Project, carried_out: bool, says: str
) -> None:
    workspace = dying(small, 2, carried_out=carried_out)
    with pytest.raises(Killed):
        migrate.migrate(workspace, migrate.prepare(workspace), YES)
    fact, command = facts(small, "answer lost")
    assert "tester (d1ops " in fact
    assert "began migrate 0002_clerk.sql" in fact
    assert says in fact
    assert command == ("migrate",)
    small.migrate()
    assert named(small) == {}
    assert [event.migration for event in look(small.workspace).history] == [
        "0001_base.sql",
        "0002_clerk.sql",
        "0003_index.sql",
    ]


def test_a_run_that_was_refused_half_way_is_named_until_it_is_done(filled: Project) -> None:
    filled.run("INSERT INTO users (id, email) VALUES ('u3', 'a@b.c')")
    filled.write(
        {"0004_fine.sql": "CREATE TABLE fine (a);\n", "0005_u.sql": "CREATE UNIQUE INDEX e ON users (email);\n"}
    )
    with pytest.raises(PartialRun):
        filled.migrate()
    fact, command = facts(filled, "run not at its end")
    assert fact == "the last migrate did 1 of 2 steps, each whole; not done: 0005_u.sql"
    assert command == ("migrate",)
    filled.run("DELETE FROM users WHERE id = 'u3'")
    filled.migrate()
    assert named(filled) == {}


def test_a_killed_cascade_names_the_rollback_that_goes_on(filled: Project) -> None:
    workspace = dying(filled, 1, carried_out=True)
    prepared = rollback.prepare(workspace, "2", cascade=True)
    assert not isinstance(prepared, rollback.NothingToRollBack)
    assert prepared.backup is not None
    with pytest.raises(Killed):
        rollback.rollback(workspace, prepared, prepared.backup, YES)
    fact, command = facts(filled, "answer lost")
    assert "began rollback 0003_index.sql" in fact
    assert command == ("rollback", "0002", "--cascade")
    filled.rollback("2", cascade=True)
    assert named(filled) == {}


def test_a_run_that_somebody_else_ended_asks_for_nothing(small: Project, tmp_path: Path) -> None:
    workspace = dying(small, 2, carried_out=False)
    with pytest.raises(Killed):
        migrate.migrate(workspace, migrate.prepare(workspace), YES)
    other = replace(small.workspace, state=tmp_path / "elsewhere", actor="another")
    migrate.migrate(other, migrate.prepare(other), YES)
    assert named(small) == {}


# -- rewinds ---------------------------------------------------------------------------------------------


def rewound(project: Project, nth: int, *, carried_out: bool) -> str:
    """Kill a rewind to the moment before 0003; its changes are the mark, the rewind and the tail of the history."""
    backup, _ = backups.create(project.workspace)
    project.write({"0004_more.sql": "CREATE TABLE more (a);\n"}).migrate()
    workspace = dying(project, nth, carried_out=carried_out)
    prepared = restore.prepare(workspace, backup.id)
    with pytest.raises(Killed):
        restore.restore(workspace, prepared, YES)
    return backup.id


@pytest.mark.parametrize(("nth", "carried_out"), [(1, True), (2, False)])
def test_a_rewind_that_did_not_happen(filled: Project, nth: int, carried_out: bool) -> None:
    rewound(filled, nth, carried_out=carried_out)
    fact, command = facts(filled, "rewind not done")
    assert "announced a rewind, and it did not happen" in fact
    assert command[0] in ("restore", "status")
    assert filled.states()["0004"] == "applied"


@pytest.mark.parametrize(("nth", "carried_out"), [(2, True), (3, False)])
@pytest.mark.parametrize("way", ["resume", "again"])
def test_a_rewind_without_its_history_is_finished(filled: Project, nth: int, carried_out: bool, way: str) -> None:
    before = {event.nonce for event in look(filled.workspace).history}
    backup = rewound(filled, nth, carried_out=carried_out)
    fact, command = facts(filled, "rewind without history")
    assert fact.endswith("rewound the database, and 1 events of the history were not written back")
    assert command == ("restore", "--resume")
    workspace = filled.workspace
    if way == "resume":
        event = restore.resume(workspace, look(workspace))
        assert event is not None
        assert restore.resume(workspace, look(workspace)) is None
    else:
        restore.restore(workspace, restore.prepare(workspace, backup), YES)
    history = look(filled.workspace).history
    assert before <= {event.nonce for event in history}
    (migrated,) = [event for event in history if event.migration == "0004_more.sql"]
    assert migrated.rewound_by in {event.nonce for event in history if event.kind == "restore"}
    assert named(filled) == {}
    assert filled.states()["0004"] == "pending"


def test_a_rewind_whose_history_was_written_and_nobody_was_told(filled: Project) -> None:
    rewound(filled, 3, carried_out=True)
    assert named(filled) == {}


def test_while_rows_are_being_loaded_nothing_else_changes(filled: Project) -> None:
    filled.run(f"CREATE TABLE {MARK} (done)")
    fact, command = facts(filled, "restoring")
    assert "the rows are neither the old nor the new" in fact
    assert command == ("restore", "--resume")
    workspace = filled.workspace
    for change in (
        lambda: migrate.prepare(workspace),
        lambda: rollback.prepare(workspace, "3"),
        lambda: baseline.plan(workspace, look(workspace)),
    ):
        with pytest.raises(HumanNeeded, match=r"a restore is under way|a backup is being loaded"):
            change()
    filled.run(f"DROP TABLE {MARK}")
    assert named(filled) == {}


def test_while_rows_are_being_loaded_nothing_else_is_asked_for(filled: Project) -> None:
    filled.run(f"CREATE TABLE {MARK} (done)", "DROP TABLE d1ops_history", "DELETE FROM d1_migrations")
    assert facts(filled, "restoring")[1] == ("restore", "--resume")
    assert "leftover" not in {check.name for check in doctor.examine(filled.workspace).checks}


# -- leftovers and other tools ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("table", "name"), [("d1ops_guard", "guard left behind"), ("d1ops_probe", "probe left behind")]
)
def test_a_leftover_on_the_target_is_dropped_by_the_probe(filled: Project, table: str, name: str) -> None:
    filled.run(f"CREATE TABLE {table} (what INTEGER PRIMARY KEY, n)")
    _, command = facts(filled, name)
    assert command == ("doctor", "--probe")
    doctor.examine(filled.workspace, probe=True)
    assert named(filled) == {}


def test_a_ledger_row_that_was_taken_away(filled: Project) -> None:
    filled.run("DELETE FROM d1_migrations WHERE name = '0003_index.sql'")
    fact, command = facts(filled, "ledger row missing")
    assert fact.startswith("the history says that 0003_index.sql ran, and the ledger lacks it")
    assert command == ("baseline",)
    workspace = filled.workspace
    baseline.adopt(workspace, baseline.plan(workspace, look(workspace)), YES)
    assert named(filled) == {}


def test_another_tool_rewound_the_database(filled: Project) -> None:
    bookmark = filled.database.bookmark()
    filled.write({"0004_more.sql": "CREATE TABLE more (a);\n"}).migrate()
    filled.database.restore(bookmark)
    fact, command = facts(filled, "journal ahead")
    assert "knows 1 changes that the target's history lacks, the last migrate 0004_more.sql at" in fact
    assert command == ("plan",)
    filled.migrate()
    assert named(filled) == {}


def test_tables_without_a_ledger(small: Project) -> None:
    small.run("CREATE TABLE users (id)")
    assert facts(small, "not adopted")[1] == ("baseline",)
    with pytest.raises(StatementRejected) as caught:
        small.migrate()
    assert "d1ops baseline" in str(caught.value.hint)


def test_another_tools_ledger_beside_ours(filled: Project) -> None:
    filled.run("CREATE TABLE _prisma_migrations (id, migration_name, checksum, finished_at)")
    fact, command = facts(filled, "other ledger")
    assert fact.startswith("_prisma_migrations is the ledger of Prisma")
    assert command == ()
    filled.write({"0004_more.sql": "CREATE TABLE more (a);\n"}).migrate()
    assert "_prisma_migrations is the ledger of Prisma, which does not see what is changed here" in filled.told
    filled.run("DELETE FROM d1_migrations")
    with pytest.raises(LedgerRefused, match="is the ledger of Prisma"):
        filled.migrate()


@pytest.mark.parametrize(
    "name",
    [
        ".20261122T120000Z-aaaaaa.partial",
        ".20261122T120000Z-aaaaaa.removed",
        ".20261122T120000Z-aaaaaa.999999999.abcdef.unpacked",
    ],
)
def test_an_interrupted_backup(filled: Project, name: str) -> None:
    left = filled.root / ".d1ops" / "backups" / "dev" / name
    left.mkdir(parents=True)
    fact, command = facts(filled, "unfinished backup")
    assert "the target is untouched" in fact
    assert command == ("backup", "create")
    backups.create(filled.workspace)
    assert named(filled) == {}
    assert not left.exists()


def test_an_interrupted_backup_of_another_database(filled: Project) -> None:
    made, _ = backups.create(filled.workspace)
    left = filled.root / ".d1ops" / "backups" / "dev" / ".20261122T120000Z-aaaaaa.partial"
    left.mkdir()
    (left / "started.json").write_text('{"database_id": "another", "totals": {}}')
    again, _ = backups.create(filled.workspace)
    assert facts(filled, "unfinished backup")[1] == ("backup", "prune", "--leftovers")
    assert backups.prune(filled.workspace, leftovers_alone=True, dry_run=True).leftovers == (left.name,)
    pruned = backups.prune(filled.workspace, leftovers_alone=True)
    assert (pruned.removed, set(pruned.kept), pruned.leftovers) == ((), {made.id, again.id}, (left.name,))
    assert named(filled) == {}


# -- two runners -----------------------------------------------------------------------------------------


def test_the_second_of_two_runners_is_told_who_was_first(small: Project, tmp_path: Path) -> None:
    late = replace(small.workspace, state=tmp_path / "late", actor="late")
    prepared = migrate.prepare(late)
    small.migrate(to="1")
    with pytest.raises(TargetMoved) as caught:
        migrate.migrate(late, prepared, YES)
    error = caught.value
    assert error.message.startswith("another runner was first: migrate 0001_base.sql by tester (d1ops ")
    assert (error.actor, error.at) == ("tester", look(small.workspace).history[0].at)
    assert named(small) == {}


def test_the_second_runner_of_a_rollback_of_rows_alone_is_refused(project: Project, tmp_path: Path) -> None:
    """The schema says nothing of it: the ledger that the backup read does."""
    project.write(
        {"0001_a.sql": "CREATE TABLE a (x);\n", "0002_rows.sql": "INSERT INTO a VALUES (1);\n"},
        {"0002_rollback.sql": "DELETE FROM a WHERE x = 1;\n"},
    ).migrate()
    late = replace(project.workspace, state=tmp_path / "late", actor="late")
    seen = look(late)
    project.rollback("2")
    with pytest.raises(TargetMoved, match=r"another runner was first: rollback 0002_rows.sql by tester"):
        rollback.prepare(late, "2", seen=seen)


def test_a_torn_journal_and_one_of_the_first_release_are_read(filled: Project) -> None:
    file = filled.root / ".d1ops" / "backups" / "dev" / "journal.jsonl"
    lines = [line.replace('"phase": "done", ', "") for line in file.read_text().splitlines() if "intent" not in line]
    file.write_text("\n".join(lines) + '\n{"env": "dev", "non')
    assert named(filled) == {}
    filled.rollback("3")
    assert named(filled) == {}
    assert sum('"rollback"' in line for line in file.read_text().splitlines()) == 2
