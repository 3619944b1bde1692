"""One migration forward and back: applied to generated rows, rolled back, applied again, filled, rolled back again.

What is compared: the schema by structure, the rows of every table by identity and content. What is not there any more
after the second way back is what a rollback costs.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from d1ops.core.proof import expected_losses
from d1ops.core.rehearsal import BEFORE, dangling, lost_rows, measure
from d1ops.core.schema import diff
from d1ops.core.tables import read_tables
from d1ops.core.trial import beside, data_columns, data_tables, fill, filled, opened, user_schema
from d1ops.core.undo.proof import renumbered
from d1ops.core.verdict import Reversibility, Verdict
from d1ops.errors import ScriptError, StatementRejected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.catalog import Migration
    from d1ops.core.engine import Engine
    from d1ops.core.footprint import Overwrite
    from d1ops.core.made import Made
    from d1ops.core.rehearsal import TableLoss
    from d1ops.core.sql import ScriptStatement
    from d1ops.core.trial import Causes, RunScript


STOPPED_BY_NEW_ROWS = "the rollback script fails on rows written since"
"""How the evidence begins where a script brings everything back, and stops at rows that only the newer form allows."""


class Unproven(Exception):
    """The rollback does not hold; `evidence` says why, in sentences."""

    def __init__(self, *evidence: str) -> None:
        super().__init__(*evidence)
        self.evidence = evidence


@dataclass(frozen=True, slots=True)
class Trial:
    """What a round trip starts from: images of what the migrations alone make, before and after this one, what it
    makes, and what it may overwrite (`core.footprint.observe`)."""

    migration: Migration
    before: bytes
    after: bytes
    made: Made
    overwrites: tuple[Overwrite, ...]
    run: RunScript
    rows: int
    seed: int


def go_round(trial: Trial) -> Reversibility:
    """Judge a migration by itself, without regard to later ones."""
    migration, made = trial.migration, trial.made
    unproven = Reversibility(migration, Verdict.UNPROVEN, made)
    start, empty = filled(trial.before, trial.rows, trial.seed)
    if unknown := [text for table, text in empty.items() if table in made.touched_tables]:
        return replace(unproven, evidence=tuple(unknown))
    unproven = replace(unproven, warnings=tuple(empty.values()))
    try:
        applied, causes = trial.run(start, migration.script.statements)
    except StatementRejected as error:
        if trial.rows > 1:
            # A new UNIQUE or CHECK may be what several generated rows break and one does not.
            one = go_round(replace(trial, rows=1))
            return replace(one, warnings=(*one.warnings, f"{trial.rows} rows a table stopped it: {error.text}"))
        return replace(unproven, evidence=(f"it does not run on tables that hold rows: {error.text}",))
    with closing(opened(applied)) as engine, beside(engine, start):
        destroyed = tuple(loss for loss in measure(engine, data_tables(engine, BEFORE), causes) if loss.losses)
        evidence = _overwritten(engine, destroyed, trial.overwrites, causes)
    unproven = replace(unproven, destroyed=destroyed)
    reason = migration.script.irreversible or (migration.rollback.irreversible if migration.rollback else None)
    if reason is not None:
        evidence = (f"marked irreversible: {reason}", *evidence)
    if evidence:
        return replace(unproven, verdict=Verdict.IRREVERSIBLE, evidence=evidence)
    try:
        return _undone(unproven, trial, start, applied)
    except Unproven as problem:
        if destroyed:
            evidence = tuple(say(loss) for loss in destroyed)
            return replace(unproven, verdict=Verdict.IRREVERSIBLE, evidence=(*evidence, *problem.evidence))
        return replace(unproven, evidence=problem.evidence)


def _undone(one: Reversibility, trial: Trial, start: bytes, applied: bytes) -> Reversibility:
    """Prove the rollback script on an applied image. Raises Unproven."""
    script = _rollback_of(trial.migration)
    undone, causes = attempt(trial.run, applied, script, "the rollback script fails")
    reordered = _require_structure(start, undone, "after the rollback")
    with closing(opened(undone)) as engine, beside(engine, start):
        _require_rows(engine, causes)
    moved = _renumbered(start, applied, undone)
    forward = trial.migration.script.statements
    again, causes = attempt(trial.run, undone, forward, "after its rollback it cannot be applied again")
    _require_structure(applied, again, "when it is applied again")
    made = one.made
    with closing(opened(again)) as engine:
        with beside(engine, start):
            repeated = measure(engine, data_tables(engine, BEFORE), causes)
        if {x.losses for x in repeated if x.losses} != {x.losses for x in one.destroyed}:
            raise Unproven(*(f"applied again it does something else: {say(x)}" for x in repeated))
        is_fillable = any((made.tables, made.columns, made.rows, made.changed))
        empty = fill(engine, trial.rows, trial.seed + 1) if is_fillable else {}
        full, broken = engine.serialize(), dangling(engine)
    losses = _final(trial, script, full, broken)
    gone = [x.table for x in losses if not x.exists_after and x.renamed_to is None]
    tables = [table for table in made.tables if table in gone]
    dropped = {f"{x.table}.{c.column}" for x in losses for c in x.columns if c.dropped and c.renamed_to is None}
    columns = [column for column in made.columns if column in dropped]
    inserted = [(table, count) for table, count in made.rows if table not in made.tables]
    own = (text for table, text in empty.items() if table in tables)
    at_stake = tuple(loss for loss in losses if loss.losses)
    lost = (
        *(f"all rows of {table}" for table in tables),
        *(f"the values of {column}" for column in columns),
        *(f"the {count} {'row' if count == 1 else 'rows'} it inserted into {table}" for table, count in inserted),
    )
    nothing = "no row of the trial shows what is lost" if lost else "nothing is lost; every row and value stays"
    return replace(
        one,
        verdict=Verdict.LOSSY if columns else Verdict.REVERSIBLE if lost else Verdict.SAFE,
        evidence=tuple(say(loss) for loss in at_stake) or (nothing,),
        losses=at_stake,
        lost=lost,
        reordered=reordered,
        warnings=(*one.warnings, *moved, *own),
    )


def _renumbered(start: bytes, applied: bytes, undone: bytes) -> tuple[str, ...]:
    """Say which tables without a key get their rows back under other rowids than the migration left them."""
    with closing(opened(undone)) as engine, closing(opened(applied)) as before:
        moved = renumbered(start, engine) - renumbered(start, before)
        # Rows that have a key are known by it.
        keyless = sorted(table for table, found in read_tables(engine).items() if table in moved and not found.key)
    return tuple(f"the rows of {table} return under other rowids" for table in keyless)


def _rollback_of(migration: Migration) -> tuple[ScriptStatement, ...]:
    if migration.rollback is None:
        raise Unproven("it has no rollback script")
    try:
        return migration.rollback.statements
    except ScriptError as error:
        raise Unproven(f"its rollback script cannot be read: {error}") from None


def _final(
    trial: Trial, script: Sequence[ScriptStatement], full: bytes, broken: dict[tuple[str, str], int]
) -> tuple[TableLoss, ...]:
    """Roll back with rows in what the migration made, and return what it took. Raises Unproven for collateral."""
    undone, causes = attempt(trial.run, full, script, STOPPED_BY_NEW_ROWS)
    with (
        closing(opened(undone)) as engine,
        closing(opened(trial.before)) as without,
        closing(opened(trial.after)) as with_it,
    ):
        with beside(engine, full):
            losses = measure(engine, data_tables(engine, BEFORE), causes)
            _, collateral = expected_losses(losses, engine, with_it, without)
        if collateral:
            named = {name.partition(".")[0] for name in collateral}
            raise Unproven(*(f"the rollback takes what is not its own: {say(x)}" for x in losses if x.table in named))
        require_parents(engine, broken)
    return losses


def attempt(run: RunScript, image: bytes, script: Sequence[ScriptStatement], problem: str) -> tuple[bytes, Causes]:
    """Run a script; raise Unproven, beginning with `problem`, where the database rejects it."""
    try:
        return run(image, script)
    except StatementRejected as error:
        raise Unproven(f"{problem}: {error.text}") from None


def require_parents(engine: Engine, before: dict[tuple[str, str], int]) -> None:
    """Raise Unproven where more rows than before lack the row that they refer to."""
    for (child, parent), count in sorted(dangling(engine).items()):
        if count > before.get((child, parent), 0):
            raise Unproven(f"the rollback leaves {count} rows of {child} without their row in {parent}")


def _require_structure(expected: bytes, present: bytes, when: str) -> tuple[str, ...]:
    """Raise Unproven unless the schemas are the same; return the tables whose columns are in another order."""
    with closing(opened(expected)) as one, closing(opened(present)) as other:
        differences = diff(user_schema(one), user_schema(other))
    says = {"missing": "is not restored", "extra": "is left over", "different": "has another form"}
    wrong = [f"{d.label} {says[d.change]} {when}" for d in differences if d.change in says]
    if wrong:
        raise Unproven(*wrong)
    return tuple(d.label.partition(" ")[2] for d in differences)


def _require_rows(engine: Engine, causes: Causes) -> None:
    """Raise Unproven unless every table of the attached image holds the same rows as there."""
    tables = data_tables(engine, BEFORE)
    losses = {loss.table: loss for loss in measure(engine, tables, causes)}
    wrong = [say(loss) for loss in losses.values()]
    wrong += [
        f"{table} has values where it had none"
        for table in tables
        if table not in losses and lost_rows(engine, table, data_columns(engine, table, BEFORE), most=1)
    ]
    if wrong:
        raise Unproven(*(f"the rows from before do not return: {text}" for text in wrong))


def _overwritten(
    engine: Engine, destroyed: Sequence[TableLoss], overwrites: Sequence[Overwrite], causes: Causes
) -> tuple[str, ...]:
    """Say which rows and values a migration changed in place. Tables and columns that it removed may come back by the
    script, and an index may fit its rows again, so they are judged after it has run; rows that all went and are all
    back (`causes` tell that some went) are what a safe rebuild leaves."""
    stay = [loss for loss in destroyed if loss.exists_after and not loss.is_unfit]
    in_place = [loss for loss in stay if loss.rows_lost or _changed(loss)]
    found = [say(loss) for loss in in_place]
    seen = {loss.table.lower() for loss in in_place}
    for table in data_tables(engine, BEFORE):
        columns = {c.lower() for c in data_columns(engine, table)}
        shared = [c for c in data_columns(engine, table, BEFORE) if c.lower() in columns]
        if table.lower() not in seen and shared and lost_rows(engine, table, shared, most=1):
            found.append(f"{table}: values are written where there were none")
            seen.add(table.lower())
    found += [
        f"it may overwrite or delete {one.name}, though no row of the trial shows it"
        for one in overwrites
        if one.table not in seen and not (one.is_whole and one.table in causes)
    ]
    return tuple(found)


def _changed(loss: TableLoss) -> bool:
    return any(column.values_lost and not column.dropped for column in loss.columns)


def say(loss: TableLoss) -> str:
    """One sentence about what happened to a table."""
    if not loss.exists_after and loss.renamed_to is None:
        text = f"{loss.table}: the table goes, with {loss.rows_lost} of {loss.rows_before} rows of the trial"
    elif loss.is_unfit:
        text = f"{loss.table}: a search finds {loss.rows_lost} rows of the trial wrongly, or not at all"
    elif loss.rows_lost:
        text = f"{loss.table}: {loss.rows_lost} of {loss.rows_before} rows go"
    elif any(column.values_lost for column in loss.columns):
        parts = [f"{c.column} ({c.values_lost} values)" for c in loss.columns if c.values_lost]
        text = f"{loss.table}: of {loss.rows_before} rows, {', '.join(parts)}"
    else:
        return f"{loss.table}: {loss.rows_before} rows before, {loss.rows_after} after"
    cause = next((c for c in loss.causes if len(c.path) > 1), None)
    return f"{text}, by {cause}" if cause else text
