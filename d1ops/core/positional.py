"""Statements that depend on the order of a table's columns: `INSERT INTO t VALUES`, `INSERT INTO t SELECT`,
`SELECT *`. Where a rollback brings a table back with its columns in another order, they are what it could break.
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from d1ops.core.excerpt import words
from d1ops.core.sql import fold, significant
from d1ops.errors import ScriptError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from d1ops.core.catalog import Catalog, Script
    from d1ops.core.queries import Query
    from d1ops.core.sql import ScriptStatement, Token


def reordered_warnings(
    tables: Iterable[str], catalog: Catalog, index: int, queries: Sequence[Query]
) -> tuple[str, ...]:
    """Return a warning for each table whose columns come back in another order after the rollback of the migration at
    `index`, with the statements that run later and depend on the order: of this and later migrations, of the other
    rollbacks, and the frequent queries."""
    found: list[str] = []
    for table in tables:
        text = f"table {table} has its columns in another order after the rollback"
        uses = [use for statement in _later(catalog, index, queries) for use in uses_of_order(table, statement)]
        found.append(f"{text}: {'; '.join(uses)} would read or write them wrongly" if uses else text)
    return tuple(found)


def uses_of_order(table: str, statement: ScriptStatement) -> Iterator[str]:
    """Yield what a statement does that depends on the order of the table's columns: `SELECT * (path:line)`."""
    if fold(table) not in words(statement.sql):
        return
    tokens = list(significant(statement.sql))
    place = f"({statement.path}:{statement.line})"
    if _inserts_by_position(tokens, fold(table)):
        yield f"INSERT INTO {table} without column names {place}"
    if any(_is_star(before, after) for before, after in itertools.pairwise(tokens)):
        yield f"SELECT * {place}"


def _later(catalog: Catalog, index: int, queries: Sequence[Query]) -> Iterator[ScriptStatement]:
    scripts: list[Script] = [migration.script for migration in catalog.migrations[index:]]
    scripts += [m.rollback for n, m in enumerate(catalog.migrations) if m.rollback is not None and n != index]
    for script in scripts:
        try:
            yield from script.statements
        except ScriptError:  # the verdict on that migration says so
            continue
    yield from (query.statement for query in queries)


def _inserts_by_position(tokens: Sequence[Token], table: str) -> bool:
    """Whether the tokens hold `INTO table` followed by no list of columns."""
    for position, token in enumerate(tokens):
        if token.upper != "INTO":
            continue
        rest = tokens[position + 1 :]
        if len(rest) > 2 and rest[1].text == ".":
            rest = rest[2:]
        if rest and table in words(rest[0].text):
            after = rest[3:] if len(rest) > 2 and rest[1].upper == "AS" else rest[1:]
            return not after or after[0].text != "("
    return False


def _is_star(before: Token, after: Token) -> bool:
    """Whether two tokens begin a list of all columns: not the star of a product or of `count(*)`."""
    return after.text == "*" and (
        before.upper in ("SELECT", "DISTINCT", "ALL", "RETURNING") or before.text in (",", ".")
    )
