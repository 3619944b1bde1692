"""Backups on the shelf, and the way back."""

from __future__ import annotations

import shutil
import stat
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.cli.shell import Shell


def create(shell: Shell) -> str:
    return str(shell.ok("backup", "create", "--format", "json").json["backup"]["id"])


def test_a_backup_is_made_listed_and_verified(filled: Shell) -> None:
    assert filled.ok("backup", "list").out == "there are no backups of dev\n"
    ended = filled.ok("backup", "create")
    assert "restored and equal to the target" in ended.err
    backup = ended.out.splitlines()[0].split()[1]
    assert f"restore   d1ops restore {backup} --env dev" in ended.out
    (listed,) = filled.ok("backup", "list", "--format", "json").json["backups"]
    assert listed["id"] == backup
    assert backup in filled.ok("backup", "list").out
    assert f"{backup} is whole" in filled.ok("backup", "verify", backup).out
    folder = filled.root / ".d1ops" / "backups" / "dev" / backup
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in folder.iterdir()} == {0o600}
    assert (filled.root / ".d1ops" / ".gitignore").read_text() == "*\n"


def test_restore_shows_what_is_lost_and_how_to_take_it_back(filled: Shell) -> None:
    backup = create(filled)
    filled.write("INSERT INTO users (id, email) VALUES ('u3', 'late')")
    filled.migration("0004_more.sql", "CREATE TABLE more (x);\n")
    filled.ok("migrate", "--yes")
    refused = filled("restore", backup)
    assert refused.code == 5
    assert "users            3      2     1" in refused.out
    assert "migrate 0004_more.sql" in refused.out
    document = filled.ok("restore", backup, "--yes", "--format", "json").json
    losses = {row["table"]: row["rows_lost"] for row in document["blast_radius"]}
    assert losses["users"] == 1
    assert [event["migration"] for event in document["undone"]] == ["0004_more.sql"]
    assert filled.read("SELECT count(*) FROM users") == ((2,),)
    undo = document["undo"].split()
    assert undo[:2] == ["d1ops", "restore"]
    filled.ok(*undo[1:], "--yes")
    assert filled.read("SELECT count(*) FROM users") == ((3,),)
    kinds = [event["kind"] for event in filled.ok("history", "--format", "json").json["events"]]
    assert kinds[-1] == "restore"


def test_a_point_that_is_no_backup_says_that_nobody_can_say(filled: Shell) -> None:
    create(filled)
    now = datetime.now(UTC).isoformat()
    shutil.rmtree(filled.root / ".d1ops" / "backups")
    ended = filled.ok("restore", now, "--yes")
    assert "rewind to the copy of " in ended.out
    assert "so nobody can say which rows written since are lost" in ended.out
    shutil.rmtree(filled.root / ".d1ops" / "backups")
    assert filled.ok("restore", now, "--yes", "--format", "json").json["blast_radius"] is None


def test_a_time_is_the_newest_copy_before_it_which_is_said_before_somebody_agrees(filled: Shell) -> None:
    create(filled)
    (taken,) = {each["created_at"] for each in filled.ok("backup", "list", "--format", "json").json["backups"]}
    filled.write("INSERT INTO users (id) VALUES ('u3')")
    now = datetime.now(UTC).isoformat()
    refused = filled("restore", now)
    assert refused.code == 5
    assert f"the newest one at or before {now} is of {taken}, and what was written between the two" in refused.out
    assert "users            3      2     1" in refused.out
    assert filled("restore", now, "--format", "json").json["to"]["copied_at"] == taken


@pytest.mark.parametrize(
    ("to", "fact", "hint"),
    [
        ("2126-12-01T00:00:00Z", "is yet to come", "d1ops backup list"),
        ("9999-12-31T23:59:59-14:00", "no backup of dev has the id", "d1ops backup create"),
        ("2026-11-01", "has no offset", "write it as 2026-11-01T00:00:00Z for UTC"),
    ],
)
def test_a_time_to_which_nobody_can_go_is_refused(filled: Shell, to: str, fact: str, hint: str) -> None:
    before = filled.tree()
    ended = filled("restore", to, "--yes")
    assert (ended.code, fact in ended.err, hint in ended.err) == (2, True, True), ended
    assert filled.tree() == before


def test_a_backup_is_loaded_into_a_new_file_alone(filled: Shell) -> None:
    backup = create(filled)
    before = filled.tree()
    assert "holds backup" in filled.ok("restore", backup, "--into", "copy.sqlite").out
    copy = filled.root / "copy.sqlite"
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert filled("restore", backup, "--into", "copy.sqlite").code == 2
    copy.unlink()
    assert filled.tree() == before
    assert filled("restore", backup, "--into", "no/such/folder/copy.sqlite").code == 2


def test_prune_keeps_the_newest_and_those_that_the_history_needs(filled: Shell) -> None:
    filled.ok("rollback", "3", "--yes")
    needed = filled.ok("history", "--limit", "1", "--format", "json").json["events"][0]["backup"]
    old = create(filled)
    filled.write("INSERT INTO users (id) VALUES ('u4')")
    new = create(filled)
    dry = filled.ok("backup", "prune", "--keep-last", "1", "--dry-run", "--format", "json").json
    assert (dry["removed"], dry["held"], dry["dry_run"]) == ([old], [needed], True)
    assert len(filled.ok("backup", "list", "--format", "json").json["backups"]) == 3
    ended = filled.ok("backup", "prune", "--keep-last", "1", "--yes")
    assert f"{needed} stays: the history points at it" in ended.out
    assert "1 backup removed" in ended.out
    left = [each["id"] for each in filled.ok("backup", "list", "--format", "json").json["backups"]]
    assert left == [needed, new]
    filled.ok("backup", "prune", "--keep-last", "0", "--include-referenced", "--yes")
    assert filled.ok("backup", "list", "--format", "json").json["backups"] == []
    assert "0 backups removed" in filled.ok("backup", "prune", "--keep-last", "0").out


def test_prune_asks_what_stays_and_keeps_days_and_weeks(filled: Shell) -> None:
    refused = filled("backup", "prune")
    assert refused.code == 2
    assert "nothing says what stays" in refused.err
    first = create(filled)
    filled.write("INSERT INTO users (id) VALUES ('u4')")  # within one second only the bookmark tells which is newer
    second = create(filled)
    dry = filled.ok("backup", "prune", "--keep-daily", "1", "--keep-weekly", "1", "--dry-run", "--format", "json").json
    assert (dry["removed"], dry["kept"], dry["leftovers"]) == ([first], [second], [])


def test_prune_removes_what_interrupted_commands_left(filled: Shell) -> None:
    backup = create(filled)
    left = filled.root / ".d1ops" / "backups" / "dev" / f".{backup}.partial"
    left.mkdir(mode=0o700)
    assert (
        f"{left.name} was left by an interrupted command"
        in filled.ok("backup", "prune", "--keep-last", "1", "--dry-run").out
    )
    assert "unfinished backup" in filled("doctor").out
    filled.ok("backup", "prune", "--keep-last", "1", "--yes")
    assert not left.exists()


def test_every_backup_is_verified_and_a_damaged_one_is_named(filled: Shell) -> None:
    first, second = create(filled), create(filled)
    assert "2 whole, 0 damaged" in filled.ok("backup", "verify", "--all").out
    file = filled.root / ".d1ops" / "backups" / "dev" / first / "data.sqlite.zst"
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    ended = filled("backup", "verify", "--all", "--format", "json")
    assert ended.code == 5
    assert {each["id"]: each["verified"] for each in ended.json["backups"]} == {first: False, second: True}
    assert f"backup {first}" in ended.err
    assert filled("backup", "verify").code == 2
    assert filled("backup", "verify", first, "--all").code == 2
    assert filled("backup", "verify", first, "--from-copy").code == 2


@pytest.mark.parametrize("spoil", [lambda file: file.write_text("{"), lambda file: file.unlink()])
def test_a_damaged_manifest_hides_no_other_backup(filled: Shell, spoil: Callable[[Path], object]) -> None:
    folder = filled.root / ".d1ops" / "backups" / "dev"
    first, second = create(filled), create(filled)
    filled.write("INSERT INTO users (id) VALUES ('u3')")
    third = create(filled)
    bookmark = filled.ok("backup", "list", "--format", "json").json["backups"][0]["bookmark"]
    spoil(folder / second / "manifest.json")
    listed = filled.ok("backup", "list", "--format", "json")
    assert [each["id"] for each in listed.json["backups"]] == [first, third]
    (damaged,) = listed.json["damaged"]
    assert (damaged["id"], f"{second}/manifest.json" in damaged["problem"]) == (second, True)
    assert f"warning: backup {second} is damaged and not listed" in listed.err
    assert f"{second}/manifest.json" in filled("backup", "verify", "--all").err
    assert "no backup of dev has the id" in filled("restore", "20260101T000000Z-000000").err
    assert f"{second}/manifest.json" in filled("restore", second, "--yes").err
    ended = filled.ok("restore", bookmark, "--yes", "--format", "json").json
    assert {loss["table"]: loss["rows_lost"] for loss in ended["blast_radius"]} == {"users": 1}
    pruned = filled.ok("backup", "prune", "--keep-last", "2", "--yes", "--format", "json")
    assert (pruned.json["removed"], pruned.json["damaged"]) == ([first], [damaged])
    assert f"backup {second} is damaged and neither counted nor removed" in pruned.err
    assert (folder / second).is_dir()


def test_a_rewind_to_a_bookmark_does_without_its_damaged_backup(filled: Shell) -> None:
    backup = create(filled)
    bookmark = filled.ok("backup", "list", "--format", "json").json["backups"][0]["bookmark"]
    (filled.root / ".d1ops" / "backups" / "dev" / backup / "data.sqlite.zst").write_bytes(b"")
    ended = filled.ok("restore", bookmark, "--yes", "--format", "json")
    assert ended.json["blast_radius"] is None
    assert f"not compared with a damaged backup: backup {backup}" in ended.err


def test_a_database_over_the_budget_is_read_only_when_somebody_agrees(filled: Shell) -> None:
    path = filled.root / "config" / "dev.toml"
    path.write_text(path.read_text() + "[backup]\nmax_bytes = 1000\n")
    refused = filled("backup", "create")
    assert refused.code == 5
    assert "--over-budget" in refused.err
    assert "to be read: " in refused.err
    filled.ok("backup", "create", "--over-budget", "--fresh")
    done = filled.ok("rollback", "3", "--yes")
    assert "3 of 6 tables of a database of" in done.err
    assert "warning: the backup holds 3 of 6 tables" in done.out
    path.write_text(path.read_text().replace("1000", "10"))
    refused = filled("rollback", "2", "--yes")
    assert refused.code == 5
    assert "more than the 10 that a backup may read without asking" in refused.err


def test_a_recipient_that_is_none_is_a_mistake_of_the_configuration(filled: Shell) -> None:
    path = filled.root / "config" / "dev.toml"
    path.write_text(path.read_text() + '[backup]\nrecipients = ["age1nobody"]\n')
    refused = filled("backup", "create")
    assert refused.code == 2
    assert "is no recipient" in refused.err
