"""Whether the data that a migration took out of older tables and columns is back in its old place after a rollback.

A migration that renamed, dropped or emptied something older may have put its data into what it made, and a rollback
drops what it made. How much the old place holds afterwards says nothing: a DEFAULT fills every row. So the values
themselves are looked for: with the key of their row inside of one table, repeats counted everywhere. Data that comes
back in another form is not recognised.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from d1ops.core.measure import BEFORE, numbered, stored_columns
from d1ops.core.mirror import schema_of
from d1ops.core.sql import fold, quote_identifier

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from d1ops.core.engine import Engine
    from d1ops.core.measure import Part


def removed(with_all: Engine, without: Engine) -> set[Part]:
    """The tables and columns that the replay with the migrations lacks and the one without them has."""
    found: set[Part] = set()
    for table in schema_of(without).tables():
        there, still = (set(_columns(engine, "main", table)) for engine in (without, with_all))
        found |= {(table, column) for column in there - still} if still else {(table, None)}
    return found


def older(parts: Collection[Part], without: Engine) -> set[Part]:
    """Return those of the tables and columns that are there without the migrations."""
    return {
        (table, column)
        for table, column in parts
        if (there := _columns(without, "main", table)) and (column is None or fold(column) in there)
    }


def are_back(clone: Engine, sources: Collection[Part], going: Iterable[Part]) -> bool:
    """Whether every source holds all that one of the parts held that go and that the migrations made."""
    gone = [part for part in _gone(clone, going) if clone.ask(f"SELECT 1 FROM {part.rows} LIMIT 1")]
    return not gone or all(_is_back(clone, table, column, gone) for table, column in sources)


class _Gone(NamedTuple):
    """Rows of a table (`column` is None), or the values of a column, as they were before. '' counts as no value."""

    table: str
    column: str | None

    @property
    def rows(self) -> str:
        source = f"{BEFORE}.{quote_identifier(self.table)}"
        return f"{source} WHERE {quote_identifier(self.column)} <> ''" if self.column is not None else source


def _gone(clone: Engine, going: Iterable[Part]) -> Iterator[_Gone]:
    """The parts, and with a table each of its columns."""
    for table, column in going:
        yield _Gone(table, column)
        if column is None:
            yield from (_Gone(table, each) for each in _columns(clone, BEFORE, table).values())


def _is_back(clone: Engine, table: str, column: str | None, gone: Sequence[_Gone]) -> bool:
    there = _columns(clone, "main", table)
    if column is not None and fold(column) not in there:
        return False
    if column is not None and _is_full(clone, table, column):
        return True
    for part in gone:
        if (part.column is None) != (column is None):
            continue
        then = _columns(clone, BEFORE, part.table)
        if column is None:
            both = [(then[name], there[name]) for name in then if name in there]
        else:
            key = _key(clone, table) if fold(part.table) == fold(table) else []
            both = [(then[name], there[name]) for name in key if name in then and name in there]
            both.append((str(part.column), column))
        left = numbered(part.rows, [one for one, _ in both])
        right = numbered(f"main.{quote_identifier(table)}", [other for _, other in both])
        if both and not clone.ask(f"{left} EXCEPT {right} LIMIT 1"):
            return True
    return False


def _is_full(clone: Engine, table: str, column: str) -> bool:
    """Whether no row lacked a value before, and not all had the same: it was overwritten, and nothing was taken out."""
    if fold(column) not in _columns(clone, BEFORE, table):
        return False
    name = quote_identifier(column)
    counted = f"SELECT count(*), count(nullif({name}, '')), count(DISTINCT {name}) FROM {BEFORE}"
    (numbers,) = clone.ask(f"{counted}.{quote_identifier(table)}")
    rows, values, different = (int(str(number)) for number in numbers)
    return rows == values and not rows > different == 1


def _key(clone: Engine, table: str) -> list[str]:
    rows = clone.ask("SELECT name FROM pragma_table_xinfo(?, ?) WHERE pk ORDER BY pk", (table, BEFORE))
    return [fold(str(name)) for (name,) in rows]


def _columns(engine: Engine, schema: str, table: str) -> dict[str, str]:
    """The names of the stored columns, by how they compare."""
    return {fold(name): name for name in stored_columns(engine, schema, table)}
