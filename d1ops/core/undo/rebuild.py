"""The safe rebuild: a table gets another form, and no row of any table is lost.

D1 keeps foreign keys on. `PRAGMA foreign_keys = OFF` is accepted and ignored, and `defer_foreign_keys` delays the check
but not ON DELETE CASCADE, SET NULL and SET DEFAULT; so `DROP TABLE users` first empties every table that cascades from
it. The form that is safe, seen on workerd:

1. the rows of the table, and of all tables that a delete from it would reach, are copied aside;
2. these tables are emptied, children first, so that no action finds a row;
3. the table is dropped and made again under its own name, with its final text: no rename, which would edit the text and
   stop at a view that does not compile;
4. all rows are put back, parents first, each under its rowid.

Foreign keys are deferred meanwhile. Each row that returns takes back the violation that its absence counted, so the
check at the commit still happens: a row that did not return makes the whole batch fail. Triggers of the tables are
away while rows move.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.sql import fold, quote_if_needed, quote_text
from d1ops.core.tables import free_name, listed, parents_first

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from d1ops.core.tables import Link, Table


@dataclass(frozen=True, slots=True)
class Move:
    """A table whose rows leave and return. `target` is the form that it gets, or its own where it only stands in the
    way; `sources` has for each column of the target the column that its values come from."""

    table: Table
    target: Table
    sources: Mapping[str, str]

    @property
    def is_rebuilt(self) -> bool:
        """Whether the table is dropped and made again."""
        return self.target is not self.table


def stay(table: Table) -> Move:
    """Return the move of a table that keeps its form."""
    return Move(table, table, {column: column for column in table.columns})


@dataclass(frozen=True, slots=True)
class Stash:
    """The statements that take rows away before a change, and those that bring them back after it."""

    aside: tuple[str, ...]
    away: tuple[str, ...]
    back: tuple[str, ...]
    cleared: tuple[str, ...]


def stash(moves: Sequence[Move], links: Sequence[Link], taken: Iterable[str]) -> Stash:
    """Return how the rows of all tables in `moves` leave and return. `taken` are names, folded, that are in use."""
    used = set(taken)
    by_name = {fold(move.table.name): move for move in moves}
    order = parents_first(by_name, links)
    aside: list[str] = []
    back: list[str] = []
    cleared: list[str] = []
    for name in order:
        move = by_name[name]
        away = free_name(f"stash_{move.table.name}", used)
        used.add(fold(away))
        if copies := _copies(move, away):
            aside.append(copies[0])
            back.append(copies[1])
            cleared.append(f"DROP TABLE {quote_if_needed(away)}")
    counted = [m.table.name for m in moves if m.is_rebuilt and m.table.is_counted and m.target.is_counted]
    if counted:
        away = quote_if_needed(free_name("stash_sqlite_counters", used))
        names = ", ".join(quote_text(name) for name in counted)
        aside.append(f"CREATE TABLE {away} AS SELECT name, seq FROM sqlite_sequence WHERE name IN ({names})")
        back.append(f"DELETE FROM sqlite_sequence WHERE name IN ({names})")
        back.append(f"INSERT INTO sqlite_sequence (name, seq) SELECT name, seq FROM {away}")
        cleared.append(f"DROP TABLE {away}")
    emptied = [
        f"{'DROP TABLE' if by_name[name].is_rebuilt else 'DELETE FROM'} {quote_if_needed(by_name[name].table.name)}"
        for name in _emptied(order, by_name)
    ]
    return Stash(tuple(aside), tuple(emptied), tuple(back), tuple(cleared))


def _emptied(order: Sequence[str], by_name: Mapping[str, Move]) -> list[str]:
    """Children first, and what is dropped last: a table that is gone can no longer be asked by a foreign key."""
    backwards = list(reversed(order))
    return [n for n in backwards if not by_name[n].is_rebuilt] + [n for n in backwards if by_name[n].is_rebuilt]


def _copies(move: Move, away: str) -> tuple[str, str] | None:
    """The statement that copies a table aside, and the one that puts its rows back; None where nothing of them can
    be kept."""
    columns = [(column, move.sources[column]) for column in move.target.columns if column in move.sources]
    rowid = ""
    number = free_name("stash_rowid", {fold(source) for _, source in columns})
    if move.table.rowid and move.target.rowid:
        rowid = f"{move.table.rowid} AS {number}"
    if not columns and not rowid:
        return None
    kept = ", ".join(filter(None, (rowid, listed(dict.fromkeys(source for _, source in columns)))))
    stash_table, source_table = quote_if_needed(away), quote_if_needed(move.table.name)
    copy = f"CREATE TABLE {stash_table} AS SELECT {kept} FROM {source_table}"
    into = listed(target for target, _ in columns)
    values = listed(source for _, source in columns)
    if rowid:
        into, values = f"{move.target.rowid}, {into}", f"{number}, {values}"
    return copy, f"INSERT INTO {quote_if_needed(move.target.name)} ({into}) SELECT {values} FROM {stash_table}"
