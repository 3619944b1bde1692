"""Parameters over the wire: the rewritten statement with JSON's values does what a native bind does."""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING

import apsw
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from d1ops.core.binding import bind

if TYPE_CHECKING:
    from d1ops.core.values import Param, Row

AFFINITIES = ("", "INTEGER", "REAL", "NUMERIC", "TEXT", "BLOB")
STRICT_TYPES = ("INT", "INTEGER", "REAL", "TEXT", "BLOB", "ANY")

integers = st.one_of(
    st.integers(-(2**63), 2**63 - 1),
    st.sampled_from([0, 1, -1, 2**53 - 1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)]),
    st.booleans(),
)
floats = st.one_of(
    st.floats(), st.sampled_from([0.0, -0.0, 1.0, 0.1 + 0.2, 1e21, 5e-324, 2.0**53, math.inf, -math.inf])
)
texts = st.one_of(
    st.text(st.characters(codec="utf-8")),
    st.sampled_from(
        ["", "1", "-7", "1.0", "007", "9007199254740993", "0x10", " 5 ", "a\0b", "\ufeffa", "\ufffd", "%", "?"]
    ),
)
params = st.one_of(st.none(), integers, floats, texts, st.binary(max_size=6))


def answer(sql: str, values: tuple[object, ...], *, setup: str = "", look: str = "") -> object:
    """Run on plain SQLite; return the rows (of `look`, when given) as type and text of every value, or the error."""
    connection = apsw.Connection(":memory:")
    connection.execute(setup)
    try:
        rows: list[Row] = list(connection.execute(sql, values))
        if look:
            rows = list(connection.execute(look))
    except UnicodeDecodeError as error:
        return error.object
    except apsw.Error as error:
        return str(error)
    return [[(type(cell), repr(cell)) for cell in row] for row in rows]


def over_the_wire(sql: str, values: tuple[Param, ...]) -> tuple[str, tuple[object, ...]]:
    """Rewrite, go through JSON, and bind every number as REAL, as D1's binding does."""
    rewritten, wire = bind(sql, values)
    arrived = json.loads(json.dumps(wire))
    assert all(value is None or isinstance(value, str | float) for value in arrived)
    return rewritten, tuple(float(value) if isinstance(value, float) else value for value in arrived)


@given(params, st.sampled_from([*AFFINITIES]))
@example(1, "TEXT")
@example(2**53 + 1, "TEXT")
@example(-0.0, "")
@example(b"", "TEXT")
def test_a_column_stores_what_a_native_bind_stores(value: Param, affinity: str) -> None:
    setup = f"CREATE TABLE t(c {affinity})"
    look = "SELECT typeof(c), c FROM t"
    sql = "INSERT INTO t VALUES (?)"
    assert answer(*over_the_wire(sql, (value,)), setup=setup, look=look) == answer(
        sql, (value,), setup=setup, look=look
    )


@given(params, st.sampled_from(STRICT_TYPES))
def test_a_strict_column_takes_and_refuses_the_same(value: Param, kind: str) -> None:
    setup = f"CREATE TABLE t(c {kind}) STRICT"
    look = "SELECT typeof(c), c FROM t"
    sql = "INSERT INTO t VALUES (?) ON CONFLICT DO UPDATE SET c = ?1"
    assert answer(*over_the_wire(sql, (value,)), setup=setup, look=look) == answer(
        sql, (value,), setup=setup, look=look
    )


COMPARISONS = (
    "c = ?", "c < ?", "? <= c", "c IS NOT ?", "c IN (?, 'x')", "? IN (c)", "c BETWEEN ? AND ?1", "(c, 1) = (?, 1)",
    "c = ? COLLATE NOCASE", "c LIKE ?", "c GLOB ?", "CASE ? WHEN c THEN 1 END", "c = +?", "c = -?", "max(c, ?) = c",
    "? IN (SELECT c FROM t)", "c IN (SELECT ?)", "c = (SELECT ? AS x)",
)  # fmt: skip

INDEXES = ("", "CREATE INDEX i ON t(c);")


@given(params, st.sampled_from(AFFINITIES), st.sampled_from(COMPARISONS), st.sampled_from(INDEXES))
@example(1, "TEXT", "c = ?", INDEXES[0])
@example(1, "TEXT", "c < ?", INDEXES[1])
@example(b"1", "INTEGER", "c = ?", INDEXES[0])
@example(1.0, "TEXT", "c IN (?, 'x')", INDEXES[0])
def test_a_column_compares_as_with_a_native_bind(value: Param, affinity: str, condition: str, index: str) -> None:
    setup = (
        f"CREATE TABLE t(c {affinity}); {index}"
        "INSERT INTO t VALUES (NULL), (1), (1.0), ('1'), ('1.0'), (x'31'), (9007199254740993), (0.5), ('a'), (''), (-1)"
    )
    sql = f"SELECT rowid FROM t WHERE {condition} ORDER BY rowid"
    assert answer(*over_the_wire(sql, (value,)), setup=setup) == answer(sql, (value,), setup=setup)


EXPRESSIONS = (
    "typeof(?1), ?1", "? + 1, ?1 - 1, ?1 * 2, ?1 / 2, ?1 % 3", "-?", "+?", "~?", "NOT ?", "1 - ?, 1 -- ?\n - ?1",
    "? || 'x'", "'x' || ?", "abs(?)", "length(?)", "hex(?), octet_length(?1)", "quote(?)", "round(?, 1)",
    "coalesce(?, 'none')",
    "max(?, 1), min(?1, 'a')", "CAST(? AS TEXT), CAST(?1 AS INTEGER), CAST(?1 AS REAL), CAST(?1 AS BLOB)",
    "json_array(?1)", "json_quote(?)", "'[1,2]' -> ?", "'{\"a\":1}' ->> ?", "? IS NULL, ?1 ISNULL", "iif(?, 1, 2)",
    "CASE WHEN ? THEN 1 ELSE 0 END", "CASE ? WHEN 1 THEN 'one' WHEN '1' THEN 'text' END", "? COLLATE NOCASE = 'A'",
    "group_concat(?, ',')", "sum(?), avg(?1), count(?1)", "substr('abcdef', ?, 2)", "instr('a1b', ?)",
    "printf('%s %d', ?1, ?1)", "? & 3, ?1 << 1", "? IS TRUE", "unhex(?)", "date(?)", "? = 1, ?1 = '1', ?1 < 'a'",
    "sign(?)", "trim(?)",
)  # fmt: skip


@given(params, st.sampled_from(EXPRESSIONS))
def test_an_expression_has_the_value_of_a_native_bind(value: Param, expression: str) -> None:
    sql = f"SELECT {expression}"
    assert answer(*over_the_wire(sql, (value,))) == answer(sql, (value,))


STATEMENTS = (
    ("SELECT v FROM (VALUES (1), (2), (3)) AS t(v) LIMIT ?", ""),
    ("SELECT column1 FROM (VALUES (1), (2), (3)) LIMIT ?", ""),
    ("SELECT column1 FROM (VALUES (1), (2), (3)) LIMIT 3 OFFSET ?", ""),
    ("SELECT column1 FROM (VALUES (2), (1), (3)) ORDER BY ?", ""),
    ("SELECT count(*) FROM (VALUES (2), (1), (3)) GROUP BY ?", ""),
    ("SELECT key, value FROM json_each(?)", ""),
    ("INSERT INTO t(a) VALUES (?) RETURNING typeof(a), a, typeof(b), b", ""),
    ("UPDATE t SET a = ?, b = ?1", "SELECT typeof(a), a, typeof(b), b FROM t"),
    ("DELETE FROM t WHERE a = ?", "SELECT * FROM t"),
    ("CREATE TABLE made AS SELECT ? AS x", "SELECT typeof(x), x FROM made"),
    ("INSERT INTO t SELECT ?, ?1 UNION ALL VALUES (?1, 2)", "SELECT typeof(a), a, typeof(b), b FROM t"),
    ("SELECT a FROM t WHERE rowid = ?", ""),
    ("WITH RECURSIVE n(x) AS (SELECT ? UNION ALL SELECT x + 1 FROM n LIMIT 3) SELECT typeof(x), x FROM n", ""),
    ("SELECT sum(a) OVER (ROWS ? PRECEDING) FROM t", ""),
)


@given(params, st.sampled_from(STATEMENTS))
def test_a_statement_does_what_it_does_with_a_native_bind(value: Param, case: tuple[str, str]) -> None:
    sql, look = case
    setup = "CREATE TABLE t(a INTEGER, b TEXT); INSERT INTO t VALUES (1, 'x'), (2, '2'), (NULL, 2.5);"
    assert answer(*over_the_wire(sql, (value,)), setup=setup, look=look) == answer(
        sql, (value,), setup=setup, look=look
    )


@given(st.lists(params, min_size=1, max_size=5), st.data())
def test_every_placeholder_gets_its_own_parameter(values: list[Param], data: st.DataObject) -> None:
    pieces, highest = [], 0
    while highest < len(values) or data.draw(st.booleans()):
        number = data.draw(st.integers(1, len(values)))
        pieces.append(data.draw(st.sampled_from(["?", f"?{number}"])) if highest < len(values) else f"?{number}")
        highest = highest + 1 if pieces[-1] == "?" else max(highest, number)
    sql = f'SELECT {", ".join(pieces)}, \'?\', "?1", [?] /* ? */ FROM (SELECT 1 AS "?1", 2 AS [?]) -- ?9'
    assert answer(*over_the_wire(sql, tuple(values))) == answer(sql, tuple(values))


@given(st.text(st.characters(codec="utf-8", exclude_characters="?:@$\0")))
def test_without_a_placeholder_nothing_is_rewritten(sql: str) -> None:
    assert bind(sql, ()) == (sql, ())
    with pytest.raises(ValueError, match="1 parameters for a statement that takes 0"):
        bind(sql, (1,))


@pytest.mark.parametrize(
    ("sql", "values", "problem"),
    [
        ("SELECT ?", (1, 2), "2 parameters for a statement that takes 1"),
        ("SELECT ?, ?", (1,), "? is parameter 2 of 1"),
        ("SELECT ?3", (1, 2), "?3 is parameter 3 of 2"),
        ("SELECT ?0", (1,), "?0 is parameter 0 of 1"),
        ("SELECT :name", (1,), "D1 has no named parameters: :name"),
        ("SELECT @é", (1,), "D1 has no named parameters: @é"),
        ("SELECT $a", (1,), "D1 has no named parameters: $a"),
        ("SELECT ?", (2**63,), "does not fit into 64 bits"),
        ("SELECT ?", (-(2**63) - 1,), "does not fit into 64 bits"),
        ("SELECT ?", ("\ud800",), "surrogates not allowed"),
    ],
)
def test_what_cannot_arrive_is_refused(sql: str, values: tuple[Param, ...], problem: str) -> None:
    with pytest.raises(ValueError, match=re.escape(problem)):
        bind(sql, values)
