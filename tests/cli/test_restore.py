"""`restore --load`: a backup's rows in the place of what is there, and the way on after a cut."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from d1ops.core.restoring import MARK

if TYPE_CHECKING:
    from tests.cli.shell import Shell


@pytest.fixture
def backup(filled: Shell) -> str:
    made = filled.ok("backup", "create", "--format", "json").json["backup"]["id"]
    filled.write("INSERT INTO users (id, email) VALUES ('u3', 'late')", "CREATE TABLE more (x)")
    assert isinstance(made, str)
    return made


def test_a_backup_is_loaded_over_what_is_there(filled: Shell, backup: str) -> None:
    refused = filled("restore", backup, "--load")
    assert refused.code == 5
    assert "rows and values of now that are lost:" in refused.out
    assert filled.read("SELECT count(*) FROM users") == ((3,),)
    done = filled.ok("restore", backup, "--load", "--yes", "--format", "json").json
    assert {row["table"]: row["rows_lost"] for row in done["blast_radius"]}["users"] == 1
    assert done["to"]["backup"] == backup
    assert done["restored"]["rows"] > 0
    assert filled.read("SELECT count(*) FROM users") == ((2,),)
    assert filled.read("SELECT count(*) FROM sqlite_master WHERE name = 'more'") == ((0,),)
    undo = done["undo"].split()
    filled.ok(*undo[1:], "--yes")
    assert filled.read("SELECT count(*) FROM users") == ((3,),)


def test_another_envs_backup_fills_an_empty_database(filled: Shell, backup: str) -> None:
    filled.configure("copy", protected=False)
    done = filled.ok("restore", backup, "--load", "--from", "dev", "--env", "copy", "--yes")
    assert "the target is empty" in done.out
    assert "read again and equal" in done.out
    document = filled.ok("status", "--env", "copy", "--format", "json").json
    assert document["summary"] == {"applied": 3}
    assert document["restoring"] is None
    wrong = filled("restore", backup, "--from", "dev", "--env", "copy")
    assert (wrong.code, "--load --from dev" in wrong.err) == (2, True)
    assert filled("restore", backup, "--load", "--from", "../dev", "--yes").code == 2


def test_a_restore_under_way_is_named_with_both_ways_out(filled: Shell, backup: str) -> None:
    bookmark = filled.ok("backup", "list", "--format", "json").json["backups"][0]["bookmark"]
    filled.write(
        f"CREATE TABLE {MARK} (source_env, backup, before_backup, bookmark, schema_before, started_at, actor, tool,"
        " nonce, part_bytes, done, tail)",
        f"INSERT INTO {MARK} VALUES ('dev', '{backup}', NULL, '{bookmark}', '', '2026-11-22T12:00:00Z', 'ann', 't',"
        f" 'n1', 500000, -1, '{json.dumps([])}')",
    )
    status = filled("status")
    assert status.code == 6
    assert f"a restore of backup {backup} is under way since 2026-11-22T12:00:00Z, begun by ann" in status.out
    assert "d1ops restore --resume --env dev" in status.out
    assert f"d1ops restore {bookmark} --env dev" in status.out
    assert filled("status", "--format", "json").json["restoring"]["removing"] is True
    for argv in (("migrate", "--yes"), ("rollback", "3", "--yes"), ("restore", backup, "--load", "--yes")):
        ended = filled(*argv)
        assert (ended.code, "a restore is under way" in ended.err) == (6, True), ended
    assert filled("restore", "--resume").code == 5
    assert filled("restore", "20260101T000000Z-000000", "--resume", "--yes").code == 2
    assert "loaded backup" in filled.ok("restore", "--resume", "--yes").out
    assert filled.read("SELECT count(*) FROM users") == ((2,),)
    assert "nothing to do" in filled.ok("restore", "--resume").out
    assert filled.ok("status").code == 0
