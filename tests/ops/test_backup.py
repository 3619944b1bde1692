"""Backups hold every value, are proved by restoring, and a damaged one is found."""

from __future__ import annotations

import json
import resource
import stat
from dataclasses import asdict, replace
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from d1ops.core.lossless import reader_of
from d1ops.core.values import Statement
from d1ops.database.sqlite import SqliteDatabase, open_copy
from d1ops.errors import BackupRefused, Unreachable, UsageError
from d1ops.ops import backup as backups
from d1ops.ops import restore
from d1ops.ops.backup import files
from d1ops.ops.backup.manifest import PACKED
from tests.support.project import YES, Project

if TYPE_CHECKING:
    from pathlib import Path

    from d1ops.core.engine import Engine

AWKWARD = (
    "CREATE TABLE v (id INTEGER PRIMARY KEY, x)",
    "INSERT INTO v (x) VALUES (9223372036854775807), (-9223372036854775808), (9007199254740993), (9e999), (-9e999)",
    "INSERT INTO v (x) VALUES (1.0), (1e20), (-0.0), (5e-324), (0.1), (''), (NULL), (x''), (x'00ff')",
    "INSERT INTO v (x) VALUES ('a' || char(0) || 'b'), ('line' || char(10) || '\\n'), (CAST(x'ff41' AS TEXT))",
    "INSERT INTO v (x) VALUES ('\ufffd')",
    "CREATE TABLE g (a INTEGER PRIMARY KEY, b AS (a * 2), c AS (a + 1) STORED)",
    "INSERT INTO g (a) VALUES (1), (2)",
    "CREATE TABLE w (k TEXT, n INTEGER, PRIMARY KEY (k, n)) STRICT, WITHOUT ROWID",
    "INSERT INTO w VALUES ('a', 1), ('a', 2)",
    "CREATE TABLE auto (id INTEGER PRIMARY KEY AUTOINCREMENT)",
    "INSERT INTO auto VALUES (41)",
    "DELETE FROM auto",
    "CREATE TABLE no_key (a)",
    "INSERT INTO no_key (rowid, a) VALUES (5, 'five'), (9, 'nine')",
    "CREATE VIRTUAL TABLE f USING fts5(title, body)",
    "INSERT INTO f VALUES ('hello', 'world'), ('second', 'entry')",
    "CREATE TRIGGER t AFTER INSERT ON g BEGIN INSERT INTO no_key VALUES (new.a); END",
    "CREATE VIEW s AS SELECT x FROM v",
    "CREATE INDEX i ON v (x)",
    "ANALYZE",
)


def content(engine: Engine) -> dict[str, object]:
    # sqlite_stat4 is the local planner's own sample; D1's SQLite is built without it.
    tables = [
        str(name)
        for (name,) in engine.ask("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> 'sqlite_stat4'")
    ]
    found: dict[str, object] = {
        table: sorted(engine.ask(reader_of(engine, table).select(hexadecimal=True)), key=repr) for table in tables
    }
    found["schema"] = sorted(engine.ask("SELECT type, name, sql FROM sqlite_master"), key=repr)
    return found


def test_every_kind_of_value_and_object_comes_back(project: Project, tmp_path: Path) -> None:
    project.run(*AWKWARD)
    backup, _ = backups.create(project.workspace)
    restore.load(project.workspace, backup.id, tmp_path / "fresh.sqlite")
    source, fresh = open_copy(tmp_path / "state" / "dev.sqlite"), open_copy(tmp_path / "fresh.sqlite")
    assert content(fresh) == content(source)
    assert fresh.ask("SELECT rowid FROM f WHERE f MATCH 'entry'") == [(2,)]
    assert fresh.ask("PRAGMA integrity_check") == [("ok",)]
    for engine in (source, fresh):
        engine.close()


@given(
    st.lists(
        st.one_of(
            st.none(),
            st.integers(-(2**63), 2**63 - 1),
            st.floats(allow_nan=False),
            st.text(st.characters(codec="utf-8")),
            st.binary(),
        ),
        max_size=30,
    )
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=25)
def test_generated_values_come_back(project: Project, values: list[int | float | str | bytes | None]) -> None:
    project.run("DROP TABLE IF EXISTS r", "CREATE TABLE r (x)")
    project.database.batch([Statement("INSERT INTO r VALUES (?1)", (value,)) for value in values])
    backup, _ = backups.create(project.workspace)
    with backup.unpacked() as path:
        engine = open_copy(path)
        rows = [x for (x,) in engine.ask("SELECT x FROM r ORDER BY rowid")]
        engine.close()
    assert [(type(x), x.hex() if isinstance(x, float) else x) for x in rows] == [
        (type(x), x.hex() if isinstance(x, float) else x) for x in values
    ]


def test_files_are_private_and_ignored_by_version_control(filled: Project) -> None:
    backup, _ = backups.create(filled.workspace)
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in (filled.root / ".d1ops").rglob("*")}
    assert {mode for path, mode in modes.items() if path.is_dir()} == {0o700}
    packed = backup.folder / backup.manifest.packed_file
    with backup.unpacked() as path:
        assert {modes[packed], modes[path], modes[backup.folder / "manifest.json"]} == {0o600}
    assert (filled.root / ".d1ops" / ".gitignore").read_text() == "*\n"


def test_the_manifest_says_what_a_person_asks(filled: Project) -> None:
    backup, _ = backups.create(filled.workspace)
    manifest = json.loads((backup.folder / "manifest.json").read_text())
    assert manifest["env"] == "dev"
    assert manifest["database_id"] == filled.database.target.id
    assert {t["table"]: t["rows"] for t in manifest["tables"]}["artists"] == 3
    assert manifest["bookmark"] == backup.manifest.bookmark
    assert backups.listed(filled.workspace)[-1].to_json() == backup.manifest.to_json()


@pytest.mark.parametrize("place", [0.1, 0.5, 0.99])
def test_a_flipped_byte_is_found(filled: Project, place: float) -> None:
    backup, _ = backups.create(filled.workspace)
    for name in (backup.manifest.packed_file, "manifest.json"):
        file = backup.folder / name
        whole = file.read_bytes()
        data = bytearray(whole)
        data[int(len(data) * place)] ^= 1
        file.write_bytes(data)
        with pytest.raises(BackupRefused):
            backups.verify(filled.workspace, backup.id)
        file.write_bytes(whole)
    assert backups.verify(filled.workspace, backup.id).manifest == backup.manifest


def test_other_rows_under_a_matching_checksum_are_found(filled: Project) -> None:
    backup, _ = backups.create(filled.workspace)
    with backup.unpacked() as source:
        engine = open_copy(source)
        engine.execute("UPDATE users SET email = 'x@b.c' WHERE id = 'u1'")
        engine.close()
        (backup.folder / PACKED).unlink()
        packed = files.pack(source, backup.folder / PACKED, ())
    path = backup.folder / "manifest.json"
    path.write_bytes(replace(backup.manifest, **asdict(packed)).to_bytes())
    with pytest.raises(BackupRefused, match=r"the rows of users are not the rows that were read"):
        backups.verify(filled.workspace, backup.id)


@pytest.mark.parametrize("wanted", ["nope", "../../etc", "20261122T120000Z-zzzzzz", "20261122T120000Z-000000"])
def test_an_unknown_id_is_no_path(filled: Project, wanted: str) -> None:
    backups.create(filled.workspace)
    with pytest.raises(UsageError, match=r"no backup of dev has the id"):
        backups.verify(filled.workspace, wanted)


def test_a_manifest_that_is_none_is_refused(filled: Project) -> None:
    backup, _ = backups.create(filled.workspace)
    (backup.folder / "manifest.json").write_text('{"id": "x"}')
    with pytest.raises(BackupRefused, match=r"is not a manifest of this version"):
        backups.verify(filled.workspace, backup.id)


@pytest.mark.parametrize("kibibytes", [1, 20, 200])
def test_a_disk_without_room_leaves_nothing_half_written(filled: Project, kibibytes: int) -> None:
    filled.run(
        "WITH RECURSIVE c (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 200)"
        " INSERT INTO users SELECT n, hex(randomblob(1000)), NULL FROM c"
    )
    folder = filled.root / ".d1ops" / "backups" / "dev"
    before = sorted(folder.iterdir())
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (kibibytes * 1024, limits[1]))
    try:
        with pytest.raises(Unreachable, match=r"^(no room to write|cannot read or write) .*(?<!not an error)$"):
            backups.create(filled.workspace)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert sorted(folder.iterdir()) == before
    backups.create(filled.workspace)


def test_a_target_over_the_budget_is_refused_before_rows_are_read(filled: Project) -> None:
    workspace = replace(filled.workspace, backup_max_bytes=1000)
    with pytest.raises(BackupRefused, match=r"more than the 1,000"):
        backups.create(workspace)
    assert backups.listed(workspace) == []


def test_prune_keeps_the_newest_and_what_the_history_points_at(filled: Project) -> None:
    referenced = filled.rollback("3").backup_id
    made = [backups.create(filled.workspace)[0].id for _ in range(3)]
    kept = backups.prune(filled.workspace, keep_last=1, dry_run=True)
    assert len(backups.listed(filled.workspace)) == 4
    pruned = backups.prune(filled.workspace, keep_last=1)
    assert pruned == kept
    assert pruned.removed == tuple(made[:2])
    assert pruned.held == (referenced,)
    assert [m.id for m in backups.listed(filled.workspace)] == [referenced, made[2]]
    assert backups.prune(filled.workspace, keep_last=1, include_referenced=True).removed == (referenced,)


def test_a_restore_brings_rows_and_history_and_says_what_goes(filled: Project) -> None:
    before = filled.rows()
    applied = filled.rollback("2")
    filled.run("INSERT INTO users (id, email) VALUES ('u3', 'late@b.c')")
    assert applied.backup_id is not None
    ready = restore.prepare(filled.workspace, applied.backup_id)
    assert ready.losses is not None
    assert [(loss.table, loss.rows_lost) for loss in ready.losses] == [("users", 1)]
    assert [e.kind for e in ready.undone] == ["rollback"]
    done = restore.restore(filled.workspace, ready, YES)
    assert filled.rows() == before
    assert filled.states() == {"0001": "applied", "0002": "applied", "0003": "applied"}
    history = done.look.history
    assert [(e.kind, e.rewound_by is not None) for e in history][-2:] == [("rollback", True), ("restore", False)]
    again = restore.prepare(filled.workspace, done.undo)
    restore.restore(filled.workspace, again, YES)
    assert ("u3", "late@b.c") in filled.rows()["users"]
    assert filled.states()["0002"] == "rolled back"


def test_a_view_is_no_table_that_a_rewind_loses(filled: Project) -> None:
    filled.run("CREATE VIEW names AS SELECT email FROM users")
    backup, _ = backups.create(filled.workspace)

    assert restore.prepare(filled.workspace, backup.id).losses == ()


def test_a_backup_of_another_database_is_not_a_point_in_time_of_this_one(filled: Project, tmp_path: Path) -> None:
    backup, _ = backups.create(filled.workspace)
    filled.database = SqliteDatabase(tmp_path / "other.sqlite")
    filled.run("CREATE TABLE x (a)")
    with pytest.raises(UsageError, match=r"is of database"):
        restore.prepare(filled.workspace, backup.id)
    filled.database.close()


def test_a_restore_into_a_file_never_overwrites(filled: Project, tmp_path: Path) -> None:
    backup, _ = backups.create(filled.workspace)
    (tmp_path / "there").write_text("mine")
    with pytest.raises(UsageError, match=r"exists already"):
        restore.load(filled.workspace, backup.id, tmp_path / "there")
    assert (tmp_path / "there").read_text() == "mine"


def test_the_journal_keeps_every_event(filled: Project) -> None:
    filled.rollback("3")
    lines = (filled.root / ".d1ops" / "backups" / "dev" / "journal.jsonl").read_text().splitlines()
    written = [(line["kind"], line["phase"]) for line in map(json.loads, lines)]
    kinds = ["migrate", "migrate", "migrate", "rollback"]
    assert written == [(kind, phase) for kind in kinds for phase in ("intent", "done")]
