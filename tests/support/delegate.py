"""A database over another one; tests change one thing about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from typing import BinaryIO

    from d1ops.client import QueryLog
    from d1ops.core.values import Bookmark, Param, Restored, Result, Statement
    from d1ops.database.base import Capabilities, Database, Export, Target
    from d1ops.ops.insights import Log


class Delegate:
    """Passes everything on."""

    def __init__(self, inner: Database) -> None:
        self.inner = inner

    @property
    def target(self) -> Target:
        return self.inner.target

    @property
    def capabilities(self) -> Capabilities:
        return self.inner.capabilities

    @property
    def requests(self) -> int:
        return self.inner.requests

    def query(self, sql: str, params: Sequence[Param] = ()) -> Result:
        return self.inner.query(sql, params)

    def batch(
        self, statements: Sequence[Statement], *, reads_only: bool = False, lossy: bool = False
    ) -> tuple[Result, ...]:
        return self.inner.batch(statements, reads_only=reads_only, lossy=lossy)

    def bookmark(self) -> Bookmark:
        return self.inner.bookmark()

    def bookmark_at(self, when: datetime) -> Bookmark:
        return self.inner.bookmark_at(when)

    def restore(self, to: Bookmark) -> Restored:
        return self.inner.restore(to)

    def export(self, sink: BinaryIO) -> Export:
        return self.inner.export(sink)

    def ingest(self, script: str) -> Result:
        return self.inner.ingest(script)

    def query_log(self, since: datetime, until: datetime, *, is_brief: bool = False) -> QueryLog:
        assert self.capabilities.query_log
        return cast("Log", self.inner).query_log(since, until, is_brief=is_brief)

    def close(self) -> None:
        self.inner.close()
