"""One table being filled: draw a row, let SQLite judge it, draw again what the refusal names."""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from itertools import count as counting
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

import apsw

from d1ops.core import rules
from d1ops.core.rows.candidates import candidates
from d1ops.core.rows.fields import NULL_SHARE, NULL_SHARE_WHEN_REFUSED, Cell, Combinations, Draft, Link
from d1ops.core.rows.words import Draw
from d1ops.core.sql import OWN, quote_identifier
from d1ops.core.values import Statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from d1ops.core.engine import Engine
    from d1ops.core.rows.checks import Check
    from d1ops.core.rows.fields import Field
    from d1ops.core.rows.shapes import ForeignKey, Shape
    from d1ops.core.values import Row, Value

ATTEMPTS = 2_000
ATTEMPTS_A_ROW = 20
"""A table is given up when a row was refused ATTEMPTS times, or all together ATTEMPTS + rows * ATTEMPTS_A_ROW times."""

EXACT_AFTER = 3
"""After so many refusals of a row its CHECKs are asked one by one, which costs more than a refusal."""

MAX_COUNTED = 2**53 - 1
"""Keys that count up stay exact in a JSON number."""


class _Refusal(NamedTuple):
    """Why a row was not taken. `code` is SQLite's extended result code, 0 for what is no error of SQLite."""

    code: int
    text: str


class Table:
    """An ordinary table while it is being filled."""

    def __init__(self, engine: Engine, shape: Shape, seed: int, values_of: Mapping[str, int] | None = None) -> None:
        """`values_of` is how many different values a column (in lower case) gets, for some."""
        self.shape = shape
        self.made = 0
        self.problem: str | None = None
        self._engine = engine
        self._draw = Draw(f"{seed}/{shape.name.lower()}")
        self._positions = {column.name.lower(): number for number, column in enumerate(shape.columns)}
        self._next: dict[int, int] = {}
        self._values_of = values_of or {}
        self._keys = [key for key in shape.foreign_keys if {c.lower() for c in key.columns} <= self._positions.keys()]
        self._links = [self._link(key) for key in self._keys]
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
            own = own if len(own) == len(found) == len(positions) else None
        most = self._values_of.get(key.columns[0].lower()) if len(positions) == 1 else None
        return Link(positions, nullable, own, most)

    def _cell(self, number: int) -> Cell:
        column = self.shape.columns[number]
        choice = candidates(self.shape.name, column, self.shape.checks)
        sources = choice.sources
        most = self._values_of.get(column.name.lower())
        if column.name.lower() in self.shape.counted:
            self._next[number] = 1
            sources, most = (lambda draw: self._next[number], *sources), None
        return Cell(number, sources, choice.domain, required=column.required, most=most)

    # -- filling ---------------------------------------------------------------------------------------

    def fill(self, rows: int) -> list[Statement]:
        """Make `rows` more rows, or as many as can be; `problem` then says why there are fewer."""
        self.problem = self._prepare()
        made: list[Row] = []
        draft = Draft(len(self.shape.columns))
        budget = ATTEMPTS + ATTEMPTS_A_ROW * rows
        while self.problem is None and len(made) < rows:
            self._draw.begin_row(len(made), rows)
            # The first row of a table has a value in every column, if it can.
            draft.null_share = NULL_SHARE if made else 0.0
            budget = self._make_row(draft, budget)
            if self.problem is None:
                made.append(tuple(draft.values))
                for number in self._next:
                    self._next[number] += 1
                for field in self._fields:
                    field.settle(draft)
                for combination in self._combinations:
                    combination.use_up()
        self.made += len(made)
        return list(_bundled(self.shape, made))

    def _prepare(self) -> str | None:
        """Look at the parents as they are now; return why no row can be made, if none can."""
        for number in self._next:
            column, table = quote_identifier(self.shape.columns[number].name), quote_identifier(self.shape.name)
            last = self._engine.ask_one(f"SELECT max({column}) FROM {table}")
            self._next[number] = last + 1 if isinstance(last, int) and 0 <= last < MAX_COUNTED else 1
        for link, key in zip(self._links, self._keys, strict=True):
            link.refill(self._keys_of(key))
            if not link.domain and not link.nullable and link.own is None:
                return f"{key.parent} has no row that {', '.join(key.columns)} could refer to"
        self._combinations = [Combinations(label, fields, self._draw) for label, fields in self._finite_keys()]
        return None

    def _keys_of(self, key: ForeignKey) -> list[Row]:
        if len(key.parent_columns) != len(key.columns):
            return []  # SQLite calls this a mismatch and refuses every row
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

    def _finite_keys(self) -> Iterator[tuple[str, list[Field]]]:
        """Yield the label and the fields of every unique key that has a known number of values."""
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
                yield key.label, fields

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
        refusals: Counter[str] = Counter()
        for attempt in counting(1):
            if not self._redraw(draft, chosen):
                self.problem = "every combination of its unique columns is in use"
                break
            refusal = self._insert(draft.values)
            if refusal is None:
                break
            refusals[refusal.text] += 1
            budget -= 1
            if budget <= 0 or attempt == ATTEMPTS:
                ((self.problem, _),) = refusals.most_common(1)
                break
            draft.null_share = NULL_SHARE_WHEN_REFUSED if attempt > EXACT_AFTER else NULL_SHARE
            chosen = self._fields if attempt % 16 == 0 else self._reconsider(refusal, draft, attempt)
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

    def _reconsider(self, refusal: _Refusal, draft: Draft, attempt: int) -> Sequence[Field]:
        """Return the fields to draw again, with their minds changed where that may help."""
        name = refusal.text.partition(": ")[2]
        match refusal.code:
            case apsw.SQLITE_CONSTRAINT_CHECK:
                return self._after_check(name, draft, attempt)
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
        for cell in found:
            cell.shift()
        if found:
            return found
        # Nobody knows what was wrong, and some of the fields were not: keep about half of them.
        doubtful = [cell for cell in self._cells.values() if not cell.is_proved]
        if attempt % 8 == 0 and doubtful:
            self._draw.pick(doubtful).shift()
        return [field for field in self._fields if self._draw.random() < 0.5] or self._fields

    def _after_check(self, label: str, draft: Draft, attempt: int) -> Sequence[Field]:
        failed: list[tuple[Check, Row]] = [(check, ()) for check in self.shape.checks if check.label == label]
        if len(failed) != 1 or failed[0][0].solutions or attempt > EXACT_AFTER:
            failed = self._judge(draft.values) or failed
        in_keys = {position for combination in self._combinations for position in combination.positions}
        chosen: list[Field] = []
        for check, values in failed:
            if attempt % 4 and self._solve(check, values, draft):
                continue
            fields = self._owners(check.columns)
            for field in fields:
                # One column alone is at fault; of several that disagree, any may be.
                if isinstance(field, Cell) and len(check.columns) == 1:
                    field.refuse()
                elif isinstance(field, Cell) and not field.is_proved and self._draw.random() < attempt / 200:
                    field.shift()
            loose = [field for field in fields if in_keys.isdisjoint(field.positions)]
            chosen += loose if loose and attempt % 4 else fields
        return chosen if failed else self._fields

    def _solve(self, check: Check, values: Row, draft: Draft) -> bool:
        """Take over the value that an equation asks for; False where no column is free to take it."""
        for (name, _), value in zip(check.solutions, values, strict=False):
            position = self._positions.get(name, -1)
            cell = self._cells.get(position)
            if cell and self._owners((name,)) == [cell] and isinstance(value, self.shape.columns[position].accepts):
                draft.values[position] = value
                return True
        return False

    def _judge(self, values: Sequence[Value]) -> list[tuple[Check, Row]]:
        """Return every CHECK that a row fails, with the values that its equation asks for, if it is one.

        SQLite's refusal names only the first, and not always clearly. So the row is inserted with all other
        constraints and the triggers off, looked at, and taken back.
        """
        checks = self.shape.checks
        # As a condition, because as a value SQLite evaluates both sides of an AND, and the right one may raise;
        # the line ends, because an expression may end with a comment.
        asked = [f"CASE WHEN NOT ({check.sql}\n) THEN 1 END" for check in checks]
        asked += [f"({text}\n)" for check in checks for _, text in check.solutions]
        sql = f"{self._sql.replace('INSERT', 'INSERT OR REPLACE', 1)} RETURNING {', '.join(asked)}"
        connection = self._engine.connection
        with self._engine.unlimited():
            connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
            connection.pragma("ignore_check_constraints", 1)
            connection.execute("BEGIN")
            try:
                ((*found,),) = connection.execute(sql, tuple(values))
            except (apsw.Error, OverflowError):  # a type that STRICT refuses, JSON that is none
                return []
            finally:
                connection.execute("ROLLBACK")
                connection.pragma("ignore_check_constraints", 0)
                connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 1)
        rest = iter(found[len(checks) :])
        judged = [(check, tuple(islice(rest, len(check.solutions)))) for check in checks]
        return [each for each, has_failed in zip(judged, found, strict=False) if has_failed]

    def _after_collision(self, label: str) -> Sequence[Field]:
        columns: frozenset[str] = frozenset().union(*(k.columns for k in self.shape.keys if k.label == label))
        for combination in self._combinations:
            if combination.label == label:
                combination.use_up()
        owners = self._owners(columns)
        for column in sorted(columns):
            position = self._positions.get(column, -1)
            cell = self._cells.get(position)
            if position in self._next:
                self._next[position] += 1
            elif cell is not None and cell in owners and not cell.domain:
                cell.is_distinct = True
                if len(columns) == 1:
                    cell.refuse()
        return owners or self._fields


_IGNORED = _Refusal(0, "a trigger or a conflict clause ignores the row")


def _insert_text(shape: Shape, rows: int) -> str:
    names = ", ".join(quote_identifier(column.name) for column in shape.columns)
    cells = ", ".join("?" for _ in shape.columns)
    return f"INSERT INTO {quote_identifier(shape.name)} AS {OWN} ({names}) VALUES {', '.join([f'({cells})'] * rows)}"


def _bundled(shape: Shape, made: Sequence[Row]) -> Iterator[Statement]:
    """Yield the INSERTs of rows, as many a statement as D1's parameters allow; one where triggers watch."""
    size = 1 if shape.has_triggers else max(rules.MAX_PARAMETERS // len(shape.columns), 1)
    for start in range(0, len(made), size):
        rows = made[start : start + size]
        yield Statement(_insert_text(shape, len(rows)), tuple(value for row in rows for value in row))
