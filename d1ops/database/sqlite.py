"""A D1 database in a SQLite file: the embedded default. It obeys D1's rules (`core.engine`) and answers as D1's JSON.

This module and the core's in-memory engine are the only places that open SQLite.
"""

from __future__ import annotations

import math
import os
import time
import uuid
from contextlib import closing, suppress
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

import apsw

from d1ops.core.binding import bind
from d1ops.core.engine import Engine, Rejected
from d1ops.core.sql import ended, is_read, quote_identifier, quote_text, split
from d1ops.core.values import SAFE_INTEGER, Bookmark, Meta, Restored, Result, Statement
from d1ops.database.base import Atomicity, Capabilities, Export, Target
from d1ops.errors import ConfigError, NotFound, PrecisionLost, StatementRejected, Unreachable, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from d1ops.core.values import Param, Row, Value
    from d1ops.database.snapshots import SnapshotStore
    from d1ops.errors import D1opsError

BUSY_TIMEOUT_SECONDS = 5.0


def _utc_now() -> datetime:
    return datetime.now(UTC)


class SqliteDatabase:
    """A database in the file `path`.

    With `create` the file (0600) and its folder (0700) are made when they are not there. Without, a missing file reads
    as an empty database, is never made, and refuses writes with NotFound. Bookmarks are whole copies, kept beside the
    file in `<file>.bookmarks/` unless `bookmarks` names another folder. `now` is the clock of the bookmarks.

    Raises ConfigError for a path that is no SQLite file, Unreachable for one that is locked, read-only, full or
    damaged; StatementRejected for what D1 would reject; UsageError for parameters that do not fit their statement.
    """

    capabilities = Capabilities(
        atomic_batch=Atomicity.PROVED, ingest=True, time_travel=True, create=True, keeps_copies=True
    )

    def __init__(
        self,
        path: Path | str,
        *,
        name: str | None = None,
        create: bool = True,
        bookmarks: Path | None = None,
        busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self._path = Path(path)
        self._bookmarks = bookmarks
        self._now = now
        self._requests = 0
        self._is_absent = not create and not self._path.exists()
        self._engine = (
            Engine.memory()
            if self._is_absent
            else _open_engine(self._path, create=create, busy_timeout_seconds=busy_timeout_seconds)
        )
        self.target = Target(
            kind="sqlite",
            name=name or str(path),
            id=str(uuid.uuid5(uuid.NAMESPACE_URL, self._path.resolve().as_uri())),
        )

    @property
    def requests(self) -> int:
        """How many calls reached the engine."""
        return self._requests

    def query(self, sql: str, params: Sequence[Param] = ()) -> Result:
        """Run one statement."""
        (result,) = self.batch((Statement(sql, tuple(params)),))
        return result

    def batch(
        self, statements: Sequence[Statement], *, reads_only: bool = False, lossy: bool = False
    ) -> tuple[Result, ...]:
        """Run statements in one transaction, all or nothing. `reads_only` changes nothing here."""
        if not statements:
            return ()
        if not all(is_read(statement.sql) for statement in statements):
            self._must_exist()
        _check_parameters(statements)
        self._requests += 1
        try:
            results = self._engine.run(statements)
        except Rejected as error:
            raise self._error(error, statements) from None
        size_bytes = self._size_bytes()
        return tuple(_as_json(result, size_bytes, lossy=lossy) for result in results)

    def bookmark(self) -> Bookmark:
        """Keep a copy of the present state and name it."""
        self._must_exist()
        self._requests += 1
        return self._snapshots.take(self._path)

    def bookmark_at(self, when: datetime) -> Bookmark:
        """Return the newest bookmark at or before `when`. Raises NotFound when every kept one is younger."""
        self._requests += 1
        return self._snapshots.at(when)

    def restore(self, to: Bookmark) -> Restored:
        """Rewind the whole file, ledger and history included. Raises NotFound for a bookmark that is not kept."""
        self._must_exist()
        self._requests += 1
        undo = self._snapshots.take(self._path, needed=(to,))
        self._snapshots.put_back(to, self._path)
        # The state after a rewind is a new point in time, so that a later look at "now" does not find `undo`.
        return Restored(self._snapshots.take(self._path, needed=(to, undo)), undo)

    def export(self, sink: BinaryIO) -> Export:
        """Write an SQL dump in the form of `wrangler d1 export --local`, from one snapshot.

        Raises StatementRejected for a database with virtual tables, as D1 does.
        """
        self._requests += 1
        written = 0
        connection = self._engine.connection
        try:
            with self._engine.free():
                connection.execute("BEGIN")
                try:
                    for statement in _dump(self._engine):
                        written += sink.write((("\n" if written else "") + statement).encode())
                finally:
                    if connection.in_transaction:
                        connection.execute("COMMIT")
        except apsw.Error as error:
            raise unusable(self._path, error) from None
        return Export(written, f"{self._path.stem}.sql")

    def ingest(self, script: str) -> Result:
        """Run a whole file as one transaction. Raises ScriptError where it cannot be split into statements."""
        statements = [Statement(statement.sql) for statement in split(script)]
        if not statements:
            raise StatementRejected("No SQL statements detected.")
        metas = [result.meta for result in self.batch(statements, lossy=True)]
        return Result(
            meta=Meta(
                changes=sum(meta.changes for meta in metas),
                last_row_id=metas[-1].last_row_id,
                size_after_bytes=metas[-1].size_after_bytes,
                changed_db=any(meta.changed_db for meta in metas),
                duration_seconds=sum(meta.duration_seconds for meta in metas),
            )
        )

    def close(self) -> None:
        """Close the file. One that another thread reads, which an interrupted command does not wait for, goes with the
        process."""
        with suppress(apsw.ThreadingViolationError):
            self._engine.close()

    @cached_property
    def _snapshots(self) -> SnapshotStore:
        from d1ops.database.snapshots import SnapshotStore

        folder = self._bookmarks or self._path.with_name(f"{self._path.name}.bookmarks")
        return SnapshotStore(folder, now=self._now)

    def _size_bytes(self) -> int:
        try:
            return self._path.stat().st_size
        except OSError:  # Absent, or moved away by another program while it is open here.
            return 0

    def _must_exist(self) -> None:
        if self._is_absent:
            raise NotFound(f"the database file {self._path} does not exist", hint="d1ops migrate creates it")

    def _error(self, error: Rejected, statements: Sequence[Statement]) -> D1opsError:
        if environment := _environment_error(self._path, error.code, error.text):
            return environment
        at_commit = error.index >= len(statements)
        return StatementRejected(
            error.text,
            index=None if at_commit else error.index,
            sql=None if at_commit else statements[error.index].sql,
            offset=error.offset,
        )


def _check_parameters(statements: Sequence[Statement]) -> None:
    """Raise UsageError for parameters that no transport of D1 could carry, as its other adapters do."""
    for statement in statements:
        try:
            statement.sql.encode()
            bind(statement.sql, statement.params)
        except UnicodeEncodeError:
            raise UsageError("half of a surrogate pair in a statement or a parameter is no text") from None
        except ValueError as error:
            raise UsageError(str(error)) from None


# -- files -----------------------------------------------------------------------------------------------------------


def open_copy(path: Path, *, create: bool = True, busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS) -> Engine:
    """Open a private SQLite file (0600) for a backup or a clone; with `create` it is made when it is not there.

    Raises ConfigError or Unreachable where the file cannot be used.
    """
    return _open_engine(path, create=create, busy_timeout_seconds=busy_timeout_seconds)


def copy_database(source: Path, destination: Path) -> None:
    """Make `destination` (0600 when it is new) equal to `source`, what is still in its write-ahead log included.

    One transaction of SQLite's backup interface: a crash leaves the destination as it was, and other connections to
    it see the change. Raises ConfigError or Unreachable where a file cannot be used.
    """
    with closing(_open_file(source, create=False)) as reader, closing(_open_file(destination, create=True)) as writer:
        try:
            with writer.backup("main", reader, "main") as backup:
                backup.step()
        except apsw.Error as error:
            raise unusable(destination, error) from None


def _open_engine(path: Path, *, create: bool, busy_timeout_seconds: float) -> Engine:
    engine = Engine(_open_file(path, create=create, busy_timeout_seconds=busy_timeout_seconds))
    engine.connection.set_busy_timeout(round(busy_timeout_seconds * 1000))
    engine.clock = time.perf_counter
    return engine


def _open_file(path: Path, *, create: bool, busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS) -> apsw.Connection:
    try:
        if create:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.close(os.open(path, os.O_CREAT | os.O_RDONLY, 0o600))
    except OSError as error:
        raise ConfigError(
            f"cannot create {path}: {error.strerror}", hint="check the path and its permissions"
        ) from None
    connection = None
    try:
        connection = apsw.Connection(os.fspath(path), flags=apsw.SQLITE_OPEN_READWRITE)
        connection.set_busy_timeout(round(busy_timeout_seconds * 1000))
        connection.pragma("schema_version")  # The first read finds out whether the file is SQLite's.
    except apsw.Error as error:
        if connection is not None:
            connection.close()
        raise unusable(path, error) from None
    return connection


def unusable(path: Path, error: apsw.Error) -> D1opsError:
    """Return the error for a file, or a folder of files, of which SQLite raised `error`."""
    code = str(apsw.mapping_result_codes[getattr(error, "result", apsw.SQLITE_ERROR)])
    # A backup fails without a word of its connection, whose last error is that there is none.
    text = code if str(error) == "not an error" else str(error)
    return _environment_error(path, code, text) or Unreachable(f"{path}: {text}")


def no_room(path: Path | str) -> Unreachable:
    """Return the error for a full disk."""
    return Unreachable(f"no room to write {path}", hint="free some space, then run this again")


def _environment_error(path: Path, code: str, text: str) -> D1opsError | None:
    """Return the error for what is wrong with the file, not with a statement. SQLite has rolled back."""
    match code.removeprefix("SQLITE_").partition("_")[0]:
        case "NOTADB":
            return ConfigError(f"{path} is not a SQLite database", file=path, hint="check the path of the database")
        case "CANTOPEN" | "PERM":
            return ConfigError(f"cannot open {path}: {text}", file=path, hint="check the path and its permissions")
        case "BUSY" | "LOCKED":
            return Unreachable(
                f"{path} is locked by another program", hint="wait for it or close it, then run this again"
            )
        case "READONLY":
            return Unreachable(f"{path} is read-only: {text}", hint="make the file and its folder writable")
        case "FULL":
            return no_room(path)
        case "IOERR":
            return Unreachable(f"cannot read or write {path}: {text}", hint="check the disk, then run this again")
        case "CORRUPT" if code == "SQLITE_CORRUPT":
            return Unreachable(f"{path} is damaged: {text}", hint="restore it from a backup")
        case _:
            return None


# -- values as D1's JSON carries them --------------------------------------------------------------------------------


def _as_json(result: Result, size_bytes: int, *, lossy: bool) -> Result:
    if _AS_THEY_ARE.issuperset(map(type, chain.from_iterable(result.rows))):
        rows, lossy = result.rows, True
    else:
        rows = tuple(_json_row(row) for row in result.rows)
    if not lossy:
        for number, row in enumerate(rows):
            for column, cell in zip(result.columns, row, strict=True):
                if isinstance(cell, int) and abs(cell) > SAFE_INTEGER:
                    raise PrecisionLost(column, number)
    return replace(result, rows=rows, meta=replace(result.meta, size_after_bytes=size_bytes))


_AS_THEY_ARE = frozenset((str, bytes, type(None)))


def _json_row(row: Row) -> Row:
    if _AS_THEY_ARE.issuperset(map(type, row)):
        return row
    return tuple(_json_number(cell) if isinstance(cell, int | float) else cell for cell in row)


def _json_number(value: float) -> int | float | None:
    """Return what is read from the JSON number that JavaScript prints for a cell."""
    if type(value) is int and abs(value) <= SAFE_INTEGER:
        return value
    number = float(value)
    if not math.isfinite(number):
        return None
    if number.is_integer() and abs(number) < 1e21:
        return int(Decimal(repr(number)))  # JavaScript prints the shortest digits and fills up with zeros.
    return number


# -- the dump --------------------------------------------------------------------------------------------------------


def _dump(engine: Engine) -> Iterator[str]:
    """Yield the statements of a dump (the form of `wrangler d1 export --local`, seen with wrangler 4.164)."""
    yield "PRAGMA defer_foreign_keys=TRUE;"
    tables = engine.ask(
        "SELECT name, sql FROM sqlite_schema WHERE type = 'table' AND sql IS NOT NULL"
        " ORDER BY name = 'sqlite_sequence', rowid"
    )
    for cell, sql in tables:
        name = str(cell)
        if str(sql).upper().startswith("CREATE VIRTUAL TABLE"):
            raise StatementRejected("D1 Export error: cannot export databases with Virtual Tables (fts5)")
        if name == "sqlite_sequence":
            yield "DELETE FROM sqlite_sequence;"
        elif name == "sqlite_stat1":
            yield "ANALYZE sqlite_schema;"
        elif name.lower().startswith(("_cf_", "sqlite_")):
            continue
        else:
            yield ended(str(sql))
        yield from _inserts(engine, name)
    for (sql,) in engine.ask(
        "SELECT sql FROM sqlite_schema WHERE type IN ('index', 'trigger', 'view') AND sql IS NOT NULL"
        " ORDER BY type, rowid"
    ):
        yield ended(str(sql))


def _inserts(engine: Engine, table: str) -> Iterator[str]:
    columns = [quote_identifier(str(name)) for (name,) in engine.ask("SELECT name FROM pragma_table_info(?)", (table,))]
    head = f"INSERT INTO {quote_identifier(table)} ({', '.join(columns)}) VALUES("
    cells = ", ".join(f"typeof({c}), CASE typeof({c}) WHEN 'text' THEN CAST({c} AS BLOB) ELSE {c} END" for c in columns)
    with engine.free():
        for row in engine.connection.execute(f"SELECT {cells} FROM {quote_identifier(table)}"):
            pairs = zip(row[::2], row[1::2], strict=True)
            yield f"{head}{', '.join(_literal(str(kind), cell) for kind, cell in pairs)});"


def _literal(kind: str, cell: Value) -> str:
    match cell:
        case None:
            return "NULL"
        case float() if math.isinf(cell):
            return "-9e999" if cell < 0 else "9e999"
        case bytes() if kind == "text":
            try:
                return quote_text(cell.decode())
            except ValueError:  # Not UTF-8, or a NUL inside.
                return f"CAST(X'{cell.hex()}' AS TEXT)"
        case bytes():
            return f"X'{cell.hex()}'"
        case _:
            return repr(cell)
