"""`new` and `rollback-script`: they write files of the catalog. Neither reaches a database."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from d1ops.cli import complete, diagnostics
from d1ops.cli.call import Call
from d1ops.cli.declare import command
from d1ops.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from d1ops.core.undo.generate import Comparison, Rollback


@command("new", 'd1ops new "add venues"', 'd1ops new "send the mail" --irreversible "mail cannot be called back"')
def new(
    call: Call,
    title: Annotated[str, typer.Argument(metavar="TITLE", help="What it does, in a few words.")],
    irreversible: Annotated[
        str | None,
        typer.Option(
            "--irreversible",
            metavar="REASON",
            show_default=False,
            help="Say beforehand that it cannot be undone, and why; rollback then refuses it.",
        ),
    ] = None,
) -> ExitCode:
    """Write the next migration and its rollback script.

    Numbered after the newest, as the catalog pads its numbers. Overwrites nothing, reaches no database.
    """
    from d1ops.ops import author as use_case
    from d1ops.ops.workspace import read_catalog

    settings = call.settings()
    folders = settings.catalog
    catalog = read_catalog(settings.project, folders.migrations, folders.rollbacks)
    pair = use_case.next_pair(catalog, title, folders.migrations, folders.rollbacks)
    use_case.write_pair(settings.project, pair, title, irreversible=irreversible)
    call.note(number=pair.number, label=pair.label, name=pair.name, migration=pair.migration, rollback=pair.rollback)
    call.answer([pair.migration, pair.rollback])
    return ExitCode.DONE


@command(
    "rollback-script",
    "d1ops rollback-script 0007",
    "d1ops rollback-script 0013 --write",
    "d1ops rollback-script 0007 --compare --format json",
)
def rollback_script(
    call: Call,
    number: Annotated[
        str,
        typer.Argument(metavar="NUMBER", help="The migration to undo.", autocompletion=complete.migrations),
    ],
    write: Annotated[bool, typer.Option("--write", help="Write it to its file, if it is proved.")] = False,
    compare: Annotated[
        bool, typer.Option("--compare", help="Say how the script that is there differs; exit 1 if in effect.")
    ] = False,
    irreversible: Annotated[
        bool,
        typer.Option("--irreversible", help="With --write: also where data cannot return, marked as irreversible."),
    ] = False,
) -> ExitCode:
    """Generate the rollback script of a migration, and prove it.

    The migration runs on generated rows, then the script, and schema and rows must be those from before. Exits 1 when
    they are not. Reaches no database.
    """
    from d1ops.ops import author as use_case
    from d1ops.ops.workspace import read_catalog

    if write and compare:
        raise UsageError("--write and --compare exclude each other", hint="leave one of them out")
    if irreversible and not write:
        raise UsageError("--irreversible says how to write", hint="add --write")
    settings = call.settings()
    folders = settings.catalog
    catalog = read_catalog(settings.project, folders.migrations, folders.rollbacks)
    migration = catalog.find(number)
    authored = use_case.author(catalog, migration, folders.rollbacks)
    rollback, comparison = authored.rollback, authored.comparison
    call.note(
        migration={
            "number": migration.number, "label": migration.label, "name": migration.name, "file": migration.file,
        },
        script=rollback.script.path,
        sql=rollback.script.data.decode(),
        **_document(rollback),
        rebuilt=list(rollback.rebuilt),
        moved=list(rollback.moved),
        not_returned=list(rollback.empty),
        existing=_comparison_document(comparison),
        written=False,
    )  # fmt: skip
    if compare:
        call.answer(_comparison_lines(rollback, comparison))
        return ExitCode.DONE if comparison is not None and comparison.is_equal else ExitCode.NO
    for line in _verdict_lines(rollback):
        diagnostics.tell(line)
    if write:
        written = use_case.keep(settings.project, authored, irreversible=irreversible)
        call.note(sql=written.data.decode(), written=True)
        call.answer([written.path])
        return ExitCode.DONE
    for line in _comparison_lines(rollback, comparison) if comparison else ():
        diagnostics.tell(line)
    call.answer([rollback.script.data.decode().rstrip()])
    return ExitCode.DONE if rollback.standing.is_proved else ExitCode.NO


def _document(rollback: Rollback) -> dict[str, Any]:
    judged = rollback.judged
    return {
        "standing": rollback.standing.value,
        "verdict": judged.verdict.value,
        "reasons": list(rollback.reasons),
        "lost": list(judged.lost),
        "alone": judged.alone,
        "obstacles": list(judged.obstacles),
        "warnings": list(judged.warnings),
        "changes": rollback.changes,
    }


def _comparison_document(comparison: Comparison | None) -> dict[str, Any] | None:
    if comparison is None:
        return None
    return {
        "sql": comparison.existing.script.data.decode(errors="replace"),
        **_document(comparison.existing),
        "is_equal": comparison.is_equal,
        "gentler": comparison.gentler,
    }


def _verdict_lines(rollback: Rollback) -> list[str]:
    judged = rollback.judged
    lines = [f"{rollback.standing.value}: {judged.verdict.value}"]
    if rollback.standing.is_proved:
        lines[0] = f"{rollback.standing.value} on generated rows; takes {'; '.join(judged.lost) or 'nothing'}"
    lines += [f"  {reason}" for reason in rollback.reasons]
    lines += [f"does not return: {what}" for what in rollback.empty]
    if rollback.rebuilt:
        beside = f", the rows of {', '.join(rollback.moved)} kept aside meanwhile" if rollback.moved else ""
        lines.append(f"rebuilt: {', '.join(rollback.rebuilt)}{beside}")
    if judged.alone is False:
        lines.append(f"only after later migrations were rolled back: {judged.obstacles[0]}")
    return lines


def _comparison_lines(rollback: Rollback, comparison: Comparison | None) -> list[str]:
    if comparison is None:
        return [f"{rollback.script.path} is not there, or has no statement"]
    existing = comparison.existing
    if comparison.is_equal:
        lines = [f"{existing.script.path} has the same effect as the generated script"]
    else:
        lines = [f"{existing.script.path} differs in effect: it is {existing.standing.value}"]
        lines += [f"  {text}" for text in (*existing.reasons, *existing.judged.warnings)]
        lines.append(f"the generated script is {rollback.standing.value}")
    if comparison.gentler:
        fewer, more = sorted((existing.changes, rollback.changes))
        lines.append(f"the {comparison.gentler} one is gentler: it writes {fewer} rows of the trial, the other {more}")
    return lines
