"""What a statement leaves of the values that are there, as far as its text says so without doubt.

A rehearsal shows what a script takes from the rows of a backup. Rows may be written between the backup and the batch,
and a statement that took nothing may take something of those. Only a text in one of a few plain forms says that it
cannot; of any other nothing is concluded.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from d1ops.core.sql import Token, fold, significant, unquote

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence


def fills(sql: str) -> frozenset[str]:
    """Return the columns (folded) that an UPDATE sets nowhere but where they are NULL: `SET v = … WHERE v IS NULL`, or
    `SET v = coalesce(v, …)`."""
    tokens = list(significant(sql))
    parts = _clauses(tokens)
    if not tokens or tokens[0].upper != "UPDATE" or "SET" not in parts:
        return frozenset()
    empty = {name for term in _terms(parts.get("WHERE", [])) if (name := _name_is_null(term)) is not None}
    found: set[str] = set()
    for assignment in _assignments(parts["SET"]):
        if len(assignment) < 3 or assignment[1].text != "=":
            continue
        name = _name(assignment[:1])
        if name is not None and (name in empty or _keeps(name, assignment[2:])):
            found.add(name)
    return frozenset(found)


def replaces(texts: Iterable[str]) -> bool:
    """Return whether a statement, trigger or constraint asks for REPLACE, which takes the rows that are in its way."""
    for text in texts:
        # The function of that name has a bracket behind it; a constraint may end with the word.
        tokens = [*significant(text), Token("semicolon", ";", 0)]
        if any(one.upper == "REPLACE" and after.text != "(" for one, after in pairwise(tokens)):
            return True
    return False


class Renames:
    """Which names tables and columns had before the statements that were read. `tables` are those that were there then;
    what takes the name of one stands for it."""

    def __init__(self, tables: Iterable[str]) -> None:
        self._there = {fold(name) for name in tables}
        self._tables: dict[str, str] = {}
        self._columns: dict[tuple[str, str], str] = {}

    def table(self, name: str) -> str:
        """Return the name that a table had before."""
        return self._tables.get(fold(name), name)

    def column(self, table: str, name: str) -> str:
        """Return the name that a column had before; `table` is the name of its table before."""
        return self._columns.get((fold(table), fold(name)), name)

    def read(self, sql: str) -> None:
        """Take notice of `ALTER TABLE … RENAME`; another statement changes no name."""
        tokens = list(significant(sql))
        words = [token.upper for token in tokens]
        if words[:2] != ["ALTER", "TABLE"] or "RENAME" not in words[3:] or "TO" not in words[4:]:
            return
        at, to = words.index("RENAME", 3), words.index("TO", 4)
        table, new = _name(tokens[at - 1 : at]), _name(tokens[to + 1 : to + 2])
        if table is None or new is None:
            return
        before = self.table(table)
        if fold(before) not in self._there:
            return
        if to == at + 1:
            self._tables[new] = before
        elif (old := _name(tokens[to - 1 : to])) is not None:
            self._columns[fold(before), new] = self.column(before, old)


class Copy(NamedTuple):
    """Rows of one table on their way into another. `columns` (folded) are those that the text names as a target, None
    where it names none; `values` are the names in each expression that goes there."""

    source: str
    target: str
    columns: tuple[str, ...] | None
    values: tuple[frozenset[str], ...]

    def left_out(self, of: Iterable[str], into: Sequence[str]) -> set[str]:
        """Return which columns `of` the source do not go into the column of the same name, where `into` are all columns
        of the target; none where that cannot be told."""
        columns = self.columns if self.columns is not None else into
        if len(columns) != len(self.values):
            return set()
        taken = {column for column, names in zip(columns, self.values, strict=True) if column in names}
        return set(of) - taken


def copied(sql: str) -> Copy | None:
    """Read `INSERT INTO … SELECT … FROM source …`, of one table; None for any other form, and for `SELECT *`."""
    tokens = list(significant(sql))
    words = [token.upper for token in tokens]
    if words[:1] != ["INSERT"] or "INTO" not in words or "SELECT" not in words:
        return None
    into, select = words.index("INTO"), words.index("SELECT")
    between = tokens[into + 1 : select]
    listed = between[1:]
    parts = _clauses(tokens[select + 1 :])
    source, values = parts.get("FROM", []), _assignments(parts[""])
    target, table = _name(between[:1]), _name(source[:1])
    has_star = any(value[-1].text == "*" for value in values if value)
    if target is None or table is None or len(source) > 3 or has_star or any(token.text == "," for token in source):
        return None
    columns = None
    if listed:
        found = [_name(each) for each in _assignments(listed[1:-1])]
        if listed[0].text != "(" or listed[-1].text != ")" or None in found:
            return None
        columns = tuple(name for name in found if name is not None)
    mentioned = tuple(frozenset(name for token in value if (name := _name([token]))) for value in values)
    return Copy(table, target, columns, mentioned)


# -- the plain forms -----------------------------------------------------------------------------------

_CLAUSES = frozenset(("SET", "FROM", "WHERE", "RETURNING", "ORDER", "LIMIT"))


def _clauses(tokens: Sequence[Token]) -> dict[str, list[Token]]:
    """The tokens behind each word that begins a clause, outside of brackets; "" has those before the first."""
    clause: list[Token] = []
    found = {"": clause}
    for token, depth in _with_depth(tokens):
        if depth == 0 and token.upper in _CLAUSES:
            clause = found.setdefault(token.upper, [])
        elif token.text != ";":
            clause.append(token)
    return found


def _with_depth(tokens: Iterable[Token]) -> Iterator[tuple[Token, int]]:
    depth = 0
    for token in tokens:
        depth -= token.text == ")"
        yield token, depth
        depth += token.text == "("


def _assignments(tokens: Sequence[Token]) -> list[list[Token]]:
    found: list[list[Token]] = [[]]
    for token, depth in _with_depth(tokens):
        if depth == 0 and token.text == ",":
            found.append([])
        else:
            found[-1].append(token)
    return found


def _terms(tokens: Sequence[Token]) -> list[list[Token]]:
    """The terms of a condition that must all hold; none where an OR or a CASE may let a row in."""
    found: list[list[Token]] = [[]]
    is_between = False
    for token, depth in _with_depth(tokens):
        word = token.upper if depth == 0 else ""
        if word in ("OR", "CASE"):
            return []
        # The AND of a BETWEEN belongs to it.
        if word == "AND" and not is_between:
            found.append([])
        else:
            found[-1].append(token)
        is_between = word == "BETWEEN" or (is_between and word != "AND")
    return found


def _name_is_null(term: Sequence[Token]) -> str | None:
    words = [token.upper for token in term[1:]]
    return _name(term[:1]) if words in (["IS", "NULL"], ["ISNULL"]) else None


def _keeps(name: str, value: Sequence[Token]) -> bool:
    """Whether a value is `coalesce(name, …)`."""
    words = [token.upper for token in value]
    inside = [depth for _, depth in _with_depth(value)]
    return (
        words[:1] in (["COALESCE"], ["IFNULL"])
        and words[1:2] == ["("]
        and words[3:4] == [","]
        and _name(value[2:3]) == name
        and words[-1] == ")"
        and 0 not in inside[2:-1]
    )


def _name(tokens: Sequence[Token]) -> str | None:
    if len(tokens) != 1:
        return None
    (token,) = tokens
    match token.kind:
        case "word":
            return fold(token.text)
        case "quoted":
            return fold(unquote(token.text))
    return None
