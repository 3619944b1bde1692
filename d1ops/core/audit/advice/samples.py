"""Values for the parameters of a query, taken from the rows that it would run on.

A query with NULL in every parameter finds nothing and costs nothing; one with values that are there costs what it costs
the application. What the planner does not tell about a parameter is guessed from the column named before it.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from d1ops.core.audit.advice.terms import Comparison
from d1ops.core.sql import fold, quote_identifier, significant

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from d1ops.core.audit.advice.terms import Column
    from d1ops.core.engine import Engine
    from d1ops.core.values import Value

SAMPLES = 3
"""How many different rows the values are taken from."""
LIMIT = 20
"""What LIMIT is given."""

COUNTED_ROWS = 10_000
"""Of so many rows values are counted."""

_LOW, _HIGH = 0.35, 0.65
"""Where in the order of its values the ends of a range are taken."""


def samples_of(
    engine: Engine,
    sql: str,
    count: int,
    told: Mapping[int, Comparison],
    columns: Mapping[str, Sequence[Column]],
) -> tuple[tuple[Value, ...], ...]:
    """Return values for the `count` parameters of a query, `SAMPLES` times, the same for the same rows."""
    if count == 0:
        return ((),)
    comparisons = {**_guessed(sql, columns), **told}
    return tuple(
        tuple(_value(engine, comparisons.get(number), turn) for number in range(1, count + 1))
        for turn in range(SAMPLES)
    )


def _value(engine: Engine, comparison: Comparison | None, turn: int) -> Value:
    if comparison is None:
        return None
    if comparison.how in ("limit", "offset"):
        return LIMIT if comparison.how == "limit" else 0
    table, column = quote_identifier(comparison.table), quote_identifier(comparison.column)
    rows = engine.ask_one(f"SELECT count(*) FROM {table} WHERE {column} IS NOT NULL")
    assert isinstance(rows, int)
    if rows == 0:
        return None
    # Values of one turn come from one row where all columns have a value, so that they are found together.
    share = {">": _LOW, "<": _HIGH}.get(comparison.how, (turn + 0.5) / SAMPLES)
    order = "rowid" if comparison.how == "=" and _has_rowid(engine, comparison.table) else column
    place = min(rows - 1, int(rows * share))
    return engine.ask_one(
        f"SELECT {column} FROM {table} WHERE {column} IS NOT NULL ORDER BY {order} LIMIT 1 OFFSET {place}"
    )


def distinct_in(engine: Engine) -> Callable[[str, str], int]:
    """Return what counts the values of a column among the first `COUNTED_ROWS` rows of its table, each once."""

    @cache
    def distinct(table: str, column: str) -> int:
        name = quote_identifier(column)
        rows = f"SELECT {name} FROM {quote_identifier(table)} LIMIT {COUNTED_ROWS}"
        return int(str(engine.ask_one(f"SELECT count(DISTINCT {name}) FROM ({rows})")))

    return distinct


def _has_rowid(engine: Engine, table: str) -> bool:
    return not engine.ask_one("SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?", (table,))


def _guessed(sql: str, columns: Mapping[str, Sequence[Column]]) -> dict[int, Comparison]:
    """Take for each parameter the last column named before it, of a table that the query names if there is one."""
    words = list(significant(sql))
    named = {fold(word.text.strip('"`[]')) for word in words if word.kind in ("word", "quoted")}
    tables = sorted(columns, key=lambda table: fold(table) not in named)
    owner: dict[str, Comparison] = {}
    for table in reversed(tables):
        for column in columns[table]:
            owner[fold(column.name)] = Comparison(table, column.name, "=")
    guessed: dict[int, Comparison] = {}
    last: Comparison | None = None
    highest = 0
    for word in words:
        if word.kind in ("word", "quoted"):
            name = fold(word.text.strip('"`[]'))
            last = Comparison("", "", fold(word.text)) if word.upper in ("LIMIT", "OFFSET") else owner.get(name, last)
        elif word.text in ("<", "<=", ">", ">=") and last is not None and last.column:
            last = last._replace(how=word.text[0])
        elif word.kind == "parameter":
            number = int(word.text[1:]) if len(word.text) > 1 and word.text[1:].isdecimal() else highest + 1
            highest = max(highest, number)
            if last is not None:
                guessed.setdefault(number, last)
    return guessed
