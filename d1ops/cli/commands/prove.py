"""`check`: what every rollback can undo, found out without a target."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from d1ops.cli import complete
from d1ops.cli.call import Call
from d1ops.cli.declare import command
from d1ops.errors import ExitCode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from d1ops.cli.documents import Document
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


@command("check", "d1ops check", "d1ops check 0007 0009", "d1ops check --allow 0004 --format json")
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
) -> ExitCode:
    """Prove every rollback on generated rows.

    Each migration is applied, rolled back and applied again; schema and rows are compared; then its rollback runs with
    all later migrations applied. Exits 1 for a rollback that is not proved, unless the migration or its rollback says
    `-- d1ops: irreversible REASON`. Reaches no database. What the verdicts mean: docs/check.md.
    """
    import time

    from d1ops.cli import diagnostics
    from d1ops.ops import check as use_case
    from d1ops.ops.workspace import read_catalog, read_queries

    settings = call.settings()
    folders = settings.catalog
    catalog = read_catalog(settings.project, folders.migrations, folders.rollbacks)
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
    call.answer(_lines(done, problems, seconds, folders.rollbacks))
    return ExitCode.NO if problems or (way is not None and not way.holds) else ExitCode.DONE


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


def _lines(done: Checked, problems: Mapping[int, tuple[str, ...]], seconds: float, rollbacks: str) -> list[str]:
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
            what = "mend" if one.migration.rollback else "write"
            lines.append(f"  try: {what} {script}, or say there why not: -- d1ops: irreversible REASON")
        lines += [f"warning: {label} {text}" for text in one.warnings if text not in wrong]
    if done.stopped is not None:
        migration, reason = done.stopped
        lines.append(f"problem: {migration.label} does not run after the earlier ones: {reason}")
    if done.way is not None:
        lines += [f"problem: the whole way: {text}" for text in done.way.problems]
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
