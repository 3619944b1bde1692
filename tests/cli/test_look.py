"""`status`, `plan`, `history` and `query` say what is, and write nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.shell import Shell


def states(shell: Shell) -> dict[str, str]:
    return {row["label"]: row["state"] for row in shell.ok("status", "--format", "json").json["migrations"]}


@pytest.mark.parametrize(
    "argv",
    [
        ("status",),
        ("status", "--exit-code"),
        ("status", "--env", "live"),
        ("plan",),
        ("plan", "--format", "json"),
        ("history",),
        ("audit",),
        ("doctor",),
        ("backup", "list"),
        ("query", "SELECT 1"),
    ],
)
def test_looking_makes_no_file_and_changes_none(project: Shell, argv: tuple[str, ...]) -> None:
    def everything() -> set[str]:
        return {str(path) for path in project.root.rglob("*")}

    before = everything()
    assert project(*argv).code in (0, 1)
    assert everything() == before
    project.ok("migrate", "--yes")
    before, tree = everything(), project.tree()
    assert project(*argv).code in (0, 1)
    assert everything() == before
    assert project.tree() == tree


def test_status_names_every_state_with_what_to_do(filled: Shell) -> None:
    assert states(filled) == {"0001": "applied", "0002": "applied", "0003": "applied"}
    assert filled.ok("status", "--exit-code").code == 0
    filled.ok("rollback", "3", "--yes")
    assert states(filled)["0003"] == "rolled back"
    filled.ok("migrate", "--yes")
    filled.migration("0002_clerk.sql", "ALTER TABLE users ADD COLUMN clerk TEXT;\n")
    (filled.root / "db" / "rollbacks" / "0001_rollback.sql").unlink()
    (filled.root / "db" / "migrations" / "0001_base.sql").unlink()
    filled.migration("0000_early.sql", "CREATE TABLE early (x);\n")
    filled.migration("0004_late.sql", "CREATE TABLE late (x);\n")
    filled.migration("0005_wrangler.sql", "CREATE TABLE w (x);\n")
    filled.write("INSERT INTO d1_migrations (name) VALUES ('0005_wrangler.sql')", "CREATE TABLE w (x)")
    assert states(filled) == {
        "0000": "out of order",
        "0001": "missing",
        "0002": "changed",
        "0003": "applied",
        "0004": "out of order",
        "0005": "unverified",
    }
    answer = filled("status", "--exit-code")
    assert answer.code == 1
    for line in (
        "0001 missing: bring the file back",
        "0002 changed: put the applied text back",
        "0000, 0004 out of order: rename the file",
        "0005 unverified: applied by another tool",
        "6 migrations:",
    ):
        assert line in answer.out
    rows = {row["label"]: row for row in filled.ok("status", "--format", "json").json["migrations"]}
    assert rows["0001"]["number"] == 1
    assert rows["0001"]["name"] == "0001_base.sql"
    assert rows["0002"]["advice"].startswith("put the applied text back")
    assert rows["0003"]["advice"] is None
    assert rows["0003"]["applied_at"].endswith("Z")
    assert filled.ok("status", "--short").out in answer.out


def test_a_project_without_migrations(empty: Shell) -> None:
    (empty.root / "config").mkdir()
    (empty.root / "db" / "migrations").mkdir(parents=True)
    empty.configure("dev", protected=False)
    assert "there are no migrations" in empty.ok("status", "--exit-code").out
    assert empty.ok("status", "--format", "json").json["migrations"] == []
    assert "nothing to do" in empty.ok("migrate", "--yes").out
    assert not (empty.root / "data").exists()


def test_a_project_that_has_only_wranglers_file(empty: Shell) -> None:
    databases = ", ".join(
        f'{{"binding": "{name}", "database_name": "umbrella", "database_id": "{name}", "migrations_dir": "sql"}}'
        for name in ("ONE", "TWO")
    )
    (empty.root / "wrangler.jsonc").write_text(f'{{"name": "app", "d1_databases": [{databases}]}} // ours')
    (empty.root / "sql").mkdir()
    (empty.root / "sql" / "0001_base.sql").write_text("CREATE TABLE users (id TEXT PRIMARY KEY);\n")
    ambiguous = empty("status")
    assert ambiguous.code == 2
    assert "--database ONE" in ambiguous.err
    before = empty.tree()
    document = empty.ok("status", "--database", "TWO", "--format", "json").json
    assert (document["target"]["kind"], document["target"]["id"]) == ("workerd", "TWO")
    assert document["migrations"][0]["state"] == "pending"
    assert "sql/0001_base.sql, 1 statement" in empty.ok("plan", "--database", "TWO").out
    assert empty.tree() == before


def test_status_is_one_line_a_migration(filled: Shell) -> None:
    lines = filled.ok("status").out.splitlines()
    assert lines[0].startswith("target: sqlite data/dev.sqlite (")
    assert lines[0].endswith(", env dev, not protected")
    assert lines[2].split() == ["NUMBER", "NAME", "STATE", "APPLIED", "AT"]
    assert [line.split()[:3] for line in lines[3:6]] == [
        ["0001", "base", "applied"],
        ["0002", "clerk", "applied"],
        ["0003", "index", "applied"],
    ]
    assert lines[7:] == ["3 migrations: 3 applied"]
    assert "env live, PROTECTED" in filled.ok("status", "--env", "live").out


def test_plan_says_what_migrate_would_run_and_what_it_would_refuse(project: Shell) -> None:
    document = project.ok("plan", "--to", "0002", "--format", "json").json
    assert [(step["kind"], step["number"], step["statements"]) for step in document["plan"]] == [
        ("migrate", 1, 3),
        ("migrate", 2, 2),
    ]
    assert document["refused"] is None
    assert (
        "1.  migrate  0003  index  db/migrations/0003_index.sql, 1 statement\n" in project.ok("plan", "--only", "3").out
    )
    project.ok("migrate", "--yes")
    assert "nothing to do" in project.ok("plan").out
    project.migration("0002_clerk.sql", "SELECT 1;\n")
    refused = project("plan", "--format", "json")
    assert refused.code == 5
    assert refused.json["refused"]["type"] == refused.json["error"]["type"] == "LedgerRefused"
    assert refused.json["target"]["kind"] == "sqlite"


def test_a_protected_env_takes_back_what_was_rolled_back_only_by_name(project: Shell) -> None:
    live = ("--env", "live", "--confirm", "live")
    project.ok("migrate", *live)
    ended = project.ok("rollback", "3", *live)
    assert "d1ops migrate --only 0003 --env live applies it again" in ended.out
    refused = project("migrate", *live, "--format", "json")
    assert refused.code == 5
    assert refused.json["refused"]["type"] == "LedgerRefused"
    project.ok("migrate", "--only", "0003", *live)
    ended = project.ok("rollback", "2", "--cascade", *live)
    assert (
        "0002, 0003 are now pending again (rolled back): d1ops migrate --only NUMBER --env live applies each"
        in ended.out
    )


def test_history_tells_what_happened_the_newest_last(filled: Shell) -> None:
    filled.ok("rollback", "0003", "--yes")
    document = filled.ok("history", "--format", "json").json
    kinds = [(event["kind"], event["migration"]) for event in document["events"]]
    assert kinds == [
        ("migrate", "0001_base.sql"),
        ("migrate", "0002_clerk.sql"),
        ("migrate", "0003_index.sql"),
        ("rollback", "0003_index.sql"),
    ]
    assert document["events"][-1]["backup"]
    text = filled.ok("history", "--limit", "1").out
    assert "rollback  0003_index.sql" in text
    assert "0001_base" not in text
    assert filled.ok("history", "--env", "live").out == "the history is empty\n"


@pytest.mark.parametrize(
    ("params", "kinds"),
    [
        (("7", "-7.5", "1e2"), ["integer", "real", "real"]),
        (("007", "x", ""), ["text", "text", "text"]),
        (('"7"', "null", "true"), ["text", "null", "integer"]),
        (("NaN", "[1]", '{"a":1}'), ["text", "text", "text"]),
        (("9223372036854775807", "9223372036854775808", "-9223372036854775809"), ["integer", "text", "text"]),
    ],
)
def test_query_takes_parameters_as_json_scalars_and_all_else_as_text(
    filled: Shell, params: tuple[str, ...], kinds: list[str]
) -> None:
    sql = "SELECT typeof(?1), typeof(?2), typeof(?3)"
    assert filled.ok("query", "--format", "json", sql, "--", *params).json["rows"] == [kinds]


def test_query_prints_rows_as_they_are(filled: Shell) -> None:
    sql = "SELECT id AS Who, NULL AS n, x'00ff' AS b, 1.5 AS r FROM users ORDER BY id"
    assert filled.ok("query", sql).out == "Who  n     b        r\nu1   NULL  x'00ff'  1.5\nu2   NULL  x'00ff'  1.5\n"
    document = filled.ok("query", sql, "--format", "json").json
    assert document["columns"] == ["Who", "n", "b", "r"]
    assert document["rows"][0] == ["u1", None, {"blob": "00ff"}, 1.5]
    assert document["meta"]["changed_db"] is False
    empty = filled.ok("query", "SELECT id FROM users WHERE 0")
    assert (empty.out, empty.err) == ("id\n", "0 rows\n")


@pytest.mark.parametrize(
    "sql",
    [
        "DELETE FROM users",
        "UPDATE users SET email = NULL",
        "WITH x AS (SELECT 1) DELETE FROM users",
        "DROP TABLE users",
        "SELECT 1; DELETE FROM users",
        "INSERT INTO users (id) VALUES ('x') RETURNING id",
        "PRAGMA foreign_keys = OFF",
    ],
)
def test_query_refuses_a_write_and_sends_nothing(filled: Shell, sql: str) -> None:
    before = filled.tree()
    refused = filled("query", sql)
    assert refused.code == 5
    assert "nothing was sent" in refused.err
    assert "write the change as a migration in db/migrations" in refused.err
    assert filled.tree() == before


def test_query_reports_what_the_database_rejects(filled: Shell) -> None:
    rejected = filled("query", "SELECT nope FROM users", "--format", "json")
    assert rejected.code == 4
    assert rejected.json["error"]["type"] == "StatementRejected"
    assert "no such column: nope" in rejected.err
    for argv, fact in (
        (("SELECT ?1",), "Wrong number of parameter bindings"),
        (("SELECT 1", "2"), "1 parameters for a statement that takes 0"),
        (("SELECT :name", "2"), "named parameters"),
        (("SELECT 'a",), "unrecognized token"),
        (("",), "No SQL statements detected"),
        (("SELECT '\udcff'",), "not valid text"),
    ):
        ended = filled("query", *argv)
        assert ended.code in (2, 4)
        assert fact in ended.err
        assert "bug" not in ended.err
    lossy = filled("query", "SELECT 9007199254740993 AS big")
    assert lossy.code == 2
    assert "CAST(big AS TEXT)" in lossy.err


def test_drift_shows_both_texts_and_answers_no(filled: Shell) -> None:
    clean = filled.ok("status", "--drift")
    assert clean.out.endswith("no drift: the target is what its migrations make\n")
    assert filled.ok("status", "--drift", "--format", "json").json["drift"] == {"clean": True, "objects": []}
    filled.write("CREATE INDEX by_hand ON users (id)")
    answer = filled("status", "--drift")
    assert answer.code == 1
    assert "index by_hand is on the target and no migration makes it" in answer.out
    assert "  target: CREATE INDEX by_hand ON users (id)" in answer.out
    (found,) = filled("status", "--drift", "--format", "json").json["drift"]["objects"]
    assert (found["object"], found["change"], found["migrations"]) == ("index by_hand", "extra", None)
    assert filled.ok("status").code == 0


def test_status_says_how_far_a_chunked_migration_is(filled: Shell) -> None:
    filled.migration(
        "0004_mail.sql",
        "-- d1ops: chunked users by id, 1 rows\n"
        "UPDATE users SET email = upper(email) WHERE id BETWEEN :from AND :to;\n",
    )
    assert filled.ok("status", "--format", "json").json["chunked"] == []
    # The last piece fails: its ledger row cannot be written.
    filled.write(
        "CREATE TRIGGER late BEFORE INSERT ON d1_migrations WHEN (SELECT count(*) FROM users WHERE email < 'a') > 1"
        " BEGIN SELECT RAISE(ABORT, 'not now'); END"
    )
    ended = filled("migrate", "--yes", "--accept-loss", "users.email")
    assert ended.code == 6
    assert "0004_mail.sql: 1 of 2 pieces are committed, up to the key u1; then: " in ended.err
    assert "try: d1ops migrate goes on behind that key" in ended.err
    (progress,) = filled.ok("status", "--format", "json").json["chunked"]
    assert (progress["file"], progress["pieces_done"], progress["done_to"]) == ("0004_mail.sql", 1, "u1")
    assert "0004_mail.sql is under way: 1 pieces done, up to the key u1" in filled.ok("status").out
    filled.write("DROP TRIGGER late")
    filled.ok("migrate", "--yes", "--accept-loss", "users.email")
    assert filled.read("SELECT email FROM users ORDER BY id") == (("A@B.C",), ("D@E.F",))
    assert states(filled)["0004"] == "applied"


def test_the_migration_against_drift_is_written_and_brings_it_back(filled: Shell) -> None:
    filled.write("CREATE INDEX by_hand ON users (id)", "DROP INDEX artists_user")
    ended = filled("status", "--drift", "--write-migration", "take back", "--format", "json")
    assert ended.code == 1
    assert ended.json["written"] == {
        "migration": "db/migrations/0004_take_back.sql",
        "rollback": "db/rollbacks/0004_rollback.sql",
        "left": [],
    }
    filled.ok("migrate", "--yes")
    assert filled.ok("status", "--drift").code == 0
    assert filled.ok("check").code == 0
    filled.ok("rollback", "4", "--yes")
    assert filled.ok("status", "--drift").code == 0
