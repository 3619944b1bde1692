"""Time Travel for files: whole copies of a database, each named by a bookmark.

A bookmark has the shape of D1's, 8-8-8-32 lower-case hexadecimal digits, and orders as text by time. Its groups are
the seconds since 1970, the nanoseconds of that second, a count that always rises, and the first half of the SHA-256
of the content, by which a damaged copy is found before it is put back. A store knows only the moments at which a
bookmark was asked for, unlike D1, which knows every moment.
"""

from __future__ import annotations

import hashlib
import os
import re
import secrets
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from d1ops.core.values import Bookmark
from d1ops.database.sqlite import copy_database
from d1ops.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Collection
    from pathlib import Path

KEEP = 50
MAX_BYTES = 2 * 1024**3

_BOOKMARK = re.compile(r"[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{32}")
_HINT = "d1ops history shows the bookmarks of past changes, d1ops backup list the backups"
_STALE_PARTIAL = timedelta(hours=1)


class SnapshotStore:
    """Copies of one database in `folder` (0700, files 0600, kept out of version control).

    It holds at most `keep` copies and `max_bytes` bytes; the oldest go first, never the newest nor one that a call
    names as needed. `now` is the clock, aware of its zone.
    """

    def __init__(
        self, folder: Path, *, keep: int = KEEP, max_bytes: int = MAX_BYTES, now: Callable[[], datetime]
    ) -> None:
        self._folder = folder
        self._keep = keep
        self._max_bytes = max_bytes
        self._now = now

    def bookmarks(self) -> tuple[Bookmark, ...]:
        """Return every bookmark that can be put back, oldest first."""
        return tuple(
            sorted(Bookmark(path.stem) for path in self._folder.glob("*.sqlite") if _BOOKMARK.fullmatch(path.stem))
        )

    def take(self, source: Path, *, needed: Collection[Bookmark] = ()) -> Bookmark:
        """Copy the database in the file `source` and return the bookmark of its state.

        While the content is that of the newest copy, its bookmark is returned again. Raises NotFound when one of the
        `needed` bookmarks is not kept, before anything is written; ConfigError or Unreachable for an unusable file.
        """
        for bookmark in needed:
            self._file(bookmark)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        ignore = self._folder / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
        partial = self._folder / f"{secrets.token_hex(8)}.partial"
        try:
            copy_database(source, partial)
            digest = _digest(partial)
            newest = self.bookmarks()[-1:]
            if newest and newest[0].endswith(digest):
                return newest[0]
            bookmark = self._next(newest[0] if newest else None, digest)
            partial.rename(self._path(bookmark))
            self._sync()
        finally:
            partial.unlink(missing_ok=True)
        self._prune({bookmark, *needed})
        return bookmark

    def put_back(self, bookmark: Bookmark, destination: Path) -> None:
        """Make the database in the file `destination` what it was at `bookmark`, in one transaction.

        Raises NotFound for a bookmark that is not kept or whose copy is damaged; ConfigError or Unreachable for a file
        that cannot be written. The destination is then as before.
        """
        copy = self._file(bookmark)
        if not bookmark.endswith(_digest(copy)):
            raise NotFound(f"the copy of bookmark {bookmark} is damaged", hint=_HINT)
        copy_database(copy, destination)

    def at(self, when: datetime) -> Bookmark:
        """Return the newest bookmark taken at or before `when`. Raises NotFound when there is none."""
        found = [bookmark for bookmark in self.bookmarks() if taken_at(bookmark) <= when]
        if not found:
            raise NotFound(f"no bookmark is kept from {when.isoformat()} or before", hint=_HINT)
        return found[-1]

    def _path(self, bookmark: str) -> Path:
        return self._folder / f"{bookmark}.sqlite"

    def _file(self, bookmark: Bookmark) -> Path:
        if not (_BOOKMARK.fullmatch(bookmark) and self._path(bookmark).is_file()):
            raise NotFound(f"bookmark {bookmark} is not kept", hint=_HINT)
        return self._path(bookmark)

    def _next(self, newest: Bookmark | None, digest: str) -> Bookmark:
        now = self._now()
        count = 0
        if newest is not None:
            # A clock that was set back must not put the present before the past.
            now = max(now, taken_at(newest))
            count = int(newest.split("-")[2], 16) + 1
        return Bookmark(f"{int(now.timestamp()):08x}-{now.microsecond * 1000:08x}-{count:08x}-{digest}")

    def _prune(self, needed: Collection[Bookmark]) -> None:
        sizes = {bookmark: self._path(bookmark).stat().st_size for bookmark in self.bookmarks()}
        for bookmark in sorted(set(sizes) - set(needed)):
            if len(sizes) <= self._keep and sum(sizes.values()) <= self._max_bytes:
                break
            self._path(bookmark).unlink(missing_ok=True)
            del sizes[bookmark]
        for partial in self._folder.glob("*.partial*"):
            # What a killed process left. A younger one may belong to a process that is still copying.
            if datetime.fromtimestamp(partial.stat().st_mtime, UTC) < self._now() - _STALE_PARTIAL:
                partial.unlink(missing_ok=True)

    def _sync(self) -> None:
        with suppress(PermissionError):  # Windows opens no folders.
            descriptor = os.open(self._folder, os.O_RDONLY)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)


def taken_at(bookmark: Bookmark) -> datetime:
    """Return when a bookmark of a store was taken, in UTC."""
    seconds, nanoseconds, _, _ = (int(part, 16) for part in bookmark.split("-"))
    return datetime.fromtimestamp(seconds, UTC).replace(microsecond=nanoseconds // 1000)


_COUNTERS = ((24, 28), (40, 44), (92, 100))
"""Bytes of the header that count writes and schema changes or name the SQLite that wrote last (file format, 1.3)."""


def _digest(path: Path) -> str:
    """Return 32 hexadecimal digits of the SHA-256 of a database's pages. Copying back changes only the counters."""
    whole = hashlib.sha256()
    with path.open("rb") as file:
        header = bytearray(file.read(100))
        for first, after in _COUNTERS:
            header[first:after] = bytes(len(header[first:after]))
        whole.update(header)
        while piece := file.read(1 << 20):
            whole.update(piece)
    return whole.hexdigest()[:32]
