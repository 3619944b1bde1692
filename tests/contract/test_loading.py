"""Rows of every value class, written through each database's own parameters, are read back bit for bit."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from d1ops.core import loading
from d1ops.core.lossless import decode, projection
from d1ops.core.values import Statement
from tests.core.test_loading import CELLS, exact

if TYPE_CHECKING:
    from d1ops.core.loading import Cell
    from tests.contract.conftest import Adapter


@given(st.lists(st.lists(CELLS, min_size=4, max_size=4), min_size=1, max_size=30))
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_rows_survive_the_way_in(database: Adapter, rows: list[list[Cell]]) -> None:
    database.query("DROP TABLE IF EXISTS t")
    database.query("CREATE TABLE t (a, b, c, d)")

    for request in loading.batches(loading.insertions("t", ["a", "b", "c", "d"], rows)):
        database.batch(request.statements)

    cells = ", ".join(projection(name, hexadecimal=True) for name in "abcd")
    (answer,) = database.batch([Statement(f"SELECT {cells} FROM t ORDER BY rowid")], lossy=True)
    assert [[exact(decode(cell)) for cell in row] for row in answer.rows] == [
        [exact(cell) for cell in row] for row in rows
    ]


def test_large_cells_survive_the_way_in(database: Adapter) -> None:
    rows: list[list[Cell]] = [[1, b"\0\xff" * 400_000], [2, "é" * 600_000], [3, "a\0" * 300_000]]
    database.query("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")

    for request in loading.batches(loading.insertions("t", ["id", "v"], rows)):
        database.batch(request.statements)

    found = database.query("SELECT id, typeof(v), octet_length(v), hex(substr(CAST(v AS BLOB), 1, 100)) FROM t").rows
    assert found == (
        (1, "blob", 800_000, "00FF" * 50),
        (2, "text", 1_200_000, ("é" * 50).encode().hex().upper()),
        (3, "text", 600_000, "6100" * 50),
    )
