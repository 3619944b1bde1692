"""A plan rehearsed on the target itself, for a database that is too large to copy: the batch of the change, ended by an
assertion that always fails and carries the figures back. The work happens on the real rows and is undone.

What comes back are counts: rows of every table that a step can reach, values of foreign key columns and of columns that
go, foreign key violations. Identity cannot be known this way: five rows deleted and five others inserted look like none
lost. So a rehearsal in place finds how far a change reaches, and with it the scope of a backup; it does not replace the
rehearsal on the backup's clone.

Only on a target whose batches are proved all or nothing, and within the time that it gives a request. While the batch
runs others wait. Afterwards the schema and the totals of every reached table are compared with what they were.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core import assertions, figures
from d1ops.core.assertions import GUARD, GUARD_DDL, Assertion, Kind, failure_in
from d1ops.core.figures import Bound, Counted, Figure
from d1ops.core.ledger import ledger_ddl, require_untouched
from d1ops.core.lossless import reader_of
from d1ops.core.measure import ColumnLoss, TableLoss
from d1ops.core.mirror import build_mirror, schema_of
from d1ops.core.reach import reach
from d1ops.core.replay import run_on_mirror, watching
from d1ops.core.sql import fold, quote_identifier
from d1ops.core.values import Statement
from d1ops.errors import D1opsError, HumanNeeded, OutcomeUnknown, RateLimited, StatementRejected, TooLong, Unreachable
from d1ops.ops import probe
from d1ops.ops.guard import Batch
from d1ops.ops.limits import WAYS_OUT
from d1ops.ops.look import look
from d1ops.ops.refusal import explain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from d1ops.core.engine import Engine
    from d1ops.core.plan import Plan
    from d1ops.core.schema import Schema
    from d1ops.core.sql import ScriptStatement
    from d1ops.ops.look import Look
    from d1ops.ops.workspace import Workspace

_OVERRUN = re.compile(r"exceeded (?:timeout|its)", re.IGNORECASE)
"""What D1 says of a request that took too long, or too much memory (its documentation, "Debug D1")."""

IDENTITY_UNKNOWN = (
    "measured in place by counts: rows that are deleted while as many others are inserted look like none lost"
)


@dataclass(frozen=True, slots=True)
class InPlace:
    """What a plan does to the real rows. `losses` have the shape of a rehearsal on a clone, by counts: their
    `rows_lost` is at least what goes. `dangling` are the foreign key violations that would be new, by child table.

    `scope` are the tables that a backup has to hold before the change is made: the reached ones, those that the scripts
    read, and all that either reference. `moved` are reached tables whose rows were others afterwards than before:
    somebody wrote meanwhile.
    """

    plan: Plan
    look: Look
    losses: tuple[TableLoss, ...]
    dangling: tuple[tuple[str, int], ...]
    reached: tuple[str, ...]
    scope: tuple[str, ...]
    moved: tuple[str, ...]
    seconds: float
    warnings: tuple[str, ...]

    @property
    def collateral(self) -> tuple[str, ...]:
        """What is lost, as it is named for consent. Nothing is known to be expected: that takes the rows."""
        return tuple(name for loss in self.losses for name in loss.losses)


def rehearse(workspace: Workspace, plan: Plan, seen: Look | None = None) -> InPlace:
    """Run a plan on the target in one batch that is undone, and tell what it would take away. `seen` is a look just
    taken, if there is one. Three requests (four without it); the reached tables are read four times, which is billed.

    Raises NotAtomic where nobody proved that the target undoes a batch; StatementRejected, with file, line and column,
    when a script fails; TargetMoved when schema or ledger are not as they were seen; TooLong when the target gave up;
    HumanNeeded if something was left behind.
    """
    probe.require_atomic(workspace)
    seen = seen or look(workspace)
    found = _study(seen, plan, workspace.ledger)
    before = look(workspace, found.totals)
    if before.everything != seen.everything:
        seen = before
        found = _study(seen, plan, workspace.ledger)
        before = look(workspace, found.totals)
    started = workspace.now()
    measured = _measure(workspace, seen, found)
    seconds = (workspace.now() - started).total_seconds()
    after = look(workspace, found.totals)
    _require_nothing_left(before, after)
    losses = _losses(found, measured)
    new = [(b.figure.table, a - n) for b, n, a in measured if b.figure.counted is Counted.DANGLING and a > n]
    moved = [
        table
        for table, one, other in zip(found.reached, before.extra, after.extra, strict=True)
        if one.rows != other.rows
    ]
    return InPlace(
        plan=plan,
        look=after,
        losses=losses,
        dangling=tuple(new),
        reached=found.reached,
        scope=_scope(seen, plan, workspace.ledger),
        moved=tuple(moved),
        seconds=seconds,
        warnings=(
            IDENTITY_UNKNOWN,
            *(f"{table} was written to by somebody else meanwhile: its figures are not exact" for table in moved),
        ),
    )


# -- what would be reached -----------------------------------------------------------------------------


def _scope(seen: Look, plan: Plan, ledger: str) -> tuple[str, ...]:
    found = reach(build_mirror(seen.everything.objects), (step.script.statements for step in plan.steps))
    return tuple(name for name in seen.everything.users(ledger).tables() if found is None or fold(name) in found)


@dataclass(frozen=True, slots=True)
class _Study:
    """What the plan does to the schema alone, found out on the mirror. `bounds` are counted before the script and, by
    the figures of `after`, behind it; one that `after` lacks is gone then. `totals` ask what the tables `reached` hold.
    """

    script: tuple[ScriptStatement, ...]
    mirror_before: Schema
    mirror_after: Schema
    reached: tuple[str, ...]
    bounds: tuple[Bound, ...]
    after: Mapping[tuple[str, str, str], Figure]
    totals: tuple[Statement, ...]
    columns_gone: Mapping[str, tuple[str, ...]]


def _study(seen: Look, plan: Plan, ledger: str) -> _Study:
    mirror = build_mirror(seen.everything.objects)
    before = schema_of(mirror)
    everything = {fold(name) for name in before.users(ledger).tables()}
    columns = _columns(mirror, everything)
    all_figures = figures.figures(mirror, everything)
    values = {table: _values(table, names) for table, names in columns.items()}
    totals = {name: reader_of(mirror, name).totals() for name in before.tables() if fold(name) in everything}
    script: list[ScriptStatement] = []
    reached: set[str] = set()
    for step in plan.steps:
        now = schema_of(mirror)
        with watching(mirror) as written:
            run_on_mirror(mirror, step.script.statements)
        require_untouched(step.script.path, written, now, schema_of(mirror), ledger)
        script += step.script.statements
        reached |= written
    names = tuple(name for name in totals if fold(name) in reached)
    after = {figure.key: figure for figure in figures.figures(mirror, reached)}
    columns_after = _columns(mirror, everything)
    gone = {
        table: tuple(column for column in there if fold(column) not in {fold(c) for c in columns_after.get(table, ())})
        for table, there in columns.items()
        if fold(table) in reached and table in columns_after
    }
    picked = [figure for figure in all_figures if fold(figure.table) in reached or figure.key in after]
    picked += [figure for table, there in gone.items() for figure in values[table] if figure.column in there]
    return _Study(
        script=tuple(script),
        mirror_before=before,
        mirror_after=schema_of(mirror),
        reached=names,
        bounds=tuple(Bound(figure, 0, 0, 0) for figure in picked),
        after=after,
        totals=tuple(Statement(totals[name]) for name in names),
        columns_gone=gone,
    )


def _columns(engine: Engine, tables: set[str]) -> dict[str, tuple[str, ...]]:
    found: dict[str, list[str]] = {}
    for table, column in engine.ask(
        "SELECT m.name, x.name FROM sqlite_master m, pragma_table_xinfo(m.name) x"
        " WHERE m.type = 'table' AND x.hidden = 0 ORDER BY m.rowid, x.cid"
    ):
        if fold(str(table)) in tables:
            found.setdefault(str(table), []).append(str(column))
    return {table: tuple(columns) for table, columns in found.items()}


def _values(table: str, columns: Sequence[str]) -> list[Figure]:
    source = quote_identifier(table)
    return [
        Figure(Counted.VALUES, table, column, f"(SELECT count({quote_identifier(column)}) FROM {source})")
        for column in columns
    ]


# -- the batch that is undone ---------------------------------------------------------------------------


def _measure(workspace: Workspace, seen: Look, found: _Study) -> list[tuple[Bound, int, int]]:
    """Send the batch; return every figure with its number before and after. What is gone afterwards has none left."""
    batch = _batch(workspace, seen, found)
    path = found.script[0].path if found.script else "the plan"
    try:
        workspace.database.batch(batch.statements(), lossy=True)
    except (RateLimited, OutcomeUnknown) as error:
        if _OVERRUN.search(error.text):
            raise _too_long(error) from None
        if isinstance(error, RateLimited):
            raise
        raise Unreachable(
            f"the answer was lost ({error.text}); nothing can have stayed of a batch that always fails",
            hint="run it again",
        ) from None
    except StatementRejected as error:
        failure = failure_in(error.text)
        if _OVERRUN.search(error.text):
            raise _too_long(error) from None
        if failure is None or failure.kind is not Kind.MEASURED:
            raise explain(error, batch, path, workspace.ledger) from None
        if not isinstance(failure.found, list):
            raise TooLong(
                "the figures did not come back whole: the target shortens its messages",
                hint="rehearse fewer migrations at a time, or take a backup and rehearse on it: d1ops rehearse",
            ) from None
        numbers = {int(what): (before, after) for what, before, after in failure.found}
        return [
            (bound, int(numbers[place][0]), int(numbers[place][1] or 0)) for place, bound in enumerate(found.bounds)
        ]
    raise HumanNeeded(
        "the batch that must fail did not: the plan may have been carried out",
        hint="d1ops status; d1ops restore rewinds to a bookmark from before",
    )


def _batch(workspace: Workspace, seen: Look, found: _Study) -> Batch:
    before: list[Statement | Assertion] = []
    if not seen.has_ledger:
        before.append(Statement(ledger_ddl(workspace.ledger)))
    before += assertions.schema_is(seen.schema.text(), workspace.ledger)
    before.append(assertions.ledger_is([row.name for row in seen.ledger], workspace.ledger))
    before += [Statement(f"DROP TABLE IF EXISTS {GUARD}"), Statement(GUARD_DDL)]
    before += figures.record(found.bounds)
    there = [
        (place, found.after[bound.figure.key])
        for place, bound in enumerate(found.bounds)
        if bound.figure.key in found.after
    ]
    carried = f"(SELECT json_group_array(json_array(what, before_n, after_n)) FROM {GUARD})"
    after: list[Statement | Assertion] = list(figures.record_again(there))
    after.append(Assertion(Kind.MEASURED, "0", carried))
    return Batch(tuple(before), found.script, tuple(after))


def _too_long(error: D1opsError) -> TooLong:
    return TooLong(
        f"the target gave up on the rehearsal in place, and undid it: {error}",
        hint=f"so it would on the change itself: {WAYS_OUT}",
    )


def _require_nothing_left(before: Look, after: Look) -> None:
    left = [
        what
        for what, one, other in (
            ("the schema", before.everything, after.everything),
            ("the ledger", before.ledger, after.ledger),
            ("the history", before.history, after.history),
        )
        if one != other
    ]
    if left:
        raise HumanNeeded(
            f"{', '.join(left)} changed while the rehearsal ran: it left something behind, or somebody changed it",
            hint="d1ops status; d1ops restore rewinds to a bookmark from before",
        )


# -- the figures as losses -----------------------------------------------------------------------------


def _losses(found: _Study, measured: Sequence[tuple[Bound, int, int]]) -> tuple[TableLoss, ...]:
    by_table: dict[str, list[tuple[Figure, int, int]]] = {}
    for bound, before, after in measured:
        by_table.setdefault(bound.figure.table, []).append((bound.figure, before, after))
    there = {fold(name) for name in found.mirror_after.tables()}
    losses: list[TableLoss] = []
    for table in found.reached:
        counted = by_table.get(table, [])
        rows = next(((b, a) for figure, b, a in counted if figure.counted is Counted.ROWS), (0, 0))
        gone = {fold(column) for column in found.columns_gone.get(table, ())}
        lost = max(0, rows[0] - rows[1])
        columns = tuple(
            ColumnLoss(str(figure.column), before - after, dropped=fold(str(figure.column)) in gone)
            for figure, before, after in counted
            if figure.counted is (Counted.VALUES if fold(str(figure.column)) in gone else Counted.LINKS)
            and (fold(str(figure.column)) in gone or before - after > 0)
        )
        exists = fold(table) in there
        if lost or columns or not exists or rows[0] != rows[1]:
            losses.append(TableLoss(table, rows[0], rows[1], lost, columns if exists else (), exists_after=exists))
    return tuple(losses)
