"""`new` and `rollback-script` as a user meets them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import DANGEROUS

if TYPE_CHECKING:
    from tests.cli.shell import Shell

ADD = "ALTER TABLE users ADD COLUMN phone TEXT;\n"


def test_new_writes_the_next_pair(project: Shell) -> None:
    ended = project.ok("new", "Add venues, & Bühnen!")
    assert ended.out.split() == ["db/migrations/0004_add_venues_buhnen.sql", "db/rollbacks/0004_rollback.sql"]
    text = (project.root / "db/migrations/0004_add_venues_buhnen.sql").read_text()
    assert text.startswith("-- Add venues, & Bühnen!\n")
    assert all(line.startswith("--") for line in text.splitlines())
    assert project.ok("new", "next", "--format", "json").json["label"] == "0005"
    project.ok("rollback-script", "0002")  # what is not written yet is no obstacle
    assert "the script has no statement" in project("rollback-script", "0004").err


def test_new_follows_the_padding_of_the_catalog(project: Shell) -> None:
    project.migration("9999_last.sql", "CREATE TABLE t (a);")
    assert project.ok("new", "more").out.split()[0] == "db/migrations/10000_more.sql"
    for file in (project.root / "db").rglob("*.sql"):
        file.unlink()
    assert project.ok("new", "first").out.split()[0] == "db/migrations/0001_first.sql"
    (project.root / "db/migrations/0001_first.sql").rename(project.root / "db/migrations/9_first.sql")
    (project.root / "db/rollbacks/0001_rollback.sql").unlink()
    assert project.ok("new", "second").out.split()[0] == "db/migrations/10_second.sql"


@pytest.mark.parametrize(
    ("title", "says"),
    [("!!!", "makes no name for a file"), ("users rollback", "looks like a rollback script")],
)
def test_new_refuses_what_makes_no_name(project: Shell, title: str, says: str) -> None:
    before = project.tree()
    ended = project("new", title)
    assert (ended.code, project.tree()) == (2, before)
    assert says in ended.err


def test_new_refuses_a_catalog_that_is_not_well_formed(project: Shell) -> None:
    project.migration("0002_again.sql", "SELECT 1;")
    ended = project("new", "more")
    assert ended.code == 2
    assert "0002" in ended.err


def test_new_overwrites_nothing(project: Shell) -> None:
    (project.root / "db/rollbacks/0004_rollback.sql").mkdir()
    ended = project("new", "more")
    assert ended.code == 2
    assert "db/rollbacks/0004_rollback.sql cannot be written" in ended.err
    assert not (project.root / "db/migrations/0004_more.sql").exists()


def test_new_may_be_irreversible_from_the_start(project: Shell) -> None:
    project.ok("new", "send the mail", "--irreversible", "mail cannot\nbe called back")
    text = (project.root / "db/rollbacks/0004_rollback.sql").read_text()
    assert text == "-- d1ops: irreversible mail cannot be called back\n"
    assert project("new", "x", "--irreversible", " ").code == 2


def test_a_script_is_generated_and_written_with_its_proof(project: Shell) -> None:
    project.ok("new", "phone")
    project.migration("0004_phone.sql", ADD)
    ended = project.ok("rollback-script", "4", "--write")
    assert ended.out.strip() == "db/rollbacks/0004_rollback.sql"
    assert "proved on generated rows; takes the values of users.phone" in ended.err
    text = (project.root / "db/rollbacks/0004_rollback.sql").read_text()
    assert text.endswith("\nALTER TABLE users DROP COLUMN phone;\n")
    assert project.ok("rollback-script", "4").out.strip() == text.strip()
    again = project("rollback-script", "4", "--write")
    assert again.code == 5
    assert "db/rollbacks/0004_rollback.sql is there already" in again.err


def test_the_written_script_runs(project: Shell) -> None:
    project.migration("0004_phone.sql", ADD)
    project.ok("rollback-script", "0004", "--write")
    project.ok("migrate", "--yes")
    project.ok("rollback", "0004", "--yes")
    assert "phone" not in str(project.read("SELECT sql FROM sqlite_master WHERE name = 'users'"))


def test_an_existing_script_is_compared(project: Shell) -> None:
    same = project.ok("rollback-script", "0002", "--compare")
    assert "has the same effect as the generated script" in same.out
    project.rollback("0002_rollback.sql", DANGEROUS)
    ended = project("rollback-script", "0002", "--compare", "--format", "json")
    existing = ended.json["existing"]
    assert (ended.code, existing["is_equal"], existing["standing"]) == (1, False, "unproven")
    assert "users -> artists by user_id ON DELETE CASCADE" in " ".join(existing["reasons"])
    assert "differs in effect" in project("rollback-script", "0002", "--compare").out


def test_the_gentler_of_two_is_named(project: Shell) -> None:
    project.migration("0004_stars.sql", "ALTER TABLE reviews ADD COLUMN stars INTEGER;")
    project.rollback(
        "0004_rollback.sql",
        "CREATE TABLE n (id TEXT PRIMARY KEY, user_id TEXT REFERENCES users (id) ON DELETE SET NULL);"
        "INSERT INTO n (rowid, id, user_id) SELECT rowid, id, user_id FROM reviews; DROP TABLE reviews;"
        "ALTER TABLE n RENAME TO reviews;",
    )
    ended = project.ok("rollback-script", "0004", "--compare", "--format", "json")
    assert (ended.json["existing"]["is_equal"], ended.json["existing"]["gentler"]) == (True, "generated")
    assert "the generated one is gentler" in project.ok("rollback-script", "0004", "--compare").out


def test_what_cannot_return_is_written_only_when_asked_and_marked(project: Shell) -> None:
    project.migration("0004_gone.sql", "ALTER TABLE users DROP COLUMN email;")
    ended = project("rollback-script", "0004")
    assert ended.code == 1
    assert "does not return: the values of users.email" in ended.err
    assert project("rollback-script", "0004", "--write").code == 5
    assert not (project.root / "db/rollbacks/0004_rollback.sql").exists()
    project.ok("rollback-script", "0004", "--write", "--irreversible")
    text = (project.root / "db/rollbacks/0004_rollback.sql").read_text()
    assert text.startswith("-- d1ops: irreversible users: of 3 rows, email")
    project.ok("migrate", "--yes")
    assert "irreversible" in project("rollback", "0004", "--yes").err


def test_options_that_contradict_are_refused(project: Shell) -> None:
    assert project("rollback-script", "0002", "--write", "--compare").code == 2
    assert project("rollback-script", "0002", "--irreversible").code == 2
    assert project("rollback-script", "0099").code == 2
