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
from d1ops.core.overwriting import Renames, copied, fills
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
    """What a script does to a schema that is there, and the schema after.

    All names are of tables that were there before the script. `failed` is why it does not run on the rows that the
    engine has, None where it does.
    """

    tables: frozenset[str]
    """Tables whose rows it writes or drops."""
    after: Schema
    emptied: frozenset[Part] = frozenset()
    """Tables that it deletes rows from, or makes anew without a row, and columns that it overwrites: what was there may
    be elsewhere now."""
    overwritten: frozenset[tuple[str, str]] = frozenset()
    """Columns that its statements and triggers write to where they may hold something; those that a foreign key's
    action sets are not among them."""
    written: frozenset[str] = frozenset()
    """Tables that it inserts rows into or updates."""
    dropped: frozenset[str] = frozenset()
    """Tables that a DROP TABLE names."""
    anew: frozenset[str] = frozenset()
    """Tables in whose place it puts another one of the same name."""
    failed: StatementRejected | None = None

    @property
    def touches_rows(self) -> bool:
        """Whether rows that are there may change or go."""
        return bool(self.tables)


class _Notes:
    """What SQLite's authorizer says of the statements of a script, one after the other, as `Effects` has it."""

    def __init__(self, engine: Engine, statements: Sequence[ScriptStatement]) -> None:
        self.names = schema_of(engine).tables()
        self._engine = engine
        self._columns = {fold(name): set(self._columns_of(name)) for name in self.names}
        self._statements = statements
        self._position = 0
        self._own: str | None = None
        self._filled: frozenset[str] = frozenset()
        self.touched: set[str] = set()
        self.emptied: set[Part] = set()
        self.overwritten: set[tuple[str, str]] = set()
        self.written: set[str] = set()
        self.dropped: set[str] = set()
        self._renames = Renames(self.names)
        self.created: set[str] = set()
        self.unfilled: set[str] = set()
        self.left_out: dict[str, set[str]] = {}

    def _columns_of(self, table: str) -> list[str]:
        return [fold(str(name)) for (name,) in self._engine.ask("SELECT name FROM pragma_table_info(?)", (table,))]

    def begin(self, position: int) -> None:
        """Turn to a statement."""
        self._position, self._own = position, None
        sql = self._statements[position].sql
        self._filled = fills(sql)
        self._renames.read(sql)
        copy = copied(sql)
        source = fold(self._renames.table(copy.source)) if copy is not None else ""
        if copy is not None and source in self._columns:
            left = copy.left_out(self._columns[source], self._columns_of(copy.target))
            self.left_out.setdefault(source, set()).update(left)

    def note(self, action: int, first: str | None, second: str | None, _: str | None, trigger: str | None) -> None:
        """Take notice of what a statement is about to do."""
        name = self._renames.table((second if action == apsw.SQLITE_ALTER_TABLE else first) or "")
        folded = fold(name)
        if folded not in self._columns or rules.is_reserved(name):
            return
        if action == apsw.SQLITE_CREATE_TABLE:
            self.created.add(folded)
            self.unfilled.add(folded)
        if action not in _WRITES:
            return
        self.touched.add(name)
        if trigger is None and self._own is None:
            self._own = name
        if action in (apsw.SQLITE_INSERT, apsw.SQLITE_UPDATE):
            self.written.add(name)
        if action == apsw.SQLITE_INSERT:
            self.unfilled.discard(folded)
        elif action in (apsw.SQLITE_DROP_TABLE, apsw.SQLITE_DROP_VTABLE):
            self.dropped.add(name)
        elif action == apsw.SQLITE_DELETE and self._verb != "DROP":
            # DROP TABLE looks like a DELETE as well; what it takes shows in the schema after.
            self.emptied.add((name, None))
        elif action == apsw.SQLITE_UPDATE and second is not None:
            self._note_update(name, self._renames.column(name, second), trigger, is_filled=fold(second) in self._filled)

    def _note_update(self, table: str, column: str, trigger: str | None, *, is_filled: bool) -> None:
        is_own = trigger is None and self._own == table
        if (is_own and is_filled) or fold(column) not in self._columns[fold(table)]:
            return
        self.emptied.add((table, column))
        # Of a foreign key's action SQLite names neither a trigger nor the table of the statement.
        if trigger is not None or (is_own and self._verb not in ("DELETE", "DROP")):
            self.overwritten.add((table, column))

    @property
    def _verb(self) -> str:
        return self._statements[self._position].verb


def effects(engine: Engine, statements: Sequence[ScriptStatement]) -> Effects:
    """Run a script on `engine` and tell which tables that were there before it writes to.

    The engine's authorizer reports every INSERT, UPDATE, DELETE and DROP TABLE, triggers included. ALTER TABLE looks
    alike for every form; only ADD COLUMN, told by its words, leaves the rows as they are.

    A script that fails on the rows of the engine has its effects all the same (`run_without_rows`), and the engine has
    no rows afterwards. Raises StatementRejected for one that fails on any.
    """
    notes = _Notes(engine, statements)

    def watch(statement: ScriptStatement) -> bool:
        words = [token.upper for token in significant(statement.sql)]
        verb = words[5:6] if words[3:4] == ["."] else words[3:4]
        return not (words[:2] == ["ALTER", "TABLE"] and verb == ["ADD"])

    watched = [watch(statement) for statement in statements]

    def begin(index: int) -> None:
        engine.on_action = None
        if index < len(watched) and watched[index]:
            notes.begin(index)
            engine.on_action = notes.note

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
    after = schema_of(engine)
    kept = {fold(name) for name in after.tables()}
    again = kept & (notes.created | {fold(name) for name in notes.dropped})
    anew = {name for name in notes.names if fold(name) in again}
    emptied = notes.emptied | {(name, None) for name in anew if fold(name) in notes.unfilled}
    emptied |= {(name, column) for name in anew for column in notes.left_out.get(fold(name), ())}
    return Effects(
        tables=frozenset(notes.touched),
        after=after,
        emptied=frozenset(emptied),
        overwritten=frozenset(notes.overwritten),
        written=frozenset(notes.written),
        dropped=frozenset(notes.dropped),
        anew=frozenset(anew),
        failed=failed,
    )


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
