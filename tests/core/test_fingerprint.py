"""The content fingerprint: the same on every engine, whatever the values and their order, and changed by any change."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

import apsw
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from d1ops.core import rules
from d1ops.core.engine import Engine
from d1ops.core.fingerprint import CUT_BYTES, Salt, content
from d1ops.core.lossless import RawText
from d1ops.core.sql import quote_identifier
from d1ops.core.values import Statement
from d1ops.database.workerd import WorkerdDatabase
from tests.support.node import MODULES

if TYPE_CHECKING:
    import random
    from collections.abc import Iterator, Sequence

    from d1ops.core.values import Param

Cell: TypeAlias = "Param | RawText"

SALT = Salt.of("a run")
COLUMNS = ("a", "b", "c")

NEAR_POWERS_OF_TWO = [
    sign * 2.0**e * (1 + d) for sign in (1, -1) for e in (-1074, -1022, -1, 0, 52, 1023) for d in (0, 2**-52)
]

cells: st.SearchStrategy[Cell] = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([0, 1, -1, 2**53 + 1, -(2**63)]),
    st.floats(allow_nan=False),
    st.sampled_from([0.0, -0.0, float("inf"), float("-inf"), *(f for f in NEAR_POWERS_OF_TWO if abs(f) < 1.7e308)]),
    st.text(max_size=30),
    st.sampled_from(["", "\0", "a\0b", "1", "10", "\ufeff", "é" * 200]),
    st.binary(max_size=30),
    st.sampled_from([b"", b"\0", b"1"]),
    st.binary(max_size=12).map(RawText),
)
rows = st.lists(st.tuples(cells, cells, cells), max_size=12)


def insert(engine: Engine, table: Sequence[Sequence[Cell]]) -> None:
    with engine.unlimited():
        engine.ask(f"DELETE FROM {quote_identifier('t t')}")
        for row in table:
            marks = ", ".join("CAST(? AS TEXT)" if isinstance(cell, RawText) else "?" for cell in row)
            values = tuple(cell.data if isinstance(cell, RawText) else cell for cell in row)
            engine.ask(f"INSERT INTO {quote_identifier('t t')} VALUES ({marks})", values)


def fingerprint(engine: Engine, columns: Sequence[str] = COLUMNS, salt: Salt = SALT) -> str:
    (text,) = engine.execute(content("t t", columns, salt)).rows[0]
    return str(text)


@pytest.fixture(scope="module")
def engine() -> Engine:
    engine = Engine.memory()
    engine.execute(f"CREATE TABLE {quote_identifier('t t')} (a, b, c)")
    return engine


@pytest.fixture(scope="module")
def workerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerdDatabase]:
    database = WorkerdDatabase("11111111-1111-1111-1111-111111111111", tmp_path_factory.mktemp("workerd"), [MODULES])
    database.query(f"CREATE TABLE {quote_identifier('t t')} (a, b, c)")
    yield database
    database.close()


@settings(max_examples=50)
@given(rows)
@example([(float(f), -float(f), 0.1 * f) for f in NEAR_POWERS_OF_TWO if abs(f) < 1.7e308])
def test_it_is_the_same_on_workerd_and_on_apsw(
    engine: Engine, workerd: WorkerdDatabase, table: list[tuple[Cell, ...]]
) -> None:
    insert(engine, table)
    # workerd opens the file as any program does, so every value gets there bit for bit.
    file = apsw.Connection(str(workerd.file))
    with file:
        file.execute(f"DELETE FROM {quote_identifier('t t')}")
        for row in engine.ask(
            f"SELECT typeof(a), CASE typeof(a) WHEN 'text' THEN CAST(a AS BLOB) ELSE a END,"
            f" typeof(b), CASE typeof(b) WHEN 'text' THEN CAST(b AS BLOB) ELSE b END,"
            f" typeof(c), CASE typeof(c) WHEN 'text' THEN CAST(c AS BLOB) ELSE c END"
            f" FROM {quote_identifier('t t')}"
        ):
            marks = ", ".join("CAST(? AS TEXT)" if kind == "text" else "?" for kind in row[::2])
            file.execute(f"INSERT INTO {quote_identifier('t t')} VALUES ({marks})", row[1::2])
    file.close()
    assert workerd.query(content("t t", COLUMNS, SALT)).scalar() == fingerprint(engine)


@settings(max_examples=40)
@given(rows, st.randoms())
def test_the_order_of_the_rows_does_not_matter(
    engine: Engine, table: list[tuple[Cell, ...]], chance: random.Random
) -> None:
    insert(engine, table)
    before = fingerprint(engine)
    chance.shuffle(table)
    insert(engine, table)
    assert fingerprint(engine) == before


def identity(cell: Cell) -> object:
    if isinstance(cell, RawText):
        return "text", cell.data
    if isinstance(cell, str):
        return "text", cell.encode()
    return type(cell).__name__, cell.hex() if isinstance(cell, float) else cell


@settings(max_examples=120)
@given(rows, rows)
@example([(None, "", b"")], [("", None, b"")])
@example([(0.0, 1, 1)], [(-0.0, 1, 1)])
@example([(1, "1", 1.0)], [("1", 1, 1.0)])
@example([("a", "bc", 1)], [("ab", "c", 1)])
@example([(1, 2, 3), (4, 5, 6)], [(4, 2, 3), (1, 5, 6)])
@example([(1, 1, 1)], [(1, 1, 1), (1, 1, 1)])
@example([("a\0b", 1, 1)], [("a\0c", 1, 1)])
@example([(RawText(b"\xff"), 1, 1)], [(RawText(b"\xfe"), 1, 1)])
@example([(float("inf"), 1, 1)], [(float("-inf"), 1, 1)])
@example([("x" * 40_000 + "y", 1, 1)], [("x" * 39_999 + "yx", 1, 1)])
@example([("y" + "x" * 9_000, "x" * 9_000, 1)], [("x" * 9_000, "y" + "x" * 9_000, 1)])
def test_different_rows_differ_and_equal_rows_do_not(
    engine: Engine, one: list[tuple[Cell, ...]], other: list[tuple[Cell, ...]]
) -> None:
    def bag(table: list[tuple[Cell, ...]]) -> list[str]:
        return sorted(repr([identity(cell) for cell in row]) for row in table)

    insert(engine, one)
    first = fingerprint(engine)
    insert(engine, other)
    assert (first == fingerprint(engine)) == (bag(one) == bag(other))


def test_it_is_drawn_anew_with_every_seed(engine: Engine) -> None:
    insert(engine, [(1, "a", None)])
    salts = [Salt.of(str(number)) for number in range(50)]
    assert len({fingerprint(engine, salt=salt) for salt in salts}) == 50
    for salt in salts:
        assert all(2**30 < modulus < 2**31 for modulus in salt.moduli)
        assert all(modulus % divisor for modulus in salt.moduli for divisor in range(2, 1_000))
        assert all(base < modulus for base, modulus in zip(salt.bases, salt.moduli, strict=True))


def test_a_cell_that_is_cut_counts_with_length_beginning_and_end(engine: Engine) -> None:
    long = "x" * (CUT_BYTES + 1)
    seen = set()
    for text in (long, f"y{long[1:]}", f"{long[1:]}y", f"{long}x"):
        insert(engine, [(text, 1, 1)])
        seen.add(fingerprint(engine))
    assert len(seen) == 4


def test_ranges_are_apart(engine: Engine) -> None:
    insert(engine, [(n, "x" * n, n) for n in range(20)])
    parts = [
        engine.execute(content("t t", COLUMNS, SALT, where=where)).rows[0][0]
        for where in ("rowid <= 7", "rowid > 7 AND rowid <= 12", "rowid > 12")
    ]
    count, first, second = (sum(int(str(part).split(":")[at]) for part in parts) for at in range(3))
    assert fingerprint(engine) == f"{count}:{first}:{second}"


def test_a_hundred_columns_fit_into_a_statement_on_both_engines(workerd: WorkerdDatabase) -> None:
    columns = [f"column_{n}" for n in range(rules.MAX_COLUMNS)]
    engine = Engine.memory()
    made = f"CREATE TABLE wide ({', '.join(columns)})"
    # Twenty cells of 100 KB: together more than a value may have, so that they are cut.
    filled = f"INSERT INTO wide VALUES ({', '.join(['zeroblob(100000)'] * 20 + ['1.5', 'NULL'] * 40)})"
    sql = content("wide", columns, SALT)
    assert len(sql.encode()) < rules.MAX_STATEMENT_BYTES
    local = [engine.execute(each) for each in (made, filled, sql)][-1]
    (*_, remote) = workerd.batch([Statement(each) for each in (made, filled, sql)])
    assert remote.rows == local.rows
