"""`status` and `plan`: where the target stands, and what would be run. They never write anything anywhere."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from d1ops.cli.call import Call
from d1ops.cli.declare import command
from d1ops.cli.options import Only, To, refuse_both
from d1ops.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from d1ops.core.ledger import MigrationStatus, Progress, State
    from d1ops.ops.condition import Condition
    from d1ops.ops.drift import Mend
    from d1ops.ops.load_mark import UnderWay
    from d1ops.ops.workspace import Workspace


@command(
    "status",
    "d1ops status",
    "d1ops status --env staging --exit-code",
    "d1ops status --drift --env staging",
    "d1ops status --format json",
)
def status(
    call: Call,
    exit_code: Annotated[
        bool,
        typer.Option(
            "--exit-code",
            help="Exit 1 unless every migration is applied, as it is on disk, and nothing serious is left behind.",
        ),
    ] = False,
    short: Annotated[bool, typer.Option("--short", help="Only count, and name what asks for something.")] = False,
    drift: Annotated[
        bool,
        typer.Option("--drift", help="Compare the schema with what the applied migrations make; exit 1 for drift."),
    ] = False,
    write_migration: Annotated[
        str | None,
        typer.Option(
            "--write-migration",
            metavar="TITLE",
            show_default=False,
            help="With --drift: write the next migration, which brings the target back and does nothing elsewhere.",
        ),
    ] = None,
) -> ExitCode:
    """Say where every migration stands. Reads only.

    Exits 6 while a restore is under way.
    """
    from d1ops.cli.documents import condition_document, migration_document, progress_document, target_document
    from d1ops.cli.drift import drift_document, drift_lines
    from d1ops.cli.words import target_line
    from d1ops.core.ledger import State
    from d1ops.ops.condition import conditions
    from d1ops.ops.load_mark import under_way
    from d1ops.ops.look import look

    with call.open() as workspace:
        seen = look(workspace)
        found = seen.statuses(workspace)
        asking = conditions(workspace, seen)
        tally = Counter(each.state for each in found)
        call.note(
            target=target_document(workspace, seen.size_bytes),
            ledger=workspace.ledger,
            migrations=[migration_document(each) for each in found],
            summary={state.value: number for state, number in tally.items()},
            chunked=[progress_document(each) for each in seen.progress],
            conditions=[condition_document(call, each) for each in asking],
            requests=workspace.database.requests,
        )
        restoring = under_way(workspace, seen)
        call.note(restoring=_restoring_document(call, restoring))
        whole = [target_line(workspace, seen.size_bytes), "", *_migration_lines(found), ""]
        lines = [*([] if short else whole), *_summary_lines(found, tally)]
        drifted = None
        if drift:
            from d1ops.ops import drift as use_case

            drifted = use_case.find(workspace, seen)
            call.note(drift=drift_document(drifted))
            lines += ["", *drift_lines(drifted)]
            if write_migration is not None and not drifted.is_clean:
                lines += _write_mend(call, workspace, use_case.mend(drifted, seen.schema), write_migration)
        call.answer(
            [
                *lines,
                *_condition_lines(call, [each for each in asking if each.name != "restoring"]),
                *_progress_lines(call, seen.progress),
                *_restoring_lines(call, restoring),
            ]
        )
    if restoring is not None:
        return ExitCode.HUMAN
    if drifted is not None and not drifted.is_clean:
        return ExitCode.NO
    clean = tally.keys() <= {State.APPLIED, State.UNVERIFIED} and not any(each.is_serious for each in asking)
    return ExitCode.NO if exit_code and not clean else ExitCode.DONE


@command("plan", "d1ops plan", "d1ops plan --to 0009 --env staging")
def plan(call: Call, to: To = None, only: Only = None) -> ExitCode:
    """Say what `migrate` would run, in order. Reads only."""
    from d1ops.cli.documents import plan_document, target_document
    from d1ops.cli.words import plan_lines, target_line
    from d1ops.ops import migrate
    from d1ops.ops.look import look

    refuse_both(to, only)
    with call.open() as workspace:
        seen = look(workspace)
        call.note(target=target_document(workspace, seen.size_bytes), plan=[], refused=None)
        found = migrate.plan(workspace, seen, to=to, only=only)
        call.note(plan=plan_document(found), requests=workspace.database.requests)
        lines = ["nothing to do: no migration is pending"] if found.is_empty else plan_lines(found)
        call.answer([target_line(workspace, seen.size_bytes), "", *lines])
    return ExitCode.DONE


def _write_mend(call: Call, workspace: Workspace, mend: Mend, title: str) -> list[str]:
    from d1ops.ops import author
    from d1ops.ops.drift import UNDOES_NOTHING

    settings = call.settings()
    folders = settings.catalog
    pair = author.next_pair(workspace.catalog, title, folders.migrations, folders.rollbacks)
    author.write_files(settings.project, {pair.migration: mend.text, pair.rollback: UNDOES_NOTHING})
    call.note(written={"migration": pair.migration, "rollback": pair.rollback, "left": list(mend.left)})
    left = [f"not in it, decide by hand: {', '.join(mend.left)}"] if mend.left else []
    return ["", f"{pair.migration} brings it back, {pair.rollback} has nothing to undo", *left]


def _restoring_document(call: Call, mark: UnderWay | None) -> dict[str, Any] | None:
    if mark is None:
        return None
    return {
        "backup": mark.backup,
        "env": mark.source_env,
        "started_at": mark.started_at,
        "actor": mark.actor,
        "requests_done": max(mark.done, 0),
        "removing": mark.done < 0,
        "resume": call.command("restore", "--resume"),
        "undo": call.command("restore", mark.bookmark),
    }


def _restoring_lines(call: Call, mark: UnderWay | None) -> list[str]:
    """A restore that is not finished, and the two ways out of it."""
    from d1ops.cli.text import count, facts

    if mark is None:
        return []
    place = "what was there is being removed" if mark.done < 0 else f"{count(mark.done, 'request')} done"
    return [
        "",
        f"a restore of backup {mark.backup} is under way since {mark.started_at}, begun by {mark.actor}: {place}",
        *facts(
            [
                ("go on", call.command("restore", "--resume")),
                ("undo", call.command("restore", mark.bookmark)),
                ("", "rewinds every table to the moment before the restore began"),
            ]
        ),
    ]


def _migration_lines(found: Sequence[MigrationStatus]) -> list[str]:
    from d1ops.cli.text import moment, table

    rows = [
        [
            each.label,
            each.migration.name if each.migration else each.file,
            each.state.value,
            (moment(each.ledger.applied_at) or "") if each.ledger else "",
        ]
        for each in found
    ]
    return table(["number", "name", "state", "applied at"], rows)


def _condition_lines(call: Call, found: Sequence[Condition]) -> list[str]:
    """Name each state that a crash, a lost answer or another tool left, and the one command that goes on."""
    from d1ops.cli.text import one_line

    lines: list[str] = []
    for each in found:
        lines += ["", f"{each.name}: {one_line(each.fact)}"]
        lines += [f"go on: {call.command(*each.command)}"] if each.command else []
    return lines


def _summary_lines(found: Sequence[MigrationStatus], tally: Mapping[State, int]) -> list[str]:
    """How many are in each state, and for each state that asks for something what to do."""
    from d1ops.cli.text import count
    from d1ops.cli.words import labels
    from d1ops.core.ledger import ADVICE

    if not found:
        return ["there are no migrations"]
    counts = ", ".join(f"{number} {state.value}" for state, number in tally.items())
    asking = {state: labels(each.label for each in found if each.state is state) for state in tally if state in ADVICE}
    return [
        f"{count(len(found), 'migration')}: {counts}",
        *(f"{which} {state.value}: {ADVICE[state]}" for state, which in asking.items()),
    ]


def _progress_lines(call: Call, progress: Sequence[Progress]) -> list[str]:
    from d1ops.core.chunked import Key

    return [
        f"{each.migration} is under way: {each.pieces} pieces done, up to the key {Key(each.done_to)}, at {each.at} by"
        f" {each.actor}; {call.command('migrate')} goes on"
        for each in progress
    ]
