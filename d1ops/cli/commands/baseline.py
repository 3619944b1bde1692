"""`baseline`: adopt a database that is there already."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from d1ops.cli import complete
from d1ops.cli.call import Call
from d1ops.cli.consent import Agreement, Confirm, Yes, obtain, require_right_name
from d1ops.cli.declare import command
from d1ops.errors import AnswerIsNo, ExitCode, NoPrefix

if TYPE_CHECKING:
    from d1ops.ops.baseline import Baseline
    from d1ops.ops.look import Look
    from d1ops.ops.workspace import Workspace


@command(
    "baseline",
    "d1ops baseline --dry-run",
    "d1ops baseline --to 0009 --env staging",
    "d1ops baseline --env production --confirm production",
)
def baseline(
    call: Call,
    to: Annotated[
        str | None,
        typer.Option(
            "--to",
            metavar="NUMBER",
            show_default=False,
            help="The last migration that ran, where several would leave the same schema.",
            autocompletion=complete.migrations,
        ),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Only say what would be marked. Exits 1 where nothing matches.")
    ] = False,
    yes: Yes = False,
    confirm: Confirm = None,
) -> ExitCode:
    """Mark the migrations that the target's schema shows to have run.

    Replays the files one after the other on an empty engine, compares with the target object by object, and records
    exactly the ones that match: ledger rows in wrangler's shape, and the checksum of every file. Adopts a database
    that another tool made, and verifies what wrangler applied. Rows are neither read nor written.
    """
    from d1ops.cli.change import prove_atomic
    from d1ops.cli.text import count
    from d1ops.ops import baseline as use_case
    from d1ops.ops import journal
    from d1ops.ops.look import look

    agreement = Agreement(yes, confirm)
    with call.open() as workspace:
        call.note(refused=None, baseline=None, adopted=None)
        require_right_name(workspace, agreement)
        seen = look(workspace)
        call.introduce(workspace, seen)
        found = _found(call, workspace, seen, to, dry_run=dry_run)
        if not found.marks:
            journal.settle(workspace, seen.history)
            call.answer([f"nothing to do: {count(len(seen.ledger), 'migration')} applied and verified"])
            return ExitCode.DONE
        call.preview(_lines(found))
        if dry_run:
            call.answer(["", f"nothing was changed; {call.command('baseline', *(['--to', to] if to else []))} does it"])
            return ExitCode.DONE
        question = f"Record {count(len(found.marks), 'migration')} on {workspace.database.target.name}?"
        consent = obtain(workspace, agreement, question)
        prove_atomic(workspace, agreement)
        if call.watched is not None and not seen.everything.objects:
            call.watched.create()
        done = use_case.adopt(workspace, found, consent)
        from d1ops.cli.documents import event_document

        call.note(
            adopted={"events": [event_document(event) for event in done.events]},
            requests=workspace.database.requests,
        )
        number = len(done.look.ledger)
        call.answer(
            [
                "",
                f"recorded {count(len(found.marks), 'migration')}; {count(number, 'migration')} applied",
                f"look  {call.command('status')}",
            ]
        )
    return ExitCode.DONE


def _found(call: Call, workspace: Workspace, seen: Look, to: str | None, *, dry_run: bool) -> Baseline:
    """Find what the schema shows, and note it. A question that has no answer is answered no; an order is refused."""
    from d1ops.ops import baseline as use_case

    try:
        found = use_case.plan(workspace, seen, to=to)
    except NoPrefix as error:
        call.note(baseline={"nearest": error.nearest, "differences": list(error.differences)})
        if not dry_run:
            raise
        raise AnswerIsNo(error.message, hint=error.hint) from None
    call.note(
        baseline={
            "to": found.applied[-1].file if found.applied else None,
            "marks": [
                {"file": mark.migration.file, "was": mark.was.value, "adds_ledger_row": mark.adds_row}
                for mark in found.marks
            ],
            "other_ledgers": [{"table": other.table, "tool": other.tool} for other in found.others],
            "warnings": list(found.warnings),
        }
    )
    return found


def _lines(found: Baseline) -> list[str]:
    from d1ops.cli.text import columns

    last = found.applied[-1].file if found.applied else "no migration"
    rows = [
        [
            f"  {mark.migration.file}",
            mark.was.value,
            "ledger row and checksum" if mark.adds_row else "checksum",
        ]
        for mark in found.marks
    ]
    return [
        f"the schema of the target is that of the migrations up to {last}; to be recorded:",
        *columns(rows),
        *(f"left alone: {other.table}, the ledger of {other.tool}" for other in found.others),
        *(f"warning: {warning}" for warning in found.warnings),
    ]
