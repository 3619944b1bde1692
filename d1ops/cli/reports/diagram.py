"""Tables and foreign keys as one SVG picture, coloured by the page that it is put into."""

from __future__ import annotations

import html
from itertools import pairwise
from typing import TYPE_CHECKING

from d1ops.cli.reports.layout import lay_out
from d1ops.cli.text import count, one_line
from d1ops.core.sql import fold

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from d1ops.cli.reports.layout import Box, Layout, Point
    from d1ops.cli.reports.model import Link, Relations

_HEAD, _ROW, _PAD = 28.0, 20.0, 12.0
_LETTER = 7.3
"""The width of a letter: the picture's font is monospaced, 12 px high."""
_MOST_LETTERS = 30
_MARGIN = 36.0


def diagram(relations: Relations) -> str:
    """Return an `<svg>` element. A key that no index serves has the class `bad`, in its box and on its line.

    A foreign key whose parent is not among the tables is a row in its box without a line.
    """
    names = {fold(table): table for table in relations.tables}
    rows: dict[str, list[Link]] = {table: [] for table in relations.tables}
    for link in relations.links:
        rows[names[fold(link.child)]].append(link)
    lines = [
        (names[fold(one.child)], names[fold(one.parent)], one) for one in relations.links if fold(one.parent) in names
    ]
    layout = lay_out(
        {table: _size(table, links) for table, links in rows.items()}, [(child, parent) for child, parent, _ in lines]
    )
    width, height = layout.width + 2 * _MARGIN, layout.height + 2 * _MARGIN
    bad = sum(not link.is_indexed for link in relations.links)
    said = (
        f"{count(len(relations.tables), 'table')} and {count(len(relations.links), 'foreign key')},"
        f" {bad} of them without an index"
    )
    parts = [
        f'<svg class="diagram" xmlns="http://www.w3.org/2000/svg" role="img" aria-label="Diagram of {said}"'
        f' width="{width:.0f}" height="{height:.0f}" viewBox="{-_MARGIN:.0f} {-_MARGIN:.0f} {width:.0f} {height:.0f}">',
        '<defs><marker id="to" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<path class="tip" d="M0 0 8 4 0 8z"/></marker>'
        '<marker id="to-bad" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="5" markerHeight="5" orient="auto">'
        '<path class="tip bad" d="M0 0 8 4 0 8z"/></marker></defs>',
    ]
    # Lines without an index are drawn last, over the others.
    for child, parent, link in sorted(lines, key=lambda line: not line[2].is_indexed):
        row = rows[child].index(link)
        parts.append(_line(layout, child, parent, row, link))
    parts += [_box(table, layout.boxes[table], links) for table, links in rows.items()]
    return "\n".join([*parts, "</svg>"])


def _size(table: str, links: Sequence[Link]) -> Point:
    letters = max([len(table), *(len(_columns(link)) + (0 if link.is_indexed else 10) for link in links)])
    return min(letters, _MOST_LETTERS + 10) * _LETTER + 2 * _PAD, _HEAD + _ROW * len(links) + (6 if links else 0)


def _columns(link: Link) -> str:
    return ", ".join(link.columns)


def _escaped(text: str) -> str:
    return html.escape(one_line(text))


def _short(text: str) -> str:
    return text if len(text) <= _MOST_LETTERS else text[: _MOST_LETTERS - 1] + "…"


def _box(table: str, box: Box, links: Sequence[Link]) -> str:
    bad = any(not link.is_indexed for link in links)
    parts = [
        f'<g class="table{" bad" if bad else ""}" data-table="{_escaped(table)}"'
        f' transform="translate({box.x:.1f} {box.y:.1f})"><title>{_escaped(table)}</title>',
        f'<rect width="{box.width:.1f}" height="{box.height:.1f}" rx="4"/>',
        f'<text class="name" x="{_PAD:.0f}" y="19">{_escaped(_short(table))}</text>',
    ]
    for number, link in enumerate(links):
        y = _HEAD + _ROW * number + 13
        parts.append(
            f'<text class="key{"" if link.is_indexed else " bad"}" x="{_PAD:.0f}" y="{y:.0f}">'
            f"{_escaped(_short(_columns(link)))}{'' if link.is_indexed else ' (no index)'}</text>"
        )
    return "".join([*parts, "</g>"])


def _line(layout: Layout, child: str, parent: str, row: int, link: Link) -> str:
    start_box, end_box = layout.boxes[child], layout.boxes[parent]
    y = start_box.y + _HEAD + _ROW * row + 9
    end_y = end_box.y + _HEAD / 2
    if child == parent:
        x = start_box.x + start_box.width
        path = f"M{x:.1f} {y:.1f}C{x + 24:.1f} {y:.1f} {x + 24:.1f} {end_y:.1f} {x:.1f} {end_y:.1f}"
    elif layout.columns[parent] < layout.columns[child]:
        path = f"M{start_box.x:.1f} {y:.1f}" + "".join(
            _through([(start_box.x, y), *_ways(layout, child, parent), (end_box.x + end_box.width, end_y)])
        )
    else:  # it closes a circle, so it leads to the right
        x, end_x = start_box.x + start_box.width, end_box.x + end_box.width
        far = max(x, end_x) + 44
        path = f"M{x:.1f} {y:.1f}C{far:.1f} {y:.1f} {far:.1f} {end_y:.1f} {end_x:.1f} {end_y:.1f}"
    state = "" if link.is_indexed else " bad"
    said = f"{link.child} ({_columns(link)}) references {link.parent}" + ("" if link.is_indexed else ", no index")
    return (
        f'<path class="link{state}" data-child="{_escaped(child)}" data-parent="{_escaped(parent)}"'
        f' marker-end="url(#to{"-bad" if state else ""})" d="{path}"><title>{_escaped(said)}</title></path>'
    )


def _ways(layout: Layout, child: str, parent: str) -> Iterator[Point]:
    """Yield the ends of the lanes between a child and its parent, from right to left."""
    left = layout.boxes[child].x
    for start, end in reversed(layout.lanes.get(parent, ())):
        if start[0] < left:
            yield end
            yield start


def _through(points: Sequence[Point]) -> Iterator[str]:
    """Yield the curves between columns and the straight ways through them."""
    for number, ((x, y), (end_x, end_y)) in enumerate(pairwise(points)):
        if number % 2:
            yield f"H{end_x:.1f}"
        else:
            bend = (x - end_x) / 2
            yield f"C{x - bend:.1f} {y:.1f} {end_x + bend:.1f} {end_y:.1f} {end_x:.1f} {end_y:.1f}"
