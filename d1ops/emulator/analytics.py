"""What was executed, counted by database, hour and query: the source of the GraphQL analytics.

Query texts are normalised as the service does it: a literal becomes `?`, and bound values are never kept.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from datetime import UTC
from functools import lru_cache
from threading import Lock
from typing import TYPE_CHECKING

from d1ops.core.sql import is_read, tokens

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from d1ops.core.values import Result, Statement

MAX_GROUPS = 10_000
"""Distinct queries that are remembered; the oldest are forgotten first."""


@dataclass(frozen=True, slots=True)
class Group:
    """What is counted together. `hour` is RFC 3339 in UTC."""

    database: str
    hour: str
    query: str


@dataclass(slots=True)
class Totals:
    """The sums of a group. Durations in milliseconds."""

    count: int = 0
    reads: int = 0
    writes: int = 0
    duration_ms: float = 0.0
    rows_read: int = 0
    rows_written: int = 0
    rows_returned: int = 0
    size_bytes: int = 0
    """The size of the database after the last of them."""

    def add(self, other: Totals) -> None:
        """Count another group in."""
        self.count += other.count
        self.reads += other.reads
        self.writes += other.writes
        self.duration_ms += other.duration_ms
        self.rows_read += other.rows_read
        self.rows_written += other.rows_written
        self.rows_returned += other.rows_returned
        self.size_bytes = max(self.size_bytes, other.size_bytes)


@dataclass
class QueryLog:
    """Everything that was executed since the start."""

    groups: dict[Group, Totals] = field(default_factory=dict)
    _order: deque[Group] = field(default_factory=deque, repr=False)
    _lock: Lock = field(default_factory=Lock, repr=False)

    def note(self, database: str, statements: Sequence[Statement], results: Sequence[Result], at: datetime) -> None:
        """Count statements that were executed."""
        hour = at.astimezone(UTC).strftime("%Y-%m-%dT%H:00:00Z")
        for statement, result in zip(statements, results, strict=True):
            meta, reads = result.meta, is_read(statement.sql)
            totals = Totals(
                count=1,
                reads=int(reads),
                writes=int(not reads),
                duration_ms=meta.duration_seconds * 1000,
                rows_read=meta.rows_read or 0,
                rows_written=meta.rows_written or 0,
                rows_returned=len(result.rows),
                size_bytes=meta.size_after_bytes,
            )
            group = Group(database, hour, normalise(statement.sql))
            with self._lock:
                if group not in self.groups:
                    self._order.append(group)
                    if len(self._order) > MAX_GROUPS:
                        del self.groups[self._order.popleft()]
                self.groups.setdefault(group, Totals()).add(totals)

    def snapshot(self) -> list[tuple[Group, Totals]]:
        """Return all groups with their sums."""
        with self._lock:
            return list(self.groups.items())


@lru_cache(maxsize=1024)
def normalise(sql: str) -> str:
    """Return a query with its literals replaced, its comments left out and its white space single."""
    return " ".join("".join(_shown(sql)).split()).removesuffix(";")


def _shown(sql: str) -> Iterable[str]:
    for token in tokens(sql):
        if token.kind in ("space", "comment"):
            yield " "
        else:
            yield "?" if token.kind in ("string", "number", "parameter") else token.text
