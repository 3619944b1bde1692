"""What each migration can and cannot undo, found out by doing it.

Over 400 lines: the steps of one judgement, in the order in which they happen.

For each migration in turn, on engines in memory: every table that the earlier ones made gets generated rows; the
migration runs, its rollback script runs, and the schema and the rows must be the ones from before; it runs again, what
it made is filled as well, the script runs once more, and what is not there any more is what a rollback costs. Then the
script runs with every later migration applied, to learn whether it holds by itself or only after those were undone.

An UPDATE or DELETE of rows that were there is irreversible even where the script happens to bring these rows back: it
brings back what the sample held, not what people wrote.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from d1ops.core.proof import expected_losses, prove
from d1ops.core.rehearsal import BEFORE, dangling, lost_rows, measure, rehearse
from d1ops.core.replay import run_script
from d1ops.core.schema import diff
from d1ops.core.tables import read_tables
from d1ops.core.trial import Stages, beside, data_columns, data_tables, fill, filled, opened, user_schema
from d1ops.core.undo.proof import renumbered
from d1ops.errors import ScriptError, StatementRejected

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from d1ops.core.catalog import Catalog, Migration
    from d1ops.core.engine import Engine
    from d1ops.core.rehearsal import Cause, TableLoss
    from d1ops.core.sql import ScriptStatement
    from d1ops.core.trial import Overwrite

ROWS = 3
"""How many rows every table gets."""

SEED = 1

STOPPED_BY_NEW_ROWS = "the rollback script fails on rows written since"
"""How the evidence begins where a script brings everything back, and stops at rows that only the newer form allows."""


class Verdict(StrEnum):
    """What a rollback can promise."""

    SAFE = "safe"
    """No data is at stake."""
    REVERSIBLE = "reversible"
    """The structure returns; rows that the migration made room for, or inserted, are lost."""
    LOSSY = "lossy"
    """The structure returns; the values of columns that the migration added to tables of others are lost."""
    IRREVERSIBLE = "irreversible"
    """The migration itself destroyed or overwrote rows or values, or its author says so."""
    UNPROVEN = "unproven"
    """No script, a script that fails, or one that does not bring structure and rows back."""

    @property
    def is_proved(self) -> bool:
        """Whether the rollback script was seen to bring everything back but what the verdict names."""
        return self in (Verdict.SAFE, Verdict.REVERSIBLE, Verdict.LOSSY)


@dataclass(frozen=True, slots=True)
class Made:
    """What a migration does to the schema. `columns` (`table.column`) are those that it adds to tables of others,
    `rows` what it inserts, by table; `changed` and `removed` are labels such as `table users`."""

    tables: tuple[str, ...] = ()
    columns: tuple[str, ...] = ()
    indexes: tuple[str, ...] = ()
    views: tuple[str, ...] = ()
    triggers: tuple[str, ...] = ()
    rows: tuple[tuple[str, int], ...] = ()
    changed: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reversibility:
    """The verdict about one migration, and what it rests on.

    `evidence` says it in sentences. `destroyed` is what the migration itself took from rows that were there, `losses`
    what its rollback took from the rows of the trial, and `lost` what it takes from any rows, in words; the latter two
    are empty where the rollback is not proved. `alone` says whether the script holds with all later migrations applied;
    False means only in cascade, `obstacles` say why, and None means that it is not proved at all. `needed_by` are the
    later migrations that do not stand without this one. `warnings` speak of what did not refuse.
    """

    migration: Migration
    verdict: Verdict
    made: Made
    evidence: tuple[str, ...] = ()
    destroyed: tuple[TableLoss, ...] = ()
    losses: tuple[TableLoss, ...] = ()
    lost: tuple[str, ...] = ()
    alone: bool | None = None
    obstacles: tuple[str, ...] = ()
    needed_by: tuple[Migration, ...] = ()
    warnings: tuple[str, ...] = ()


def judge(catalog: Catalog, *, rows: int = ROWS, seed: int = SEED) -> tuple[Reversibility, ...]:
    """Judge every migration, in order. The same catalog, rows and seed give the same answer.

    Raises ScriptError for a migration that cannot be read and StatementRejected, with file, line and column, for one
    that does not run after the earlier ones on empty tables. What is wrong with a rollback script is a verdict.
    """
    stages = Stages(catalog)
    found = [_round_trip(migration, stages, index, rows, seed) for index, migration in enumerate(catalog.migrations)]
    full, _ = filled(stages.last, rows, seed)
    children = _children(found, stages.last)
    return tuple(
        _among_later(one, catalog.migrations[index + 1 :], children[index], stages, index, full)
        for index, one in enumerate(found)
    )


def judge_one(catalog: Catalog, migration: Migration, *, rows: int = ROWS, seed: int = SEED) -> Reversibility:
    """Judge one migration of a catalog as `judge` does, without judging the others; `needed_by` names only those later
    ones that do not run without it. Raises what `judge` raises."""
    stages = Stages(catalog)
    index = catalog.migrations.index(migration)
    one = _round_trip(migration, stages, index, rows, seed)
    full, _ = filled(stages.last, rows, seed)
    return _among_later(one, catalog.migrations[index + 1 :], set(), stages, index, full)


# -- forward and back ------------------------------------------------------------------------------------


def _round_trip(migration: Migration, stages: Stages, index: int, rows: int, seed: int) -> Reversibility:
    """Apply, roll back, apply again, fill, roll back again."""
    made = _made(stages.before(index), stages.after(index))
    unproven = Reversibility(migration, Verdict.UNPROVEN, made)
    start, empty = filled(stages.before(index), rows, seed)
    touched = {c.partition(".")[0] for c in made.columns} | {
        o.partition(" ")[2] for o in (*made.changed, *made.removed)
    }
    if unknown := [text for table, text in empty.items() if table in touched]:
        return replace(unproven, evidence=tuple(unknown))
    unproven = replace(unproven, warnings=tuple(empty.values()))
    with closing(opened(start)) as engine:
        try:
            causes = rehearse(engine, migration.script.statements)
        except StatementRejected as error:
            if rows > 1:
                # A new UNIQUE or CHECK may be what several generated rows break and one does not.
                one = _round_trip(migration, stages, index, 1, seed)
                return replace(one, warnings=(*one.warnings, f"{rows} rows a table stopped it: {error.text}"))
            return replace(unproven, evidence=(f"it does not run on tables that hold rows: {error.text}",))
        with beside(engine, start):
            destroyed = tuple(loss for loss in measure(engine, data_tables(engine, BEFORE), causes) if loss.losses)
            evidence = _overwritten(engine, destroyed, stages.overwrites[index], causes)
        applied = engine.serialize()
    unproven = replace(unproven, destroyed=destroyed)
    reason = migration.script.irreversible or (migration.rollback.irreversible if migration.rollback else None)
    if reason is not None:
        evidence = (f"marked irreversible: {reason}", *evidence)
    if evidence:
        return replace(unproven, verdict=Verdict.IRREVERSIBLE, evidence=evidence)
    try:
        return _undone(unproven, stages, index, start, applied, rows, seed + 1)
    except _Unproven as problem:
        if destroyed:
            evidence = tuple(_say(loss) for loss in destroyed)
            return replace(unproven, verdict=Verdict.IRREVERSIBLE, evidence=(*evidence, *problem.evidence))
        return replace(unproven, evidence=problem.evidence)


class _Unproven(Exception):
    def __init__(self, *evidence: str) -> None:
        super().__init__(*evidence)
        self.evidence = evidence


def _undone(
    one: Reversibility, stages: Stages, index: int, start: bytes, applied: bytes, rows: int, seed: int
) -> Reversibility:
    """Prove the rollback script on an applied image. Raises _Unproven."""
    migration = one.migration
    if migration.rollback is None:
        raise _Unproven("it has no rollback script")
    try:
        script = migration.rollback.statements
    except ScriptError as error:
        raise _Unproven(f"its rollback script cannot be read: {error}") from None
    with closing(opened(applied)) as engine:
        causes = _run(engine, script, "the rollback script fails")
        warnings = _require_structure(start, engine, "after the rollback")
        with beside(engine, start):
            _require_rows(engine, causes)
        with closing(opened(applied)) as before:
            moved = renumbered(start, engine) - renumbered(start, before)
        # Rows that have a key are known by it.
        keyless = sorted(table for table, found in read_tables(engine).items() if table in moved and not found.key)
        warnings += tuple(f"the rows of {table} return under other rowids" for table in keyless)
        run = migration.script.statements
        causes = _run(engine, run, "after its rollback it cannot be applied again")
        _require_structure(applied, engine, "when it is applied again")
        with beside(engine, start):
            again = measure(engine, data_tables(engine, BEFORE), causes)
        if {x.losses for x in again if x.losses} != {x.losses for x in one.destroyed}:
            raise _Unproven(*(f"applied again it does something else: {_say(x)}" for x in again))
        is_fillable = any((one.made.tables, one.made.columns, one.made.rows, one.made.changed))
        empty = fill(engine, rows, seed) if is_fillable else {}
        full, broken = engine.serialize(), dangling(engine)
        causes = _run(engine, script, STOPPED_BY_NEW_ROWS)
        with (
            beside(engine, full),
            closing(opened(stages.before(index))) as without,
            closing(opened(stages.after(index))) as with_it,
        ):
            losses = measure(engine, data_tables(engine, BEFORE), causes)
            _, collateral = expected_losses(losses, engine, with_it, without)
        if collateral:
            named = {name.partition(".")[0] for name in collateral}
            raise _Unproven(*(f"the rollback takes what is not its own: {_say(x)}" for x in losses if x.table in named))
        _require_parents(engine, broken)
    gone = [x.table for x in losses if not x.exists_after and x.renamed_to is None]
    tables = [table for table in one.made.tables if table in gone]
    dropped = {f"{x.table}.{c.column}" for x in losses for c in x.columns if c.dropped and c.renamed_to is None}
    columns = [column for column in one.made.columns if column in dropped]
    inserted = [(table, count) for table, count in one.made.rows if table not in one.made.tables]
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
        evidence=tuple(_say(loss) for loss in at_stake) or (nothing,),
        losses=at_stake,
        lost=lost,
        warnings=(*one.warnings, *own, *warnings),
    )


def _run(engine: Engine, script: Sequence[ScriptStatement], problem: str) -> dict[str, list[Cause]]:
    try:
        return rehearse(engine, script)
    except StatementRejected as error:
        raise _Unproven(f"{problem}: {error.text}") from None


def _require_structure(expected: bytes, engine: Engine, when: str) -> tuple[str, ...]:
    """Raise _Unproven unless the schema is that of the image; return a warning for every other column order."""
    with closing(opened(expected)) as other:
        differences = diff(user_schema(other), user_schema(engine))
    says = {"missing": "is not restored", "extra": "is left over", "different": "has another form"}
    wrong = [f"{d.label} {says[d.change]} {when}" for d in differences if d.change in says]
    if wrong:
        raise _Unproven(*wrong)
    return tuple(f"{d.label} has its columns in another order {when}" for d in differences)


def _require_rows(engine: Engine, causes: dict[str, list[Cause]]) -> None:
    """Raise _Unproven unless every table of the attached image holds the same rows as there."""
    tables = data_tables(engine, BEFORE)
    losses = {loss.table: loss for loss in measure(engine, tables, causes)}
    wrong = [_say(loss) for loss in losses.values()]
    wrong += [
        f"{table} has values where it had none"
        for table in tables
        if table not in losses and lost_rows(engine, table, data_columns(engine, table, BEFORE), most=1)
    ]
    if wrong:
        raise _Unproven(*(f"the rows from before do not return: {text}" for text in wrong))


def _require_parents(engine: Engine, before: dict[tuple[str, str], int]) -> None:
    for (child, parent), count in sorted(dangling(engine).items()):
        if count > before.get((child, parent), 0):
            raise _Unproven(f"the rollback leaves {count} rows of {child} without their row in {parent}")


def _overwritten(
    engine: Engine,
    destroyed: Sequence[TableLoss],
    overwrites: Sequence[Overwrite],
    causes: Mapping[str, Sequence[Cause]],
) -> tuple[str, ...]:
    """Say which rows and values a migration changed in place. Tables and columns that it removed may come back by the
    script, so they are judged after it has run; rows that all went and are all back (`causes` tell that some went) are
    what a safe rebuild leaves."""
    in_place = [loss for loss in destroyed if loss.exists_after and (loss.rows_lost or _changed(loss))]
    found = [_say(loss) for loss in in_place]
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


def _say(loss: TableLoss) -> str:
    """One sentence about what happened to a table."""
    if not loss.exists_after and loss.renamed_to is None:
        text = f"{loss.table}: the table goes, with {loss.rows_lost} of {loss.rows_before} rows of the trial"
    elif loss.rows_lost:
        text = f"{loss.table}: {loss.rows_lost} of {loss.rows_before} rows go"
    elif any(column.values_lost for column in loss.columns):
        parts = [f"{c.column} ({c.values_lost} values)" for c in loss.columns if c.values_lost]
        text = f"{loss.table}: of {loss.rows_before} rows, {', '.join(parts)}"
    else:
        return f"{loss.table}: {loss.rows_before} rows before, {loss.rows_after} after"
    cause = next((c for c in loss.causes if len(c.path) > 1), None)
    return f"{text}, by {cause}" if cause else text


# -- what it makes, and what stands on it ----------------------------------------------------------------


def _made(before: bytes, after: bytes) -> Made:
    with closing(opened(before)) as old, closing(opened(after)) as new:
        differences = diff(user_schema(old), user_schema(new))
        there, ordinary = {t.lower(): t for t in data_tables(old)}, set(data_tables(new))
        added: dict[str, list[str]] = {"table": [], "index": [], "view": [], "trigger": []}
        columns: list[str] = []
        changed: list[str] = []
        for difference in differences:
            kind, _, name = difference.label.partition(" ")
            if difference.change == "extra" and (kind != "table" or name in ordinary):
                added[kind].append(name)
            elif difference.change in ("different", "reordered"):
                had, has = (data_columns(each, name) if kind == "table" else [] for each in (old, new))
                fresh = [column for column in has if column.lower() not in {c.lower() for c in had}]
                columns += [f"{name}.{column}" for column in fresh]
                if len(had) + len(fresh) != len(has) or not fresh:
                    changed.append(difference.label)
        rows = []
        for table in sorted(ordinary):
            more = new.count(table) - (old.count(there[table.lower()]) if table.lower() in there else 0)
            rows += [(table, more)] if more > 0 else []
        return Made(
            tables=tuple(added["table"]),
            columns=tuple(columns),
            indexes=tuple(added["index"]),
            views=tuple(added["view"]),
            triggers=tuple(added["trigger"]),
            rows=tuple(rows),
            changed=tuple(changed),
            removed=tuple(d.label for d in differences if d.change == "missing"),
        )


def _children(found: Sequence[Reversibility], image: bytes) -> list[set[str]]:
    """For each migration, the files of those whose tables or columns refer to tables that it made."""
    maker = {table.lower(): one.migration.file for one in found for table in one.made.tables}
    column_maker = {column.lower(): one.migration.file for one in found for column in one.made.columns}
    with closing(opened(image)) as engine:
        rows = engine.ask(
            'SELECT m.name, f."from", f."table" FROM sqlite_master m, pragma_foreign_key_list(m.name) f'
            " WHERE m.type = 'table'"
        )
    needs: dict[str, set[str]] = {}
    for child, column, parent in rows:
        table = str(child).lower()
        by = column_maker.get(f"{table}.{str(column).lower()}") or maker.get(table)
        if by is not None:
            needs.setdefault(maker.get(str(parent).lower(), ""), set()).add(by)
    return [needs.get(one.migration.file, set()) - {one.migration.file} for one in found]


def _among_later(
    one: Reversibility,
    later: Sequence[Migration],
    children: set[str],
    stages: Stages,
    index: int,
    full: bytes,
) -> Reversibility:
    """Find out which later migrations stand on this one, and whether its script holds with all of them applied."""
    obstacles: list[str] = []
    needed_by = set(children)
    with closing(opened(stages.before(index))) as without:
        for migration in later:
            try:
                run_script(without, migration.script.statements)
            except StatementRejected as error:
                needed_by.add(migration.file)
                obstacles.append(f"without it {migration.label} does not run: {error.text}")
        if one.verdict.is_proved and not obstacles:
            obstacles = _obstacles(one, without, stages, full)
    return replace(
        one,
        alone=not obstacles if one.verdict.is_proved else None,
        obstacles=tuple(obstacles),
        needed_by=tuple(migration for migration in later if migration.file in needed_by),
    )


def _obstacles(one: Reversibility, without: Engine, stages: Stages, full: bytes) -> list[str]:
    """What speaks against running the script of a proved migration with all later ones applied."""
    script = one.migration.rollback.statements if one.migration.rollback else ()
    with closing(opened(full)) as engine, closing(opened(stages.last)) as with_all:
        before, broken = user_schema(engine), dangling(engine)
        try:
            causes = _run(engine, script, "with later migrations applied its script fails")
            proof = prove(before, user_schema(engine), user_schema(with_all), user_schema(without))
            with beside(engine, full):
                losses = measure(engine, data_tables(engine, BEFORE), causes)
                _, collateral = expected_losses(losses, engine, with_all, without)
            _require_parents(engine, broken)
        except _Unproven as problem:
            return list(problem.evidence)
    return [*proof.wrong, *(f"it would take {name}" for name in collateral)]
