"""The one interface to a database. Three adapters implement it; use-cases know nothing else.

What every adapter keeps to (one contract suite holds them to it):

* a `batch` is one transaction: all of it, or `StatementRejected` and nothing of it;
* foreign keys are enforced, and what D1 refuses is refused with D1's text;
* values arrive as D1's JSON would carry them: an integer beyond 2^53-1 raises `PrecisionLost`, an infinite
  REAL arrives as None, a REAL without a fraction as `int`, a BLOB as `bytes`, invalid UTF-8 as U+FFFD;
* a request whose answer was lost raises `OutcomeUnknown` if it may have written, and nothing is sent twice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from typing import BinaryIO

    from d1ops.core.values import Bookmark, Param, Restored, Result, Statement


class Atomicity(StrEnum):
    """Whether a batch is known to be all or nothing on this kind of target."""

    PROVED = "proved"
    REFUTED = "refuted"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a target can do."""

    atomic_batch: Atomicity
    ingest: bool
    time_travel: bool
    create: bool
    keeps_copies: bool = False
    """Whether a bookmark is a copy of the database (`database.snapshots`), so that moments between copies are gone."""
    query_log: bool = False
    """Whether what ran can be asked for: the adapter has `query_log` then (`ops.insights.Log`)."""


@dataclass(frozen=True, slots=True)
class Target:
    """What an env points at, in the words a person recognises. `id` is stable and names local state."""

    kind: str
    """`sqlite`, `workerd` or `cloudflare`."""
    name: str
    """The database's name, or the file's path as configured."""
    id: str
    """D1's uuid, or the local id."""
    account: str | None = None


@dataclass(frozen=True, slots=True)
class Export:
    """A finished dump. `bytes_written` went into the sink."""

    bytes_written: int
    filename: str


class Database(Protocol):
    """A database, wherever it is."""

    @property
    def target(self) -> Target:
        """Who this is."""

    @property
    def capabilities(self) -> Capabilities:
        """What it can do."""

    @property
    def requests(self) -> int:
        """How many requests were sent since it was opened (statements that reached a local engine count
        as one request for each `query` or `batch`).
        """

    def query(self, sql: str, params: Sequence[Param] = ()) -> Result:
        """Run one statement."""

    def batch(
        self, statements: Sequence[Statement], *, reads_only: bool = False, lossy: bool = False
    ) -> tuple[Result, ...]:
        """Run statements in one transaction, all or nothing.

        `reads_only` is the caller's promise that no statement writes; a transient failure is then retried.
        `lossy` lets numbers beyond 2^53-1 through as they arrive instead of raising `PrecisionLost`.
        """

    def bookmark(self) -> Bookmark:
        """Name the present state so that `restore` can come back to it."""

    def bookmark_at(self, when: datetime) -> Bookmark:
        """Return the newest bookmark at or before a moment (with an offset). Raises NotFound where none is kept."""

    def restore(self, to: Bookmark) -> Restored:
        """Rewind the whole database, ledger and history included. `Restored.undo` comes back."""

    def export(self, sink: BinaryIO) -> Export:
        """Write the engine's own SQL dump. Not faithful on D1: never the only backup."""

    def ingest(self, script: str) -> Result:
        """Run a whole file as one atomic unit (D1's `/import`)."""

    def close(self) -> None:
        """Let go of files, sockets and processes."""
