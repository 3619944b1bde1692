"""Candidate values for a column, from its name, its type and the literals in the CHECKs of its table.

Nothing here decides whether a value is good: the literals suggest, SQLite judges. A wrong suggestion costs an
attempt, never a wrong row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.rows.checks import Hints
from d1ops.core.rows.words import (
    ALPHANUMERIC,
    NOUNS,
    NUMBERS,
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

    from d1ops.core.rows.checks import Check, Pattern
    from d1ops.core.rows.words import Draw, Source
    from d1ops.core.values import Value

MAX_LENGTH = 20_000
"""Texts and blobs are made no longer than this, in characters or bytes, whatever length a CHECK names."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column that an INSERT may name. `accepts` are the Python types that its table takes there at all.

    `is_json` tells that JSON functions read it, which raise for a text that is no JSON.
    """

    name: str
    declared: str
    required: bool
    default: str | None
    accepts: tuple[type, ...]
    is_json: bool


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
    if column.is_json:
        is_array = "array" in hints.texts or (column.default or "").startswith("'[")
        sources += [json_array, json_object] if is_array else [json_object, json_array]
    ranged = [_ranged(hints.numbers, affinity)] if hints.numbers else []
    if affinity not in (Affinity.TEXT, Affinity.BLOB, Affinity.ANY) and len(set(hints.numbers)) > 1:
        sources += [*ranged, plain]
    else:
        sources += [plain, *ranged]
    for pattern in hints.patterns:
        sources += [_patterned(pattern, hints.lengths, prefix) for prefix in ("", *hints.texts)]
    if hints.lengths and affinity is not Affinity.BLOB:
        sources += [_sized(source, hints.lengths) for source in (plain, one_of(""), *map(one_of, hints.texts))]
    if hints.lengths and affinity in (Affinity.BLOB, Affinity.ANY):
        sources.insert(0, _sized_bytes(hints.lengths))
    for text in hints.texts:
        sources += _around(text)
    sources += [one_of(number) for number in hints.numbers]
    sources.append(typed(column.declared))
    match affinity:
        case Affinity.INTEGER | Affinity.REAL:
            sources += NUMBERS
        case Affinity.TEXT:
            sources += SHAPES + NUMBERS
        case _:
            sources += NUMBERS + SHAPES
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
    low, high = (min(max(length, 0), MAX_LENGTH) for length in (min(lengths), max(lengths)))
    if draw.random() < 0.8:
        return draw.pick((low, high))
    if draw.random() < 0.3:
        return draw.pick((low + 1, max(high - 1, 0)))
    return draw.between(low if high > low else 0, high)


def _sized(source: Source, lengths: Sequence[int]) -> Source:
    def sized(draw: Draw) -> Value:
        value, length = str(source(draw)), _length(draw, lengths)
        return (value + draw.text(ALPHANUMERIC, max(length - len(value), 0)))[:length]

    return sized


def _sized_bytes(lengths: Sequence[int]) -> Source:
    return lambda draw: bytes.fromhex(draw.hexadecimal(2 * _length(draw, lengths)))


def _patterned(pattern: Pattern, lengths: Sequence[int], prefix: str) -> Source:
    """Texts that match a pattern after a prefix. `NOT GLOB '*[^a-z]*'` asks for texts of a-z alone."""
    text = pattern.text
    if pattern.negated and pattern.operator == "GLOB" and text.startswith("*[^") and text.endswith("]*"):
        alphabet = _members(text[3:-2])
        sizes = lengths or (1, 12)
        return lambda draw: prefix + draw.text(alphabet, max(_length(draw, sizes) - len(prefix), 0))
    parts = _glob_parts(text) if pattern.operator == "GLOB" else _like_parts(text)

    def patterned(draw: Draw) -> Value:
        return prefix + "".join([draw.text(part, draw.below(9) if many else 1) for part, many in parts])

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
            outside = "".join(a for a in ALPHANUMERIC + "-_ ~" if a not in _members(inside[1:])) or "\N{BULLET}"
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
