"""The databases of the account: made, found, listed and deleted. Their list survives a restart."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
import uuid
from contextlib import closing, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from d1ops.core.sql import quote_text
from d1ops.emulator.settings import EngineName
from d1ops.emulator.time_travel import TimeTravel
from d1ops.emulator.wire import Refused, invalid
from d1ops.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.database.base import Database
    from d1ops.emulator.dumps import Task
    from d1ops.emulator.settings import Settings

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
MAX_NAME = 64
REGION = "WEUR"
MAX_PROCESSES = 4
_HIDDEN_TABLES = ("sqlite_%", "_cf_%")


@dataclass(frozen=True, slots=True)
class Record:
    """What the API tells of a database, apart from its contents."""

    uuid: str
    name: str
    created_at: str
    engine: EngineName
    jurisdiction: str | None = None
    location: str | None = None
    replication: str = "disabled"


class Hosted:
    """A database of the account."""

    def __init__(self, record: Record, folder: Path, settings: Settings, processes: Processes) -> None:
        self.record = record
        self.folder = folder
        self.files = folder / "files"
        self.task: Task | None = None
        self.lock = threading.RLock()
        self.files_lock = threading.Lock()
        """Held while the file is read beside the engine, which makes files of its own there."""
        self.is_deleted = False
        self._settings = settings
        self._processes = processes

    @contextmanager
    def held(self) -> Iterator[None]:
        """Keep others out: D1 serves one request of a database at a time. Raises Refused once it is deleted."""
        with self.lock:
            if self.is_deleted:
                raise _not_found(self.record.uuid)
            yield

    @property
    def database(self) -> Database:
        """The engine over the file, opened when it is first asked."""
        if self.record.engine is EngineName.WORKERD:
            self._processes.note_use(self)
        return self._engine

    @cached_property
    def _engine(self) -> Database:
        if self.record.engine is EngineName.SQLITE:
            from d1ops.emulator.meter import MeteredSqlite

            return MeteredSqlite(
                self.file,
                name=self.record.name,
                max_seconds=self._settings.max_request_seconds,
                is_durable=self._settings.folder is not None,
            )
        from d1ops.database.workerd import WorkerdDatabase, module_roots

        roots = (*self._settings.modules, *module_roots(Path.cwd(), None, self._settings.environ))
        return WorkerdDatabase(self.record.uuid, self.folder, roots, name=self.record.name)

    @property
    def file(self) -> Path:
        """The SQLite file."""
        if self.record.engine is EngineName.SQLITE:
            return self.folder / "data.sqlite"
        from d1ops.database.workerd import database_file

        return database_file(self.folder, self.record.uuid)

    @cached_property
    def travel(self) -> TimeTravel:
        """Its bookmarks."""
        created_at = datetime.fromisoformat(self.record.created_at)
        written_at = max((created_at, *map(_changed_at, (self.file, self.file.with_name(f"{self.file.name}-wal")))))
        if not self.file.exists():
            self.database.query("SELECT 1")
        return TimeTravel(self.file, self.folder / "bookmarks", written_at=written_at, now=self._settings.now)

    def describe(self) -> dict[str, Any]:
        """Return it as the API does. Raises Refused once it is deleted."""
        record = self.record
        tables, size_bytes = self._measure()
        return {
            "uuid": record.uuid,
            "name": record.name,
            "created_at": record.created_at,
            "version": "production",
            "num_tables": tables,
            "file_size": size_bytes,
            "running_in_region": record.location or REGION,
            "jurisdiction": record.jurisdiction,
            "read_replication": {"mode": record.replication},
        }

    def close(self) -> None:
        """Let go of the engine, if it was started."""
        opened = self.__dict__.pop("_engine", None)
        if opened is not None:
            opened.close()

    def _measure(self) -> tuple[int, int]:
        """Read the file beside the engine, so that a list of databases starts none."""
        from d1ops.database.sqlite import SqliteDatabase

        patterns = " AND ".join(f"name NOT LIKE {quote_text(pattern)}" for pattern in _HIDDEN_TABLES)
        with self.files_lock:
            if self.is_deleted:
                raise _not_found(self.record.uuid)
            with closing(SqliteDatabase(self.file, create=False)) as reader:
                found = reader.query(f"SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND {patterns}")
        tables = found.scalar()
        assert isinstance(tables, int)
        return tables, found.meta.size_after_bytes


class Processes:
    """Keeps the number of running workerd processes small: the one that was not used for longest ends."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._used: dict[str, Hosted] = {}

    def note_use(self, hosted: Hosted) -> None:
        """Put a database first, and end the processes of the last ones that nobody holds."""
        with self._lock:
            self._used.pop(hosted.record.uuid, None)
            self._used[hosted.record.uuid] = hosted
            for other in list(self._used.values())[:-MAX_PROCESSES]:
                if other.lock.acquire(blocking=False):
                    del self._used[other.record.uuid]
                    try:
                        other.close()
                    finally:
                        other.lock.release()


class Registry:
    """All databases, in a folder of the emulator's own. Raises ConfigError where its file cannot be read."""

    def __init__(self, folder: Path, settings: Settings) -> None:
        self._folder = folder
        self._settings = settings
        self._file = folder / "registry.json"
        self._lock = threading.Lock()
        self._processes = Processes()
        self._databases: dict[str, Hosted] = {}
        for record in self._read():
            self._databases[record.uuid] = self._hosted(record)

    def all(self) -> list[Hosted]:
        """Return every database, oldest first."""
        with self._lock:
            return list(self._databases.values())

    def find(self, key: str) -> Hosted:
        """Return a database by uuid or by name. Raises Refused when there is none."""
        for hosted in self.all():
            if key in (hosted.record.uuid, hosted.record.name):
                return hosted
        raise _not_found(key)

    def by_id(self, key: str) -> Hosted:
        """Return a database by uuid alone. Raises Refused when there is none."""
        if not _UUID.fullmatch(key):
            raise invalid([("databaseId", "Invalid uuid")])
        return self.find(key)

    def create(self, name: str, *, jurisdiction: str | None, location: str | None, replication: str) -> Hosted:
        """Make a database. Raises Refused for a bad name and for one that is taken."""
        if not _NAME.fullmatch(name) or len(name) > MAX_NAME:
            raise invalid([("name", "Invalid")])
        moment = self._settings.now().isoformat(timespec="milliseconds").replace("+00:00", "Z")
        with self._lock:
            if any(hosted.record.name == name for hosted in self._databases.values()):
                raise Refused(400, 7502, f"A database with the name {name} already exists")
            hosted = self._hosted(
                Record(
                    uuid=str(uuid.uuid4()),
                    name=name,
                    created_at=moment,
                    engine=self._settings.engine,
                    jurisdiction=jurisdiction,
                    # A jurisdiction decides where a database lives, whatever the hint.
                    location=None if jurisdiction or not location else location.upper(),
                    replication=replication,
                )
            )
            hosted.files.mkdir(mode=0o700, parents=True)
            self._databases[hosted.record.uuid] = hosted
            self._write()
        return hosted

    def update(self, hosted: Hosted, *, replication: str) -> None:
        """Change what can be changed."""
        with self._lock:
            hosted.record = replace(hosted.record, replication=replication)
            self._write()

    def delete(self, hosted: Hosted) -> None:
        """Remove a database and all that was kept of it. Raises Refused when somebody else was quicker."""
        with self._lock:
            if self._databases.pop(hosted.record.uuid, None) is None:
                raise _not_found(hosted.record.uuid)
            self._write()
        with hosted.lock:
            hosted.is_deleted = True
            hosted.close()
            with hosted.files_lock:
                shutil.rmtree(hosted.folder)

    def close(self) -> None:
        """Let go of every engine."""
        for hosted in self.all():
            with hosted.lock:
                hosted.close()

    def _hosted(self, record: Record) -> Hosted:
        return Hosted(record, self._folder / "databases" / record.uuid, self._settings, self._processes)

    def _read(self) -> list[Record]:
        try:
            text = self._file.read_text()
        except FileNotFoundError:
            return []
        with suppress(ValueError, TypeError, KeyError):
            return [Record(**{**each, "engine": EngineName(each["engine"])}) for each in json.loads(text)["databases"]]
        raise ConfigError(f"{self._file} is not an emulator's registry", hint="use another --data folder")

    def _write(self) -> None:
        databases = [asdict(hosted.record) for hosted in self._databases.values()]
        partial = self._file.with_suffix(".partial")
        partial.write_text(json.dumps({"databases": databases}, indent=2) + "\n")
        os.replace(partial, self._file)  # noqa: PTH105 - atomic, also where the file exists (Windows)


def _changed_at(file: Path) -> datetime:
    return datetime.fromtimestamp(file.stat().st_mtime if file.exists() else 0, UTC)


def _not_found(key: str) -> Refused:
    return Refused(404, 7404, f"The database {key} could not be found")
