"""Undo one migration: afterwards the database is as if it had never been applied.

Nothing is sent before a verified backup exists, the script has run on its clone, the structure is proved against two
replays, and what it would take away is known by name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.engine import Engine
from d1ops.core.ledger import EventKind, State
from d1ops.core.mirror import build_mirror, schema_of
from d1ops.core.plan import Plan, Step
from d1ops.core.proof import expected_losses, prove
from d1ops.core.reach import reach
from d1ops.core.replay import effects, replay_without_rows, run_on_mirror, run_script
from d1ops.core.returned import older, removed
from d1ops.errors import LedgerRefused, StatementRejected, StructureRefused
from d1ops.ops.change import Prepared, apply, with_breakages
from d1ops.ops.chunks import refuse_rollback
from d1ops.ops.condition import require_settled
from d1ops.ops.look import look, require_none_under_way
from d1ops.ops.outcome import backed_up
from d1ops.ops.rehearse import clone_of, rehearse_on

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.catalog import Migration
    from d1ops.core.ledger import MigrationStatus
    from d1ops.core.replay import Effects
    from d1ops.ops.backup import VerifiedBackup
    from d1ops.ops.change import Applied, Consent
    from d1ops.ops.look import Look
    from d1ops.ops.workspace import Workspace


@dataclass(frozen=True, slots=True)
class NothingToRollBack:
    """The migration is not applied, so the database is already as asked."""

    migration: Migration
    state: State


def plan(workspace: Workspace, seen: Look, wanted: str, *, cascade: bool = False) -> Plan | NothingToRollBack:
    """Decide which rollback scripts would run, from a look alone: the wanted one, with `cascade` also those of all
    migrations applied after it, newest first.

    Raises UnknownMigration, NoRollbackScript, ScriptError, and LedgerRefused when an applied file that the proof
    needs is missing or changed.
    """
    require_none_under_way(seen, "rollback")
    require_settled(workspace, seen)
    migration = workspace.catalog.find(wanted)
    statuses = seen.statuses(workspace)
    status = next(s for s in statuses if s.file == migration.file)
    if not status.state.is_applied:
        return NothingToRollBack(migration, status.state)
    require_files(statuses, "what a rollback must leave cannot be proved")
    by_file = {s.file: s for s in statuses}
    order = [by_file[row.name] for row in seen.ledger]
    chosen = order[order.index(status) :][::-1] if cascade else [status]
    steps = []
    for each in chosen:
        found = each.migration
        if found is None or each.ledger is None:
            continue
        script = found.rollback_script(f"{workspace.rollbacks_folder}/{found.label}_rollback.sql")
        _ = script.statements, found.script.statements
        refuse_rollback(script)
        steps.append(Step(EventKind.ROLLBACK, found, script, ledger_id=each.ledger.id))
    return Plan(tuple(steps))


def require_files(statuses: Sequence[MigrationStatus], consequence: str) -> None:
    """Raise LedgerRefused when an applied file is missing or was changed; `consequence` says what that prevents."""
    for state, fact, hint in (
        (State.MISSING, "is applied and its file is missing", "bring the file back from version control"),
        (State.CHANGED, "was changed after it was applied", "put the applied text back from version control"),
    ):
        found = [s.file for s in statuses if s.state is state]
        if found:
            raise LedgerRefused(
                f"{', '.join(found)} {fact}: {consequence}",
                hint=f"{hint}; d1ops restore rewinds the whole database without any script",
            )


def prepare(
    workspace: Workspace, wanted: str, *, cascade: bool = False, seen: Look | None = None
) -> Prepared | NothingToRollBack:
    """Look, plan, back up, rehearse on the clone, prove the structure and divide the losses. Sends reads alone.

    `seen` is a look just taken, if there is one.

    Raises what `plan` raises; StatementRejected when the script fails on the clone; StructureRefused when a replay is
    impossible; BackupRefused. Losses, drift and a wrong structure are in the answer; `change.refuse` judges them.
    """
    seen = seen or look(workspace)
    found = plan(workspace, seen, wanted, cascade=cascade)
    if isinstance(found, NothingToRollBack):
        return found
    with_all, without = _replays(workspace, seen, found)
    changed = _changed_rows(workspace, seen, found)
    # What one of them took out of what another one made is to go with that.
    emptied = {part for effect in changed for part in effect.emptied}
    sources = removed(with_all, without) | older(emptied, without)
    scripts = (step.script.statements for step in found.steps)
    needed = reach(build_mirror(seen.everything.objects), scripts, also=(table for table, _ in sources))
    backup, snapshot = backed_up(workspace, seen, needed)
    with clone_of(backup) as clone:
        rehearsed = rehearse_on(clone, backup, found, workspace, snapshot)
        proof = prove(
            snapshot.schema,
            rehearsed.schemas[-1],
            schema_of(with_all).users(workspace.ledger),
            schema_of(without).users(workspace.ledger),
        )
        expected, collateral = expected_losses(rehearsed.losses, clone, with_all, without, sources=sources)
    prepared = Prepared(
        plan=found,
        look=snapshot,
        backup=backup,
        schemas=rehearsed.schemas,
        losses=rehearsed.losses,
        expected=expected,
        collateral=collateral,
        dangling=rehearsed.dangling,
        drift=proof.drift,
        wrong=proof.wrong,
        warnings=(*proof.warnings, *rehearsed.warnings),
        guards=rehearsed.guards,
        data_proved=not any(effect.touches_rows for effect in changed),
    )
    return with_breakages(workspace, prepared)


def _replays(workspace: Workspace, seen: Look, found: Plan) -> tuple[Engine, Engine]:
    """Replay all applied migrations, and those that stay. What needs the target's rows in the one may need them in the
    other; what needs some in the second alone needs what is undone."""
    known = workspace.catalog.by_file()
    order = [known[row.name] for row in seen.ledger]
    undone = {step.migration.file for step in found.steps}
    try:
        with_all, needy = replay_without_rows(order)
    except StatementRejected as error:
        raise StructureRefused(
            f"the applied migrations do not run one after the other, so nothing can be proved: {error.text}",
            hint="d1ops restore rewinds the whole database without any script",
        ) from None
    without = Engine.memory()
    try:
        for migration in order:
            if migration.file not in undone:
                run = run_on_mirror if migration.file in needy else run_script
                run(without, migration.script.statements)
    except StatementRejected as error:
        name = found.steps[-1].migration.label
        raise StructureRefused(
            f"later migrations need {name}: without it, {error.text}",
            hint=f"d1ops rollback {name} --cascade rolls these back first, newest first",
        ) from None
    return with_all, without


def _changed_rows(workspace: Workspace, seen: Look, found: Plan) -> list[Effects]:
    """What each migration that is undone did to rows of tables that it did not make itself."""
    known = workspace.catalog.by_file()
    undone = {step.migration.file for step in found.steps}
    engine = Engine.memory()
    changed = []
    for row in seen.ledger:
        statements = known[row.name].script.statements
        if row.name in undone:
            changed.append(effects(engine, statements))
        else:
            run_on_mirror(engine, statements)
    return changed


def rollback(workspace: Workspace, prepared: Prepared, backup: VerifiedBackup, consent: Consent) -> Applied:
    """Run a prepared rollback, one guarded batch a migration. There is no other way to call it than with a backup
    that was verified. Raises what `change.apply` raises."""
    if prepared.backup is not backup:
        raise StructureRefused("the rollback was rehearsed on another backup", hint="run the command again")
    return apply(workspace, prepared, consent, backup.manifest.bookmark)
