"""The parts of a row that are drawn together: a cell, a reference, a combination of a key."""

from __future__ import annotations

from collections import Counter, deque
from math import gcd, prod
from typing import TYPE_CHECKING, TypeAlias

from d1ops.core.rows.words import ALPHANUMERIC

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from d1ops.core.rows.words import Draw, Source
    from d1ops.core.values import Row, Value

NULL_SHARE = 0.12
"""So often is NULL drawn where it may stand."""

NULL_SHARE_WHEN_REFUSED = 0.4
"""So often once a row was refused: CHECKs over several columns often ask for NULLs."""

POOR_SHARE = 0.15
"""A source of which fewer values are taken is left for a better one."""

MAX_REFERENCE_DEPTH = 3
"""Rows of a table that refers to itself are chained no deeper: D1 stops a cascade after ten levels."""


class Draft:
    """The row that is being drawn: its values by position, and which positions have theirs."""

    __slots__ = ("drawn", "null_share", "values")

    def __init__(self, size: int) -> None:
        self.values: list[Value] = [None] * size
        self.drawn: set[int] = set()
        self.null_share = 0.0

    def put(self, positions: Iterable[int], row: Iterable[Value]) -> None:
        """Set the values at some positions."""
        for position, value in zip(positions, row, strict=True):
            self.values[position] = value
            self.drawn.add(position)


class Cell:
    """A column of its own. It stays with a source until hardly any of its values are taken.

    It has no more than `most` different values, as long as SQLite takes them again (None: as many as come).
    """

    def __init__(
        self,
        position: int,
        sources: Sequence[Source],
        domain: Sequence[Value],
        *,
        required: bool,
        most: int | None = None,
    ) -> None:
        self.positions = (position,)
        self.nullable = () if required else (position,)
        self.domain: list[Row] = [(value,) for value in domain]
        self.is_distinct = False
        """Whether values collided, so that texts get a tail and integers come from a wide range."""
        self._sources = sources
        self._home = 0
        self._current = 0
        self._explored = 0
        self._refusals = 0
        self._taken: Counter[int] = Counter()
        self._tried: Counter[int] = Counter()
        self._most = most
        self._used: dict[Value, None] = {}
        self._again: list[Value] = []

    @property
    def is_proved(self) -> bool:
        """Whether a value of the source that it comes back to was taken."""
        return self._taken[self._home] > 0

    def draw(self, draw: Draw, draft: Draft) -> None:
        """Draw a value."""
        (position,) = self.positions
        draft.drawn.add(position)
        if self.nullable and draw.random() < draft.null_share:
            draft.values[position] = None
            return
        if self._again:
            draft.values[position] = draw.pick(self._again)
            return
        value = self._sources[self._current](draw)
        draft.values[position] = _distinct(value, draw) if self.is_distinct and draw.random() < 0.5 else value

    def refuse(self) -> None:
        """The value was refused on its own account. That can be bad luck, so the third time counts."""
        self._tried[self._current] += 1
        self._refusals += 1
        if self._refusals % 3 == 0:
            self.shift()

    def shift(self) -> None:
        """Go on to the next source, and in between back to the one that has succeeded."""
        self._most, self._again = None, []
        if self.is_proved and self._current != self._home:
            self._current = self._home
        else:
            self._explored = (self._explored + 1) % len(self._sources)
            self._current = self._explored

    def settle(self, draft: Draft) -> None:
        """The row was taken: come back to the source that it has, or leave it for a better one."""
        value = draft.values[self.positions[0]]
        if value is not None:
            self._tried[self._current] += 1
            self._taken[self._current] += 1
            if self._most is not None and not self._again:
                self._used.setdefault(value)
                self._again = list(self._used) if len(self._used) >= self._most else []
        if self._tried[self._home] and self._share(self._home) < POOR_SHARE:
            self._home = max((self._home, *sorted(self._taken)), key=self._share)
        self._current = self._explored = self._home
        self._refusals = 0

    def _share(self, source: int) -> float:
        return self._taken[source] / self._tried[source]


def _distinct(value: Value, draw: Draw) -> Value:
    match value:
        case str():
            return f"{value}{' ' if ' ' in value else '-'}{draw.text(ALPHANUMERIC, 5)}"
        case int():
            return value + draw.below(1_000_000_000)
        case _:
            return value


class Link:
    """A foreign key: a key of the parent, or NULL. It refers to `most` rows of the parent, None for all."""

    def __init__(
        self,
        positions: tuple[int, ...],
        nullable: tuple[int, ...],
        own: tuple[int, ...] | None,
        most: int | None = None,
    ) -> None:
        self.positions = positions
        self.nullable = nullable
        self.own = own
        """Where the key that is referred to stands in the same row, for a reference of a table to itself."""
        self.domain: list[Row] = []
        """The parent's keys."""
        self._most = most
        self._levels: list[int] = []
        self._level = 0
        self._is_to_itself = False
        self._by: dict[tuple[int, ...], dict[Row, list[int]]] = {}

    def refill(self, keys: Iterable[Row]) -> None:
        """Take over the keys that the parent has now."""
        self.domain = list(keys)
        self._levels = [0] * len(self.domain)
        self._by = {}

    def draw(self, draw: Draw, draft: Draft) -> None:
        """Draw a key of the parent that agrees with the columns which other foreign keys have set."""
        index = self._choose(draw, draft)
        self._is_to_itself = index is None and self.own is not None and not self.nullable
        if index is not None:
            draft.put(self.positions, self.domain[index])
            self._level = self._levels[index] + 1
        if index is None or (self.nullable and draw.random() < draft.null_share):
            draft.put(self.nullable, [None] * len(self.nullable))

    def finish(self, draft: Draft) -> None:
        """Let the row refer to itself where there is no other row and NULL may not stand."""
        if self._is_to_itself and self.own is not None:
            draft.put(self.positions, [draft.values[position] for position in self.own])

    def settle(self, draft: Draft) -> None:
        """The row was accepted: others of the table may now refer to it."""
        if self.own is None:
            return
        is_root = self._is_to_itself or any(draft.values[position] is None for position in self.positions)
        level = 0 if is_root else self._level
        key = tuple(draft.values[position] for position in self.own)
        if None in key or level >= MAX_REFERENCE_DEPTH:
            return
        for shared, index in self._by.items():
            index.setdefault(tuple(key[offset] for offset in shared), []).append(len(self.domain))
        self.domain.append(key)
        self._levels.append(level)

    def _choose(self, draw: Draw, draft: Draft) -> int | None:
        if not self.domain:
            return None
        shared = tuple(o for o, position in enumerate(self.positions) if position in draft.drawn)
        if not shared:
            return draw.below(min(len(self.domain), self._most or len(self.domain)))
        if shared not in self._by:
            index: dict[Row, list[int]] = {}
            for number, key in enumerate(self.domain):
                index.setdefault(tuple(key[offset] for offset in shared), []).append(number)
            self._by[shared] = index
        wanted = tuple(draft.values[self.positions[offset]] for offset in shared)
        found = self._by[shared].get(wanted)
        return draw.pick(found) if found else None


Field: TypeAlias = Cell | Link


class Combinations:
    """All combinations of the values of a key's fields, in an order that wanders through them.

    One that a row uses, or that collides, does not come again; one that was refused for another reason comes again
    when the others are used.
    """

    def __init__(self, label: str, fields: Sequence[Field], draw: Draw) -> None:
        self.label = label
        self.fields = tuple(fields)
        self.positions = frozenset(position for field in fields for position in field.positions)
        self._total = prod(len(field.domain) for field in fields)
        self._fresh = iter(_wandering(self._total, draw.below(self._total)))
        self._present: int | None = None
        self._refused: deque[int] = deque()

    def draw(self, draw: Draw, draft: Draft) -> bool:
        """Draw the next combination, or one with a NULL, which collides with none.

        Return False when all are used and NULL may not stand.
        """
        if self._present is not None:
            self._refused.append(self._present)
            self._present = None
        nulls = [field for field in self.fields if field.nullable and draw.random() < draft.null_share]
        if not nulls:
            self._present = next(self._fresh, None)
            if self._present is None and self._refused:
                self._present = self._refused.popleft()
            if self._present is None:
                nulls = [field for field in self.fields if field.nullable][:1]
        if self._present is None and not nulls:
            return False
        rest = draw.below(self._total) if self._present is None else self._present
        for field in self.fields:
            rest, index = divmod(rest, len(field.domain))
            draft.put(field.positions, field.domain[index])
        for field in nulls:
            draft.put(field.nullable, [None] * len(field.nullable))
        return True

    def use_up(self) -> None:
        """A row has the present combination: the one just made, or one that was there."""
        self._present = None


def _wandering(total: int, start: int) -> Iterator[int]:
    """Yield the numbers below `total`, each once, in wide steps."""
    step = max(int(total * 0.618), 1)
    while gcd(step, total) != 1:
        step += 1
    for number in range(total):
        yield (start + number * step) % total
