"""A D1 database in the real engine: workerd, over the file that `wrangler dev` uses for it.

Facts about the engine were seen on workerd 1.20261117.1. It opens the file as any SQLite program does (WAL, the usual
locks, no busy timeout), so wrangler, d1ops and SQLite's backup interface can use one file at a time or at once: each
sees what the others committed. It has no Time Travel (`getBookmarkForTime` and `onNextSessionRestoreBookmark` raise,
`getCurrentBookmark` is always zero), so bookmarks are copies of the file.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import re
import time
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, BinaryIO

from d1ops.core.binding import bind
from d1ops.core.values import SAFE_INTEGER, Bookmark, Meta, Restored, Result, Statement
from d1ops.database.base import Atomicity, Capabilities, Export, Target
from d1ops.database.workerd.process import Host, Lost, Versions
from d1ops.errors import OutcomeUnknown, PrecisionLost, StatementRejected, UnexpectedResponse, Unreachable, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from d1ops.core.values import Param, Value
    from d1ops.database.snapshots import SnapshotStore

TIMEOUT_SECONDS = 60.0
BUSY_TIMEOUT_SECONDS = 5.0
_BUSY_WAIT_SECONDS = 0.05

_NAMESPACE = "miniflare-D1DatabaseObject"
_OFFSET = re.compile(r" at offset (\d+): SQLITE_")
_REFERENCE = re.compile(r"internal error; reference = (\w+)")
_LOGGED = re.compile(r"dbErrorMessage\(\w+, db\) = (.*SQLITE_(?:CONSTRAINT|BUSY).*)\nstack: .*wdErrId = (\w+)")
_ROLLED_BACK = "constraints were violated"


def _utc_now() -> datetime:
    return datetime.now(UTC)


class WorkerdDatabase:
    """The local database `database_id` (wrangler's `preview_database_id`, else `database_id`, else the binding).

    `state` is wrangler's `--persist-to`: `.wrangler/state` in the project. workerd comes from the first `node_modules`
    folder that holds wrangler, looked for from each of `modules` upward (`module_roots` fills it). The first request
    starts it (0.3 s); it ends with `close`, or with this program, however that ends. The file is made when it is not
    there. Bookmarks are whole copies, beside the file in `<file>.bookmarks/` unless `bookmarks` names another folder.

    An answer may take `timeout_seconds`. A file that another program has locked is tried again for
    `busy_timeout_seconds`; `sleep` does the waiting, `now` is the clock of the bookmarks.

    Raises ConfigError when Node.js or workerd is missing, Unreachable for a locked file, StatementRejected for what
    the engine refuses, OutcomeUnknown when a request that may write got no answer.
    """

    capabilities = Capabilities(
        atomic_batch=Atomicity.PROVED, ingest=True, time_travel=True, create=True, keeps_copies=True
    )

    def __init__(
        self,
        database_id: str,
        state: Path,
        modules: Sequence[Path],
        *,
        name: str | None = None,
        bookmarks: Path | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
        busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS,
        sleep: Callable[[float], None] = time.sleep,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        self.target = Target(kind="workerd", name=name or database_id, id=database_id)
        self.file = database_file(state, database_id)
        self._bookmarks = bookmarks or self.file.with_name(f"{self.file.name}.bookmarks")
        self._busy_timeout_seconds = busy_timeout_seconds
        self._sleep = sleep
        self._now = now
        self._requests = 0
        self._host = Host(modules, self.file.parent.parent, database_id, timeout_seconds=timeout_seconds)

    @property
    def requests(self) -> int:
        """How many requests were sent."""
        return self._requests

    @property
    def versions(self) -> Versions:
        """The versions of workerd and Node.js that run."""
        return self._host.versions

    @property
    def pids(self) -> tuple[int, ...]:
        """The ids of the running processes, Node.js and workerd; empty when nothing runs."""
        return self._host.pids

    def query(self, sql: str, params: Sequence[Param] = ()) -> Result:
        """Run one statement."""
        (result,) = self.batch((Statement(sql, tuple(params)),))
        return result

    def batch(
        self, statements: Sequence[Statement], *, reads_only: bool = False, lossy: bool = False
    ) -> tuple[Result, ...]:
        """Run statements in one transaction, all or nothing. With `reads_only` a lost answer is asked for again."""
        if not statements:
            return ()
        body = json.dumps({"statements": [_wire(each) for each in statements]}).encode()
        answer = self._send("/batch", body, statements, reads_only=reads_only)
        return tuple(_result(each, lossy=lossy) for each in answer["results"])

    def trial(self, statements: Sequence[Statement], *, lossy: bool = False) -> tuple[Result, ...]:
        """Run statements in one transaction and roll it back. Deferred foreign keys, which are checked at a commit, may
        be broken then."""
        body = json.dumps({"statements": [_wire(each) for each in statements]}).encode()
        answer = self._send("/trial", body, statements, reads_only=True)
        return tuple(_result(each, lossy=lossy) for each in answer["results"])

    def bookmark(self) -> Bookmark:
        """Keep a copy of the present state and name it."""
        self._must_exist()
        return self._snapshots.take(self.file)

    def bookmark_at(self, when: datetime) -> Bookmark:
        """Return the newest bookmark at or before `when`. Raises NotFound when every kept one is younger."""
        return self._snapshots.at(when)

    def restore(self, to: Bookmark) -> Restored:
        """Rewind the whole file in one transaction, ledger and history included; workerd sees the change at once.

        Raises NotFound for a bookmark that is not kept.
        """
        self._must_exist()
        undo = self._snapshots.take(self.file, needed=(to,))
        self._snapshots.put_back(to, self.file)
        return Restored(self._snapshots.take(self.file, needed=(to, undo)), undo)

    def export(self, sink: BinaryIO) -> Export:
        """Write an SQL dump in the form of `wrangler d1 export --local`, from one snapshot.

        Raises StatementRejected for a database with virtual tables, as D1 does.
        """
        from d1ops.database.sqlite import SqliteDatabase

        self._must_exist()
        reader = SqliteDatabase(self.file, create=False)
        try:
            return Export(reader.export(sink).bytes_written, f"{self.target.name}.sql")
        finally:
            reader.close()

    def ingest(self, script: str) -> Result:
        """Run a whole file as one transaction, split by the engine's own importer as D1's `/import` splits it."""
        return _result(self._send("/ingest", script.encode(), (), reads_only=False)["result"], lossy=True)

    def close(self) -> None:
        """End the processes and wait until they are gone. The next request starts them again."""
        self._host.stop()

    # -- requests ----------------------------------------------------------------------------------------------------

    def _send(self, path: str, body: bytes, statements: Sequence[Statement], *, reads_only: bool) -> dict[str, Any]:
        waited_seconds = 0.0
        was_lost = False
        while True:
            self._requests += 1
            try:
                answer = self._host.post(path, body)
            except Lost as error:
                answer = {"lost": error.text}
            if "lost" in answer:
                words = self._what_sqlite_said(answer["lost"])
                if words is not None:
                    answer = {"error": words, "index": None}
            if "lost" in answer:
                if not reads_only:
                    raise OutcomeUnknown(answer["lost"], hint="d1ops status shows where the database stands")
                if was_lost:
                    raise UnexpectedResponse(answer["lost"])
                was_lost = True
            elif "error" not in answer:
                return answer
            elif "SQLITE_BUSY" not in answer["error"]:
                raise _rejected(answer["error"], answer["index"], statements)
            elif waited_seconds >= self._busy_timeout_seconds:
                raise Unreachable(
                    f"{self.file} is locked by another program", hint="wait for it or close it, then run this again"
                )
            else:  # Rolled back, so asking again is safe.
                self._sleep(_BUSY_WAIT_SECONDS)
                waited_seconds += _BUSY_WAIT_SECONDS

    def _what_sqlite_said(self, text: str) -> str | None:
        """Return SQLite's words when the text, or workerd's log, tells that SQLite itself refused to go on; the
        transaction is then rolled back.

        Deferred foreign keys fail so at the commit, and a file that another program has locked where workerd opens it.
        The answer says `internal error; reference = R` (older builds: which kind of constraint); the log names R and
        SQLite's words.
        """
        if _ROLLED_BACK in text:
            return text
        reference = _REFERENCE.search(text)
        for words, logged in _LOGGED.findall(self._host.log()):
            if reference is not None and logged == reference[1]:
                return str(words)
        return None

    def _must_exist(self) -> None:
        """Have workerd make the file, so that it is made as workerd makes it."""
        if not self.file.exists():
            self.query("SELECT 1")

    @cached_property
    def _snapshots(self) -> SnapshotStore:
        from d1ops.database.snapshots import SnapshotStore

        return SnapshotStore(self._bookmarks, now=self._now)


def database_file(state: Path, database_id: str) -> Path:
    """Return the file in which workerd keeps the database, as wrangler and miniflare name it.

    The id of a Durable Object by name: 16 bytes of HMAC-SHA256 under the hash of the namespace, and 16 that check them
    (workerd's server.c++; equal to what wrangler 4.164.0 wrote).
    """
    key = hashlib.sha256(_NAMESPACE.encode()).digest()
    base = hmac.digest(key, database_id.encode(), "sha256")[:16]
    check = hmac.digest(key, base, "sha256")[:16]
    return state / "v3" / "d1" / _NAMESPACE / f"{(base + check).hex()}.sqlite"


def _wire(statement: Statement) -> dict[str, Any]:
    try:
        sql, params = bind(statement.sql, statement.params)
    except ValueError as error:
        raise UsageError(str(error)) from None
    return {"sql": sql, "params": params}


def _rejected(text: str, index: int | None, statements: Sequence[Statement]) -> StatementRejected:
    if index is None:
        return StatementRejected(text)
    statement = statements[index]
    found = _OFFSET.search(text)
    # Binding rewrites a statement with parameters, so an offset in it is none in the text that was given.
    offset = int(found[1]) if found and not statement.params else None
    return StatementRejected(text, index=index, sql=statement.sql, offset=offset)


def _result(answer: dict[str, Any], *, lossy: bool) -> Result:
    columns = tuple(answer["columns"])
    rows = tuple(
        tuple(_value(cell, columns[at], number, lossy=lossy) for at, cell in enumerate(row))
        for number, row in enumerate(answer["rows"])
    )
    meta = answer["meta"]
    return Result(
        columns,
        rows,
        Meta(
            rows_read=meta["rows_read"],
            rows_written=meta["rows_written"],
            changes=meta["changes"],
            last_row_id=meta["last_row_id"],
            size_after_bytes=meta["size_after"],
            changed_db=meta["changed_db"],
            duration_seconds=meta["duration"] / 1000,
        ),
    )


def _value(cell: Value | list[int], column: str, row: int, *, lossy: bool) -> Value:
    if isinstance(cell, list):
        return bytes(cell)
    if type(cell) is int and abs(cell) > SAFE_INTEGER and not lossy:
        raise PrecisionLost(column, row)
    return cell
