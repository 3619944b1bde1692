"""Indexes that could serve a query, from what it compares and orders. Many are useless; trying finds out which.

D1 bills a search of an index alike whether or not the index covers the query (seen on workerd: 101 rows for 100 found,
in both cases), so no index is widened to cover.
"""

from __future__ import annotations

from itertools import chain, combinations, pairwise, permutations
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from d1ops.core.sql import fold, quote_if_needed, quote_text, significant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from d1ops.core.audit.advice.terms import Access, Column, Term
    from d1ops.core.sql import Token
    from d1ops.core.values import Value

MAX_PERMUTED = 3
"""Up to so many columns are tried in every order."""
MAX_PAIRED = 5
"""Of more, so many that tell rows apart best are tried in pairs, and with a range or an order after them."""
MAX_TOGETHER = 8
"""And so many are tried together: what is left after those, one more column hardly tells apart."""

Distinct: TypeAlias = "Callable[[str, str], int]"
"""How many values a column of a table has."""


class Candidate(NamedTuple):
    """An index that could be: its keys as SQL, and its WHERE, "" for none."""

    table: str
    keys: tuple[str, ...]
    where: str = ""

    def sql(self, name: str) -> str:
        """Return the statement that creates it."""
        on = f"{quote_if_needed(self.table)} ({', '.join(self.keys)})"
        where = f" WHERE {self.where}" if self.where else ""
        return f"CREATE INDEX IF NOT EXISTS {quote_if_needed(name)} ON {on}{where}"

    @property
    def words(self) -> tuple[str, ...]:
        """What a name for it is made of."""
        inside = [token.text for key in self.keys for token in significant(key) if token.kind in ("word", "quoted")]
        kept = [_bare(word) for word in inside if word.upper() not in ("COLLATE", "ASC", "DESC", "BINARY")]
        return (self.table, *dict.fromkeys(word for word in kept if word))

    def starts_with(self, other: Candidate) -> bool:
        """Return whether whatever the other one serves by its order, this one does."""
        return (self.table, self.where) == (other.table, other.where) and self.keys[: len(other.keys)] == other.keys


def _bare(word: str) -> str:
    return "".join(c if c.isalnum() or c == "_" else "_" for c in word.strip("\"`[]'")).strip("_")


def candidates_of(
    accesses: Iterable[Access], columns: Mapping[str, Sequence[Column]], distinct: Distinct
) -> tuple[Candidate, ...]:
    """Return the indexes to try for a query, without repetition, the narrow ones first."""
    found: dict[Candidate, None] = {}
    for access in accesses:
        rowid = {fold(column.name) for column in columns[access.table] if _is_rowid(column, columns[access.table])}
        for candidate in _of_access(access, rowid, distinct):
            found.setdefault(candidate)
    return tuple(sorted(found, key=lambda one: (one.table, bool(one.where), len(one.keys))))


def expressions_of(sql: str, columns: Mapping[str, Sequence[Column]]) -> Iterator[Candidate]:
    """Yield an index on every call of a function, and on every `->` or `->>`, that names one column of a table.

    They are read off the text, with what qualifies a name left out; SQLite refuses what cannot be indexed, and its
    planner does not use what does not fit.
    """
    words = list(significant(sql))
    names = {fold(column.name): table for table, known in columns.items() for column in known}
    for start, end in chain(_calls(words), _arrows(words)):
        inside = _unqualified(words[start:end])
        used = {fold(_bare(word.text)) for word in inside if word.kind in ("word", "quoted")} & names.keys()
        if not used or any(word.kind == "parameter" for word in inside):
            continue
        text = _joined(inside)
        for table, known in columns.items():
            if used <= {fold(column.name) for column in known}:
                yield Candidate(table, (text,))


# -- columns ---------------------------------------------------------------------------------------------------------


def _is_rowid(column: Column, all_columns: Sequence[Column]) -> bool:
    """Return whether a column is another name of the rowid."""
    return column.key == 1 and fold(column.type) == "integer" and sum(bool(each.key) for each in all_columns) == 1


def _of_access(access: Access, rowid: set[str], distinct: Distinct) -> Iterator[Candidate]:
    if any(fold(term.column) in rowid for term in access.equals):
        return
    order = _sorting(access, rowid)
    best = access.equals
    if len(best) > MAX_PERMUTED:
        best = tuple(sorted(best, key=lambda term: -distinct(access.table, term.column)))
    for equals in _prefixes(best):
        yield from _after(access, equals, order, "")
    for term in best[MAX_PAIRED:]:
        yield Candidate(access.table, (_key(term),))
    for column, value in access.constants:
        where = _condition(column, value)
        rest = tuple(term for term in best if fold(term.column) != fold(column))
        for equals in _prefixes(rest):
            yield from _after(access, equals, order, where)
        if not rest and not order and not access.ranges:
            yield Candidate(access.table, (quote_if_needed(column),), where)


def _after(access: Access, equals: tuple[Term, ...], order: tuple[Term, ...], where: str) -> Iterator[Candidate]:
    fixed = {fold(term.column) for term in equals}
    start = tuple(_key(term) for term in equals)
    if start:
        yield Candidate(access.table, start, where)
    for term in access.ranges:
        if fold(term.column) not in fixed:
            yield Candidate(access.table, (*start, _key(term)), where)
    rest = tuple(term for term in order if fold(term.column) not in fixed)
    if rest:
        turns = permutations(rest) if access.groups and len(rest) <= MAX_PERMUTED else (rest,)
        for turn in turns:
            yield Candidate(access.table, (*start, *_directed(turn)), where)


def _prefixes(equals: tuple[Term, ...]) -> Iterator[tuple[Term, ...]]:
    """Yield orders of all the columns, then fewer of them, then none; of many columns, the most telling first, only one
    order, because a search that compares all of them reads the same in any."""
    if len(equals) <= MAX_PERMUTED:
        for length in range(len(equals), 0, -1):
            yield from permutations(equals, length)
    else:
        yield equals[:MAX_TOGETHER]
        yield from combinations(equals[:MAX_PAIRED], 2)
        yield from ((term,) for term in equals[:MAX_PAIRED])
    yield ()


def _sorting(access: Access, rowid: set[str]) -> tuple[Term, ...]:
    """Return the order that an index must have; the rowid at its end is there anyway, in the order of the rest."""
    order = access.order
    if order and fold(order[-1].column) in rowid:
        rest = order[:-1]
        if all(term.descending == order[-1].descending for term in rest):
            return rest
    return order


def _directed(terms: Iterable[Term]) -> tuple[str, ...]:
    """Return the keys of an order; one that is descending throughout is read backwards."""
    terms = tuple(terms)
    if terms[0].descending:
        terms = tuple(term._replace(descending=not term.descending) for term in terms)
    return tuple(_key(term) + (" DESC" if term.descending else "") for term in terms)


def _key(term: Term) -> str:
    collation = f" COLLATE {quote_if_needed(term.collation)}" if term.collation else ""
    return quote_if_needed(term.column) + collation


def _condition(column: str, value: Value) -> str:
    name = quote_if_needed(column)
    if value is None:
        return f"{name} IS NULL"
    if isinstance(value, str) and "\0" not in value:
        return f"{name} = {quote_text(value)}"
    return f"{name} = {value!r}" if isinstance(value, int | float) else f"{name} IS NOT NULL"


# -- expressions -----------------------------------------------------------------------------------------------------


def _calls(words: Sequence[Token]) -> Iterator[tuple[int, int]]:
    for start, (word, after) in enumerate(pairwise(words)):
        if word.kind != "word" or after.text != "(" or word.upper in _NOT_FUNCTIONS:
            continue
        depth = 0
        for end in range(start + 1, len(words)):
            depth += {"(": 1, ")": -1}.get(words[end].text, 0)
            if words[end].upper in ("SELECT", "OVER"):
                break
            if depth == 0:
                yield start, end + 1
                break


def _arrows(words: Sequence[Token]) -> Iterator[tuple[int, int]]:
    for place, word in enumerate(words):
        if word.text in ("->", "->>") and 0 < place < len(words) - 1:
            start = place - 1
            while start >= 2 and words[start - 1].text == ".":
                start -= 2
            yield start, place + 2


def _unqualified(words: Sequence[Token]) -> list[Token]:
    """Leave out what stands before a dot: the alias of a table."""
    kept: list[Token] = []
    for word in words:
        if word.text == "." and kept:
            kept.pop()
        else:
            kept.append(word)
    return kept


def _joined(words: Sequence[Token]) -> str:
    text = ""
    for word in words:
        tight = not text or word.text in ("(", ")", ",") or text.endswith("(")
        text += word.text if tight else f" {word.text}"
    return text


_NOT_FUNCTIONS = frozenset(
    (
        "AND",
        "OR",
        "NOT",
        "IN",
        "EXISTS",
        "VALUES",
        "SELECT",
        "FROM",
        "WHERE",
        "ON",
        "USING",
        "AS",
        "BY",
        "HAVING",
        "LIMIT",
        "OFFSET",
        "CASE",
        "WHEN",
        "THEN",
        "ELSE",
        "BETWEEN",
        "LIKE",
        "GLOB",
        "IS",
        "JOIN",
        "SET",
        "RETURNING",
        "OVER",
        "FILTER",
        "CAST",
        "INTO",
        "INDEX",
        "UNION",
        "ALL",
        "EXCEPT",
        "INTERSECT",
        "COUNT",
        "SUM",
        "AVG",
        "MIN",
        "MAX",
        "TOTAL",
        "GROUP_CONCAT",
    )
)
