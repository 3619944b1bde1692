"""Load a backup into a target, request by request: into an empty database, or in place of what is there.

While it goes on, the table `d1ops_restore` on the target says what is being loaded and how far it came. Every request
carries that place and moves it on inside its own transaction, so a request whose answer was lost is never done twice,
and a load that was cut off goes on where it stopped. In the end all rows are read again and compared with the backup;
only then the mark goes.
"""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import d1ops
from d1ops.core.ledger import HISTORY, HISTORY_DDL, Event, EventKind, record
from d1ops.core.mirror import build_mirror, schema_of
from d1ops.core.restoring import CHECKS_ON, MARK, Part, parts, removals, require_writable
from d1ops.core.schema import SCHEMA_TEXT_SQL, Schema
from d1ops.core.sql import OWN, fold, quote_identifier, quote_text
from d1ops.core.values import Bookmark, Statement
from d1ops.errors import (
    BackupRefused,
    D1opsError,
    DatabaseError,
    HumanNeeded,
    OutcomeUnknown,
    StatementRejected,
    TargetMoved,
    UsageError,
)
from d1ops.ops import backup as backups
from d1ops.ops import journal, probe
from d1ops.ops.load_check import differences
from d1ops.ops.load_mark import MARK_COLUMNS, MARK_DDL, UnderWay, under_way
from d1ops.ops.look import look, require_none_under_way
from d1ops.ops.rehearse import clone_of
from d1ops.ops.restore import known_nonces, losses_since

if TYPE_CHECKING:
    from d1ops.core.rehearsal import TableLoss
    from d1ops.ops.backup import VerifiedBackup
    from d1ops.ops.change import Consent
    from d1ops.ops.look import Look
    from d1ops.ops.workspace import Workspace

_TRIES = 3
_PART_BYTES = 500_000
_REMOVING = -1
"""`done` while what was there is still being removed."""


@dataclass(frozen=True, slots=True)
class PreparedLoad:
    """A load that was looked at. Nothing was sent yet.

    `before` is a backup of what is there, None where the target is empty; `losses` what is there and not in the backup.
    """

    backup: VerifiedBackup
    source_env: str
    look: Look
    before: VerifiedBackup | None
    losses: tuple[TableLoss, ...]


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load did. `undo` is the bookmark of the moment before, `before` the backup of it, if there was anything;
    `rows` and `parts` count what was written."""

    event: Event
    undo: Bookmark
    backup: VerifiedBackup
    before: str | None
    rows: int
    parts: int


def is_empty(seen: Look) -> bool:
    """Return whether a target holds nothing: no object of anybody's, the bare ledger and history aside."""
    return not seen.schema.objects and not seen.ledger and not seen.history


def prepare(workspace: Workspace, source: Workspace, backup_id: str, *, seen: Look | None = None) -> PreparedLoad:
    """Verify the backup, look at the target, and where it is not empty back it up and measure what would be lost.

    `source` is the env whose backup it is. Raises UsageError for an unknown backup, BackupRefused, also for one that
    does not hold all tables where the target holds any and for one that cannot be written through D1, and HumanNeeded
    while another load is unfinished.
    """
    backup = backups.verify(source, backup_id)
    seen = seen or look(workspace)
    require_none_under_way(seen, "restore")
    absent = backup.manifest.absent
    if absent and not is_empty(seen):
        raise BackupRefused(
            f"backup {backup_id} holds {backup.manifest.counted}: in the place of what is there it would leave"
            f" {', '.join(absent)} empty",
            hint=f"d1ops restore {backup_id} rewinds every table; d1ops restore {backup_id} --into FILE writes a file",
        )
    with clone_of(backup) as copy:
        require_writable(copy, schema_of(copy))
    if is_empty(seen):
        return PreparedLoad(backup, source.env, seen, None, ())
    before, present = backups.create(workspace, seen)
    return PreparedLoad(backup, source.env, present, before, losses_since(before, backup))


def load(workspace: Workspace, prepared: PreparedLoad, consent: Consent) -> Loaded:
    """Put the backup in the place of what is there.

    Raises NotAtomic and TargetMoved with nothing changed; HumanNeeded when it stopped half way, with the commands that
    go on and that take it back; at the end, with everything else done, the OSError of a journal that could not be
    written.
    """
    del consent
    probe.require_atomic(workspace)
    before = prepared.before
    kept = known_nonces(prepared.backup)
    mark = UnderWay(
        source_env=prepared.source_env,
        backup=prepared.backup.id,
        before_backup=before.id if before else None,
        bookmark=Bookmark(before.manifest.bookmark) if before else workspace.database.bookmark(),
        schema_before=prepared.look.schema.fingerprint(),
        started_at=workspace.timestamp(),
        actor=workspace.actor,
        tool=f"d1ops {d1ops.__version__}",
        nonce=workspace.nonce(),
        part_bytes=_PART_BYTES,
        done=_REMOVING,
        tail=tuple(event for event in prepared.look.history if event.nonce not in kept),
    )
    row = tuple(asdict(mark)[name] for name in MARK_COLUMNS.split(", "))
    tail = json.dumps([asdict(event) for event in mark.tail])
    marks = ", ".join(f"?{number}" for number in range(1, len(row) + 2))
    statements = [
        *_unmoved(workspace, prepared),
        Statement(MARK_DDL),
        Statement(f"INSERT INTO {MARK} ({MARK_COLUMNS}, tail) VALUES ({marks})", (*row, tail)),
    ]
    try:
        workspace.database.batch(statements)
    except StatementRejected as error:
        if "d1ops:" not in error.text:
            raise
        raise TargetMoved(
            "the target changed since it was looked at; nothing was done", hint="run the command again"
        ) from None
    except OutcomeUnknown as error:
        try:
            there = under_way(workspace, look(workspace))
        except DatabaseError:
            raise error from None
        if there is None or there.nonce != mark.nonce:
            raise
    return go_on(workspace, mark, prepared.backup)


def _unmoved(workspace: Workspace, prepared: PreparedLoad) -> list[Statement]:
    """What the first request asserts: schema and rows are those that were looked at and backed up."""
    found = [
        Statement(
            _unless(f"{SCHEMA_TEXT_SQL} = ?1", "schema-changed"),
            (prepared.look.schema.text(), workspace.ledger.lower()),
        )
    ]
    for facts in prepared.before.manifest.tables if prepared.before else ():
        count = f"(SELECT count(*) FROM {quote_identifier(facts.table)})"
        found.append(Statement(_unless(f"{count} = ?1", f"rows-changed:{facts.table}"), (facts.rows,)))
    return found


def _unless(condition: str, message: str) -> str:
    """A SELECT that fails with `message` unless the condition holds."""
    failing = f"json_extract('{{}}', {quote_text('d1ops:' + message)})"
    return f"SELECT CASE WHEN {condition} THEN 1 ELSE {failing} END AS {OWN}"


def resume(workspace: Workspace, source: Workspace, mark: UnderWay) -> Loaded:
    """Go on with a load that was cut off. Raises as `load` does, and UsageError when its backup is not at hand."""
    return go_on(workspace, mark, backups.verify(source, mark.backup))


def go_on(workspace: Workspace, mark: UnderWay, backup: VerifiedBackup) -> Loaded:
    """Do what is left of a load: remove, write, compare, and take the mark away."""
    try:
        return _go_on(workspace, mark, backup)
    except (DatabaseError, BackupRefused) as error:
        raise _stopped(workspace, mark, str(error)) from None


def _go_on(workspace: Workspace, mark: UnderWay, backup: VerifiedBackup) -> Loaded:
    if mark.done == _REMOVING:
        _remove(workspace, mark)
    with clone_of(backup) as copy:
        everything = schema_of(copy)
        number = 0
        for number, part in enumerate(parts(copy, everything, max_bytes=mark.part_bytes), 1):
            if number > mark.done:
                _send(workspace, mark, part, number)
                workspace.show(f"{part.says} ({number})")
        workspace.show("")
        if problems := differences(workspace, backup, copy, everything):
            raise _stopped(workspace, mark, f"everything is written, and {'; '.join(problems)}")
    return _finish(workspace, mark, backup, number)


# -- requests that are done once -------------------------------------------------------------------------


def _send(workspace: Workspace, mark: UnderWay, part: Part, number: int) -> None:
    """Send one part and move the mark on in the same transaction; after a lost answer ask the mark, and send again
    only what it does not have."""
    place = Statement(
        _unless(f"(SELECT done FROM {MARK} WHERE nonce = ?1) = ?2", "restore-moved"),
        (mark.nonce, number - 1),
    )
    moved = Statement(f"UPDATE {MARK} SET done = ?1", (number,))
    for left in reversed(range(_TRIES)):
        try:
            workspace.database.batch([place, *part.statements, moved], lossy=True)
        except (OutcomeUnknown, StatementRejected) as error:
            _check_again(workspace)
            if _place(workspace, mark) == number:
                return
            if isinstance(error, StatementRejected) or not left:
                raise _stopped(workspace, mark, f"{part.says}: {error}") from None
        except D1opsError as error:
            raise _stopped(workspace, mark, f"{part.says}: {error}") from None
        else:
            return


def _check_again(workspace: Workspace) -> None:
    """Turn CHECK constraints on: a part that failed half way has turned them off, and a ROLLBACK leaves them so.

    Where this fails too, the next part turns them on, or the engine's end does.
    """
    with suppress(D1opsError):
        workspace.database.query(CHECKS_ON.sql)


def _place(workspace: Workspace, mark: UnderWay) -> int | None:
    try:
        value = workspace.database.query(f"SELECT max(done) FROM {MARK} WHERE nonce = ?1", (mark.nonce,)).scalar()
    except D1opsError:
        return None
    return value if isinstance(value, int) else None


def _stopped(workspace: Workspace, mark: UnderWay, problem: str) -> HumanNeeded:
    return HumanNeeded(
        f"the restore stopped half way: {problem}",
        hint=f"d1ops restore --resume --env {workspace.env} goes on;"
        f" d1ops restore {mark.bookmark} --env {workspace.env} takes it back",
    )


def _remove(workspace: Workspace, mark: UnderWay) -> None:
    """Drop what is there. What is dropped does not come back, so after a cut the rest is looked at anew."""
    seen = look(workspace)
    for part in removals(seen.everything, _links(seen.everything)):
        for left in reversed(range(_TRIES)):
            try:
                workspace.database.batch([_present(mark), *part.statements])
            except (OutcomeUnknown, StatementRejected) as error:
                if not _is_there(look(workspace).everything, part):
                    break
                if isinstance(error, StatementRejected) or not left:
                    raise _stopped(workspace, mark, f"{part.says}: {error}") from None
            except D1opsError as error:
                raise _stopped(workspace, mark, f"{part.says}: {error}") from None
            else:
                workspace.show(part.says)
                break
    _send(workspace, mark, Part("what was there is removed", ()), 0)


def _present(mark: UnderWay) -> Statement:
    return Statement(
        _unless(f"(SELECT done FROM {MARK} WHERE nonce = ?1) = {_REMOVING}", "restore-moved"), (mark.nonce,)
    )


def _is_there(schema: Schema, part: Part) -> bool:
    names = {fold(o.name) for o in schema.objects}
    return any(fold(name) in names for name in part.drops)


def _links(schema: Schema) -> dict[str, set[str]]:
    """The tables that each table refers to, names folded."""
    found: dict[str, set[str]] = {}
    mirror = build_mirror(schema.objects)
    try:
        with mirror.unlimited():
            rows = mirror.ask(
                'SELECT m.name, f."table" FROM sqlite_master AS m, pragma_foreign_key_list(m.name) AS f'
                " WHERE m.type = 'table'"
            )
    finally:
        mirror.close()
    for child, parent in rows:
        found.setdefault(fold(str(child)), set()).add(fold(str(parent)))
    return found


# -- the end -------------------------------------------------------------------------------------------


def _finish(workspace: Workspace, mark: UnderWay, backup: VerifiedBackup, number: int) -> Loaded:
    """Write the history on, with what the target's own held before, and take the mark away, in one batch."""
    after = look(workspace)
    event = Event(
        at=workspace.timestamp(),
        kind=EventKind.RESTORE,
        migration=None,
        checksum=None,
        schema_before=mark.schema_before,
        schema_after=after.schema.fingerprint(),
        bookmark=mark.bookmark,
        backup=mark.before_backup or mark.backup,
        actor=workspace.actor,
        tool=f"d1ops {d1ops.__version__}",
        nonce=mark.nonce,
    )
    known = {each.nonce for each in after.history}
    tail = [replace(each, rewound_by=each.rewound_by or mark.nonce) for each in mark.tail if each.nonce not in known]
    statements = [
        *([] if after.everything.has_table(HISTORY) else [Statement(HISTORY_DDL)]),
        # As it was: the ledger that is there now, if any, is the backup's and says nothing of these events.
        *(record(each) for each in (*tail, event)),
        Statement(f"DROP TABLE {MARK}"),
    ]
    try:
        workspace.database.batch(statements)
    except OutcomeUnknown as error:
        if look(workspace).find_nonce(mark.nonce) is None:
            raise _stopped(workspace, mark, f"everything is written, the mark is still there: {error}") from None
    except D1opsError as error:
        raise _stopped(workspace, mark, f"everything is written, the mark is still there: {error}") from None
    journal.append(workspace, event, loaded=mark.backup)
    return Loaded(event, mark.bookmark, backup, mark.before_backup, backup.manifest.rows, number)


def source_of(workspace: Workspace, env: str) -> Workspace:
    """Return a workspace whose backups are those of another env of the same project."""
    if not env or "/" in env or env.startswith("."):
        raise UsageError(f"{env!r} is no env", hint="name one of config/*.toml")
    return replace(workspace, env=env)
