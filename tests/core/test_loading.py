"""Rows written back through parameters are the rows that were read, bit for bit."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from d1ops.core import loading, rules
from d1ops.core.engine import Engine
from d1ops.core.lossless import RawText, decode, projection
from d1ops.core.sql import quote_identifier
from tests.core.test_lossless import VALUES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.loading import Cell

CELLS: st.SearchStrategy[Cell] = st.one_of(VALUES, st.binary(min_size=1).map(RawText))


def exact(cell: object) -> object:
    match cell:
        case float():
            return struct.pack(">d", cell)
        case RawText():
            return "text", cell.data
        case str():
            return "text", cell.encode()
        case _:
            return type(cell), cell


def written(columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> list[list[object]]:
    engine = Engine.memory()
    names = ", ".join(map(quote_identifier, columns))
    engine.execute(f"CREATE TABLE t ({names})")
    for request in loading.batches(loading.insertions("t", columns, rows)):
        engine.run(request.statements)
    cells = ", ".join(projection(name, hexadecimal=True) for name in columns)
    return [[exact(decode(cell)) for cell in row] for row in engine.ask(f"SELECT {cells} FROM t ORDER BY rowid")]


@given(st.integers(1, 5).flatmap(lambda width: st.lists(st.lists(CELLS, min_size=width, max_size=width), max_size=8)))
@example([[2**63 - 1, -(2**63), 2**53 + 1, 5e-324, 1.7976931348623157e308]])
@example([[-0.0, float("inf"), float("-inf"), 2.2250738585072014e-308, 0.1 + 0.2], [None, 0.0, -1.0, 1e22, 1e-300]])
@example([["", "\0", "a\0b", "\ufeffx", "line\nand \\n"], ["'\"", "[]", '{"a":1}', "i1", None]])
@example([[b"", b"\0\xff", RawText(b"\xff\0\xfe"), RawText(b""), "\ufffd"]])
def test_what_is_written_is_what_was_given(rows: list[list[Cell]]) -> None:
    columns = [f'c "{n}' for n, _ in enumerate(rows[0])] if rows else ["c"]

    assert written(columns, rows) == [[exact(cell) for cell in row] for row in rows]


@pytest.mark.parametrize(
    "cell",
    [
        b"\0\xff" * 990_000,
        "é" * 990_000,
        "a" * 399_999 + "\0" + "b" * 500_000,
        RawText(b"\xff" * 1_900_000),
        "x" * 400_001,
    ],
)
def test_a_cell_of_two_megabytes_is_written_whole(cell: Cell) -> None:
    rows: list[list[Cell]] = [[1, "before", None], [2, cell, 0.1], [3, "after", b"x"]]

    assert written(["id", "big", "more"], rows) == [[exact(c) for c in row] for row in rows]


_MIXED: tuple[Cell, ...] = ("text" * 100, b"\0", 2**60)


def test_no_statement_leaves_the_limits_of_d1() -> None:
    columns = [f"column_{n:02}" for n in range(rules.MAX_COLUMNS)]
    rows: list[list[Cell]] = [[0.1 * n, *_MIXED * 33] for n in range(50)]
    large: list[Cell] = [b"\1" * 450_000] * 4
    rows.append([*large, *([None] * (len(columns) - 4))])

    requests = list(loading.batches(loading.insertions("t", columns, rows)))

    assert len(requests) > 1
    for statement in (s for request in requests for s in request.statements):
        assert len(statement.sql.encode()) <= rules.MAX_STATEMENT_BYTES
        assert len(statement.params) <= rules.MAX_PARAMETERS
        assert all(len(str(param).encode()) <= 2_000_000 for param in statement.params)
    assert written(columns, rows) == [[exact(cell) for cell in row] for row in rows]
