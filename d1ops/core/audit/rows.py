"""How many rows a table has, and how well that is known."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, NamedTuple

from d1ops.core import rules
from d1ops.core.sql import OWN, quote_identifier

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from d1ops.core.audit.tables import Table
    from d1ops.core.values import Row


class Source(StrEnum):
    """Where a number of rows comes from."""

    COUNT = "count"
    STATISTICS = "statistics"
    ROWID = "rowid"
    """The largest rowid: as many rows at most, unless rowids were chosen by hand."""


class RowCount(NamedTuple):
    """A number of rows and its source."""

    number: int
    source: Source

    def __str__(self) -> str:
        match self.source:
            case Source.COUNT:
                return f"{self.number:,}"
            case Source.STATISTICS:
                return f"about {self.number:,} by its statistics"
            case Source.ROWID:
                return f"up to {self.number:,} by its largest rowid"


LEAST_ROW_BYTES = 6
"""A row takes a cell of four bytes and a pointer of two at least (SQLite documentation, "The Database File Format",
section 1.6): a rowid that would need more than the database has was chosen by hand."""

_STATEMENT_BYTES = rules.MAX_STATEMENT_BYTES - len(f"SELECT  AS {OWN}")


class Question(NamedTuple):
    """A statement whose one row has a number for each of `tables`, in order."""

    sql: str
    tables: tuple[str, ...]


def ask_largest_rowids(tables: Mapping[str, Table]) -> Iterator[Question]:
    """Yield the statements that read one row of each table that has a rowid; tables without one are left out."""
    asked = [(name, table.rowid_name) for name, table in tables.items()]
    yield from _questions([(name, f"max({rowid})") for name, rowid in asked if rowid is not None])


def ask_counts(tables: Mapping[str, Table]) -> Iterator[Question]:
    """Yield the statements that count the rows of every table, which reads and bills each of them."""
    yield from _questions([(name, "count(*)") for name in tables])


def _questions(asked: Sequence[tuple[str, str]]) -> Iterator[Question]:
    columns: list[str] = []
    names: list[str] = []
    size = 0
    for name, what in asked:
        column = f"(SELECT {what} FROM {quote_identifier(name)})"
        if names and (len(names) == rules.MAX_COLUMNS or size + len(column.encode()) > _STATEMENT_BYTES):
            yield Question(f"SELECT {', '.join(columns)} AS {OWN}", tuple(names))
            columns, names, size = [], [], 0
        columns.append(column)
        names.append(name)
        size += len(column.encode()) + len(", ")
    if names:
        yield Question(f"SELECT {', '.join(columns)} AS {OWN}", tuple(names))


def largest_rowids(questions: Sequence[Question], rows: Sequence[Row], size_bytes: int) -> dict[str, RowCount]:
    """Read the answers to `ask_largest_rowids` from a database of `size_bytes`.

    A table that they do not fit is unknown; an empty one answers NULL.
    """
    found: dict[str, RowCount] = {}
    for name, value in _answers(questions, rows):
        number = int(value) if isinstance(value, (int, float)) else 0
        if 0 <= number <= size_bytes // LEAST_ROW_BYTES:
            found[name] = RowCount(number, Source.ROWID)
    return found


def counts(questions: Sequence[Question], rows: Sequence[Row]) -> dict[str, RowCount]:
    """Read the answers to `ask_counts`."""
    return {name: RowCount(int(str(value)), Source.COUNT) for name, value in _answers(questions, rows)}


def _answers(questions: Sequence[Question], rows: Sequence[Row]) -> Iterator[tuple[str, object]]:
    for question, row in zip(questions, rows, strict=True):
        yield from zip(question.tables, row, strict=True)


def statistics_rows(statistics: Sequence[Row]) -> dict[str, RowCount]:
    """Return the rows of each table by its statistics, the rows (tbl, idx, stat) of `sqlite_stat1`.

    The first number of `stat` is the number of rows in an index or table; a partial index has fewer (SQLite
    documentation, "The Database File Format", section 2.6.3).
    """
    found: dict[str, int] = {}
    for table, _, stat in statistics:
        first = str(stat).split(" ", 1)[0]
        if first.isdecimal():
            found[str(table)] = max(found.get(str(table), 0), int(first))
    return {table: RowCount(number, Source.STATISTICS) for table, number in found.items()}
