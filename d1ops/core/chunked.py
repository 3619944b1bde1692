"""Data migrations that are run in pieces, by ranges of a key, because one batch would be too long.

    -- d1ops: chunked users by id, 1000 rows
    UPDATE users SET email = lower(email) WHERE id BETWEEN :from AND :to AND email <> lower(email);

The comment names the table, its key and how many rows make a piece; the statements are UPDATEs and DELETEs of that one
table, each bounded by `:from` and `:to`. Whether they are is not read off their text: SQLite prepares them, plans them,
and says on a copy which rows they changed.

A file without the comment is as it is. In a replay, where nothing is large, a chunked file runs over the whole table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import apsw

from d1ops.core.importing import literal
from d1ops.core.sql import fold, quote_identifier, tokens
from d1ops.errors import ScriptError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from d1ops.core.engine import Engine
    from d1ops.core.sql import ScriptStatement

ROWS = 1_000
"""Rows of a piece where the file does not say; D1's documentation advises 1,000 for large changes."""
MOST_ROWS = 50_000

PLACEHOLDERS = frozenset((":from", ":to"))

_NAME = r'(?:"(?:[^"]|"")+"|[^\s",;]+)'
_DIRECTIVE = re.compile(r"--\s*d1ops:\s*chunked\b(?P<rest>[^\n]*)", re.IGNORECASE)
_FORM = re.compile(rf"\s+(?P<table>{_NAME})\s+by\s+(?P<key>{_NAME})(?:\s*,\s*(?P<rows>\d+)\s+rows)?\s*", re.IGNORECASE)
_HINT = "write it as: -- d1ops: chunked TABLE by KEY, 1000 rows"


@dataclass(frozen=True, slots=True)
class Key:
    """The key of a row, of exact type. `text` is how it is recorded: a letter for the type, and the value."""

    text: str

    @classmethod
    def of(cls, kind: object, value: object) -> Key:
        """Make a key of a typeof and a value; a TEXT is given as its bytes."""
        match kind, value:
            case "integer", int():
                return cls(f"i{value}")
            case "real", float():
                return cls(f"f{value.hex()}")
            case "text", bytes():
                return cls(f"x{value.hex()}")
            case _, bytes():
                return cls(f"b{value.hex()}")
        raise ValueError(f"no key: {value!r:.40}")

    @property
    def sql(self) -> str:
        """The key as an SQL expression."""
        kind, rest = self.text[:1], self.text[1:]
        if kind == "i":
            return str(int(rest))
        if kind == "f":
            return literal(float.fromhex(rest))
        if kind == "x":
            data = bytes.fromhex(rest)
            try:
                return literal(data.decode())
            except UnicodeDecodeError:
                return f"CAST({literal(data)} AS TEXT)"
        return literal(bytes.fromhex(rest))

    def __str__(self) -> str:
        """The key as a person knows it."""
        kind, rest = self.text[:1], self.text[1:]
        if kind == "x":
            return bytes.fromhex(rest).decode(errors="replace")
        return str(float.fromhex(rest)) if kind == "f" else rest


@dataclass(frozen=True, slots=True)
class Chunked:
    """A chunked script: a table, the key that it goes along, rows of a piece, and the statements with placeholders."""

    table: str
    key: str
    rows: int
    statements: tuple[ScriptStatement, ...]

    def whole(self) -> tuple[ScriptStatement, ...]:
        """The statements over the whole table."""
        key, table = quote_identifier(self.key), quote_identifier(self.table)
        return self._with(f"(SELECT min({key}) FROM {table})", f"(SELECT max({key}) FROM {table})")

    def between(self, first: Key, last: Key) -> tuple[ScriptStatement, ...]:
        """The statements for a range of keys, both ends included."""
        return self._with(first.sql, last.sql)

    def range_sql(self, first: Key, last: Key) -> str:
        """The condition on the table's rows that a range of keys is."""
        return f"{quote_identifier(self.key)} BETWEEN {first.sql} AND {last.sql}"

    def _with(self, first: str, last: str) -> tuple[ScriptStatement, ...]:
        values = {":from": first, ":to": last}
        return tuple(
            replace(each, sql="".join(values.get(token.text, token.text) for token in tokens(each.sql)))
            for each in self.statements
        )


def read_chunked(text: str, statements: Sequence[ScriptStatement], path: str) -> Chunked | None:
    """Return what a script says of being run in pieces, or None where it says nothing.

    Raises ScriptError, with the place, for a comment of another form and for a statement that does not have exactly the
    placeholders `:from` and `:to`.
    """
    found = [token for token in tokens(text) if token.kind == "comment" and _DIRECTIVE.match(token.text)]
    if not found:
        return None
    comment = found[0]
    line = text.count("\n", 0, comment.start) + 1
    column = comment.start - text.rfind("\n", 0, comment.start)
    directive = _DIRECTIVE.match(comment.text)
    form = _FORM.fullmatch(directive["rest"]) if directive else None
    if form is None or len(found) > 1:
        problem = "this comment is not of the form that a chunked migration has" if form is None else "two of them"
        raise ScriptError(problem, path=path, line=line, column=column, hint=_HINT)
    rows = int(form["rows"] or ROWS)
    if not 1 <= rows <= MOST_ROWS:
        raise ScriptError(
            f"a piece has 1 to {MOST_ROWS:,} rows, not {rows:,}", path=path, line=line, column=column, hint=_HINT
        )
    for statement in statements:
        used = {token.text for token in tokens(statement.sql) if token.kind == "parameter"}
        if used != PLACEHOLDERS:
            wrong = sorted(used - PLACEHOLDERS) or sorted(PLACEHOLDERS - used)
            verb = "knows no" if used - PLACEHOLDERS else "lacks"
            raise _misfit(statement, f"a statement of a chunked migration {verb} {', '.join(wrong)}")
    return Chunked(_unquoted(form["table"]), _unquoted(form["key"]), rows, tuple(statements))


def _unquoted(name: str) -> str:
    return name[1:-1].replace('""', '"') if name.startswith('"') else name


def _misfit(statement: ScriptStatement, problem: str) -> ScriptError:
    return ScriptError(
        problem,
        path=statement.path,
        line=statement.line,
        column=statement.column,
        hint="UPDATE or DELETE the one table, with WHERE key BETWEEN :from AND :to (docs/chunked-migrations.md)",
    )


def require_fitting(engine: Engine, chunked: Chunked) -> None:
    """Raise ScriptError, with the place, unless the schema has the table with this key, every statement writes to that
    table alone, and SQLite finds the rows of a range by the key. Nothing is run."""
    statement = chunked.statements[0]
    table, key = chunked.table, fold(chunked.key)
    columns = engine.ask("SELECT lower(name), pk FROM pragma_table_info(?)", (table,))
    if not columns:
        raise _misfit(statement, f"there is no table {table}")
    primary = [name for name, pk in columns if pk]
    names = {str(name) for name, _ in columns}
    kind = engine.ask("SELECT type, wr FROM pragma_table_list WHERE schema = 'main' AND name = ?", (table,))
    is_rowid = key in ("rowid", "_rowid_", "oid") and key not in names and kind == [("table", 0)]
    if primary != [key] and not is_rowid:
        has = f"its key is {', '.join(map(str, primary))}" if primary else "it has no key: use rowid"
        raise _misfit(
            statement, f"{chunked.key} is not the key of {table} ({has}); a key of several columns does not do"
        )
    for before, each in zip(chunked.statements, chunked.between(Key("i1"), Key("i2")), strict=True):
        written = written_by(engine, each)
        if each.verb not in ("UPDATE", "DELETE") or not written:
            raise _misfit(before, f"{each.verb} does not go by pieces")
        if fold(written[0]) != fold(table):
            raise _misfit(before, f"the statement writes to {written[0]}, and the migration goes along {table}")
        plan = [str(row[3]) for row in engine.ask(f"EXPLAIN QUERY PLAN {each.sql}")]
        if not any(detail.startswith("SEARCH") for detail in plan[:1]):
            raise _misfit(before, f"the statement does not find its rows by {chunked.key} ({'; '.join(plan[:1])})")


def written_by(engine: Engine, statement: ScriptStatement) -> list[str]:
    """The tables that a statement writes to, its own first, as SQLite says while it prepares it."""
    found: list[str] = []

    def note(action: int, first: str | None, second: str | None, database: str | None, trigger: str | None) -> None:
        del second, database, trigger
        if action in (apsw.SQLITE_UPDATE, apsw.SQLITE_DELETE, apsw.SQLITE_INSERT) and first is not None:
            found.append(first)

    before, engine.on_action = engine.on_action, note
    try:
        engine.connection.execute(f"EXPLAIN {statement.sql}", can_cache=False).fetchall()
    except apsw.Error as error:
        raise _misfit(statement, str(error)) from None
    finally:
        engine.on_action = before
    return found


def ranges(engine: Engine, chunked: Chunked, after: Key | None = None) -> Iterator[tuple[Key, Key]]:
    """Cut the keys that are there, after one if it is given, into pieces. Raises ScriptError for a key that is NULL."""
    key, table = quote_identifier(chunked.key), quote_identifier(chunked.table)
    if engine.ask(f"SELECT 1 FROM {table} WHERE {key} IS NULL LIMIT 1"):
        raise _misfit(chunked.statements[0], f"{chunked.table} has rows whose {chunked.key} is NULL")
    rest = f" WHERE {key} > {after.sql}" if after else ""
    picked = f"SELECT typeof(k), CASE typeof(k) WHEN 'text' THEN CAST(k AS BLOB) ELSE k END FROM (SELECT {key} AS k"
    found = [Key.of(*row) for row in engine.ask(f"{picked} FROM {table}{rest} ORDER BY {key})")]
    for at in range(0, len(found), chunked.rows):
        piece = found[at : at + chunked.rows]
        yield piece[0], piece[-1]


class Strays:
    """Watches a range being changed on a copy, and keeps the keys of rows outside of it, with the statement."""

    def __init__(self, engine: Engine, chunked: Chunked, first: Key, last: Key) -> None:
        self._chunked = chunked
        source = f"{quote_identifier(chunked.table)} WHERE {chunked.range_sql(first, last)}"
        self._within = {key for (key,) in engine.ask(f"SELECT {quote_identifier(chunked.key)} FROM {source}")}
        columns = [
            str(name) for (name,) in engine.ask("SELECT lower(name) FROM pragma_table_info(?)", (chunked.table,))
        ]
        self._place = columns.index(fold(chunked.key)) if fold(chunked.key) in columns else None
        self._found: list[tuple[int, object]] = []

    def note(self, update: apsw.PreUpdate, position: int) -> None:
        """Take notice of a row that is about to be changed."""
        if update.depth or fold(update.table_name) != fold(self._chunked.table):
            return
        old = update.old or ()
        key = update.rowid if self._place is None else old[self._place]
        if key not in self._within:
            self._found.append((position, key))

    def refuse(self) -> None:
        """Raise ScriptError for the first row outside of the range."""
        for position, key in self._found:
            raise _misfit(
                self._chunked.statements[position],
                f"the statement changes a row outside of its range: {self._chunked.key} {key!s:.60}",
            )
