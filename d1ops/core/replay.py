"""Migrations run on a throw-away engine, to learn what they make and touch."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import apsw

from d1ops.core import rules
from d1ops.core.deferral import settling
from d1ops.core.engine import Engine, Rejected
from d1ops.core.mirror import empty, schema_of
from d1ops.core.sql import fold, is_about_rows, significant
from d1ops.core.values import Statement
from d1ops.errors import StatementRejected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from d1ops.core.catalog import Migration
    from d1ops.core.measure import Part
    from d1ops.core.schema import Schema
    from d1ops.core.sql import ScriptStatement


def rejected_in_script(error: Rejected, statements: Sequence[ScriptStatement]) -> StatementRejected:
    """Turn an engine's refusal into an error that names file, line and column."""
    if not 0 <= error.index < len(statements):
        path = statements[-1].path if statements else "the script"
        return StatementRejected(
            f"{path}: the script fails at its end, when the transaction commits: {error.text}",
            index=error.index,
            on_rows=error.on_rows,
        )
    statement = statements[error.index]
    line, column = statement.place(error.offset or 0)
    return StatementRejected(
        f"{statement.path}:{line}:{column}: {error.text}",
        index=error.index,
        sql=statement.sql,
        offset=error.offset,
        on_rows=error.on_rows,
    )


def run_script(engine: Engine, statements: Sequence[ScriptStatement]) -> None:
    """Run a script as one transaction. Raises StatementRejected with file, line and column."""
    try:
        engine.run([Statement(statement.sql) for statement in statements], after=settling(engine, statements))
    except Rejected as error:
        raise rejected_in_script(error, statements) from None


def run_on_mirror(mirror: Engine, statements: Sequence[ScriptStatement]) -> bool:
    """Run a script on the schema of a target, for what it makes of the schema. Return whether all of it ran.

    A mirror lacks the target's rows, so a script that fails on rows there may run on the target. What it does to rows
    is then compiled and not run, on a mirror without any. Raises StatementRejected with the place for what fails on
    any rows.
    """
    try:
        run_script(mirror, statements)
    except StatementRejected as error:
        if not error.on_rows:
            raise
        run_without_rows(mirror, statements)
        return False
    return True


def run_without_rows(
    mirror: Engine, statements: Sequence[ScriptStatement], *, after: Callable[[int], None] | None = None
) -> None:
    """Empty a mirror and run of a script what changes the schema; what is about rows is compiled alone. `after` is
    called with the index of every statement. Raises StatementRejected with the place."""
    empty(mirror)
    about_rows = {index for index, statement in enumerate(statements) if is_about_rows(statement.sql)}
    after = after or settling(mirror, statements)
    try:
        mirror.run([Statement(statement.sql) for statement in statements], after=after, compile_only=about_rows)
    except Rejected as error:
        raise rejected_in_script(error, statements) from None


def replay(migrations: Iterable[Migration]) -> Engine:
    """Return an engine in memory on which the migrations have run, in the given order.

    Raises StatementRejected, naming the file and place, when one of them does not run.
    """
    engine = Engine.memory()
    for migration in migrations:
        run_script(engine, migration.script.statements)
    return engine


def replay_without_rows(migrations: Iterable[Migration]) -> tuple[Engine, frozenset[str]]:
    """Return an engine in memory on which the migrations have run as far as they do without the rows of a target, and
    the files of those that need some: of these the schema is right, and no row is there when they are done.

    Raises StatementRejected, naming the file and place, for one that fails on any rows.
    """
    engine = Engine.memory()
    needy = {migration.file for migration in migrations if not run_on_mirror(engine, migration.script.statements)}
    return engine, frozenset(needy)


@contextmanager
def watching(engine: Engine, *, functions: set[str] | None = None) -> Iterator[set[str]]:
    """Collect the names of the tables that the statements inside write to, drop or alter, folded; triggers and
    foreign key actions included, whether or not they find a row. `functions` takes the names of those they call."""
    found: set[str] = set()

    def note(action: int, first: str | None, second: str | None, database: str | None, trigger: str | None) -> None:
        del database, trigger
        if action == apsw.SQLITE_FUNCTION and functions is not None:
            functions.add(fold(second or ""))
        name = second if action in (apsw.SQLITE_ALTER_TABLE, apsw.SQLITE_CREATE_TRIGGER) else first
        if action in (*_WRITES, apsw.SQLITE_CREATE_TRIGGER) and name is not None and not rules.is_reserved(name):
            found.add(fold(name))

    engine.on_action = note
    try:
        yield found
    finally:
        engine.on_action = None


@dataclass(frozen=True, slots=True)
class Effects:
    """What a script does to a schema that is there: the tables whose rows it writes or drops, and the schema after.

    `tables` holds only tables that were there before the script. `emptied` are those tables that it deletes rows from
    and those of their columns that it overwrites: what was there may be elsewhere now. `failed` is why it does not run
    on the rows that the engine has, None where it does.
    """

    tables: frozenset[str]
    after: Schema
    emptied: frozenset[Part] = frozenset()
    failed: StatementRejected | None = None

    @property
    def touches_rows(self) -> bool:
        """Whether rows that are there may change or go."""
        return bool(self.tables)


def effects(engine: Engine, statements: Sequence[ScriptStatement]) -> Effects:
    """Run a script on `engine` and tell which tables that were there before it writes to.

    The engine's authorizer reports every INSERT, UPDATE, DELETE and DROP TABLE, triggers included. ALTER TABLE looks
    alike for every form; only ADD COLUMN, told by its words, leaves the rows as they are.

    A script that fails on the rows of the engine has its effects all the same (`run_without_rows`), and the engine has
    no rows afterwards. Raises StatementRejected for one that fails on any.
    """
    there = {
        fold(name): {fold(str(column)) for (column,) in engine.ask("SELECT name FROM pragma_table_xinfo(?)", (name,))}
        for name in schema_of(engine).tables()
    }
    touched: set[str] = set()
    emptied: set[Part] = set()
    position = 0

    def note(action: int, first: str | None, second: str | None, database: str | None, trigger: str | None) -> None:
        del database, trigger
        name = second if action == apsw.SQLITE_ALTER_TABLE else first
        if action not in _WRITES or name is None or fold(name) not in there or rules.is_reserved(name):
            return
        touched.add(name)
        # DROP TABLE looks like a DELETE as well; what it takes shows in the schema after.
        if action == apsw.SQLITE_DELETE and statements[position].verb != "DROP":
            emptied.add((name, None))
        if action == apsw.SQLITE_UPDATE and fold(second or "") in there[fold(name)]:
            emptied.add((name, second))

    def watch(statement: ScriptStatement) -> bool:
        words = [token.upper for token in significant(statement.sql)]
        verb = words[5:6] if words[3:4] == ["."] else words[3:4]
        return not (words[:2] == ["ALTER", "TABLE"] and verb == ["ADD"])

    watched = [watch(statement) for statement in statements]

    def begin(index: int) -> None:
        nonlocal position
        position = index
        engine.on_action = note if index < len(watched) and watched[index] else None

    settle = settling(engine, statements)

    def next_statement(index: int) -> None:
        begin(index + 1)
        settle(index)

    failed: StatementRejected | None = None
    try:
        begin(0)
        engine.run([Statement(statement.sql) for statement in statements], after=next_statement)
    except Rejected as error:
        failed = rejected_in_script(error, statements)
        if not failed.on_rows:
            raise failed from None
        begin(0)
        run_without_rows(engine, statements, after=next_statement)
    finally:
        engine.on_action = None
    return Effects(frozenset(touched), schema_of(engine), frozenset(emptied), failed)


_WRITES = frozenset(
    (
        apsw.SQLITE_INSERT,
        apsw.SQLITE_UPDATE,
        apsw.SQLITE_DELETE,
        apsw.SQLITE_DROP_TABLE,
        apsw.SQLITE_DROP_VTABLE,
        apsw.SQLITE_ALTER_TABLE,
    )
)
