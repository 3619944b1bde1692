"""A database that nobody has adopted yet has no ledger: restored, it has none either, and is as its backup."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from d1ops.core.restoring import MARK
from d1ops.core.values import Statement
from d1ops.errors import HumanNeeded, StatementRejected, Unreachable
from d1ops.ops import backup as backups
from d1ops.ops import load, restore
from d1ops.ops.load_mark import under_way
from d1ops.ops.look import look
from tests.support.delegate import Delegate
from tests.support.project import YES, Project

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from d1ops.core.values import Result
    from d1ops.ops.backup import VerifiedBackup
    from tests.contract.conftest import Adapter


class Ending(Delegate):
    """A database that cannot be reached any more once the mark of a load is to go."""

    def batch(
        self, statements: Sequence[Statement], *, reads_only: bool = False, lossy: bool = False
    ) -> tuple[Result, ...]:
        if any(statement.sql == f"DROP TABLE {MARK}" for statement in statements):
            raise Unreachable("gone")
        return self.inner.batch(statements, reads_only=reads_only, lossy=lossy)


class Failing(Delegate):
    """A database where the rows of a load are refused once they are written."""

    def batch(
        self, statements: Sequence[Statement], *, reads_only: bool = False, lossy: bool = False
    ) -> tuple[Result, ...]:
        given: list[Statement] = []
        for statement in statements:
            is_row = statement.sql.startswith('INSERT INTO "c"')
            given += [statement, Statement("SELECT * FROM nowhere")] if is_row else [statement]
        return self.inner.batch(given, reads_only=reads_only, lossy=lossy)


@pytest.fixture
def project(tmp_path: Path, database: Adapter) -> Project:
    project = Project(tmp_path, database)
    project.run("CREATE TABLE t (id INTEGER PRIMARY KEY, v)", "INSERT INTO t VALUES (1, 2)")
    return project


@pytest.fixture
def backup(project: Project) -> VerifiedBackup:
    backup, _ = backups.create(project.workspace)
    return backup


def adopt(project: Project) -> None:
    """Migrate it, so that there are a ledger, a history and other rows."""
    project.write({"0001_w.sql": "ALTER TABLE t ADD COLUMN w;\nUPDATE t SET w = 1;\n"}).migrate()


def require_as_before(project: Project) -> None:
    seen = look(project.workspace)
    assert seen.schema.tables() == ("t",)
    assert not seen.has_ledger
    assert not seen.everything.has_table(MARK)
    assert project.rows() == {"t": [(1, 2)]}
    assert seen.history[-1].kind == "restore"


def test_it_is_loaded_in_place_of_another(project: Project, backup: VerifiedBackup) -> None:
    adopt(project)
    workspace = project.workspace

    done = load.load(workspace, load.prepare(workspace, workspace, backup.id), YES)

    require_as_before(project)
    first, last = look(project.workspace).history
    assert (first.migration, first.ledger_id, first.rewound_by) == ("0001_w.sql", 1, done.event.nonce)
    assert last.nonce == done.event.nonce
    assert project.states() == {"0001": "pending"}
    project.migrate()
    assert project.states() == {"0001": "applied"}


def test_a_load_that_stopped_at_its_end_is_finished(project: Project, backup: VerifiedBackup) -> None:
    workspace = project.workspace
    prepared = load.prepare(workspace, workspace, backup.id)
    real, project.database = project.database, Ending(project.database)
    with pytest.raises(HumanNeeded, match="everything is written, the mark is still there"):
        load.load(project.workspace, prepared, YES)
    project.database = real

    workspace = project.workspace
    mark = under_way(workspace, look(workspace))
    assert mark is not None
    load.resume(workspace, workspace, mark)

    require_as_before(project)


def test_a_rewind_makes_no_ledger(project: Project, backup: VerifiedBackup) -> None:
    adopt(project)
    workspace = project.workspace

    done = restore.restore(workspace, restore.prepare(workspace, backup.id), YES)

    require_as_before(project)
    assert [event.kind for event in done.look.history] == ["migrate", "restore"]
    project.migrate()
    assert project.states() == {"0001": "applied"}


def test_constraints_hold_again_after_a_load(project: Project) -> None:
    project.run("CREATE TABLE c (n INTEGER CHECK (n > 0))", "INSERT INTO c VALUES (1)")
    workspace = project.workspace
    backup, _ = backups.create(workspace)
    load.load(workspace, load.prepare(workspace, workspace, backup.id), YES)
    with pytest.raises(StatementRejected, match="CHECK constraint failed"):
        project.run("INSERT INTO c VALUES (0)")


def test_constraints_hold_again_after_a_load_that_failed_half_way(project: Project) -> None:
    project.run("CREATE TABLE c (n INTEGER CHECK (n > 0))", "INSERT INTO c VALUES (1)")
    backup, _ = backups.create(project.workspace)
    prepared = load.prepare(project.workspace, project.workspace, backup.id)
    real, project.database = project.database, Failing(project.database)
    with pytest.raises(HumanNeeded, match=r"the restore stopped half way: .*no such table: nowhere"):
        load.load(project.workspace, prepared, YES)
    project.database = real
    with pytest.raises(StatementRejected, match="CHECK constraint failed"):
        project.run("INSERT INTO c VALUES (0)")
