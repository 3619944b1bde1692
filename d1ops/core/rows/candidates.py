"""Candidate values for a column, from the literals in the CHECKs of its table.

Nothing here decides whether a value is good: the literals suggest, SQLite judges. A wrong suggestion costs an
attempt, never a wrong row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from typing import TYPE_CHECKING

from d1ops.core.rows.words import (
    ALPHANUMERIC,
    NOUNS,
    SHAPES,
    Affinity,
    affinity_of,
    json_array,
    json_object,
    named,
    one_of,
    typed,
)
from d1ops.core.sql import significant

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from d1ops.core.rows.words import Draw, Source
    from d1ops.core.sql import Token
    from d1ops.core.values import Value

MAX_SUGGESTED_LENGTH = 2_000
"""Texts and blobs are made no longer than this, in characters or bytes, unless a CHECK asks for an exact length."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column that an INSERT may name. `accepts` are the Python types that its table takes there at all."""

    name: str
    declared: str
    required: bool
    default: str | None
    accepts: tuple[type, ...]


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
    is_json: bool = False


@dataclass(frozen=True, slots=True)
class Check:
    """A CHECK: what SQLite calls it when it fails, and the columns it mentions, in lower case."""

    label: str
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
        label = sql[following.start + 1 : found[end].start].strip()
        if position >= 2 and found[position - 2].upper == "CONSTRAINT":
            label = unquoted(found[position - 1].text)
        checks.append(_check(label, found[position + 2 : end], names))
    return tuple(checks)


def unquoted(text: str) -> str:
    """Return an identifier without its quotes."""
    mark = text[0]
    if mark == "[":
        return text[1:-1]
    return text[1:-1].replace(mark * 2, mark) if mark in "\"'`" else text


def mentioned(sql: str, columns: Iterable[str]) -> frozenset[str]:
    """Return which of the columns a text mentions, in lower case."""
    names = frozenset(column.lower() for column in columns)
    words = (unquoted(t.text).lower() for t in significant(sql) if t.kind in ("word", "quoted"))
    return names.intersection(words)


def _closing(found: Sequence[Token], opening: int) -> int:
    depth = 0
    for position in range(opening, len(found)):
        depth += {"(": 1, ")": -1}.get(found[position].text, 0)
        if depth == 0:
            return position
    return len(found) - 1


def _check(label: str, body: Sequence[Token], names: frozenset[str]) -> Check:
    columns = [_column(token, names) for token in body]
    seen = frozenset(column for column in columns if column)
    hints = {column: Hints() for column in seen}
    current = next((column for column in columns if column), None)
    if current is None:
        return Check(label, seen, hints)
    function = ""
    is_listing = False
    for position, (token, column) in enumerate(zip(body, columns, strict=True)):
        before = [t.upper for t in body[max(position - 3, 0) : position]]
        if column:
            current, is_listing = column, False
            function = before[-2] if before[-1:] == ["("] and before[-2:-1] and before[-2] not in _NOT_CALLED else ""
            hints[current].is_json |= function.startswith("JSON")
        elif token.upper in ("IN", "=", "==", "IS"):
            is_listing = token.upper == "IN" or len(seen) == 1
        elif token.upper in ("AND", "OR"):
            is_listing = False
        elif token.kind in ("string", "number") or token.text.startswith('"'):
            _note(hints[current], token, before, function, is_listing=is_listing and not function)
    return Check(label, seen, hints)


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
    if number is None:
        return
    if before[-1:] == ["-"]:
        number = -number
    if is_listing:
        hints.listed.append(number)
    elif function in ("LENGTH", "OCTET_LENGTH") and isinstance(number, int):
        hints.lengths.append(number)
    else:
        hints.numbers.append(number)


def _number(text: str) -> int | float | None:
    try:
        return int(text, 0)
    except ValueError:
        pass
    try:
        return float(text)
    except ValueError:
        return None


# -- from hints to sources -----------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Candidates:
    """The sources of a column, the likeliest first, and its whole domain where a CHECK lists it."""

    sources: tuple[Source, ...]
    domain: tuple[Value, ...]


def candidates(table: str, column: Column, checks: Iterable[Check]) -> Candidates:
    """Return what to try for a column."""
    hints = _merged(check.hints.get(column.name.lower()) for check in checks)
    affinity = affinity_of(column.declared)
    natural = named(table, column.name, column.declared, column.default)
    plain = _fitted(natural or typed(column.declared), column.declared)
    listed = tuple(dict.fromkeys(v for v in hints.listed if isinstance(v, column.accepts)))
    sources: list[Source] = []
    if listed:
        sources.append(one_of(*listed))
    if hints.is_json:
        is_array = (column.default or "").startswith("'[")
        sources += [json_array, json_object] if is_array else [json_object, json_array]
    ranged = [_ranged(hints.numbers, affinity)] if hints.numbers else []
    if affinity in (Affinity.INTEGER, Affinity.REAL, Affinity.NUMERIC) and len(set(hints.numbers)) > 1:
        sources += [*ranged, plain]
    else:
        sources += [plain, *ranged]
    sources += [_patterned(pattern, hints.lengths) for pattern in hints.patterns]
    if hints.lengths:
        sources += [_sized(plain, hints.lengths), _sized_bytes(hints.lengths)]
    for text in hints.texts:
        sources += _around(text)
    sources += [one_of(number) for number in hints.numbers]
    sources += [typed(column.declared), *SHAPES]
    return Candidates(tuple(sources), listed)


def _merged(parts: Iterable[Hints | None]) -> Hints:
    merged = Hints()
    for part in parts:
        if part is not None:
            merged.listed += part.listed
            merged.numbers += part.numbers
            merged.lengths += part.lengths
            merged.texts += part.texts
            merged.patterns += part.patterns
            merged.is_json |= part.is_json
    return merged


def _fitted(source: Source, declared: str) -> Source:
    """Cut texts to the length that a type such as VARCHAR(20) declares, though SQLite does not ask for it."""
    numbers = [token.text for token in significant(declared) if token.kind == "number"]
    if affinity_of(declared) is not Affinity.TEXT or not numbers or not numbers[0].isdigit():
        return source
    limit = int(numbers[0])

    def fitted(draw: Draw) -> Value:
        value = source(draw)
        return value[:limit] if isinstance(value, str) else value

    return fitted


def _ranged(numbers: Sequence[int | float], affinity: Affinity) -> Source:
    """Numbers between the smallest and the largest of a column's literals, or around its only one."""
    low, high = min(numbers), max(numbers)
    is_whole = affinity is not Affinity.REAL and all(isinstance(n, int) for n in numbers)

    def ranged(draw: Draw) -> Value:
        if low == high:
            value = low + draw.pick((0, 1, -1, 10, -10, 1_000, -1_000)) * (1 if is_whole else draw.random())
        elif not is_whole:
            return round(low + draw.random() * (high - low), 3)
        else:
            value = draw.between(int(low), int(high))
        return value

    return ranged


def _around(text: str) -> tuple[Source, ...]:
    """Texts that equal, begin with, end with or hold `text`."""
    return (
        one_of(text),
        lambda draw: text + draw.pick(NOUNS),
        lambda draw: draw.pick(NOUNS) + text,
        lambda draw: f"{draw.pick(NOUNS)}{text}{draw.pick(NOUNS)}",
    )


def _length(draw: Draw, lengths: Sequence[int]) -> int:
    low, high = max(min(lengths), 0), max(lengths)
    if draw.random() < 0.5:
        return min(draw.pick((low, low + 1, high)), 10 * MAX_SUGGESTED_LENGTH)
    return draw.between(low if high > low else 0, max(min(high, MAX_SUGGESTED_LENGTH), low))


def _sized(source: Source, lengths: Sequence[int]) -> Source:
    def sized(draw: Draw) -> Value:
        value, length = str(source(draw)), _length(draw, lengths)
        return (value + draw.text(ALPHANUMERIC, max(length - len(value), 0)))[:length]

    return sized


def _sized_bytes(lengths: Sequence[int]) -> Source:
    return lambda draw: bytes.fromhex(draw.hexadecimal(2 * _length(draw, lengths)))


def _patterned(pattern: Pattern, lengths: Sequence[int]) -> Source:
    """Texts that match a pattern. `NOT GLOB '*[^a-z]*'` asks for texts of a-z alone."""
    text = pattern.text
    if pattern.negated and pattern.operator == "GLOB" and text.startswith("*[^") and text.endswith("]*"):
        alphabet = _members(text[3:-2])
        sizes = lengths or (1, 12)
        return lambda draw: draw.text(alphabet, _length(draw, sizes))
    parts = _glob_parts(text) if pattern.operator == "GLOB" else _like_parts(text)

    def patterned(draw: Draw) -> Value:
        made = [draw.text(part, draw.below(9) if many else 1) if part else "" for part, many in parts]
        return "".join(made)

    return patterned


def _like_parts(text: str) -> list[tuple[str, bool]]:
    """Return the alphabet of every place of a LIKE, and whether the place takes any number of characters."""
    return [(ALPHANUMERIC, c == "%") if c in "%_" else (c, False) for c in text]


def _glob_parts(text: str) -> list[tuple[str, bool]]:
    """Return the same of a GLOB (SQLite's: `*`, `?`, `[a-z]`, `[^a-z]`)."""
    parts: list[tuple[str, bool]] = []
    position = 0
    while position < len(text):
        c = text[position]
        end = text.find("]", position + 2) if c == "[" else -1
        if end > 0:
            inside = text[position + 1 : end]
            outside = "".join(a for a in ALPHANUMERIC + "-_ " if a not in _members(inside[1:]))
            parts.append((outside if inside.startswith("^") else _members(inside), False))
            position = end
        else:
            parts.append((ALPHANUMERIC, c == "*") if c in "*?" else (c, False))
        position += 1
    return parts


def _members(text: str) -> str:
    """Return the characters of a GLOB set such as `a-z0-9_`."""
    found = ""
    position = 0
    while position < len(text):
        first = text[position]
        if text[position + 1 : position + 2] == "-" and position + 2 < len(text):
            last = text[position + 2]
            found += "".join(map(chr, range(ord(first), ord(last) + 1)))
            position += 3
        else:
            found += first
            position += 1
    return found or ALPHANUMERIC
