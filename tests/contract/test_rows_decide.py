"""A migration that runs because of rows that are there, or fails because of them: an empty schema proves neither."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from d1ops.errors import LossRefused, StatementRejected, StructureRefused
from d1ops.ops import drift, in_place, migrate, preview
from d1ops.ops.look import look
from tests.support.project import Project

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.conftest import Adapter

BASE = """
CREATE TABLE roles (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
CREATE TABLE grants (id INTEGER PRIMARY KEY, role INTEGER NOT NULL REFERENCES roles (id), what TEXT);
CREATE TABLE days (n INTEGER CHECK (n > 0));
CREATE TABLE texts (j TEXT);
CREATE TRIGGER known BEFORE INSERT ON texts WHEN (SELECT count(*) FROM roles) = 0
BEGIN SELECT RAISE(ABORT, 'there are no roles'); END;
"""
ADMIN = "(SELECT id FROM roles WHERE name = 'admin')"
NEEDY = {
    "a foreign key": "INSERT INTO grants VALUES (1, 1, 'all');\n",
    "NOT NULL": f"INSERT INTO grants (role) VALUES ({ADMIN});\n",
    "a new table": "CREATE TABLE bans (role INTEGER REFERENCES roles (id));\nINSERT INTO bans VALUES (1);\n",
    "a foreign key at the end": "PRAGMA defer_foreign_keys = ON;\nINSERT INTO grants VALUES (1, 1, 'all');\n",
    "a trigger": "INSERT INTO texts VALUES ('[]');\n",
    "CHECK": "INSERT INTO days SELECT count(*) FROM roles;\n",
    "a function": f"SELECT json(CASE WHEN {ADMIN} THEN '[]' ELSE 'no admin' END);\n",
}


@pytest.fixture
def project(tmp_path: Path, database: Adapter) -> Project:
    project = Project(tmp_path, database).write({"0001_base.sql": BASE})
    project.migrate()
    # The engine keeps what another test set on its connection.
    project.run("PRAGMA ignore_check_constraints = OFF", "INSERT INTO roles VALUES (1, 'admin')")
    return project


def rehearsed_in_place(project: Project) -> in_place.InPlace:
    seen = look(project.workspace)
    return in_place.rehearse(project.workspace, migrate.plan(project.workspace, seen), seen)


@pytest.mark.parametrize("script", NEEDY.values(), ids=NEEDY)
def test_it_runs_where_the_rows_are(project: Project, script: str) -> None:
    project.write({"0002_needy.sql": script})
    rehearsed_in_place(project)
    seen = look(project.workspace)
    file = preview.find_file(project.workspace, seen, "needy.sql", script.encode())
    assert preview.prepare(project.workspace, file, seen).backup is not None

    applied = project.migrate()

    assert applied.backup_id is not None
    assert project.states() == {"0001": "applied", "0002": "applied"}


@pytest.mark.parametrize("script", NEEDY.values(), ids=NEEDY)
def test_it_is_refused_where_they_are_not(project: Project, script: str) -> None:
    project.run("DELETE FROM roles")
    project.write({"0002_needy.sql": script})
    before = look(project.workspace)
    with pytest.raises(StatementRejected, match=r"0002_needy.sql:\d|0002_needy.sql: the script fails at its end"):
        project.migrate()
    if "defer" in script:
        assert rehearsed_in_place(project).dangling == (("grants", 1),)
    else:
        with pytest.raises(StatementRejected, match=r"0002_needy.sql"):
            rehearsed_in_place(project)
    after = look(project.workspace)
    assert (after.everything, after.ledger, after.history) == (before.everything, before.ledger, before.history)


def test_what_comes_behind_it_is_judged_on_the_schema_that_it_makes(project: Project) -> None:
    project.write(
        {
            "0002_seeds.sql": "CREATE TABLE a (id INTEGER PRIMARY KEY);\n"
            "CREATE TABLE b (a INTEGER REFERENCES a (id));\nINSERT INTO a VALUES (1);\nINSERT INTO b VALUES (1);\n",
            "0003_needy.sql": "CREATE TABLE made (role INTEGER NOT NULL);\n"
            f"INSERT INTO made VALUES ({ADMIN});\nALTER TABLE made ADD COLUMN more TEXT;\n",
            "0004_later.sql": "UPDATE made SET more = 'x';\nCREATE INDEX made_more ON made (more);\n"
            "DELETE FROM b;\nDELETE FROM a;\nDROP TABLE a;\nCREATE TABLE last (id INTEGER);\n",
            "0005_last.sql": "INSERT INTO last SELECT role FROM made;\nINSERT INTO grants VALUES (1, 1, 'all');\n",
        }
    )
    rehearsed_in_place(project)

    project.migrate(accept="a")

    assert set(project.states().values()) == {"applied"}
    rows = project.rows()
    assert (rows["made"], rows["last"], rows["grants"]) == ([(1, "x")], [(1,)], [(1, 1, "all")])


def test_a_mistake_behind_it_is_found_with_nothing_asked_of_the_target(project: Project) -> None:
    project.write({"0002_needy.sql": NEEDY["NOT NULL"], "0003_wrong.sql": "SELECT 1;\nUPDATE grants SET nope = 1;\n"})
    seen = look(project.workspace)
    asked = project.database.requests
    with pytest.raises(StatementRejected, match=r"0003_wrong.sql:2:1: no such column: nope"):
        migrate.prepare(project.workspace, seen=seen)
    assert project.database.requests == asked


def test_it_is_taken_back_and_so_are_others_beside_it(project: Project) -> None:
    project.write(
        {
            "0002_needy.sql": NEEDY["a new table"],
            "0003_more.sql": "ALTER TABLE roles ADD COLUMN more TEXT;\nCREATE INDEX grants_role ON grants (role);\n",
            "0004_needy.sql": NEEDY["NOT NULL"],
        },
        {
            "0002_rollback.sql": "DROP TABLE bans;\n",
            "0003_rollback.sql": "DROP INDEX grants_role;\nALTER TABLE roles DROP COLUMN more;\n",
            "0004_rollback.sql": "DELETE FROM grants;\n",
        },
    )
    project.migrate()
    assert drift.find(project.workspace, look(project.workspace)).is_clean

    project.rollback("3")
    project.rollback("2", accept="bans")
    with pytest.raises(LossRefused, match="grants"):  # Whose rows these are, no replay can tell.
        project.rollback("4")
    project.rollback("4", accept="grants")

    assert project.states() == {"0001": "applied", **dict.fromkeys(("0002", "0003", "0004"), "rolled back")}
    assert set(look(project.workspace).schema.tables()) == {"roles", "grants", "days", "texts"}
    assert project.rows()["roles"] == [(1, "admin")]


def test_one_that_later_ones_need_is_still_refused(project: Project) -> None:
    project.write(
        {"0002_needy.sql": NEEDY["a new table"], "0003_later.sql": "CREATE INDEX bans_role ON bans (role);\n"},
        {"0002_rollback.sql": "DROP TABLE bans;\n"},
    )
    project.migrate()
    with pytest.raises(StructureRefused, match="later migrations need 0002"):
        project.rollback("2", accept="bans")
