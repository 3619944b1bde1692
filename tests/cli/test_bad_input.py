"""Bad input is a clear error with its exit code, and nothing changes: not the database, not a file."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.cli.shell import Shell


def refused(shell: Shell, code: int, *argv: str) -> str:
    """Run a command that must fail; return its error. The whole project is as before, and JSON says the same."""
    before = shell.tree()
    ended = shell(*argv)
    assert ended.code == code, ended
    assert ended.err.count("error: ") == 1
    assert "Traceback" not in ended.err
    document = shell(*argv, "--format", "json")
    assert document.code == code
    assert document.json["error"]["exit_code"] == code
    assert document.json["error"]["message"] in ended.err
    assert shell.tree() == before
    return ended.err


# -- configuration -------------------------------------------------------------------------------------


def test_a_folder_without_configuration(empty: Shell) -> None:
    assert "neither config/<env>.toml nor wrangler's file" in refused(empty, 2, "status")


def test_an_unknown_env(project: Shell) -> None:
    error = refused(project, 2, "migrate", "--env", "prod", "--yes")
    assert "no environment is named 'prod'; known: dev, live" in error
    assert "try: --env liv" in refused(project, 2, "status", "--env", "lvie")
    refused(project, 2, "status", "--env", "../dev")


def test_broken_toml_is_named_with_its_place(project: Shell) -> None:
    (project.root / "config" / "dev.toml").write_text('[database]\nkind = "sqlite\n')
    assert "config/dev.toml:2:" in refused(project, 2, "migrate", "--yes")


def test_an_unknown_key_is_named_with_the_nearest(project: Shell) -> None:
    (project.root / "config" / "dev.toml").write_text('[database]\nkind = "sqlite"\npaht = "x"\n')
    error = refused(project, 2, "migrate", "--yes")
    assert "database.paht is not a key of this file" in error
    assert "try: database.path" in error


def test_a_wrong_id_and_no_token(project: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    file = project.root / "config" / "far.toml"
    file.write_text('[database]\nkind = "cloudflare"\naccount_id = "a"\ndatabase_id = "umbrella"\n')
    assert "database.database_id is not a uuid: 'umbrella'" in refused(project, 2, "status", "--env", "far")
    file.write_text('[database]\nkind = "cloudflare"\naccount_id = "a"\ndatabase_name = "umbrella"\n')
    monkeypatch.delenv("CLOUDFLARE_API_TOKEN")
    error = refused(project, 2, "status", "--env", "far")
    assert "there is no API token for far" in error
    assert "CLOUDFLARE_API_TOKEN" in error
    assert project("backup", "list", "--env", "far").code == 0


def test_a_file_that_is_no_database(project: Shell) -> None:
    (project.root / "data").mkdir()
    project.file.write_bytes(b"certainly not a database, but long enough to be read as one" * 20)
    refused(project, 2, "status")
    refused(project, 2, "migrate", "--yes")


# -- scripts -------------------------------------------------------------------------------------------

BAD_SCRIPTS: dict[str, tuple[str | bytes, str]] = {
    "unterminated string": ("CREATE TABLE a (x);\nINSERT INTO a VALUES ('oops);\n", ":2:23"),
    "unterminated trigger": (
        "CREATE TABLE a (x);\nCREATE TRIGGER t AFTER INSERT ON a BEGIN\n  SELECT 1;\n",
        ":2:1",
    ),
    "missing semicolon": ("CREATE TABLE a (x);\nCREATE TABLE b (x)\n", ":2:"),
    "empty": ("", ""),
    "only comments": ("-- nothing\n", ""),
    "not UTF-8": (b"CREATE TABLE a (x);\n-- caf\xe9\n", ":2:"),
    "BEGIN": ("CREATE TABLE a (x);\n  BEGIN;\nCOMMIT;\n", ":2:3"),
    "SAVEPOINT": ("SAVEPOINT s;\n", ":1:1"),
    "ATTACH": ("ATTACH 'other.sqlite' AS o;\n", ":1:1"),
}


@pytest.mark.parametrize("name", BAD_SCRIPTS)
@pytest.mark.parametrize("folder", ["migrations", "rollbacks"])
def test_a_script_that_cannot_be_read_is_named_with_its_place(filled: Shell, folder: str, name: str) -> None:
    text, place = BAD_SCRIPTS[name]
    if folder == "migrations":
        filled.migration("0004_bad.sql", text)
        path, argv = "db/migrations/0004_bad.sql", ["migrate", "--yes"]
        assert filled("plan").code == 2
    else:
        filled.rollback("0003_rollback.sql", text)
        path, argv = "db/rollbacks/0003_rollback.sql", ["rollback", "0003", "--yes"]
    assert f"error: {path}{place}" in refused(filled, 2, *argv)
    assert filled.ok("status").code == 0


def test_a_script_that_the_database_rejects_is_named_with_its_place(filled: Shell) -> None:
    filled.migration("0004_bad.sql", "CREATE TABLE fine (x);\nCREATE TABLE b (\n  x REFERENCES nope(\n);\n")
    assert "db/migrations/0004_bad.sql:4:" in refused(filled, 4, "migrate", "--yes")
    filled.rollback("0003_rollback.sql", "DROP INDEX artists_user;\nDROP INDEX nope;\n")
    assert "db/rollbacks/0003_rollback.sql:2:" in refused(filled, 4, "rollback", "0003", "--yes")


def test_a_script_of_two_megabytes_and_a_statement_that_d1_would_not_take(filled: Shell) -> None:
    row = "INSERT INTO big VALUES ('" + "x" * 1000 + "');\n"
    filled.migration("0004_big.sql", "CREATE TABLE big (x);\n" + row * 2000)
    error = refused(filled, 2, "migrate", "--yes")
    assert "db/migrations/0004_big.sql: the script has 2,058,022 bytes" in error
    filled.migration("0004_big.sql", "CREATE TABLE big (x);\n" + row * 900)
    filled.ok("migrate", "--yes")
    assert filled.read("SELECT count(*), sum(length(x)) FROM big") == ((900, 900_000),)
    filled.migration("0005_long.sql", "CREATE TABLE long (x);\nINSERT INTO long VALUES ('" + "x" * 200_000 + "');\n")
    error = refused(filled, 2, "migrate", "--yes")
    assert "db/migrations/0005_long.sql:2:1: the statement has 200,028 bytes" in error
    assert len(error) < 1000


def test_windows_line_ends_and_a_byte_order_mark_are_taken_as_they_are(filled: Shell) -> None:
    filled.migration("0004_windows.sql", b"\xef\xbb\xbfCREATE TABLE w (x);\r\nCREATE INDEX wx ON w (x);\r\n")
    filled.rollback("0004_rollback.sql", b"DROP INDEX wx;\r\nDROP TABLE w;\r\n")
    filled.ok("migrate", "--yes")
    filled.ok("rollback", "4", "--yes")
    filled.migration("0005_windows.sql", b"CREATE TABLE w2 (x);\r\nINSERT INTO w2 VALUES ('oops);\r\n")
    assert "db/migrations/0005_windows.sql:2:24" in refused(filled, 2, "migrate", "--yes")


# -- folders -------------------------------------------------------------------------------------------


def test_folders_that_make_no_catalog(filled: Shell) -> None:
    cases = {
        "db/migrations/0003_twice.sql": "number 3 is used by 2 files",
        "db/migrations/0003_index.down.sql": "looks like a rollback script",
        "db/migrations/notes.sql": "has no number in front of its name",
        "db/rollbacks/0009_rollback.sql": "has no migration numbered 9",
    }
    for name, fact in cases.items():
        file = filled.root / name
        file.write_text("SELECT 1;\n")
        for argv in (("status",), ("plan",), ("migrate", "--yes"), ("rollback", "0003", "--yes")):
            assert fact in refused(filled, 2, *argv)
        assert filled.ok("history").code == 0
        assert filled.ok("backup", "create").code == 0
        file.unlink()
    assert filled.ok("status", "--exit-code").code == 0


def test_a_missing_folder_and_a_missing_script(filled: Shell) -> None:
    (filled.root / "db" / "rollbacks" / "0003_rollback.sql").unlink()
    error = refused(filled, 2, "rollback", "0003", "--yes")
    assert "0003_index.sql has no rollback script" in error
    assert "try: write db/rollbacks/0003_rollback.sql" in error
    (filled.root / "db" / "migrations").rename(filled.root / "db" / "gone")
    assert "the migrations folder db/migrations does not exist" in refused(filled, 2, "status")


def test_a_backup_that_is_not_there_or_not_whole(filled: Shell) -> None:
    for argv in (("backup", "verify"), ("restore",)):
        assert "has the id" in refused(filled, 2, *argv, "20260101T000000Z-000000")
    refused(filled, 2, "restore", "yesterday", "--yes")
    refused(filled, 2, "restore", "2026-11-22T20:00:00", "--yes")
    refused(filled, 2, "restore", "../../etc", "--yes")
    refused(filled, 2, "restore", "", "--yes")
    backup = filled.ok("backup", "create", "--format", "json").json["backup"]
    data = filled.root / ".d1ops" / "backups" / "dev" / backup["id"] / "data.sqlite.zst"
    data.write_bytes(data.read_bytes()[:-1] + b"!")
    assert "checksum differs" in refused(filled, 5, "backup", "verify", backup["id"])
    refused(filled, 5, "restore", backup["id"], "--yes")
