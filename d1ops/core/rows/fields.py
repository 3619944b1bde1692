"""The parts of a row that are drawn together: a cell, a reference, a combination of a key."""

from __future__ import annotations

from math import gcd, prod
from typing import TYPE_CHECKING, TypeAlias

from d1ops.core.rows.words import ALPHANUMERIC

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from d1ops.core.rows.words import Draw, Source
    from d1ops.core.values import Row, Value

NULL_SHARE = 0.12
"""So often is NULL drawn where it may stand."""

MAX_REFERENCE_DEPTH = 3
"""Rows of a table that refers to itself are chained no deeper: D1 stops a cascade after ten levels."""


class Draft:
    """The row that is being drawn: its values by position, and which positions have theirs."""

    __slots__ = ("drawn", "may_be_null", "values")

    def __init__(self, size: int) -> None:
        self.values: list[Value] = [None] * size
        self.drawn: set[int] = set()
        self.may_be_null = False

    def put(self, positions: Iterable[int], row: Iterable[Value]) -> None:
        """Set the values at some positions."""
        for position, value in zip(positions, row, strict=True):
            self.values[position] = value
            self.drawn.add(position)


class Cell:
    """A column of its own. It stays with the source that has succeeded and leaves one that never has."""

    def __init__(self, position: int, sources: Sequence[Source], domain: Sequence[Value], *, required: bool) -> None:
        self.positions = (position,)
        self.nullable = () if required else (position,)
        self.domain: list[Row] = [(value,) for value in domain]
        self.is_distinct = False
        """Whether values collided, so that texts get a tail and integers come from a wide range."""
        self._sources = sources
        self._home = 0
        self._current = 0
        self.is_proved = False
        """Whether the source that it comes back to has succeeded."""

    def draw(self, draw: Draw, draft: Draft) -> None:
        """Draw a value, unless the position has one."""
        (position,) = self.positions
        if position in draft.drawn:
            return
        draft.drawn.add(position)
        if self.nullable and draft.may_be_null and draw.random() < NULL_SHARE:
            draft.values[position] = None
            return
        value = self._sources[self._current](draw)
        draft.values[position] = _distinct(value, draw) if self.is_distinct and draw.random() < 0.5 else value

    def shift(self) -> None:
        """Go on to the next source."""
        self._current = (self._current + 1) % len(self._sources)

    def settle(self, draft: Draft) -> None:
        """The row was accepted."""
        if draft.values[self.positions[0]] is not None:
            if not self.is_proved:
                self._home = self._current
            self.is_proved |= self._current == self._home
        self._current = self._home


def _distinct(value: Value, draw: Draw) -> Value:
    match value:
        case str():
            return f"{value}{' ' if ' ' in value else '-'}{draw.text(ALPHANUMERIC, 5)}"
        case int():
            return value + draw.below(1_000_000_000)
        case _:
            return value


class Link:
    """A foreign key: a key of the parent, or NULL."""

    def __init__(self, positions: tuple[int, ...], nullable: tuple[int, ...], own: tuple[int, ...] | None) -> None:
        self.positions = positions
        self.nullable = nullable
        self.own = own
        """Where the key that is referred to stands in the same row, for a reference of a table to itself."""
        self.domain: list[Row] = []
        """The parent's keys."""
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
        if index is None or (self.nullable and draft.may_be_null and draw.random() < NULL_SHARE):
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
            return draw.below(len(self.domain))
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
    """All combinations of the values of a key's fields, each once, in an order that wanders through them."""

    def __init__(self, fields: Sequence[Field], draw: Draw) -> None:
        self.fields = tuple(fields)
        self.positions = frozenset(position for field in fields for position in field.positions)
        self._total = prod(len(f.domain) for f in fields)
        self._next = draw.below(self._total)
        self._left = self._total
        self._step = max(int(self._total * 0.618), 1)
        while gcd(self._step, self._total) != 1:
            self._step += 1

    def draw(self, draw: Draw, draft: Draft) -> bool:
        """Draw the next combination; NULLs when all are used; False when they are and NULL may not stand."""
        nullable = [field for field in self.fields if field.nullable]
        if not self._left and not nullable:
            return False
        rest = self._next
        for field in self.fields:
            rest, index = divmod(rest, len(field.domain))
            draft.put(field.positions, field.domain[index])
        for field in nullable:
            if not self._left or (draft.may_be_null and draw.random() < NULL_SHARE):
                draft.put(field.nullable, [None] * len(field.nullable))
        if self._left:
            self._left -= 1
            self._next = (self._next + self._step) % self._total
        return True
