"""The diagram: boxes never overlap, lines run where they should, and the same schema is the same picture."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from itertools import combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from d1ops.cli.reports.diagram import diagram
from d1ops.cli.reports.layout import Box, lay_out
from d1ops.cli.reports.model import Link, Relations

NAMES = [f"t{number}" for number in range(14)]

graphs = st.integers(1, len(NAMES)).flatmap(
    lambda size: st.tuples(
        st.just(NAMES[:size]),
        st.lists(st.tuples(st.sampled_from(NAMES[:size]), st.sampled_from(NAMES[:size])), max_size=24),
    )
)


def overlap(one: Box, other: Box) -> bool:
    across = one.x < other.x + other.width and other.x < one.x + one.width
    return across and one.y < other.y + other.height and other.y < one.y + one.height


@settings(max_examples=150)
@given(graphs, st.randoms(use_true_random=False))
def test_no_two_boxes_overlap_and_all_are_inside(graph: tuple[list[str], list[tuple[str, str]]], random) -> None:  # type: ignore[no-untyped-def]  # hypothesis' own Random
    names, links = graph
    sizes = {name: (random.uniform(40, 260), random.uniform(28, 160)) for name in names}
    layout = lay_out(sizes, links)
    assert set(layout.boxes) == set(names)
    for one, other in combinations(layout.boxes.values(), 2):
        assert not overlap(one, other)
    for box in layout.boxes.values():
        assert box.x >= 0
        assert box.y >= -1e-9
        assert box.x + box.width <= layout.width + 1e-9
        assert box.y + box.height <= layout.height + 1e-9
    for ways in layout.lanes.values():
        for (x, y), (end_x, end_y) in ways:
            assert (0 <= x <= end_x <= layout.width, y) == (True, end_y)
            assert 0 <= y <= layout.height
            lane = Box(x, y - 1, end_x - x, 2)
            assert not any(overlap(lane, box) for box in layout.boxes.values())
    assert lay_out(sizes, links) == layout


@given(st.lists(st.tuples(st.integers(0, 13), st.integers(0, 13)), max_size=24))
def test_what_is_referred_to_is_left_of_what_refers_where_no_circle_is(pairs: list[tuple[int, int]]) -> None:
    links = [(NAMES[max(pair)], NAMES[min(pair)]) for pair in pairs if pair[0] != pair[1]]
    layout = lay_out(dict.fromkeys(NAMES, (100.0, 40.0)), links)
    for child, parent in links:
        assert layout.boxes[parent].x + layout.boxes[parent].width < layout.boxes[child].x


def test_a_wide_schema_is_not_one_endless_column() -> None:
    names = [f"t{number}" for number in range(200)]
    layout = lay_out(dict.fromkeys(names, (140.0, 54.0)), [(name, "t0") for name in names[1:]])
    assert 0.5 < layout.width / layout.height < 4


def numbers(path: str) -> list[float]:
    return [float(text) for text in re.findall(r"-?\d+\.\d+", path)]


def test_a_picture_has_every_table_and_key_and_marks_what_has_no_index() -> None:
    relations = Relations(
        ("Users", "orders", "lines", "alone"),
        (
            Link("orders", ("user_id",), "users", ("id",), "CASCADE", is_indexed=False),
            Link("lines", ("order_id",), "orders", ("id",), "NO ACTION", is_indexed=True),
            Link("lines", ("user_id",), "USERS", ("id",), "NO ACTION", is_indexed=True),
            Link("lines", ("parent_id",), "lines", ("id",), "NO ACTION", is_indexed=True),
            Link("alone", ("x_id",), "nowhere", (), "NO ACTION", is_indexed=True),
        ),
    )
    root = ET.fromstring(diagram(relations))
    space = "{http://www.w3.org/2000/svg}"
    tables = [group.get("data-table") for group in root.iter(f"{space}g")]
    links = [path for path in root.iter(f"{space}path") if "link" in (path.get("class") or "").split()]
    assert tables == list(relations.tables)
    assert {(path.get("data-child"), path.get("data-parent")) for path in links} == {
        ("orders", "Users"),
        ("lines", "orders"),
        ("lines", "Users"),
        ("lines", "lines"),
    }
    (bad,) = [path for path in links if "bad" in (path.get("class") or "").split()]
    assert bad.get("data-child") == "orders"
    assert bad is links[-1], "drawn last, over the others"
    assert [text.text for text in root.iter(f"{space}text") if "bad" in (text.get("class") or "")] == [
        "user_id (no index)"
    ]
    assert root.get("aria-label") == "Diagram of 4 tables and 5 foreign keys, 1 of them without an index"


def test_two_tables_that_refer_to_each_other_are_drawn() -> None:
    both = Relations(
        ("a", "b"),
        (
            Link("a", ("b_id",), "b", ("id",), "CASCADE", is_indexed=True),
            Link("b", ("a_id",), "a", ("id",), "CASCADE", is_indexed=True),
        ),
    )
    root = ET.fromstring(diagram(both))
    paths = [numbers(path.get("d") or "") for path in root.iter("{http://www.w3.org/2000/svg}path")]
    assert sum(len(path) >= 8 for path in paths) == 2
