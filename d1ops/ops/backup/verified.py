"""`VerifiedBackup`, the proof that a backup was checked, and the checking. Only `verify` and `create` make one."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import apsw

from d1ops.core.mirror import schema_of
from d1ops.core.reader import reader_of
from d1ops.core.sql import fold
from d1ops.database.sqlite import open_copy
from d1ops.errors import BackupRefused
from d1ops.ops.backup import files, first_format
from d1ops.ops.backup.copy import digest_of, stop_with, totals_of
from d1ops.ops.backup.manifest import DATA, Manifest, Violation

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from threading import Event

    from d1ops.core.engine import Engine
    from d1ops.core.reader import Totals

_MAKER = object()
_CACHE_KIBIBYTES = 32 * 1024
UNPACKED = ".unpacked"

_unpacked: dict[Path, Path] = {}
"""Where this process keeps which backup unpacked, by its folder."""
_readers: Counter[Path] = Counter()
"""How many read an unpacked file now."""


class VerifiedBackup:
    """A backup that was restored into a fresh database and found equal to the target. Made by verification alone."""

    __slots__ = ("_identity", "folder", "manifest")

    def __init__(self, manifest: Manifest, folder: Path, *, identity: Path | None = None, maker: object = None) -> None:
        if maker is not _MAKER:
            raise TypeError("a VerifiedBackup is made by verifying a backup")
        self.manifest = manifest
        self.folder = folder
        self._identity = identity

    @property
    def id(self) -> str:
        """The backup's id."""
        return self.manifest.id

    def covers(self, tables: Iterable[str]) -> bool:
        """Whether the backup holds all these tables (names compare without case)."""
        return self.manifest.covers(tables)

    @contextmanager
    def unpacked(self) -> Iterator[Path]:
        """Yield the SQLite file, private (0600 in a folder 0700) and unpacked once a process. To be read, not written:
        whoever changes it copies it first. It goes when the process ends.

        Raises BackupRefused where the files on disk are not any more what was verified, ConfigError where they are
        encrypted and no identity opens them.
        """
        path = _unpacked.get(self.folder)
        if path is None or not path.is_file():
            path = unpack_anew(self.folder, self.manifest, self._identity)
        _readers[path] += 1
        try:
            yield path
        finally:
            _readers[path] -= 1

    def forget(self) -> None:
        """Remove the unpacked file now, unless somebody reads it. The backup stays."""
        forget(self.folder)


def made(manifest: Manifest, folder: Path, identity: Path | None = None) -> VerifiedBackup:
    """Return the proof. For `create` and `verify` alone, right after `check`."""
    return VerifiedBackup(manifest, folder, identity=identity, maker=_MAKER)


def refused(manifest: Manifest, problem: str) -> BackupRefused:
    """Return the error for a backup that is not what it should be."""
    return BackupRefused(f"backup {manifest.id}: {problem}", hint="take a new one: d1ops backup create")


# -- the unpacked file -------------------------------------------------------------------------------------


def unpack_anew(folder: Path, manifest: Manifest, identity: Path | None) -> Path:
    """Unpack a backup, compare files with their checksums, and keep the result for this process.

    Raises BackupRefused for damage, ConfigError where it is encrypted and no identity opens it.
    """
    packed = folder / manifest.packed_file
    if not packed.is_file() or packed.is_symlink():
        raise refused(manifest, "its data file is missing")
    on_disk, _ = files.sha256_of(packed)
    if on_disk != (manifest.packed_sha256 or manifest.data_sha256):
        raise refused(manifest, "its data file is not the one that was written (checksum differs)")
    path = private_folder(folder.parent, folder.name) / DATA
    if manifest.packed_sha256 is None:
        with packed.open("rb") as source, files.create_private(path) as sink:
            shutil.copyfileobj(source, sink)
    elif files.unpack(packed, path, encrypted=manifest.is_encrypted, identity=identity) != manifest.data_sha256:
        raise refused(manifest, "its data file does not unpack to what was packed (checksum differs)")
    remember(folder, path)
    return path


def private_folder(parent: Path, name: str) -> Path:
    """Make an empty folder (0700) of this process, which goes when the process ends."""
    prefix = f".{name.strip('.').partition('-copy.')[0]}.{os.getpid()}."
    private = Path(tempfile.mkdtemp(prefix=prefix, suffix=UNPACKED, dir=parent))
    atexit.register(_remove, private, os.getpid())
    return private


def remember(folder: Path, path: Path) -> None:
    """Note that a backup is unpacked at a path; an older one goes, unless somebody reads it."""
    forget(folder)
    _unpacked[folder] = path


def forget(folder: Path) -> None:
    """Remove the unpacked file of a backup, unless somebody reads it."""
    path = _unpacked.pop(folder, None)
    if path is not None and not _readers[path]:
        shutil.rmtree(path.parent, ignore_errors=True)


def _remove(private: Path, process: int) -> None:
    if os.getpid() == process:  # A fork leaves what belongs to its parent.
        shutil.rmtree(private, ignore_errors=True)


# -- checking ----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Inspected:
    """What a copy holds, as it was found by opening it as a fresh database. `problem` says what is wrong with it by
    itself; the rest is compared with what is known of the target."""

    schema_fingerprint: str | None = None
    tables: Mapping[str, tuple[Totals, str]] = field(default_factory=dict)
    """The figures and the digest of every table."""
    violations: tuple[Violation, ...] = ()
    problem: str | None = None

    def totals(self, table: str) -> Totals | None:
        """Return the figures of a table, None where it was not found."""
        return self.tables[table][0] if table in self.tables else None


def inspect(path: Path, ledger: str, tables: Sequence[str], stop: Event | None = None) -> Inspected:
    """Open a copy and look at all of it, until somebody says `stop`."""
    found = Inspected()
    try:
        with _opened(path, stop) as engine:
            fingerprint, problem = _schema_and_integrity(engine, ledger)
            found = Inspected(fingerprint, problem=problem)
            contents = {}
            for table in tables:
                if schema_of(engine).has_table(table):
                    reader = reader_of(engine, table)
                    totals = totals_of(engine, reader)
                    contents[table] = (totals, digest_of(engine, reader, totals))
            return Inspected(fingerprint, contents, violations(engine, tables), problem)
    except apsw.Error as error:
        return replace(found, problem=found.problem or f"it cannot be read: {error}")


def judge(found: Inspected, manifest: Manifest) -> tuple[Violation, ...]:
    """Compare a copy with everything that the manifest knows of the target.

    Returns the foreign keys without a parent row, which the target had too. Raises BackupRefused for a difference.
    """
    if found.problem is not None:
        raise refused(manifest, found.problem)
    if found.schema_fingerprint != manifest.schema_fingerprint:
        raise refused(manifest, "the restored schema differs from the target's")
    for facts in manifest.tables:
        if facts.table not in found.tables:
            raise refused(manifest, f"{facts.table} is missing")
        totals, digest = found.tables[facts.table]
        if totals.rows != facts.rows:
            raise refused(manifest, f"{facts.table} has {totals.rows} rows, the target had {facts.rows}")
        if totals.columns != facts.totals:
            raise refused(manifest, f"the columns of {facts.table} hold other amounts of data than the target's")
        if digest != facts.digest:
            raise refused(manifest, f"the rows of {facts.table} are not the rows that were read")
    absent = {fold(name) for name in manifest.absent}
    return tuple(each for each in found.violations if fold(each.parent) not in absent)


def check(path: Path, manifest: Manifest) -> tuple[Violation, ...]:
    """Inspect a copy and judge it. Raises BackupRefused for a difference."""
    if manifest.format > 1:
        return judge(inspect(path, manifest.ledger, [facts.table for facts in manifest.tables]), manifest)
    try:
        with _opened(path) as engine:
            fingerprint, problem = _schema_and_integrity(engine, manifest.ledger)
            judge(Inspected(fingerprint, problem=problem), replace(manifest, tables=()))
            first_format.check(engine, manifest)
    except apsw.Error as error:
        raise refused(manifest, f"it cannot be read: {error}") from None
    return ()


@contextmanager
def _opened(path: Path, stop: Event | None = None) -> Iterator[Engine]:
    engine = open_copy(path)
    try:
        if stop is not None:
            stop_with(engine, stop)
        with engine.unlimited():
            engine.ask(f"PRAGMA cache_size = -{_CACHE_KIBIBYTES}")
            # A row that breaks a CHECK or NOT NULL of today was let in by the target, and is kept as it is.
            engine.ask("PRAGMA ignore_check_constraints = ON")
            yield engine
    finally:
        engine.close()


def _schema_and_integrity(engine: Engine, ledger: str) -> tuple[str, str | None]:
    """Return the fingerprint of the schema, and what the integrity check has to say."""
    fingerprint = schema_of(engine).users(ledger).fingerprint()
    texts = [str(text) for (text,) in engine.ask("PRAGMA integrity_check")]
    bad = [text for text in texts if text != "ok" and not text.startswith("NULL value in ")]
    return fingerprint, f"the restored database fails its integrity check: {bad[0]}" if bad else None


def violations(engine: Engine, tables: Iterable[str]) -> tuple[Violation, ...]:
    """Count, by child and parent, the rows whose foreign key finds no parent row."""
    found: list[Violation] = []
    for table in tables:
        if not engine.ask("SELECT 1 FROM pragma_foreign_key_list(?) LIMIT 1", (table,)):
            continue
        try:
            check = 'SELECT "table", parent, count(*) FROM pragma_foreign_key_check(?) GROUP BY 1, 2'
            rows = engine.ask(check, (table,))
        except apsw.SQLError:  # A key that does not match its parent's columns.
            parents = engine.ask('SELECT DISTINCT "table" FROM pragma_foreign_key_list(?)', (table,))
            found += [Violation(table, str(parent), None) for (parent,) in parents]
            continue
        found += [Violation(str(child), str(parent), int(str(count))) for child, parent, count in rows]
    return tuple(sorted(found, key=lambda each: (each.table, each.parent)))


def is_whole(path: Path, manifest: Manifest) -> None:
    """Check a copy as `check` does, violations included. Raises BackupRefused."""
    if check(path, manifest) != manifest.violations and manifest.format > 1:
        raise refused(manifest, "other foreign keys find no parent row than in the target")
