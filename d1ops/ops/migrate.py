"""Run pending migrations. What could touch rows that are there is backed up and rehearsed on them first."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from d1ops.core.ledger import EventKind, State, require_untouched
from d1ops.core.mirror import build_mirror, schema_of
from d1ops.core.other_ledgers import other_ledgers
from d1ops.core.plan import Plan, Step
from d1ops.core.reach import reach
from d1ops.core.replay import effects
from d1ops.core.sql import fold
from d1ops.errors import LedgerRefused, StatementRejected, UsageError
from d1ops.ops.change import Prepared, apply, with_breakages
from d1ops.ops.condition import require_settled
from d1ops.ops.look import look, require_none_under_way
from d1ops.ops.outcome import backed_up
from d1ops.ops.rehearse import clone_of, rehearse_on

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from d1ops.core.ledger import MigrationStatus
    from d1ops.core.schema import Schema
    from d1ops.ops.change import Applied, Consent
    from d1ops.ops.look import Look
    from d1ops.ops.workspace import Workspace


def plan(workspace: Workspace, seen: Look, *, to: str | None = None, only: str | None = None) -> Plan:
    """Decide what `migrate` would run, from a look alone. Every script is read before anything is sent.

    `to` is the last migration to run, `only` the single one. Raises LedgerRefused for a state that needs a person
    (changed, missing, out of order; on a protected env also rolled back, unless named), UsageError for a stop that
    cannot be honoured, ScriptError for a file that cannot be read.
    """
    require_none_under_way(seen, "migrate")
    require_settled(workspace, seen)
    statuses = seen.statuses(workspace)
    _refuse(statuses, State.CHANGED, "was changed after it was applied")
    _refuse(statuses, State.MISSING, "is applied and its file is missing")
    waiting = [s for s in statuses if not s.state.is_applied]
    if only is not None:
        wanted = workspace.catalog.find(only)
        waiting = [s for s in waiting if s.file == wanted.file]
        if not waiting:
            raise UsageError(f"{wanted.file} is applied already", hint="d1ops status lists what is pending")
    elif to is not None:
        last = workspace.catalog.find(to)
        if last.file in {row.name for row in seen.ledger}:
            raise UsageError(
                f"{last.file} is applied already, so the run cannot stop there",
                hint="d1ops status lists what is pending",
            )
        waiting = [s for s in waiting if s.migration and s.migration.number <= last.number]
    if only is None:
        _refuse(waiting, State.OUT_OF_ORDER, "sorts before the newest applied migration")
        if workspace.protected:
            _refuse(waiting, State.ROLLED_BACK, "was rolled back, and a protected env takes it again only when named")
    steps = [Step(EventKind.MIGRATE, s.migration, s.migration.script) for s in waiting if s.migration]
    for step in steps:
        _ = step.script.statements
    return Plan(tuple(steps))


def _refuse(statuses: Sequence[MigrationStatus], state: State, fact: str) -> None:
    found = [s.file for s in statuses if s.state is state]
    if not found:
        return
    hints = {
        State.CHANGED: "put the applied text back and write the change as a new migration",
        State.MISSING: "bring the file back from version control",
        State.OUT_OF_ORDER: f"renumber it behind the newest, or run it alone: d1ops migrate --only {found[0]}",
        State.ROLLED_BACK: f"d1ops migrate --only {found[0]}, or remove the file",
    }
    raise LedgerRefused(f"{', '.join(found)} {fact}", hint=hints[state])


def prepare(
    workspace: Workspace, *, to: str | None = None, only: str | None = None, seen: Look | None = None
) -> Prepared:
    """Look, plan, and rehearse: on the schema alone when no step can touch rows, else on the clone of a backup.

    `seen` is a look just taken, if there is one.

    Raises what `plan` raises, StatementRejected with the place when a script fails in rehearsal, BackupRefused.
    """
    seen = seen or look(workspace)
    return prepare_plan(workspace, plan(workspace, seen, to=to, only=only), seen)


def prepare_plan(workspace: Workspace, found: Plan, seen: Look) -> Prepared:
    """Rehearse a plan whose steps take nothing back. `seen` is a look just taken.

    Raises StatementRejected with the place when a script fails in rehearsal, LedgerRefused for a script that writes
    what d1ops alone writes, BackupRefused.
    """
    for other in other_ledgers(seen.everything, workspace.ledger):
        workspace.tell(f"{other.table} is the ledger of {other.tool}, which does not see what is changed here")
    mirror = build_mirror(seen.everything.objects)
    schemas: list[Schema] = []
    touches = False
    made: set[str] = set()
    for step in found.steps:
        schema = schema_of(mirror)
        there = {fold(name) for name in schema.tables()}
        with _pointing_to_baseline(seen):
            effect = effects(mirror, step.script.statements)
        require_untouched(step.script.path, effect.tables, schema, effect.after, workspace.ledger)
        if effect.failed is not None and not seen.schema.tables() and not seen.ledger:
            raise effect.failed
        # What fails on a mirror without rows may run on those of the target: the clone has them.
        touches = touches or effect.failed is not None or step.script.chunked is not None
        touches = touches or any(fold(table) not in made for table in effect.tables)
        made |= {fold(name) for name in effect.after.tables()} - there
        schemas.append(effect.after.users(workspace.ledger))
    if not touches:
        return with_breakages(workspace, Prepared(plan=found, look=seen, backup=None, schemas=tuple(schemas)))
    workspace.tell("a pending migration can touch rows that are there: backing up and rehearsing on them first")
    needed = reach(build_mirror(seen.everything.objects), (step.script.statements for step in found.steps))
    backup, snapshot = backed_up(workspace, seen, needed)
    with clone_of(backup) as clone, _pointing_to_baseline(seen):
        rehearsed = rehearse_on(clone, backup, found, workspace, snapshot)
    losses = tuple(loss for loss in rehearsed.losses if loss.losses or not loss.exists_after)
    prepared = Prepared(
        plan=found,
        look=snapshot,
        backup=backup,
        schemas=rehearsed.schemas,
        losses=losses,
        collateral=tuple(name for loss in losses for name in loss.losses),
        dangling=rehearsed.dangling,
        guards=rehearsed.guards,
        warnings=rehearsed.warnings,
    )
    return with_breakages(workspace, prepared)


@contextmanager
def _pointing_to_baseline(seen: Look) -> Iterator[None]:
    """Say of a script that fails on a target without a ledger that it may have run before."""
    try:
        yield
    except StatementRejected as error:
        if not seen.ledger and seen.schema.tables() and error.hint is None:
            error.hint = "if the files ran before d1ops came: d1ops baseline marks those that the schema shows"
        raise


def migrate(workspace: Workspace, prepared: Prepared, consent: Consent) -> Applied:
    """Run a prepared plan, one guarded batch a migration. Raises what `change.apply` raises."""
    bookmark = prepared.backup.manifest.bookmark if prepared.backup else workspace.database.bookmark()
    return apply(workspace, prepared, consent, bookmark)
