"""Backups that were restored and checked. `VerifiedBackup` is the proof, and only `verify` makes one.

The rows are read as one batch of SELECTs, which is one transaction and so one snapshot, in a form that survives JSON
(`core.lossless`), and written with bound values into a SQLite file. The file is then opened anew and compared with
what the target said in the same snapshot: schema, row counts, bytes of every column; and with the digests of the rows
as they came over the wire.

On disk: `<state>/backups/<env>/<id>/data.sqlite` and `manifest.json`, folders 0700, files 0600, written aside and
renamed, so that a folder with a manifest is a whole backup.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import apsw

import d1ops
from d1ops.core.lossless import DIGEST_MODULUS, bindings, digest_row, read_totals, reader_of
from d1ops.core.mirror import build_schema, schema_of
from d1ops.core.sql import quote_identifier
from d1ops.database.sqlite import open_copy
from d1ops.errors import BackupRefused, UsageError
from d1ops.ops.look import look
from d1ops.ops.snapshot import read

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from d1ops.core.engine import Engine
    from d1ops.core.lossless import Reader
    from d1ops.core.values import Row
    from d1ops.ops.look import Look
    from d1ops.ops.snapshot import Page
    from d1ops.ops.workspace import Workspace

_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")
_DATA = "data.sqlite"
_MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What a backup holds of one table. `totals` are the target's own figures for every column, `digest` the sum of
    the rows' digests in hexadecimal."""

    table: str
    rows: int
    totals: tuple[float, ...]
    digest: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """The JSON beside a backup. Times UTC RFC 3339, sizes in bytes, durations in seconds."""

    id: str
    env: str
    kind: str
    account: str | None
    database: str
    database_id: str
    ledger: str
    created_at: str
    bookmark: str
    scope: str
    proof_of_rest: str
    schema_fingerprint: str
    tables: tuple[TableFacts, ...]
    data_sha256: str
    data_bytes: int
    target_bytes: int
    requests: int
    duration_seconds: float
    tool: str
    sqlite: str

    @property
    def rows(self) -> int:
        """All rows of all tables."""
        return sum(facts.rows for facts in self.tables)

    def to_json(self) -> dict[str, Any]:
        """The manifest as a JSON document."""
        return asdict(self)


_MAKER = object()


class VerifiedBackup:
    """A backup that was restored into a fresh database and found equal to the target. Made by `verify` alone."""

    __slots__ = ("folder", "manifest")

    def __init__(self, manifest: Manifest, folder: Path, *, maker: object = None) -> None:
        if maker is not _MAKER:
            raise TypeError("a VerifiedBackup is made by verifying a backup")
        self.manifest = manifest
        self.folder = folder

    @property
    def id(self) -> str:
        """The backup's id."""
        return self.manifest.id

    @property
    def data(self) -> Path:
        """The SQLite file."""
        return self.folder / _DATA

    def covers(self, tables: Iterable[str]) -> bool:
        """Whether the backup holds all these tables (names compare without case)."""
        held = {facts.table.lower() for facts in self.manifest.tables}
        return {table.lower() for table in tables} <= held


def backups_folder(workspace: Workspace) -> Path:
    """Return the folder of this env's backups. It need not exist."""
    return workspace.state / "backups" / workspace.env


# -- taking --------------------------------------------------------------------------------------------


def create(workspace: Workspace, seen: Look | None = None) -> tuple[VerifiedBackup, Look]:
    """Bookmark the target, read all of it as one snapshot, write the backup and verify it.

    `seen` is a look just taken, if there is one. Returns the backup and the look of its own snapshot. Raises
    BackupRefused when the target is larger than `backup_max_bytes`, when its schema moves while it is read, or when
    verification finds a difference.
    """
    started = workspace.now()
    requests = workspace.database.requests
    bookmark = workspace.database.bookmark()
    snapshot, pages = read(workspace, seen or look(workspace))
    folder = workspace.state_folder("backups", workspace.env)
    backup_id = f"{started.strftime('%Y%m%dT%H%M%SZ')}-{workspace.nonce()[:6]}"
    aside = folder / f".{backup_id}.partial"
    aside.mkdir(mode=0o700)
    try:
        facts = _write(aside / _DATA, snapshot, pages)
        target = workspace.database.target
        manifest = Manifest(
            id=backup_id,
            env=workspace.env,
            kind=target.kind,
            account=target.account,
            database=target.name,
            database_id=target.id,
            ledger=workspace.ledger,
            created_at=started.strftime("%Y-%m-%dT%H:%M:%SZ"),
            bookmark=bookmark,
            scope="all tables",
            proof_of_rest="one batch, one snapshot",
            schema_fingerprint=snapshot.schema.fingerprint(),
            tables=facts,
            data_sha256=_sha256((aside / _DATA).read_bytes()),
            data_bytes=(aside / _DATA).stat().st_size,
            target_bytes=snapshot.size_bytes,
            requests=workspace.database.requests - requests,
            duration_seconds=round((workspace.now() - started).total_seconds(), 3),
            tool=f"d1ops {d1ops.__version__}",
            sqlite=apsw.sqlite_lib_version(),
        )
        _write_private(aside / _MANIFEST, json.dumps(manifest.to_json(), indent=2).encode() + b"\n")
        _verify(aside, manifest)
        aside.rename(folder / backup_id)
        _sync(folder)
    except BaseException:
        shutil.rmtree(aside, ignore_errors=True)
        raise
    backup = VerifiedBackup(manifest, folder / backup_id, maker=_MAKER)
    workspace.tell(f"backup {backup.id}: {len(facts)} tables, {manifest.rows:,} rows, restored and equal to the target")
    return backup, snapshot


def _write(path: Path, snapshot: Look, pages: Sequence[Page]) -> tuple[TableFacts, ...]:
    """Build the SQLite file: tables, rows with bound values, then triggers, which must not fire on loading."""
    engine = open_copy(path)
    objects = snapshot.everything.objects
    try:
        build_schema(engine, [o for o in objects if o.type != "trigger"])
        with engine.unlimited():
            engine.ask("PRAGMA ignore_check_constraints = ON")
            engine.ask("BEGIN")
            for page in pages:
                engine.ask(f"DELETE FROM {quote_identifier(page.reader.table)}")
                try:
                    engine.ask_many(page.reader.insert(), (bindings(row) for row in page.rows))
                except apsw.Error as error:
                    raise BackupRefused(
                        f"{page.reader.table} holds a row that its own schema refuses: {error}",
                        hint="mend the row, or rewind without a backup: d1ops restore BOOKMARK",
                    ) from None
            engine.ask("COMMIT")
        build_schema(engine, [o for o in objects if o.type == "trigger"])
    finally:
        engine.close()
    _sync(path)
    return tuple(
        TableFacts(
            page.reader.table,
            *read_totals(page.totals),
            _digest(page.rows),
        )
        for page in pages
    )


def _digest(rows: Iterable[Row]) -> str:
    return f"{sum(map(digest_row, rows)) % DIGEST_MODULUS:032x}"


# -- verifying -----------------------------------------------------------------------------------------


def verify(workspace: Workspace, backup_id: str) -> VerifiedBackup:
    """Repeat the verification of a backup on disk. Raises UsageError for an unknown id, BackupRefused for damage."""
    folder, manifest = find(workspace, backup_id)
    _verify(folder, manifest)
    return VerifiedBackup(manifest, folder, maker=_MAKER)


def _verify(folder: Path, manifest: Manifest) -> None:
    """Open the copy as a fresh database and compare everything that the manifest knows of the target."""

    def refuse(problem: str) -> BackupRefused:
        return BackupRefused(f"backup {manifest.id}: {problem}", hint="take a new one: d1ops backup create")

    path = folder / _DATA
    if not path.is_file() or path.is_symlink():
        raise refuse("its data file is missing")
    if _sha256(path.read_bytes()) != manifest.data_sha256:
        raise refuse("its data file is not the one that was written (checksum differs)")
    engine = open_copy(path)
    try:
        with engine.unlimited():
            # A row that breaks a CHECK or NOT NULL of today was let in by the target, and is kept as it is.
            engine.ask("PRAGMA ignore_check_constraints = ON")
            found = [str(text) for (text,) in engine.ask("PRAGMA integrity_check")]
            if [text for text in found if text != "ok" and not text.startswith("NULL value in ")]:
                raise refuse(f"the restored database fails its integrity check: {found[0]}")
            schema = schema_of(engine)
            if schema.users(manifest.ledger).fingerprint() != manifest.schema_fingerprint:
                raise refuse("the restored schema differs from the target's")
            for facts in manifest.tables:
                reader = reader_of(engine, facts.table)
                (row,) = engine.ask(reader.totals())
                rows, totals = read_totals(row)
                if rows != facts.rows:
                    raise refuse(f"{facts.table} has {rows!r} rows, the target had {facts.rows}")
                if totals != facts.totals:
                    raise refuse(f"the columns of {facts.table} hold other amounts of data than the target's")
                if _digest(_projected(engine, reader)) != facts.digest:
                    raise refuse(f"the rows of {facts.table} are not the rows that were read")
    except apsw.Error as error:
        raise refuse(f"it cannot be read: {error}") from None
    finally:
        engine.close()


def _projected(engine: Engine, reader: Reader) -> Iterable[Row]:
    """The rows of the copy in the form they were read in; text as hexadecimal, which any bytes survive."""
    with engine.free():
        yield from engine.connection.execute(reader.select(hexadecimal=True))


# -- the shelf -----------------------------------------------------------------------------------------


def find(workspace: Workspace, backup_id: str) -> tuple[Path, Manifest]:
    """Return a backup's folder and manifest. Raises UsageError for an unknown or malformed id."""
    folder = backups_folder(workspace) / backup_id
    if not _ID.fullmatch(backup_id) or not (folder / _MANIFEST).is_file():
        known = [manifest.id for manifest in listed(workspace)]
        raise UsageError(
            f"no backup of {workspace.env} has the id {backup_id!r}",
            hint=f"the newest is {known[-1]}; d1ops backup list shows all"
            if known
            else "d1ops backup create makes one",
        )
    return folder, read_manifest(folder / _MANIFEST)


def read_manifest(path: Path) -> Manifest:
    """Read a manifest from disk; nothing in it is trusted as a path. Raises BackupRefused when it is not one."""
    try:
        data = json.loads(path.read_bytes())
        tables = tuple(
            TableFacts(str(t["table"]), int(t["rows"]), tuple(float(x) for x in t["totals"]), str(t["digest"]))
            for t in data.pop("tables")
        )
        manifest = Manifest(tables=tables, **data)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BackupRefused(
            f"{path} is not a manifest of this version: {error}", hint="take a new backup: d1ops backup create"
        ) from None
    if manifest.id != path.parent.name and not path.parent.name.startswith("."):
        raise BackupRefused(f"{path} belongs to backup {manifest.id}", hint="take a new one: d1ops backup create")
    return manifest


def listed(workspace: Workspace) -> list[Manifest]:
    """Return the manifests of all whole backups of this env, oldest first. Reads only."""
    folder = backups_folder(workspace)
    if not folder.is_dir():
        return []
    paths = [path / _MANIFEST for path in folder.iterdir() if _ID.fullmatch(path.name)]
    found = [read_manifest(path) for path in paths if path.is_file()]
    # Bookmarks are ordered as text, and tell apart what was taken within one second.
    return sorted(found, key=lambda manifest: (manifest.created_at, manifest.bookmark, manifest.id))


@dataclass(frozen=True, slots=True)
class Pruned:
    """What `prune` removed and kept, as backup ids. `held` are kept because the history points at them."""

    removed: tuple[str, ...]
    kept: tuple[str, ...]
    held: tuple[str, ...]
    removed_bytes: int


def prune(workspace: Workspace, *, keep_last: int, include_referenced: bool = False, dry_run: bool = False) -> Pruned:
    """Remove all but the newest `keep_last` backups. Those that a history row points at stay unless told otherwise."""
    manifests = listed(workspace)
    referenced = set() if include_referenced else {event.backup for event in look(workspace).history}
    newest = {manifest.id for manifest in manifests[len(manifests) - keep_last :]} if keep_last else set()
    candidates = [m for m in manifests if m.id not in newest]
    removed = [m for m in candidates if m.id not in referenced]
    if not dry_run:
        for manifest in removed:
            shutil.rmtree(backups_folder(workspace) / manifest.id)
    gone = {m.id for m in removed}
    return Pruned(
        removed=tuple(m.id for m in removed),
        kept=tuple(m.id for m in manifests if m.id not in gone),
        held=tuple(m.id for m in candidates if m.id in referenced),
        removed_bytes=sum(m.data_bytes for m in removed),
    )


# -- files ---------------------------------------------------------------------------------------------


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _write_private(path: Path, data: bytes) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
