"""Pending migrations: order, states, what needs a backup, and a run that stops."""

from __future__ import annotations

import pytest

from d1ops.core.ledger import State
from d1ops.errors import (
    LedgerRefused,
    LossRefused,
    PartialRun,
    ScriptError,
    StatementRejected,
    UnknownMigration,
    UsageError,
)
from d1ops.ops import migrate
from d1ops.ops.look import look
from tests.support.project import YES, Project


def test_the_ledger_is_wranglers(small: Project) -> None:
    small.migrate()
    columns = small.database.query(
        "SELECT name, type, \"notnull\", dflt_value, pk FROM pragma_table_info('d1_migrations')"
    )
    assert columns.rows == (
        ("id", "INTEGER", 0, None, 1),
        ("name", "TEXT", 0, None, 0),
        ("applied_at", "TIMESTAMP", 1, "CURRENT_TIMESTAMP", 0),
    )
    assert [row.name for row in look(small.workspace).ledger] == ["0001_base.sql", "0002_clerk.sql", "0003_index.sql"]


def test_a_schema_only_run_needs_no_backup_and_few_requests(small: Project) -> None:
    small.database.query(
        "CREATE TABLE d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at)"
    )
    small.migrate(to="1")
    before = small.database.requests
    applied = small.migrate()
    assert applied.backup_id is None
    assert small.database.requests - before <= 2 + 3


def test_to_stops_there_and_cannot_stop_at_what_is_applied(small: Project) -> None:
    small.migrate(to="0002")
    assert small.states() == {"0001": "applied", "0002": "applied", "0003": "pending"}
    with pytest.raises(UsageError, match=r"0002_clerk.sql is applied already"):
        small.migrate(to="2")
    with pytest.raises(UnknownMigration):
        small.migrate(to="9")


def test_nothing_pending_is_nothing_to_do(filled: Project) -> None:
    assert migrate.prepare(filled.workspace).plan.is_empty


def test_a_file_that_sorts_before_the_newest_is_out_of_order(filled: Project) -> None:
    filled.write({"0000_late.sql": "CREATE TABLE late (a);\n"})
    assert filled.states()["0000"] == State.OUT_OF_ORDER
    with pytest.raises(LedgerRefused, match=r"0000_late.sql sorts before the newest applied migration"):
        filled.migrate()
    filled.migrate(only="0")
    assert filled.states()["0000"] == "applied"


@pytest.mark.parametrize("state", ["changed", "missing"])
def test_an_applied_file_that_is_not_what_it_was_stops_everything(filled: Project, state: str) -> None:
    path = filled.root / "db" / "migrations" / "0003_index.sql"
    if state == "changed":
        path.write_text("CREATE INDEX other ON users (email);\n")
    else:
        path.unlink()
        (filled.root / "db" / "rollbacks" / "0003_rollback.sql").unlink()
    filled.write({"0004_new.sql": "CREATE TABLE new (a);\n"})
    assert filled.states()["0003"] == state
    with pytest.raises(LedgerRefused, match=r"0003_index.sql (was changed after|is applied and its file is missing)"):
        filled.migrate()


def test_what_another_tool_applied_is_unverified_and_goes_on(small: Project) -> None:
    small.migrate(to="1")
    for file in ("0002_clerk.sql",):
        small.run(*filter(str.strip, (small.root / "db" / "migrations" / file).read_text().split(";\n")))
        small.run(f"INSERT INTO d1_migrations (name) VALUES ('{file}')")
    assert small.states() == {"0001": "applied", "0002": "unverified", "0003": "pending"}
    small.migrate()
    assert small.states()["0003"] == "applied"


def test_a_migration_rolled_back_and_applied_by_another_tool_is_unverified(filled: Project) -> None:
    filled.rollback("3")
    filled.run(
        "CREATE INDEX artists_user ON artists (user_id)", "INSERT INTO d1_migrations (name) VALUES ('0003_index.sql')"
    )
    assert filled.states()["0003"] == "unverified"


def test_a_protected_env_takes_a_rolled_back_one_only_when_named(filled: Project) -> None:
    filled.rollback("3")
    filled.protected = True
    with pytest.raises(LedgerRefused, match=r"takes it again only when named"):
        filled.migrate()
    filled.migrate(only="3")
    assert filled.states()["0003"] == "applied"


def test_every_pending_file_is_read_before_anything_is_sent(small: Project) -> None:
    small.write({"0004_broken.sql": "CREATE TABLE a (b);\nINSERT INTO a VALUES ('x);\n"})
    with pytest.raises(ScriptError, match=r"db/migrations/0004_broken.sql:2:23: a string opens here and never closes"):
        small.migrate()
    assert small.states() == dict.fromkeys(("0001", "0002", "0003", "0004"), "pending")


def test_a_script_that_cannot_run_is_found_before_the_first_one_is_sent(small: Project) -> None:
    small.write({"0004_wrong.sql": "CREATE TABLE a (b);\nCREATE INDEX i ON nope (b);\n"})
    with pytest.raises(StatementRejected, match=r"db/migrations/0004_wrong.sql:2:1: no such table: main.nope"):
        small.migrate()
    assert set(small.states().values()) == {"pending"}


def test_a_step_that_only_the_rows_refuse_stops_the_run_and_says_where(filled: Project) -> None:
    filled.run("INSERT INTO users (id, email) VALUES ('u3', 'a@b.c')")
    filled.write(
        {
            "0004_fine.sql": "CREATE TABLE fine (a);\n",
            "0005_unique.sql": "CREATE UNIQUE INDEX email ON users (email);\n",
            "0006_more.sql": "CREATE TABLE more (a);\n",
        }
    )
    with pytest.raises(PartialRun, match=r"1 done \(0004_fine.sql\), then migrate 0005 unique failed"):
        filled.migrate()
    states = filled.states()
    assert (states["0004"], states["0005"], states["0006"]) == ("applied", "pending", "pending")


def test_a_step_that_would_lose_rows_is_backed_up_and_refused(filled: Project) -> None:
    filled.write({"0004_drop.sql": "ALTER TABLE users DROP COLUMN email;\n"})
    with pytest.raises(LossRefused, match=r"users\.email"):
        filled.migrate()
    applied = filled.migrate(accept="users.email")
    assert applied.backup_id is not None


def test_a_backfill_of_nulls_loses_nothing(filled: Project) -> None:
    filled.write({"0004_fill.sql": "UPDATE users SET clerk_id = 'none-' || id WHERE clerk_id IS NULL;\n"})
    prepared = migrate.prepare(filled.workspace)
    assert prepared.backup is not None
    assert prepared.collateral == ()
    migrate.migrate(filled.workspace, prepared, YES)
    assert filled.rows()["users"][1][2] == "none-u2"


def test_rows_of_tables_made_in_the_same_run_need_no_backup(small: Project) -> None:
    small.write({"0004_seed.sql": "INSERT INTO users (id) VALUES ('root');\nUPDATE users SET email = 'x';\n"})
    assert migrate.prepare(small.workspace).backup is None


def test_statements_separated_by_windows_line_ends_run(project: Project) -> None:
    trigger = (
        "CREATE TABLE t (a);\r\nCREATE TRIGGER g AFTER INSERT ON t BEGIN\r\n  UPDATE t SET a = 'x\r\ny';\r\nEND;\r\n"
    )
    (project.root / "db" / "migrations" / "0001_windows.sql").write_bytes(trigger.encode())
    project.migrate()
    sql = str(project.database.query("SELECT sql FROM sqlite_master WHERE name = 'g'").scalar())
    assert sql.count("\r\n") == 1
    assert "'x\r\ny'" in sql


SEARCHED = {
    "0001_users.sql": "CREATE TABLE users (id TEXT PRIMARY KEY, name TEXT);\n"
    "CREATE VIRTUAL TABLE uf USING fts5(name, content='users');\n"
    "CREATE VIRTUAL TABLE bare USING fts5(name, content='', contentless_delete=1);\n",
}
SEARCHED_ROWS = (
    "INSERT INTO users VALUES ('u1', 'ann'), ('u2', 'bob')",
    "DELETE FROM users WHERE id = 'u1'",
    "INSERT INTO uf (uf) VALUES ('rebuild')",
    "INSERT INTO bare (rowid, name) VALUES (7, 'ann')",
)
RENUMBERS = (
    "CREATE TABLE n (id TEXT PRIMARY KEY, name TEXT NOT NULL);\nINSERT INTO n SELECT * FROM users;\n"
    "DROP TABLE users;\nALTER TABLE n RENAME TO users;\n"
)
OVERWRITES = "INSERT OR REPLACE INTO bare (rowid, name) VALUES (7, 'bob');\n"


@pytest.mark.parametrize(("script", "index"), [(RENUMBERS, "uf"), (OVERWRITES, "bare")])
def test_what_a_search_finds_is_not_lost_unless_named(project: Project, script: str, index: str) -> None:
    project.write(SEARCHED).migrate()
    project.run(*SEARCHED_ROWS)
    project.write({"0002_next.sql": script})

    with pytest.raises(LossRefused, match=rf"nobody named: {index}$") as caught:
        project.migrate()
    assert ("INSERT INTO uf (uf) VALUES ('rebuild')" in (caught.value.hint or "")) == (index == "uf")

    project.migrate(accept=index)
    assert project.states()["0002"] == "applied"


@pytest.mark.parametrize(
    "script",
    [
        RENUMBERS + "INSERT INTO uf (uf) VALUES ('rebuild');\n",
        "INSERT INTO bare (rowid, name) VALUES (8, 'bob');\n",
    ],
)
def test_a_search_that_finds_all_that_it_found_lets_a_migration_run(project: Project, script: str) -> None:
    project.write(SEARCHED).migrate()
    project.run(*SEARCHED_ROWS)

    project.write({"0002_next.sql": script}).migrate()

    assert project.states()["0002"] == "applied"


def test_a_rollback_that_renumbers_what_an_index_reads_is_refused(project: Project) -> None:
    project.write(SEARCHED).migrate()
    project.run(*SEARCHED_ROWS)
    project.write(
        {"0002_mail.sql": "ALTER TABLE users ADD COLUMN mail TEXT;\n"},
        {"0002_rollback.sql": RENUMBERS.replace("SELECT *", "SELECT id, name")},
    ).migrate()

    with pytest.raises(LossRefused, match=r"nobody named: uf$"):
        project.rollback("2")


def test_a_full_text_index_whose_table_is_gone_can_be_made_anew(project: Project) -> None:
    project.write(
        {
            "0001_base.sql": "CREATE TABLE p (id INTEGER PRIMARY KEY, x);\nCREATE TABLE z (a);\n"
            "CREATE VIRTUAL TABLE f USING fts5(x, content='p', content_rowid='id');\nDROP TABLE p;\n"
        }
    ).migrate()
    project.run("INSERT INTO z VALUES (1)")
    project.write({"0002_mend.sql": "DROP TABLE f;\nCREATE VIRTUAL TABLE f USING fts5(x);\nDELETE FROM z WHERE 0;\n"})
    project.migrate()
    assert project.database.query("SELECT count(*) FROM f").scalar() == 0
