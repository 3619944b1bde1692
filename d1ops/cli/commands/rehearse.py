"""`rehearse`: what a change would do and lose, on a copy or in place."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from d1ops.cli import complete
from d1ops.cli.call import Call
from d1ops.cli.commands.change import Cascade
from d1ops.cli.consent import AcceptLoss, Agreement, Confirm, Yes, names, obtain, require_right_name
from d1ops.cli.declare import command
from d1ops.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from d1ops.ops.change import Prepared
    from d1ops.ops.in_place import InPlace
    from d1ops.ops.look import Look
    from d1ops.ops.preview import Wanted
    from d1ops.ops.workspace import Workspace


@command(
    "rehearse",
    "d1ops rehearse 0007",
    "d1ops rehearse --env production",
    "d1ops rehearse 7 --cascade --env production --format json",
    "d1ops rehearse cleanup.sql --env staging",
    "d1ops rehearse 0007 --safe db/rollbacks/0007_safe.sql",
    "d1ops rehearse 0007 --in-place --env production --confirm production",
)
def rehearse(
    call: Call,
    what: Annotated[
        str | None,
        typer.Argument(
            metavar="[NUMBER|FILE]",
            show_default=False,
            help="A migration, by number or name, or a file of SQL. Nothing: all that is pending.",
            autocompletion=complete.migrations,
        ),
    ] = None,
    cascade: Cascade = False,
    accept_loss: AcceptLoss = None,
    in_place: Annotated[
        bool,
        typer.Option(
            "--in-place",
            help="Run it on the target itself, in one batch that is undone: for databases too large to copy.",
        ),
    ] = False,
    safe: Annotated[
        Path | None,
        typer.Option(
            "--safe",
            metavar="FILE",
            dir_okay=False,
            show_default=False,
            help="Write a script to this new file that does the same and loses nothing of other tables.",
        ),
    ] = None,
    yes: Yes = False,
    confirm: Confirm = None,
) -> ExitCode:
    """Say what a change would do and lose. Changes nothing.

    An applied migration is rolled back, a pending one applied, a file run as if it were the next migration. Does
    everything that the change does before it asks: a checked backup, the script on a copy, proof and losses. Exits 5
    where the change would be refused. With --in-place the target does the work itself and undoes it, which it is asked
    to agree to; others wait meanwhile.
    """
    from d1ops.cli import change
    from d1ops.cli.documents import plan_document
    from d1ops.cli.words import plan_lines
    from d1ops.ops.look import look

    agreement = Agreement(yes, confirm, names(accept_loss))
    with call.open() as workspace:
        call.note(**change.EMPTY)
        require_right_name(workspace, agreement)
        seen = look(workspace)
        call.introduce(workspace, seen)
        wanted = _find(workspace, seen, what, cascade=cascade)
        if wanted.plan.is_empty:
            call.answer(["nothing to do: no migration is pending"])
            return ExitCode.DONE
        call.note(plan=plan_document(wanted.plan))
        call.preview(plan_lines(wanted.plan))
        if in_place:
            return _in_place(call, workspace, wanted, seen, agreement)
        return _on_a_copy(call, workspace, wanted, seen, agreement, safe)


def _find(workspace: Workspace, seen: Look, what: str | None, *, cascade: bool) -> Wanted:
    from d1ops.ops import preview

    if what is None or not what.lower().endswith(".sql") or what in workspace.catalog.by_file():
        return preview.find(workspace, seen, what, cascade=cascade)
    try:
        data = Path(what).read_bytes()
    except OSError as error:
        raise UsageError(f"{what} cannot be read: {error.strerror}", hint="name a migration or a file") from None
    return preview.find_file(workspace, seen, what, data)


def _on_a_copy(
    call: Call, workspace: Workspace, wanted: Wanted, seen: Look, agreement: Agreement, safe: Path | None
) -> ExitCode:
    from d1ops.cli import change
    from d1ops.cli.words import proof_line
    from d1ops.ops import preview
    from d1ops.ops.acceptance import require_names
    from d1ops.ops.change import Consent, refuse

    prepared = preview.prepare(workspace, wanted, seen)
    consent = Consent(by=workspace.actor, accepted=agreement.accepted)
    change.show(call, prepared)
    require_names(prepared, agreement.accepted)
    if wanted.undoes is not None:
        proved = not (prepared.drift or prepared.wrong)
        words = "structure and data proved" if prepared.data_proved else "structure proved, data not"
        call.note(verdict=words if proved else "not proved")
        call.preview(["", proof_line(prepared, consent)] if proved else [])
    if safe is not None:
        return _write_safe_form(call, prepared, safe)
    refuse(prepared, consent)
    call.answer(["", *_estimate_lines(prepared), f"nothing was changed; {_command(call, wanted)}"])
    return ExitCode.DONE


def _write_safe_form(call: Call, prepared: Prepared, path: Path) -> ExitCode:
    from d1ops.ops import preview

    found = preview.safe(prepared, str(path))
    try:
        with path.open("xb") as file:
            file.write(found.script.data)
    except FileExistsError:
        raise UsageError(f"{path} exists already", hint="name a file that does not; nothing is overwritten") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None
    call.note(safe_form={"file": str(path), "how": found.how, "rebuilt": found.rebuilt, "moved": found.moved})
    call.answer(
        [
            "",
            f"{path} does the same and loses nothing of other tables, proved on the copy: {found.how}",
            f"nothing was changed; read it, {call.command('rehearse', str(path))}, and put it in the script's place",
        ]
    )
    return ExitCode.DONE


def _estimate_lines(prepared: Prepared) -> list[str]:
    from d1ops.cli.text import count

    estimate = prepared.estimate
    found = [f"about {count(estimate.requests, 'request')}"]
    found += [f"{estimate.rows_changed:,} rows changed"] if estimate.rows_changed is not None else []
    found += [f"{estimate.seconds:.1f} s on the copy"] if estimate.seconds is not None else []
    return [f"it would take {', '.join(found)}"]


def _command(call: Call, wanted: Wanted) -> str:
    """The command that does what was rehearsed, in a sentence."""
    step = wanted.plan.steps[-1]
    if wanted.undoes is not None:
        cascade = ("--cascade",) if wanted.cascade else ()
        return f"{call.command('rollback', wanted.undoes, *cascade)} does it"
    if step.migration.label == "file":
        return "as a migration in the catalog it would be run by d1ops migrate"
    return f"{call.command('migrate', '--to', step.migration.label)} does it"


def _in_place(call: Call, workspace: Workspace, wanted: Wanted, seen: Look, agreement: Agreement) -> ExitCode:
    from d1ops.cli import change
    from d1ops.ops import in_place

    name = workspace.database.target.name
    obtain(workspace, agreement, f"Run this on {name} itself and undo it? Others wait meanwhile.")
    change.prove_atomic(workspace, agreement)
    found = in_place.rehearse(workspace, wanted.plan, seen)
    _show_in_place(call, found)
    call.answer(["", f"nothing was changed; schema and rows of {len(found.reached)} tables were compared afterwards"])
    return ExitCode.REFUSED if found.collateral or found.dangling else ExitCode.DONE


def _show_in_place(call: Call, found: InPlace) -> None:
    from d1ops.cli.documents import loss_document
    from d1ops.cli.words import loss_lines

    collateral = frozenset(found.collateral)
    call.note(
        blast_radius=[loss_document(loss, collateral) for loss in found.losses],
        collateral=list(found.collateral),
        dangling=[{"table": child, "parent": None, "rows": number} for child, number in found.dangling],
        warnings=list(found.warnings),
        reached=list(found.reached),
        scope=list(found.scope),
        estimate={"requests": None, "rows_changed": None, "seconds": found.seconds},
    )
    lines = ["", *loss_lines(found.losses, None)] if found.losses else ["", "no table has fewer rows or links"]
    lines += ["", f"reaches {', '.join(found.reached) or 'no table'}; took {found.seconds:.1f} s"]
    call.preview([*lines, *(f"warning: {warning}" for warning in found.warnings)])
