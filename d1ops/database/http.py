"""A database at Cloudflare, over the typed client."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.values import Result
from d1ops.database.base import Atomicity, Capabilities, Export, Target

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from typing import BinaryIO

    from d1ops.client import D1Client, QueryLog
    from d1ops.core.values import Bookmark, Param, Restored, Statement


class HttpDatabase:
    """One database of an account. Errors are those of the client's operations.

    `atomicity` says what is known of the target's batches; only a probe of this very target may say more than UNKNOWN.
    The client belongs to the database from here on and is closed with it.
    """

    def __init__(
        self,
        client: D1Client,
        database_id: str,
        *,
        name: str,
        atomicity: Atomicity = Atomicity.UNKNOWN,
    ) -> None:
        self._client = client
        self._id = database_id
        self._requests_before = client.requests
        self._target = Target("cloudflare", name, database_id, client.account_id)
        self._capabilities = Capabilities(
            atomic_batch=atomicity, ingest=True, time_travel=True, create=True, query_log=True
        )

    @property
    def target(self) -> Target:
        """Who this is."""
        return self._target

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return self._capabilities

    @property
    def requests(self) -> int:
        """How many HTTP requests were sent since it was opened, repeated ones included."""
        return self._client.requests - self._requests_before

    def query(self, sql: str, params: Sequence[Param] = ()) -> Result:
        """Run one statement; a read is sent again after a transient failure."""
        return self._client.query(self._id, sql, params)

    def batch(
        self, statements: Sequence[Statement], *, reads_only: bool = False, lossy: bool = False
    ) -> tuple[Result, ...]:
        """Run statements as one batch. A rejection names the statement only where there is one: D1 tells no index."""
        return self._client.batch(self._id, statements, reads_only=reads_only, lossy=lossy)

    def bookmark(self) -> Bookmark:
        """Return Time Travel's present bookmark."""
        return self._client.bookmark(self._id)

    def bookmark_at(self, when: datetime) -> Bookmark:
        """Return the newest bookmark at or before a moment (with an offset)."""
        return self._client.bookmark(self._id, when)

    def restore(self, to: Bookmark) -> Restored:
        """Rewind the whole database through Time Travel."""
        return self._client.restore(self._id, bookmark=to)

    def export(self, sink: BinaryIO) -> Export:
        """Write D1's own SQL dump. It rounds large integers, mangles invalid UTF-8 and refuses virtual tables."""
        exported = self._client.export(self._id, sink)
        return Export(exported.bytes_written, exported.filename)

    def ingest(self, script: str) -> Result:
        """Run a whole file through D1's import, all or nothing."""
        return Result(meta=self._client.ingest(self._id, script).meta)

    def query_log(self, since: datetime, until: datetime, *, is_brief: bool = False) -> QueryLog:
        """Return what ran between two times, by text; `is_brief` as of the client. Raises Denied for a token without
        Account Analytics: Read."""
        return self._client.query_log(self._id, since, until, is_brief=is_brief)

    def close(self) -> None:
        """Close the client."""
        self._client.close()
