"""One change, from rehearsal to history: what `migrate` and `rollback` share.

`apply` sends a prepared change, one guarded batch a step. In the batch, before the script: the schema and the ledger
are still the ones that were seen, and every table about to lose something has as many rows as the backup; after it:
the ledger row and the history row with a nonce. A lost answer is never sent again; the nonce tells whether it landed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import d1ops
from d1ops.core.ledger import HISTORY, Event, EventKind, ledger_change
from d1ops.core.measure import table_of
from d1ops.core.schema import diff
from d1ops.core.sql import fold, quote_identifier
from d1ops.core.values import Statement
from d1ops.errors import (
    D1opsError,
    DatabaseError,
    HumanNeeded,
    Interrupted,
    LossRefused,
    OutcomeUnknown,
    PartialRun,
    StatementRejected,
    StructureRefused,
    TargetMoved,
    Unreachable,
)
from d1ops.ops import guard, journal, outcome, probe
from d1ops.ops.look import look

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.plan import Plan, Step
    from d1ops.core.rehearsal import TableLoss
    from d1ops.core.schema import Schema
    from d1ops.core.values import Result
    from d1ops.ops.backup import VerifiedBackup
    from d1ops.ops.guard import Kept
    from d1ops.ops.look import Look
    from d1ops.ops.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Consent:
    """Somebody agreed. `accepted` names the collateral losses they agreed to: `table` or `table.column`."""

    by: str
    accepted: frozenset[str] = frozenset()

    def covers(self, loss: str) -> bool:
        """Whether a loss (`table` or `table.column`) was named; a table's name covers its columns."""
        names = {fold(name) for name in self.accepted}
        return fold(loss) in names or table_of(fold(loss)) in names


@dataclass(frozen=True, slots=True)
class Prepared:
    """A change that was rehearsed. Nothing was sent yet.

    `expected` are losses of what the rolled-back migrations themselves made; `collateral` is everything else: refused
    until each is named. `dangling` are the foreign key violations that the change would leave, as (child, parent,
    number). `drift` are objects that the target has in another form than the migrations made, `wrong` objects that are
    not as they should be after the script: either refuses. `schemas` is the user's schema after every step. `warnings`
    are facts that a person should read; `data_proved` is False where a migration that is rolled back changed rows that
    the script cannot bring back.
    """

    plan: Plan
    look: Look
    backup: VerifiedBackup | None
    schemas: tuple[Schema, ...]
    losses: tuple[TableLoss, ...] = ()
    expected: tuple[str, ...] = ()
    collateral: tuple[str, ...] = ()
    dangling: tuple[tuple[str, str, int], ...] = ()
    drift: tuple[str, ...] = ()
    wrong: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    data_proved: bool = True
    kept: tuple[tuple[Kept, ...], ...] = ()
    """By step, the figures that the batch does not let fall further than they did in the rehearsal."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What was done. `bookmark` is the point before the first step; rows are None where the engine counts none."""

    events: tuple[Event, ...]
    bookmark: str
    backup_id: str | None
    rows_read: int | None
    rows_written: int | None
    look: Look
    warnings: tuple[str, ...] = ()


def refuse(prepared: Prepared, consent: Consent) -> None:
    """Raise LossRefused for a collateral loss that nobody named, StructureRefused for a schema that is not proved and
    for foreign keys left without a parent. Nothing overrides the latter two."""
    open_losses = [loss for loss in prepared.collateral if not consent.covers(loss)]
    if open_losses:
        raise LossRefused(
            f"the change would lose what nobody named: {', '.join(open_losses)}",
            open_losses,
            hint="write a script that keeps them: DROP INDEX and ALTER TABLE ... DROP COLUMN instead of a rebuild;"
            " a loss is accepted only by its name: --accept-loss TABLE,TABLE.COLUMN",
        )
    if prepared.drift:
        raise StructureRefused(
            f"the target has another form than the migrations made of: {', '.join(prepared.drift)}",
            hint="somebody changed it by hand; bring the change into a migration, or rewind with d1ops restore",
        )
    if prepared.wrong:
        raise StructureRefused(
            f"{prepared.plan.steps[-1].script.path} does not undo its migration: {'; '.join(prepared.wrong)}",
            hint="mend the script; it is proved anew on every run",
        )
    if prepared.dangling:
        listed = ", ".join(f"{count} in {child} towards {parent}" for child, parent, count in prepared.dangling)
        raise StructureRefused(
            f"the change would leave foreign keys without a parent row: {listed}",
            hint="delete or mend these rows in the script before it drops their parents",
        )


def apply(workspace: Workspace, prepared: Prepared, consent: Consent, bookmark: str) -> Applied:
    """Send a prepared change. Raises LossRefused, StructureRefused, NotAtomic and TargetMoved with nothing changed;
    StatementRejected and Unreachable likewise; PartialRun when an earlier step is applied; OutcomeUnknown when nobody
    can tell; Interrupted when somebody asked to stop, once what was under way has ended; HumanNeeded when the change
    is committed and not as it was rehearsed; at the end, when everything is committed and in the history, the OSError
    of a journal that could not be written."""
    refuse(prepared, consent)
    if prepared.plan.is_empty:
        return Applied((), bookmark, None, None, None, prepared.look)
    probe.require_atomic(workspace)
    journal.settle(workspace, prepared.look.history)
    unwritten: OSError | None = None
    done: list[Event] = []
    results: list[Result] = []
    names = [row.name for row in prepared.look.ledger]
    for index, step in enumerate(prepared.plan.steps):
        event = _event(workspace, prepared, index, bookmark)
        rest = [later.label for later in prepared.plan.steps[index + 1 :]]
        with workspace.uninterrupted(step.label) as is_asked_to_stop:
            run = {"id": done[0].nonce if done else event.nonce, **_run(prepared.plan, index)}
            journal.append(workspace, event, journal.Phase.INTENT, run=run)
            try:
                results += _send(workspace, prepared, index, event, names, done)
            except D1opsError as error:
                if not isinstance(error, OutcomeUnknown):
                    outcome.withdrawn(workspace, event)
                if not done or isinstance(error, OutcomeUnknown):
                    raise
                raise PartialRun([str(e.migration) for e in done], step.label, rest, error) from None
            done.append(event)
            try:
                journal.append(workspace, event)
            except OSError as error:
                unwritten = error
            if step.kind == EventKind.MIGRATE:
                names.append(step.migration.file)
            else:
                names.remove(step.migration.file)
            number = len(step.script.statements)
            workspace.tell(f"{step.label}: done, {number} statement{'' if number == 1 else 's'}")
        if is_asked_to_stop():
            raise _interrupted([later.label for later in prepared.plan.steps[: index + 1]], rest)
    try:
        after, warnings = _verify_after(workspace, prepared)
    except DatabaseError as error:
        raise HumanNeeded(
            f"the change is committed, and the target could not be looked at again: {error}",
            hint="d1ops status shows where it stands",
        ) from None
    if unwritten is not None:
        raise unwritten
    return Applied(
        events=tuple(done),
        bookmark=bookmark,
        backup_id=prepared.backup.id if prepared.backup else None,
        rows_read=_sum([result.meta.rows_read for result in results]),
        rows_written=_sum([result.meta.rows_written for result in results]),
        look=after,
        warnings=tuple(warnings),
    )


def _run(plan: Plan, index: int) -> dict[str, object]:
    """What the journal keeps of the run that a step belongs to, so that one that ended early can be told."""
    return {
        "kind": plan.steps[index].kind.value,
        "files": [step.migration.file for step in plan.steps],
        "position": index + 1,
    }


def _interrupted(done: list[str], pending: list[str]) -> Interrupted:
    rest = f"; not sent: {', '.join(pending)}" if pending else "; that was all of it"
    return Interrupted(
        f"interrupted: committed: {', '.join(done)}{rest}",
        hint="run the command again, and it goes on" if pending else "d1ops status",
        done=done,
        pending=pending,
    )


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [count for count in counts if count is not None]
    return sum(known) if known else None


def _event(workspace: Workspace, prepared: Prepared, index: int, bookmark: str) -> Event:
    step = prepared.plan.steps[index]
    before = prepared.look.schema if index == 0 else prepared.schemas[index - 1]
    return Event(
        at=workspace.timestamp(),
        kind=step.kind,
        migration=step.migration.file,
        checksum=step.script.checksum,
        schema_before=before.fingerprint(),
        schema_after=prepared.schemas[index].fingerprint(),
        bookmark=bookmark,
        backup=prepared.backup.id if prepared.backup else None,
        actor=workspace.actor,
        tool=f"d1ops {d1ops.__version__}",
        nonce=workspace.nonce(),
        ledger_id=step.ledger_id,
    )


# -- the guarded batch ---------------------------------------------------------------------------------


def _send(
    workspace: Workspace, prepared: Prepared, index: int, event: Event, names: Sequence[str], done: Sequence[Event]
) -> tuple[Result, ...]:
    step = prepared.plan.steps[index]
    guards = guard.before_script(workspace, prepared, index, names)
    script = [Statement(statement.sql) for statement in step.script.statements]
    batch = [
        *guards,
        *script,
        *guard.after_script(prepared, index),
        ledger_change(workspace.ledger, step.kind, step.migration.file),
        insert_event(event, workspace.ledger),
    ]
    try:
        # A number that D1's JSON rounds must not look like a failure after the batch was committed.
        return workspace.database.batch(batch, lossy=True)
    except StatementRejected as error:
        found = _explain(error, step, len(guards), workspace.ledger)
        if isinstance(found, TargetMoved):
            own = [each.nonce for each in done]
            found = outcome.name_the_other(workspace, prepared.look, own, found, applied=names)
        raise found from None
    except OutcomeUnknown as error:
        if not outcome.is_committed(workspace, event, step.label, error):
            raise Unreachable(
                f"{step.label}: the answer was lost ({error.text}); the target does not have the change, and the"
                " attempt was withdrawn, so that it cannot come late",
                hint="run the command again",
            ) from None
        workspace.tell(f"{step.label}: the answer was lost; the history shows that it was committed")
        return ()


def insert_event(event: Event, ledger: str) -> Statement:
    """Return the statement that appends an event; a migrate event takes the id of the ledger row beside it."""
    ledger_id = f"(SELECT id FROM {quote_identifier(ledger)} WHERE name = ?3)"
    return Statement(
        f"INSERT INTO {HISTORY} (at, kind, migration, ledger_id, checksum, schema_before, schema_after, bookmark,"
        f" backup, actor, tool, nonce, rewound_by) VALUES (?1, ?2, ?3, ifnull(?4, {ledger_id}), ?5, ?6, ?7, ?8, ?9,"
        " ?10, ?11, ?12, ?13)",
        (
            event.at,
            event.kind,
            event.migration,
            event.ledger_id,
            event.checksum,
            event.schema_before,
            event.schema_after,
            event.bookmark,
            event.backup,
            event.actor,
            event.tool,
            event.nonce,
            event.rewound_by,
        ),
    )


def _explain(error: StatementRejected, step: Step, guards: int, ledger: str) -> D1opsError:
    """Say which guard refused, or which place of the script."""
    again = "run the command again; it looks and rehearses anew"
    if "d1ops:schema-changed" in error.text:
        return TargetMoved("the schema of the target changed since it was looked at; nothing was done", hint=again)
    if "d1ops:ledger-changed" in error.text or f"UNIQUE constraint failed: {ledger}.name" in error.text:
        return TargetMoved("another runner changed the ledger since it was looked at; nothing was done", hint=again)
    if "d1ops:rows-changed:" in error.text:
        table = error.text.partition("d1ops:rows-changed:")[2].partition("'")[0]
        return TargetMoved(
            f"{table} got or lost rows since the backup, and is about to lose data; nothing was done", hint=again
        )
    if "d1ops:rows-lost:" in error.text:
        name = error.text.partition("d1ops:rows-lost:")[2].partition("'")[0]
        return TargetMoved(
            f"{step.script.path} would take more of {name} than in the rehearsal: rows were written since, or the"
            " script depends on the time or on chance; nothing was done",
            hint=again,
        )
    statements = step.script.statements
    place = (error.index or 0) - guards
    if error.index is None or not 0 <= place < len(statements):
        return StatementRejected(
            f"{step.script.path}: {error.text}; the batch was rolled back",
            code=error.code,
            status=error.status,
            ray=error.ray,
        )
    line, column = statements[place].place(error.offset or 0)
    return StatementRejected(
        f"{step.script.path}:{line}:{column}: {error.text}; the batch was rolled back",
        index=place,
        sql=statements[place].sql,
        code=error.code,
        status=error.status,
        ray=error.ray,
    )


# -- verifying -----------------------------------------------------------------------------------------


def _verify_after(workspace: Workspace, prepared: Prepared) -> tuple[Look, list[str]]:
    """Look again: the schema must be the rehearsed one; fewer rows than rehearsed are worth a warning."""
    gone = {loss.table for loss in prepared.losses if not loss.exists_after}
    after_rows = {loss.table: loss.rows_after for loss in prepared.losses}
    facts = prepared.backup.manifest.tables if prepared.backup else ()
    known = {fold(name) for name in prepared.schemas[-1].tables()} - _shadows(prepared.schemas[-1])
    expected = {
        f.table: after_rows.get(f.table, f.rows) for f in facts if fold(f.table) in known and f.table not in gone
    }
    counts = [Statement(f"SELECT count(*) FROM {quote_identifier(table)}") for table in expected]
    seen = look(workspace, counts)
    differences = [d for d in diff(prepared.schemas[-1], seen.schema) if d.change != "reordered"]
    if differences:
        listed = ", ".join(f"{d.label} is {d.change}" for d in differences)
        raise HumanNeeded(
            f"the change is committed, and the schema is not the rehearsed one: {listed}",
            hint="d1ops status; if it looks wrong, d1ops restore rewinds to the bookmark in d1ops history",
        )
    warnings = [
        f"{table} has {result.scalar()!r} rows, {rows} were rehearsed: somebody else deletes rows at the same time"
        for (table, rows), result in zip(expected.items(), seen.extra, strict=True)
        if int(str(result.scalar())) < rows
    ]
    return seen, warnings


def _shadows(schema: Schema) -> set[str]:
    """The tables in which virtual tables keep their rows: how many rows those are is the virtual table's own affair."""
    names = {fold(name) for name in schema.tables()}
    virtual = [fold(o.name) for o in schema.objects if (o.sql or "").upper().startswith("CREATE VIRTUAL")]
    return {name for name in names for owner in virtual if name.startswith(f"{owner}_")}
