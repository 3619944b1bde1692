"""The digest of a copy's table is the same however many rows are read at once."""

from __future__ import annotations

import hashlib
import os
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from d1ops.core.engine import Engine
from d1ops.core.reader import reader_of
from d1ops.core.rowtext import digestible
from d1ops.ops.backup.copy import digest_of, totals_of
from tests.core.test_reader import TABLES, VALUES

if TYPE_CHECKING:
    from d1ops.core.values import Value


@pytest.mark.parametrize("table", TABLES)
@given(values=st.lists(st.tuples(VALUES, VALUES), max_size=12), lines_bytes=st.sampled_from([1, 10, 40, 10**6]))
def test_a_digest_does_not_depend_on_how_many_rows_are_read_at_once(
    table: str, values: list[tuple[Value, Value]], lines_bytes: int
) -> None:
    engine = Engine.memory()
    engine.execute(f"CREATE TABLE {table} {TABLES[table]}")
    reader = reader_of(engine, table)
    width = len(engine.ask(f"SELECT name FROM pragma_table_info('{table}')"))
    with engine.unlimited():
        for number, row in enumerate(values):
            cells = (*(number if table == "id" and column == 0 else row[column % 2] for column in range(width)),)
            engine.ask(f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * width)})", cells)
        rows = [str(row[0]) for row in engine.ask(reader.page().sql)]
        found = digest_of(engine, reader, totals_of(engine, reader), lines_bytes=lines_bytes)
    assert found == hashlib.sha256(digestible(rows)).hexdigest()


def test_text_that_is_not_utf_8_and_rows_that_are_large() -> None:
    engine = Engine.memory()
    engine.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v)")
    reader = reader_of(engine, "t")
    with engine.unlimited():
        for value in (os.urandom(9_000_000), "ordinary", b"\xff\xfe"):
            kind = "BLOB" if len(value) > 100 else "TEXT"
            engine.ask(f"INSERT INTO t (v) VALUES (CAST(? AS {kind}))", (value,))
        digests = {digest_of(engine, reader, totals_of(engine, reader), lines_bytes=size) for size in (1, 10**8)}
        engine.ask("UPDATE t SET v = CAST(x'fffd' AS TEXT) WHERE id = 3")
        changed = digest_of(engine, reader, totals_of(engine, reader))
    assert len(digests) == 1
    assert changed not in digests
