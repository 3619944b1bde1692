"""The operations of the typed client, each written once.

An operation is a method that returns a protocol; `@Operation` makes it a plain method of `D1Client` and a coroutine of
`AsyncD1Client`. Both run the same generator.
"""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, BinaryIO, Concatenate, Generic, Literal, ParamSpec, TypeVar, overload

from d1ops.client import analytics, endpoints, protocols
from d1ops.client.call import send
from d1ops.core.values import Statement
from d1ops.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Sequence
    from datetime import datetime

    from d1ops.client.analytics import QueryLog
    from d1ops.client.call import Steps
    from d1ops.client.clients import AsyncD1Client, D1Client
    from d1ops.client.models import DatabaseInfo
    from d1ops.client.protocols import DumpOptions, Exported, Ingested
    from d1ops.core.values import Bookmark, Param, Restored, Result

P = ParamSpec("P")
T = TypeVar("T")

LocationHint = Literal["wnam", "enam", "weur", "eeur", "apac", "oc"]
Jurisdiction = Literal["eu", "fedramp", "us"]
ReadReplication = Literal["auto", "disabled"]


class Operation(Generic[P, T]):
    """A protocol as a method: what it returns is run by the client that it is called on."""

    def __init__(self, steps: Callable[Concatenate[Any, P], Steps[T]]) -> None:
        self._steps = steps
        self.__doc__ = steps.__doc__

    @overload
    def __get__(self, client: None, owner: object) -> Operation[P, T]: ...

    @overload
    def __get__(self, client: AsyncD1Client, owner: object) -> Callable[P, Coroutine[Any, Any, T]]: ...

    @overload
    def __get__(self, client: D1Client, owner: object) -> Callable[P, T]: ...

    def __get__(self, client: Any, owner: object) -> Any:
        if client is None:
            return self

        @wraps(self._steps)
        def run(*args: P.args, **kwargs: P.kwargs) -> Any:
            return client.run(self._steps(client, *args, **kwargs))

        return run


class Operations:
    """What both clients can do.

    Every operation raises the errors of `d1ops.errors`: `Denied`, `NotFound`, `RateLimited`, `Unreachable` and
    `UnexpectedResponse` leave the account as it was; after `OutcomeUnknown` a change may have been made. A database is
    named by its uuid; `get_database` takes the name as well.
    """

    def __init__(self, account_id: str) -> None:
        self.account_id = account_id

    # -- databases -------------------------------------------------------------------------------------

    @Operation
    def list_databases(self, name: str | None = None) -> Steps[tuple[DatabaseInfo, ...]]:
        """Return all databases of the account, or those whose name the API finds by `name`."""
        return protocols.list_databases(self.account_id, name)

    @Operation
    def get_database(self, database: str) -> Steps[DatabaseInfo]:
        """Return one database, by uuid or by its exact name."""
        return send(endpoints.get_database(self.account_id, database))

    @Operation
    def create_database(
        self,
        name: str,
        *,
        location_hint: LocationHint | None = None,
        jurisdiction: Jurisdiction | None = None,
        read_replication: ReadReplication | None = None,
    ) -> Steps[DatabaseInfo]:
        """Create a database. A jurisdiction overrides the hint and cannot be changed afterwards."""
        body: dict[str, object] = {"name": name}
        if location_hint is not None:
            body["primary_location_hint"] = location_hint
        if jurisdiction is not None:
            body["jurisdiction"] = jurisdiction
        if read_replication is not None:
            body["read_replication"] = {"mode": read_replication}
        return send(endpoints.create_database(self.account_id, body))

    @Operation
    def update_database(self, database_id: str, *, read_replication: ReadReplication) -> Steps[DatabaseInfo]:
        """Switch read replication. Switching it off may take up to 24 hours to take effect."""
        body = {"read_replication": {"mode": read_replication}}
        return send(endpoints.update_database(self.account_id, database_id, body))

    @Operation
    def delete_database(self, database_id: str) -> Steps[None]:
        """Delete a database for good: Time Travel does not outlive it."""
        return send(endpoints.delete_database(self.account_id, database_id))

    # -- statements ------------------------------------------------------------------------------------

    @Operation
    def raw(
        self, database_id: str, sql: str, params: Sequence[Param] = (), *, lossy: bool = False
    ) -> Steps[tuple[Result, ...]]:
        """Run a text, which may hold several statements, as one request; one result for each statement.

        Parameters and errors are those of `query`. Whether the text is one transaction is the server's affair; `batch`
        is the form that D1 documents as one.
        """
        return self._raw(database_id, Statement(sql, tuple(params)), lossy=lossy)

    def _raw(self, database_id: str, statement: Statement, *, lossy: bool) -> Steps[tuple[Result, ...]]:
        decoded = yield from protocols.raw(self.account_id, database_id, statement, count=None, lossy=lossy)
        return decoded.results

    @Operation
    def batch(
        self, database_id: str, statements: Sequence[Statement], *, reads_only: bool = False, lossy: bool = False
    ) -> Steps[tuple[Result, ...]]:
        """Run statements as one batch, each with its own parameters; one result for each.

        `reads_only` is the caller's promise that none of them writes, so that the batch may be sent again after a
        transient failure; a batch of plain reads is recognised without it. Errors are those of `query`.
        """
        return protocols.batch(self.account_id, database_id, statements, reads_only=reads_only, lossy=lossy)

    # -- dumps -----------------------------------------------------------------------------------------

    @Operation
    def export(
        self,
        database_id: str,
        sink: BinaryIO,
        *,
        options: DumpOptions | None = None,
        max_bytes: int | None = None,
    ) -> Steps[Exported]:
        """Write D1's own SQL dump into `sink`, in constant memory. The database is blocked meanwhile.

        Raises UnexpectedResponse once the dump has more than `max_bytes`; the sink then holds a part of it.
        """
        return protocols.export(self.account_id, database_id, sink, options or protocols.DumpOptions(), max_bytes)

    @Operation
    def ingest(self, database_id: str, script: str | bytes | BinaryIO) -> Steps[Ingested]:
        """Run a whole script through D1's import, all or nothing. A file is read twice and must be seekable.

        Raises StatementRejected when the import failed and the database is as it was.
        """
        return protocols.ingest(self.account_id, database_id, script)

    # -- analytics -------------------------------------------------------------------------------------

    @Operation
    def query_log(
        self, database_id: str, since: datetime, until: datetime, *, is_brief: bool = False
    ) -> Steps[QueryLog]:
        """Return what ran between two times, by text. `is_brief` is for who can do without: one request, not repeated,
        and what does not fit into its answer is held back.

        Raises Denied for a token without Account Analytics: Read, and UsageError for a naive time.
        """
        return analytics.query_log(self.account_id, database_id, _aware(since), _aware(until), is_brief=is_brief)

    # -- time travel -----------------------------------------------------------------------------------

    @Operation
    def bookmark(self, database_id: str, at: datetime | None = None) -> Steps[Bookmark]:
        """Return the present bookmark, or the nearest at or before a time. Raises UsageError for a naive time."""
        return send(endpoints.bookmark(self.account_id, database_id, None if at is None else _aware(at)))

    @Operation
    def restore(
        self, database_id: str, *, bookmark: Bookmark | None = None, timestamp: datetime | None = None
    ) -> Steps[Restored]:
        """Rewind the whole database to a bookmark or to a time, exactly one of them. `Restored.undo` comes back."""
        if timestamp is None and bookmark is not None:
            return send(endpoints.restore(self.account_id, database_id, bookmark))
        if timestamp is not None and bookmark is None:
            return send(endpoints.restore(self.account_id, database_id, _aware(timestamp)))
        raise UsageError("restore takes either a bookmark or a timestamp")


def _aware(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise UsageError("the time has no time zone", hint="use datetime.now(UTC) or add tzinfo=UTC")
    return at
