"""Tells other programs that somebody is at work on a backup that is not done."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import apsw

from d1ops.database.sqlite import open_copy
from d1ops.errors import ConfigError, Unreachable
from d1ops.ops.backup import files

if TYPE_CHECKING:
    from pathlib import Path

    from d1ops.core.engine import Engine

NAME = "lock"
_MOMENT_SECONDS = 0.2
"""Whoever only looks (`is_held`) has the file for less; whoever is at work on a backup has it for longer."""


class Busy(Exception):
    """Another program has the lock, or had it and has moved the folder away."""


class Lock:
    """The lock of a folder: SQLite's own on a file without content, which goes with its program however that ends.

    Raises Busy where another program has it, ConfigError or Unreachable where there is no such folder or it cannot be
    written. The folder is where it was then, and nobody else moves it.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / NAME
        with suppress(OSError):
            # Not opened where it exists: closing it again would take this process's own lock away.
            files.create_private(path).close()
        self._engine = _opened(path, busy_timeout_seconds=_MOMENT_SECONDS)
        try:
            with self._engine.unlimited():
                self._engine.ask("PRAGMA journal_mode = MEMORY")  # No second file beside it.
                self._engine.ask("BEGIN EXCLUSIVE")
            if not path.exists():
                raise Busy
        except apsw.BusyError:
            self.close()
            raise Busy from None
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of it."""
        self._engine.close()


def is_held(folder: Path) -> bool:
    """Return whether a program has the lock of a folder. Nothing is made, and nobody is kept from taking it."""
    try:
        _opened(folder / NAME, busy_timeout_seconds=0).close()
    except Busy:
        return True
    except (ConfigError, Unreachable, apsw.Error):
        return False
    return False


def _opened(path: Path, *, busy_timeout_seconds: float) -> Engine:
    try:
        return open_copy(path, create=False, busy_timeout_seconds=busy_timeout_seconds)
    except Unreachable as error:
        if "is locked" in error.text:
            raise Busy from None
        raise
