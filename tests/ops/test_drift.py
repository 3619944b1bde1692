"""Drift: the target compared with a replay of its ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d1ops.core.lint.report import lint
from d1ops.database.sqlite import SqliteDatabase
from d1ops.errors import LedgerRefused, StructureRefused
from d1ops.ops import drift
from d1ops.ops.look import look
from tests.support.project import Project

if TYPE_CHECKING:
    from pathlib import Path


def find(project: Project) -> drift.Drift:
    workspace = project.workspace
    return drift.find(workspace, look(workspace))


def changes(project: Project) -> dict[str, str]:
    found = find(project)
    return {d.label: d.change for d in (*found.differences, *found.reordered)}


def test_what_the_migrations_made_is_clean(filled: Project) -> None:
    assert find(filled).is_clean
    filled.rollback("3")
    assert find(filled).is_clean


CHANGES = {
    "CREATE INDEX by_hand ON users (email)": {"index by_hand": "extra"},
    "DROP INDEX artists_user": {"index artists_user": "missing"},
    "ALTER TABLE users ADD COLUMN phone TEXT": {"table users": "different"},
    "CREATE VIEW v AS SELECT 1": {"view v": "extra"},
    "CREATE TRIGGER t AFTER INSERT ON users BEGIN SELECT 1; END": {"trigger t": "extra"},
    "DROP TABLE reviews": {"table reviews": "missing"},
}


@given(st.sets(st.sampled_from(sorted(CHANGES))))
@settings(max_examples=15, deadline=None)
def test_every_change_by_hand_is_named_and_nothing_else(
    tmp_path_factory: pytest.TempPathFactory, made: set[str]
) -> None:
    folder: Path = tmp_path_factory.mktemp("drift")
    database = SqliteDatabase(folder / "dev.sqlite")
    project = Project(folder, database).write(
        {
            "0001_base.sql": "CREATE TABLE users (id TEXT PRIMARY KEY, email TEXT);\n"
            "CREATE TABLE artists (id TEXT, user_id TEXT);\nCREATE TABLE reviews (id TEXT);\n",
            "0002_index.sql": "CREATE INDEX artists_user ON artists (user_id);\n",
        }
    )
    project.migrate()
    project.run(*sorted(made))

    expected = {label: change for sql in made for label, change in CHANGES[sql].items()}

    assert changes(project) == expected
    if made:
        workspace = project.workspace
        found = drift.find(workspace, look(workspace))
        if any(label != "table users" for label in expected):
            mend = drift.mend(found, look(workspace).schema)
            assert set(mend.left) == {label for label in expected if label == "table users"}
            project.write({"0003_back.sql": mend.text}, {"0003_rollback.sql": drift.UNDOES_NOTHING})
            rules = {finding.rule for finding in lint(project.workspace.catalog).findings}
            assert not rules & {"if-not-exists", "ignore-comment"}
            project.migrate(accept="by_hand")
            assert changes(project).keys() == set(mend.left)
        else:
            with pytest.raises(StructureRefused, match="table users"):
                drift.mend(found, look(workspace).schema)
    database.close()


def test_both_texts_are_at_hand(filled: Project) -> None:
    filled.run("DROP INDEX artists_user", "CREATE INDEX artists_user ON artists (user_id DESC)")

    (difference,) = find(filled).differences

    assert difference.before == "CREATE INDEX artists_user ON artists (user_id)"
    assert difference.after == "CREATE INDEX artists_user ON artists (user_id DESC)"


def test_the_order_of_columns_is_told_apart(project: Project) -> None:
    project.write({"0001_base.sql": "CREATE TABLE t (a TEXT, b TEXT);\n"}).migrate()
    project.run("DROP TABLE t", "CREATE TABLE t (b TEXT, a TEXT)")

    found = find(project)

    assert found.is_clean
    assert [d.label for d in found.reordered] == ["table t"]


def test_a_table_that_no_migration_makes_is_never_dropped(filled: Project) -> None:
    filled.run("CREATE TABLE by_hand (a)", "INSERT INTO by_hand VALUES (1)", "CREATE INDEX of_hand ON by_hand (a)")
    with pytest.raises(StructureRefused, match="table by_hand"):
        drift.mend(find(filled), look(filled.workspace).schema)
    filled.run("CREATE INDEX stray ON users (email)")

    mend = drift.mend(find(filled), look(filled.workspace).schema)

    assert mend.left == ("table by_hand",)
    assert mend.statements == ("DROP INDEX IF EXISTS stray",)


def test_without_the_files_nobody_can_say(filled: Project) -> None:
    (filled.root / "db" / "migrations" / "0003_index.sql").unlink()
    (filled.root / "db" / "rollbacks" / "0003_rollback.sql").unlink()

    with pytest.raises(LedgerRefused, match=r"0003_index\.sql is applied and its file is missing"):
        find(filled)


def test_a_ledger_that_does_not_run_is_refused(project: Project) -> None:
    project.write({"0001_a.sql": "CREATE TABLE t (a);\n", "0002_b.sql": "CREATE INDEX i ON t (a);\n"}).migrate()
    project.run("DELETE FROM d1ops_history", "UPDATE d1_migrations SET id = 10 WHERE name = '0001_a.sql'")

    with pytest.raises(StructureRefused, match="no such table"):
        find(project)
