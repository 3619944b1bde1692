"""`audit`: every foreign key, index and frequent query, judged on the target's own schema."""

from __future__ import annotations

import os
from dataclasses import replace
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from d1ops.cli.call import Call
from d1ops.cli.declare import command
from d1ops.cli.reports.files import FindingsFormat
from d1ops.errors import ExitCode

if TYPE_CHECKING:
    from d1ops.cli.reports.model import Findings
    from d1ops.core.audit.finding import Severity
    from d1ops.core.audit.report import Summary


class FailOn(StrEnum):
    """The least severity of a finding that makes the answer no."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    NEVER = "never"

    @property
    def severity(self) -> Severity | None:
        """The severity, or None when nothing makes the answer no."""
        from d1ops.core.audit.finding import Severity

        return None if self is FailOn.NEVER else Severity(self.value)


@command(
    "audit",
    "d1ops audit",
    "d1ops audit --env staging --fail-on error",
    "d1ops audit --report audit.html --report audit.sarif",
    "d1ops audit --format github --baseline audit-baseline.json",
    "d1ops audit --env staging --from-source src --from-insights --advice",
    "d1ops audit --write-migration missing_indexes",
    formats=FindingsFormat,
)
def audit(
    call: Call,
    fail_on: Annotated[
        FailOn, typer.Option("--fail-on", help="Exit 1 for a finding of this severity or a weightier one.")
    ] = FailOn.WARNING,
    count: Annotated[
        bool, typer.Option("--count", help="Count the rows of every table, which reads and bills each of them.")
    ] = False,
    remote_plans: Annotated[
        bool, typer.Option("--remote-plans", help="Ask the target for its own plan of every query, and compare.")
    ] = False,
    report: Annotated[
        list[Path] | None,
        typer.Option(
            "--report",
            metavar="FILE",
            show_default=False,
            help="Write a report too, once for each kind: FILE ends in .html, .sarif, .xml (JUnit), .json or .md.",
        ),
    ] = None,
    baseline: Annotated[
        Path | None,
        typer.Option(
            "--baseline", metavar="FILE", show_default=False, help="Report only what this file does not know."
        ),
    ] = None,
    write_baseline: Annotated[
        Path | None,
        typer.Option(
            "--write-baseline",
            metavar="FILE",
            show_default=False,
            help="Write all findings that are not ignored to this file, and exit 0.",
        ),
    ] = None,
    from_source: Annotated[
        list[Path] | None,
        typer.Option(
            "--from-source",
            metavar="DIR",
            show_default=False,
            help="Audit the SQL in the TypeScript, JavaScript and Python of this folder too; may be repeated.",
        ),
    ] = None,
    from_insights: Annotated[
        bool, typer.Option("--from-insights", help="Audit the queries of the target's query log too, by their weight.")
    ] = False,
    days: Annotated[int, typer.Option("--days", help="How far back the query log is read; 31 at most.")] = 31,
    advice: Annotated[
        bool, typer.Option("--advice", help="Find the smallest set of indexes that serves all queries, and measure it.")
    ] = False,
    measure_on: Annotated[
        str | None,
        typer.Option(
            "--measure-on",
            metavar="BACKUP",
            show_default=False,
            help="Measure on the rows of this backup, not on generated ones.",
        ),
    ] = None,
    max_indexes: Annotated[
        int, typer.Option("--max-indexes-per-table", min=1, help="Advise no more indexes on a table that has so many.")
    ] = 10,
    min_rows_saved: Annotated[
        int, typer.Option("--min-rows-saved", min=1, help="Advise no index that saves fewer rows read a run.")
    ] = 1,
    write_migration: Annotated[
        bool,
        typer.Option(
            "--write-migration",
            help="Write the migration that mends the findings, and its rollback; with --advice all that is advised.",
        ),
    ] = False,
    name: Annotated[
        str | None,
        typer.Argument(metavar="NAME", show_default=False, help="What the migration of --write-migration is called."),
    ] = None,
) -> ExitCode:
    """Find missing indexes, indexes that do no work, and queries that read whole tables.

    Looks at every foreign key, at every index and at every query in the project's folder of queries. The schema is the
    target's own, the plans are SQLite's own; at most two requests, and one more for --count and for --remote-plans.
    The target is only read; advice is measured on a scratch database.
    """
    from d1ops.cli import advice as advising
    from d1ops.cli.documents import target_document
    from d1ops.cli.reports import build, files
    from d1ops.core.audit.finding import Severity
    from d1ops.core.audit.sift import baseline_text, sift
    from d1ops.ops import audit as use_case
    from d1ops.ops.workspace import read_catalog

    wish = advising.Wish(
        from_source or [],
        days if from_insights else None,
        advice,
        measure_on,
        max_indexes,
        min_rows_saved,
        write_migration,
        name,
        Severity.INFO if fail_on is FailOn.INFO else Severity.WARNING,
    )
    wish.check()
    paths = report or []
    files.check_paths(paths)
    if write_baseline is not None:
        files.require_folder(write_baseline, "--write-baseline")
    settings = call.settings()
    folders = settings.catalog
    ignores = use_case.read_ignores(settings)
    known = use_case.read_baseline_file(baseline) if baseline is not None else None
    with call.open(catalog=write_migration) as workspace:
        workload = advising.read_workload(call, wish, settings, workspace)
        done = use_case.audit(
            workspace.database,
            workload.queries,
            workspace.ledger,
            read_catalog=lambda: read_catalog(settings.project, folders.migrations, folders.rollbacks),
            count=count,
            with_remote_plans=remote_plans,
            tell=workspace.tell,
        )
        in_sight = partial(done.report.scope.holds, with_sources=bool(from_source))
        sifted = sift(done.report.findings, ignores, known, in_sight)
        advised, new = advising.advise(call, wish, settings, workspace, done, workload, sifted.new)
        sifted = replace(sifted, new=new)
        places = use_case.places(settings, sifted, workspace.tell)
        found = build.of_audit(
            done.report,
            sifted,
            places,
            env=workspace.env,
            target=done.target,
            fails_from=fail_on.severity,
            has_baseline=known is not None,
            made_at=workspace.timestamp(),
            folder=files.repository_folder(settings.project),
            source=settings.shown_source,
        )
        call.note(
            target=target_document(workspace, None),
            **build.audit_document(done.report, sifted, places),
            requests=done.requests,
        )
        for path in paths:
            files.write_report(path, found, call.document)
            workspace.tell(f"report: {path}")
        if write_baseline is not None:
            files.write_whole(write_baseline, baseline_text((*sifted.new, *sifted.known)))
            workspace.tell(f"baseline: {write_baseline}")
        if sifted.outdated and write_baseline is None:
            workspace.tell(
                f"{len(sifted.outdated)} of the baseline are mended; --write-baseline {baseline} forgets them"
            )
        _answer(call, found, done.report.summary, advised)
    return ExitCode.NO if found.is_no and write_baseline is None else ExitCode.DONE


def _answer(call: Call, found: Findings, summary: Summary, advised: list[str]) -> None:
    from d1ops.cli.reports import github
    from d1ops.cli.reports.files import rendered
    from d1ops.cli.reports.text import text
    from d1ops.cli.text import count

    match call.format:
        case FindingsFormat.SARIF | FindingsFormat.JUNIT:
            call.answer(rendered(call.format.value, found, call.document).rstrip("\n").split("\n"))
        case FindingsFormat.GITHUB:
            call.answer(github.workflow_commands(found))
            github.write_summary(found, os.environ)
        case _:
            lines = text(
                found,
                f"{summary.indexed_foreign_keys} of {count(summary.foreign_keys, 'foreign key')} indexed",
                f"{count(summary.queries, 'query')}, {summary.queries_with_full_scan} with a full scan",
            )
            call.answer([*lines, *advised])
