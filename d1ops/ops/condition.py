"""What a crash, a lost answer or another tool left behind: each state by its name, as a fact, with the one command that
goes on. Judged from one look at the target and from the local files; nothing is sent and nothing is written."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core import rules
from d1ops.core.importing import TEXTS
from d1ops.core.ledger import CHUNKED, HISTORY, EventKind, is_change, open_mark
from d1ops.core.other_ledgers import other_ledgers
from d1ops.core.restoring import MARK
from d1ops.core.sql import fold
from d1ops.errors import HumanNeeded, LedgerRefused
from d1ops.ops import journal
from d1ops.ops.backup import is_cleared, is_in_use, leftovers
from d1ops.ops.guard import GUARD
from d1ops.ops.restore import unfinished

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from d1ops.core.ledger import Event
    from d1ops.core.other_ledgers import OtherLedger
    from d1ops.ops.journal import Entry
    from d1ops.ops.look import Look
    from d1ops.ops.workspace import Workspace

PROBE = "d1ops_probe"
"""The table that the probe of atomic batches makes and drops."""


@dataclass(frozen=True, slots=True)
class Condition:
    """A state that asks for something. `command` are the words behind `d1ops`; none where nothing is to be run.

    `is_serious` says that a change would be refused, or that something can be lost, before it is dealt with.
    """

    name: str
    fact: str
    command: tuple[str, ...] = ()
    is_serious: bool = False


def conditions(workspace: Workspace, seen: Look) -> tuple[Condition, ...]:
    """Name every state that asks for something, the most serious first. While rows are being loaded it is that alone:
    what the target shows then is neither the old nor the new."""
    if restoring := tuple(_restoring(seen)):
        return restoring
    entries = journal.read(workspace)
    found = [
        *_rewind(workspace, seen),
        *_leftovers(seen),
        *_run(entries, workspace, seen),
        *_bookkeeping(workspace, seen),
        *_ahead(entries, workspace, seen),
        *_foreign(workspace, seen),
        *_partial_backups(workspace),
    ]
    return tuple(sorted(found, key=lambda condition: not condition.is_serious))


def require_whole(seen: Look) -> None:
    """Raise HumanNeeded while a restore is loading rows, or was cut off while it did."""
    for condition in _restoring(seen):
        raise HumanNeeded(condition.fact, hint=f"d1ops {' '.join(condition.command)}")


def require_settled(workspace: Workspace, seen: Look) -> None:
    """Raise what `require_whole` raises, and LedgerRefused where another tool keeps the ledger of this database and
    ours is empty."""
    require_whole(seen)
    others = other_ledgers(seen.everything, workspace.ledger)
    if others and not seen.ledger:
        raise LedgerRefused(
            f"{_theirs(others)}, and {workspace.ledger} is empty: nobody knows which of these files ran",
            hint=f"{others[0].files}; then d1ops baseline marks what the schema shows",
        )


# -- a restore -----------------------------------------------------------------------------------------


def _restoring(seen: Look) -> Iterator[Condition]:
    if seen.everything.has_table(MARK):
        yield Condition(
            "restoring",
            "a backup is being loaded, or was until the process ended: the rows are neither the old nor the new; d1ops"
            " status says how far it came and what takes it back",
            ("restore", "--resume"),
            is_serious=True,
        )


def _rewind(workspace: Workspace, seen: Look) -> Iterator[Condition]:
    entry = unfinished(workspace, seen.history)
    if entry is not None:
        known = {event.nonce for event in seen.history}
        lost = sum(event.nonce not in known for event in entry.tail)
        yield Condition(
            "rewind without history",
            f"{_by(entry.event)} rewound the database, and {lost} events of the history were not written back",
            ("restore", "--resume"),
            is_serious=True,
        )
    mark = open_mark(seen.history, EventKind.REWINDING)
    if mark is not None and seen.history[-1].nonce == mark.nonce:
        to = next(
            (e.facts.get("restored_to") for e in journal.read(workspace) if mark.nonce.startswith(e.event.nonce)), None
        )
        yield Condition(
            "rewind not done",
            f"{_by(mark)} announced a rewind, and it did not happen; the database is as it was before",
            ("restore", str(to)) if to else ("status",),
        )


# -- leftovers on the target ---------------------------------------------------------------------------


def _leftovers(seen: Look) -> Iterator[Condition]:
    for table in seen.everything.tables():
        name = fold(table)
        if name == GUARD:
            yield Condition(
                "guard left behind",
                f"{table} lives inside of a batch only: this target kept a part of one that failed, or of one that"
                " another tool ran",
                ("doctor", "--probe"),
                is_serious=True,
            )
        elif name == PROBE:
            fact = f"{table} was left behind by a probe that was interrupted"
            yield Condition("probe left behind", fact, ("doctor", "--probe"))


# -- the last run of this machine ----------------------------------------------------------------------


def _run(entries: Sequence[Entry], workspace: Workspace, seen: Look) -> Iterator[Condition]:
    """What became of the last run that was begun here, unless somebody changed the target since."""
    runs = [position for position, entry in enumerate(entries) if "run" in entry.facts]
    if not runs:
        return
    last = entries[runs[-1]]
    event, run = last.event, last.facts["run"]
    first = next(n for n in runs if entries[n].facts["run"].get("id") == run.get("id"))
    known = {entry.event.nonce for entry in entries[:first]}
    own = {entry.event.nonce for entry in entries[first:]}
    others = [e for e in seen.history if is_change(e) and e.nonce not in known | own and e.at >= event.at]
    if others:
        return
    landed = next((e for e in seen.history if e.nonce == event.nonce), None)
    has_landed = landed is not None and is_change(landed)
    files, position = [str(file) for file in run.get("files", ())], int(run.get("position", 1))
    done = position if has_landed else position - 1
    again = _again(workspace, event, files)
    if any(entry.event.nonce == event.nonce for entry in journal.unsettled(entries)):
        begun = f"{_by(event)} began {event.kind} {event.migration}, and no end was recorded: "
        if has_landed:
            yield Condition(
                "answer lost", f"{begun}the target has it, whole", again if done < len(files) else ("status",)
            )
        elif landed is not None:
            yield Condition("answer lost", f"{begun}it was withdrawn, and the target has nothing of it", again)
        else:
            yield Condition(
                "answer lost",
                f"{begun}the target does not have it; for 30 seconds after its start it may still be under way",
                again,
            )
    elif 0 < done < len(files):
        yield Condition(
            "run not at its end",
            f"the last {event.kind} did {done} of {len(files)} steps, each whole; not done: {', '.join(files[done:])}",
            again,
        )


def _again(workspace: Workspace, event: Event, files: Sequence[str]) -> tuple[str, ...]:
    if event.kind == EventKind.ROLLBACK:
        target = workspace.catalog.by_file().get(files[-1]) if files else None
        number = target.label if target else str(event.migration)
        return ("rollback", number, "--cascade") if len(files) > 1 else ("rollback", number)
    return ("baseline",) if event.kind == EventKind.BASELINE else ("migrate",)


# -- ledger, history and journal -----------------------------------------------------------------------


def _bookkeeping(workspace: Workspace, seen: Look) -> Iterator[Condition]:
    rows = {row.name for row in seen.ledger}
    gone = [
        status.file
        for status in seen.statuses(workspace)
        if status.file not in rows
        and status.last_event is not None
        and status.last_event.kind in (EventKind.MIGRATE, EventKind.BASELINE)
    ]
    if gone:
        yield Condition(
            "ledger row missing",
            f"the history says that {', '.join(gone)} ran, and the ledger lacks it: somebody took the row away",
            ("baseline",),
            is_serious=True,
        )


def _ahead(entries: Sequence[Entry], workspace: Workspace, seen: Look) -> Iterator[Condition]:
    known = {event.nonce for event in seen.history}
    last = journal.last_done(entries)
    if last is None or last.nonce in known or unfinished(workspace, seen.history) is not None:
        return
    lost = [e.event for e in entries if e.phase is journal.Phase.DONE and is_change(e.event)]
    number = sum(event.nonce not in known for event in lost)
    yield Condition(
        "journal ahead",
        f"the journal here knows {number} changes that the target's history lacks, the last {last.kind}"
        f" {last.migration or ''}".rstrip()
        + f" at {last.at}: another tool rewound the database, or made it anew",
        ("plan",),
    )


def _foreign(workspace: Workspace, seen: Look) -> Iterator[Condition]:
    others = other_ledgers(seen.everything, workspace.ledger)
    for other in others:
        yield Condition(
            "other ledger",
            f"{other.table} is the ledger of {other.tool}: two tools change this schema, and neither sees the other; to"
            f" take it over, {other.files}",
            () if seen.ledger else ("baseline",),
            is_serious=not seen.ledger,
        )
    if others or seen.ledger or seen.history or not seen.schema.tables():
        return
    yield Condition(
        "not adopted",
        "the database has tables, and the ledger is empty: nobody recorded what made them",
        ("baseline",),
    )


def _theirs(others: Sequence[OtherLedger]) -> str:
    return " and ".join(f"{other.table} is the ledger of {other.tool}" for other in others)


def _partial_backups(workspace: Workspace) -> Iterator[Condition]:
    for path in leftovers(workspace):
        if not is_in_use(path):
            yield Condition(
                "unfinished backup",
                f"{path} is what an interrupted command left, and may hold people's data; the target is untouched",
                ("backup", "create") if is_cleared(workspace, path) else ("backup", "prune", "--leftovers"),
            )


def _by(event: Event) -> str:
    return f"{event.actor} ({event.tool}, {event.at})"


def is_ours(table: str) -> bool:
    """Whether a table is one that this version of d1ops makes, or may have left."""
    return fold(table) in (HISTORY, CHUNKED, GUARD, TEXTS, PROBE, MARK) or not fold(table).startswith(rules.OWN_PREFIX)
