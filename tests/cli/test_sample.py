"""The main job on the sample marketplace: as a person runs it."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from d1ops.cli import tour
from d1ops.core.mirror import schema_of
from d1ops.core.replay import replay
from d1ops.core.schema import SELECT_OBJECTS, Schema, diff
from d1ops.database.sqlite import SqliteDatabase
from d1ops.ops.workspace import read_catalog
from tests.cli.test_reference import is_described, leaves, sections

if TYPE_CHECKING:
    from pathlib import Path

    from d1ops.core.values import Row
    from tests.cli.shell import Shell

FILE = ".d1ops/dev.sqlite"


def rows(shell: Shell) -> dict[str, list[Row]]:
    """Every row of every table of the user, without the column that 0007 makes."""
    found: dict[str, list[Row]] = {}
    with closing(SqliteDatabase(shell.root / FILE)) as database:
        for table in Schema.from_rows(database.query(SELECT_OBJECTS).rows).users("d1_migrations").tables():
            names = [str(row[0]) for row in database.query("SELECT name FROM pragma_table_info(?1)", (table,)).rows]
            cells = ", ".join(f'quote("{name}")' for name in names if name != "clerk_id")
            found[table] = sorted(database.query(f'SELECT {cells} FROM "{table}"').rows, key=repr)
    return found


@pytest.fixture
def marketplace(sample: Shell) -> Shell:
    sample.ok("migrate", "--env", "dev", "--yes")
    sample.ok("sample", "--rows", "30", "--seed", "7", "--yes")
    return sample


def test_rollback_0007_takes_its_own_and_nothing_else(marketplace: Shell) -> None:
    before = rows(marketplace)
    ended = marketplace.ok("rollback", "0007", "--env", "dev", "--yes")
    assert rows(marketplace) == before
    assert sum(map(len, before.values())) > 800
    catalog = read_catalog(marketplace.root, "db/migrations", "db/rollbacks")
    with closing(replay(m for m in catalog.migrations if m.number != 7)) as engine:
        expected = schema_of(engine).users("d1_migrations")
    with closing(SqliteDatabase(marketplace.root / FILE)) as database:
        now = Schema.from_rows(database.query(SELECT_OBJECTS).rows).users("d1_migrations")
        names = [row[0] for row in database.query("SELECT name FROM d1_migrations ORDER BY id").rows]
    assert diff(expected, now) == ()
    assert names == [m.file for m in catalog.migrations if m.number != 7]
    assert "undo      d1ops restore " in ended.out
    assert "manifest.json" in ended.out
    assert "0007 is now pending again" in ended.out
    marketplace.ok("migrate", "--env", "dev", "--yes")
    assert rows(marketplace) == before
    assert marketplace.ok("status", "--exit-code").code == 0


@pytest.mark.parametrize("prefix", ["", "PRAGMA foreign_keys = OFF;\n", "PRAGMA defer_foreign_keys = ON;\n"])
def test_the_rebuild_of_users_is_refused_with_every_table_named(marketplace: Shell, prefix: str) -> None:
    script = tour.dangerous_script(marketplace.root).partition("\n")[2]
    marketplace.rollback("0007_rollback.sql", prefix + script)
    before = rows(marketplace)
    refused = marketplace("rollback", "0007", "--env", "dev", "--yes", "--format", "json")
    assert refused.code == 5
    document = refused.json
    emptied = {row["table"] for row in document["blast_radius"] if row["rows_lost"]}
    assert {"artists", "tracks", "gigs", "messages", "files", "reviews"} <= emptied
    assert emptied == set(document["refused"]["losses"])
    for row in document["blast_radius"]:
        if row["rows_lost"]:
            assert row["rows_lost"] == row["rows_before"] == len(before[row["table"]])
            assert row["causes"][0]["path"][0] == "users"
    assert rows(marketplace) == before


def test_all_rollbacks_of_the_sample_lose_what_their_migrations_made(marketplace: Shell) -> None:
    document = marketplace.ok("rehearse", "1", "--cascade", "--format", "json").json
    assert len(document["plan"]) == 12
    assert document["collateral"] == []
    assert len(document["expected"]) >= 25


def test_the_audit_finds_the_one_foreign_key_and_its_remedy_mends_it(sample: Shell) -> None:
    sample.ok("migrate", "--to", "0011", "--yes")
    found = sample("audit", "--format", "json")
    assert found.code == 1
    (finding,) = found.json["findings"]
    assert (finding["rule"], finding["table"], finding["columns"]) == (
        "foreign-key-without-index",
        "reviews",
        ["reviewer_user_id"],
    )
    assert found.json["summary"]["indexed_foreign_keys"] == 28
    text = sample("audit", "--fail-on", "never")
    assert text.code == 0
    assert finding["fix_sql"] in text.out
    assert "28 of 29 foreign keys indexed" in text.out
    sample.ok("migrate", "--yes")
    assert sample.ok("audit").out == "29 of 29 foreign keys indexed; 20 queries, 0 with a full scan; 0 findings\n"


def test_docs_are_written_and_checked(project: Shell) -> None:
    missing = project("docs", "--check")
    assert missing.code == 1
    assert "does not exist" in missing.err
    assert project.ok("docs").out == "docs/MIGRATION_ROLLBACK.md written\n"
    assert project.ok("docs", "--check").out == "docs/MIGRATION_ROLLBACK.md is up to date\n"
    assert project.ok("docs", "--format", "json").json == {
        "env": "dev",
        "file": "docs/MIGRATION_ROLLBACK.md",
        "changed": False,
    }
    project.migration("0004_more.sql", "CREATE TABLE more (x);\n")
    project.rollback("0004_rollback.sql", "DROP TABLE more;\n")
    assert project("docs", "--check").code == 1


# -- the tour ------------------------------------------------------------------------------------------


def test_the_tour_shows_real_commands_and_leaves_the_project_alone(sample: Shell) -> None:
    before = sample.tree()
    document = sample.ok("tour", "--format", "json").json
    assert sample.tree() == before
    steps = document["steps"]
    verbs = [step["command"][1] if step["command"] else f"cat {step['file']}" for step in steps]
    assert verbs == [
        "migrate",
        "sample",
        "status",
        "rollback",
        "status",
        "migrate",
        f"cat {tour.SCRIPT}",
        "rollback",
        "query",
        "audit",
        "backup",
    ]
    assert [step["exit_code"] for step in steps] == [0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0]
    refusal = steps[7]["output"]
    for table in ("artists", "tracks", "gigs", "messages", "reviews"):
        assert f"{table} " in refusal
    assert "the change would lose what nobody named" in refusal
    assert "Traceback" not in "".join(step["output"] for step in steps)
    assert {path for path in leaves(document) if not is_described(path, sections()["tour"])} == set()
    assert document["folder"].startswith(str(sample.root / ".d1ops" / "tour"))
    assert "warning" not in sample.ok("doctor").out


def test_a_tour_that_goes_wrong_stops_with_that_exit_code(tmp_path: Path) -> None:
    tour.fill_folder(tour.find_sample(), tmp_path)
    (tmp_path / "db" / "queries" / "broken.sql").write_text("SELECT 'unclosed;\n")
    told: list[str] = []
    done = tour.run(tmp_path, told.append)
    assert [each.is_as_expected for each in done] == [True] * 9 + [False]
    assert done[-1].exit_code == 2
    assert "db/queries/broken.sql:1:8" in done[-1].output
    text = "\n".join(told)
    assert "\n$ d1ops migrate --env dev --yes\ntarget: sqlite .d1ops/dev.sqlite (" in text
    assert f"\n$ cat {tour.SCRIPT}\nPRAGMA foreign_keys = OFF;\nCREATE TABLE users_new (\n" in text
    assert "\n# Exit code 5, as it must be: refused, and nothing was changed.\n" in text
    assert "ended with exit code 2 instead of 0: the tour stops" in told[-1]


def test_the_tour_goes_elsewhere_where_nothing_may_be_written(tmp_path: Path) -> None:
    now = datetime(2026, 11, 22, 21, 0, 0, 5, tzinfo=UTC)
    folder = tour.make_folder(tmp_path, now)
    assert folder == tmp_path / ".d1ops" / "tour" / "20261122T210000000005Z"
    assert (tmp_path / ".d1ops" / ".gitignore").read_text() == "*\n"
    elsewhere = tour.make_folder(tmp_path, now)
    try:
        assert elsewhere.is_dir()
        assert not elsewhere.is_relative_to(tmp_path)
    finally:
        elsewhere.rmdir()
