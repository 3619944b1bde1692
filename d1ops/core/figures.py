"""Figures that a batch counts before and after its script, and how far each may move.

* rows: of every table that the script can reach, by a statement, a trigger or a foreign key;
* links: the values of every foreign key column of such a table, since `ON DELETE SET NULL` leaves all row counts
  as they are and loses every link. Where the action is SET DEFAULT, the values that are not the default;
* values: those of the columns of a table that is dropped and made anew, since the copy may leave a column out;
* dangling: the foreign key violations of every such table and of every table that references one;
* changes: how many rows the script changed, cascades and triggers included (`total_changes()`).

They are read on a clone in the rehearsal and recorded in the guard table by the batch: 500 tables take one statement of
27 KB and a few milliseconds (seen on workerd).
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

import apsw

from d1ops.core.assertions import GUARD, Assertion, Kind
from d1ops.core.measure import loss_name
from d1ops.core.sql import fold, quote_identifier, quote_text
from d1ops.core.values import Statement

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from d1ops.core.engine import Engine

_UNLIMITED = 2**62
_STATEMENT_BYTES = 60_000
_CHECKS_A_STATEMENT = 100
"""Foreign key checks in one statement: each is a cursor of its own."""

CHANCE_AND_TIME = frozenset(
    [
        *("random", "randomblob", "date", "time", "datetime", "julianday", "unixepoch", "strftime", "timediff"),
        *("current_date", "current_time", "current_timestamp", "last_insert_rowid", "changes", "total_changes"),
    ]
)
"""Functions after which a script need not do what it did in the rehearsal."""


class Counted(StrEnum):
    """What a figure counts."""

    ROWS = "rows"
    LINKS = "links"
    DANGLING = "dangling"
    VALUES = "values"
    """Values of a column. A rehearsal in place asks for those that the script takes away."""


@dataclass(frozen=True, slots=True)
class Figure:
    """What is counted of a table or column. `sql` is a scalar subquery."""

    counted: Counted
    table: str
    column: str | None
    sql: str

    @property
    def name(self) -> str:
        """The table or column, as it is named for consent."""
        return loss_name(self.table, self.column)

    @property
    def key(self) -> tuple[str, str, str]:
        """What the figure is compared by before and after."""
        return self.counted, fold(self.table), fold(self.column or "")


@dataclass(frozen=True, slots=True)
class Bound:
    """A figure with its value in the rehearsal, and how far it may move: `lowest` and `highest` bound its growth."""

    figure: Figure
    rehearsed: int
    lowest: int
    highest: int


def figures(engine: Engine, tables: Collection[str]) -> list[Figure]:
    """Return what is counted where these tables (folded names) can be reached, of what an engine holds now."""
    found: list[Figure] = []
    checked: list[Figure] = []
    rows = engine.ask("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' ORDER BY name")
    for (cell,) in rows:
        table = str(cell)
        links = engine.ask(
            'SELECT "table", "from", on_delete, on_update FROM pragma_foreign_key_list(?) ORDER BY id, seq', (table,)
        )
        is_reached = fold(table) in tables
        if (
            links
            and (is_reached or any(fold(str(parent)) in tables for parent, *_ in links))
            and _checks(engine, table)
        ):
            sql = f"(SELECT count(*) FROM pragma_foreign_key_check({quote_text(table)}))"
            checked.append(Figure(Counted.DANGLING, table, None, sql))
        if not is_reached:
            continue
        source = quote_identifier(table)
        found.append(Figure(Counted.ROWS, table, None, f"(SELECT count(*) FROM {source})"))
        columns = {str(column): "SET DEFAULT" in actions for _, column, *actions in links}
        for column, has_default in columns.items():
            found.append(Figure(Counted.LINKS, table, column, _links(engine, table, column, has_default=has_default)))
    return [*found, *checked]


def values(engine: Engine, of: Iterable[tuple[str, str]]) -> list[Figure]:
    """Return what is counted of these columns, of those that an engine holds now and that may be NULL: the values of
    others are as many as the rows. A full-text index may miss the table that it reads."""
    found: list[Figure] = []
    for table, column in of:
        try:
            engine.ask(f"SELECT 1 FROM {quote_identifier(table)} LIMIT 1")
        except apsw.Error:
            continue
        rows = engine.ask(
            'SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0 AND NOT "notnull" AND lower(name) = lower(?)',
            (table, column),
        )
        for (cell,) in rows:
            name = str(cell)
            sql = f"(SELECT count({quote_identifier(name)}) FROM {quote_identifier(table)})"
            found.append(Figure(Counted.VALUES, table, name, sql))
    return found


def _links(engine: Engine, table: str, column: str, *, has_default: bool) -> str:
    name = quote_identifier(column)
    default = engine.ask("SELECT dflt_value FROM pragma_table_info(?) WHERE name = ?", (table, column))
    if not has_default or not default or default[0][0] is None:
        return f"(SELECT count({name}) FROM {quote_identifier(table)})"
    differs = f"{name} IS NOT NULL AND {name} IS NOT ({default[0][0]!s})"
    return f"(SELECT count(*) FROM {quote_identifier(table)} WHERE {differs})"


def _checks(engine: Engine, table: str) -> bool:
    """Whether the foreign keys of a table can be checked: SQLite raises where one matches no key of its parent."""
    try:
        engine.ask("SELECT 1 FROM pragma_foreign_key_check(?) LIMIT 1", (table,))
    except apsw.SQLError:
        return False
    return True


def count(engine: Engine, of: Iterable[Figure]) -> dict[Figure, int]:
    """Read figures on an engine."""
    return {figure: int(str(engine.ask_one(f"SELECT {figure.sql}"))) for figure in of}


def bounds(before: Mapping[Figure, int], after: Mapping[Figure, int], *, replaces: bool = False) -> tuple[Bound, ...]:
    """Return how far the figures may move: rows and links fall no further than they did, dangling ones grow no more.

    Values grow as they did: where they grow less, some were overwritten that were not there in the rehearsal. So do the
    rows of a script that `replaces` rows.

    A figure that is not there any more (its table or column is gone) has no bound: what it held is compared by content.
    """
    now = {figure.key: number for figure, number in after.items()}
    found: list[Bound] = []
    for figure, number in before.items():
        if figure.key not in now:
            continue
        growth = now[figure.key] - number
        if figure.counted is Counted.DANGLING:
            found.append(Bound(figure, number, -_UNLIMITED, max(0, growth)))
        else:
            is_exact = figure.counted is Counted.VALUES or (replaces and figure.counted is Counted.ROWS)
            found.append(Bound(figure, number, growth if is_exact else min(0, growth), _UNLIMITED))
    return tuple(found)


# -- in the batch --------------------------------------------------------------------------------------


def record(of: Sequence[Bound]) -> list[Statement]:
    """Return what writes the figures from before the script into the guard table."""
    head = f"INSERT INTO {GUARD} (what, rehearsed_n, lowest, highest, before_n) VALUES "
    rows = [(b.figure, f"({n},{b.rehearsed},{b.lowest},{b.highest},{b.figure.sql})") for n, b in enumerate(of)]
    return _in_pieces(head, rows, "")


def record_again(of: Iterable[tuple[int, Figure]]) -> list[Statement]:
    """Return what writes the figures from after the script beside them, each with its place in the guard table."""
    head = f"INSERT INTO {GUARD} (what, after_n) VALUES "
    tail = " ON CONFLICT (what) DO UPDATE SET after_n = excluded.after_n"
    return _in_pieces(head, [(figure, f"({place},{figure.sql})") for place, figure in of], tail)


def _in_pieces(head: str, rows: Iterable[tuple[Figure, str]], tail: str) -> list[Statement]:
    found: list[Statement] = []
    piece: list[str] = []
    size = checks = 0
    for figure, row in rows:
        is_check = figure.counted is Counted.DANGLING
        if piece and (size + len(row.encode()) > _STATEMENT_BYTES or checks + is_check > _CHECKS_A_STATEMENT):
            found.append(Statement(head + ",".join(piece) + tail))
            piece, size, checks = [], 0, 0
        piece.append(row)
        size += len(row.encode()) + 1
        checks += is_check
    return [*found, Statement(head + ",".join(piece) + tail)] if piece else found


def moved_no_further(of: Sequence[Bound]) -> Assertion:
    """Assert that no figure moved further than in the rehearsal. The failure carries [what, before, after] of each."""
    within = "(after_n - before_n BETWEEN lowest AND highest)"
    bad = f"FROM {GUARD} WHERE what BETWEEN 0 AND {len(of) - 1} AND {within} IS NOT TRUE"
    return Assertion(
        Kind.FIGURES,
        f"NOT EXISTS (SELECT 1 {bad})",
        f"(SELECT json_group_array(json_array(what, before_n, after_n)) FROM (SELECT * {bad} LIMIT 20))",
        about=tuple(of),
    )


def record_changes(place: int, rehearsed: int) -> Statement:
    """Return the last statement before the script; its own row counts as well."""
    return Statement(
        f"INSERT INTO {GUARD} (what, rehearsed_n, before_n) VALUES ({place}, {rehearsed}, total_changes() + 1)"
    )


def record_changes_again(place: int) -> Statement:
    """Return the first statement after the script."""
    return Statement(f"UPDATE {GUARD} SET after_n = total_changes() WHERE what = {place}")


def changed_as_rehearsed(place: int, rehearsed: int, of: Sequence[Bound], times: int) -> Assertion:
    """Assert that the script changed as many rows as in the rehearsal.

    Every row that came or went since the backup may count for `times` more or less. Where none did the number is exact.
    """
    rows = ",".join(str(n) for n, bound in enumerate(of) if bound.figure.counted is Counted.ROWS)
    drift = f"(SELECT ifnull(sum(abs(before_n - rehearsed_n)), 0) FROM {GUARD} WHERE what IN ({rows}))"
    source = f"FROM {GUARD} c WHERE what = {place}"
    return Assertion(
        Kind.CHANGES,
        f"(SELECT abs(after_n - before_n - rehearsed_n) <= {times} * {drift} {source})",
        f"(SELECT json_array(after_n - before_n, {drift}) {source})",
        about=rehearsed,
    )
