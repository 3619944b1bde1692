"""Rewind the whole database to a bookmark, a time or a backup's moment, or load a backup into a fresh file.

A rewind is atomic and takes ledger and history with it. So the present is backed up first, the tail of the history is
read before and appended again after, marked `rewound_by`, and the bookmark that undoes the rewind is kept.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import d1ops
from d1ops.core.ledger import HISTORY, HISTORY_DDL, Event, EventKind, ledger_ddl
from d1ops.core.mirror import schema_of
from d1ops.core.rehearsal import measure
from d1ops.core.values import Bookmark, Statement
from d1ops.errors import D1opsError, HumanNeeded, UsageError
from d1ops.ops import backup as backups
from d1ops.ops import journal
from d1ops.ops.change import insert_event
from d1ops.ops.look import look
from d1ops.ops.rehearse import clone_of

if TYPE_CHECKING:
    from pathlib import Path

    from d1ops.core.rehearsal import TableLoss
    from d1ops.core.values import Restored
    from d1ops.ops.backup import VerifiedBackup
    from d1ops.ops.change import Consent
    from d1ops.ops.look import Look
    from d1ops.ops.workspace import Workspace

_BOOKMARK = re.compile(r"[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{8}-[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class PreparedRestore:
    """A rewind that was looked at. Nothing was sent yet.

    `losses` are the rows and values of now that would not be there afterwards; None where the point is not a backup
    of ours and so nobody can say. `undone` are the events whose effect goes.
    """

    to: Bookmark
    described: str
    backup: VerifiedBackup
    look: Look
    losses: tuple[TableLoss, ...] | None
    undone: tuple[Event, ...]


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
    is one. Raises UsageError for anything else,
    NotFound for an unknown point, BackupRefused.
    """
    point, described, older = _point(workspace, to)
    backup, present = backups.create(workspace, seen)
    losses = None
    undone: tuple[Event, ...] = ()
    if older is not None:
        losses = _losses(backup, older)
        kept = _nonces(older)
        undone = tuple(e for e in present.history if e.nonce not in kept and e.rewound_by is None)
    return PreparedRestore(point, described, backup, present, losses, undone)


def _point(workspace: Workspace, to: str) -> tuple[Bookmark, str, VerifiedBackup | None]:
    if _BOOKMARK.fullmatch(to):
        for manifest in reversed(backups.listed(workspace)):
            if manifest.bookmark == to:
                return Bookmark(to), f"bookmark {to}, the moment of backup {manifest.id}", _same(workspace, manifest.id)
        return Bookmark(to), f"bookmark {to}", None
    try:
        moment = datetime.fromisoformat(to)
    except ValueError:
        moment = None
    if moment is not None and not re.fullmatch(r"\d{8}T\d{6}Z-[0-9a-f]{6}", to):
        if moment.tzinfo is None:
            raise UsageError(f"the time {to} has no offset", hint=f"write it as {to}Z for UTC")
        point = workspace.database.bookmark_at(moment.astimezone(UTC))
        return point, f"{to} (bookmark {point})", None
    older = _same(workspace, to)
    return Bookmark(older.manifest.bookmark), f"the moment of backup {older.id} ({older.manifest.created_at})", older


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


def _losses(present: VerifiedBackup, older: VerifiedBackup) -> tuple[TableLoss, ...]:
    """What is there now and was not at the older moment: the older backup plays the clone after the change."""
    with clone_of(older, before=present) as engine:
        tables = [
            str(name)
            for (name,) in engine.ask(
                "SELECT name FROM pragma_table_list WHERE schema = 'before' AND type <> 'shadow'"
                " AND substr(name, 1, 7) <> 'sqlite_' AND substr(name, 1, 6) <> 'd1ops_' AND lower(name) <> lower(?)",
                (present.manifest.ledger,),
            )
        ]
        return tuple(loss for loss in measure(engine, tables, {}) if loss.losses)


def _nonces(backup: VerifiedBackup) -> set[str]:
    """The attempts that the history knew when the backup was taken."""
    with clone_of(backup) as engine:
        if not schema_of(engine).has_table(HISTORY):
            return set()
        return {str(nonce) for (nonce,) in engine.ask(f"SELECT nonce FROM {HISTORY}")}


def restore(workspace: Workspace, prepared: PreparedRestore, consent: Consent) -> Rewound:
    """Rewind, then write the tail of the history and the rewind itself into it.

    Raises HumanNeeded when the rewind is done and its history could not be written; at the end, with everything else
    done, the OSError of a journal that could not be written.
    """
    del consent
    nonce = workspace.nonce()
    done: Restored = workspace.database.restore(prepared.to)
    workspace.tell(f"rewound to {prepared.described}")
    event = Event(
        at=workspace.timestamp(),
        kind=EventKind.RESTORE,
        migration=None,
        checksum=None,
        schema_before=prepared.look.schema.fingerprint(),
        schema_after=None,
        bookmark=done.undo,
        backup=prepared.backup.id,
        actor=workspace.actor,
        tool=f"d1ops {d1ops.__version__}",
        nonce=nonce,
    )
    unwritten: OSError | None = None
    try:
        journal.append(workspace, event, restored_to=prepared.to)
    except OSError as error:
        unwritten = error
    after = look(workspace)
    event = replace(event, schema_after=after.schema.fingerprint())
    known = {e.nonce for e in after.history}
    tail = [replace(e, rewound_by=e.rewound_by or nonce) for e in prepared.look.history if e.nonce not in known]
    statements = [] if after.has_ledger else [Statement(ledger_ddl(workspace.ledger))]
    statements += [] if after.has_history else [Statement(HISTORY_DDL)]
    statements += [insert_event(e, workspace.ledger) for e in (*tail, event)]
    try:
        workspace.database.batch(statements)
    except D1opsError as error:
        raise HumanNeeded(
            f"the database is rewound, and its history could not be written: {error}",
            hint=f"nothing else is missing; undo the rewind with: d1ops restore {done.undo} --env {workspace.env}",
        ) from None
    if unwritten is not None:
        raise unwritten
    return Rewound(event, done.undo, prepared.backup.id, look(workspace))


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
