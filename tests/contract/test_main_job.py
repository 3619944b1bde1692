"""The main job, the same on all three databases: the sample marketplace migrated, filled, rolled back and refused."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from d1ops.core.mirror import schema_of
from d1ops.core.replay import replay
from d1ops.errors import LossRefused
from d1ops.ops import backup as backups
from d1ops.ops import restore
from d1ops.ops.look import look
from d1ops.ops.sample import sample
from tests.support.project import YES, Project

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.conftest import Adapter

CHILDREN = {
    "artists", "artist_followers", "tracks", "gigs", "gig_applications", "gig_favorites", "conversations", "messages",
    "folders", "files", "storage_quotas", "reviews", "timeline_entries", "daily_metrics", "violet_usage",
    "contact_lists", "contact_list_members", "broadcast_messages", "journal_entries", "goals",
}  # fmt: skip


@pytest.fixture
def project(tmp_path: Path, database: Adapter) -> Project:
    project = Project(tmp_path, database).use_sample()
    project.migrate()
    sample(database, rows=6, seed=3)
    return project


def test_rollback_0007_takes_its_column_and_index_and_nothing_else(project: Project) -> None:
    before = project.rows(without=("users.clerk_id",))
    applied = project.rollback("0007")
    assert project.rows() == before
    assert [row.name[:4] for row in applied.look.ledger] == [f"{n:04}" for n in range(1, 13) if n != 7]
    others = [m for m in project.workspace.catalog.migrations if m.number != 7]
    replayed = schema_of(replay(others)).users("d1_migrations")
    assert applied.look.schema.fingerprint() == replayed.fingerprint()
    assert project.states()["0007"] == "rolled back"
    assert backups.verify(project.workspace, str(applied.backup_id)).id == applied.backup_id

    project.migrate()
    assert project.states()["0007"] == "applied"
    assert project.rows(without=("users.clerk_id",)) == before


@pytest.mark.parametrize("pragma", ["", "PRAGMA foreign_keys=OFF;\n", "PRAGMA defer_foreign_keys=ON;\n"])
def test_the_rebuild_of_users_is_refused_and_every_child_named(project: Project, pragma: str) -> None:
    write_rebuild(project, "users", "clerk_id", pragma)
    before, seen = project.rows(), look(project.workspace)
    with pytest.raises(LossRefused) as caught:
        project.rollback("0007")
    assert set(caught.value.losses) == CHILDREN
    assert project.rows() == before
    assert look(project.workspace).ledger == seen.ledger
    assert look(project.workspace).everything == seen.everything


def test_the_rebuild_of_a_parent_whose_children_are_set_to_null_is_refused(project: Project) -> None:
    project.write(
        {"0013_gig_note.sql": "ALTER TABLE gigs ADD COLUMN note TEXT;\n"},
        {"0013_rollback.sql": ""},
    )
    project.migrate()
    project.run("DELETE FROM gig_applications", "DELETE FROM gig_favorites")
    write_rebuild(project, "gigs", "note", "", number="0013")
    before = project.rows()
    linked = project.database.query("SELECT count(gig_id) FROM reviews").scalar()
    with pytest.raises(LossRefused) as caught:
        project.rollback("0013")
    assert linked
    assert caught.value.losses == ("reviews.gig_id",)
    assert project.rows() == before


def test_a_rewind_brings_back_what_a_rollback_took(project: Project) -> None:
    before = project.rows()
    applied = project.rollback("0007")
    ready = restore.prepare(project.workspace, str(applied.backup_id))
    restore.restore(project.workspace, ready, YES)
    assert project.rows() == before
    assert set(project.states().values()) == {"applied"}
    assert [e.kind for e in look(project.workspace).history][-2:] == ["rollback", "restore"]


def write_rebuild(project: Project, table: str, column: str, pragma: str, *, number: str = "0007") -> None:
    """A rollback script that rebuilds a table without a column, as textbooks have it."""
    made = look(project.workspace).schema.by_key()[("table", table)].sql or ""
    made = re.sub(rf",\s*{column} TEXT", "", made).replace(f"CREATE TABLE {table}", f"CREATE TABLE {table}_new")
    query = "SELECT name FROM pragma_table_info(?1) WHERE name <> ?2"
    columns = ", ".join(str(name) for (name,) in project.database.query(query, (table, column)).rows)
    project.write(
        {},
        {
            f"{number}_rollback.sql": f"{pragma}{made};\n"
            f"INSERT INTO {table}_new ({columns}) SELECT {columns} FROM {table};\n"
            f"DROP TABLE {table};\nALTER TABLE {table}_new RENAME TO {table};\n"
        },
    )
