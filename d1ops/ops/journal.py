"""The journal beside the backups: every event of every change, one JSON object a line, append-only, 0600.

An event is written twice: as an intent before anything is sent, and as done or withdrawn once that is known. So a
process that ends in between leaves a trace, and what became of it is found on the target by the event's nonce. A
rewind takes the tail of the history on the target with it; its intent holds that tail.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass, field, fields
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from d1ops.core.ledger import Event, is_change

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from d1ops.ops.workspace import Workspace

_FILE = "journal.jsonl"
_FIELDS = tuple(each.name for each in fields(Event) if each.name != "id")


class Phase(StrEnum):
    """How far an event had come when its line was written."""

    INTENT = "intent"
    """About to be sent."""
    DONE = "done"
    """On the target."""
    WITHDRAWN = "withdrawn"
    """Not on the target, and it cannot come there any more."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A line of the journal about this target. `facts` are what the line holds beside the event."""

    phase: Phase
    event: Event
    facts: Mapping[str, Any] = field(default_factory=dict)

    @property
    def tail(self) -> tuple[Event, ...]:
        """The events that a rewind was about to take off the target."""
        return tuple(_event(each) for each in self.facts.get("tail", ()))


def append(workspace: Workspace, event: Event, phase: Phase = Phase.DONE, **facts: Any) -> None:
    """Add an event with the target it belongs to, and write it through to the disk."""
    target = workspace.database.target
    line: Mapping[str, Any] = {
        "env": workspace.env,
        "database": target.name,
        "database_id": target.id,
        "phase": phase.value,
        **_plain(event),
        **facts,
    }
    path = workspace.state_folder("backups", workspace.env) / _FILE
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT
    with os.fdopen(os.open(path, flags, 0o600), "rb+", buffering=0) as file:
        end = file.seek(0, os.SEEK_END)
        torn = b""
        if end:
            file.seek(end - 1)
            # A line that a crash cut off must not swallow the next one.
            torn = b"" if file.read(1) == b"\n" else b"\n"
        file.write(torn + json.dumps(line).encode() + b"\n")
        os.fsync(file.fileno())


def append_rewind(workspace: Workspace, event: Event, tail: Sequence[Event], **facts: Any) -> None:
    """Add the intent of a rewind, with the events that go from the target with it."""
    append(workspace, event, Phase.INTENT, tail=[_plain(each) for each in tail], **facts)


def read(workspace: Workspace) -> tuple[Entry, ...]:
    """Return the lines about this target, oldest first. A line that cannot be read (cut off by a crash) is left out;
    a journal that is not there, or cannot be read, has none."""
    try:
        text = (workspace.state / "backups" / workspace.env / _FILE).read_text(errors="replace")
    except OSError:
        return ()
    found = (_entry(line, workspace.database.target.id) for line in text.splitlines())
    return tuple(entry for entry in found if entry is not None)


def unsettled(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return the intents of which the journal does not know what became, oldest first."""
    open_ones: dict[str, Entry] = {}
    for entry in entries:
        if entry.phase is Phase.INTENT:
            open_ones[entry.event.nonce] = entry
        else:
            open_ones.pop(entry.event.nonce, None)
    return tuple(open_ones.values())


def last_done(entries: Sequence[Entry]) -> Event | None:
    """Return the newest change that the journal knows to be on the target."""
    done = [entry.event for entry in entries if entry.phase is Phase.DONE and is_change(entry.event)]
    return done[-1] if done else None


def settle(workspace: Workspace, history: Iterable[Event]) -> None:
    """Write what became of the intents that a look at the target explains: the journal catches up with the history.

    An intent whose nonce is not in the history stays open: whether it was sent, nobody here knows.
    """
    known = {event.nonce: event for event in history}
    for entry in unsettled(read(workspace)):
        event = known.get(entry.event.nonce)
        if event is not None:
            append(workspace, event, Phase.DONE if is_change(event) else Phase.WITHDRAWN, found_later=True)


def _plain(event: Event) -> dict[str, Any]:
    return {key: value for key, value in asdict(event).items() if key != "id"}


def _event(data: Mapping[str, Any]) -> Event:
    return Event(**{name: data.get(name) for name in _FIELDS})  # type: ignore[arg-type]  # JSON that we wrote


def _entry(line: str, database_id: str) -> Entry | None:
    try:
        data = json.loads(line)
        if data.get("database_id") != database_id or not isinstance(data.get("nonce"), str):
            return None
        # A journal of the first release has no phases: it knew what was done, and nothing else.
        phase = Phase(data.get("phase", Phase.DONE))
        facts = {key: value for key, value in data.items() if key not in _FIELDS}
        return Entry(phase, _event(data), facts)
    except (ValueError, AttributeError, TypeError):
        return None
