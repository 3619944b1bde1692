"""The whole way: all migrations up, all rollbacks down, all migrations up again, on one filled database.

The trials of single migrations look at excerpts and rest on what SQLite reports of each statement. Here nothing is left
out: every table is filled, the schema is compared after every rollback, and at several points on the way down every row
of every table is compared with those from the top.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.engine import Engine
from d1ops.core.measure import BEFORE, dangling, measure
from d1ops.core.proof import expected_losses
from d1ops.core.replay import run_script
from d1ops.core.schema import SELECT_OBJECTS, Schema, diff
from d1ops.core.trial import beside, data_tables, fill, opened
from d1ops.errors import StatementRejected

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from d1ops.core.catalog import Catalog, Migration
    from d1ops.core.values import Row
    from d1ops.core.verdict import Reversibility

CHECKPOINTS = 4
"""How often on the way down all rows are compared, besides at its end."""


@dataclass(frozen=True, slots=True)
class WholeWay:
    """What came of it. `rolled_back` migrations were rolled back, newest first, and applied again. `ends_at` is the
    migration that no proved rollback undoes, where the way down ends; None where it leads down to nothing. `problems`
    say what went wrong; empty: it holds."""

    rolled_back: int
    ends_at: Migration | None
    problems: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Whether nothing went wrong on the way."""
        return not self.problems


def go_whole_way(
    catalog: Catalog,
    judged: Sequence[Reversibility],
    *,
    rows: int,
    seed: int,
    progress: Callable[[str, Migration], None] | None = None,
) -> WholeWay:
    """Go up, down as far as every rollback is proved, and up again. `judged` is about all migrations of the catalog.

    Raises what a replay of the catalog raises.
    """
    found = _go(catalog, judged, rows, seed, progress or (lambda stage, migration: None))
    if found.problems and rows > 1:
        # A new UNIQUE or CHECK may be what several generated rows break and one does not.
        one = _go(catalog, judged, 1, seed, lambda stage, migration: None)
        return one if one.holds else found
    return found


def _go(
    catalog: Catalog,
    judged: Sequence[Reversibility],
    rows: int,
    seed: int,
    tell: Callable[[str, Migration], None],
) -> WholeWay:
    migrations = catalog.migrations
    proved = [one.verdict.is_proved for one in judged]
    end = max((index + 1 for index, is_proved in enumerate(proved) if not is_proved), default=0)
    ends_at = migrations[end - 1] if end else None
    step = max(1, -(-(len(migrations) - end) // (CHECKPOINTS + 1)))
    compared = {*range(len(migrations) - step, end, -step), end}
    schemas: list[list[Row]] = []
    images: dict[int, bytes] = {}
    with closing(Engine.memory()) as engine:
        for index, migration in enumerate(migrations):
            schemas.append(engine.ask(SELECT_OBJECTS))
            if index in compared:
                images[index] = engine.serialize()
            run_script(engine, migration.script.statements)
        top, last = engine.ask(SELECT_OBJECTS), engine.serialize()
    with closing(opened(last)) as engine, closing(opened(last)) as with_all:
        fill(engine, rows, seed)
        full, broken = engine.serialize(), dangling(engine)
        for index in range(len(migrations) - 1, end - 1, -1):
            migration = migrations[index]
            tell("down", migration)
            rollback = migration.rollback
            try:
                run_script(engine, rollback.statements if rollback else ())
            except StatementRejected as error:
                return WholeWay(
                    len(migrations) - index - 1, ends_at, (f"rolling back {migration.label}: {error.text}",)
                )
            problems = _differences(schemas[index], engine, f"after rolling back {migration.label}")
            if index in compared and not problems:
                problems = _lost(engine, full, with_all, images[index], migration)
            if problems:
                return WholeWay(len(migrations) - index, ends_at, tuple(problems))
        for migration in migrations[end:]:
            tell("up", migration)
            try:
                run_script(engine, migration.script.statements)
            except StatementRejected as error:
                text = f"applying {migration.label} again: {error.text}"
                return WholeWay(len(migrations) - end, ends_at, (text,))
        problems = _differences(top, engine, "after all were applied again")
        problems += [
            f"{count} rows of {child} lack their row in {parent} after all were applied again"
            for (child, parent), count in sorted(dangling(engine).items())
            if count > broken.get((child, parent), 0)
        ]
    return WholeWay(len(migrations) - end, ends_at, tuple(problems))


def _differences(expected: list[Row], engine: Engine, when: str) -> list[str]:
    present = engine.ask(SELECT_OBJECTS)
    if expected == present:
        return []
    says = {"missing": "is not there", "extra": "is left over", "different": "has another form"}
    return [f"{d.label} {says[d.change]} {when}" for d in diff(_users(expected), _users(present)) if d.change in says]


def _users(rows: list[Row]) -> Schema:
    return Schema.from_rows(rows).users("d1_migrations")


def _lost(engine: Engine, full: bytes, with_all: Engine, image: bytes, migration: Migration) -> list[str]:
    """Compare every row with those from the top: gone may be what the rolled back migrations made."""
    with closing(opened(image)) as without, beside(engine, full):
        losses = measure(engine, data_tables(engine, BEFORE), {})
        _, collateral = expected_losses(losses, engine, with_all, without)
    return [f"down to before {migration.label}, {name} lost what was not made since" for name in collateral]
