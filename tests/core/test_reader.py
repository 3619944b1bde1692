"""Rows come along their key, page by page, and every page is a search."""

from __future__ import annotations

import json
import math
import struct
from fractions import Fraction
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from d1ops.core import rules
from d1ops.core.engine import Engine
from d1ops.core.paging import Limits, first_limit, needs_bound, next_limit
from d1ops.core.reader import Place, TableReader, Totals, read_totals, reader_of
from d1ops.core.rowtext import (
    cells_of,
    digestible,
    is_suspect,
    row_text,
    value_of,
    values_of,
    without_hexadecimal,
)
from d1ops.core.values import Statement

if TYPE_CHECKING:
    from d1ops.core.values import Row

TABLES = {
    "rowid": "(x, y)",
    "id": "(id INTEGER PRIMARY KEY, x)",
    "shadowed": "(rowid, x)",
    "all_shadowed": "(rowid, _rowid_, oid)",
    "keyed": "(x, y, PRIMARY KEY (x, y)) WITHOUT ROWID",
    "falling": "(x, y, PRIMARY KEY (x DESC, y DESC)) WITHOUT ROWID",
    "mixed": "(x, y, PRIMARY KEY (x, y DESC)) WITHOUT ROWID",
    "folded": "(x TEXT COLLATE NOCASE, y, PRIMARY KEY (x, y)) WITHOUT ROWID",
    "folded_in_the_key": "(x TEXT, y, PRIMARY KEY (x COLLATE NOCASE, y)) WITHOUT ROWID",
}
VALUES = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(codec="utf-8"), max_size=5),
    st.sampled_from(["a", "A", "b", "B ", "", "\0"]),
    st.binary(max_size=3),
)


def pages(engine: Engine, reader: TableReader, limit: int, most_bytes: int | None) -> list[str]:
    found: list[str] = []
    after: Place | None = None
    while True:
        statement = reader.page(after, limit, most_bytes=most_bytes)
        rows = [str(row[0]) for row in engine.execute(statement.sql, statement.params).rows]
        if not rows:
            return found
        assert len(rows) <= limit
        after = reader.place(cells_of(rows[-1]), len(found) + len(rows) - 1)
        found += rows


@pytest.mark.parametrize("table", TABLES)
@given(
    rows=st.lists(st.tuples(VALUES, VALUES, VALUES), max_size=12),
    limit=st.integers(1, 4),
    most_bytes=st.sampled_from([None, 1, 40]),
)
@settings(max_examples=15)
def test_pages_are_the_whole_table_in_its_order(
    table: str, rows: list[Row], limit: int, most_bytes: int | None
) -> None:
    engine = Engine.memory()
    engine.execute(f"CREATE TABLE {table} {TABLES[table]}")
    width = 3 if table == "all_shadowed" else 2
    for number, row in enumerate(rows):
        given = (number, row[1]) if table == "id" else row[:width]
        engine.execute(f"INSERT OR IGNORE INTO {table} VALUES ({', '.join('?' * width)})", given)
    reader = reader_of(engine, table)
    whole = [str(row[0]) for row in engine.ask(reader.page().sql)]
    assert pages(engine, reader, limit, most_bytes) == whole
    assert read_totals(engine.ask(reader.totals().sql)[0]).rows == len(whole) == engine.count(table)


@pytest.mark.parametrize("table", sorted(set(TABLES) - {"all_shadowed"}))
def test_a_page_is_a_search_along_the_key(table: str) -> None:
    engine = Engine.memory()
    engine.execute(f"CREATE TABLE {table} {TABLES[table]}")
    engine.execute(f"CREATE INDEX other ON {table} (x)")
    reader = reader_of(engine, table)
    for statement in (
        reader.page(Place(tuple(5 for _ in reader.key)), 10, most_bytes=100),
        reader.totals(Place(tuple(5 for _ in reader.key)), 10),
    ):
        plan = [str(row[3]) for row in engine.ask(f"EXPLAIN QUERY PLAN {statement.sql}", statement.params)]
        # An index that begins like the key of a table WITHOUT ROWID ends with it, and may serve as well.
        assert any(f"SEARCH {table} USING" in line for line in plan)
        assert not any("TEMP B-TREE" in line or f"SCAN {table}" in line for line in plan)
        if table in ("keyed", "falling", "folded"):
            assert any("((x,y)" in line for line in plan)


def test_a_hundred_columns_and_the_rowid_fit_into_a_statement() -> None:
    engine = Engine.memory()
    names = [f"column_with_a_rather_long_name_{number}" for number in range(100)]
    engine.execute(f"CREATE TABLE wide ({', '.join(names)})")
    engine.execute(f"INSERT INTO wide (rowid, {names[99]}) VALUES (7, 'x'), (9, 'y')")
    reader = reader_of(engine, "wide")
    assert len(reader.page(Place((7,)), 5, most_bytes=1, inline_bytes=1).sql) < rules.MAX_STATEMENT_BYTES
    assert [cells_of(text)[0] for text in pages(engine, reader, 1, None)] == [7, 9]
    assert read_totals(engine.execute(reader.totals().sql).rows[0]).rows == 2


@given(st.floats(allow_nan=False, allow_infinity=False), st.integers(-1074, 1023))
@example(5e-324, 0)
@example(1.7976931348623157e308, 1023)
def test_a_real_is_its_mantissa_and_power(value: float, power: int) -> None:
    engine = Engine.memory()
    engine.execute("CREATE TABLE t (v)")
    near = math.ldexp(1.0, power)
    values = [value, near, math.nextafter(near, 0), math.nextafter(near, math.inf)]
    engine.run([Statement("INSERT INTO t VALUES (?)", (each,)) for each in values])
    found = [cells_of(str(row[0]))[1] for row in engine.ask(reader_of(engine, "t").page().sql)]
    for each, cell in zip(values, found, strict=True):
        assert struct.pack("<d", value_of(cell)) == struct.pack("<d", each)
        mantissa, _, exponent = str(cell)[1:].partition("p")
        if exponent:
            assert 2**52 <= abs(int(mantissa)) < 2**53
            assert Fraction(int(mantissa)) * Fraction(2) ** int(exponent) == Fraction(each)


OF_ONE_KIND = st.sampled_from(
    [
        st.integers(-(2**63), 2**63 - 1),
        st.floats(allow_nan=False, allow_infinity=False),
        st.floats(allow_nan=False) | st.sampled_from([0.0, -0.0, math.inf]),
        st.text(st.characters(codec="utf-8"), max_size=5) | st.sampled_from(["", "\0", "\x01", "\x01t", "rp", "t"]),
        st.binary(max_size=3),
        VALUES,
    ]
)


@given(OF_ONE_KIND.flatmap(lambda kind: st.lists(st.tuples(kind, VALUES | st.none()), max_size=6)))
def test_values_of_many_rows_are_the_values_of_each(rows: list[Row]) -> None:
    engine = Engine.memory()
    engine.execute("CREATE TABLE t (a, b)")
    for row in rows:
        engine.execute("INSERT INTO t VALUES (?, ?)", row)
    texts = [str(row[0]) for row in engine.ask(reader_of(engine, "t").page().sql)]
    values, raw = values_of(texts)
    assert raw == []
    assert repr(values) == repr([tuple(value_of(cell) for cell in cells_of(text)) for text in texts])
    assert repr([tuple(row[1:]) for row in values]) == repr(rows)
    hexadecimal = [str(row[0]) for row in engine.ask(reader_of(engine, "t").page(hexadecimal=True).sql)]
    assert without_hexadecimal(hexadecimal) == [row_text(cells_of(text)) for text in texts]
    assert digestible(without_hexadecimal(hexadecimal)) == digestible(texts)


@given(st.lists(st.text(st.characters(codec="utf-8"))))
def test_the_digest_does_not_depend_on_how_an_engine_escapes(texts: list[str]) -> None:
    ours = [row_text(["t" + text]) for text in texts]
    others = [json.dumps(["t" + text]).replace("\\u00", "\\u00").replace("\x7f", "\\u007f") for text in texts]
    assert digestible(ours) == digestible(others)


@pytest.mark.parametrize(
    "text", ["[1.5]", "[true]", '["z"]', '[""]', '["r"]', '["rp"]', '["rx"]', '[["t"]]', "{}", "1"]
)
def test_what_is_no_row_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"not|invalid literal"):
        [value_of(cell) for cell in cells_of(text)]
    with pytest.raises(ValueError, match=r"not|invalid literal"):
        values_of([text])


@pytest.mark.parametrize("texts", [["[1]", "[1,2]"], ["[]"], ["[1]", "{}"]])
def test_rows_of_different_lengths_are_refused(texts: list[str]) -> None:
    with pytest.raises(ValueError, match=r"not|shorter|longer"):
        values_of(texts)


def test_bytes_that_are_no_text_are_found_by_their_replacement() -> None:
    assert is_suspect(['["t\ufffd"]'])
    assert not is_suspect(['["ta"]', "[1]"])
    texts = ['["ta",1,"xFF41"]', '["xFF","tb","tc"]', '["td",null,"xFE"]']
    rows = [("a", 1, b"\xffA"), (b"\xff", "b", "c"), ("d", None, b"\xfe")]
    assert values_of(texts) == (rows, [(0, 2), (1, 0), (2, 2)])


@given(st.integers(1, 10**7), st.integers(0, 10**9), st.integers(0, 10**6), st.floats(0, 40), st.integers(1, 50_000))
def test_the_next_page_is_bounded_and_never_empty(
    rows: int, size_bytes: int, largest: int, seconds: float, limit: int
) -> None:
    limits = Limits()
    totals = Totals(rows, (size_bytes,), largest)
    assert 1 <= first_limit(totals, limits) <= limits.most_rows
    wanted = next_limit(limit, min(rows, limit), size_bytes, seconds, limits)
    assert 1 <= wanted <= max(limits.most_rows, limit)
    if seconds > limits.slow_seconds:
        assert wanted <= max(1, limit // 2)
    assert needs_bound(limit, totals, limits) == (limit * min(largest, limits.inline_bytes) > limits.most_page_bytes)


@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("limit", [1, 3, 4, 20])
def test_a_walk_counts_every_row_once(table: str, limit: int) -> None:
    engine = Engine.memory()
    engine.execute(f"CREATE TABLE {table} {TABLES[table]}")
    width = 3 if table == "all_shadowed" else 2
    for number in range(13):
        engine.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * width)})", (number, "x" * number, 1)[:width])
    reader = reader_of(engine, table)
    total, after = Totals(0, (), 0), None
    parts: list[Totals] = []
    while after is not None or not parts:
        statement = reader.totals(after, limit)
        parts.append(read_totals(engine.execute(statement.sql, statement.params).rows[0]))
        total = parts[0] if len(parts) == 1 else total + parts[-1]
        boundary = reader.boundary(after, limit)
        rows = engine.execute(boundary.sql, boundary.params).rows
        after = Place(tuple(cells_of(str(rows[0][0]))), total.rows) if rows else None
    assert total == read_totals(engine.ask(reader.totals().sql)[0])
    assert total.rows == 13
