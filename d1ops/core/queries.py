"""The frequent queries of a project, as files hold them.

    -- name: messages of a conversation, newest first
    -- params: ?1 conversation id, ?2 created_at of the oldest message seen

    SELECT id, body FROM messages WHERE conversation_id = ?1 AND created_at < ?2 ORDER BY created_at DESC LIMIT 50;

Both comments are optional and stand before their statement; a file may hold several. A write is a query too: it
is only ever planned, never run.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from d1ops.core import rules
from d1ops.core.sql import decode, significant, split, tokens
from d1ops.core.workload import names
from d1ops.errors import ScriptError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.sql import ScriptStatement, Token

VERBS = frozenset(("SELECT", "VALUES", "WITH", "INSERT", "REPLACE", "UPDATE", "DELETE"))
"""The first words of what may stand in a query file."""

_HEADER = re.compile(r"--\s*(?P<key>name|params):(?P<value>.*)", re.IGNORECASE)
_PARAMETER = re.compile(r"\?(?P<number>\d+)\s+(?P<text>.+?)\s*(?:,\s*(?=\?\d)|$)")


@dataclass(frozen=True, slots=True)
class Query:
    """A statement that the application runs often.

    `parameters` has one entry for each parameter of the statement, in order: its description, or "".
    """

    name: str
    statement: ScriptStatement
    parameters: tuple[str, ...]

    @property
    def sql(self) -> str:
        """The statement without its semicolon."""
        return self.statement.sql

    @property
    def path(self) -> str:
        """The file, as a person would type it."""
        return self.statement.path

    @property
    def line(self) -> int:
        """The line where the statement begins, from 1."""
        return self.statement.line


def parse_queries(data: bytes, path: str) -> tuple[Query, ...]:
    """Read a query file. A statement without a name is called by its file, `inbox`; of several each by a hash too,
    `inbox 3fa9c1`.

    Raises ScriptError, with the place, for: not UTF-8, an unclosed string or identifier, a missing final semicolon,
    no statement, a statement that is not one of `VERBS`, a named parameter, two names for one statement, one name for
    two, and a `-- params:` comment that does not fit the statement.
    """
    text = decode(data, path)
    statements = split(text, path)
    if not statements:
        raise ScriptError("the file has no statement", path=path, hint="write one query, or remove the file")
    for statement in statements:
        if statement.verb not in VERBS:
            verbs = ", ".join(sorted(VERBS))
            raise _problem(statement, f"{statement.verb} is not a query", f"a query begins with one of {verbs}")
    headers = [_headers(*each) for each in zip(statements, _comments(text), strict=True)]
    given = [each.get("name") for each in headers]
    nameless = [one.sql for one, name in zip(statements, given, strict=True) if not name]
    made = iter(names(PurePosixPath(path).stem, nameless))
    queries: list[Query] = []
    for number, statement in enumerate(statements):
        name = given[number] or next(made)
        # A statement that nobody named may stand there twice; it is one query.
        taken = [query.name for query in queries] if given[number] else given[:number]
        if name in taken:
            raise _problem(statement, f"the name {name!r} is used twice", "give each query of a file its own name")
        queries.append(Query(name, statement, _parameters(statement, headers[number].get("params", ""))))
    return tuple(queries)


def _comments(text: str) -> list[list[str]]:
    """Return the comments that stand before each statement of a text without triggers."""
    found: list[list[str]] = []
    waiting: list[str] = []
    inside = False
    for token in tokens(text):
        match token.kind:
            case "space":
                pass
            case "comment" if not inside:
                waiting.append(token.text)
            case "comment":
                pass
            case "semicolon":
                inside = False
            case _ if not inside:
                inside = True
                found.append(waiting)
                waiting = []
            case _:
                pass
    return found


def _headers(statement: ScriptStatement, comments: Sequence[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for comment in comments:
        match = _HEADER.match(comment)
        if match is None:
            continue
        key = match["key"].lower()
        if key in found:
            raise _problem(statement, f"the query has two `-- {key}:` comments", "keep one of them")
        found[key] = match["value"].strip()
    return found


def _parameters(statement: ScriptStatement, described: str) -> tuple[str, ...]:
    parameters = [""] * _count_parameters(statement)
    rest = "" if described.lower() == "none" else described
    while rest:
        match = _PARAMETER.match(rest)
        if match is None:
            raise _problem(
                statement, f"the parameters read {rest!r}", "write them as `-- params: ?1 artist id, ?2 since`"
            )
        number = int(match["number"])
        if not 1 <= number <= len(parameters):
            raise _problem(
                statement,
                f"?{number} is described, and the statement takes {len(parameters)} parameters",
                "describe the parameters that the statement has",
            )
        parameters[number - 1] = match["text"]
        rest = rest[match.end() :]
    return tuple(parameters)


def _count_parameters(statement: ScriptStatement) -> int:
    """Return how many values the statement takes: SQLite numbers a `?` one beyond the largest before it."""
    highest = 0
    for token in significant(statement.sql):
        if token.kind != "parameter":
            continue
        if not token.text.startswith("?"):
            raise _at(statement, token, f"D1 has no named parameters: {token.text}", "number them: ?1, ?2")
        highest = max(highest, int(token.text[1:]) if len(token.text) > 1 else highest + 1)
        if highest > rules.MAX_PARAMETERS:
            raise _at(
                statement,
                token,
                f"D1 takes {rules.MAX_PARAMETERS} parameters at most, and this is number {highest}",
                "pass a list as one parameter of JSON: IN (SELECT value FROM json_each(?1))",
            )
    return highest


def _at(statement: ScriptStatement, token: Token, message: str, hint: str) -> ScriptError:
    line, column = statement.place(len(statement.sql[: token.start].encode()))
    return ScriptError(message, path=statement.path, line=line, column=column, hint=hint)


def _problem(statement: ScriptStatement, message: str, hint: str) -> ScriptError:
    return ScriptError(message, path=statement.path, line=statement.line, column=statement.column, hint=hint)
