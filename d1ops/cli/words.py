"""What commands say about a target, a plan, a loss and a change, in lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.cli.documents import verdict_of
from d1ops.cli.text import columns, count, facts, shown_path, size, table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from d1ops.cli.call import Call
    from d1ops.core.breakage import Breakage
    from d1ops.core.plan import Plan
    from d1ops.core.rehearsal import Cause, ColumnLoss, TableLoss
    from d1ops.ops.backup import VerifiedBackup
    from d1ops.ops.change import Applied, Consent, Prepared
    from d1ops.ops.running import Running
    from d1ops.ops.workspace import Workspace


MAX_LOGGED_LINES = 20
"""A dropped column may break every query of a log."""

PROBE = (
    "The probe sends one batch that makes a table d1ops_probe, fills it, and must fail; then it looks whether anything"
    " is left, and drops it."
)


def target_line(workspace: Workspace, size_bytes: int | None) -> str:
    """Return the line that says which database a command is about to touch. The size is None where nobody asked."""
    target = workspace.database.target
    account = f", account {target.account}" if target.account else ""
    guard = "PROTECTED" if workspace.protected else "not protected"
    shown = "" if size_bytes is None else f", {size(size_bytes)}" if size_bytes else ", empty"
    return f"target: {target.kind} {target.name} ({target.id}){account}{shown}, env {workspace.env}, {guard}"


def plan_lines(plan: Plan) -> list[str]:
    """Return one line a step."""
    return columns(
        [
            f"{number}.",
            step.kind.value,
            step.migration.label,
            step.migration.name,
            f"{step.script.path}, {count(len(step.script.statements), 'statement')}",
        ]
        for number, step in enumerate(plan.steps, start=1)
    )


def labels(of: Iterable[str]) -> str:
    """Return numbers of migrations in one phrase: `0001, 0002`, or `0001 ... 0012 (12)` when they are many."""
    found = list(of)
    return ", ".join(found) if len(found) <= 6 else f"{found[0]} ... {found[-1]} ({len(found)})"


_MOST_COLUMNS = 3
"""So many columns of a table are told; all are in the JSON document and in what is refused."""


def loss_lines(losses: Iterable[TableLoss], collateral: frozenset[str] | None) -> list[str]:
    """Return the table of what a change takes away, and below it by what: statement, place and cascade path.

    Without `collateral` nobody judges the losses: the change is a rewind.
    """
    found = list(losses)
    headers = ["table", "rows before", "after", "lost", "columns"]
    rows = []
    for loss in found:
        gone = "" if loss.exists_after else f"renamed to {loss.renamed_to}" if loss.renamed_to else "table dropped"
        shown = [_column(column) for column in loss.columns[:_MOST_COLUMNS]]
        rest = len(loss.columns) - len(shown)
        unfit = "a search finds other rows than it should" if loss.is_unfit else ""
        changed = ", ".join(filter(None, [gone, unfit, *shown, f"and {count(rest, 'column')} more" if rest else ""]))
        row = [loss.table, f"{loss.rows_before:,}", f"{loss.rows_after:,}", f"{loss.rows_lost:,}", changed]
        if collateral is not None:
            verdict = verdict_of(loss, collateral)
            row.append("COLLATERAL" if verdict == "collateral" else verdict)
        rows.append(row)
    lines = table(headers if collateral is None else [*headers, "verdict"], rows, right=(1, 2, 3))
    return [*lines, *_cause_lines(found)]


def _column(column: ColumnLoss) -> str:
    if column.renamed_to:
        return f"{column.column} renamed to {column.renamed_to}"
    lost = f"{count(column.values_lost, 'value')} lost" if column.values_lost else "it was empty"
    return f"{column.column} dropped, {lost}" if column.dropped else f"{column.column}: {lost}"


def _cause_lines(losses: Iterable[TableLoss]) -> list[str]:
    """Name each statement that took something, and below it the tables it took it from and the way there."""
    by_statement: dict[tuple[str, str], list[list[str]]] = {}
    for loss in losses:
        for cause in loss.causes if loss.losses else ():
            counts = [f"{number:,} {verb}" for number, verb in _touched(cause) if number]
            path = " -> ".join(cause.path) if len(cause.path) > 1 else ""
            row = [f"  {loss.table}", ", ".join(counts), path]
            by_statement.setdefault((cause.place, cause.statement), []).append(row)
    lines: list[str] = []
    for (place, statement), rows in by_statement.items():
        lines += ["", f"{place}  {statement}", *columns(rows)]
    return lines


def _touched(cause: Cause) -> tuple[tuple[int, str], ...]:
    return (cause.deleted, "deleted"), (cause.updated, "updated")


def prepared_lines(prepared: Prepared) -> list[str]:
    """Return what must be read before somebody agrees: the losses, the proof, and what speaks against it."""
    lines: list[str] = []
    if prepared.losses:
        lines += ["", *loss_lines(prepared.losses, frozenset(prepared.collateral))]
    elif prepared.backup:
        lines += ["", "no row and no value of any table is lost"]
    problems = [
        *(f"drift: {label} is not as the migrations made it" for label in prepared.drift),
        *(f"wrong: {problem}" for problem in prepared.wrong),
        *(f"dangling: {number:,} in {child} towards {parent}" for child, parent, number in prepared.dangling),
        *([f"goes: {', '.join(prepared.vanished)}"] if prepared.vanished else []),
        *_breakage_lines(prepared.breakages),
        *(f"warning: {warning}" for warning in prepared.warnings),
        *_running_lines(prepared.running),
    ]
    return [*lines, *([""] if problems else []), *problems]


def _breakage_lines(breakages: Sequence[Breakage]) -> list[str]:
    """Those of files, all of them; and of those that the log alone knows, the ones that read most."""
    logged = [each for each in breakages if not each.path]
    rest = len(logged) - MAX_LOGGED_LINES
    shown = [each for each in breakages if each.path] + logged[:MAX_LOGGED_LINES]
    lines = [f"breaks the running Worker: {each}" for each in shown]
    return lines + (
        [f"breaks the running Worker: {rest} more queries of the query log (--format json)"] if rest > 0 else []
    )


def _running_lines(running: Running | None) -> list[str]:
    """Say which queries were looked at. Where there is none to look at, nothing was."""
    if running is None:
        return []
    if running.problem is not None:
        looked = f"{count(running.files, 'query')} of files" if running.files else "no query"
        return [f"the query log was not read ({running.problem}); looked at for what breaks: {looked}"]
    if running.logged is None:
        return []
    held_back = "" if running.is_whole else ", those that read most"
    return [
        f"looked at for what breaks: {count(running.files, 'query')} of files, {count(running.logged, 'query')} of the"
        f" query log of {count(running.days or 0, 'day')}{held_back}"
    ]


def proof_line(prepared: Prepared, consent: Consent) -> str:
    """Return the verdict on a rollback whose structure was proved. It never sounds like a go where rows would go that
    nobody named."""
    unnamed = [loss for loss in prepared.collateral if not consent.covers(loss)]
    if unnamed:
        what = "what is marked COLLATERAL" if len(unnamed) == len(prepared.collateral) else ", ".join(unnamed)
        return f"the schema would be right, and {what} would be lost: nobody asked for that"
    if prepared.collateral:
        return "the schema would be right, and what is marked COLLATERAL would be lost: it is accepted by name"
    if prepared.data_proved:
        return "structure proved: afterwards the schema is as if it had never been applied"
    return "structure proved, data not: the migration wrote to rows, and no script can be shown to bring these back"


def applied_lines(call: Call, applied: Applied, backup: VerifiedBackup | None, requests: int) -> list[str]:
    """Return what it cost, and how to undo it."""
    cost = [count(requests, "request")]
    cost += [f"{applied.rows_read:,} rows read"] if applied.rows_read is not None else []
    cost += [f"{applied.rows_written:,} rows written"] if applied.rows_written is not None else []
    pairs = [("cost", ", ".join(cost))]
    if backup:
        pairs.append(("backup", f"{backup.id} ({shown_path(backup.folder)}/manifest.json)"))
    pairs += [("bookmark", applied.bookmark), *undo_facts(undo_command(call, applied))]
    return [*facts(pairs), *(f"warning: {warning}" for warning in applied.warnings)]


def undo_facts(command: str) -> list[tuple[str, str]]:
    """Return the command that undoes, and its price: a rewind is more than the reverse of the change."""
    return [("undo", command), ("", "rewinds every table to before the change; rows written since then would be lost")]


def undo_command(call: Call, applied: Applied) -> str:
    """Return the one command that takes a change back."""
    return call.command("restore", applied.backup_id or applied.bookmark)
