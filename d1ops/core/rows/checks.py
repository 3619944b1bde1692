"""What the CHECKs of a table, as they are written, say about its columns."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from d1ops.core.sql import significant

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from d1ops.core.sql import Token
    from d1ops.core.values import Value


@dataclass(frozen=True, slots=True)
class Pattern:
    """The right side of a GLOB or LIKE."""

    operator: str
    negated: bool
    text: str


@dataclass(slots=True)
class Hints:
    """What the CHECKs of a table say about one column."""

    listed: list[Value] = field(default_factory=list)
    """Literals that the column is compared with for equality."""
    numbers: list[int | float] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    patterns: list[Pattern] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Check:
    """A CHECK: what SQLite calls it when it fails, its expression, and the columns it mentions, in lower case.

    `solutions` are there where the CHECK says what a column equals: the column and the expression.
    """

    label: str
    sql: str
    solutions: tuple[tuple[str, str], ...]
    columns: frozenset[str]
    hints: dict[str, Hints]


def read_checks(sql: str, columns: Iterable[str]) -> tuple[Check, ...]:
    """Read the CHECKs out of a CREATE TABLE text. `columns` are the names of the table's columns."""
    names = frozenset(column.lower() for column in columns)
    found = list(significant(sql))
    checks: list[Check] = []
    for position, (token, following) in enumerate(pairwise(found)):
        if token.upper != "CHECK" or following.text != "(":
            continue
        end = _closing(found, position + 1)
        text = label = sql[following.start + 1 : found[end].start].strip()
        if label[:1] in tuple("\"'`["):  # SQLite takes a text that begins with a quote for a quoted name
            label = unquoted(found[position + 2].text)
        if position >= 2 and found[position - 2].upper == "CONSTRAINT":
            label = unquoted(found[position - 1].text)
        body = found[position + 2 : end]
        checks.append(_check(label, text, _solutions(sql, body, found[end].start, names), body, names))
    return tuple(checks)


def unquoted(text: str) -> str:
    """Return an identifier without its quotes."""
    mark = text[0]
    if mark == "[":
        return text[1:-1]
    return text[1:-1].replace(mark * 2, mark) if mark in "\"'`" else text


def mentioned(sql: str, names: Iterable[str]) -> frozenset[str]:
    """Return which of the names of tables or columns a text mentions, in lower case."""
    wanted = frozenset(name.lower() for name in names)
    words = (unquoted(t.text).lower() for t in significant(sql) if t.kind in ("word", "quoted"))
    return wanted.intersection(words)


def read_as_json(sql: str, names: Iterable[str]) -> frozenset[str]:
    """Return which columns a text reads as JSON, in lower case: `json_valid(a)`, `json_type(trim(a))`, `a ->> 'b'`."""
    wanted = frozenset(name.lower() for name in names)
    found = list(significant(sql))
    columns: set[str] = set()
    calls: list[bool] = []
    for position, token in enumerate(found):
        column = _column(token, wanted)
        if token.text == "(":
            function = found[position - 1].upper
            calls.append(function.startswith("JSON") and function.replace("JSONB", "JSON") not in _MAKES_JSON)
        elif token.text == ")" and calls:
            calls.pop()
        elif token.text == "," and calls:
            calls[-1] = False  # only the first argument is a document
        elif column and (any(calls) or [after.text for after in found[position + 1 : position + 2]] in _ARROWS):
            columns.add(column)
    return frozenset(columns)


_MAKES_JSON = frozenset(("JSON_OBJECT", "JSON_ARRAY", "JSON_QUOTE", "JSON_GROUP_ARRAY", "JSON_GROUP_OBJECT"))
_ARROWS = (["->"], ["->>"])


def _closing(found: Sequence[Token], opening: int) -> int:
    position, depth = opening, 1
    while depth:
        position += 1
        depth += {"(": 1, ")": -1}.get(found[position].text, 0)
    return position


def _solutions(sql: str, body: Sequence[Token], end: int, names: frozenset[str]) -> tuple[tuple[str, str], ...]:
    """Return column and expression of a CHECK that is one equation, `column = expression` or the reverse."""
    depth, equals = 0, []
    for position, token in enumerate(body):
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0 and token.upper in ("AND", "OR", "NOT", "<>", "<", ">", "<=", ">=", "!=", "IN", "LIKE", "GLOB"):
            return ()
        if depth == 0 and token.upper in ("=", "==", "IS"):
            equals.append(position)
    if len(equals) != 1:
        return ()
    (middle,) = equals
    left = _column(body[0], names) if middle == 1 else None
    right = _column(body[-1], names) if middle == len(body) - 2 else None
    found = (
        (left, sql[body[middle].start + len(body[middle].text) : end]),
        (right, sql[body[0].start : body[middle].start]),
    )
    return tuple((column, text) for column, text in found if column)


def _check(
    label: str, sql: str, solutions: tuple[tuple[str, str], ...], body: Sequence[Token], names: frozenset[str]
) -> Check:
    columns = [_column(token, names) for token in body]
    seen = frozenset(column for column in columns if column)
    hints = {column: Hints() for column in seen}
    current = next((column for column in columns if column), None)
    if current is None:
        return Check(label, sql, solutions, seen, hints)
    function = ""
    is_listing = False
    for position, (token, column) in enumerate(zip(body, columns, strict=True)):
        before = [t.upper for t in body[max(position - 3, 0) : position]]
        if column:
            current, is_listing = column, False
            function = before[-2] if before[-1:] == ["("] and before[-2:-1] and before[-2] not in _NOT_CALLED else ""
        elif token.upper in ("IN", "=", "==", "IS"):
            is_listing = token.upper == "IN" or len(seen) == 1
        elif token.upper in ("AND", "OR"):
            is_listing = False
        elif token.kind in ("string", "number") or token.text.startswith('"'):
            _note(hints[current], token, before, function, is_listing=is_listing and not function)
    return Check(label, sql, solutions, seen, hints)


_NOT_CALLED = frozenset(("AND", "OR", "NOT", "IN", "WHEN", "THEN", "ELSE", "(", ",", "=", "<", ">", "<=", ">=", "<>"))


def _column(token: Token, names: frozenset[str]) -> str | None:
    name = unquoted(token.text).lower() if token.kind in ("word", "quoted") else ""
    return name if name in names else None


def _note(hints: Hints, token: Token, before: Sequence[str], function: str, *, is_listing: bool) -> None:
    """Note one literal."""
    if token.kind != "number":
        text = unquoted(token.text)
        if before[-1:] in (["GLOB"], ["LIKE"]):
            hints.patterns.append(Pattern(before[-1], before[-2:-1] == ["NOT"], text))
        elif is_listing:
            hints.listed.append(text)
        else:
            hints.texts.append(text)
        return
    number = _number(token.text)
    if before[-1:] == ["-"]:
        number = -number
    if is_listing:
        hints.listed.append(number)
    elif function in ("LENGTH", "OCTET_LENGTH") and isinstance(number, int):
        hints.lengths.append(number)
    else:
        hints.numbers.append(number)


def _number(text: str) -> int | float:
    try:
        return int(text, 0)
    except ValueError:
        return float(text)
