"""A rehearsal on the target itself: the figures of the clone, and nothing left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from d1ops.core.fingerprint import Salt, content
from d1ops.errors import StatementRejected
from d1ops.ops import in_place, migrate, rollback
from d1ops.ops.change import Prepared
from d1ops.ops.look import look
from d1ops.ops.sample import sample
from tests.contract.test_main_job import CHILDREN, write_rebuild
from tests.support.project import Project

if TYPE_CHECKING:
    from pathlib import Path

    from d1ops.core.plan import Plan
    from tests.contract.conftest import Adapter

SALT = Salt.of("before and after")


@pytest.fixture
def project(tmp_path: Path, database: Adapter) -> Project:
    project = Project(tmp_path, database).use_sample()
    project.migrate()
    sample(database, rows=6, seed=3)
    return project


def plan_of(project: Project, number: str, *, cascade: bool = False) -> Plan:
    found = rollback.plan(project.workspace, look(project.workspace), number, cascade=cascade)
    assert not isinstance(found, rollback.NothingToRollBack)
    return found


def fingerprints(project: Project) -> dict[str, object]:
    """Schema, ledger, history, and the content of every table, as the target computes it."""
    seen = look(project.workspace)
    found: dict[str, object] = {"look": (seen.everything, seen.ledger, seen.history)}
    for table in seen.everything.tables():
        if not table.lower().startswith(("_cf_", "sqlite_")):
            names = project.database.query("SELECT name FROM pragma_table_info(?1)", (table,)).rows
            found[table] = project.database.query(content(table, [str(name) for (name,) in names], SALT)).scalar()
    return found


@pytest.mark.parametrize("pragma", ["", "PRAGMA defer_foreign_keys=ON;\n"])
def test_the_rebuild_of_users_is_measured_and_undone(project: Project, pragma: str) -> None:
    write_rebuild(project, "users", "clerk_id", pragma)
    before = fingerprints(project)
    found = in_place.rehearse(project.workspace, plan_of(project, "7"))
    assert fingerprints(project) == before

    on_clone = rollback.prepare(project.workspace, "7")
    assert isinstance(on_clone, Prepared)
    rows = {loss.table: (loss.rows_before, loss.rows_after, loss.rows_lost) for loss in on_clone.losses}
    assert {loss.table: (loss.rows_before, loss.rows_after, loss.rows_lost) for loss in found.losses} == rows
    assert CHILDREN <= set(found.collateral)
    assert sum(lost for *_, lost in rows.values()) > len(CHILDREN)
    (gone,) = [column for loss in found.losses if loss.table == "users" for column in loss.columns if column.dropped]
    (known,) = [column for loss in on_clone.losses if loss.table == "users" for column in loss.columns]
    assert (gone.column, gone.values_lost) == (known.column, known.values_lost)
    assert (found.dangling, found.moved) == ((), ())
    assert {"users", *CHILDREN} <= set(found.scope)


def test_links_set_to_null_are_counted(project: Project) -> None:
    project.write({"0013_gig_note.sql": "ALTER TABLE gigs ADD COLUMN note TEXT;\n"}, {"0013_rollback.sql": ""})
    project.migrate()
    project.run("DELETE FROM gig_applications", "DELETE FROM gig_favorites")
    write_rebuild(project, "gigs", "note", "", number="0013")
    linked = project.database.query("SELECT count(gig_id) FROM reviews").scalar()
    found = in_place.rehearse(project.workspace, plan_of(project, "13"))
    (loss,) = [loss for loss in found.losses if loss.table == "reviews"]
    assert (loss.rows_lost, [(c.column, c.values_lost) for c in loss.columns]) == (0, [("gig_id", linked)])


def test_a_harmless_rollback_reaches_its_table_and_what_that_references(project: Project) -> None:
    found = in_place.rehearse(project.workspace, plan_of(project, "12"))
    assert (found.losses, found.collateral) == ((), ())


def test_the_whole_cascade_is_one_rehearsal(project: Project) -> None:
    before = fingerprints(project)
    plan = plan_of(project, "1", cascade=True)
    found = in_place.rehearse(project.workspace, plan)
    assert fingerprints(project) == before
    assert {loss.table for loss in found.losses if not loss.exists_after} >= {"users", "artists"}
    assert set(found.scope) >= set(look(project.workspace).schema.tables()) - {"d1_migrations"}


def test_pending_migrations_can_be_rehearsed_in_place(project: Project) -> None:
    project.write({"0013_purge.sql": "DELETE FROM messages;\n", "0014_more.sql": "CREATE TABLE more (id INTEGER);\n"})
    count = project.database.query("SELECT count(*) FROM messages").scalar()
    found = in_place.rehearse(project.workspace, migrate.plan(project.workspace, look(project.workspace)))
    assert [(loss.table, loss.rows_lost) for loss in found.losses] == [("messages", count)]


def test_a_script_that_fails_on_real_rows_is_named_by_place(project: Project) -> None:
    project.write({"0013_unique.sql": "CREATE TABLE ok (id);\nCREATE UNIQUE INDEX one ON users (length(id) * 0);\n"})
    before = fingerprints(project)
    with pytest.raises(StatementRejected, match=r"0013_unique.sql.*UNIQUE constraint failed"):
        in_place.rehearse(project.workspace, migrate.plan(project.workspace, look(project.workspace)))
    assert fingerprints(project) == before


def test_what_would_dangle_is_counted(project: Project) -> None:
    project.write(
        {
            "0013_cut.sql": "PRAGMA defer_foreign_keys=ON;\nUPDATE reviews SET gig_id = 'nobody' WHERE id = (SELECT min(id) FROM reviews);\n"
        }
    )
    found = in_place.rehearse(project.workspace, migrate.plan(project.workspace, look(project.workspace)))
    assert found.dangling == (("reviews", 1),)
