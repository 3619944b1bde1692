"""What a change would do, for any script: a migration that is pending, one that is applied, or a file of its own."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.catalog import Migration, Script
from d1ops.core.ledger import EventKind
from d1ops.core.plan import Plan, Step
from d1ops.core.undo.safe import safe_form
from d1ops.errors import UsageError
from d1ops.ops import migrate, rollback
from d1ops.ops.look import look, require_none_under_way
from d1ops.ops.rehearse import clone_of
from d1ops.ops.rollback import NothingToRollBack

if TYPE_CHECKING:
    from d1ops.core.undo.safe import SafeForm
    from d1ops.ops.change import Prepared
    from d1ops.ops.look import Look
    from d1ops.ops.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is to be rehearsed: an applied migration's rollback, pending migrations, or a file. Made by `find`."""

    plan: Plan
    undoes: str | None = None
    cascade: bool = False


def find(workspace: Workspace, seen: Look, what: str | None, *, cascade: bool = False) -> Wanted:
    """Decide what `what` means: nothing are all pending migrations, an applied migration is its rollback, a pending one
    is `migrate` up to it. Raises what `rollback.plan` and `migrate.plan` raise."""
    if what is None:
        return Wanted(migrate.plan(workspace, seen))
    found = rollback.plan(workspace, seen, what, cascade=cascade)
    if not isinstance(found, NothingToRollBack):
        return Wanted(found, undoes=what, cascade=cascade)
    last = [row.name for row in seen.ledger]
    newest = max((m.number for m in workspace.catalog.migrations if m.file in last), default=0)
    if found.migration.number < newest:
        return Wanted(migrate.plan(workspace, seen, only=what))
    return Wanted(migrate.plan(workspace, seen, to=what))


def find_file(workspace: Workspace, seen: Look, path: str, data: bytes) -> Wanted:
    """Take a file of statements as if it were the next migration. Raises ScriptError when it cannot be read."""
    require_none_under_way(seen, "rehearse")
    name = path.rsplit("/", 1)[-1]
    script = Script(path, data)
    _ = script.statements
    migration = Migration(0, "file", name.removesuffix(".sql"), name, script, None)
    return Wanted(Plan((Step(EventKind.MIGRATE, migration, script),)))


def prepare(workspace: Workspace, wanted: Wanted, seen: Look | None = None) -> Prepared:
    """Rehearse it: a checked backup, the scripts on a copy, proof and losses. Sends reads alone. Raises what
    `rollback.prepare` and `migrate.prepare` raise."""
    seen = seen or look(workspace)
    if wanted.undoes is None:
        return migrate.prepare_plan(workspace, wanted.plan, seen)
    prepared = rollback.prepare(workspace, wanted.undoes, cascade=wanted.cascade, seen=seen)
    assert not isinstance(prepared, NothingToRollBack), "the same look gives the same plan"
    return prepared


def safe(prepared: Prepared, path: str) -> SafeForm:
    """Return a script, to be written to `path`, that does what the prepared one means and takes nothing from other
    tables; proved on the clone of the backup.

    Raises UsageError for a plan of several scripts or one that loses nothing, NoSafeForm when there is none.
    """
    if len(prepared.plan.steps) != 1:
        raise UsageError("a safe form is written for one script at a time", hint="name the migration: rehearse 0007")
    if prepared.backup is None or not prepared.collateral:
        raise UsageError("the script loses nothing that it does not mean to: there is nothing to make safe")
    (step,) = prepared.plan.steps
    with clone_of(prepared.backup) as clone:
        image = clone.serialize()
    return safe_form(image, step.script.statements, path)
