"""A backup loaded into a target: empty or not, cut off at every request, and taken up again."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from d1ops.core.restoring import MARK
from d1ops.core.sql import split
from d1ops.database.sqlite import SqliteDatabase
from d1ops.errors import BackupRefused, HumanNeeded, OutcomeUnknown, TargetMoved, Unreachable
from d1ops.ops import backup as backups
from d1ops.ops import load, migrate, rollback
from d1ops.ops.load_mark import under_way
from d1ops.ops.look import look
from tests.contract.test_restoring import RICH, ROWS
from tests.support.delegate import Delegate
from tests.support.project import YES, Project

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from d1ops.core.values import Result, Statement
    from d1ops.database.base import Database


class Cut(Delegate):
    """A database that fails at a chosen batch, before or after it was executed."""

    def __init__(self, inner: Database, at: int, *, after: bool, error: BaseException) -> None:
        super().__init__(inner)
        self.at, self.after, self.error = at, after, error
        self.writes = 0

    def batch(
        self, statements: Sequence[Statement], *, reads_only: bool = False, lossy: bool = False
    ) -> tuple[Result, ...]:
        if reads_only:
            return self.inner.batch(statements, reads_only=True, lossy=lossy)
        self.writes += 1
        if self.writes == self.at and not self.after:
            raise self.error
        result = self.inner.batch(statements, lossy=lossy)
        if self.writes == self.at:
            raise self.error
        return result


@pytest.fixture
def rich(project: Project) -> Project:
    project.write({"0001_rich.sql": RICH}).migrate()
    project.run(*(statement.sql for statement in split(ROWS)))
    return project


def everything(project: Project) -> object:
    counters = "SELECT name, seq FROM sqlite_sequence WHERE name <> 'd1ops_history' ORDER BY 1"
    rows = {name: found for name, found in project.rows().items() if not name.startswith(("words_", "mirrored_"))}
    return look(project.workspace).schema.text(), rows, project.database.query(counters).rows


def spoil(project: Project) -> None:
    """Change what a backup held: rows, the schema, and the ledger."""
    project.run(
        "DELETE FROM users WHERE id = 7",
        "UPDATE log SET what = 'other'",
        "CREATE TABLE new_one (id INTEGER PRIMARY KEY, user_id REFERENCES users(id) ON DELETE CASCADE)",
        "INSERT INTO new_one VALUES (1, 1)",
        "DROP VIEW bosses",
    )
    project.write({"0002_more.sql": "CREATE TABLE more (a);\n"}).migrate()


def back(project: Project, backup_id: str) -> load.Loaded:
    workspace = project.workspace
    return load.load(workspace, load.prepare(workspace, workspace, backup_id), YES)


def test_a_backup_takes_the_place_of_what_is_there(rich: Project) -> None:
    backup, _ = backups.create(rich.workspace)
    before = everything(rich)
    spoil(rich)

    done = back(rich, backup.id)

    assert everything(rich) == before
    seen = look(rich.workspace)
    assert not seen.everything.has_table(MARK)
    assert [(e.kind, e.migration, e.rewound_by is not None) for e in seen.history] == [
        ("migrate", "0001_rich.sql", False),
        ("migrate", "0002_more.sql", True),
        ("restore", None, False),
    ]
    assert rich.states()["0001"] == "applied"
    assert rich.states()["0002"] == "pending"
    rich.database.restore(done.undo)
    assert "new_one" in rich.rows()


def test_what_would_be_lost_is_measured_first(rich: Project) -> None:
    backup, _ = backups.create(rich.workspace)
    spoil(rich)
    workspace = rich.workspace

    prepared = load.prepare(workspace, workspace, backup.id)

    assert {name for loss in prepared.losses for name in loss.losses} == {
        "new_one",
        "log.what",
        "mirrored.what",
    }
    assert prepared.before is not None


def test_an_empty_target_needs_no_backup(rich: Project, tmp_path: Path) -> None:
    backup, _ = backups.create(rich.workspace)
    before = everything(rich)
    fresh = Project(rich.root, SqliteDatabase(tmp_path / "fresh.sqlite"), first_nonce=1000)
    workspace = fresh.workspace

    prepared = load.prepare(workspace, load.source_of(workspace, "dev"), backup.id)
    done = load.load(workspace, prepared, YES)

    assert prepared.before is None
    assert done.rows == backup.manifest.rows
    assert everything(fresh) == before
    fresh.database.close()


def test_a_row_written_meanwhile_stops_it_before_anything_is_removed(rich: Project) -> None:
    backup, _ = backups.create(rich.workspace)
    workspace = rich.workspace
    prepared = load.prepare(workspace, workspace, backup.id)
    rich.run("INSERT INTO log VALUES ('later', 'a row')")
    before = everything(rich)

    with pytest.raises(TargetMoved):
        load.load(workspace, prepared, YES)

    assert everything(rich) == before


def cut_off(rich: Project, at: int, *, after: bool, error: BaseException) -> tuple[object, object]:
    """Load with a failure at one write; go on where it stopped. Returns what was and what is."""
    backup, _ = backups.create(rich.workspace)
    before = everything(rich)
    spoil(rich)
    workspace = rich.workspace
    prepared = load.prepare(workspace, workspace, backup.id)
    real = rich.database
    rich.database = Cut(real, at, after=after, error=error)
    try:
        load.load(rich.workspace, prepared, YES)
    except (HumanNeeded, OutcomeUnknown, Unreachable, KeyboardInterrupt):
        rich.database = real
        workspace = rich.workspace
        mark = under_way(workspace, look(workspace))
        if mark is not None:
            with pytest.raises(HumanNeeded, match="restore is under way"):
                migrate.prepare(workspace)
            with pytest.raises(HumanNeeded, match="restore is under way"):
                rollback.prepare(workspace, "1")
            load.resume(workspace, workspace, mark)
        else:
            load.load(workspace, load.prepare(workspace, workspace, backup.id), YES)
    rich.database = real
    return before, everything(rich)


@pytest.mark.parametrize("at", [1, 2, 3, 5, 8, 12, 15, 18, 22, 26, 29, 31, 32, 33])
def test_a_load_cut_off_anywhere_goes_on(rich: Project, at: int) -> None:
    before, after = cut_off(rich, at, after=at % 2 == 0, error=KeyboardInterrupt())

    assert after == before


@pytest.mark.parametrize("at", [1, 6, 14, 17, 32])
@pytest.mark.parametrize("after", [False, True])
def test_a_lost_answer_is_never_written_twice(rich: Project, at: int, after: bool) -> None:
    before, now = cut_off(rich, at, after=after, error=OutcomeUnknown("the answer was lost"))

    assert now == before
    assert [e.kind for e in look(rich.workspace).history].count("restore") == 1


def test_a_load_can_be_taken_back_half_way(rich: Project) -> None:
    backup, _ = backups.create(rich.workspace)
    spoil(rich)
    before = everything(rich)
    workspace = rich.workspace
    prepared = load.prepare(workspace, workspace, backup.id)
    real = rich.database
    rich.database = Cut(real, 12, after=True, error=Unreachable("gone"))
    with pytest.raises(HumanNeeded, match="stopped half way") as caught:
        load.load(rich.workspace, prepared, YES)
    rich.database = real
    mark = under_way(rich.workspace, look(rich.workspace))
    assert mark is not None
    assert mark.bookmark in (caught.value.hint or "")

    real.restore(mark.bookmark)

    assert everything(rich) == before


INDEXED = """
CREATE TABLE posts (id INTEGER PRIMARY KEY, body TEXT);
CREATE VIRTUAL TABLE found USING fts5(body, content='posts', content_rowid='id');
"""


def test_a_full_text_index_finds_what_it_found(project: Project) -> None:
    project.write({"0001_posts.sql": INDEXED}).migrate()
    project.run("INSERT INTO posts VALUES (1, 'alpha'), (2, 'beta')", "INSERT INTO found (found) VALUES ('rebuild')")
    backup, _ = backups.create(project.workspace)

    back(project, backup.id)

    assert project.database.query("SELECT rowid FROM found WHERE found MATCH 'beta'").rows == ((2,),)


class Forgetful(Delegate):
    """A database that builds no full-text index, and says that it did."""

    def batch(
        self, statements: Sequence[Statement], *, reads_only: bool = False, lossy: bool = False
    ) -> tuple[Result, ...]:
        kept = [statement for statement in statements if "'rebuild'" not in statement.sql]
        return self.inner.batch(kept, reads_only=reads_only, lossy=lossy)


def test_a_full_text_index_that_is_not_filled_is_noticed(project: Project) -> None:
    project.write({"0001_posts.sql": INDEXED}).migrate()
    project.run("INSERT INTO posts VALUES (1, 'alpha')", "INSERT INTO found (found) VALUES ('rebuild')")
    backup, _ = backups.create(project.workspace)
    project.database = Forgetful(project.database)

    with pytest.raises(HumanNeeded, match="the full-text index found does not fit its rows"):
        back(project, backup.id)


def test_an_index_that_did_not_fit_in_the_backup_does_not_stop_a_load(project: Project) -> None:
    project.write({"0001_posts.sql": INDEXED}).migrate()
    project.run("INSERT INTO posts VALUES (1, 'alpha'), (2, 'beta')", "INSERT INTO found (rowid, body) VALUES (2, 'b')")
    backup, _ = backups.create(project.workspace)

    back(project, backup.id)

    assert any("found did not fit its rows in the backup" in line for line in project.told)
    assert project.database.query("SELECT rowid FROM found WHERE found MATCH 'alpha OR beta'").rows == ((2,),)


def test_a_full_text_index_without_contents_is_refused_before_anything_is_removed(project: Project) -> None:
    project.run("CREATE VIRTUAL TABLE f USING fts5(a, content='')", "INSERT INTO f (rowid, a) VALUES (1, 'x')")
    backup, _ = backups.create(project.workspace)
    workspace = project.workspace

    with pytest.raises(BackupRefused, match="f is a full-text index without contents"):
        load.prepare(workspace, workspace, backup.id)
