"""A plan run on a clone of a verified backup, and what it would take away."""

from __future__ import annotations

import shutil
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from d1ops.core import figures
from d1ops.core.chunked import Key
from d1ops.core.contents import Doomed, contents, doomed, is_empty, overwritten, parts, replaced, warnings
from d1ops.core.engine import Rejected
from d1ops.core.fingerprint import Salt
from d1ops.core.ledger import ledger_change, require_untouched
from d1ops.core.measure import lowered_counters, mismatches, stored_columns
from d1ops.core.mirror import build_mirror, schema_of
from d1ops.core.overwriting import Renames, replaces
from d1ops.core.reach import EVERYTHING, Closure, watching_reach
from d1ops.core.rehearsal import BEFORE, dangling, measure, rehearse
from d1ops.core.replay import Effects, effects, watching
from d1ops.core.sql import fold
from d1ops.database.sqlite import open_copy
from d1ops.errors import BackupRefused, StatementRejected
from d1ops.ops import chunks as pieces
from d1ops.ops import limits
from d1ops.ops.guard import StepGuard

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from d1ops.core.chunked import Chunked
    from d1ops.core.contents import Part
    from d1ops.core.engine import Engine
    from d1ops.core.figures import Bound
    from d1ops.core.plan import Plan, Step
    from d1ops.core.rehearsal import Cause, TableLoss
    from d1ops.core.schema import Schema
    from d1ops.core.sql import ScriptStatement
    from d1ops.ops.backup import VerifiedBackup
    from d1ops.ops.guard import Chunk
    from d1ops.ops.look import Look
    from d1ops.ops.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Rehearsed:
    """What a plan does to a clone. `schemas` holds the user's schema after every step; `dangling` the foreign key
    violations that were not there before, as (child, parent, number); `guards`, by step, what the batch asserts."""

    losses: tuple[TableLoss, ...]
    dangling: tuple[tuple[str, str, int], ...]
    schemas: tuple[Schema, ...]
    guards: tuple[StepGuard, ...]
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


def rehearse_on(engine: Engine, backup: VerifiedBackup, plan: Plan, workspace: Workspace, seen: Look) -> Rehearsed:
    """Run a plan on a clone of a backup, one transaction a step, and measure what is not there any more. `seen` is the
    look that the clone was made with.

    Raises StatementRejected, with file, line and column, when a script fails; TooLong when a step does not fit into
    one batch; BackupRefused where a script depends on rows that the backup does not hold.
    """
    before = schema_of(engine).users(workspace.ledger)
    ordinary = {
        str(name)
        for (name,) in engine.ask("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type <> 'shadow'")
    }
    broken, mismatched = dangling(engine), mismatches(engine)
    causes: dict[str, list[Cause]] = {}
    belonging = Closure.of(engine)
    steps: list[_Step] = []
    for step in plan.steps:
        steps.append(
            _rehearse_pieces(engine, step, workspace.ledger, seen, causes)
            if step.script.chunked
            else _rehearse_step(engine, step, workspace.ledger, before, causes)
        )
        _require_held(backup, step, steps[-1].depends_on, belonging)
    reached = frozenset[str]().union(*(step.reached for step in steps))
    losses = measure(engine, [table for table in before.tables() if table in ordinary], causes, reached=reached)
    new = dangling(engine) - broken
    guards, guard_warnings = _guards(engine, steps, losses, workspace)
    limits.require_time(workspace, plan, guards)
    return Rehearsed(
        losses,
        tuple((child, parent, count) for (child, parent), count in sorted(new.items())),
        tuple(step.schema for step in steps),
        guards,
        (
            *_scope_warnings(backup),
            *lowered_counters(engine),
            *_mismatch_warnings(mismatches(engine) - mismatched),
            *guard_warnings,
        ),
    )


@dataclass(frozen=True, slots=True)
class _Step:
    """What a step did on the clone. `reached` are the tables (folded) that it wrote to, dropped or altered,
    `depends_on` these and what it read (`core.reach`)."""

    schema: Schema
    reached: frozenset[str]
    depends_on: frozenset[str]
    bounds: tuple[Bound, ...]
    changes: int | None
    times: int
    seconds: float
    overwritten: frozenset[tuple[str, str]] = frozenset()
    """Columns that it writes to where they may hold something."""
    copied: frozenset[tuple[str, str]] = frozenset()
    """Columns of tables in whose place it puts another one."""
    replaced: frozenset[str] = frozenset()
    """Tables that it writes to where it, a trigger or a constraint says REPLACE."""
    dropped: frozenset[str] = frozenset()
    """Tables that a DROP TABLE names."""
    statements: tuple[ScriptStatement, ...] = ()
    chunked: Chunked | None = None
    chunks: tuple[Chunk, ...] = ()


def _require_held(backup: VerifiedBackup, step: Step, depends_on: frozenset[str], belonging: Closure) -> None:
    """Refuse a step that depends on rows which are on the target and not in the backup."""
    needed = belonging.closed(depends_on)
    missing = [name for name in backup.manifest.absent if EVERYTHING in depends_on or fold(name) in needed]
    if missing:
        raise BackupRefused(
            f"{step.script.path} depends on {', '.join(missing)}, which backup {backup.id} does not hold"
            f" ({backup.manifest.scope})",
            hint="raise backup.max_bytes in config/<env>.toml, so that the whole database is copied",
        )


def _rehearse_step(engine: Engine, step: Step, ledger: str, before: Schema, causes: dict[str, list[Cause]]) -> _Step:
    everything = schema_of(engine)
    statements = step.script.statements
    effect = _effects(everything, statements)
    copied = {(table, column) for table in effect.anew for column in stored_columns(engine, "main", table)}
    # What the backup does not have yet cannot be compared with it.
    fresh = {part for part in effect.overwritten if part[1] not in stored_columns(engine, BEFORE, part[0])}
    ours = {fold(name) for name in before.tables()}
    values = figures.values(engine, sorted(copied | effect.overwritten))
    counted = figures.count(engine, [*figures.figures(engine, ours), *values])
    started, changed = engine.clock(), engine.connection.total_changes()
    functions: set[str] = set()
    with watching(engine, functions=functions) as written, watching_reach(engine) as depends_on:
        for table, found in rehearse(engine, statements).items():
            causes.setdefault(table, []).extend(found)
    seconds, changes = engine.clock() - started, engine.connection.total_changes() - changed
    after = schema_of(engine)
    require_untouched(step.script.path, written, everything, after, ledger)
    if everything.has_table(ledger):
        # Somebody's trigger may hang on it.
        try:
            engine.run([ledger_change(ledger, step.kind, step.migration.file)])
        except Rejected as error:
            raise StatementRejected(f"{ledger} does not take the change of {step.label}: {error.text}") from None
    texts = (*(each.sql for each in statements), *(o.sql or "" for o in everything.objects if fold(o.table) in written))
    has_replace = replaces(texts)
    triggers = sum(o.type == "trigger" for o in everything.objects)
    is_certain = not functions & figures.CHANCE_AND_TIME and not written & _unordinary(everything)
    # Where the number of changed rows says nothing, that of the values does.
    held = copied | (fresh if is_certain else effect.overwritten)
    now = figures.count(engine, [*figures.figures(engine, written), *figures.values(engine, sorted(held))])
    return _Step(
        schema=after.users(ledger),
        reached=frozenset(written),
        depends_on=frozenset(depends_on),
        bounds=figures.bounds(counted, now, replaces=has_replace),
        changes=changes if is_certain else None,
        times=len(statements) * (1 + triggers),
        seconds=seconds,
        overwritten=effect.overwritten,
        copied=frozenset(copied),
        replaced=effect.written if has_replace else frozenset(),
        dropped=effect.dropped,
        statements=tuple(statements),
    )


def _effects(schema: Schema, statements: Sequence[ScriptStatement]) -> Effects:
    """What a script does to a schema, apart from any rows."""
    mirror = build_mirror(schema.objects)
    try:
        return effects(mirror, statements)
    finally:
        mirror.close()


def _rehearse_pieces(engine: Engine, step: Step, ledger: str, seen: Look, causes: dict[str, list[Cause]]) -> _Step:
    chunked, progress = step.script.chunked, pieces.progress_of(seen, step)
    assert chunked is not None
    everything = schema_of(engine)
    times = len(chunked.statements) * (1 + sum(o.type == "trigger" for o in everything.objects))
    with watching_reach(engine) as depends_on:
        found = pieces.rehearse_pieces(engine, chunked, Key(progress.done_to) if progress else None, times)
    require_untouched(step.script.path, found.reached, everything, everything, ledger)
    effect = _effects(everything, step.script.statements)
    ours = (o.sql or "" for o in everything.objects if fold(o.table) in found.reached)
    texts = (*(each.sql for each in step.script.statements), *ours)
    for table, new in found.causes.items():
        causes.setdefault(table, []).extend(new)
    return _Step(
        schema=everything.users(ledger),
        reached=found.reached,
        depends_on=frozenset(depends_on),
        bounds=(),
        changes=None,
        times=times,
        seconds=max((chunk.guard.seconds for chunk in found.chunks), default=0.0),
        overwritten=effect.overwritten,
        replaced=effect.written if replaces(texts) else frozenset(),
        chunked=chunked,
        chunks=found.chunks,
    )


def _unordinary(schema: Schema) -> frozenset[str]:
    """Virtual tables and their shadow tables (folded): how many rows these write is their module's own affair."""
    virtual = [fold(o.name) for o in schema.objects if (o.sql or "").upper().startswith("CREATE VIRTUAL")]
    names = [fold(name) for name in schema.tables()]
    return frozenset(name for name in names for owner in virtual if name == owner or name.startswith(f"{owner}_"))


def _guards(
    engine: Engine, steps: Sequence[_Step], losses: Sequence[TableLoss], workspace: Workspace
) -> tuple[tuple[StepGuard, ...], tuple[str, ...]]:
    """Ask the copy from before for what the target must still hold.

    The first step asserts all of it, so that a change is refused before anything is done; the step that is the first to
    reach a part asserts that part again, since somebody may write between two steps. Of what a chunked step is the
    first to reach every piece asserts its own range.
    """
    by_pieces: dict[int, list[Part]] = {}
    found: list[Part] = []
    for part in parts(engine, _wanted(engine, steps, losses)):
        first = next((at for at, step in enumerate(steps) if fold(part.doomed.table) in step.reached), 0)
        chunked = steps[first].chunked
        if chunked is None:
            found.append(part)
        elif fold(part.doomed.table) == fold(chunked.table):
            by_pieces.setdefault(first, []).append(part)
        else:
            raise pieces.takes_elsewhere(chunked, part.doomed.name)
    salt = Salt.of(workspace.nonce() if found or by_pieces else "")
    started = engine.clock()
    asked = contents(engine, limits.require_comparable(found), salt)
    seconds = engine.clock() - started
    guards: list[StepGuard] = []
    reached: set[str] = set()
    for index, step in enumerate(steps):
        new = step.reached - reached
        held = [content for content in asked if index == 0 or fold(content.doomed.table) in new]
        spent = step.seconds + (seconds if held else 0.0)
        chunks = step.chunks
        if step.chunked and index in by_pieces:
            chunks = tuple(pieces.with_contents(engine, chunks, step.chunked, by_pieces[index], salt))
        guards.append(StepGuard(tuple(held), step.bounds, step.changes, step.times, spent, chunks))
        reached |= step.reached
    return tuple(guards), warnings(found)


def _wanted(engine: Engine, steps: Sequence[_Step], losses: Sequence[TableLoss]) -> list[Doomed]:
    """Return what must be as in the backup, by the names that it has there: what the steps take away, overwrite or may
    replace, and what is empty in a table that they copy, since the copy may leave it out."""
    renames = Renames(str(name) for (name,) in engine.ask(f"SELECT name FROM {BEFORE}.sqlite_master"))
    columns: set[tuple[str, str]] = set()
    copied: set[tuple[str, str]] = set()
    tables: set[str] = set()
    dropped: set[str] = set()
    for step in steps:
        for into, of in ((columns, step.overwritten), (copied, step.copied)):
            into |= {(table := renames.table(name), renames.column(table, column)) for name, column in of}
        tables |= {renames.table(name) for name in step.replaced}
        dropped |= {fold(renames.table(name)) for name in step.dropped}
        for statement in step.statements:
            renames.read(statement.sql)
    found = [*doomed(losses, dropped=dropped), *replaced(engine, tables)]
    whole = {fold(one.table) for one in found if one.column is None}
    more = overwritten(engine, columns)
    more += [one for one in overwritten(engine, copied) if is_empty(engine, one)]
    more = [one for one in more if fold(one.table) not in whole]
    return list(dict.fromkeys([*found, *more]))


def _scope_warnings(backup: VerifiedBackup) -> list[str]:
    if not backup.manifest.absent:
        return []
    return [
        f"the backup holds {backup.manifest.scope}: all that the change depends on, and for the others there is the"
        " bookmark alone"
    ]


def _mismatch_warnings(tables: set[str]) -> list[str]:
    return [
        f"a foreign key of {table} finds no unique key in its parent any more: every write to {table} will fail"
        for table in sorted(tables)
    ]
