"""One change, from rehearsal to history: what `migrate` and `rollback` share.

`apply` sends a prepared change, one guarded batch a step (`ops.guard`), by the transport that the target allows
(`ops.transport`). A lost answer is never sent again; the nonce in the history tells whether it landed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import d1ops
from d1ops.core.breakage import breakages
from d1ops.core.fulltext import rebuild
from d1ops.core.ledger import Event, EventKind
from d1ops.core.measure import table_of
from d1ops.core.schema import diff
from d1ops.core.sql import OWN, fold, quote_identifier
from d1ops.core.values import Statement
from d1ops.errors import (
    D1opsError,
    DatabaseError,
    HumanNeeded,
    Interrupted,
    LossRefused,
    OutcomeUnknown,
    PartialRun,
    PiecesLeft,
    StatementRejected,
    StructureRefused,
    TargetMoved,
    Unreachable,
)
from d1ops.ops import chunks, guard, journal, outcome, transport
from d1ops.ops.look import look
from d1ops.ops.refusal import explain
from d1ops.ops.running import running_queries

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.breakage import Breakage
    from d1ops.core.plan import Plan, Step
    from d1ops.core.rehearsal import TableLoss
    from d1ops.core.schema import Schema
    from d1ops.core.values import Result
    from d1ops.ops.backup import VerifiedBackup
    from d1ops.ops.guard import StepGuard
    from d1ops.ops.look import Look
    from d1ops.ops.running import Running
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
    guards: tuple[StepGuard, ...] = ()
    """By step, what the batch holds the target to; empty where no step can touch a row that is there."""
    breakages: tuple[Breakage, ...] = ()
    """The known queries that the change breaks, or makes read whole tables."""
    running: Running | None = None
    """The queries that were looked at for this; None where no schema changes."""

    @property
    def vanished(self) -> tuple[str, ...]:
        """The indexes, triggers and views that are there and would not be afterwards, as `index idx_a`."""
        if not self.schemas:
            return ()
        there = self.schemas[-1].by_key().keys()
        gone = [o for o in self.look.schema.objects if o.type != "table" and o.sql and o.key not in there]
        return tuple(o.label for o in gone)

    @property
    def estimate(self) -> Estimate:
        """What the change takes, as far as the rehearsal can tell."""
        changes = [guard.changes for guard in self.guards]
        return Estimate(
            requests=len(self.plan.steps) + 1,
            rows_changed=None if None in changes or not changes else sum(filter(None, changes)),
            seconds=round(sum(guard.seconds for guard in self.guards), 3) if self.guards else None,
        )


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a change takes: requests that it sends after the rehearsal, rows that its scripts insert, change or delete
    (what an ALTER TABLE rewrites is not counted), and how long scripts and assertions took on the copy. None where
    nothing was rehearsed on rows, or chance decides."""

    requests: int
    rows_changed: int | None
    seconds: float | None


def with_breakages(workspace: Workspace, prepared: Prepared) -> Prepared:
    """Add what the change does to the known queries of the Worker that is running."""
    if not prepared.schemas:
        return prepared
    steps = [(_told(step), schema) for step, schema in zip(prepared.plan.steps, prepared.schemas, strict=True)]
    running = running_queries(workspace)
    found = breakages(prepared.look.schema, steps, running.workload.entries)
    return replace(prepared, breakages=found, running=running)


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
        unfit = [rebuild(loss.table).sql for loss in prepared.losses if loss.is_unfit]
        again = f"{'; '.join(unfit)} at the end of the script lets searches find the right rows; " if unfit else ""
        raise LossRefused(
            f"the change would lose what nobody named: {', '.join(open_losses)}",
            open_losses,
            hint=again + f"d1ops rehearse {_name_of(prepared.plan.steps[-1])} --safe FILE writes a script that does the"
            " same and keeps them, where there is one; accept a loss by name alone: --accept-loss TABLE,TABLE.COLUMN",
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


def _told(step: Step) -> str:
    """A step in words; a file of its own by its path."""
    return step.script.path if step.migration.label == "file" else step.label


def _name_of(step: Step) -> str:
    """What `rehearse` takes for a step: its number, or a file's path."""
    return step.script.path if step.migration.label == "file" else step.migration.label


def apply(workspace: Workspace, prepared: Prepared, consent: Consent, bookmark: str) -> Applied:
    """Send a prepared change. Raises LossRefused, StructureRefused, NotAtomic and TargetMoved with nothing changed;
    StatementRejected and Unreachable likewise; PartialRun when an earlier step is applied; OutcomeUnknown when nobody
    can tell; Interrupted when somebody asked to stop, once what was under way has ended; HumanNeeded when the change
    is committed and not as it was rehearsed; at the end, when everything is committed and in the history, the OSError
    of a journal that could not be written."""
    refuse(prepared, consent)
    if prepared.plan.is_empty:
        return Applied((), bookmark, None, None, None, prepared.look)
    transport.require(workspace)
    journal.settle(workspace, prepared.look.history)
    unwritten: OSError | None = None
    done: list[Event] = []
    results: list[Result] = []
    names = [row.name for row in prepared.look.ledger]
    schema_text: str | None = prepared.look.schema.text()
    for index, step in enumerate(prepared.plan.steps):
        event = _event(workspace, prepared, index, bookmark)
        rest = [later.label for later in prepared.plan.steps[index + 1 :]]
        with workspace.uninterrupted(step.label) as is_asked_to_stop:
            run = {"id": done[0].nonce if done else event.nonce, **_run(prepared.plan, index)}
            journal.append(workspace, event, journal.Phase.INTENT, run=run)
            try:
                # No answer to the step before told what its schema is now.
                schema_text = schema_text or _look_between(workspace, prepared, index).text()
                answers = _send(workspace, prepared, index, event, names, schema_text, done)
            except D1opsError as error:
                if not _is_unknown(error):
                    outcome.withdrawn(workspace, event)
                if not done or isinstance(error, OutcomeUnknown):
                    raise
                raise PartialRun([str(e.migration) for e in done], step.label, rest, error) from None
            done.append(event)
            results += answers
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
            if index < len(prepared.plan.steps) - 1:
                schema_text = str(answers[-1].scalar()) if answers else None
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


def _look_between(workspace: Workspace, prepared: Prepared, index: int) -> Schema:
    """Read the schema before a step. Raises TargetMoved when it is not the rehearsed one."""
    seen = look(workspace).schema
    others = [d.label for d in diff(prepared.schemas[index - 1], seen) if d.change != "reordered"]
    if others:
        raise TargetMoved(
            f"the schema of the target changed between two steps: {', '.join(others)}",
            assertion="schema",
            subjects=others,
            hint="run the command again; it looks and rehearses anew",
        )
    return seen


# -- one step ------------------------------------------------------------------------------------------


def _is_unknown(error: D1opsError) -> bool:
    """Whether the step of an error may still come to the target."""
    return isinstance(error, OutcomeUnknown) or (
        isinstance(error, PiecesLeft) and isinstance(error.cause, OutcomeUnknown)
    )


def _send(
    workspace: Workspace,
    prepared: Prepared,
    index: int,
    event: Event,
    names: Sequence[str],
    schema_text: str,
    done: Sequence[Event],
) -> tuple[Result, ...]:
    """Send the batch of a step. No results mean that its answer was lost, or that its transport gives none."""
    step = prepared.plan.steps[index]
    if step.script.chunked:
        return chunks.send(workspace, prepared, index, event, names, schema_text)
    batch = guard.batch_of(workspace, prepared, index, event, names, schema_text)
    try:
        return transport.send(workspace, batch, step)
    except StatementRejected as error:
        found = explain(error, batch, step.script.path, workspace.ledger)
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
    counts = [Statement(f"SELECT count(*) AS {OWN} FROM {quote_identifier(table)}") for table in expected]
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
