"""Where the catalog makes the objects of a schema: file and line, for whoever must look at the statement.

The migrations run one after the other on a throw-away engine. A new object gets a new row of `sqlite_master`, and a
renamed one keeps its row (SQLite documentation, "The Schema Table"), so the newest rowid before and after a statement
says what it made, and a rebuilt table is found where its new form was written.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.engine import Engine, Rejected
from d1ops.core.replay import rejected_in_script
from d1ops.core.sql import fold, significant, unquote
from d1ops.core.values import Statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from d1ops.core.catalog import Migration
    from d1ops.core.schema import Key
    from d1ops.core.sql import ScriptStatement, Token


@dataclass(frozen=True, slots=True)
class Place:
    """A line of a file, from 1. `path` is as a person would type it from the project root."""

    path: str
    line: int


@dataclass(frozen=True)
class Places:
    """The statement that made each object that the catalog ever made, the last one of a name; and the statements that
    added columns later."""

    objects: Mapping[Key, ScriptStatement]
    columns: Mapping[tuple[str, str], ScriptStatement]

    def of_index(self, index: str) -> Place | None:
        """Return where an index is made, or None when the catalog makes none of this name."""
        return _place(self.objects.get(("index", fold(index))))

    def of_table(self, table: str, columns: Iterable[str] = ()) -> Place | None:
        """Return where a table is made, or None when the catalog makes none of this name.

        With `columns` it is the line of the first of them that is found: the statement that added it, else its line
        in the CREATE TABLE.
        """
        statement = self.objects.get(("table", fold(table)))
        for column in columns:
            added = self.columns.get((fold(table), fold(column)))
            if added is not None:
                return _place(added)
            if statement is not None:
                line = _line_of_column(statement, column)
                if line is not None:
                    return Place(statement.path, line)
        return _place(statement)


NOWHERE = Places({}, {})
"""The places of a catalog that makes nothing."""


def find_places(migrations: Iterable[Migration]) -> Places:
    """Return where the migrations, run in this order, make their objects. Linear in the number of statements.

    Raises StatementRejected, with file and line, when one of them does not run.
    """
    finder = _Finder()
    with closing(finder.engine):
        for migration in migrations:
            finder.run(migration.script.statements)
        return finder.places()


class _Finder:
    """`_made` and `_by_key` hold the number of a statement, counted over all files, in `_statements`."""

    def __init__(self) -> None:
        self.engine = Engine.memory()
        self._newest = 0
        self._statements: list[ScriptStatement] = []
        self._made: dict[int, int] = {}
        self._by_key: dict[Key, int] = {}
        self._columns: dict[tuple[str, str], int] = {}

    def run(self, statements: tuple[ScriptStatement, ...]) -> None:
        def after(index: int) -> None:
            self._look(statements[index])

        try:
            self.engine.run([Statement(statement.sql) for statement in statements], after=after)
        except Rejected as error:
            raise rejected_in_script(error, statements) from None

    def _look(self, statement: ScriptStatement) -> None:
        number = len(self._statements)
        self._statements.append(statement)
        newest = self.engine.ask_one("SELECT coalesce(max(rowid), 0) FROM sqlite_master")
        assert isinstance(newest, int)
        if newest > self._newest:
            rows = self.engine.ask("SELECT rowid, type, name FROM sqlite_master WHERE rowid > ?", (self._newest,))
            for row, type_, name in rows:
                assert isinstance(row, int)
                self._made[row] = self._by_key[str(type_), fold(str(name))] = number
        self._newest = newest
        added = _added_column(statement)
        if added is not None:
            self._columns[added] = number

    def places(self) -> Places:
        """A rename keeps the row and changes the name, so the names at the end are the last word."""
        for row, type_, name in self.engine.ask("SELECT rowid, type, name FROM sqlite_master"):
            assert isinstance(row, int)
            if row in self._made:
                self._by_key[str(type_), fold(str(name))] = self._made[row]
        return Places(
            {key: self._statements[number] for key, number in self._by_key.items()},
            {
                (table, column): self._statements[number]
                for (table, column), number in self._columns.items()
                # What was added to an earlier table of this name is not in the one that is there now.
                if number > self._by_key.get(("table", table), number)
            },
        )


def _place(statement: ScriptStatement | None) -> Place | None:
    return None if statement is None else Place(statement.path, statement.line)


def _added_column(statement: ScriptStatement) -> tuple[str, str] | None:
    """Return table and column of an `ALTER TABLE t ADD [COLUMN] c`, folded; only for showing where it stands."""
    if statement.verb != "ALTER":
        return None
    found = list(significant(statement.sql))
    rest = found[2:]
    if [token.text for token in rest[1:2]] == ["."]:
        rest = rest[2:]
    match [token.upper for token in rest[1:3]]:
        case ["ADD", "COLUMN"] if len(rest) > 3:
            return _name(rest[0]), _name(rest[3])
        case ["ADD", _]:
            return _name(rest[0]), _name(rest[2])
        case _:
            return None


def _line_of_column(statement: ScriptStatement, column: str) -> int | None:
    """Return the line where a column's definition begins in a CREATE TABLE."""
    for token in _definitions(statement.sql):
        if token.kind in ("word", "quoted", "string") and _name(token) == fold(column):
            return statement.line + statement.sql.count("\n", 0, token.start)
    return None


def _definitions(sql: str) -> Iterator[Token]:
    """Yield the first token of everything between the commas of the outermost parentheses."""
    depth = 0
    begins = False
    for token in significant(sql):
        if begins:
            yield token
        begins = False
        match token.text:
            case "(":
                depth += 1
                begins = depth == 1
            case ")":
                depth -= 1
            case ",":
                begins = depth == 1


def _name(token: Token) -> str:
    return fold(unquote(token.text) if token.kind in ("quoted", "string") else token.text)
