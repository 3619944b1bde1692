"""`d1ops check`: what people and machines read, and the exit code."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.shell import Shell

UPDATE = "UPDATE users SET email = upper(email);\n"


def test_all_proved_is_a_quiet_table_and_exit_0(project: Shell) -> None:
    ended = project.ok("check")
    lines = ended.out.splitlines()
    assert lines[0].split("  ")[0] == "NO"
    assert [line.split()[:3] for line in lines[1:4]] == [
        ["0001", "base", "reversible"],
        ["0002", "clerk", "lossy"],
        ["0003", "index", "safe"],
    ]
    assert lines[-1].startswith("3 migrations: 1 safe, 1 reversible, 1 lossy; up, 3 rollbacks down and up again holds;")
    assert ended.err == ""


def test_the_document_has_the_names_of_the_contract(project: Shell) -> None:
    found = project.ok("check", "--format", "json").json
    assert [(m["number"], m["name"], m["verdict"], m["rollback"]) for m in found["migrations"]] == [
        (1, "base", "reversible", "db/rollbacks/0001_rollback.sql"),
        (2, "clerk", "lossy", "db/rollbacks/0002_rollback.sql"),
        (3, "index", "safe", "db/rollbacks/0003_rollback.sql"),
    ]
    assert all(m["evidence"] for m in found["migrations"])
    assert [m["alone"] for m in found["migrations"]] == ["cascade only", "holds", "holds"]
    assert found["migrations"][0]["needed_by"] == [2, 3]
    assert found["whole_way"] == {"holds": True, "rolled_back": 3, "ends_at": None, "problems": []}
    assert (found["problems"], found["stopped"]) == (0, None)


def test_only_what_is_named_is_proved(project: Shell) -> None:
    found = project.ok("check", "2", "0003", "--format", "json").json
    assert [m["number"] for m in found["migrations"]] == [2, 3]
    assert found["whole_way"] is None
    assert project("check", "9").code == 2


@pytest.mark.parametrize(
    ("forward", "back", "says"),
    [
        (UPDATE, UPDATE, "0004 users: of 3 rows, email (2 values)"),
        ("CREATE TABLE z (id);\n", None, "0004 it has no rollback script"),
        (
            "CREATE TABLE z (id);\n",
            "DROP TABLE zz;\n",
            "0004 the rollback script fails: db/rollbacks/0004_rollback.sql:1:1",
        ),
        (
            "CREATE INDEX i ON users (email);\n",
            "DROP INDEX i; DROP INDEX users_clerk;\n",
            "index users_clerk is not restored",
        ),
    ],
)
def test_what_is_wrong_is_said_and_exits_1(forward: str, back: str | None, says: str, project: Shell) -> None:
    project.migration("0004_more.sql", forward)
    if back is not None:
        project.rollback("0004_rollback.sql", back)
    ended = project("check")
    assert ended.code == 1
    assert says in ended.out
    assert "db/rollbacks/0004_rollback.sql, or say there why not: -- d1ops: irreversible REASON" in ended.out
    assert project("check", "--allow", "4").code == 0


def test_a_marked_migration_is_not_wrong(project: Shell) -> None:
    project.migration("0004_more.sql", UPDATE)
    project.rollback("0004_rollback.sql", "-- d1ops: irreversible the old spelling is nowhere\n")
    ended = project.ok("check")
    assert "1 irreversible; there is no way down past 0004" in ended.out


def test_a_migration_that_does_not_run_ends_the_proof(project: Shell) -> None:
    project.migration("0004_more.sql", "INSERT INTO nope VALUES (1);\n")
    project.migration("0005_more.sql", "CREATE TABLE z (id);\n")
    ended = project("check", "--format", "json")
    assert ended.code == 1
    assert ended.json["stopped"] == {
        "number": 4,
        "reason": "db/migrations/0004_more.sql:1:1: no such table: nope: SQLITE_ERROR",
    }
    assert len(ended.json["migrations"]) == 3


def test_strict_takes_warnings_for_problems(project: Shell) -> None:
    project.migration("0004_more.sql", "ALTER TABLE reviews ADD COLUMN stars INTEGER;\n")
    project.rollback(
        "0004_rollback.sql",
        "CREATE TABLE n (user_id TEXT REFERENCES users (id) ON DELETE SET NULL, id TEXT PRIMARY KEY);\n"
        "INSERT INTO n (id, user_id) SELECT id, user_id FROM reviews;\n"
        "DROP TABLE reviews;\nALTER TABLE n RENAME TO reviews;\n",
    )
    ended = project.ok("check")
    assert "warning: 0004 table reviews has its columns in another order after the rollback" in ended.out
    assert project("check", "--strict").code == 1


def test_the_lint_is_part_of_the_answer(project: Shell) -> None:
    assert project.ok("check", "--format", "json").json["findings"] == []
    project.migration("0004_gone.sql", "CREATE TABLE z (id);\nDELETE FROM z;\n")
    project.rollback("0004_rollback.sql", "DROP TABLE z;\n")
    ended = project("check")
    assert ended.code == 1
    assert "warning: db/migrations/0004_gone.sql:2: DELETE without WHERE deletes every row" in ended.out
    assert project("check", "--fail-on", "error").code == 0
    found = project("check", "--format", "json").json["findings"]
    assert [(f["rule"], f["path"], f["line"]) for f in found] == [
        ("destructive-step", "db/migrations/0004_gone.sql", 2)
    ]
    assert project("check", "3", "--format", "json").json["findings"] == []
    project.migration(
        "0004_gone.sql",
        "CREATE TABLE z (id);\n-- d1ops: ignore destructive-step it is empty\nDELETE FROM z;\n",
    )
    assert project.ok("check", "--format", "json").json["ignored"] == 1


def test_every_form_of_report_tells_of_rollbacks_and_scripts(project: Shell) -> None:
    project.migration("0004_more.sql", "CREATE TABLE z (id);\n")
    project.rollback("0004_rollback.sql", "DROP TABLE zz;\n")
    ended = project("check", "--format", "sarif", "--report", "check.html", "--report", "check.xml")
    assert ended.code == 1
    results = ended.json["runs"][0]["results"]
    assert {(r["ruleId"], r["locations"][0]["physicalLocation"]["artifactLocation"]["uri"]) for r in results} == {
        ("unproven-rollback", "db/rollbacks/0004_rollback.sql"),
        ("unreadable-script", "db/rollbacks/0004_rollback.sql"),
    }
    assert "no such table: zz" in (project.root / "check.html").read_text()
    assert "no such table: zz" in (project.root / "check.xml").read_text()
    shown = project("check", "--format", "github").out
    assert "::error " in shown
    assert "file=db/rollbacks/0004_rollback.sql" in shown


def test_names_that_make_no_catalog_are_all_shown(project: Shell) -> None:
    project.migration("0002_again.sql", "SELECT 1;\n")
    project.migration("0004_x.down.sql", "SELECT 1;\n")
    ended = project("check")
    assert ended.code == 1
    assert "[duplicate-number]" in ended.out
    assert "[down-file]" in ended.out
    found = project("check", "--format", "json").json
    assert {f["rule"] for f in found["findings"]} == {"duplicate-number", "down-file"}
