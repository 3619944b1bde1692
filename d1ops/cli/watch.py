"""The target of a command: opened when it is first asked, and watched, so that an interrupted command can say whether
something may have been sent."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from d1ops.core.sql import is_read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import datetime
    from typing import BinaryIO

    from d1ops.client import QueryLog
    from d1ops.core.values import Bookmark, Param, Restored, Result, Statement
    from d1ops.database.base import Capabilities, Database, Export, Target


class WatchedDatabase:
    """A `Database` that opens another one when it is first needed and notes every change that it passes on.

    `opener(create)` opens the target; without `create` a local database that is not there reads as an empty one.
    """

    def __init__(self, opener: Callable[[bool], Database]) -> None:
        self._opener = opener
        self._opened: Database | None = None
        self.changes = 0
        """How many changes were sent and answered."""
        self.is_sending = False
        """Whether a change was sent and its answer is not here."""

    @property
    def _database(self) -> Database:
        if self._opened is None:
            self._opened = self._opener(False)
        return self._opened

    def create(self) -> None:
        """Open the target anew, so that a local one that is not there is made."""
        self.close()
        self._opened = self._opener(True)

    @contextmanager
    def _change(self) -> Iterator[None]:
        """Note a change. An error of the database ends it too: such an error says itself what may have happened."""
        self.is_sending = True
        try:
            yield
        except Exception:
            self.is_sending = False
            raise
        self.is_sending = False
        self.changes += 1

    @property
    def target(self) -> Target:
        """Who this is."""
        return self._database.target

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""
        return self._database.capabilities

    @property
    def requests(self) -> int:
        """How many requests were sent since it was opened."""
        return self._opened.requests if self._opened else 0

    def query(self, sql: str, params: Sequence[Param] = ()) -> Result:
        """Run one statement."""
        if is_read(sql):
            return self._database.query(sql, params)
        database = self._database
        with self._change():
            return database.query(sql, params)

    def batch(
        self, statements: Sequence[Statement], *, reads_only: bool = False, lossy: bool = False
    ) -> tuple[Result, ...]:
        """Run statements in one transaction, all or nothing."""
        database = self._database
        if reads_only:
            return database.batch(statements, reads_only=True, lossy=lossy)
        with self._change():
            return database.batch(statements, lossy=lossy)

    def query_log(self, since: datetime, until: datetime, *, is_brief: bool = False) -> QueryLog:
        """Return what ran between two times. Raises UsageError for a target that keeps no log."""
        from d1ops.database.http import HttpDatabase
        from d1ops.errors import UsageError

        if not isinstance(self._database, HttpDatabase):
            raise UsageError(
                f"a {self._database.target.kind} target keeps no query log",
                hint="--env of a Cloudflare database, or --from-source",
            )
        return self._database.query_log(since, until, is_brief=is_brief)

    def bookmark(self) -> Bookmark:
        """Name the present state."""
        return self._database.bookmark()

    def bookmark_at(self, when: datetime) -> Bookmark:
        """Return the newest bookmark at or before a moment."""
        return self._database.bookmark_at(when)

    def restore(self, to: Bookmark) -> Restored:
        """Rewind the whole database."""
        database = self._database
        with self._change():
            return database.restore(to)

    def export(self, sink: BinaryIO) -> Export:
        """Write the engine's own SQL dump."""
        return self._database.export(sink)

    def ingest(self, script: str) -> Result:
        """Run a whole file as one atomic unit."""
        database = self._database
        with self._change():
            return database.ingest(script)

    def close(self) -> None:
        """Close what was opened."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None
