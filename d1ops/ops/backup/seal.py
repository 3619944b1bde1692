"""The end of a copy: indexes and triggers, a look at it as at a fresh database, the packed file.

Where a target is large, this is done in a thread of its own while the target is read a second time: the one waits for
the network, the other for this machine. If rows turn out to have moved meanwhile, it is done again.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from threading import Event
from typing import TYPE_CHECKING, Any

from d1ops.ops.backup import files
from d1ops.ops.backup.background import Background
from d1ops.ops.backup.manifest import ENCRYPTED, PACKED
from d1ops.ops.backup.verified import Inspected, inspect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

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
        packing = Background("pack", lambda: files.pack(aside.data, packed_file, self.recipients, stop))
        with _stopped_at_an_error(packing, stop):
            return Sealed(inspect(aside.data, self.ledger, self.tables, stop), packing.result())

    @contextmanager
    def in_a_thread(self) -> Iterator[Background[Sealed]]:
        """Do it in a thread, which ends with the block: by itself, or soon where the block raises. An interrupt while
        that is waited for leaves the thread, and what it uses, to the end of the process."""
        stop = Event()
        self.aside.at_work = sealing = Background("seal", lambda: self.now(stop))
        with _stopped_at_an_error(sealing, stop):
            yield sealing
            sealing.wait()


@contextmanager
def _stopped_at_an_error(work: Background[Any], stop: Event) -> Iterator[None]:
    try:
        yield
    except BaseException:
        stop.set()
        work.wait()
        raise
