"""A plan run on a clone of a verified backup, and what it would take away."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from d1ops.core.engine import Rejected
from d1ops.core.ledger import ledger_change, require_untouched
from d1ops.core.measure import lowered_counters
from d1ops.core.mirror import schema_of
from d1ops.core.rehearsal import BEFORE, dangling, measure, rehearse
from d1ops.core.replay import watching
from d1ops.core.sql import fold
from d1ops.database.sqlite import open_copy
from d1ops.errors import StatementRejected
from d1ops.ops import guard

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.engine import Engine
    from d1ops.core.plan import Plan
    from d1ops.core.rehearsal import Cause, TableLoss
    from d1ops.core.schema import Schema
    from d1ops.ops.backup import VerifiedBackup
    from d1ops.ops.guard import Kept


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What a plan does to a clone. `schemas` holds the user's schema after every step; `dangling` the foreign key
    violations that were not there before, as (child, parent, number); `kept`, by step, what it may take at most."""

    losses: tuple[TableLoss, ...]
    dangling: tuple[tuple[str, str, int], ...]
    schemas: tuple[Schema, ...]
    kept: tuple[tuple[Kept, ...], ...]
    warnings: tuple[str, ...]


@contextmanager
def clone_of(backup: VerifiedBackup, *, before: VerifiedBackup | None = None) -> Iterator[Engine]:
    """Open a private copy of a backup, with the untouched backup (or `before`) attached beside it for measuring."""
    with tempfile.TemporaryDirectory(prefix="d1ops-") as folder:
        pristine, path = Path(folder) / "before.sqlite", Path(folder) / "clone.sqlite"
        with (before or backup).unpacked() as source:
            shutil.copyfile(source, pristine)
        with backup.unpacked() as source:
            shutil.copyfile(source, path)
        engine = open_copy(path)
        try:
            with engine.free():
                engine.connection.execute(f"ATTACH ? AS {BEFORE}", (str(pristine),))
            yield engine
        finally:
            engine.close()


def rehearse_on(engine: Engine, plan: Plan, ledger: str) -> Rehearsed:
    """Run a plan on a clone, one transaction a step, and measure what is not there any more.

    Raises StatementRejected, with file, line and column, when a script fails.
    """
    before = schema_of(engine).users(ledger)
    ordinary = {
        str(name)
        for (name,) in engine.ask("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type <> 'shadow'")
    }
    broken = dangling(engine)
    causes: dict[str, list[Cause]] = {}
    schemas: list[Schema] = []
    kept: list[tuple[Kept, ...]] = []
    for step in plan.steps:
        everything = schema_of(engine)
        all_figures = guard.figures(engine, {fold(name) for name in before.tables()})
        with watching(engine) as written:
            for table, found in rehearse(engine, step.script.statements).items():
                causes.setdefault(table, []).extend(found)
        require_untouched(step.script.path, written, everything, schema_of(engine), ledger)
        if everything.has_table(ledger):
            # Somebody's trigger may hang on it.
            try:
                engine.run([ledger_change(ledger, step.kind, step.migration.file)])
            except Rejected as error:
                raise StatementRejected(f"{ledger} does not take the change of {step.label}: {error.text}") from None
        schemas.append(schema_of(engine).users(ledger))
        kept.append(guard.kept(all_figures, guard.figures(engine, written)))
    losses = measure(engine, [table for table in before.tables() if table in ordinary], causes)
    warnings = lowered_counters(engine)
    new = dangling(engine) - broken
    return Rehearsed(
        losses,
        tuple((child, parent, count) for (child, parent), count in sorted(new.items())),
        tuple(schemas),
        tuple(kept),
        warnings,
    )
