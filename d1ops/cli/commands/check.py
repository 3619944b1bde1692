"""`doctor` and `docs`: they look, and say what should be done."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from d1ops.cli.call import Call
from d1ops.cli.declare import command
from d1ops.errors import ExitCode

if TYPE_CHECKING:
    from d1ops.ops.doctor import Diagnosis


@command("doctor", "d1ops doctor", "d1ops doctor --probe --env staging", "d1ops doctor --foreign-keys --format json")
def doctor(
    call: Call,
    probe: Annotated[
        bool,
        typer.Option("--probe", help="Find out whether the target executes a batch all or nothing, and remember it."),
    ] = False,
    foreign_keys: Annotated[
        bool,
        typer.Option("--foreign-keys", help="Count violations on a remote target too, where it may be billed."),
    ] = False,
) -> ExitCode:
    """Examine a target and the local state.

    Exits 1 when something is a problem. Reads only, but for --probe: that sends one batch that makes a table
    d1ops_probe, fills it and must fail, and then looks whether anything is left.
    """
    from dataclasses import asdict

    from d1ops.cli import diagnostics
    from d1ops.cli.documents import target_document
    from d1ops.cli.words import PROBE, target_line
    from d1ops.ops import doctor as use_case

    with call.open() as workspace:
        if probe:
            diagnostics.tell(target_line(workspace, None))
            diagnostics.tell(PROBE)
        found = use_case.examine(workspace, probe=probe, foreign_keys=foreign_keys)
        call.note(
            target=target_document(workspace, None),
            checks=[{**asdict(check), "state": check.state.value} for check in found.checks],
            worst=found.worst.value,
            requests=found.requests,
        )
        call.answer(_doctor_lines(found))
    return ExitCode.NO if found.worst is use_case.Health.PROBLEM else ExitCode.DONE


def _doctor_lines(found: Diagnosis) -> list[str]:
    from d1ops.cli.text import columns

    rows = [[check.state.value, check.name, check.fact] for check in found.checks]
    lines: list[str] = []
    for line, check in zip(columns(rows), found.checks, strict=True):
        lines += [line, *([f"  try: {check.remedy}"] if check.remedy else [])]
    return lines


@command("docs", "d1ops docs", "d1ops docs --check", "d1ops docs --html runbook.html")
def docs(
    call: Call,
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; exit 1 unless the file is up to date.")
    ] = False,
    html: Annotated[
        Path | None,
        typer.Option(
            "--html",
            metavar="FILE",
            dir_okay=False,
            show_default=False,
            help="Write the runbook as one self-contained HTML page to this file instead.",
        ),
    ] = None,
) -> ExitCode:
    """Write docs/MIGRATION_ROLLBACK.md anew.

    Every rollback is tried out on generated rows, and what it takes away is written down. Reaches no database.
    Passages written by hand come from docs/rollback_notes/NNNN.md.
    """
    from d1ops.ops import docs as use_case
    from d1ops.ops.workspace import read_catalog

    settings = call.settings()
    folders = settings.catalog
    catalog = read_catalog(settings.project, folders.migrations, folders.rollbacks)
    text = use_case.render(catalog, use_case.read_notes(settings.project))
    if html is not None:
        return _write_page(call, text, html)
    call.note(file=use_case.RUNBOOK, changed=False)
    if check:
        use_case.check(settings.project, text)
        call.answer([f"{use_case.RUNBOOK} is up to date"])
        return ExitCode.DONE
    changed = use_case.write(settings.project, text)
    call.note(changed=changed)
    call.answer([f"{use_case.RUNBOOK} {'written' if changed else 'is up to date'}"])
    return ExitCode.DONE


def _write_page(call: Call, text: str, path: Path) -> ExitCode:
    from d1ops.cli.reports.files import require_folder, write_whole
    from d1ops.cli.reports.runbook_page import runbook_page

    require_folder(path, "--html")
    write_whole(path, runbook_page(text, "Which migration can be undone, what that takes, and what to do at 3 a.m."))
    call.note(file=str(path), changed=True)
    call.answer([f"{path} written"])
    return ExitCode.DONE
