"""A migration where it stands in the catalog: what its scripts can reach, cut out before and after it, and what its
statements were seen to do there."""

from __future__ import annotations

from contextlib import closing, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

import apsw

from d1ops.core import rules
from d1ops.core.alone import Step
from d1ops.core.excerpt import Reach, cut_out
from d1ops.core.footprint import Footprint, observe
from d1ops.core.made import made_between
from d1ops.core.mirror import schema_of
from d1ops.core.replay import run_script
from d1ops.core.schema import SELECT_OBJECTS, Schema
from d1ops.core.sql import fold
from d1ops.core.trial import opened
from d1ops.errors import ScriptError, StatementRejected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.catalog import Migration
    from d1ops.core.engine import Engine
    from d1ops.core.excerpt import Links
    from d1ops.core.footprint import Overwrite
    from d1ops.core.sql import ScriptStatement
    from d1ops.core.values import Row


@dataclass(frozen=True, slots=True)
class Stage:
    """Images before and after a migration, without generated rows; `overwrites` as in `core.footprint.Observed`."""

    step: Step
    before: bytes
    after: bytes
    overwrites: tuple[Overwrite, ...]


def advance(cursor: Engine, migration: Migration, links: Links, *, is_thorough: bool = False) -> Stage:
    """Run a migration on `cursor`, which holds the database before it, and return its stage.

    The stage is an excerpt, but for `is_thorough`, and where an excerpt would not do. A rollback script that cannot be
    read or does not run is left to its trial. Raises ScriptError for a migration that cannot be read and
    StatementRejected, with the place, for one that does not run.
    """
    forward = migration.script.statements
    back = _rollback_statements(migration)
    before, whole = cursor.ask(SELECT_OBJECTS), cursor.serialize()
    image = None if is_thorough else _excerpt(cursor, Schema.from_rows(before), links, forward, back)
    stage = _try(image, migration, back, links) if image is not None else None
    run_script(cursor, forward)
    if stage is not None and _changes(before, cursor.ask(SELECT_OBJECTS)) == _changes_of(stage):
        return stage
    # The excerpt was too small, or there is none.
    stage = _try(whole, migration, back, links)
    assert stage is not None, "what ran in the database runs in its copy"
    return stage


def _rollback_statements(migration: Migration) -> tuple[ScriptStatement, ...]:
    try:
        return migration.rollback.statements if migration.rollback else ()
    except ScriptError:
        return ()


def _excerpt(
    cursor: Engine,
    schema: Schema,
    links: Links,
    forward: tuple[ScriptStatement, ...],
    back: tuple[ScriptStatement, ...],
) -> bytes | None:
    """The image of what the statements can reach; None where that is everything."""
    reach = Reach(cursor, schema, links)
    tables = reach.tables((*forward, *back))
    if tables is None:
        return None
    # A view that does not hold lets ADD COLUMN pass, and no other ALTER TABLE.
    if any(s.verb == "ALTER" for s in back) and not reach.followers_hold():
        return None
    try:
        with closing(cut_out(cursor, schema, tables)) as engine:
            return engine.serialize()
    except UnicodeDecodeError:
        return None


def _try(image: bytes, migration: Migration, back: tuple[ScriptStatement, ...], links: Links) -> Stage | None:
    """Run the scripts on an image; None where the migration does not run there."""
    with closing(opened(image)) as engine:
        try:
            seen = observe(engine, migration.script.statements, links)
        except StatementRejected:
            return None
        after = engine.serialize()
        rollback: Footprint | None = None
        if back:
            with suppress(StatementRejected):
                rollback = Footprint.of_all(observe(engine, back, links).footprints)
    with closing(opened(image)) as old, closing(opened(after)) as new:
        made = made_between(image, after)
        then, now = schema_of(old), schema_of(new)
        novel = _novel(_names(old), _names(new))
    followers = tuple(
        links.words(o.sql or "") for o in now.objects if o.type in ("view", "trigger") and o not in then.objects
    )
    removes_followers = any(label.startswith(("view ", "trigger ")) for label in (*made.changed, *made.removed))
    step = Step(migration, seen.footprints, rollback, made, followers, novel, removes_followers=removes_followers)
    return Stage(step, image, after, seen.overwrites)


def _names(engine: Engine) -> dict[str, set[str]]:
    """The names of all tables and views with those of their columns; a view that does not hold has none."""
    found: dict[str, set[str]] = {}
    for (name,) in engine.ask("SELECT name FROM sqlite_master WHERE type IN ('table', 'view')"):
        columns: list[Row] = []
        with suppress(apsw.SQLError):
            columns = engine.ask("SELECT name FROM pragma_table_xinfo(?)", (name,))
        found[fold(str(name))] = {fold(str(column)) for (column,) in columns}
    return found


def _novel(before: dict[str, set[str]], after: dict[str, set[str]]) -> frozenset[str]:
    """The names that only one of the two has: of tables and views, and of columns of what both have."""
    found = set(before) ^ set(after)
    for name in before.keys() & after.keys():
        found |= before[name] ^ after[name]
    return frozenset(found)


def _changes_of(stage: Stage) -> set[Row]:
    with closing(opened(stage.before)) as before, closing(opened(stage.after)) as after:
        return _changes(before.ask(SELECT_OBJECTS), after.ask(SELECT_OBJECTS))


def _changes(before: Sequence[Row], after: Sequence[Row]) -> set[Row]:
    """The objects that are not in both; SQLite's own tables come and go with others."""
    return {row for row in set(before) ^ set(after) if not rules.is_reserved(str(row[1]))}
