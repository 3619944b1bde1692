"""One table being filled: draw a row, let SQLite judge it, draw again what the refusal names."""

from __future__ import annotations

from contextlib import suppress
from itertools import count as counting
from typing import TYPE_CHECKING, NamedTuple

import apsw

from d1ops.core import rules
from d1ops.core.rows.candidates import candidates
from d1ops.core.rows.fields import Cell, Combinations, Draft, Link
from d1ops.core.rows.words import Draw
from d1ops.core.sql import quote_identifier
from d1ops.core.values import Statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from d1ops.core.engine import Engine
    from d1ops.core.rows.fields import Field
    from d1ops.core.rows.shapes import ForeignKey, Shape
    from d1ops.core.values import Row, Value

ATTEMPTS_A_TABLE = 1_000
ATTEMPTS_A_ROW = 50
"""A table is given up when more than ATTEMPTS_A_TABLE + rows * ATTEMPTS_A_ROW of its rows were refused."""

MAX_COUNTED = 2**53 - 1
"""Keys that count up stay exact in a JSON number."""


class _Refusal(NamedTuple):
    """Why a row was not taken. `code` is SQLite's extended result code, 0 for what is no error of SQLite."""

    code: int
    text: str


class Table:
    """An ordinary table while it is being filled."""

    def __init__(self, engine: Engine, shape: Shape, seed: int) -> None:
        self.shape = shape
        self.made = 0
        self.problem: str | None = None
        self._engine = engine
        self._draw = Draw(f"{seed}/{shape.name.lower()}")
        self._positions = {column.name.lower(): number for number, column in enumerate(shape.columns)}
        self._links = [self._link(key) for key in shape.foreign_keys]
        linked = {position for link in self._links for position in link.positions}
        self._cells = {
            number: self._cell(number)
            for number, column in enumerate(shape.columns)
            # A reference leaves a column without a value only where NULL may not stand in it.
            if number not in linked or column.required
        }
        self._fields: list[Field] = [*self._links, *self._cells.values()]
        self._combinations: list[Combinations] = []
        self._sql = _insert_text(shape, 1)

    def _link(self, key: ForeignKey) -> Link:
        positions = tuple(self._positions[column.lower()] for column in key.columns)
        nullable = tuple(p for p in positions if not self.shape.columns[p].required)
        own: tuple[int, ...] | None = None
        if key.parent.lower() == self.shape.name.lower():
            found = [self._positions.get(column.lower()) for column in key.parent_columns]
            own = tuple(p for p in found if p is not None)
            own = own if len(own) == len(found) else None
        return Link(positions, nullable, own)

    def _cell(self, number: int) -> Cell:
        column = self.shape.columns[number]
        choice = candidates(self.shape.name, column, self.shape.checks)
        sources = choice.sources
        if column.name.lower() in self.shape.counted:
            name = quote_identifier(column.name)
            last = self._engine.ask_one(f"SELECT max({name}) FROM {quote_identifier(self.shape.name)}")
            numbers = counting(last + 1 if isinstance(last, int) and 0 <= last < MAX_COUNTED else 1)
            sources = (lambda draw: next(numbers), *sources)
        return Cell(number, sources, choice.domain, required=column.required)

    # -- filling ---------------------------------------------------------------------------------------

    def fill(self, rows: int) -> list[Statement]:
        """Make `rows` more rows, or as many as can be; `problem` then says why there are fewer."""
        self.problem = self._prepare()
        made: list[Row] = []
        draft = Draft(len(self.shape.columns))
        budget = ATTEMPTS_A_TABLE + ATTEMPTS_A_ROW * rows
        while self.problem is None and len(made) < rows:
            self._draw.begin_row(len(made), rows)
            # The first row of a table has a value in every column, if it can.
            draft.may_be_null = bool(made)
            budget = self._make_row(draft, budget)
            if self.problem is None:
                made.append(tuple(draft.values))
                for field in self._fields:
                    field.settle(draft)
        self.made += len(made)
        return list(_bundled(self.shape, made))

    def _prepare(self) -> str | None:
        """Look at the parents as they are now; return why no row can be made, if none can."""
        for link, key in zip(self._links, self.shape.foreign_keys, strict=True):
            link.refill(self._keys_of(key))
            if not link.domain and not link.nullable and link.own is None:
                return f"{key.parent} has no row that {', '.join(key.columns)} could refer to"
        self._combinations = [Combinations(fields, self._draw) for fields in self._finite_keys()]
        return None

    def _keys_of(self, key: ForeignKey) -> list[Row]:
        parents = [quote_identifier(column) for column in key.parent_columns]
        conditions = [f"{parent} IS NOT NULL" for parent in parents]
        if key.parent.lower() == self.shape.name.lower():
            # How deep the other rows are is not known; the roots are.
            children = (quote_identifier(column) for column in key.columns)
            pairs = zip(children, parents, strict=True)
            conditions.append(f"({' OR '.join(f'{c} IS NULL OR {c} IS {p}' for c, p in pairs)})")
        names = ", ".join(parents)
        with suppress(apsw.SQLError):  # no such parent: the refusal of the first row says so
            return self._engine.ask(
                f"SELECT {names} FROM {quote_identifier(key.parent)} WHERE {' AND '.join(conditions)} ORDER BY {names}"
            )
        return []

    def _finite_keys(self) -> Iterator[list[Field]]:
        """Yield the fields of every unique key that has a known number of values."""
        used: set[int] = set()
        for key in self.shape.keys:
            if not key.is_whole or not key.columns <= self._positions.keys():
                continue
            fields = self._owners(key.columns)
            positions = [position for field in fields for position in field.positions]
            is_shared = any(
                link not in fields and not set(link.positions).isdisjoint(positions) for link in self._links
            )
            is_growing = any(isinstance(field, Link) and field.own for field in fields)
            is_free = used.isdisjoint(positions) and not (is_shared or is_growing)
            if is_free and all(field.domain for field in fields):
                used.update(positions)
                yield fields

    def _owners(self, columns: Iterable[str]) -> list[Field]:
        """Return the fields that decide these columns; all of them where a column is computed."""
        owners: list[Field] = []
        for column in sorted(columns, key=lambda column: self._positions.get(column, -1)):
            position = self._positions.get(column)
            if position is None:
                return self._fields
            links: list[Field] = [link for link in self._links if position in link.positions]
            owners += [f for f in links or [self._cells[position]] if f not in owners]
        return owners

    def _make_row(self, draft: Draft, budget: int) -> int:
        """Draw until SQLite takes the row; return what is left of the budget of attempts."""
        chosen: Sequence[Field] = self._fields
        for attempt in counting(1):
            if not self._redraw(draft, chosen):
                self.problem = "every combination of its unique columns is in use"
                break
            refusal = self._insert(draft.values)
            if refusal is None:
                break
            budget -= 1
            if budget <= 0:
                self.problem = refusal.text
                break
            draft.may_be_null = True
            chosen = self._fields if attempt % 16 == 0 else self._reconsider(refusal, attempt)
        return budget

    def _redraw(self, draft: Draft, chosen: Sequence[Field]) -> bool:
        """Draw the chosen fields again, and those that depend on them; False when a key has no value left."""
        positions = {position for field in chosen for position in field.positions}
        bound = [c for c in self._combinations if not positions.isdisjoint(c.positions)]
        for combination in bound:
            positions |= combination.positions
        for link in self._links:
            if not positions.isdisjoint(link.positions):
                positions.update(link.positions)
        draft.drawn -= positions
        for combination in bound:
            if not combination.draw(self._draw, draft):
                return False
        for field in self._fields:
            if not draft.drawn.issuperset(field.positions):
                field.draw(self._draw, draft)
        for link in self._links:
            link.finish(draft)
        return True

    def _insert(self, values: Sequence[Value]) -> _Refusal | None:
        connection = self._engine.connection
        try:
            if not self.shape.has_triggers:
                self._engine.ask(self._sql, values)
                return None if connection.changes() else _IGNORED
            with self._engine.free():
                # RAISE(IGNORE) and RAISE(FAIL) keep what the trigger has done before.
                connection.execute("BEGIN")
                connection.execute(self._sql, tuple(values))
                changes = connection.changes()
                connection.execute("COMMIT" if changes else "ROLLBACK")
                return None if changes else _IGNORED
        except (apsw.Error, OverflowError) as error:
            if connection.in_transaction:
                self._engine.ask("ROLLBACK")
            return _Refusal(getattr(error, "extendedresult", 0), str(error))

    # -- after a refusal -------------------------------------------------------------------------------

    def _reconsider(self, refusal: _Refusal, attempt: int) -> Sequence[Field]:
        """Return the fields to draw again, with their minds changed where that may help."""
        name = refusal.text.partition(": ")[2]
        match refusal.code:
            case apsw.SQLITE_CONSTRAINT_CHECK:
                return self._after_check(name, attempt)
            case apsw.SQLITE_CONSTRAINT_UNIQUE | apsw.SQLITE_CONSTRAINT_PRIMARYKEY | apsw.SQLITE_CONSTRAINT_ROWID:
                return self._after_collision(name)
            case apsw.SQLITE_CONSTRAINT_FOREIGNKEY:
                return self._links or self._fields
            case apsw.SQLITE_CONSTRAINT_DATATYPE | apsw.SQLITE_MISMATCH:
                found = [
                    self._cells[number]
                    for number, column in enumerate(self.shape.columns)
                    if number in self._cells and refusal.text.endswith(f" column {self.shape.name}.{column.name}")
                ]
            case _:
                found = []
        for cell in found or self._cells.values():
            if found or (attempt > 4 and self._draw.random() < 0.2):
                cell.shift()
        return found or self._fields

    def _after_check(self, label: str, attempt: int) -> Sequence[Field]:
        columns: frozenset[str] = frozenset().union(*(c.columns for c in self.shape.checks if c.label == label))
        fields = self._owners(columns)
        if not fields:
            return self._fields
        in_keys = {position for combination in self._combinations for position in combination.positions}
        loose = [field for field in fields if in_keys.isdisjoint(field.positions)]
        chosen = loose if loose and attempt % 4 else fields
        for field in chosen:
            # One more chance for bad luck; where several columns disagree, any one of them may be wrong.
            if not isinstance(field, Cell):
                continue
            if attempt % 3 == 0 and not field.is_proved if len(columns) == 1 else self._draw.random() < attempt / 64:
                field.shift()
        return chosen

    def _after_collision(self, label: str) -> Sequence[Field]:
        columns: frozenset[str] = frozenset().union(*(k.columns for k in self.shape.keys if k.label == label))
        for column in columns - self.shape.counted:
            cell = self._cells.get(self._positions.get(column, -1))
            if cell is not None and not cell.domain:
                cell.is_distinct = True
        return self._owners(columns) or self._fields


_IGNORED = _Refusal(0, "a trigger or a conflict clause ignores the row")


def _insert_text(shape: Shape, rows: int) -> str:
    names = ", ".join(quote_identifier(column.name) for column in shape.columns)
    cells = ", ".join("?" for _ in shape.columns)
    return f"INSERT INTO {quote_identifier(shape.name)} ({names}) VALUES {', '.join([f'({cells})'] * rows)}"


def _bundled(shape: Shape, made: Sequence[Row]) -> Iterator[Statement]:
    """Yield the INSERTs of rows, as many a statement as D1's parameters allow; one where triggers watch."""
    size = 1 if shape.has_triggers else max(rules.MAX_PARAMETERS // len(shape.columns), 1)
    for start in range(0, len(made), size):
        rows = made[start : start + size]
        yield Statement(_insert_text(shape, len(rows)), tuple(value for row in rows for value in row))
