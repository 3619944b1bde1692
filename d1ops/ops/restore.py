"""Rewind the whole database to a bookmark, a time or a backup's moment, or load a backup into a fresh file.

A rewind is atomic and takes ledger and history with it. So the present is backed up first, the tail of the history is
read before and appended again after, marked `rewound_by`, and the bookmark that undoes the rewind is kept.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import d1ops
from d1ops.core.ledger import HISTORY, HISTORY_DDL, Event, EventKind, is_change, mark_of, record
from d1ops.core.mirror import schema_of
from d1ops.core.rehearsal import measure
from d1ops.core.sql import fold
from d1ops.core.values import Bookmark, Statement
from d1ops.database.snapshots import taken_at
from d1ops.errors import (
    BackupRefused,
    D1opsError,
    DatabaseError,
    HumanNeeded,
    Interrupted,
    OutcomeUnknown,
    StatementRejected,
    Unreachable,
    UsageError,
)
from d1ops.ops import backup as backups
from d1ops.ops import journal, outcome
from d1ops.ops.look import look
from d1ops.ops.rehearse import clone_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from d1ops.core.rehearsal import TableLoss
    from d1ops.ops.backup import VerifiedBackup
    from d1ops.ops.change import Consent
    from d1ops.ops.look import Look
    from d1ops.ops.workspace import Workspace

_BOOKMARK = re.compile(r"[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{32}")
_CLOCKS_DIFFER = timedelta(seconds=5)
"""A time that another machine's clock gave may be so far ahead of ours."""


@dataclass(frozen=True, slots=True)
class PreparedRestore:
    """A rewind that was looked at. Nothing was sent yet.

    `losses` are the rows and values of now that would not be there afterwards; None where the point is not a backup
    of ours and so nobody can say. `unknown` are tables that the backup of that moment does not hold, of which nobody
    can say either. `undone` are the events whose effect goes. `copied_at` is when the copy was taken that a time stands
    for, on a target that keeps copies; None for any other point.
    """

    to: Bookmark
    described: str
    backup: VerifiedBackup
    look: Look
    losses: tuple[TableLoss, ...] | None
    undone: tuple[Event, ...]
    unknown: tuple[str, ...] = ()
    copied_at: str | None = None


@dataclass(frozen=True, slots=True)
class _Point:
    """A bookmark, how a person names it, and the backup of that moment, if there is one."""

    bookmark: Bookmark
    described: str
    older: VerifiedBackup | None = None
    copied_at: str | None = None


@dataclass(frozen=True, slots=True)
class Rewound:
    """What a rewind did. `undo` is the bookmark that takes it back, `backup_id` the copy of the rows before it."""

    event: Event
    undo: Bookmark
    backup_id: str
    look: Look


def prepare(workspace: Workspace, to: str, *, seen: Look | None = None) -> PreparedRestore:
    """Find the point, back up the present, and measure what the rewind would take away. Sends reads alone.

    `to` is a backup id, a bookmark, or a time (ISO 8601 with an offset or Z); `seen` is a look just taken, if there
    is one. Raises UsageError for anything else, a time that is yet to come included, NotFound for an unknown point,
    BackupRefused.
    """
    point = _point(workspace, to)
    older = point.older
    backup, present = backups.create(workspace, seen)
    losses = None
    undone: tuple[Event, ...] = ()
    if older is not None:
        losses = losses_since(backup, older)
        kept = known_nonces(older)
        undone = tuple(e for e in present.history if e.nonce not in kept and e.rewound_by is None and is_change(e))
    unknown = older.manifest.absent if older is not None else ()
    return PreparedRestore(point.bookmark, point.described, backup, present, losses, undone, unknown, point.copied_at)


def _point(workspace: Workspace, to: str) -> _Point:
    if _BOOKMARK.fullmatch(to):
        older = _backup_at(workspace, to)
        moment_of = f", the moment of backup {older.id}" if older else ""
        return _Point(Bookmark(to), f"bookmark {to}{moment_of}", older)
    moment = _time(workspace, to)
    if moment is not None:
        bookmark = workspace.database.bookmark_at(moment)
        older = _backup_at(workspace, bookmark)
        if not workspace.database.capabilities.keeps_copies:
            return _Point(bookmark, f"{to} (bookmark {bookmark})", older)
        copied_at = taken_at(bookmark).strftime("%Y-%m-%dT%H:%M:%SZ")
        return _Point(bookmark, f"the copy of {copied_at} (bookmark {bookmark})", older, copied_at)
    older = _same(workspace, to)
    described = f"the moment of backup {older.id} ({older.manifest.created_at})"
    return _Point(Bookmark(older.manifest.bookmark), described, older)


def _time(workspace: Workspace, to: str) -> datetime | None:
    """Return the time that a text is, None for one that is none. Raises UsageError where nobody can go there."""
    try:
        moment = datetime.fromisoformat(to)
        utc = moment.astimezone(UTC)
    except (ValueError, OverflowError):
        return None
    if moment.tzinfo is None:
        raise UsageError(f"the time {to} has no offset", hint=f"write it as {moment.isoformat()}Z for UTC")
    if utc > workspace.now() + _CLOCKS_DIFFER:
        raise UsageError(
            f"the time {to} is yet to come: it is {workspace.timestamp()} now",
            hint="d1ops history shows the moments of past changes, d1ops backup list those of backups",
        )
    return utc


def _backup_at(workspace: Workspace, bookmark: str) -> VerifiedBackup | None:
    """Return the newest backup of a bookmark, if there is one. A rewind to it does without: a damaged one is named."""
    for manifest in reversed(backups.listed(workspace)):
        if manifest.bookmark == bookmark:
            try:
                return _same(workspace, manifest.id)
            except BackupRefused as error:
                workspace.tell(f"what is lost is not compared with a damaged backup: {error}")
    return None


def _same(workspace: Workspace, backup_id: str) -> VerifiedBackup:
    """A backup of this very database: a rewind to the moment of another one would mean nothing."""
    backup = backups.verify(workspace, backup_id)
    target = workspace.database.target
    if backup.manifest.database_id != target.id:
        raise UsageError(
            f"backup {backup_id} is of database {backup.manifest.database_id}, the env points at {target.id}",
            hint=f"d1ops restore {backup_id} --into FILE loads its rows into a fresh file",
        )
    return backup


def losses_since(present: VerifiedBackup, older: VerifiedBackup) -> tuple[TableLoss, ...]:
    """What is there now and was not at the older moment: the older backup plays the clone after the change. Nothing is
    said of tables that either backup does not hold."""
    absent = {fold(name) for backup in (present, older) for name in backup.manifest.absent}
    with clone_of(older, before=present) as engine:
        tables = [
            str(name)
            for name, kind in engine.ask(
                "SELECT name, type FROM pragma_table_list WHERE schema = 'before' AND type IN ('table', 'virtual')"
                " AND substr(name, 1, 7) <> 'sqlite_' AND substr(name, 1, 6) <> 'd1ops_' AND lower(name) <> lower(?)",
                (present.manifest.ledger,),
            )
            if fold(str(name)) not in absent and not (absent and kind == "virtual" and not older.covers([str(name)]))
        ]
        return tuple(loss for loss in measure(engine, tables, {}) if loss.losses)


def known_nonces(backup: VerifiedBackup) -> set[str]:
    """The attempts that the history knew when the backup was taken."""
    with clone_of(backup) as engine:
        if not schema_of(engine).has_table(HISTORY):
            return set()
        return {str(nonce) for (nonce,) in engine.ask(f"SELECT nonce FROM {HISTORY}")}


def restore(workspace: Workspace, prepared: PreparedRestore, consent: Consent) -> Rewound:
    """Rewind, then write the tail of the history and the rewind itself into it.

    A mark goes into the history first. A rewind takes it away, so that after a lost answer, or a crash, its absence
    tells that the rewind happened; what is still to be written is in the journal.

    Raises Unreachable with nothing changed; OutcomeUnknown when the answer was lost and the target is not rewound yet;
    HumanNeeded when the rewind is done and its history could not be written; Interrupted when somebody asked to stop,
    once what was under way has ended; at the end, with everything else done, the OSError of a journal that could not
    be written.
    """
    del consent
    journal.settle(workspace, prepared.look.history)
    event = Event(
        at=workspace.timestamp(),
        kind=EventKind.RESTORE,
        migration=None,
        checksum=None,
        schema_before=prepared.look.schema.fingerprint(),
        schema_after=None,
        bookmark=prepared.backup.manifest.bookmark,
        backup=prepared.backup.id,
        actor=workspace.actor,
        tool=f"d1ops {d1ops.__version__}",
        nonce=workspace.nonce(),
    )
    history = prepared.look.history
    tail = (*_owed(workspace, history), *history)
    with workspace.uninterrupted("the mark before the rewind") as is_asked_to_stop:
        mark = _mark(workspace, event)
    if is_asked_to_stop():
        raise Interrupted("interrupted: the rewind was not sent, and nothing was changed", pending=["the rewind"])
    with workspace.uninterrupted("the rewind") as is_asked_to_stop:
        journal.append_rewind(workspace, event, tail, restored_to=prepared.to, marked=mark is not None)
        undo = _rewind(workspace, prepared, mark)
        workspace.tell(f"rewound to {prepared.described}")
        event, unwritten = _write_tail(workspace, replace(event, bookmark=undo or event.bookmark), tail)
    if is_asked_to_stop():
        raise Interrupted(
            "interrupted: the rewind and its history are committed; that was all of it",
            hint=f"d1ops restore {event.bookmark} --env {workspace.env} takes it back",
            done=["the rewind"],
        )
    if unwritten is not None:
        raise unwritten
    try:
        after = look(workspace)
    except DatabaseError as error:
        raise HumanNeeded(
            f"the rewind and its history are committed, and the target could not be looked at again: {error}",
            hint="d1ops status shows where it stands",
        ) from None
    return Rewound(event, Bookmark(event.bookmark or ""), prepared.backup.id, after)


def _mark(workspace: Workspace, event: Event) -> Event | None:
    """Write the mark. Return None where the target takes no rows any more: a rewind may be the way out of that."""
    mark = mark_of(event, EventKind.REWINDING)
    try:
        workspace.database.batch([Statement(HISTORY_DDL), record(mark)])
    except StatementRejected as error:
        workspace.tell(f"the target takes no mark ({error.text}); rewinding without one")
        return None
    except OutcomeUnknown as error:
        if not outcome.is_committed(workspace, mark, "the mark before the rewind", error):
            raise Unreachable(
                f"the answer to the mark before the rewind was lost ({error.text}); nothing was changed",
                hint="run the command again",
            ) from None
    return mark


def _rewind(workspace: Workspace, prepared: PreparedRestore, mark: Event | None) -> Bookmark | None:
    """Rewind, and return the bookmark that undoes it; None where the answer was lost and the rewind happened."""
    try:
        return workspace.database.restore(prepared.to).undo
    except OutcomeUnknown as error:
        try:
            is_there = mark is None or look(workspace).find_nonce(mark.nonce) is not None
        except DatabaseError:
            is_there = True
        if is_there:
            raise OutcomeUnknown(
                f"the answer to the rewind was lost ({error.text}), and the target does not show it now",
                hint="d1ops status says whether it happened; run the command again if not",
            ) from None
        workspace.tell("the answer to the rewind was lost; the target shows that it happened")
        return None


def _owed(workspace: Workspace, history: Sequence[Event]) -> tuple[Event, ...]:
    """What an earlier rewind, which was cut off, still owes to the history, and that rewind itself."""
    entry = unfinished(workspace, history)
    if entry is None:
        return ()
    nonce, known = entry.event.nonce, {event.nonce for event in history}
    lost = (event for event in entry.tail if event.nonce not in known)
    return (*(replace(event, rewound_by=event.rewound_by or nonce) for event in lost), entry.event)


def unfinished(workspace: Workspace, history: Sequence[Event]) -> journal.Entry | None:
    """Return the rewind that happened and whose history was not written back, if there is one. Sends nothing."""
    rewinds = [e for e in journal.unsettled(journal.read(workspace)) if e.event.kind == EventKind.RESTORE]
    if not rewinds:
        return None
    newest = rewinds[-1]
    nonces = {event.nonce for event in history}
    is_marked = bool(newest.facts.get("marked"))
    happened = mark_of(newest.event, EventKind.REWINDING).nonce not in nonces if is_marked else False
    lost = any(event.nonce not in nonces for event in newest.tail)
    return newest if newest.event.nonce not in nonces and (happened or lost) else None


def resume(workspace: Workspace, seen: Look) -> Event | None:
    """Write back the history that a rewind which was cut off took from the target. Return the rewind's event, or None
    when there is nothing to finish. Raises HumanNeeded when it cannot be written now."""
    entry = unfinished(workspace, seen.history)
    if entry is None:
        journal.settle(workspace, seen.history)
        return None
    with workspace.uninterrupted("the history of the rewind"):
        event, unwritten = _write_tail(workspace, entry.event, entry.tail)
    if unwritten is not None:
        raise unwritten
    return event


def _write_tail(workspace: Workspace, event: Event, tail: Sequence[Event]) -> tuple[Event, OSError | None]:
    """Append what the rewind took from the history, and the rewind. Safe to repeat: nonces are unique there."""
    try:
        try:
            event = _append(workspace, event, tail)
        except OutcomeUnknown:
            event = _append(workspace, event, tail)
    except D1opsError as error:
        raise HumanNeeded(
            f"the database is rewound, and its history could not be written: {error}",
            hint=f"d1ops restore --resume --env {workspace.env} writes it; nothing else is missing, and"
            f" d1ops restore {event.bookmark} --env {workspace.env} takes the rewind back",
        ) from None
    try:
        journal.append(workspace, event)
    except OSError as problem:
        return event, problem
    return event, None


def _append(workspace: Workspace, event: Event, tail: Sequence[Event]) -> Event:
    after = look(workspace)
    known = {each.nonce for each in after.history}
    event = replace(event, schema_after=after.schema.fingerprint())
    if event.nonce in known:
        return event
    missing = [replace(each, rewound_by=each.rewound_by or event.nonce) for each in tail if each.nonce not in known]
    statements = [] if after.has_history else [Statement(HISTORY_DDL)]
    workspace.database.batch([*statements, *(record(each) for each in (*missing, event))])
    return event


def load(workspace: Workspace, backup_id: str, into: Path) -> VerifiedBackup:
    """Verify a backup and copy it into a fresh SQLite file, 0600. Raises UsageError when the file exists."""
    backup = backups.verify(workspace, backup_id)
    try:
        descriptor = os.open(into, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise UsageError(f"{into} exists already", hint="name a file that does not; nothing is overwritten") from None
    except OSError as error:
        raise UsageError(f"{into} cannot be written: {error.strerror}") from None
    with os.fdopen(descriptor, "wb") as target, backup.unpacked() as path, path.open("rb") as source:
        shutil.copyfileobj(source, target)
    return backup
