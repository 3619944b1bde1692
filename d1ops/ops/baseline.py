"""Adopt a database that is there already: mark exactly the migrations that its schema shows to have run.

Nothing of the user's is touched. One batch writes ledger rows in wrangler's shape and, for every migration whose file
nobody recorded, a history row with its checksum; the batch asserts that schema and ledger are those that were seen.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

import d1ops
from d1ops.core.ledger import HISTORY, HISTORY_COLUMNS, HISTORY_DDL, Event, EventKind, State, ledger_ddl
from d1ops.core.other_ledgers import OtherLedger, other_ledgers, without
from d1ops.core.prefix import Candidate, Candidates, candidates
from d1ops.core.schema import SCHEMA_TEXT_SQL
from d1ops.core.sql import quote_identifier
from d1ops.core.values import Statement
from d1ops.errors import (
    AmbiguousPrefix,
    D1opsError,
    DatabaseError,
    HumanNeeded,
    Interrupted,
    LedgerRefused,
    NoPrefix,
    OutcomeUnknown,
    StatementRejected,
    TargetMoved,
    Unreachable,
    UsageError,
)
from d1ops.ops import journal, outcome, probe
from d1ops.ops.condition import require_whole
from d1ops.ops.look import look

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.catalog import Migration
    from d1ops.ops.change import Consent
    from d1ops.ops.look import Look
    from d1ops.ops.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Mark:
    """A migration that a baseline records. `adds_row` says whether the ledger lacks it; `was` is its state before."""

    migration: Migration
    adds_row: bool
    was: State


@dataclass(frozen=True, slots=True)
class Baseline:
    """What a baseline would write. `applied` are all migrations that the schema shows, in order; `others` the ledgers
    of other tools that were left aside; `warnings` facts that a person should read."""

    look: Look
    applied: tuple[Migration, ...]
    marks: tuple[Mark, ...]
    others: tuple[OtherLedger, ...]
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Adopted:
    """What a baseline wrote."""

    events: tuple[Event, ...]
    look: Look


def plan(workspace: Workspace, seen: Look, *, to: str | None = None) -> Baseline:
    """Find the migrations that the target's schema shows, from a look alone.

    `to` is the last of them, for a choice between several that make the same schema. Raises NoPrefix with the nearest
    one and every difference; AmbiguousPrefix; LedgerRefused where the ledger holds a file that is missing, or one that
    the found prefix does not; UnknownMigration.
    """
    require_whole(seen)
    statuses = seen.statuses(workspace)
    missing = [status.file for status in statuses if status.state is State.MISSING]
    if missing:
        raise LedgerRefused(
            f"{', '.join(missing)} {'is' if len(missing) == 1 else 'are'} in the ledger and no file has that name",
            hint="bring the file back from version control; a baseline replays every file that was applied",
        )
    others = other_ledgers(seen.everything, workspace.ledger)
    chosen, warnings = _choose(workspace, seen, others, to)
    by_file = {status.file: status for status in statuses}
    marks = tuple(
        Mark(migration, by_file[migration.file].ledger is None, by_file[migration.file].state)
        for migration in chosen.migrations
        if by_file[migration.file].state is not State.APPLIED
    )
    return Baseline(seen, chosen.migrations, marks, others, (*warnings, *_warnings(chosen, marks)))


def _choose(
    workspace: Workspace, seen: Look, others: tuple[OtherLedger, ...], to: str | None
) -> tuple[Candidate, tuple[str, ...]]:
    """Return the candidate that is meant, and what must be said about the choice."""
    catalog = workspace.catalog
    by_file = catalog.by_file()
    applied = [by_file[row.name] for row in seen.ledger]
    target = without(seen.schema, others)
    rest = [migration for migration in catalog.migrations if migration not in applied]
    tried = candidates(applied, rest, target, workspace.ledger)
    if not tried.matching:
        # A ledger that lost rows in the middle: by number the files may still run, and show what is there.
        by_number = candidates((), catalog.migrations, target, workspace.ledger)
        names = set(applied)
        found = tuple(c for c in by_number.found if names <= set(c.migrations))
        if any(c.matches for c in found) or not tried.found:
            tried = Candidates(found or by_number.found, by_number.stopped)
    if not tried.matching:
        raise _no_prefix(tried, others)
    matching = list(tried.matching)
    if to is not None:
        last = catalog.find(to)
        wanted = [c for c in matching if c.migrations and c.migrations[-1] == last]
        if not wanted:
            reachable = [c for c in tried.found if c.migrations and c.migrations[-1] == last]
            if reachable:
                raise _no_prefix(Candidates(tuple(reachable), None), others)
            raise UsageError(
                f"{last.file} is not the last of any order that runs here", hint="d1ops baseline --dry-run"
            )
        return wanted[0], ()
    first = matching[0]
    if len(matching) == 1:
        return first, ()
    unseen = [migration for migration in matching[-1].migrations if migration not in first.migrations]
    names_of = ", ".join(migration.file for migration in unseen)
    if seen.ledger and len(first.migrations) == len(applied):
        # The ledger says already where it stands, and nothing contradicts it.
        return first, (f"{names_of} would leave the same schema, so nobody can see whether it ran; it stays pending",)
    ends = [c.migrations[-1].label if c.migrations else "none" for c in matching]
    raise AmbiguousPrefix(
        f"{names_of} would leave the same schema, so it does not show whether it ran:"
        f" the target matches up to {' and up to '.join(ends)}",
        prefixes=[c.migrations[-1].file for c in matching if c.migrations],
        hint=f"look at the rows, then say which: d1ops baseline --to {ends[-1]}",
    )


def _no_prefix(tried: Candidates, others: Sequence[OtherLedger]) -> NoPrefix:
    nearest = tried.nearest
    last = nearest.migrations[-1] if nearest.migrations else None
    listed = [f"{d.label} is {_there(d.change)}" for d in nearest.differences]
    stopped = f" ({tried.stopped})" if tried.stopped else ""
    theirs = f"; the target has the ledger of {others[0].tool}: {others[0].files}" if others else ""
    upto = f"up to {last.file}" if last else "with no migration at all"
    return NoPrefix(
        f"no prefix of the migrations makes the schema of the target{stopped}; nearest is {upto}: {'; '.join(listed)}",
        nearest=last.file if last else None,
        differences=listed,
        hint="write what differs into a migration, or change the target, until one prefix makes the schema" + theirs,
    )


def _there(change: str) -> str:
    return {"missing": "not on the target", "extra": "only on the target", "different": "different on the target"}[
        change
    ]


def _warnings(chosen: Candidate, marks: Sequence[Mark]) -> list[str]:
    found = [f"{label} has its columns in another order on the target" for label in chosen.reordered]
    changed = [mark.migration.file for mark in marks if mark.was is State.CHANGED]
    if changed:
        found.append(f"{', '.join(changed)} was changed after it was applied, and is recorded as it is now")
    undone = [mark.migration.file for mark in marks if mark.was is State.ROLLED_BACK]
    if undone:
        found.append(f"{', '.join(undone)} was rolled back, and the schema shows it again")
    return found


def adopt(workspace: Workspace, found: Baseline, consent: Consent) -> Adopted:
    """Write the marks in one batch. Raises TargetMoved, NotAtomic and Unreachable with nothing changed; OutcomeUnknown
    when nobody can tell; Interrupted when somebody asked to stop, once the batch has ended; HumanNeeded when it is
    written and the target could not be looked at again."""
    del consent
    probe.require_atomic(workspace)
    journal.settle(workspace, found.look.history)
    if not found.marks:
        return Adopted((), found.look)
    fingerprint = found.look.schema.fingerprint()
    at, bookmark = workspace.timestamp(), workspace.database.bookmark()
    events = tuple(
        Event(
            at=at,
            kind=EventKind.BASELINE,
            migration=mark.migration.file,
            checksum=mark.migration.script.checksum,
            schema_before=fingerprint,
            schema_after=fingerprint,
            bookmark=bookmark,
            backup=None,
            actor=workspace.actor,
            tool=f"d1ops {d1ops.__version__}",
            nonce=workspace.nonce(),
        )
        for mark in found.marks
    )
    with workspace.uninterrupted("the baseline") as is_asked_to_stop:
        journal.append(workspace, events[0], journal.Phase.INTENT, run=_run(events))
        try:
            _send(workspace, found, events)
        except D1opsError as error:
            if not isinstance(error, OutcomeUnknown):
                outcome.withdrawn(workspace, events[0])
            raise
        for event in events:
            journal.append(workspace, event)
    if is_asked_to_stop():
        raise Interrupted("interrupted: the baseline is committed; that was all of it", done=["the baseline"])
    try:
        return Adopted(events, look(workspace))
    except DatabaseError as error:
        raise HumanNeeded(
            f"the baseline is written, and the target could not be looked at again: {error}",
            hint="d1ops status shows where it stands",
        ) from None


def _run(events: Sequence[Event]) -> dict[str, object]:
    """A baseline is one step, however many migrations it marks."""
    return {"id": events[0].nonce, "kind": EventKind.BASELINE.value, "files": [events[0].migration], "position": 1}


def _send(workspace: Workspace, found: Baseline, events: Sequence[Event]) -> None:
    applied = [row.name for row in found.look.ledger]
    added = [mark.migration.file for mark in found.marks if mark.adds_row]
    batch = [
        *_still_as_seen(workspace, found.look, applied),
        Statement(
            f"INSERT INTO {quote_identifier(workspace.ledger)} (name) SELECT value FROM json_each(?1) ORDER BY key",
            (json.dumps(added, ensure_ascii=False),),
        ),
        _record_all(workspace.ledger, events),
    ]
    try:
        workspace.database.batch(batch)
    except StatementRejected as error:
        if "d1ops:moved" not in error.text and "UNIQUE constraint failed" not in error.text:
            raise
        moved = TargetMoved(
            "the target changed since it was looked at; nothing was done",
            hint="run the command again; it looks anew",
        )
        raise outcome.name_the_other(workspace, found.look, (), moved, applied=applied) from None
    except OutcomeUnknown as error:
        if not outcome.is_committed(workspace, events[0], "baseline", error):
            raise Unreachable(
                f"the answer was lost ({error.text}); the target does not have the baseline, and the attempt was"
                " withdrawn, so that it cannot come late",
                hint="run the command again",
            ) from None
        workspace.tell("the answer was lost; the history shows that the baseline was committed")


def _still_as_seen(workspace: Workspace, seen: Look, applied: Sequence[str]) -> list[Statement]:
    """What makes ledger and history where they lack, and fails unless schema and ledger are those of a look."""
    found = [Statement(ledger_ddl(workspace.ledger))] if not seen.has_ledger else []
    found += [Statement(HISTORY_DDL)] if not seen.has_history else []
    ledger = quote_identifier(workspace.ledger)
    names = f"(SELECT json_group_array(name) FROM (SELECT name FROM {ledger} ORDER BY id))"
    expected = json.dumps(list(applied), ensure_ascii=False, separators=(",", ":"))
    raises = "THEN 1 ELSE json_extract('{}', 'd1ops:moved') END"
    return [
        *found,
        Statement(f"SELECT CASE WHEN {SCHEMA_TEXT_SQL} = ?1 {raises}", (seen.schema.text(), workspace.ledger.lower())),
        Statement(f"SELECT CASE WHEN {names} = ?1 {raises}", (expected,)),
    ]


def _record_all(ledger: str, events: Sequence[Event]) -> Statement:
    """One statement for all events, however many: each takes the id of its ledger row."""
    columns = [name for name in HISTORY_COLUMNS.split(", ") if name != "id"]
    values = [
        f"(SELECT id FROM {quote_identifier(ledger)} WHERE name = e.value ->> 'migration')"
        if name == "ledger_id"
        else f"e.value ->> '{name}'"
        for name in columns
    ]
    return Statement(
        f"INSERT INTO {HISTORY} ({', '.join(columns)}) SELECT {', '.join(values)} FROM json_each(?1) e ORDER BY e.key",
        (json.dumps([asdict(event) for event in events], ensure_ascii=False),),
    )
