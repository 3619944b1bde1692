"""Time Travel of one database: copies of its file, each named by a bookmark.

The service knows every moment; this store knows the states that somebody asked for, and the last state of every second
in which a small database changed. A moment in between gives the nearest kept state at or before it, as the service's
own answer is defined. A bookmark carries the time of the last write before it, so states and moments compare.

Cost: a bookmark of a state that has one already takes constant time. Otherwise it is a copy of the file and its hash,
linear in its size; before a write it is taken on its own only for a file of at most `SMALL_BYTES`, once a second.
"""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from d1ops.core.values import Restored
from d1ops.database.snapshots import SnapshotStore, taken_at

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime
    from pathlib import Path

    from d1ops.core.values import Bookmark

SMALL_BYTES = 8 * 1024**2
KEEP = 500
INTERVAL = timedelta(seconds=1)


class TimeTravel:
    """The states of the database in `file`, kept in `folder`. `written_at` is the time of its last write."""

    def __init__(self, file: Path, folder: Path, *, written_at: datetime, now: Callable[[], datetime]) -> None:
        self._file = file
        self._now = now
        self._store = SnapshotStore(folder, keep=KEEP, now=lambda: self._written_at)
        self._written_at = written_at
        self._present: Bookmark | None = None
        self._copied_at: datetime | None = None

    def present(self) -> Bookmark:
        """Return the bookmark of the present state."""
        if self._present is None:
            self._present = self._store.take(self._file)
        return self._present

    def at(self, when: datetime) -> Bookmark:
        """Return the bookmark of the nearest kept state at or before a moment. Raises NotFound where none is kept."""
        if when >= self._written_at:
            return self.present()
        return self._store.at(when)

    def before_write(self) -> None:
        """Keep the present state, if it is to be kept, before a request changes it."""
        now = self._now()
        is_due = self._copied_at is None or now - self._copied_at >= INTERVAL
        if self._present is None and is_due and self._file.stat().st_size <= SMALL_BYTES:
            self._copied_at = now
            self.present()

    def after_write(self) -> None:
        """Note that the database may have changed."""
        self._written_at = max(self._now(), self._written_at)
        self._present = None

    def restore(self, to: Bookmark) -> Restored:
        """Rewind the file. Raises NotFound for a bookmark that is not kept."""
        undo = self._store.take(self._file, needed=(to,))
        self._store.put_back(to, self._file)
        self.after_write()
        # The state after a rewind is a new moment, so that a later look at the present does not find `undo`.
        self._present = self._store.take(self._file, needed=(to, undo))
        return Restored(self._present, undo, f"undo with {undo}, of {taken_at(undo).isoformat(timespec='seconds')}")
