"""The facts that the rules look at: every script run on empty tables, statement by statement, on SQLite itself.

A migration runs and stays; its rollback script runs after it and is undone again, so every script sees the schema that
it will meet. Where a migration does not run, the later ones are judged by their text alone.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import apsw

from d1ops.core import rules
from d1ops.core.engine import Engine, Rejected
from d1ops.core.sql import fold, significant
from d1ops.core.trial import user_schema
from d1ops.core.values import Statement
from d1ops.errors import ScriptError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from d1ops.core.catalog import Catalog, Migration, Script
    from d1ops.core.schema import Schema
    from d1ops.core.sql import ScriptStatement


class Role(StrEnum):
    """Which way a script goes."""

    MIGRATION = "migration"
    ROLLBACK = "rollback"


@dataclass(frozen=True, slots=True)
class Link:
    """A foreign key: rows of `child` refer to `parent`; `on_delete` is what happens to them, in upper case."""

    child: str
    parent: str
    on_delete: str


@dataclass(frozen=True, slots=True)
class Step:
    """A statement and what it did. `words` are its tokens in upper case without space and comments; `dropped` the
    table it drops; `links` all foreign keys at that moment, where it drops one."""

    statement: ScriptStatement
    words: tuple[str, ...]
    dropped: str | None = None
    links: tuple[Link, ...] = ()

    @property
    def line(self) -> int:
        """Where the statement begins, from 1."""
        return self.statement.line


@dataclass(frozen=True, slots=True)
class Failure:
    """A statement that D1 refuses. `step` is its index, `text` D1's words; `is_rule` where plain SQLite takes it and
    so one of D1's rules stands in the way."""

    step: int
    text: str
    is_rule: bool


@dataclass(frozen=True, slots=True)
class Run:
    """A script that was run. Without `before` and `after` it was only read, because an earlier script does not run;
    `after` is None as well where this one fails."""

    migration: Migration
    role: Role
    script: Script
    steps: tuple[Step, ...]
    before: Schema | None = None
    after: Schema | None = None
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """What is linted: the catalog, its scripts in order (a rollback script after its migration), the schema before
    each migration by its file, and the scripts that cannot be read, with the reason."""

    catalog: Catalog
    runs: tuple[Run, ...]
    origins: Mapping[str, Schema]
    unreadable: tuple[ScriptError, ...]


def examine(catalog: Catalog) -> Subject:
    """Run all scripts of a catalog on empty tables. What is wrong with one becomes a fact, not an error."""
    runs: list[Run] = []
    origins: dict[str, Schema] = {}
    unreadable: list[ScriptError] = []
    with closing(Engine.memory()) as engine:
        schema: Schema | None = user_schema(engine)
        for migration in catalog.migrations:
            if schema is not None:
                origins[migration.file] = schema
            run = _observe(engine, migration, Role.MIGRATION, migration.script, schema, unreadable)
            runs += [run] if run else []
            schema = run.after if run else None
            if migration.rollback is not None and migration.rollback.irreversible is None:
                back = _observe(engine, migration, Role.ROLLBACK, migration.rollback, schema, unreadable)
                runs += [back] if back else []
    return Subject(catalog, tuple(runs), origins, tuple(unreadable))


class _Undo(Exception):
    """Ends a run inside its transaction, which the engine then rolls back."""


def _observe(
    engine: Engine,
    migration: Migration,
    role: Role,
    script: Script,
    before: Schema | None,
    unreadable: list[ScriptError],
) -> Run | None:
    try:
        statements = script.statements
    except ScriptError as error:
        unreadable.append(error)
        return None
    steps = [Step(s, tuple(token.upper for token in significant(s.sql))) for s in statements]
    if before is None:
        return Run(migration, role, script, tuple(steps))
    dropped: dict[int, str] = {}
    links: dict[int, tuple[Link, ...]] = {}
    position = 0
    after: Schema | None = None

    def note(action: int, first: str | None, second: str | None, database: str | None, trigger: str | None) -> None:
        del second, database, trigger
        if action in (apsw.SQLITE_DROP_TABLE, apsw.SQLITE_DROP_VTABLE) and first and not rules.is_reserved(first):
            dropped.setdefault(position, first)

    def advance(index: int) -> None:
        nonlocal position, after
        position = index + 1
        if position == len(steps):
            after = user_schema(engine)
            if role is Role.ROLLBACK:
                raise _Undo
        elif steps[position].words[:2] == ("DROP", "TABLE"):
            links[position] = _links(engine)

    failure: Failure | None = None
    engine.on_action = note
    try:
        advance(-1)
        engine.run([Statement(s.sql) for s in statements], after=advance)
    except _Undo:
        pass
    except Rejected as error:
        # Rows that are not there are no rule of D1's.
        is_rule = not error.on_rows and _is_rule(engine, statements, error.index)
        failure = Failure(min(error.index, len(steps) - 1), error.text, is_rule)
        after = None
    finally:
        engine.on_action = None
    seen = tuple(
        Step(step.statement, step.words, dropped.get(index), links.get(index, ())) for index, step in enumerate(steps)
    )
    return Run(migration, role, script, seen, before, after, failure)


def _links(engine: Engine) -> tuple[Link, ...]:
    with engine.unlimited():
        rows = engine.ask(
            'SELECT DISTINCT m.name, f."table", f.on_delete'
            " FROM sqlite_master AS m, pragma_foreign_key_list(m.name) AS f WHERE m.type = 'table' ORDER BY 1, 2"
        )
    return tuple(Link(str(child), str(parent), str(action)) for child, parent, action in rows)


def _is_rule(engine: Engine, statements: Sequence[ScriptStatement], index: int) -> bool:
    """Return whether plain SQLite takes the statement that D1's rules refuse."""
    if not 0 <= index < len(statements):
        return False

    def freely() -> None:
        for statement in statements[: index + 1]:
            engine.connection.execute(statement.sql)

    with engine.unlimited():
        try:
            engine.connection.execute("SAVEPOINT d1ops_lint")
            freely()
        except apsw.Error:
            return False
        else:
            return True
        finally:
            if engine.connection.in_transaction:
                engine.connection.execute("ROLLBACK")


def is_marked(migration: Migration) -> bool:
    """Return whether the author says, in either file, that the migration cannot be undone."""
    scripts = (migration.script, migration.rollback)
    return any(script is not None and script.irreversible is not None for script in scripts)


def vanished(before: Schema, after: Schema) -> tuple[str, ...]:
    """Return the labels of the objects (`index idx_a`) that are in `before` and not in `after`."""
    there = after.by_key().keys()
    return tuple(o.label for o in before.objects if o.sql is not None and o.key not in there)


def table_columns(schema: Schema) -> dict[str, frozenset[str]]:
    """Return the columns of every ordinary table, names folded."""
    from d1ops.core.schema import column_order

    return {fold(o.name): frozenset(column_order(o)) for o in schema.objects if o.type == "table"}
