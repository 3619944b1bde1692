"""From texts with holes to queries.

A hole is where the program puts something that is known only at run time. It becomes a parameter where a value stands,
or a part of one, beside the rest of its literal; where a name, a keyword or a piece of SQL stands, the text is
unresolved.
"""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

import apsw

from d1ops.core import rules
from d1ops.core.engine import Engine
from d1ops.core.queries import VERBS, Query
from d1ops.core.sql import ScriptStatement, significant, split, tokens
from d1ops.core.workload import names
from d1ops.errors import ScriptError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.sql import Token

HOLE = "\ue000"
"""Stands for what is known only at run time; a character of the private use area, a word to the lexer."""

METHODS = frozenset(
    ("prepare", "exec", "query", "run", "all", "get", "first", "execute", "executemany", "executescript")
)
"""Methods whose first argument may be SQL."""

_CERTAIN = frozenset(("prepare", "executemany", "executescript"))
"""Methods that take nothing but SQL."""

_COMMON = frozenset(("", "all", "get", "first", "run"))
"""Methods that much else has, too; "" is a function of no object."""

_DATABASE = re.compile(r"(^|_|\.)(db|d1|database|sqlite)\d*$|(Db|DB|D1|Database)$")
_CONNECTION = re.compile(
    r"(^|_|\.)(db|d1|database|sqlite|conn|connection|cur|cursor|tx|trx|transaction|session|pool)\d*$"
    r"|(db|d1|database|connection|cursor)$",
    re.IGNORECASE,
)
_SQL = re.compile(r"(sql|query|statement|stmt)", re.IGNORECASE)
_SQL_VERBS = VERBS | {
    "CREATE",
    "DROP",
    "ALTER",
    "PRAGMA",
    "EXPLAIN",
    "ANALYZE",
    "ATTACH",
    "DETACH",
    "REINDEX",
    "VACUUM",
}
_SQL_VERBS |= {"BEGIN", "COMMIT", "END", "ROLLBACK", "SAVEPOINT", "RELEASE"}

_BEFORE_VALUE = frozenset(
    (
        "=",
        "==",
        "!=",
        "<>",
        "<",
        "<=",
        ">",
        ">=",
        "LIKE",
        "GLOB",
        "MATCH",
        "REGEXP",
        "LIMIT",
        "OFFSET",
        "BETWEEN",
        "THEN",
        "ELSE",
        "IS",
        "NOT",
        "+",
        "-",
        "*",
        "/",
        "%",
        "||",
    )
)
"""What stands before a value and never before a name or a piece of SQL, or so rarely that SQLite sees it."""

_WILDCARDS = {"LIKE": "%_", "GLOB": "*?["}
"""What a pattern can begin with that leaves nothing to look up."""


@dataclass(frozen=True, slots=True)
class Unresolved:
    """A call whose SQL is known only at run time; line and column from 1."""

    path: str
    line: int
    column: int
    reason: str


@dataclass(frozen=True, slots=True)
class Extracted:
    """What a file holds."""

    queries: tuple[Query, ...] = ()
    unresolved: tuple[Unresolved, ...] = ()


@dataclass(frozen=True, slots=True)
class Unknown(Exception):
    """Raised for an expression whose text is known only at run time. `start` is what stands before it."""

    reason: str
    start: str = ""


@dataclass(frozen=True, slots=True)
class Place:
    """Where a text begins, from 1, and the function around it, "" at the top level."""

    line: int
    column: int
    function: str


class Collector:
    """Gathers the texts of one file, in the order of their places."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._queries: list[Query] = []
        self._unresolved: list[Unresolved] = []

    def text(self, text: str, place: Place, *, method: str, receiver: str) -> None:
        """Take a text, with holes. One that is no SQL is listed where a database is given it, else it is nothing.

        Of what is given to a method that much else has, on what is not known for a database, only what SQLite can parse
        is SQL: `form.get("delete")` is none.
        """
        foreign = method in _COMMON and not _DATABASE.search(receiver)
        first = next((token.upper for token in significant(text)), "")
        if first not in _SQL_VERBS:
            if method in _CERTAIN or (method not in _COMMON and _CONNECTION.search(receiver)):
                self.note(place, _no_statement(first))
            return
        try:
            statements = split(f"{text};" if not text.rstrip().endswith(";") else text, self._path)
            wrong = next((each.verb for each in statements if each.verb not in _SQL_VERBS), None)
            if wrong is not None:
                raise Unknown(_no_statement(wrong))
            filled = [(each, _filled(each.sql)) for each in statements if each.verb in VERBS]
        except (ScriptError, Unknown) as error:
            if foreign and isinstance(error, ScriptError):
                return
            reason = error.reason if isinstance(error, Unknown) else f"it is not complete SQL: {error}"
            self.note(place, reason)
            return
        if foreign and not all(_parses(sql, count) for _, (sql, count) in filled):
            return
        for each, (sql, count) in filled:
            line = place.line + each.line - 1
            column = each.column if each.line > 1 else place.column
            # Named after the function around it, so that it keeps its name when lines move.
            base = place.function or PurePosixPath(self._path).name
            self._queries.append(Query(base, ScriptStatement(sql, self._path, line, column), ("",) * count))

    def unknown(self, problem: Unknown, place: Place, *, method: str, receiver: str, argument: str) -> None:
        """Take an argument that cannot be put together, where it may be SQL."""
        first = next((token.upper for token in significant(problem.start)), "")
        if (
            method in _CERTAIN
            or first in _SQL_VERBS
            or (_DATABASE if method in _COMMON else _CONNECTION).search(receiver)
            or (_SQL.search(argument) and method not in _COMMON)
        ):
            self.note(place, problem.reason)

    def done(self) -> Extracted:
        """Return all that was found."""
        by_base: dict[str, list[str]] = {}
        for query in self._queries:
            by_base.setdefault(query.name, []).append(query.sql)
        named = {base: iter(names(base, statements)) for base, statements in by_base.items()}
        queries = tuple(replace(query, name=next(named[query.name])) for query in self._queries)
        return Extracted(queries, tuple(sorted(self._unresolved, key=lambda one: (one.line, one.column))))

    def note(self, place: Place, reason: str) -> None:
        """List a place that is not audited."""
        one = Unresolved(self._path, place.line, place.column, reason)
        if one not in self._unresolved:
            self._unresolved.append(one)


def _parses(sql: str, parameters: int) -> bool:
    """Return whether SQLite, which knows no table here, understands a statement but for its tables."""
    try:
        with closing(Engine.memory()) as engine:
            engine.ask(f"EXPLAIN {sql}", (None,) * parameters)
    except apsw.SQLError as error:
        return str(error).startswith("no such table:")
    except ValueError:  # a NUL
        return False
    return True


def _no_statement(first: str) -> str:
    """Return why a text that begins with this word, in upper case, is no statement."""
    if HOLE in first:
        return "the beginning of the statement is known only at run time"
    return f"it is no SQL: no statement begins with {first[:40]}" if first else "it is no SQL: it has no statement"


def _filled(sql: str) -> tuple[str, int]:
    """Return a statement with a `?` for every hole and every named parameter, and the number of its parameters.

    Raises Unknown where a hole does not stand for a value.
    """
    parts: list[str] = []
    seen: list[Token] = []
    highest = 0
    for token in tokens(sql):
        text = token.text
        if token.kind == "parameter":
            number = text[1:] if text.startswith("?") else ""
            text = f"?{number}"
            highest = max(highest, int(number)) if number else highest + 1
        elif HOLE in text and token.kind != "comment":
            if token.kind == "string":
                if seen and seen[-1].upper == "X" and seen[-1].start + 1 == token.start:
                    raise Unknown("a blob literal is put together at run time")
                text = _spliced(text, seen)
            elif text != HOLE or not _is_value(seen):
                raise Unknown("a name or a piece of SQL is put in at run time")
            highest += text.count(HOLE)
            text = text.replace(HOLE, "?")
        if highest > rules.MAX_PARAMETERS:
            raise Unknown(f"it has more than the {rules.MAX_PARAMETERS} parameters that D1 takes")
        if token.kind not in ("space", "comment"):
            seen.append(token)
        parts.append(text)
    return "".join(parts), highest


def _spliced(literal: str, before: Sequence[Token]) -> str:
    """Return a string literal with holes as its pieces and the holes, joined by `||`.

    A pattern that begins with no wildcard is one hole: SQLite is given the whole of it as a literal, and looks it up in
    an index as it looks up a parameter, but never an expression.
    """
    operator = before[-1].upper if before else ""
    if operator in _WILDCARDS and literal[1] not in _WILDCARDS[operator]:
        return HOLE
    pieces = re.split(f"({HOLE})", literal[1:-1])
    joined = " || ".join(piece if piece == HOLE else f"'{piece}'" for piece in pieces if piece)
    # These bind as tightly as || does, and from the left.
    return f"({joined})" if operator in ("->", "->>") else joined


def _is_value(before: Sequence[Token]) -> bool:
    """Return whether what follows these tokens is a value."""
    if not before:
        return False
    last = before[-1].upper
    if last in _BEFORE_VALUE:
        return True
    if last == "AND":
        return any(token.upper == "BETWEEN" for token in before[-4:])
    if last not in ("(", ","):
        return False
    depth = 0
    for place in range(len(before) - 1, -1, -1):
        depth += {"(": -1, ")": 1}.get(before[place].text, 0)
        if depth < 0:
            opener = before[place - 1] if place else None
            # After a name in INTO or in CREATE the parentheses hold names; after IN, VALUES or a function values.
            return opener is not None and (opener.upper in ("IN", "VALUES", ",") or _is_function(before, place - 1))
    return False


def _is_function(before: Sequence[Token], place: int) -> bool:
    word = before[place]
    earlier = before[place - 1].upper if place else ""
    return (
        word.kind == "word" and word.upper not in _SQL_VERBS and earlier not in ("INTO", "TABLE", "ON", "JOIN", "FROM")
    )
