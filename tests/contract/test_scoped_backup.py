"""A change of a database over the budget is rehearsed on a copy of a part as on one of the whole."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from d1ops.core.sql import fold
from d1ops.errors import BackupRefused, LossRefused, TargetMoved
from d1ops.ops import backup as backups
from d1ops.ops import load, migrate, restore, rollback
from d1ops.ops.change import Prepared
from d1ops.ops.look import look
from d1ops.ops.rehearse import clone_of, rehearse_on
from d1ops.ops.sample import sample
from tests.contract.test_main_job import write_rebuild
from tests.support.project import YES, Project, accepting

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from d1ops.ops.workspace import Workspace
    from tests.contract.conftest import Adapter

BUDGET_BYTES = 60_000
"""Less than the database of the sample, more than its rows."""


@pytest.fixture
def project(tmp_path: Path, database: Adapter) -> Project:
    project = Project(tmp_path, database).use_sample()
    project.migrate()
    sample(database, rows=5, seed=7)
    return project


def budgeted(project: Project) -> Workspace:
    """A workspace for which the target is too large to copy whole, and whose salts do not depend on the run."""
    return replace(project.workspace, backup_max_bytes=BUDGET_BYTES, nonce=lambda: "ab" * 12)


def both(project: Project, prepare: Callable[[Workspace], object]) -> tuple[Prepared, Prepared]:
    """The same change prepared with a backup of everything and with one of what it depends on."""
    whole = prepare(replace(budgeted(project), backup_max_bytes=2**40))
    part = prepare(budgeted(project))
    assert isinstance(whole, Prepared)
    assert isinstance(part, Prepared)
    assert whole.backup is not None
    assert part.backup is not None
    assert whole.backup.manifest.scope == "all tables"
    assert part.backup.manifest.scope != "all tables"
    return whole, part


def same(whole: Prepared, part: Prepared) -> None:
    """All that is told of a change, and all that its batch asserts, is the same."""
    assert part.warnings[: -len(whole.warnings) or None] != whole.warnings
    assert [w for w in part.warnings if not w.startswith("the backup holds ")] == list(whole.warnings)
    for name in (
        "losses",
        "expected",
        "collateral",
        "dangling",
        "drift",
        "wrong",
        "data_proved",
        "breakages",
        "schemas",
    ):
        assert getattr(part, name) == getattr(whole, name), name
    for one, other in zip(whole.guards, part.guards, strict=True):
        assert (one.contents, one.changes, one.times) == (other.contents, other.changes, other.times)
        held = {bound.figure.key: bound for bound in other.bounds}
        assert held == {bound.figure.key: bound for bound in one.bounds}


@pytest.mark.parametrize(("number", "cascade"), [("0004", True), ("0007", False)])
def test_a_rollback_is_prepared_alike(project: Project, number: str, *, cascade: bool) -> None:
    whole, part = both(project, lambda workspace: rollback.prepare(workspace, number, cascade=cascade))
    same(whole, part)


def test_a_rebuild_that_cascades_is_refused_alike(project: Project) -> None:
    write_rebuild(project, "users", "clerk_id", "PRAGMA defer_foreign_keys=ON;\n")
    whole, part = both(project, lambda workspace: rollback.prepare(workspace, "7"))
    same(whole, part)
    assert whole.collateral
    with pytest.raises(LossRefused):
        rollback.rollback(project.workspace, part, part.backup, YES)  # type: ignore[arg-type]  # there is one


def test_a_migration_is_prepared_alike_and_made(project: Project) -> None:
    project.write(
        {
            "0013_purge.sql": "DELETE FROM gig_favorites WHERE gig_id IN (SELECT id FROM gigs);\n"
            "UPDATE tracks SET title = title || ' (' || (SELECT count(*) FROM reviews) || ')';\n",
        }
    )
    before = project.rows()
    whole, part = both(project, migrate.prepare)
    same(whole, part)
    assert part.backup is not None
    assert part.backup.covers(["gig_favorites", "gigs", "tracks", "reviews", "artists", "users"])
    assert not part.backup.covers(["cron_logs"])
    migrate.migrate(budgeted(project), part, accepting(",".join(part.collateral)))
    after = project.rows()
    assert after["gig_favorites"] == []
    assert after["tracks"] != before["tracks"]
    changed = {"gig_favorites", "tracks"}
    assert {t: rows for t, rows in after.items() if t not in changed} == {
        t: rows for t, rows in before.items() if t not in changed
    }


def test_a_row_that_comes_meanwhile_still_refuses(project: Project) -> None:
    workspace = budgeted(project)
    prepared = rollback.prepare(workspace, "7")
    assert isinstance(prepared, Prepared)
    assert prepared.backup is not None
    assert prepared.backup.manifest.absent
    project.run("UPDATE users SET clerk_id = 'later' WHERE id = (SELECT min(id) FROM users)")
    with pytest.raises(TargetMoved, match=r"users\.clerk_id"):
        rollback.rollback(workspace, prepared, prepared.backup, accepting(",".join(prepared.collateral)))


def test_what_reaches_outside_is_refused(project: Project) -> None:
    workspace = project.workspace
    project.write({"0013_count.sql": "UPDATE cron_logs SET job_name = (SELECT count(*) FROM users);\n"})
    workspace = project.workspace
    plan = migrate.plan(workspace, look(workspace))
    backup, seen = backups.create(workspace, scope=["cron_logs"])
    with clone_of(backup) as clone, pytest.raises(BackupRefused, match=r"0013_count\.sql depends on users") as refused:
        rehearse_on(clone, backup, plan, workspace, seen)
    assert refused.value.exit_code == 5


def test_over_the_budget_in_part_as_well_somebody_is_asked(project: Project) -> None:
    asked: list[str] = []

    def disagree(question: str) -> bool:
        asked.append(question)
        return False

    workspace = replace(budgeted(project), backup_max_bytes=10, agree=disagree)
    with pytest.raises(BackupRefused, match=r"these tables have .* bytes, more than the 10 that") as refused:
        rollback.prepare(workspace, "7")
    assert len(asked) == 1
    assert refused.value.exit_code == 5
    assert not [line for line in project.told if "restored and equal" in line and " of " in line]


def test_a_rewind_says_of_what_nobody_can_say_what_goes(project: Project) -> None:
    prepared = rollback.prepare(budgeted(project), "7")
    assert isinstance(prepared, Prepared)
    assert prepared.backup is not None
    before = project.rows()
    absent = prepared.backup.manifest.absent
    project.run(f"DELETE FROM {min(absent)}", "UPDATE users SET email = 'x' || email")
    ready = restore.prepare(project.workspace, prepared.backup.id)
    assert ready.unknown == absent
    assert {fold(loss.table) for loss in ready.losses or ()} == {"users"}
    restore.restore(project.workspace, ready, YES)
    assert project.rows() == before


def test_a_part_is_not_loaded_in_the_place_of_the_whole(project: Project) -> None:
    prepared = rollback.prepare(budgeted(project), "7")
    assert isinstance(prepared, Prepared)
    assert prepared.backup is not None
    before = project.rows()
    workspace = project.workspace
    with pytest.raises(BackupRefused, match=r"holds \d+ of \d+ tables.*would leave .* empty"):
        load.prepare(workspace, workspace, prepared.backup.id)
    assert project.rows() == before
