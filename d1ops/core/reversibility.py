"""What each migration can and cannot undo, found out by doing it.

For each migration in turn, on engines in memory: the tables that its scripts can reach get generated rows; the
migration runs, its rollback script runs, and the schema and the rows must be the ones from before; it runs again, what
it made is filled as well, the script runs once more, and what is not there any more is what a rollback costs
(`core.round_trip`). Then it is found out whether the script holds with every later migration applied, or only after
those were undone (`core.alone`).

An UPDATE or DELETE of rows that were there is irreversible even where the script happens to bring these rows back: it
brings back what the sample held, not what people wrote.

The work grows with the number of migrations, not with its square: the database that the migrations make is carried
along, and a trial happens in an excerpt of it (`core.excerpt`).
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

from d1ops.core.alone import Units, Whole, stand
from d1ops.core.engine import Engine
from d1ops.core.excerpt import Links
from d1ops.core.made import Made
from d1ops.core.positional import reordered_warnings
from d1ops.core.replay import run_script
from d1ops.core.round_trip import Trial, go_round
from d1ops.core.stage import advance
from d1ops.core.trial import run_in_memory
from d1ops.core.verdict import Reversibility, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from d1ops.core.alone import Step
    from d1ops.core.catalog import Catalog, Migration
    from d1ops.core.queries import Query
    from d1ops.core.trial import RunScript

__all__ = ["ROWS", "SEED", "Made", "Reversibility", "Verdict", "judge"]

ROWS = 3
"""How many rows every table gets."""

SEED = 1


def judge(
    catalog: Catalog,
    *,
    rows: int = ROWS,
    seed: int = SEED,
    only: Collection[int] | None = None,
    queries: Sequence[Query] = (),
    run: RunScript = run_in_memory,
    is_thorough: bool = False,
    progress: Callable[[str, Migration], None] | None = None,
) -> tuple[Reversibility, ...]:
    """Judge every migration, in order. The same catalog, rows and seed give the same answer.

    `only` are the numbers of the migrations to judge, if not all. `queries` are looked through for what another column
    order could break. `run` runs the scripts that are judged; what is generated and compared stays in memory.
    `is_thorough` takes no short cut: every trial happens in the whole database, and every later migration runs again
    for each. The answer is the same, and takes time with the square of the number of migrations.
    `progress` is called before a migration is tried ("trying") and before its rollback is tried alone ("alone").

    Raises ScriptError for a migration that cannot be read and StatementRejected, with file, line and column, for one
    that does not run after the earlier ones on empty tables. What is wrong with a rollback script is a verdict.
    """
    tell = progress or (lambda stage, migration: None)
    wanted = frozenset(m.number for m in catalog.migrations) if only is None else frozenset(only)
    links = Links()
    found: list[Reversibility | None] = []
    steps: list[Step] = []
    with closing(Engine.memory()) as cursor:
        # Hundreds of nearly empty tables are copied again and again: small pages make small copies.
        cursor.ask("PRAGMA page_size = 1024")
        for migration in catalog.migrations:
            is_wanted = migration.number in wanted
            if is_wanted:
                tell("trying", migration)
            stage = advance(cursor, migration, links, is_thorough=is_thorough)
            steps.append(stage.step)
            trial = Trial(
                migration, stage.before, stage.after, stage.step.made, stage.overwrites, run, rows=rows, seed=seed
            )
            found.append(go_round(trial) if is_wanted else None)
        last = cursor.serialize()
    units = Units(steps)
    judged: list[Reversibility] = []
    with closing(Whole(last, links, rows, seed)) as whole, closing(Engine.memory()) as cursor:
        children = _children([step.made for step in steps], whole.plain)
        for index, (one, step) in enumerate(zip(found, steps, strict=True)):
            if one is not None:
                tell("alone", step.migration)
                is_proved = one.verdict.is_proved
                standing = stand(index, steps, units, cursor, whole, run, is_proved=is_proved, is_thorough=is_thorough)
                needed = standing.needed_by | children[index]
                judged.append(
                    replace(
                        one,
                        alone=not standing.obstacles if one.verdict.is_proved else None,
                        obstacles=standing.obstacles,
                        needed_by=tuple(m for n, m in enumerate(catalog.migrations) if n in needed),
                        warnings=(*one.warnings, *reordered_warnings(one.reordered, catalog, index, queries)),
                    )
                )
            if index + 1 < len(steps):
                run_script(cursor, step.migration.script.statements)
    return tuple(judged)


def _children(made: Sequence[Made], engine: Engine) -> list[set[int]]:
    """For each migration, the positions of those whose tables or columns refer to tables that it made."""
    maker = {table.lower(): number for number, one in enumerate(made) for table in one.tables}
    column_maker = {column.lower(): number for number, one in enumerate(made) for column in one.columns}
    rows = engine.ask(
        'SELECT m.name, f."from", f."table" FROM sqlite_master m, pragma_foreign_key_list(m.name) f'
        " WHERE m.type = 'table'"
    )
    needs: list[set[int]] = [set() for _ in made]
    for child, column, parent in rows:
        table = str(child).lower()
        by = column_maker.get(f"{table}.{str(column).lower()}", maker.get(table))
        of = maker.get(str(parent).lower())
        if by is not None and of is not None and by != of:
            needs[of].add(by)
    return needs
