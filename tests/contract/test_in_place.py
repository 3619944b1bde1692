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
def market(tmp_path: Path, database: Adapter) -> Project:
    """The sample database, with rows."""
    project = Project(tmp_path, database).use_sample()
    project.migrate()
    sample(database, rows=4, seed=3)
    return project


@pytest.fixture
def project(tmp_path: Path, database: Adapter) -> Project:
    project = Project(tmp_path, database).write(
        {
            "0001_base.sql": "CREATE TABLE gigs (id INTEGER PRIMARY KEY, name TEXT);\n"
            "CREATE TABLE reviews (id INTEGER PRIMARY KEY, gig_id REFERENCES gigs (id) ON DELETE SET NULL);\n"
            "CREATE TABLE apart (id INTEGER PRIMARY KEY);\n",
            "0002_note.sql": "ALTER TABLE gigs ADD COLUMN note TEXT;\n",
        },
        {
            "0001_rollback.sql": "DROP TABLE apart;\nDROP TABLE reviews;\nDROP TABLE gigs;\n",
            "0002_rollback.sql": "ALTER TABLE gigs DROP COLUMN note;\n",
        },
    )
    project.migrate()
    project.run(
        "INSERT INTO gigs VALUES (1, 'a', 'x'), (2, 'b', NULL)", "INSERT INTO reviews VALUES (1, 1), (2, 2), (3, NULL)"
    )
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


def test_the_rebuild_of_users_is_measured_and_undone(market: Project) -> None:
    before = fingerprints(market)
    write_rebuild(market, "users", "clerk_id", "PRAGMA defer_foreign_keys=ON;\n")
    deferred = in_place.rehearse(market.workspace, plan_of(market, "7"))
    write_rebuild(market, "users", "clerk_id", "")
    found = in_place.rehearse(market.workspace, plan_of(market, "7"))
    assert fingerprints(market) == before

    on_clone = rollback.prepare(market.workspace, "7")
    assert isinstance(on_clone, Prepared)
    rows = {loss.table: (loss.rows_before, loss.rows_after, loss.rows_lost) for loss in on_clone.losses}
    for each in (found, deferred):
        assert {loss.table: (loss.rows_before, loss.rows_after, loss.rows_lost) for loss in each.losses} == rows
    assert set(found.collateral) >= CHILDREN
    assert sum(lost for *_, lost in rows.values()) > len(CHILDREN)
    (gone,) = [column for loss in found.losses if loss.table == "users" for column in loss.columns if column.dropped]
    (known,) = [column for loss in on_clone.losses if loss.table == "users" for column in loss.columns]
    assert (gone.column, gone.values_lost) == (known.column, known.values_lost)
    assert (found.dangling, found.moved) == ((), ())
    assert set(found.scope) >= {"users", *CHILDREN}


def test_links_set_to_null_are_counted(project: Project) -> None:
    write_rebuild(project, "gigs", "note", "", number="0002")
    found = in_place.rehearse(project.workspace, plan_of(project, "2"))
    (loss,) = [loss for loss in found.losses if loss.table == "reviews"]
    assert (loss.rows_lost, [(c.column, c.values_lost) for c in loss.columns]) == (0, [("gig_id", 2)])
    assert (found.reached, found.scope) == (("gigs", "reviews"), ("gigs", "reviews"))


def test_a_column_that_goes_is_counted_by_its_values(project: Project) -> None:
    found = in_place.rehearse(project.workspace, plan_of(project, "2"))
    assert [(loss.table, loss.losses) for loss in found.losses] == [("gigs", ("gigs.note",))]
    assert found.collateral == ("gigs.note",)


def test_the_whole_cascade_is_one_rehearsal(project: Project) -> None:
    before = fingerprints(project)
    found = in_place.rehearse(project.workspace, plan_of(project, "1", cascade=True))
    assert fingerprints(project) == before
    assert [(loss.table, loss.rows_lost, loss.exists_after) for loss in found.losses] == [
        ("gigs", 2, False),
        ("reviews", 3, False),
        ("apart", 0, False),
    ]


def test_pending_migrations_can_be_rehearsed_in_place(project: Project) -> None:
    project.write({"0003_purge.sql": "DELETE FROM reviews;\n", "0004_more.sql": "CREATE TABLE more (id INTEGER);\n"})
    found = in_place.rehearse(project.workspace, migrate.plan(project.workspace, look(project.workspace)))
    assert [(loss.table, loss.rows_lost) for loss in found.losses] == [("reviews", 3)]
    assert found.scope == ("gigs", "reviews")


def test_a_script_that_fails_on_real_rows_is_named_by_place(project: Project) -> None:
    project.write({"0003_unique.sql": "CREATE TABLE ok (id);\nCREATE UNIQUE INDEX one ON gigs (id * 0);\n"})
    before = fingerprints(project)
    with pytest.raises(StatementRejected, match=r"0003_unique.sql.*UNIQUE constraint failed"):
        in_place.rehearse(project.workspace, migrate.plan(project.workspace, look(project.workspace)))
    assert fingerprints(project) == before


def test_what_would_dangle_is_counted(project: Project) -> None:
    project.write({"0003_cut.sql": "PRAGMA defer_foreign_keys=ON;\nUPDATE reviews SET gig_id = 9 WHERE id = 1;\n"})
    found = in_place.rehearse(project.workspace, migrate.plan(project.workspace, look(project.workspace)))
    assert found.dangling == (("reviews", 1),)
