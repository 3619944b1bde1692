"""`rehearse` for any script: what is pending, what is applied, a file; on a copy or in place; nothing is changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.shell import Shell


@pytest.fixture
def queries(filled: Shell) -> Shell:
    folder = filled.root / "db" / "queries"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "q.sql").write_text(
        "-- name: by email\nSELECT id FROM users WHERE email = ?1;\n"
        "-- name: artists of\nSELECT id FROM artists WHERE user_id = ?1;\n"
    )
    return filled


def test_nothing_named_means_all_that_is_pending(filled: Shell) -> None:
    assert "nothing to do" in filled.ok("rehearse").out
    filled.migration("0004_more.sql", "CREATE TABLE more (x);\n")
    filled.migration("0005_gone.sql", "DELETE FROM reviews;\n")
    before = filled.tree()
    refused = filled("rehearse", "--format", "json")
    assert refused.code == 5
    assert [step["label"] for step in refused.json["plan"]] == ["0004", "0005"]
    assert refused.json["collateral"] == ["reviews"]
    assert refused.json["estimate"]["rows_changed"] == 2
    fine = filled.ok("rehearse", "4")
    assert "d1ops migrate --to 0004 --env dev does it" in fine.out
    assert {path: data for path, data in filled.tree().items() if "backups" not in path} == before
    assert "table more" not in filled.ok("status", "--drift").out


def test_a_file_is_rehearsed_as_if_it_were_the_next_migration(filled: Shell) -> None:
    path = filled.root / "cleanup.sql"
    path.write_text("DELETE FROM artists WHERE id = 'a1';\n")
    refused = filled("rehearse", "cleanup.sql")
    assert refused.code == 5
    assert "COLLATERAL" in refused.out
    assert "cleanup.sql:1" in refused.out
    assert filled.ok("rehearse", "cleanup.sql", "--accept-loss", "artists").code == 0
    path.write_text("UPDATE users SET email = lower(email)")
    assert filled("rehearse", "cleanup.sql").code == 2
    assert filled("rehearse", "nowhere.sql").code == 2
    path.write_text("DELETE FROM d1_migrations;\n")
    assert filled("rehearse", "cleanup.sql").code == 5


def test_queries_that_the_change_breaks_are_named(queries: Shell) -> None:
    queries.migration("0004_rename.sql", "ALTER TABLE users RENAME COLUMN email TO mail;\n")
    queries.migration("0005_index.sql", "CREATE INDEX by_mail ON users (mail);\n")
    ended = queries("rehearse", "--format", "json")
    (broken,) = ended.json["broken_queries"]
    assert (broken["query"], broken["after"], broken["line"]) == ("by email", "migrate 0004 rename", 2)
    assert broken["problem"] == "no such column: email"
    shown = queries("rollback", "3")
    assert "breaks the running Worker: query 'artists of' (db/queries/q.sql:4) reads all of artists" in shown.out
    assert "goes: index" in shown.out


def test_a_broken_query_file_keeps_nobody_from_a_rollback(queries: Shell) -> None:
    (queries.root / "db" / "queries" / "broken.sql").write_text("SELECT 'open")
    done = queries.ok("rollback", "3", "--yes")
    assert "the queries of db/queries are not looked at" in done.err


def test_in_place_the_target_does_the_work_and_undoes_it(filled: Shell) -> None:
    filled.migration("0004_gone.sql", "DELETE FROM reviews;\n")
    asked = filled("rehearse", "0004", "--in-place")
    assert asked.code == 5
    assert "nobody is here to agree" in asked.err
    before = filled.read("SELECT * FROM reviews")
    ended = filled("rehearse", "0004", "--in-place", "--yes", "--format", "json")
    assert ended.code == 5
    assert ended.json["collateral"] == ["reviews"]
    assert ended.json["reached"] == ["reviews"]
    assert set(ended.json["scope"]) == {"reviews", "users"}
    assert filled.read("SELECT * FROM reviews") == before
    filled.migration("0004_gone.sql", "CREATE INDEX more ON users (email);\n")
    fine = filled.ok("rehearse", "--in-place", "--yes")
    assert "nothing was changed" in fine.out


REBUILD = """CREATE TABLE users_new (id TEXT PRIMARY KEY, email TEXT);
INSERT INTO users_new (id, email) SELECT id, email FROM users;
DROP TABLE users;
ALTER TABLE users_new RENAME TO users;
"""


def test_a_safe_form_is_written_and_loses_nothing(filled: Shell) -> None:
    filled.migration("0004_rebuild.sql", REBUILD)
    refused = filled("rehearse", "4")
    assert refused.code == 5
    assert "d1ops rehearse 0004 --safe FILE" in refused.err
    written = filled.ok("rehearse", "4", "--safe", "safe.sql", "--format", "json").json["safe_form"]
    assert written["file"] == "safe.sql"
    assert filled("rehearse", "4", "--safe", "safe.sql").code == 2
    fine = filled.ok("rehearse", "safe.sql", "--accept-loss", "users.clerk_id", "--format", "json").json
    assert fine["collateral"] == ["users.clerk_id"]
    (filled.root / "db" / "migrations" / "0004_rebuild.sql").write_bytes((filled.root / "safe.sql").read_bytes())
    rows = filled.read("SELECT * FROM artists"), filled.read("SELECT * FROM reviews")
    filled.ok("migrate", "--yes", "--accept-loss", "users.clerk_id")
    assert (filled.read("SELECT * FROM artists"), filled.read("SELECT * FROM reviews")) == rows
    filled.migration("0005_fine.sql", "CREATE INDEX fine ON users (email);\n")
    assert filled("rehearse", "5", "--safe", "other.sql").code == 2
