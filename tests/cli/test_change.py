"""`migrate`, `rollback` and `rehearse`, end to end on real files."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests.cli.conftest import DANGEROUS

if TYPE_CHECKING:
    from tests.cli.shell import Shell

COUNTS = "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM artists), (SELECT count(user_id) FROM reviews)"


def test_migrate_makes_the_database_says_what_it_did_and_how_to_undo_it(project: Shell) -> None:
    ended = project.ok("migrate", "--yes")
    assert ended.err.startswith("target: sqlite data/dev.sqlite (")
    assert ended.err.splitlines()[0].endswith(", empty, env dev, not protected")
    assert "1.  migrate  0001  base   db/migrations/0001_base.sql, 3 statements" in ended.out
    assert "migrated 0001, 0002, 0003; 3 migrations applied" in ended.out
    undo = next(line.split("  ", 1)[1].strip() for line in ended.out.splitlines() if line.startswith("undo"))
    again = project.ok("migrate", "--yes")
    assert again.out == "nothing to do: 3 migrations applied, none pending\n"
    assert undo.startswith("d1ops restore ")
    assert undo.endswith(" --env dev")
    assert "rewinds every table to before the change; rows written since then would be lost" in ended.out
    project.ok(*undo.split()[1:], "--yes")
    assert {row["state"] for row in project.ok("status", "--format", "json").json["migrations"]} == {"pending"}


def test_migrate_stops_where_it_is_told(project: Shell) -> None:
    document = project.ok("migrate", "--to", "2", "--yes", "--format", "json").json
    assert [step["label"] for step in document["plan"]] == ["0001", "0002"]
    assert [event["migration"] for event in document["applied"]["events"]] == ["0001_base.sql", "0002_clerk.sql"]
    assert document["refused"] is None
    assert document["undo"] == f"d1ops restore {document['applied']['bookmark']} --env dev"
    assert project.ok("migrate", "--only", "0003", "--yes", "--format", "json").json["plan"][0]["number"] == 3


def test_a_migration_that_touches_rows_is_backed_up_and_its_losses_are_refused(filled: Shell) -> None:
    filled.migration("0004_clean.sql", "DELETE FROM artists WHERE id = 'a1';\nUPDATE users SET email = 'x';\n")
    before = filled.tree()
    refused = filled("migrate", "--yes", "--format", "json")
    assert refused.code == 5
    document = refused.json
    assert sorted(document["refused"]["losses"]) == ["artists", "users.email"]
    assert document["refused"] == document["error"]
    losses = {row["table"]: row for row in document["blast_radius"]}
    assert losses["artists"]["rows_lost"] == 1
    assert losses["users"]["columns"] == [{"column": "email", "values_lost": 2, "dropped": False, "renamed_to": None}]
    assert losses["artists"]["causes"][0]["place"] == "db/migrations/0004_clean.sql:1"
    assert document["applied"] is None
    assert filled.tree() == before
    assert filled("migrate", "--yes", "--accept-loss", "artists").code == 5
    filled.ok("migrate", "--yes", "--accept-loss", "artists, users.email")
    assert filled.read(COUNTS) == ((2, 2, 1),)


def test_rollback_takes_away_its_own_and_tells_everything(filled: Shell) -> None:
    ended = filled.ok("rollback", "0002", "--yes")
    lines = ended.out.splitlines()
    assert lines[0] == "1.  rollback  0002  clerk  db/rollbacks/0002_rollback.sql, 2 statements"
    header = lines.index("TABLE  ROWS BEFORE  AFTER  LOST  COLUMNS                         VERDICT")
    assert lines[header + 1] == "users            2      2     0  clerk_id dropped, 1 value lost  expected"
    assert "structure proved: afterwards the schema is as if it had never been applied" in lines
    assert "rolled back 0002; 2 migrations applied" in lines
    facts = {
        line.split()[0]: line.split(maxsplit=1)[1] for line in lines if line.startswith(("backup", "bookm", "undo"))
    }
    backup = facts["backup"].split()[0]
    assert facts["undo"] == f"d1ops restore {backup} --env dev"
    manifest = json.loads((filled.root / ".d1ops" / "backups" / "dev" / backup / "manifest.json").read_text())
    assert manifest["bookmark"] == facts["bookmark"]
    assert lines[-2] == "0002 is now pending again (rolled back): d1ops migrate --env dev applies it again."
    assert "`wrangler d1 migrations apply`" in lines[-1]
    assert "remove or rename db/migrations/0002_clerk.sql" in lines[-1]
    assert "restored and equal to the target" in ended.err
    assert filled.read(COUNTS) == ((2, 3, 1),)
    filled.ok(*facts["undo"].split()[1:], "--yes")
    assert filled.read("SELECT clerk_id FROM users ORDER BY id") == (("c1",), (None,))


def test_rollback_of_what_is_not_applied_has_nothing_to_do(project: Shell) -> None:
    assert project.ok("rollback", "2").out == "nothing to do: 0002 clerk is pending\n"
    document = project.ok("rollback", "clerk", "--format", "json").json
    assert document["state"] == "pending"
    assert document["plan"] == []
    unknown = project("rollback", "0099", "--format", "json")
    assert unknown.code == 2
    assert unknown.json["error"]["type"] == "UnknownMigration"


@pytest.mark.parametrize("prefix", ["", "PRAGMA foreign_keys = OFF;\n", "PRAGMA defer_foreign_keys = ON;\n"])
def test_the_textbook_rebuild_is_refused_with_every_loss_named(filled: Shell, prefix: str) -> None:
    filled.rollback("0002_rollback.sql", prefix + DANGEROUS.partition("\n")[2])
    before, rows = filled.tree(), filled.read(COUNTS)
    for consent in ((), ("--yes",), ("--confirm", "dev")):
        refused = filled("rollback", "0002", *consent, "--format", "json")
        assert refused.code == 5
        document = refused.json
        assert document["refused"]["losses"] == ["artists", "reviews.user_id"]
        losses = {row["table"]: row for row in document["blast_radius"]}
        assert (losses["artists"]["rows_before"], losses["artists"]["rows_lost"]) == (3, 3)
        assert (losses["reviews"]["rows_before"], losses["reviews"]["rows_after"]) == (2, 2)
        assert losses["reviews"]["columns"][0]["values_lost"] == 1
        (cause,) = losses["artists"]["causes"]
        assert cause["statement"] == "DROP TABLE users"
        assert cause["path"] == ["users", "artists by user_id ON DELETE CASCADE"]
        assert [losses[name]["verdict"] for name in ("users", "artists", "reviews")] == [
            "expected",
            "collateral",
            "collateral",
        ]
        assert document["backup"]["rows"] > 0
    text = filled("rollback", "0002", "--yes")
    assert text.code == 5
    assert "COLLATERAL" in text.out
    assert "DROP TABLE users" in text.out
    assert "users -> artists by user_id ON DELETE CASCADE" in text.out
    assert "the change would lose what nobody named: artists, reviews.user_id" in text.err
    assert filled.tree() == before
    assert filled.read(COUNTS) == rows


def test_a_named_loss_goes_through(filled: Shell) -> None:
    filled.rollback("0002_rollback.sql", DANGEROUS)
    some = filled("rollback", "0002", "--yes", "--accept-loss", "artists")
    assert some.code == 5
    assert "the schema would be right, and reviews.user_id would be lost: nobody asked for that" in some.out
    for verb in (("rehearse",), ("rollback", "--yes")):
        every = filled.ok(*verb, "0002", "--accept-loss", "artists,reviews")
        assert "what is marked COLLATERAL would be lost: it is accepted by name" in every.out
        assert "nobody asked" not in every.out
    assert filled.read(COUNTS) == ((2, 0, 0),)


@pytest.mark.parametrize(
    ("accepted", "hint"),
    [
        ("artists,review", "name tables and columns as the refusal does"),
        ("artists,reviews,users.emial", "name tables and columns as the refusal does"),
        ("artists,reviews,zzz", "name tables and columns as the refusal does"),
    ],
)
def test_a_name_that_nothing_has_is_a_typing_error(filled: Shell, accepted: str, hint: str) -> None:
    filled.rollback("0002_rollback.sql", DANGEROUS)
    before = filled.read(COUNTS)
    for verb in (("rollback", "--yes"), ("rehearse",)):
        ended = filled(*verb, "0002", "--accept-loss", accepted)
        assert ended.code == 2
        assert f"--accept-loss names {accepted.rpartition(',')[2]}, which is no table or column" in ended.err
        assert ended.err.endswith(f"try: {hint}\n")
    assert filled.read(COUNTS) == before


def test_a_name_of_the_target_or_of_what_the_change_makes_may_lose_nothing(filled: Shell) -> None:
    filled.migration("0004_more.sql", "CREATE TABLE more (note TEXT);\nUPDATE users SET email = email;\n")
    filled.ok("migrate", "--yes", "--accept-loss", "more,MORE.Note,users.email,d1_migrations")


def test_a_script_that_does_not_undo_its_migration_is_refused_whatever_is_accepted(filled: Shell) -> None:
    filled.rollback("0002_rollback.sql", "DROP INDEX users_clerk;\n")
    before = filled.tree()
    refused = filled("rollback", "0002", "--yes", "--accept-loss", "users,artists", "--format", "json")
    assert refused.code == 5
    assert refused.json["refused"]["type"] == "StructureRefused"
    assert refused.json["verdict"] == "not proved"
    assert refused.json["wrong"]
    assert "wrong: table users is not what it was without the migration" in filled("rollback", "2", "--yes").out
    assert filled.tree() == before


def test_cascade_rolls_back_later_ones_first(filled: Shell) -> None:
    document = filled.ok("rollback", "0002", "--cascade", "--yes", "--format", "json").json
    assert [step["label"] for step in document["plan"]] == ["0003", "0002"]
    assert document["next"][0].startswith("0002, 0003 are now pending again (rolled back): d1ops migrate --env dev")
    assert "they shall stay away" in document["next"][1]


def test_rehearse_says_it_all_and_changes_nothing(filled: Shell) -> None:
    before = filled.tree()
    ended = filled.ok("rehearse", "0002")
    assert "clerk_id dropped, 1 value lost" in ended.out
    assert "nothing was changed; d1ops rollback 0002 --env dev does it" in ended.out
    filled.rollback("0002_rollback.sql", DANGEROUS)
    before = filled.tree()
    refused = filled("rehearse", "0002", "--format", "json")
    assert refused.code == 5
    assert refused.json["refused"]["losses"] == ["artists", "reviews.user_id"]
    assert filled("rehearse", "0002", "--accept-loss", "artists,reviews").code == 0
    assert filled.ok("rehearse", "0002", "--accept-loss", "artists,reviews", "--format", "json").json["applied"] is None
    assert filled.tree() == before


def test_data_that_no_script_can_bring_back_is_called_unproved(filled: Shell) -> None:
    filled.migration(
        "0004_mend.sql", "ALTER TABLE users ADD COLUMN b TEXT;\nUPDATE users SET b = 'x', email = lower(email);\n"
    )
    filled.rollback("0004_rollback.sql", "ALTER TABLE users DROP COLUMN b;\n")
    filled.ok("migrate", "--yes")
    assert "structure proved, data not" in filled.ok("rehearse", "4").out
    document = filled.ok("rollback", "4", "--yes", "--format", "json").json
    assert document["verdict"] == "structure proved, data not"
    assert document["data_proved"] is False


def test_a_run_that_ends_in_the_middle_says_what_is_applied(filled: Shell) -> None:
    filled.migration("0004_good.sql", "CREATE TABLE good (x);\n")
    filled.migration("0005_bad.sql", "CREATE TABLE artists (x);\n")
    before = filled.tree()
    rejected = filled("migrate", "--yes", "--format", "json")
    assert rejected.code == 4
    assert "db/migrations/0005_bad.sql:1" in rejected.json["error"]["message"]
    assert filled.tree() == before


def test_sample_rows_are_for_development(project: Shell) -> None:
    refused = project("sample", "--yes")
    assert refused.code == 5
    assert "no tables" in refused.err
    project.ok("migrate", "--yes")
    document = project.ok("sample", "--rows", "5", "--seed", "3", "--yes", "--format", "json").json
    assert document["rows"] == 15
    assert {row["table"] for row in document["tables"]} == {"users", "artists", "reviews"}
    assert project("sample", "--rows", "5", "--seed", "4").code == 5
    assert "protected" in project("sample", "--env", "live", "--yes").err
    assert project.read("SELECT count(*) FROM users") == ((5,),)
