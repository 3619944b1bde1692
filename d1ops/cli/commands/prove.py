"""`check`: what every rollback can undo, found out without a target."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from d1ops.cli import complete
from d1ops.cli.call import Call
from d1ops.cli.commands.audit import FailOn
from d1ops.cli.declare import command
from d1ops.cli.reports.files import FindingsFormat
from d1ops.errors import CatalogError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

    from d1ops.cli.documents import Document
    from d1ops.cli.reports.model import Findings
    from d1ops.core.audit.finding import Finding
    from d1ops.core.catalog import Catalog, Migration
    from d1ops.core.verdict import Reversibility
    from d1ops.core.whole_way import WholeWay
    from d1ops.ops.check import Checked

_STAGES = {
    "trying": "forward, back and forward again",
    "alone": "its rollback alone, with all later ones applied",
    "down": "the whole way down",
    "up": "the whole way up again",
}


@command(
    "check",
    "d1ops check",
    "d1ops check 0007 0009",
    "d1ops check --allow 0004 --format json",
    "d1ops check --report check.sarif --format github",
    formats=FindingsFormat,
)
def check(
    call: Call,
    numbers: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[NUMBER]...",
            show_default=False,
            help="Only these migrations; all, and the whole way up, down and up, if none is named.",
            autocompletion=complete.migrations,
        ),
    ] = None,
    allow: Annotated[
        list[str] | None,
        typer.Option(
            "--allow",
            metavar="NUMBER",
            show_default=False,
            help="A migration whose verdict does not make the answer no; may be given several times.",
            autocompletion=complete.migrations,
        ),
    ] = None,
    strict: Annotated[bool, typer.Option("--strict", help="A warning makes the answer no too.")] = False,
    rows: Annotated[int, typer.Option("--rows", min=1, max=1000, help="How many rows every table gets.")] = 3,
    seed: Annotated[int, typer.Option("--seed", help="Another seed makes other rows.")] = 1,
    fail_on: Annotated[
        FailOn, typer.Option("--fail-on", help="Exit 1 for a finding of the lint of this severity or a weightier one.")
    ] = FailOn.WARNING,
    report: Annotated[
        list[Path] | None,
        typer.Option(
            "--report",
            metavar="FILE",
            show_default=False,
            help="Write a report too, once for each kind: FILE ends in .html, .sarif, .xml (JUnit), .json or .md.",
        ),
    ] = None,
) -> ExitCode:
    """Prove every rollback on generated rows, and lint every script.

    Each migration is applied, rolled back and applied again; schema and rows are compared; then its rollback runs with
    all later migrations applied. Exits 1 for a rollback that is not proved, unless the migration or its rollback says
    `-- d1ops: irreversible REASON`, and for what the lint finds. Reaches no database. What the verdicts mean:
    docs/check.md; the rules: docs/rules.
    """
    import time

    from d1ops.cli import diagnostics
    from d1ops.cli.reports import files
    from d1ops.cli.reports.build_check import of_check
    from d1ops.core.catalog import Catalog
    from d1ops.core.lint.report import lint
    from d1ops.ops import check as use_case
    from d1ops.ops.workspace import read_catalog, read_queries

    paths = report or []
    files.check_paths(paths)
    settings = call.settings()
    folders = settings.catalog

    def findings(catalog: Catalog, done: Checked | None, found: Sequence[Finding]) -> Findings:
        return of_check(
            catalog,
            done,
            done.problems(allowed=allowed, strict=strict) if done else {},
            found,
            excused=_paths(catalog, allowed),
            fails_from=fail_on.severity,
            made_at=datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            folder=files.repository_folder(settings.project),
        )

    allowed: frozenset[int] = frozenset()
    try:
        catalog = read_catalog(settings.project, folders.migrations, folders.rollbacks)
    except CatalogError:
        named = use_case.lint_names(settings.project, folders.migrations, folders.rollbacks)
        if not named:
            raise
        call.note(migrations=[], findings=[_finding_document(each) for each in named], ignored=0)
        found = findings(Catalog(()), None, named)
        _write(call, paths, found)
        _answer(call, found, _finding_lines(named))
        return ExitCode.NO
    queries = read_queries(settings.project, folders.queries)
    only = frozenset(catalog.find(number).number for number in numbers) if numbers else None
    allowed = frozenset(catalog.find(number).number for number in allow or ())
    started = time.monotonic()
    try:
        done = use_case.check(
            catalog, only=only, queries=queries, rows=rows, seed=seed, clock=time.monotonic, progress=_progress(catalog)
        )
    finally:
        diagnostics.show("")
    linted = lint(catalog)
    seconds = time.monotonic() - started
    problems = done.problems(allowed=allowed, strict=strict)
    way = done.way
    call.note(
        migrations=[_document(one, done, problems) for one in done.judged],
        stopped=None if done.stopped is None else {"number": done.stopped[0].number, "reason": done.stopped[1]},
        whole_way=None if way is None else _way_document(way),
        rows=rows,
        seed=seed,
        seconds=round(seconds, 3),
        problems=sum(map(len, problems.values())) + (len(way.problems) if way else 0),
    )
    shown = [each for each in linted.findings if only is None or each.path in _paths(catalog, only)]
    call.note(findings=[_finding_document(each) for each in shown], ignored=linted.ignored)
    whole = findings(catalog, done, shown)
    _write(call, paths, whole)
    _answer(call, whole, _lines(done, problems, seconds, folders.rollbacks, _finding_lines(shown)))
    is_no = bool(problems) or (way is not None and not way.holds) or whole.is_no
    return ExitCode.NO if is_no else ExitCode.DONE


def _paths(catalog: Catalog, only: Collection[int]) -> set[str]:
    chosen = [m for m in catalog.migrations if m.number in only]
    return {script.path for m in chosen for script in (m.script, m.rollback) if script is not None}


def _write(call: Call, paths: Iterable[Path], found: Findings) -> None:
    from d1ops.cli import diagnostics
    from d1ops.cli.reports import files

    for path in paths:
        files.write_report(path, found, call.document)
        diagnostics.tell(f"report: {path}")


def _answer(call: Call, found: Findings, lines: Sequence[str]) -> None:
    from d1ops.cli.reports import github
    from d1ops.cli.reports.files import rendered

    match call.format:
        case FindingsFormat.SARIF | FindingsFormat.JUNIT:
            call.answer(rendered(call.format.value, found, call.document).rstrip("\n").split("\n"))
        case FindingsFormat.GITHUB:
            call.answer(github.workflow_commands(found))
            github.write_summary(found, os.environ)
        case _:
            call.answer(lines)


def _finding_lines(found: Iterable[Finding]) -> list[str]:
    lines: list[str] = []
    for each in found:
        place = f"{each.path}:{each.line}: " if each.path else ""
        lines += [f"{each.severity.value}: {place}{each.message} [{each.rule}]", f"  try: {each.remedy}"]
    return lines


def _finding_document(finding: Finding) -> Document:
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "path": finding.path,
        "line": finding.line,
        "table": finding.table,
        "columns": list(finding.columns),
        "message": finding.message,
        "remedy": finding.remedy,
        "key": finding.key,
    }


def _progress(catalog: Catalog) -> Callable[[str, Migration], None]:
    from d1ops.cli import diagnostics

    def progress(stage: str, migration: Migration) -> None:
        diagnostics.show(f"{migration.label} of {len(catalog.migrations)} {_STAGES[stage]}")

    return progress


# -- JSON ----------------------------------------------------------------------------------------------------


def _document(one: Reversibility, done: Checked, problems: Mapping[int, tuple[str, ...]]) -> Document:
    from dataclasses import asdict

    migration, made = one.migration, one.made
    return {
        "number": migration.number,
        "label": migration.label,
        "name": migration.name,
        "verdict": one.verdict.value,
        "rollback": migration.rollback.path if migration.rollback else None,
        "evidence": list(one.evidence),
        "alone": None if one.alone is None else "holds" if one.alone else "cascade only",
        "obstacles": list(one.obstacles),
        "needed_by": [later.number for later in one.needed_by],
        "loses": list(one.lost),
        "lost": [_loss_document(loss.losses, loss.rows_lost) for loss in one.losses],
        "destroyed": [_loss_document(loss.losses, loss.rows_lost) for loss in one.destroyed],
        "makes": {**asdict(made), "rows": [{"table": table, "rows": count} for table, count in made.rows]},
        "reordered": list(one.reordered),
        "warnings": list(one.warnings),
        "problems": list(problems.get(migration.number, ())),
        "seconds": round(done.seconds.get(migration.number, 0.0), 3),
    }


def _loss_document(names: Iterable[str], rows: int) -> Document:
    return {"names": list(names), "rows": rows}


def _way_document(way: WholeWay) -> Document:
    return {
        "holds": way.holds,
        "rolled_back": way.rolled_back,
        "ends_at": way.ends_at.number if way.ends_at else None,
        "problems": list(way.problems),
    }


# -- text ----------------------------------------------------------------------------------------------------


def _lines(
    done: Checked, problems: Mapping[int, tuple[str, ...]], seconds: float, rollbacks: str, linted: Sequence[str]
) -> list[str]:
    from d1ops.cli.text import count, table
    from d1ops.core.verdict import REACH, Verdict, joined

    lines = table(
        ("no", "name", "verdict", "alone", "a rollback loses"),
        [
            (
                one.migration.label,
                one.migration.name,
                one.verdict.value,
                REACH[one.alone],
                joined(one.lost, most=2) if one.verdict.is_proved else "-",
            )
            for one in done.judged
        ],
    )
    for one in done.judged:
        label = one.migration.label
        wrong = problems.get(one.migration.number, ())
        lines += [f"problem: {label} {text}" for text in wrong]
        if wrong and not one.verdict.is_proved:
            script = one.migration.rollback.path if one.migration.rollback else f"{rollbacks}/{label}_rollback.sql"
            what = "mend" if one.migration.rollback else f"d1ops rollback-script {label} --write makes"
            lines.append(f"  try: {what} {script}, or say there why not: -- d1ops: irreversible REASON")
        lines += [f"warning: {label} {text}" for text in one.warnings if text not in wrong]
    if done.stopped is not None:
        migration, reason = done.stopped
        lines.append(f"problem: {migration.label} does not run after the earlier ones: {reason}")
    if done.way is not None:
        lines += [f"problem: the whole way: {text}" for text in done.way.problems]
    lines += linted
    tally = [(verdict, sum(one.verdict is verdict for one in done.judged)) for verdict in Verdict]
    facts = [", ".join(f"{number} {verdict.value}" for verdict, number in tally if number) or "nothing to prove"]
    if done.way is not None:
        facts.append(_way_line(done.way))
    return [*lines, "", f"{count(len(done.judged), 'migration')}: {'; '.join(facts)}; {seconds:.1f} s"]


def _way_line(way: WholeWay) -> str:
    from d1ops.cli.text import count

    if not way.holds:
        return "up, down and up again does not hold"
    if way.ends_at is not None and not way.rolled_back:
        return f"there is no way down past {way.ends_at.label}"
    end = f" down to {way.ends_at.label}" if way.ends_at else ""
    return f"up, {count(way.rolled_back, 'rollback')} down{end} and up again holds"
