"""The JSON beside a backup: what it holds, how that was proved, and the checksums of its files and of itself."""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass, fields
from typing import TYPE_CHECKING, Any

from d1ops.errors import BackupRefused

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FORMAT = 2
MANIFEST = "manifest.json"
DATA = "data.sqlite"
PACKED = "data.sqlite.zst"
ENCRYPTED = "data.sqlite.zst.age"
_SEAL = "manifest_sha256"

ONE_BATCH = "one batch"
KEY_RANGES = "key ranges"
ALL_TABLES = "all tables"


@dataclass(frozen=True, slots=True)
class TableFacts:
    """What a backup holds of one table. `totals` are the target's own figures (`core.rowtext.Totals.columns`),
    `digest` is that of the rows as the target sent them: SHA-256 of the rows in the order of their key, in hexadecimal
    (`core.rowtext`), and in format 1 the sum of the rows' digests (`core.lossless`)."""

    table: str
    rows: int
    totals: tuple[float, ...]
    digest: str
    method: str = ONE_BATCH


@dataclass(frozen=True, slots=True)
class Violation:
    """Rows of `table` whose foreign key to `parent` finds no row, in the target as in the copy. `rows` is None where
    SQLite cannot tell, because the key does not match the parent's columns."""

    table: str
    parent: str
    rows: int | None


@dataclass(frozen=True, slots=True)
class Manifest:
    """The JSON beside a backup. Times UTC RFC 3339, sizes in bytes, durations in seconds.

    `bookmark` is the point just before the moment that the backup shows, `bookmark_after` one behind it (None where
    one batch read everything). `data_sha256` and `data_bytes` are of the unpacked SQLite file, `packed_*` of the file
    on disk. `unsettled` are tables that moved until the end and are not held.
    """

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
    format: int = 1
    bookmark_after: str | None = None
    method: str = ONE_BATCH
    rounds: int = 1
    virtual_tables: tuple[str, ...] = ()
    left_out: tuple[str, ...] = ()
    unsettled: tuple[str, ...] = ()
    violations: tuple[Violation, ...] = ()
    rows_read: int | None = None
    packed_file: str = DATA
    packed_sha256: str | None = None
    packed_bytes: int | None = None
    recipients: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """All rows of all tables."""
        return sum(facts.rows for facts in self.tables)

    @property
    def stored_bytes(self) -> int:
        """The size of the data file on disk."""
        return self.data_bytes if self.packed_bytes is None else self.packed_bytes

    @property
    def is_encrypted(self) -> bool:
        """Whether reading takes an identity."""
        return bool(self.recipients)

    @property
    def absent(self) -> tuple[str, ...]:
        """The tables of the target that the backup does not hold: outside of its scope, or never at rest."""
        return (*self.left_out, *self.unsettled)

    @property
    def counted(self) -> str:
        """How many tables the backup holds, in words: `12 tables`, `3 of 12 tables`."""
        number = len(self.tables)
        return f"{number} of {number + len(self.absent)} tables" if self.absent else f"{number} tables"

    def covers(self, tables: Iterable[str]) -> bool:
        """Whether the backup holds all these tables (names compare without case)."""
        held = {facts.table.lower() for facts in self.tables} | {name.lower() for name in self.virtual_tables}
        return {table.lower() for table in tables} <= held

    def to_json(self) -> dict[str, Any]:
        """The manifest as a JSON document."""
        return asdict(self)

    def to_bytes(self) -> bytes:
        """The manifest as its file holds it, its own checksum at the end."""
        document = self.to_json()
        return _dump({**document, _SEAL: _seal(document)})


def _seal(document: dict[str, Any]) -> str:
    return hashlib.sha256(_dump(document)).hexdigest()


def _dump(document: dict[str, Any]) -> bytes:
    return json.dumps(document, indent=2, ensure_ascii=False).encode() + b"\n"


def read_manifest(path: Path) -> Manifest:
    """Read a manifest from disk; nothing in it is trusted as a path. Raises BackupRefused when it is not one, and when
    one byte of it is another than was written."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise BackupRefused(f"{path} cannot be read: {error.strerror}", hint="d1ops backup list") from None
    manifest = parse_manifest(data, str(path))
    if manifest.id != path.parent.name and not path.parent.name.startswith("."):
        raise BackupRefused(f"{path} belongs to backup {manifest.id}", hint="take a new one: d1ops backup create")
    return manifest


def parse_manifest(data: bytes, name: str) -> Manifest:
    """Read the bytes of a manifest. Raises BackupRefused as `read_manifest` does."""
    again = "take a new backup: d1ops backup create"
    try:
        document = json.loads(data)
        version = document.get("format", 1)
        if type(version) is int and version > FORMAT:
            raise BackupRefused(
                f"{name} is of format {version}, which a newer d1ops wrote; this one reads up to {FORMAT}",
                hint="pip install --upgrade d1ops",
            )
        if version != 1:
            seal = document.pop(_SEAL)
            if seal != _seal(document) or data != _dump({**document, _SEAL: seal}):
                raise BackupRefused(f"{name} is not the manifest that was written (checksum differs)", hint=again)
        manifest = Manifest(**{field: _read(field, value) for field, value in document.items()})
        if manifest.packed_file not in (DATA, PACKED, ENCRYPTED):
            raise ValueError("another data file than a backup has")
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BackupRefused(f"{name} is not a manifest of this version: {error}", hint=again) from None
    return manifest


_LISTS = frozenset(field.name for field in fields(Manifest) if str(field.type).startswith("tuple"))


def _read(field: str, value: Any) -> Any:
    if field == "tables":
        return tuple(
            TableFacts(
                str(each["table"]),
                int(each["rows"]),
                tuple(float(figure) for figure in each["totals"]),
                str(each["digest"]),
                str(each.get("method", ONE_BATCH)),
            )
            for each in value
        )
    if field == "violations":
        return tuple(Violation(**each) for each in value)
    return tuple(str(each) for each in value) if field in _LISTS else value
