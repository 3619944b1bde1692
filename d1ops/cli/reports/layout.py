"""Boxes and lines of a diagram laid out in columns: what is referred to on the left, what refers to it on its right.

The layered method of Sugiyama, Tagawa and Toda (1981) with two simplifications: a column that is full pushes tables
into the next one, and all lines to one table that pass through a column share one way through it. The same input gives
the same picture.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from math import sqrt
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

GAP = 22.0
"""Between the boxes of a column."""
ASIDE = 84.0
"""Between two columns."""
_LANE = 10.0
_ASPECT = 1.5
_SWEEPS = 8

Point: TypeAlias = tuple[float, float]


@dataclass(frozen=True, slots=True)
class Box:
    """The upper left corner of a table's box, and its size."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Layout:
    """The boxes by name; the lanes that the lines to a table take, by its name: both ends of each; the size."""

    boxes: Mapping[str, Box]
    lanes: Mapping[str, tuple[tuple[Point, Point], ...]]
    columns: Mapping[str, int]
    width: float
    height: float


@dataclass(eq=False)
class _Node:
    """A table, or a lane (`to` is the table that the lines in it lead to)."""

    name: str
    height: float
    column: int = 0
    to: str | None = None
    left: list[_Node] = field(default_factory=list)
    right: list[_Node] = field(default_factory=list)
    rank: float = 0.0
    centre: float = 0.0


def lay_out(sizes: Mapping[str, Point], links: Iterable[tuple[str, str]]) -> Layout:
    """Place boxes of the given sizes (width, height); `links` lead from a child to its parent, both in `sizes`.

    Tables without a link are put below the others, row by row.
    """
    pairs = sorted({(child, parent) for child, parent in links if child != parent}, key=_order_in(sizes))
    linked = {name for pair in pairs for name in pair}
    order = [name for name in sizes if name in linked]
    columns = _columns(order, _acyclic(order, pairs), sizes)
    grid = _grid(order, pairs, columns, sizes)
    _arrange(grid)
    _set_heights(grid)
    layout = _measure(grid, sizes, columns)
    return _add_loose([name for name in sizes if name not in linked], sizes, layout)


def _order_in(sizes: Mapping[str, Point]) -> _Order:
    return _Order({name: number for number, name in enumerate(sizes)})


@dataclass(frozen=True)
class _Order:
    numbers: Mapping[str, int]

    def __call__(self, pair: tuple[str, str]) -> tuple[int, int]:
        return self.numbers[pair[0]], self.numbers[pair[1]]


# -- columns ---------------------------------------------------------------------------------------------


def _acyclic(order: Sequence[str], pairs: Sequence[tuple[str, str]]) -> dict[str, list[str]]:
    """Return the parents of each table, without the links that close a circle."""
    parents: dict[str, list[str]] = defaultdict(list)
    for child, parent in pairs:
        parents[child].append(parent)
    kept: dict[str, list[str]] = {name: [] for name in order}
    done: set[str] = set()
    for start in order:
        if start in done:
            continue
        path = {start}
        stack = [(start, iter(parents[start]))]
        while stack:
            name, rest = stack[-1]
            try:
                parent = next(rest)
            except StopIteration:
                stack.pop()
                path.discard(name)
                done.add(name)
                continue
            if parent not in path:
                kept[name].append(parent)
                if parent not in done:
                    path.add(parent)
                    stack.append((parent, iter(parents[parent])))
    return kept


def _columns(order: Sequence[str], parents: Mapping[str, list[str]], sizes: Mapping[str, Point]) -> dict[str, int]:
    """Put every table to the right of its parents, in the first column that has room."""
    total = sum(sizes[name][1] + GAP for name in order)
    widest = max((sizes[name][0] for name in order), default=0.0)
    room = max(420.0, sqrt(total * (widest + ASIDE) / _ASPECT))
    children: dict[str, list[str]] = defaultdict(list)
    waiting = {name: len(parents[name]) for name in order}
    for name in order:
        for parent in parents[name]:
            children[parent].append(name)
    column: dict[str, int] = {}
    filled: dict[int, float] = defaultdict(float)
    ready = [name for name in order if not waiting[name]]
    for name in ready:  # grows while it is read: first come, first served
        place = max((column[parent] + 1 for parent in parents[name]), default=0)
        while filled[place] and filled[place] + sizes[name][1] + GAP > room:
            place += 1
        column[name] = place
        filled[place] += sizes[name][1] + GAP
        for child in children[name]:
            waiting[child] -= 1
            if not waiting[child]:
                ready.append(child)
    used = {old: new for new, old in enumerate(sorted(set(column.values())))}
    return {name: used[place] for name, place in column.items()}


def _grid(
    order: Sequence[str], pairs: Sequence[tuple[str, str]], columns: Mapping[str, int], sizes: Mapping[str, Point]
) -> list[list[_Node]]:
    """Return the nodes of each column, joined with their neighbours left and right, lanes included."""
    grid: list[list[_Node]] = [[] for _ in range(max(columns.values(), default=-1) + 1)]
    nodes = {name: _Node(name, sizes[name][1], columns[name]) for name in order}
    for node in nodes.values():
        grid[node.column].append(node)
    lanes: dict[tuple[str, int], _Node] = {}
    for child, parent in pairs:
        before = nodes[parent]
        for column in range(columns[parent] + 1, columns[child]):
            lane = lanes.get((parent, column))
            if lane is None:
                lane = lanes[parent, column] = _Node(parent, _LANE, column, to=parent)
                grid[column].append(lane)
                _join(before, lane)
            before = lane
        if columns[parent] < columns[child]:
            _join(before, nodes[child])
    return grid


def _join(left: _Node, right: _Node) -> None:
    left.right.append(right)
    right.left.append(left)


# -- order and height ------------------------------------------------------------------------------------


def _arrange(grid: list[list[_Node]]) -> None:
    """Order the nodes of each column by the mean place of their neighbours, back and forth."""
    for column in grid:
        _rank(column)
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        for column in grid if forward else reversed(grid):
            column.sort(key=lambda node: _mean(node.left if forward else node.right, node.rank))
            _rank(column)


def _rank(column: list[_Node]) -> None:
    for number, node in enumerate(column):
        node.rank = (number + 0.5) / len(column)


def _mean(nodes: Sequence[_Node], default: float) -> float:
    return sum(node.rank for node in nodes) / len(nodes) if nodes else default


def _set_heights(grid: list[list[_Node]]) -> None:
    """Move every node as near to the middle of its neighbours as the order of its column lets it."""
    for column in grid:
        _stack(column, [0.0] * len(column))
    for sweep in range(_SWEEPS):
        forward = sweep % 2 == 0
        for column in grid if forward else reversed(grid):
            wanted = []
            for node in column:
                beside = node.left if forward else node.right
                wanted.append(sum(other.centre for other in beside) / len(beside) if beside else node.centre)
            _stack(column, wanted)


def _stack(column: list[_Node], wanted: Sequence[float]) -> None:
    """Set the centres of a column: in order, not overlapping, with the least squared distance to what is wanted.

    Less the room that the nodes above need, the centres must not decrease: isotonic regression by pooling.
    """
    offsets: list[float] = []
    offset = 0.0
    for number, node in enumerate(column):
        if number:
            offset += (column[number - 1].height + node.height) / 2 + GAP
        offsets.append(offset)
    blocks: list[tuple[float, int]] = []
    for number in range(len(column)):
        mean, size = wanted[number] - offsets[number], 1
        while blocks and blocks[-1][0] > mean:
            above, count = blocks.pop()
            mean, size = (above * count + mean * size) / (count + size), count + size
        blocks.append((mean, size))
    position = 0
    for mean, size in blocks:
        for number in range(position, position + size):
            column[number].centre = mean + offsets[number]
        position += size


# -- coordinates -----------------------------------------------------------------------------------------


def _measure(grid: list[list[_Node]], sizes: Mapping[str, Point], columns: Mapping[str, int]) -> Layout:
    top = min((node.centre - node.height / 2 for column in grid for node in column), default=0.0)
    boxes: dict[str, Box] = {}
    lanes: dict[str, list[tuple[Point, Point]]] = defaultdict(list)
    x = 0.0
    for column in grid:
        width = max((sizes[node.name][0] for node in column if node.to is None), default=0.0)
        for node in column:
            y = node.centre - top
            if node.to is None:
                boxes[node.name] = Box(x, y - node.height / 2, width, node.height)
            else:
                lanes[node.to].append(((x, y), (x + width, y)))
        x += width + ASIDE
    height = max((node.centre + node.height / 2 - top for column in grid for node in column), default=0.0)
    return Layout(boxes, {to: tuple(ways) for to, ways in lanes.items()}, columns, max(0.0, x - ASIDE), height)


def _add_loose(names: Sequence[str], sizes: Mapping[str, Point], layout: Layout) -> Layout:
    """Put tables without links below the others, in rows."""
    if not names:
        return layout
    total = sum((sizes[name][0] + GAP) * (sizes[name][1] + GAP) for name in names)
    width = max(layout.width, sqrt(total * _ASPECT), *(sizes[name][0] for name in names))
    boxes = dict(layout.boxes)
    x, y, tallest, right = 0.0, layout.height + (2 * GAP if layout.boxes else 0.0), 0.0, 0.0
    for name in names:
        box_width, box_height = sizes[name]
        if x and x + box_width > width:
            x, y, tallest = 0.0, y + tallest + GAP, 0.0
        boxes[name] = Box(x, y, box_width, box_height)
        right = max(right, x + box_width)
        x += box_width + GAP
        tallest = max(tallest, box_height)
    return Layout(boxes, layout.lanes, layout.columns, max(layout.width, right), y + tallest)
