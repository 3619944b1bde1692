"""Tells other programs that somebody is at work on a backup that is not done."""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw

from d1ops.database.sqlite import open_copy
from d1ops.errors import Unreachable

if TYPE_CHECKING:
    from pathlib import Path

_NAME = "lock"


class Busy(Exception):
    """Another program has the lock."""


class Lock:
    """The lock of a folder: SQLite's own on a file without content, which goes with its program however that ends.

    Raises Busy where another program has it, ConfigError or Unreachable where the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self._path = folder / _NAME
        try:
            self._engine = open_copy(self._path, busy_timeout_seconds=0)
        except Unreachable as error:
            if "is locked" in error.text:
                raise Busy from None
            raise
        try:
            with self._engine.unlimited():
                self._engine.ask("PRAGMA journal_mode = MEMORY")  # No second file beside it.
                self._engine.ask("BEGIN EXCLUSIVE")
        except apsw.BusyError:
            self.close()
            raise Busy from None
        except BaseException:
            self.close()
            raise

    def vanish(self) -> None:
        """Remove the file; the lock is kept."""
        self._path.unlink(missing_ok=True)

    def close(self) -> None:
        """Let go of it."""
        self._engine.close()
