"""Large tables are read in ranges while others write, until everything is of one moment; a crash loses nothing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from d1ops.core.paging import Limits
from d1ops.database.sqlite import SqliteDatabase, open_copy
from d1ops.errors import BackupRefused, UsageError
from d1ops.ops import backup as backups
from tests.lossless.sweep import contents_of
from tests.support.delegate import Delegate
from tests.support.project import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from d1ops.core.values import Result, Statement
    from d1ops.database.base import Database
    from d1ops.ops.workspace import Workspace
    from tests.support.project import Project

RANGES = Limits(one_batch_bytes=0, small_table_bytes=2_000, page_bytes=5_000)


class Meddled(Delegate):
    """A database in which something happens before every batch."""

    def __init__(self, inner: Database, meddle: Callable[[str], None]) -> None:
        super().__init__(inner)
        self._meddle = meddle

    def batch(
        self, statements: Sequence[Statement], *, reads_only: bool = False, lossy: bool = False
    ) -> tuple[Result, ...]:
        self._meddle(" ".join(statement.sql for statement in statements))
        return self.inner.batch(statements, reads_only=reads_only, lossy=lossy)


@pytest.fixture
def large(project: Project) -> Project:
    numbers = "(WITH n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 400) SELECT x FROM n)"
    project.run(
        "CREATE TABLE parents (id INTEGER PRIMARY KEY, name TEXT UNIQUE)",
        "CREATE TABLE children (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parents (id), note TEXT)",
        "CREATE TABLE apart (id INTEGER PRIMARY KEY, note TEXT)",
        "CREATE TABLE small (v)",
        "INSERT INTO small VALUES (1)",
        f"INSERT INTO parents SELECT x, 'name ' || x FROM {numbers}",
        f"INSERT INTO children SELECT x, x, printf('%.60c', 'x') FROM {numbers}",
        f"INSERT INTO apart SELECT x, printf('%.60c', 'y') FROM {numbers}",
    )
    return project


def rows_of(backup: backups.VerifiedBackup, sql: str) -> list[tuple[object, ...]]:
    with backup.unpacked() as path:
        engine = open_copy(path)
        found = engine.ask(sql)
        engine.close()
    return list(found)


def over(project: Project, meddle: Callable[[str], None]) -> Workspace:
    return replace(project.workspace, database=Meddled(project.database, meddle))


def test_large_tables_come_in_ranges_and_small_ones_in_one_batch(large: Project) -> None:
    backup, _ = backups.create(large.workspace, limits=RANGES)
    manifest = backup.manifest
    assert manifest.method == "key ranges"
    assert {facts.table: facts.method for facts in manifest.tables} == {
        "parents": "key ranges",
        "children": "key ranges",
        "apart": "key ranges",
        "small": "one batch",
    }
    assert manifest.rounds == 1
    assert manifest.bookmark_after is not None
    assert backup.covers(["parents", "SMALL"])
    source = large.root / "state" / "dev.sqlite"
    with backup.unpacked() as path:
        assert contents_of(path) == contents_of(source)
    assert backups.verify(large.workspace, backup.id).manifest == manifest


def test_a_table_that_moved_is_read_again(large: Project) -> None:
    changes = iter(
        [
            "UPDATE parents SET name = 'later' WHERE id = 1",
            "UPDATE parents SET name = 'name 1' WHERE id = 400",
            "DELETE FROM children WHERE id = 7",
            "INSERT INTO children VALUES (999, 1, 'new')",
            "UPDATE apart SET id = id + 1000 WHERE id < 9",
        ]
    )

    pages = iter(range(10**6))

    def meddle(sql: str) -> None:
        if "LIMIT" in sql and "total(" not in sql and next(pages) % 9 == 8:
            for change in changes:
                large.run(change)
                break

    backup, _ = backups.create(over(large, meddle), limits=RANGES)
    assert backup.manifest.rounds > 1
    assert backup.manifest.unsettled == ()
    with backup.unpacked() as path:
        assert contents_of(path) == contents_of(large.root / "state" / "dev.sqlite")


def test_a_value_that_moves_to_another_row_is_no_breach_of_a_unique_index(large: Project) -> None:
    large.run(
        "CREATE TABLE seats (id INTEGER PRIMARY KEY, holder TEXT, note TEXT)",
        "INSERT INTO seats SELECT id, 'h' || id, note FROM apart",
        "CREATE UNIQUE INDEX one_seat ON seats (holder)",
    )
    moves = iter(["UPDATE seats SET holder = 'nobody' WHERE id = 1", "UPDATE seats SET holder = 'h1' WHERE id = 399"])
    pages = iter(range(10**6))

    def meddle(sql: str) -> None:
        if '"seats"' in sql and "LIMIT" in sql and "total(" not in sql and next(pages) == 1:
            large.run(*moves)

    backup, _ = backups.create(over(large, meddle), limits=RANGES)
    assert backup.manifest.rounds == 2
    with backup.unpacked() as path:
        assert contents_of(path) == contents_of(large.root / "state" / "dev.sqlite")
    assert rows_of(backup, "SELECT id FROM seats INDEXED BY one_seat WHERE holder = 'h1'") == [(399,)]


def test_a_small_table_may_move_all_the_time(large: Project) -> None:
    backup, _ = backups.create(over(large, lambda _: large.run("UPDATE small SET v = v + 1")), limits=RANGES)
    assert (backup.manifest.rounds, backup.manifest.unsettled) == (1, ())


def never_resting(project: Project, table: str) -> Workspace:
    def meddle(sql: str) -> None:
        if f'"{table}"' in sql:
            project.run(f"UPDATE {table} SET note = hex(randomblob(30)) WHERE id = 1")

    return over(project, meddle)


def test_what_never_rests_refuses_or_is_left_out_and_named(large: Project) -> None:
    workspace = never_resting(large, "apart")
    with pytest.raises(BackupRefused, match="apart changed at every one of 3 readings"):
        backups.create(workspace, limits=replace(RANGES, rounds=3))
    assert backups.leftovers(workspace) == []
    backup, _ = backups.create(workspace, limits=replace(RANGES, rounds=2), allow_unsettled=True)
    assert backup.manifest.unsettled == ("apart",)
    assert backup.manifest.scope == "3 of 4 tables"
    assert backup.covers(["parents", "children", "small"])
    assert not backup.covers(["parents", "apart"])
    assert rows_of(backup, "SELECT count(*) FROM apart") == [(0,)]
    assert rows_of(backup, "SELECT count(*) FROM parents") == [(400,)]
    assert backups.verify(large.workspace, backup.id).manifest == backup.manifest


def test_a_virtual_table_of_which_a_part_never_rests_is_left_out_whole(large: Project) -> None:
    large.run(
        "CREATE VIRTUAL TABLE found USING fts5(body)",
        "INSERT INTO found SELECT printf('%.90c', 'z') || id FROM parents",
    )
    count = iter(range(10**6))

    def meddle(sql: str) -> None:
        if '"found_content"' in sql:
            large.run(f"UPDATE found SET body = 'moved {next(count)}' WHERE rowid = 1")

    backup, _ = backups.create(over(large, meddle), limits=replace(RANGES, rounds=2), allow_unsettled=True)
    assert "found_content" in backup.manifest.unsettled
    assert not backup.covers(["found"])
    assert rows_of(backup, "SELECT count(*) FROM found") == [(0,)]


def test_rows_that_are_left_out_are_nowhere_in_the_file(large: Project) -> None:
    large.run(
        "CREATE VIRTUAL TABLE found USING fts5(body)",
        "INSERT INTO found SELECT 'searched' || id FROM parents",
        "CREATE INDEX noted ON apart (note)",
        "UPDATE apart SET note = 'unsettled' || id || hex(randomblob(30))",
    )

    def meddle(sql: str) -> None:
        if '"apart"' in sql or '"found_content"' in sql:
            large.run(
                "UPDATE apart SET note = 'unsettled' || hex(randomblob(30)) WHERE id = 1",
                "UPDATE found SET body = 'searched' || hex(randomblob(30)) WHERE rowid = 1",
            )

    backup, _ = backups.create(over(large, meddle), limits=replace(RANGES, rounds=2), allow_unsettled=True)
    assert {"apart", "found_content"} <= set(backup.manifest.unsettled)
    with backup.unpacked() as path:
        data = path.read_bytes()
    assert b"name 399" in data
    assert b"unsettled" not in data
    assert b"searched" not in data


def test_a_scope_holds_what_it_names_and_all_that_it_references(large: Project) -> None:
    for limits in (None, RANGES):
        backup, _ = backups.create(large.workspace, scope=["Children"], limits=limits)
        assert backup.covers(["children", "parents"])
        assert not backup.covers(["apart"])
        assert set(backup.manifest.left_out) == {"apart", "small"}
        assert rows_of(backup, "SELECT (SELECT count(*) FROM children), (SELECT count(*) FROM apart)") == [(400, 0)]
    with pytest.raises(UsageError, match="no table is named 'nope'"):
        backups.create(large.workspace, scope=["nope"])


def test_what_never_rests_is_left_out_where_a_change_does_not_depend_on_it(large: Project) -> None:
    workspace = never_resting(large, "apart")
    backup, _ = backups.create(workspace, needed=["children"], limits=RANGES)
    assert (backup.manifest.unsettled, backup.manifest.left_out) == (("apart",), ())
    assert backup.covers(["children", "parents", "small"])
    assert backup.manifest.rounds == 2 < RANGES.rounds
    with pytest.raises(BackupRefused, match="apart changed at every one of"):
        backups.create(workspace, needed=["apart"], limits=RANGES)


def test_a_child_whose_parent_is_not_held_is_no_violation_of_the_target(large: Project) -> None:
    workspace = never_resting(large, "parents")
    large.run("ALTER TABLE parents ADD COLUMN note TEXT")
    backup, _ = backups.create(workspace, needed=["apart"], limits=RANGES)
    assert backup.manifest.unsettled == ("parents",)
    assert backup.manifest.violations == ()
    assert backups.verify(large.workspace, backup.id).manifest == backup.manifest


def test_a_part_below_the_budget_is_read_without_asking(large: Project) -> None:
    workspace = replace(large.workspace, backup_max_bytes=90_000)
    with pytest.raises(BackupRefused, match="the target has"):
        backups.create(workspace)
    backup, _ = backups.create(workspace, needed=["apart"], limits=RANGES)
    assert backup.manifest.scope == "1 of 4 tables"
    assert any("1 of 4 tables of a database of" in line for line in large.told)
    backup, _ = backups.create(workspace, needed=["children"])
    assert backup.covers(["children", "parents"])
    assert set(backup.manifest.left_out) == {"apart", "small"}


def test_a_changed_schema_stops_the_backup(large: Project) -> None:
    statements = iter(["CREATE TABLE late (x)"])

    def meddle(sql: str) -> None:
        if "LIMIT" in sql:
            for statement in statements:
                large.run(statement)

    with pytest.raises(BackupRefused, match="the target's schema changed"):
        backups.create(over(large, meddle), limits=RANGES)


def test_over_the_budget_somebody_is_asked(large: Project) -> None:
    asked: list[str] = []

    def agree(question: str) -> bool:
        asked.append(question)
        return len(asked) > 1

    workspace = replace(large.workspace, backup_max_bytes=1000, agree=agree)
    with pytest.raises(BackupRefused, match="more than the 1,000") as refused:
        backups.create(workspace)
    assert refused.value.hint is not None
    assert "--over-budget" in refused.value.hint
    assert "backup.max_bytes" in refused.value.hint
    assert any("at most 1,201 rows" in line for line in large.told)
    backups.create(workspace)
    assert [question.partition(" over ")[2] for question in asked] == ["the budget of 1,000. Read all the same?"] * 2
    backups.create(replace(large.workspace, backup_max_bytes=1000), over_budget=True)


def test_the_estimate_of_rows_that_are_far_apart_is_what_fits_into_the_file(large: Project) -> None:
    large.run(f"INSERT INTO apart VALUES ({2**63 - 1}, 'last'), ({-(2**63)}, 'first')")
    backups.create(replace(large.workspace, backup_max_bytes=1000), over_budget=True)
    size = (large.root / "state" / "dev.sqlite").stat().st_size
    assert any(line.endswith(f"at most {size // 6:,} rows") for line in large.told)


def partials(project: Project) -> list[Path]:
    return [path for path in backups.leftovers(project.workspace) if path.name.endswith(".partial")]


class Stopped(Exception):
    pass


def stopping_at(count: int) -> Callable[[str], None]:
    pages = iter(range(count))

    def meddle(sql: str) -> None:
        if "LIMIT" in sql and "total(" not in sql and next(pages, None) is None:
            raise Stopped

    return meddle


def asked_pages(project: Project) -> tuple[list[str], Callable[[str], None]]:
    found: list[str] = []

    def note(sql: str) -> None:
        if "LIMIT" in sql and "total(" not in sql:
            found.append(sql)

    return found, note


@pytest.mark.parametrize("done", [0.3, 0.6, 0.9], ids=["reading", "proving", "nearly-done"])
def test_an_interrupted_backup_is_gone_on_with(large: Project, done: float) -> None:
    pages, note = asked_pages(large)
    backups.create(over(large, note), limits=RANGES)
    all_pages = len(pages)
    with pytest.raises(Stopped):
        backups.create(over(large, stopping_at(int(all_pages * done))), limits=RANGES)
    (left,) = partials(large)
    assert not backups.is_in_use(left)
    at_work = {thread.name for thread in threading.enumerate()}
    assert at_work.isdisjoint({"d1ops-pages", "d1ops-seal", "d1ops-pack"})
    large.run("UPDATE apart SET note = 'changed' WHERE id = 3")
    pages.clear()
    backup, _ = backups.create(over(large, note), limits=RANGES)
    assert any("going on with what" in line for line in large.told)
    assert all_pages // 2 <= len(pages) < all_pages
    assert partials(large) == []
    with backup.unpacked() as path:
        assert contents_of(path) == contents_of(large.root / "state" / "dev.sqlite")


@pytest.mark.parametrize("damage", ["", "DROP TABLE children", "DROP TABLE small"])
def test_a_copy_without_all_tables_is_not_gone_on_with(large: Project, damage: str) -> None:
    with pytest.raises(Stopped):
        backups.create(over(large, stopping_at(5)), limits=RANGES)
    (left,) = partials(large)
    if damage:
        engine = open_copy(left / "data.sqlite")
        engine.execute(damage)
        engine.close()
    else:
        (left / "data.sqlite").write_bytes(b"")
    backup, _ = backups.create(large.workspace, limits=RANGES)
    assert not any("going on" in line for line in large.told)
    assert partials(large) == []
    with backup.unpacked() as path:
        assert contents_of(path) == contents_of(large.root / "state" / "dev.sqlite")


def test_the_rows_that_a_virtual_table_begins_with_are_not_taken_for_the_targets(large: Project) -> None:
    large.run(
        "CREATE VIRTUAL TABLE found USING fts5(body)",
        "INSERT INTO found SELECT hex(randomblob(90)) FROM parents",
    )
    backup, _ = backups.create(large.workspace, limits=RANGES)
    assert backup.manifest.rounds == 1
    methods = {facts.table: facts.method for facts in backup.manifest.tables}
    assert methods["found_data"] == "key ranges"
    with backup.unpacked() as path:
        assert contents_of(path) == contents_of(large.root / "state" / "dev.sqlite")


def test_fresh_throws_away_what_was_left(large: Project) -> None:
    with pytest.raises(Stopped):
        backups.create(over(large, stopping_at(5)), limits=RANGES)
    large.told.clear()
    backups.create(large.workspace, limits=RANGES, fresh=True)
    assert not any("going on" in line for line in large.told)
    assert partials(large) == []


@pytest.mark.parametrize(("change", "scope"), [("CREATE INDEX late ON parents (name)", None), (None, ["children"])])
def test_another_schema_or_scope_does_not_go_on_with_it_and_removes_it(
    large: Project, change: str | None, scope: list[str] | None
) -> None:
    with pytest.raises(Stopped):
        backups.create(over(large, stopping_at(5)), limits=RANGES)
    if change is not None:
        large.run(change)
    large.told.clear()
    backups.create(large.workspace, scope=scope, limits=RANGES)
    assert not any("going on" in line for line in large.told)
    assert partials(large) == []


def test_another_target_neither_goes_on_with_it_nor_removes_it(large: Project, tmp_path: Path) -> None:
    with pytest.raises(Stopped):
        backups.create(over(large, stopping_at(5)), limits=RANGES)
    with closing(SqliteDatabase(tmp_path / "other.sqlite")) as database:
        backups.create(replace(large.workspace, database=database), fresh=True)
    large.told.clear()
    backups.create(large.workspace, limits=RANGES)
    assert any("going on" in line for line in large.told)


def test_a_running_backup_is_left_alone(large: Project) -> None:
    seen: list[bool] = []

    def meddle(sql: str) -> None:
        if "LIMIT" in sql and "total(" not in sql and '"parents"' in sql and not seen:
            seen.append(False)
            seen[:] = [backups.is_in_use(path) for path in partials(large)]
            assert backups.prune(large.workspace, keep_last=9).leftovers == ()

    backups.create(over(large, meddle), limits=RANGES)
    assert seen == [True]


KILLED = """
import os, signal, sys
from dataclasses import replace
from pathlib import Path
from d1ops.database.sqlite import SqliteDatabase
from d1ops.ops import backup as backups
from tests.ops.test_backup_ranges import RANGES, Meddled
from tests.support.project import Project

pages = iter(range(int(sys.argv[2])))
def meddle(sql):
    if "LIMIT" in sql and next(pages, None) is None:
        os.kill(os.getpid(), signal.SIGKILL)

root = Path(sys.argv[1])
project = Project(root, SqliteDatabase(root / "state" / "dev.sqlite"))
backups.create(replace(project.workspace, database=Meddled(project.database, meddle)), limits=RANGES)
"""


@pytest.mark.parametrize("pages", [1, 8, 16, 24, 28])
def test_a_killed_backup_leaves_what_the_next_one_goes_on_with(large: Project, pages: int) -> None:
    command = [sys.executable, "-c", KILLED, str(large.root), str(pages)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, capture_output=True)
    assert done.returncode == -signal.SIGKILL, done.stderr
    assert backups.listed(large.workspace) == []
    (left,) = backups.leftovers(large.workspace)
    assert not backups.is_in_use(left)
    backup, _ = backups.create(large.workspace, limits=RANGES)
    assert partials(large) == []
    with backup.unpacked() as path:
        assert contents_of(path) == contents_of(large.root / "state" / "dev.sqlite")


def test_rows_without_a_parent_are_kept_and_recorded(large: Project) -> None:
    large.run("PRAGMA defer_foreign_keys = ON", "DELETE FROM children WHERE id > 3")
    engine = open_copy(large.root / "state" / "dev.sqlite")
    with engine.unlimited():
        engine.ask("INSERT INTO children VALUES (500, 12345, 'orphan')")
    engine.close()
    backup, _ = backups.create(large.workspace)
    assert backup.manifest.violations == (backups.Violation("children", "parents", 1),)
    assert backups.verify(large.workspace, backup.id).manifest == backup.manifest


def test_progress_is_shown_and_taken_away(large: Project) -> None:
    shown: list[str] = []
    backups.create(replace(large.workspace, show=shown.append), limits=RANGES)
    assert any(line.startswith("parents: ") and line.endswith("(100 %)") for line in shown)
    assert any(line.startswith("children (proof): ") for line in shown)
    assert shown[-1] == ""


def test_the_disk_is_not_read_by_others(large: Project, tmp_path: Path) -> None:
    backup, _ = backups.create(large.workspace, limits=RANGES)
    folders = {path for path in (tmp_path / ".d1ops").rglob("*") if path.is_dir()}
    assert {path.stat().st_mode & 0o777 for path in folders} == {0o700}
    with backup.unpacked() as path:
        assert path.stat().st_mode & 0o777 == 0o600
    backup.forget()
    assert backups.leftovers(large.workspace) == []
