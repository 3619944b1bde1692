"""`migrate` and `rollback`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from d1ops.cli import complete
from d1ops.cli.call import Call
from d1ops.cli.consent import AcceptLoss, Agreement, Confirm, Yes, names, require_right_name
from d1ops.cli.declare import command
from d1ops.cli.options import Only, To, refuse_both
from d1ops.errors import ExitCode

if TYPE_CHECKING:
    from d1ops.ops.change import Prepared
    from d1ops.ops.look import Look
    from d1ops.ops.workspace import Workspace

Number = Annotated[
    str,
    typer.Argument(
        metavar="NUMBER",
        show_default=False,
        help="The migration, by number (7, 0007) or name.",
        autocompletion=complete.migrations,
    ),
]
Cascade = Annotated[
    bool,
    typer.Option("--cascade", help="Roll back every migration applied after it first, the newest first."),
]


@command(
    "migrate",
    "d1ops migrate",
    "d1ops migrate --to 0009 --env staging",
    "d1ops migrate --env production --confirm production",
)
def migrate(
    call: Call,
    to: To = None,
    only: Only = None,
    yes: Yes = False,
    confirm: Confirm = None,
    accept_loss: AcceptLoss = None,
) -> ExitCode:
    """Run the pending migrations, one guarded batch each.

    A migration that can touch rows is backed up and rehearsed on them first.
    """
    from d1ops.cli import change
    from d1ops.cli.documents import plan_document
    from d1ops.cli.text import count
    from d1ops.cli.words import applied_lines, labels, plan_lines
    from d1ops.ops import journal
    from d1ops.ops import migrate as use_case
    from d1ops.ops.look import look

    refuse_both(to, only)
    agreement = Agreement(yes, confirm, names(accept_loss))
    with call.open() as workspace:
        call.note(**change.EMPTY)
        require_right_name(workspace, agreement)
        seen = look(workspace)
        call.introduce(workspace, seen)
        found = use_case.plan(workspace, seen, to=to, only=only)
        if found.is_empty:
            journal.settle(workspace, seen.history)
            call.answer([f"nothing to do: {count(len(seen.ledger), 'migration')} applied, none pending"])
            return ExitCode.DONE
        call.note(plan=plan_document(found))
        call.preview(plan_lines(found))
        prepared = use_case.prepare(workspace, to=to, only=only, seen=seen)
        change.show(call, prepared)
        question = f"Run {count(len(found.steps), 'migration')} on {workspace.database.target.name}?"
        applied = change.carry_out(
            call,
            workspace,
            prepared,
            agreement,
            question,
            lambda consent: use_case.migrate(workspace, prepared, consent),
        )
        done = labels(step.migration.label for step in found.steps)
        call.answer(
            [
                "",
                f"migrated {done}; {count(len(applied.look.ledger), 'migration')} applied",
                *applied_lines(call, applied, prepared.backup, workspace.database.requests),
            ]
        )
    return ExitCode.DONE


@command(
    "rollback",
    "d1ops rollback 0007",
    "d1ops rollback 7 --cascade --env staging",
    "d1ops rollback 0007 --env production --confirm production --accept-loss artists,tracks.plays",
)
def rollback(
    call: Call,
    number: Number,
    cascade: Cascade = False,
    yes: Yes = False,
    confirm: Confirm = None,
    accept_loss: AcceptLoss = None,
) -> ExitCode:
    """Undo one migration as if it had never been applied.

    First a backup is taken and checked, the script runs on a copy of the rows, and what it would lose is shown.
    What nobody named is not lost: the rollback is refused instead.
    """
    from d1ops.cli import change
    from d1ops.cli.text import count
    from d1ops.cli.words import applied_lines, labels
    from d1ops.ops import journal
    from d1ops.ops import rollback as use_case
    from d1ops.ops.look import look

    agreement = Agreement(yes, confirm, names(accept_loss))
    with call.open() as workspace:
        call.note(**change.EMPTY)
        require_right_name(workspace, agreement)
        seen = look(workspace)
        prepared = _rehearsed(call, workspace, number, seen, agreement, cascade=cascade)
        if prepared is None:
            journal.settle(workspace, seen.history)
            return ExitCode.DONE
        backup = prepared.backup
        assert backup is not None, "a rollback is prepared on a backup"
        undone = labels(step.migration.label for step in prepared.plan.steps)
        applied = change.carry_out(
            call,
            workspace,
            prepared,
            agreement,
            f"Roll back {undone} on {workspace.database.target.name}?",
            lambda consent: use_case.rollback(workspace, prepared, backup, consent),
        )
        after = _what_next(call, workspace, prepared)
        call.note(next=after)
        call.answer(
            [
                "",
                f"rolled back {undone}; {count(len(applied.look.ledger), 'migration')} applied",
                *applied_lines(call, applied, backup, workspace.database.requests),
                "",
                *after,
            ]
        )
    return ExitCode.DONE


def _rehearsed(
    call: Call, workspace: Workspace, number: str, seen: Look, agreement: Agreement, *, cascade: bool
) -> Prepared | None:
    """Prepare a rollback and show all that was found out. None, answered, when there is nothing to roll back."""
    from d1ops.cli import change
    from d1ops.cli.documents import plan_document
    from d1ops.cli.words import plan_lines, proof_line
    from d1ops.ops import rollback as use_case
    from d1ops.ops.change import Consent

    call.introduce(workspace, seen)
    found = use_case.plan(workspace, seen, number, cascade=cascade)
    if isinstance(found, use_case.NothingToRollBack):
        call.note(state=found.state.value)
        call.answer([f"nothing to do: {found.migration.label} {found.migration.name} is {found.state.value}"])
        return None
    call.note(plan=plan_document(found))
    call.preview(plan_lines(found))
    prepared = use_case.prepare(workspace, number, cascade=cascade, seen=seen)
    assert not isinstance(prepared, use_case.NothingToRollBack), "the same look gives the same plan"
    change.show(call, prepared)
    if not (prepared.drift or prepared.wrong):
        call.note(verdict="structure and data proved" if prepared.data_proved else "structure proved, data not")
        call.preview(["", proof_line(prepared, Consent(by=workspace.actor, accepted=agreement.accepted))])
    else:
        call.note(verdict="not proved")
    return prepared


def _what_next(call: Call, workspace: Workspace, prepared: Prepared) -> list[str]:
    """Say that what was rolled back is pending again, for this tool and for wrangler."""
    undone = sorted(prepared.plan.steps, key=lambda step: step.migration.number)
    labels = ", ".join(step.migration.label for step in undone)
    paths = ", ".join(step.migration.script.path for step in undone)
    one = len(undone) == 1
    # A protected env takes what was rolled back again only when it is named.
    words = (
        ("migrate", "--only", undone[0].migration.label if one else "NUMBER") if workspace.protected else ("migrate",)
    )
    again = "it" if one else "each" if workspace.protected else "them"
    are = "is" if one else "are"
    return [
        f"{labels} {are} now pending again (rolled back): {call.command(*words)} applies {again} again.",
        f"So would the next `wrangler d1 migrations apply`, in CI without asking: remove or rename {paths} first if"
        f" {'it' if one else 'they'} shall stay away.",
    ]
