"""Every value survives the way out through JSON and back into SQLite, bit for bit."""

from __future__ import annotations

import json
import struct

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from d1ops.core.engine import Engine
from d1ops.core.lossless import bindings, decode, digest_row, is_suspect, projection, reader_of
from d1ops.core.values import Row, Statement, Value

VALUES: st.SearchStrategy[Value] = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(allow_nan=False),
    st.text(st.characters(codec="utf-8")),
    st.binary(),
)


def through_json(row: Row) -> Row:
    """What D1's JSON makes of a row: numbers as JavaScript prints them."""

    def javascript(cell: Value) -> Value:
        if isinstance(cell, float) and cell.is_integer() and abs(cell) < 1e21:
            return int(cell)
        return cell

    found: list[Value] = json.loads(json.dumps([javascript(cell) for cell in row]))
    return tuple(found)


def bits(value: object) -> object:
    return struct.pack(">d", value) if isinstance(value, float) else value


@given(st.lists(VALUES, min_size=1, max_size=6))
@example([2**63 - 1, -(2**63), 2**53 + 1, 5e-324, 1.7976931348623157e308, -0.0])
@example([float("inf"), float("-inf"), 1.0, 1e20, 1e22, 0.1 + 0.2])
@example(["", "\0", "a\0b", "\ufeffx", "line\nand \\n", "\ufffd"])
@example([b"", b"\0\xff", "'quoted\"", None, "i1", "t"])
def test_every_value_comes_back_bit_for_bit(values: list[Value]) -> None:
    source, target = Engine.memory(), Engine.memory()
    columns = ", ".join(f"c{n}" for n in range(len(values)))
    for engine in (source, target):
        engine.execute(f"CREATE TABLE t ({columns})")
    source.execute(f"INSERT INTO t VALUES ({', '.join('?' * len(values))})", values)
    reader = reader_of(source, "t")
    assert reader.columns[0] == "rowid"
    (plain,) = source.ask(reader.select())
    (hexed,) = source.ask(reader.select(hexadecimal=True))
    for row in (through_json(plain), through_json(hexed)):
        with target.unlimited():
            target.ask("DELETE FROM t")
            target.ask(reader.insert(), bindings(row))
        back = target.ask(f"SELECT {columns} FROM t")[0]
        assert [type(v) for v in back] == [type(v) for v in values]
        assert [bits(v) for v in back] == [bits(v) for v in values]
        assert target.ask(reader.totals()) == source.ask(reader.totals())
    assert digest_row(through_json(plain)) == digest_row(through_json(hexed))


@given(st.binary(min_size=1))
def test_text_that_is_not_utf8_survives_as_hexadecimal(data: bytes) -> None:
    source, target = Engine.memory(), Engine.memory()
    for engine in (source, target):
        engine.execute("CREATE TABLE t (a)")
    source.execute("INSERT INTO t VALUES (CAST(? AS TEXT))", (data,))
    reader = reader_of(source, "t")
    (row,) = source.ask(reader.select(hexadecimal=True))
    with target.unlimited():
        target.ask(reader.insert(), bindings(row))
    assert target.ask("SELECT typeof(a), hex(a) FROM t") == [("text", data.hex().upper())]


@given(st.lists(VALUES, min_size=2, max_size=2, unique_by=repr))
def test_different_values_have_different_digests(values: list[Value]) -> None:
    engine = Engine.memory()
    engine.execute("CREATE TABLE t (a)")
    for value in values:
        engine.execute("INSERT INTO t VALUES (?)", (value,))
    one, other = engine.ask(f"SELECT {projection('a')} FROM t ORDER BY rowid")
    assert digest_row(one) != digest_row(other)


def test_a_replacement_character_is_suspect() -> None:
    assert is_suspect(("t\ufffd",))
    assert not is_suspect(("tabc", 1.5, None))


def test_what_is_no_projected_cell_is_refused() -> None:
    with pytest.raises(ValueError, match="not a projected cell"):
        decode("zebra")


def test_generated_columns_are_not_read_and_a_shadowed_rowid_is_not_confused() -> None:
    engine = Engine.memory()
    engine.run(
        [
            Statement("CREATE TABLE g (a INTEGER PRIMARY KEY, b AS (a + 1), c AS (a + 2) STORED)"),
            Statement("CREATE TABLE s (rowid TEXT, _rowid_ TEXT)"),
            Statement("CREATE TABLE all_taken (rowid, _rowid_, oid)"),
            Statement("CREATE TABLE w (k TEXT PRIMARY KEY, v) WITHOUT ROWID"),
        ]
    )
    assert reader_of(engine, "g").columns == ("a",)
    assert reader_of(engine, "s").columns == ("oid", "rowid", "_rowid_")
    assert reader_of(engine, "all_taken").columns == ("rowid", "_rowid_", "oid")
    assert reader_of(engine, "w").columns == ("k", "v")
