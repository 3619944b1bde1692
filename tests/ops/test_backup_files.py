"""Packed, encrypted and copied backups come back whole, older ones are read, and a flipped byte is found."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from threading import Event
from typing import TYPE_CHECKING

import httpx
import obstore
import pyrage  # type: ignore[import-untyped]  # it comes without types
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from moto.server import ThreadedMotoServer
from obstore.store import S3Store

from d1ops.core.lossless import DIGEST_MODULUS, digest_row, read_totals, reader_of
from d1ops.database.sqlite import open_copy
from d1ops.errors import BackupRefused, ConfigError, D1opsError, Denied, NotFound, Unreachable, UsageError
from d1ops.ops import backup as backups
from d1ops.ops import restore
from d1ops.ops.backup import files
from d1ops.ops.backup.bucket import Bucket
from tests.lossless.sweep import contents_of
from tests.support.project import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from d1ops.ops.workspace import Workspace
    from tests.support.project import Project

CREDENTIALS = {"AWS_ACCESS_KEY_ID": "key-id", "AWS_SECRET_ACCESS_KEY": "s3cr3t-key"}


# -- packed ------------------------------------------------------------------------------------------------


def test_a_packed_backup_is_unpacked_once_and_goes_with_the_process(filled: Project) -> None:
    backup, _ = backups.create(filled.workspace)
    assert {path.name for path in backup.folder.iterdir()} == {"data.sqlite.zst", "manifest.json"}
    again = backups.verify(filled.workspace, backup.id)
    with again.unpacked() as first, again.unpacked() as second:
        assert first == second
        assert contents_of(first) == contents_of(filled.root / "state" / "dev.sqlite")
        again.forget()
        assert first.is_file()
    again.forget()
    with again.unpacked() as path:
        assert path.is_file()
    code = (
        "import sys; from pathlib import Path; from d1ops.ops.backup.manifest import read_manifest;"
        "from d1ops.ops.backup.verified import made; folder = Path(sys.argv[1]);"
        "proof = made(read_manifest(folder / 'manifest.json'), folder);\n"
        "with proof.unpacked() as path: print(path)"
    )
    command = [sys.executable, "-c", code, str(backup.folder)]
    done = subprocess.run(command, env={**os.environ, "PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert f"/.{backup.id}." in done.stdout
    assert not os.path.exists(done.stdout.strip())  # noqa: PTH110 - a path as it was printed


@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_flipped_bit_is_found(filled: Project, place: float, bit: int) -> None:
    known = backups.listed(filled.workspace)
    backup_id = known[0].id if known else backups.create(filled.workspace)[0].id
    folder, _ = backups.find(filled.workspace, backup_id)
    for name in ("data.sqlite.zst", "manifest.json"):
        whole = (folder / name).read_bytes()
        damaged = bytearray(whole)
        damaged[int(len(damaged) * place)] ^= 1 << bit
        (folder / name).write_bytes(damaged)
        with pytest.raises(BackupRefused):
            backups.verify(filled.workspace, backup_id)
        (folder / name).write_bytes(whole)


def test_what_was_left_unpacked_by_a_killed_command_is_named_and_removed(filled: Project) -> None:
    backup, _ = backups.create(filled.workspace)
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    left = backup.folder.parent / f".{backup.id}.{ended.pid}.abcdef.unpacked"
    left.mkdir(mode=0o700)
    (left / "data.sqlite").touch(mode=0o600)
    assert backups.prune(filled.workspace, keep_last=1, dry_run=True).leftovers == (left.name,)
    assert left.is_dir()
    assert backups.prune(filled.workspace, keep_last=1).leftovers == (left.name,)
    assert not left.exists()


def test_prune_keeps_days_and_weeks(filled: Project) -> None:
    made = []
    for day in range(10):
        at = datetime(2026, 11, 1, 12, tzinfo=UTC) + timedelta(days=day)
        made.append(backups.create(replace(filled.workspace, now=lambda at=at: at))[0].id)  # type: ignore[misc]  # a clock
    pruned = backups.prune(filled.workspace, keep_daily=3, keep_weekly=3)
    assert pruned.kept == (made[0], made[7], made[8], made[9])
    assert pruned.removed_bytes > 0


# -- format 1 ----------------------------------------------------------------------------------------------


def as_first_format(backup: backups.VerifiedBackup) -> None:
    """Rewrite a backup as the release before this one left it."""
    with backup.unpacked() as path:
        data = path.read_bytes()
    (backup.folder / "data.sqlite.zst").unlink()
    files.write_private(backup.folder / "data.sqlite", data)
    engine = open_copy(backup.folder / "data.sqlite")
    tables = []
    for facts in backup.manifest.tables:
        reader = reader_of(engine, facts.table)
        rows, totals = read_totals(engine.ask(reader.totals())[0])
        digest = sum(map(digest_row, engine.ask(reader.select(hexadecimal=True)))) % DIGEST_MODULUS
        tables.append({"table": facts.table, "rows": rows, "totals": totals, "digest": f"{digest:032x}"})
    engine.close()
    known = [
        "id",
        "env",
        "kind",
        "account",
        "database",
        "database_id",
        "ledger",
        "created_at",
        "bookmark",
        "scope",
        "proof_of_rest",
        "schema_fingerprint",
        "target_bytes",
        "requests",
        "duration_seconds",
        "tool",
        "sqlite",
    ]
    sha256, size = files.sha256_of(backup.folder / "data.sqlite")
    document = {name: getattr(backup.manifest, name) for name in known}
    document |= {"tables": tables, "data_sha256": sha256, "data_bytes": size}
    (backup.folder / "manifest.json").write_text(json.dumps(document, indent=2) + "\n")
    backup.forget()


def test_a_backup_of_the_first_format_is_still_read(filled: Project, tmp_path: Path) -> None:
    backup, _ = backups.create(filled.workspace)
    as_first_format(backup)
    old = backups.verify(filled.workspace, backup.id)
    assert old.manifest.format == 1
    assert old.covers(["users", "artists"])
    restore.load(filled.workspace, backup.id, tmp_path / "fresh.sqlite")
    assert contents_of(tmp_path / "fresh.sqlite") == contents_of(filled.root / "state" / "dev.sqlite")
    data = bytearray((backup.folder / "data.sqlite").read_bytes())
    data[-1] ^= 1
    (backup.folder / "data.sqlite").write_bytes(data)
    with pytest.raises(BackupRefused, match="checksum differs"):
        backups.verify(filled.workspace, backup.id)


def test_a_manifest_of_a_newer_format_says_so(filled: Project) -> None:
    backup, _ = backups.create(filled.workspace)
    path = backup.folder / "manifest.json"
    path.write_text(path.read_text().replace('"format": 2', '"format": 3'))
    with pytest.raises(BackupRefused, match="a newer d1ops wrote"):
        backups.verify(filled.workspace, backup.id)


# -- encrypted ---------------------------------------------------------------------------------------------


def test_an_encrypted_backup_is_read_with_an_identity_alone(filled: Project, tmp_path: Path) -> None:
    identity = pyrage.x25519.Identity.generate()
    key = tmp_path / "key.txt"
    key.write_text(f"# made by a test\n{identity}\n")
    other = tmp_path / "other.txt"
    other.write_text(f"{pyrage.x25519.Identity.generate()}\n")
    workspace = replace(filled.workspace, backup_recipients=(str(identity.to_public()),))
    backup, _ = backups.create(workspace)
    assert {path.name for path in backup.folder.iterdir()} == {"data.sqlite.zst.age", "manifest.json"}
    assert (backup.folder / "data.sqlite.zst.age").read_bytes().startswith(b"age-encryption.org/v1")
    assert stat.S_IMODE((backup.folder / "data.sqlite.zst.age").stat().st_mode) == 0o600
    with backup.unpacked() as path:
        assert contents_of(path) == contents_of(filled.root / "state" / "dev.sqlite")
    backup.forget()
    with pytest.raises(ConfigError, match="no identity is given"):
        backups.verify(workspace, backup.id)
    with pytest.raises(ConfigError, match="cannot be decrypted") as refused:
        backups.verify(replace(workspace, backup_identity=other), backup.id)
    assert "AGE-SECRET-KEY" not in f"{refused.value}{refused.value.hint}"
    verified = backups.verify(replace(workspace, backup_identity=key), backup.id)
    with verified.unpacked() as path:
        assert contents_of(path) == contents_of(filled.root / "state" / "dev.sqlite")


class AtTheEnd(Event):
    """Is set once somebody asks often enough."""

    asked = 0

    def is_set(self) -> bool:
        self.asked += 1
        return self.asked > 20


def test_encryption_ends_soon_after_nobody_waits_for_it(tmp_path: Path) -> None:
    (tmp_path / "data").write_bytes(os.urandom(4_000_000))
    recipient = str(pyrage.x25519.Identity.generate().to_public())
    stop = AtTheEnd()
    with pytest.raises(files.Stopped):
        files.pack(tmp_path / "data", tmp_path / "packed.age", [recipient], stop)
    assert (tmp_path / "packed.age").exists(), "it was encrypting"
    assert stop.asked < 30


@pytest.mark.parametrize("text", ["", "# nothing\n", "AGE-SECRET-KEY-1NONSENSE\n", "\u00ff\n"])
def test_a_file_without_an_identity_is_refused_without_its_text(tmp_path: Path, text: str) -> None:
    path = tmp_path / "key.txt"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(ConfigError, match="holds no identity") as refused:
        files.identities_of(path)
    assert "NONSENSE" not in f"{refused.value}{refused.value.hint}"
    with pytest.raises(ConfigError, match="cannot be read"):
        files.identities_of(tmp_path / "absent.txt")


@pytest.mark.parametrize("recipient", ["nonsense", "age1nonsense", "ssh-ed25519 nonsense"])
def test_a_recipient_that_is_none_stops_before_anything_is_read(filled: Project, recipient: str) -> None:
    workspace = replace(filled.workspace, backup_recipients=(recipient,))
    before = filled.database.requests
    with pytest.raises(ConfigError, match="is no recipient"):
        backups.create(workspace)
    assert filled.database.requests == before


# -- copied ------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """A server that speaks S3, on loopback."""
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


def made_bucket(endpoint: str, name: str) -> S3Store:
    assert httpx.put(f"{endpoint}/{name}", headers={"authorization": SIGNED}).is_success
    return S3Store(
        name,
        config={
            "endpoint": endpoint,
            "region": "us-east-1",
            "access_key_id": "key-id",
            "secret_access_key": "s3cr3t-key",
            "virtual_hosted_style_request": False,
        },
        client_options={"allow_http": True},
    )


SIGNED = "AWS4-HMAC-SHA256 Credential=key-id/20261122/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=x"


def copying(project: Project, endpoint: str, name: str) -> Workspace:
    return replace(project.workspace, bucket=Bucket(name, endpoint, "us-east-1", "kept", CREDENTIALS))


def test_a_copy_is_made_and_checked_from_there(filled: Project, endpoint: str) -> None:
    store = made_bucket(endpoint, "copies")
    workspace = copying(filled, endpoint, "copies")
    backup, _ = backups.create(workspace)
    names = sorted(item["path"] for page in obstore.list(store) for item in page)
    prefix = f"kept/dev/{backup.id}"
    assert names == [f"{prefix}/data.sqlite.zst", f"{prefix}/manifest.json"]
    for path in backup.folder.iterdir():
        path.unlink()
    backup.folder.rmdir()
    verified = backups.verify(workspace, backup.id, from_copy=True)
    assert verified.manifest == backup.manifest
    with verified.unpacked() as path:
        assert contents_of(path) == contents_of(filled.root / "state" / "dev.sqlite")
    data = bytearray(bytes(obstore.get(store, names[0]).bytes()))
    data[len(data) // 2] ^= 1
    obstore.put(store, names[0], bytes(data))
    with pytest.raises(BackupRefused, match="checksum differs"):
        backups.verify(workspace, backup.id, from_copy=True)
    obstore.delete(store, names[0])
    with pytest.raises(NotFound, match="it is not there"):
        backups.verify(workspace, backup.id, from_copy=True)


def test_a_bucket_that_takes_nothing_leaves_the_backup_here(filled: Project, endpoint: str) -> None:
    for bucket in (
        Bucket("absent", endpoint, "us-east-1", "kept", CREDENTIALS),
        Bucket("absent", "http://127.0.0.1:9", "us-east-1", "kept", CREDENTIALS),
    ):
        with pytest.raises(
            (Unreachable, NotFound, Denied), match="is made and verified here, and its copy is not"
        ) as e:
            backups.create(replace(filled.workspace, bucket=bucket))
        assert "s3cr3t" not in f"{e.value}{e.value.hint}{bucket!r}"
        newest = backups.listed(filled.workspace)[-1]
        assert backups.verify(filled.workspace, newest.id).manifest == newest


def test_without_credentials_or_a_bucket_nothing_is_asked(filled: Project, endpoint: str) -> None:
    workspace = replace(filled.workspace, bucket=Bucket("copies", endpoint, environ={}))
    with pytest.raises(ConfigError, match="AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY not set"):
        backups.create(workspace)
    with pytest.raises(ConfigError, match="there is no bucket"):
        backups.verify(filled.workspace, "20261122T120000Z-000001", from_copy=True)
    with pytest.raises(UsageError, match="is no backup id"):
        backups.verify(copying(filled, endpoint, "copies"), "../../etc", from_copy=True)
    assert issubclass(ConfigError, D1opsError)
