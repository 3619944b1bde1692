"""Sample rows for any schema, the same for the same schema and seed.

Rows are made by trying: values are drawn, the row is inserted into an engine that holds the schema, and where SQLite
refuses it, what the refusal names is drawn again, within a budget. So every constraint holds because SQLite said so.
Every stored column is written explicitly, because a DEFAULT may read the clock.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import apsw

from d1ops.core.mirror import schema_of
from d1ops.core.rows.checks import mentioned, unquoted
from d1ops.core.rows.filler import Table
from d1ops.core.rows.shapes import read_shape
from d1ops.core.rows.words import Draw, named, typed
from d1ops.core.sql import quote_identifier, significant
from d1ops.core.values import Statement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from d1ops.core.engine import Engine
    from d1ops.core.rows.shapes import Shape


@dataclass(frozen=True, slots=True)
class Filled:
    """What became of a table: the rows made for it, and why they are fewer than asked for, where they are."""

    table: str
    rows: int
    shortfall: str | None = None


@dataclass(frozen=True, slots=True)
class Generated:
    """Rows for a schema: the statements that insert them, in an order that satisfies foreign keys, and the tally.

    Sent in this order, cut into transactions anywhere, to a database with the schema and the rows that the engine
    had, they make the same rows.
    """

    statements: tuple[Statement, ...]
    tables: tuple[Filled, ...]


def generate(
    engine: Engine,
    *,
    rows: int,
    seed: int,
    ledger: str = "d1_migrations",
    rows_of: Mapping[str, int] | None = None,
    values_of: Mapping[str, Mapping[str, int]] | None = None,
) -> Generated:
    """Insert `rows` rows into every table of `engine` and return the statements that did it.

    `rows_of` has another number for some tables, by name as in the schema; `values_of` how many different values a
    column (in lower case) of a table gets, for some: fewer where there are no more.
    Rows that are there already are respected and referred to. Left alone are the ledger, the tables of d1ops, SQLite
    and Cloudflare, virtual tables other than FTS5, and FTS5 tables that another table or its triggers fill. A table
    that gets fewer rows, or none, says why in its `Filled.shortfall`.
    """
    wanted = {name.lower() for name in schema_of(engine).users(ledger).tables()}
    ordinary: list[Shape] = []
    virtual: list[str] = []
    for name, kind, without_rowid, strict in engine.ask(
        "SELECT name, type, wr, strict FROM pragma_table_list WHERE schema = 'main' ORDER BY lower(name)"
    ):
        if str(name).lower() in wanted and kind == "table":
            shape = read_shape(engine, str(name), without_rowid=bool(without_rowid), strict=bool(strict))
            ordinary.append(shape)
        elif str(name).lower() in wanted and kind == "virtual":
            virtual.append(str(name))
    ordered, early = _in_order(ordinary)
    tables = [Table(engine, shape, seed, (values_of or {}).get(shape.name)) for shape in ordered]
    statements: list[Statement] = []
    number_of = {table.shape.name: (rows_of or {}).get(table.shape.name, rows) for table in tables}
    for table in tables:
        wanted_rows = number_of[table.shape.name]
        # The first of a cycle of references gets its other half when there is something to refer to.
        statements += table.fill((wanted_rows + 1) // 2 if table.shape in early else wanted_rows)
    if early:
        for table in tables:
            statements += table.fill(number_of[table.shape.name] - table.made)
    filled = [
        Filled(table.shape.name, table.made, table.problem if table.made < number_of[table.shape.name] else None)
        for table in tables
    ]
    for name in virtual:
        texts, tally = _fill_text_index(engine, name, (rows_of or {}).get(name, rows), seed)
        statements += texts
        filled.append(tally)
    return Generated(tuple(statements), tuple(filled))


def _in_order(shapes: Sequence[Shape]) -> tuple[list[Shape], list[Shape]]:
    """Order tables so that parents come first. Second, those that had to come before one of their parents."""
    left = {shape.name.lower(): shape for shape in shapes}
    ordered: list[Shape] = []
    early: list[Shape] = []
    while left:
        ready = [shape for shape in left.values() if not shape.parents & left.keys()]
        if not ready:
            optional = [shape for shape in left.values() if not shape.required_parents & left.keys()]
            ready = (optional or list(left.values()))[:1]
            early += ready
        ordered += ready
        for shape in ready:
            del left[shape.name.lower()]
    return ordered, early


def _fill_text_index(engine: Engine, table: str, rows: int, seed: int) -> tuple[list[Statement], Filled]:
    """Insert simple texts into a virtual table, if it is an FTS5 table that nothing else fills."""
    reason = _filled_otherwise(engine, table)
    if reason:
        return [], Filled(table, 0, reason)
    columns = [str(name) for (name,) in engine.ask("SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0", (table,))]
    sources = [named(table, column, "TEXT", None) or typed("TEXT") for column in columns]
    names = ", ".join(quote_identifier(column) for column in columns)
    insert = f"INSERT INTO {quote_identifier(table)} ({names}) VALUES ({', '.join('?' for _ in columns)})"
    draw = Draw(f"{seed}/{table.lower()}")
    statements: list[Statement] = []
    for serial in range(rows):
        draw.begin_row(serial, rows)
        statement = Statement(insert, tuple(source(draw) for source in sources))
        try:
            engine.ask(statement.sql, statement.params)
        except apsw.Error as error:
            return statements, Filled(table, serial, str(error))
        statements.append(statement)
    return statements, Filled(table, rows)


def _filled_otherwise(engine: Engine, table: str) -> str:
    """Return why a virtual table is not to be filled; empty for an FTS5 table of its own content."""
    sql = engine.ask_one("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (table,))
    words = [token.text for token in significant(str(sql))]
    if "fts5" not in [after.lower() for before, after in pairwise(words) if before.upper() == "USING"]:
        return "a virtual table other than FTS5"
    for option, equals, value in zip(words, words[1:], words[2:], strict=False):
        if (option.lower(), equals) == ("content", "=") and unquoted(value):
            return f"an index over {unquoted(value)}"
    for (trigger,) in engine.ask("SELECT sql FROM sqlite_master WHERE type = 'trigger'"):
        if mentioned(str(trigger), (table,)):
            return "filled by triggers"
    return ""
