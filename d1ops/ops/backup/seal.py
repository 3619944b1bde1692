"""The end of a copy: indexes and triggers, a look at it as at a fresh database, the packed file.

Where a target is large, this is done in a thread of its own while the target is read a second time: the one waits for
the network, the other for this machine. If rows turn out to have moved meanwhile, it is done again.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING

from d1ops.ops.backup import files
from d1ops.ops.backup.manifest import ENCRYPTED, PACKED
from d1ops.ops.backup.verified import Inspected, inspect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from concurrent.futures import Future

    from d1ops.core.schema import SchemaObject
    from d1ops.ops.backup.copy import Copy
    from d1ops.ops.backup.files import Packed
    from d1ops.ops.backup.partial import Partial


@dataclass(frozen=True, slots=True)
class Sealed:
    """What the copy holds, as a fresh database shows it, and the packed file."""

    inspected: Inspected
    packed: Packed


@dataclass(frozen=True, slots=True)
class Seal:
    """What sealing needs to know. `tables` are those whose rows the copy holds."""

    aside: Partial
    objects: Sequence[SchemaObject]
    ledger: str
    tables: Sequence[str]
    recipients: Sequence[str]

    @property
    def copy(self) -> Copy:
        """The copy, while it is written."""
        return self.aside.copy

    def reopen(self) -> Copy:
        """Open a copy that was sealed, so that rows can be written into it: its triggers go."""
        copy = self.aside.reopen()
        copy.drop_triggers()
        return copy

    def now(self, stop: Event | None = None) -> Sealed:
        """Do it; the copy is closed then. Raises BackupRefused where the rows do not allow a unique index, and
        whatever an engine raises that is interrupted, once somebody says stop."""
        stop, aside = stop or Event(), self.aside
        aside.copy.finish(self.objects, stop)
        aside.copy.close()
        for left in (PACKED, ENCRYPTED):
            (aside.folder / left).unlink(missing_ok=True)
        packed_file = aside.folder / (ENCRYPTED if self.recipients else PACKED)
        with ThreadPoolExecutor(1, thread_name_prefix="d1ops-pack") as thread:
            packed = thread.submit(files.pack, aside.data, packed_file, self.recipients, stop)
            return Sealed(inspect(aside.data, self.ledger, self.tables, stop), packed.result())

    @contextmanager
    def in_a_thread(self) -> Iterator[Future[Sealed]]:
        """Do it in a thread, which ends with the block: by itself, or at once where the block raises."""
        stop = Event()
        with ThreadPoolExecutor(1, thread_name_prefix="d1ops-seal") as thread:
            future = thread.submit(self.now, stop)
            try:
                yield future
                future.exception()
            except BaseException:
                stop.set()
                raise
