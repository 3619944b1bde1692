"""What takes more than one request, or more than a request: paging, statements, export and import with their polls.

Every function is a generator over steps (`d1ops.client.call`); errors of a step are raised at its `yield`.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, BinaryIO, Literal

from d1ops.client import endpoints
from d1ops.client.address import is_private
from d1ops.client.call import CHUNK_BYTES, Download, Pace, Safety, Upload, send
from d1ops.client.endpoints import BoundStatement
from d1ops.client.failure import Failure, Verdict, verdict_of_text
from d1ops.client.results import decode_meta
from d1ops.core.binding import bind
from d1ops.core.sql import is_read
from d1ops.core.values import Bookmark, Meta, Statement
from d1ops.errors import (
    DatabaseError,
    OutcomeUnknown,
    PrecisionLost,
    StatementRejected,
    UnexpectedResponse,
    Unreachable,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from d1ops.client.call import Call, Steps
    from d1ops.client.models import DatabaseInfo, Progress
    from d1ops.client.results import Decoded
    from d1ops.core.values import Result

POLL_SECONDS = 1.0
"""The pause between polls. The server holds an answer for about a second, drops a task that nobody polls, and counts
every poll against the account's requests."""
MAX_POLLS = 7_200


@dataclass(frozen=True, slots=True)
class DumpOptions:
    """What an export holds. `tables` empty means all of them."""

    no_schema: bool = False
    no_data: bool = False
    tables: tuple[str, ...] = ()
    compatibility: Literal["d1", "sqlite3_cli_only"] | None = None
    """`sqlite3_cli_only` allows virtual tables, in a dump that D1 itself cannot import."""

    def json(self) -> dict[str, object]:
        """Return them as the API takes them."""
        chosen = {"compatibility": self.compatibility} if self.compatibility else {}
        return {"no_schema": self.no_schema, "no_data": self.no_data, "tables": list(self.tables), **chosen}


@dataclass(frozen=True, slots=True)
class Exported:
    """A finished dump: `bytes_written` went into the sink."""

    bytes_written: int
    filename: str


@dataclass(frozen=True, slots=True)
class Ingested:
    """A finished import. `bookmark` is the one after it, where the API tells it."""

    num_queries: int
    bookmark: Bookmark | None
    meta: Meta


# -- databases -------------------------------------------------------------------------------------------


def list_databases(account: str, name: str | None) -> Steps[tuple[DatabaseInfo, ...]]:
    """Collect all pages.

    A short page proves nothing, since the server may cap the size that was asked for: the end is the total that the
    answers tell, else a page that brings nothing new.
    """
    found: dict[str, DatabaseInfo] = {}
    number = 1
    while True:
        page = yield from send(endpoints.list_databases(account, number, name))
        before = len(found)
        found.update((database.uuid, database) for database in page.databases)
        if len(found) == before or (page.total is not None and len(found) >= page.total):
            return tuple(found.values())
        number += 1


# -- statements ------------------------------------------------------------------------------------------


def raw(account: str, database: str, statement: Statement, *, count: int | None, lossy: bool) -> Steps[Decoded]:
    """Run one text as one request."""
    bound = _bound(statement)
    safety = Safety.READ if is_read(statement.sql) else Safety.WRITE
    call = endpoints.raw(account, database, bound, count=count, safety=safety)
    return (yield from _exact(call, (statement,), (bound,), lossy=lossy))


def batch(
    account: str, database: str, statements: Sequence[Statement], *, reads_only: bool, lossy: bool
) -> Steps[tuple[Result, ...]]:
    """Run statements as one request; none of them, without any request, if there are none."""
    if not statements:
        return ()
    bound = tuple(_bound(statement) for statement in statements)
    reads = reads_only or all(is_read(statement.sql) for statement in statements)
    call = endpoints.batch(account, database, bound, safety=Safety.READ if reads else Safety.WRITE)
    return (yield from _exact(call, statements, bound, lossy=lossy)).results


def _bound(statement: Statement) -> BoundStatement:
    _encoded(statement.sql)
    try:
        return BoundStatement(*bind(statement.sql, statement.params))
    except UnicodeEncodeError:
        problem = "a parameter holds half of a surrogate pair, which is no text"
    except ValueError as error:
        problem = str(error)
    raise UsageError(problem)


def _encoded(sql: str) -> bytes:
    try:
        return sql.encode()
    except UnicodeEncodeError:
        raise UsageError("the SQL holds half of a surrogate pair, which is no text") from None


def _exact(
    call: Call[Decoded], statements: Sequence[Statement], bound: Sequence[BoundStatement], *, lossy: bool
) -> Steps[Decoded]:
    try:
        decoded = yield from send(call)
    except StatementRejected as error:
        _locate(error, statements, bound)
        raise
    if decoded.lost is not None and not lossy:
        raise PrecisionLost(*decoded.lost)
    return decoded


def _locate(error: StatementRejected, statements: Sequence[Statement], bound: Sequence[BoundStatement]) -> None:
    """Fill in the statement where it is known, and its offset where that is the one of the caller's own text."""
    if len(statements) == 1:
        error.index = 0
    if error.index is None:
        error.offset = None
        return
    sql, sent = statements[error.index].sql, bound[error.index].sql
    error.sql = sql
    if error.offset is not None and sql.encode()[: error.offset] != sent.encode()[: error.offset]:
        error.offset = None


# -- export ----------------------------------------------------------------------------------------------


def export(account: str, database: str, sink: BinaryIO, options: DumpOptions, max_bytes: int | None) -> Steps[Exported]:
    """Start a dump, poll until it is there, and fetch it.

    A small dump may be gone before the first poll asks for it ("Not currently exporting anything"): one more start.
    """

    def ask(at: str | None = None) -> Call[Progress]:
        return endpoints.export(account, database, options.json(), at)

    progress = yield from _until_done((yield from send(ask())), ask)
    if progress.failure is not None and "Not currently exporting" in progress.failure:
        progress = yield from _until_done((yield from send(ask())), ask)
    if progress.failure is not None:
        raise _inner_error(progress.failure, Verdict.REFUSED, Safety.READ)
    url = progress.dump_url
    if url is None:
        raise UnexpectedResponse("the dump is said to be complete, and where it is is not told")
    start = sink.tell() if sink.seekable() else None
    written = yield from send(Download(_checked(url), sink, start, max_bytes))
    name = (progress.result.filename if progress.result else None) or progress.filename
    return Exported(written, name or "")


def _until_done(progress: Progress, poll: Callable[[str], Call[Progress]]) -> Steps[Progress]:
    """Poll until a task is done or has failed."""
    for _ in range(MAX_POLLS):
        if progress.done or progress.failure is not None:
            return progress
        if progress.at_bookmark is None:
            raise UnexpectedResponse("the task has started, and the bookmark to ask for it is not told")
        yield from send(Pace(POLL_SECONDS))
        progress = yield from send(poll(progress.at_bookmark))
    raise Unreachable(f"the task was not done after {MAX_POLLS} polls")


def _inner_error(text: str, otherwise: Verdict, safety: Safety) -> DatabaseError:
    return Failure(verdict_of_text(text) or otherwise, text).error(safety)


def _checked(url: str) -> str:
    if not is_private(url):
        raise UnexpectedResponse("the answer names a file at a URL that is not https")
    return url


# -- import ----------------------------------------------------------------------------------------------


def ingest(account: str, database: str, script: str | bytes | BinaryIO) -> Steps[Ingested]:
    """Upload a script unless it is there already, start the import and poll until it has ended.

    Once it has started, only a rejection by the engine says that nothing was changed; any other error, a refused poll
    included, leaves it open.
    """
    source = _source(script)
    start, size, md5 = _measure(source)

    def step(action: str, safety: Safety, **more: str) -> Call[Progress]:
        return endpoints.import_(account, database, safety, action=action, **more)

    def poll(at: str) -> Call[Progress]:
        return step("poll", Safety.IDEMPOTENT, current_bookmark=at)

    progress = yield from send(step("init", Safety.WRITE, etag=md5))
    if progress.failure is None and progress.upload_url is not None:
        if progress.filename is None:
            raise UnexpectedResponse("the answer names no file to import")
        yield from send(Upload(_checked(progress.upload_url), source, start, size, md5))
        progress = yield from send(step("ingest", Safety.WRITE, filename=progress.filename, etag=md5))
    try:
        progress = yield from _until_done(progress, poll)
    except DatabaseError as error:
        if verdict_of_text(error.text) is Verdict.REJECTED:
            raise
        raise OutcomeUnknown(
            f"the import has started and its end was not seen: {error.text}",
            code=error.code,
            status=error.status,
            ray=error.ray,
            hint="look at the database before importing again",
        ) from error
    if progress.failure is not None:
        raise _inner_error(progress.failure, Verdict.REJECTED, Safety.WRITE)
    end = progress.result
    return Ingested(
        num_queries=(end.num_queries if end else None) or 0,
        bookmark=Bookmark(end.final_bookmark) if end and end.final_bookmark else None,
        meta=decode_meta(end.meta if end else None),
    )


def _source(script: str | bytes | BinaryIO) -> BinaryIO:
    if isinstance(script, str):
        return BytesIO(_encoded(script))
    if isinstance(script, bytes):
        return BytesIO(script)
    if not script.seekable():
        raise UsageError("the file to import cannot be read twice", hint="give a file on disk, or its bytes")
    return script


def _measure(source: BinaryIO) -> tuple[int, int, str]:
    """Return where a file stands, how many bytes follow and their MD5, which is the name that the API gives it."""
    start = source.tell()
    digest = hashlib.md5(usedforsecurity=False)
    while chunk := source.read(CHUNK_BYTES):
        digest.update(chunk)
    size = source.tell() - start
    source.seek(start)
    return start, size, digest.hexdigest()
