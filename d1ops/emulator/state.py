"""All that an emulator remembers between requests."""

from __future__ import annotations

import shutil
import tempfile
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

from d1ops.emulator.analytics import QueryLog
from d1ops.emulator.identity import RateLimit
from d1ops.emulator.registry import Registry
from d1ops.emulator.storage import Storage
from d1ops.emulator.wire import Refused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.emulator.faults import Fault, Hold
    from d1ops.emulator.registry import Hosted
    from d1ops.emulator.settings import Settings
    from d1ops.emulator.wire import Reply

BUSY = 7500


class State:
    """One account with its databases. `close` lets go of engines and of a temporary folder.

    Raises ConfigError for a folder that is not an emulator's.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self._is_temporary = settings.folder is None
        self.folder = Path(tempfile.mkdtemp(prefix="d1ops-emulator-")) if settings.folder is None else settings.folder
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.incoming = self.folder / "incoming"
        self.incoming.mkdir(mode=0o700, exist_ok=True)
        self.registry = Registry(self.folder, settings)
        self.storage = Storage(settings)
        self.limit = RateLimit(settings)
        self.queries = QueryLog()
        self.rays: Iterator[int] = count(1)
        """Numbers of all requests."""
        self._next = 1
        self._injected: dict[int, Fault | Reply | Hold] = {}

    def next_fault(self, path: str) -> Fault | Reply | Hold | None:
        """Count a request and return how it is spoiled."""
        if not self.settings.faults.counts(path):
            return None
        number, self._next = self._next, self._next + 1
        return self._injected.pop(number, None) or self.settings.faults.of(number)

    def inject(self, fault: Fault | Reply | Hold, *, nth: int) -> None:
        """Spoil the `nth` request from now on."""
        self._injected[self._next + nth - 1] = fault

    def inject_nothing(self) -> None:
        """Forget what is still to be spoiled."""
        self._injected.clear()

    def refuse_while_busy(self, hosted: Hosted) -> None:
        """Raise Refused while an export or an import blocks a database."""
        task = hosted.task
        if task is not None and task.is_running(self.settings):
            raise Refused(400, BUSY, f"Currently processing a long-running {task.kind}.")

    def close(self) -> None:
        """Let go of everything."""
        self.registry.close()
        if self._is_temporary:
            shutil.rmtree(self.folder)
