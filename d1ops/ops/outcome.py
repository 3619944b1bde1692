"""What became of a change whose answer was lost or that another runner overtook: found out by looking, never guessed.

An attempt that is not on the target is withdrawn: a row with its nonce goes into the history, where nonces are unique,
so that the attempt, should it still be under way, fails as a whole. From then on it is known not to have happened.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from d1ops.core.ledger import HISTORY, HISTORY_DDL, EventKind, is_change, record
from d1ops.core.schema import diff
from d1ops.core.values import Statement
from d1ops.errors import BackupRefused, DatabaseError, OutcomeUnknown, StatementRejected, TargetMoved
from d1ops.ops import backup as backups
from d1ops.ops import journal
from d1ops.ops.look import look

if TYPE_CHECKING:
    from collections.abc import Collection

    from d1ops.core.ledger import Event
    from d1ops.errors import D1opsError
    from d1ops.ops.backup import VerifiedBackup
    from d1ops.ops.look import Look
    from d1ops.ops.workspace import Workspace

_AGAIN = "run the command again; it looks and rehearses anew"
_THERE_ALREADY = f"UNIQUE constraint failed: {HISTORY}.nonce"


def is_committed(workspace: Workspace, event: Event, label: str, error: OutcomeUnknown) -> bool:
    """Return whether an attempt is on the target; where it is not, withdraw it first, so that it stays so.

    Raises OutcomeUnknown when the target cannot be asked.
    """
    try:
        found = look(workspace).find_nonce(event.nonce)
        if found is None:
            return not _withdraw(workspace, event)
        return found.kind != EventKind.WITHDRAWN
    except DatabaseError as second:
        raise OutcomeUnknown(
            f"{label}: the answer was lost ({error.text}), and what became of it cannot be found out now"
            f" ({second.text})",
            hint="once the target answers again, d1ops status says what became of it; then run the command again",
        ) from None


def _withdraw(workspace: Workspace, event: Event) -> bool:
    """Withdraw an attempt. Return False where it was committed meanwhile. Raises DatabaseError."""
    withdrawn = replace(event, kind=EventKind.WITHDRAWN.value, at=workspace.timestamp())
    try:
        workspace.database.batch([Statement(HISTORY_DDL), record(withdrawn)])
    except StatementRejected as error:
        if _THERE_ALREADY not in error.text:
            raise
        found = look(workspace).find_nonce(event.nonce)
        return found is not None and found.kind == EventKind.WITHDRAWN
    except OutcomeUnknown:
        found = look(workspace).find_nonce(event.nonce)
        if found is None:
            raise
        return found.kind == EventKind.WITHDRAWN
    return True


def withdrawn(workspace: Workspace, event: Event) -> None:
    """Note in the journal that an attempt is not on the target and cannot come there. An unwritten line loses nothing:
    the history says the same."""
    try:
        journal.append(workspace, event, journal.Phase.WITHDRAWN)
    except OSError as error:
        workspace.tell(f"the journal cannot be written: {error.strerror}; the history on the target says the same")


def backed_up(workspace: Workspace, seen: Look, needed: Collection[str] | None) -> tuple[VerifiedBackup, Look]:
    """Take the backup of a change that was planned from a look. It holds all tables, or at least those `needed` where
    that is too much to read or others never settle.

    Raises what `backup.create` raises, and TargetMoved where another runner changed the target since that look."""
    applied = [row.name for row in seen.ledger]
    try:
        backup, snapshot = backups.create(workspace, seen, needed=needed)
    except BackupRefused as error:
        raise name_the_other(workspace, seen, (), error, applied=applied) from None
    if [row.name for row in snapshot.ledger] != applied:
        moved = TargetMoved("the ledger changed since it was looked at; nothing was done", hint=_AGAIN)
        raise name_the_other(workspace, seen, (), moved, applied=applied)
    return backup, snapshot


def name_the_other(
    workspace: Workspace, before: Look, own: Collection[str], error: D1opsError, *, applied: Collection[str]
) -> D1opsError:
    """Return a refusal that says who was quicker, when and with what, as far as the target tells; the error itself
    where nobody was.

    `before` is what was seen, `own` the nonces of this run, `applied` the names that this run expects in the ledger.
    """
    try:
        now = look(workspace)
    except DatabaseError:
        return error
    asserted: dict[str, Any] = {}
    if isinstance(error, TargetMoved):
        asserted = {name: getattr(error, name) for name in ("assertion", "subjects", "expected", "found")}
    known = {event.nonce for event in before.history} | set(own)
    events = [event for event in now.history if event.nonce not in known and is_change(event)]
    if events:
        others = [
            f"{event.kind} {event.migration or ''}".rstrip() + f" by {event.actor} ({event.tool}) at {event.at}"
            for event in events
        ]
        last = events[-1]
        return TargetMoved(
            f"another runner was first: {_few(others)}; nothing of this step was done",
            hint=_AGAIN,
            others=tuple(others),
            actor=last.actor,
            tool=last.tool,
            at=last.at,
            **asserted,
        )
    rows = [row for row in now.ledger if row.name not in applied]
    gone = sorted(set(applied) - {row.name for row in now.ledger})
    moved = [f"{row.name} was applied by another tool at {row.applied_at} UTC" for row in rows]
    moved += [f"{name} was taken off the ledger by another tool" for name in gone]
    if not own:
        moved += [f"{d.label} is {d.change}" for d in diff(before.schema, now.schema)]
    if not moved:
        return error
    return TargetMoved(f"{error.message}; {_few(moved)}", hint=_AGAIN, others=tuple(moved), **asserted)


def _few(texts: list[str]) -> str:
    """The newest three, and how many came before."""
    more = f"{len(texts) - 3} changes, then " if len(texts) > 3 else ""
    return more + "; ".join(texts[-3:])
