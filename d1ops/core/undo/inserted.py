"""The rows that a migration inserts into tables that were there, and the statements that take them away again."""

from __future__ import annotations

from collections import Counter
from contextlib import closing
from typing import TYPE_CHECKING

from d1ops.core.engine import Rejected
from d1ops.core.sql import fold, quote_identifier, quote_if_needed, quote_text
from d1ops.core.tables import clock_columns, listed, read_tables
from d1ops.core.trial import opened

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.engine import Engine
    from d1ops.core.tables import Table
    from d1ops.core.undo.lineage import Lineage
    from d1ops.core.values import Row, Value


def deletions(before: bytes, after: bytes, lineage: Lineage, *, numbered: bool) -> list[str]:
    """Return the statements that delete what the migration inserted into tables of the image `before`.

    Both images hold only what migrations themselves made. A row is named by all of its values, so one that somebody
    edited since is not deleted; only what the clock gave (DEFAULT CURRENT_TIMESTAMP) is left out, and unless `numbered`
    an INTEGER PRIMARY KEY, which SQLite may have given.
    """
    found: list[str] = []
    with closing(opened(before)) as old, closing(opened(after)) as new:
        then, now = read_tables(old), read_tables(new)
        # Virtual tables last: triggers may have taken the rows away by then.
        for name in sorted((name for name in then if name in lineage.tables), key=lambda name: then[name].is_virtual):
            table = now[fold(lineage.tables[name])]
            for sql in _of_table(old, new, then[name], table, lineage.columns[name], numbered=numbered):
                try:
                    new.execute(sql)
                except Rejected:
                    continue
                found.append(sql)
    return found


def _of_table(
    old: Engine, new: Engine, then: Table, now: Table, columns: dict[str, str], *, numbered: bool
) -> list[str]:
    pairs = [(column, columns[column]) for column in then.columns if column in columns]
    if not pairs or then.content is not None:
        return []
    there = Counter(_rows(old, then.name, [column for column, _ in pairs]))
    given = {column for column in now.columns if fold(column) in clock_columns(new, now.name)}
    is_given = not numbered and now.is_numbered
    given |= set(now.key) if is_given and len(now.columns) > 1 else set()
    own = [column for column in now.columns if column not in given]
    name = quote_if_needed(now.name)
    found: list[str] = []
    shared = [column for _, column in pairs]
    for both in _rows(new, now.name, [*shared, *own]):
        row, values = both[: 2 * len(shared)], both[2 * len(shared) :]
        if there[row]:
            there[row] -= 1
            continue
        values = values[1::2]
        match = f"({listed(own)}) IS ({', '.join(map(_literal, values))})"
        if now.is_virtual or len(own) == 1:
            match = " AND ".join(f"{quote_if_needed(c)} IS {_literal(v)}" for c, v in zip(own, values, strict=True))
        number = now.rowid if not now.key else "rowid" if is_given else None
        if number:
            match = f"{number} = (SELECT max({number}) FROM {name} WHERE {match})"
        found.append(f"DELETE FROM {name} WHERE {match}")
    return found


def _rows(engine: Engine, table: str, columns: Sequence[str]) -> list[Row]:
    """Return all rows, the type of every cell before it."""
    cells = ", ".join(f"typeof({quote_identifier(c)}), {quote_identifier(c)}" for c in columns)
    with engine.unlimited():
        return engine.ask(f"SELECT {cells} FROM {quote_identifier(table)}")


def _literal(value: Value) -> str:
    match value:
        case None:
            return "NULL"
        case bytes():
            return f"X'{value.hex()}'"
        case str():
            return quote_text(value)
        case _:
            return repr(value)
