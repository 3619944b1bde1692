"""Values in both directions: what a parameter stores, and what a cell comes back as."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import apsw
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from d1ops.core.values import SAFE_INTEGER, Param, Statement, Value
from d1ops.errors import PrecisionLost, StatementRejected
from tests.contract.differences import COLUMN_OF_A_PARAMETER, COMPARES_BLOBS_WITH_LIKE, REPLACES_IN_RETURNING

if TYPE_CHECKING:
    from tests.contract.conftest import Adapter
    from tests.contract.differences import Leg

few = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])

integers = st.one_of(
    st.integers(-(2**63), 2**63 - 1), st.sampled_from([0, SAFE_INTEGER, SAFE_INTEGER + 1, -SAFE_INTEGER, 2**63 - 1])
)
texts = st.one_of(
    st.text(st.characters(codec="utf-8")),
    st.sampled_from(["", "\0", "a\0b", "\ufffd", "\ufeffa", "'", "1", "\U0010ffff"]),
)
values = st.one_of(st.none(), st.booleans(), integers, st.floats(), texts, st.binary(max_size=20))

# -- in --------------------------------------------------------------------------------------------------------------

PROOF = (
    "typeof({0}), quote({0}), hex(CAST({0} AS BLOB)), length({0}), {0} IS NULL,"
    " CASE typeof({0}) WHEN 'real' THEN concat(atan2({0}, -1.0) < 0, CAST({0} AS INTEGER)) END"
)


@given(value=values)
@few
def test_a_parameter_arrives_as_it_is(opened_database: Adapter, value: Param) -> None:
    sql = f"SELECT {PROOF.format('?1')}, ?1 = ?1"
    native = tuple(next(apsw.Connection(":memory:").execute(sql, (value,))))
    assert opened_database.query(sql, (value,)).one() == native


@given(value=values, affinity=st.sampled_from(["", "INTEGER", "REAL", "NUMERIC", "TEXT", "BLOB"]))
@few
def test_a_column_stores_a_parameter_as_sqlite_does(opened_database: Adapter, value: Param, affinity: str) -> None:
    make, insert, look, drop = (
        f"CREATE TABLE stored(c {affinity})",
        "INSERT INTO stored VALUES (?)",
        f"SELECT {PROOF.format('c')} FROM stored",
        "DROP TABLE stored",
    )
    connection = apsw.Connection(":memory:")
    connection.execute(make)
    connection.execute(insert, (value,))
    statements = [Statement(make), Statement(insert, (value,)), Statement(look), Statement(drop)]
    assert opened_database.batch(statements)[2].rows == tuple(connection.execute(look))


@pytest.fixture
def opened_database(database: Adapter) -> Adapter:
    """The database under another name: hypothesis runs many examples against one."""
    return database


# -- out -------------------------------------------------------------------------------------------------------------

CELLS: list[tuple[str, Value]] = [
    ("NULL", None),
    ("1", 1),
    ("-7", -7),
    ("9007199254740991", SAFE_INTEGER),
    ("-9007199254740991", -SAFE_INTEGER),
    ("CAST(9007199254740993 AS TEXT)", "9007199254740993"),
    ("1.0", 1),
    ("-0.0", 0),
    ("123456789012.0", 123456789012),
    ("9007199254740991.0", SAFE_INTEGER),
    ("1.5", 1.5),
    ("0.1 + 0.2", 0.1 + 0.2),
    ("1e21", 1e21),
    ("-1e300", -1e300),
    ("1e-7", 1e-7),
    ("5e-324", 5e-324),
    ("1.7976931348623157e308", 1.7976931348623157e308),
    ("9e999", None),
    ("-9e999", None),
    ("''", ""),
    ("'é\U0001f600'", "é\U0001f600"),
    ("'a' || char(0) || 'b'", "a\0b"),
    ("char(65279, 65)", "\ufeffA"),
    ("char(65533)", "\ufffd"),
    ("'1'", "1"),
    ("'null'", "null"),
    ("x''", b""),
    ("x'00ff'", b"\x00\xff"),
    ("CAST('text' AS BLOB)", b"text"),
    ("1 = 1", 1),
    ("1 = 2", 0),
    ("CAST(x'ff41' AS TEXT)", "\ufffdA"),
    ("CAST(x'eda080' AS TEXT)", "\ufffd\ufffd\ufffd"),
    ("CAST(x'e28241' AS TEXT)", "\ufffdA"),
    ("CAST(x'f09f98' AS TEXT)", "\ufffd"),
    ("CAST(x'c0af' AS TEXT)", "\ufffd\ufffd"),
    ("CAST(x'f4908080' AS TEXT)", "\ufffd\ufffd\ufffd\ufffd"),
]


@pytest.mark.parametrize(("expression", "cell"), CELLS)
def test_a_cell_comes_back(database: Adapter, expression: str, cell: Value) -> None:
    found = database.query(f"SELECT {expression} AS x").scalar()
    assert (type(found), found) == (type(cell), cell)


@pytest.mark.parametrize(
    ("expression", "lossy"),
    [
        ("9007199254740992", 2**53),
        ("9007199254740993", 2**53),
        ("-9007199254740993", -(2**53)),
        ("9223372036854775807", 9223372036854776000),
        ("-9223372036854775807 - 1", -9223372036854776000),
        ("9007199254740992.0", 2**53),
        ("1e20", 10**20),
    ],
)
def test_a_number_that_json_rounds_is_never_taken_for_exact(database: Adapter, expression: str, lossy: int) -> None:
    sql = f"SELECT 1 AS a, {expression} AS b UNION ALL SELECT 2, 3"
    with pytest.raises(PrecisionLost) as caught:
        database.query(sql)
    assert (caught.value.column, caught.value.row) == ("b", 0)
    (result,) = database.batch([Statement(sql)], lossy=True)
    assert result.rows == ((1, lossy), (2, 3))


@given(number=st.floats(allow_nan=False))
@few
def test_a_real_comes_back_to_the_last_bit(opened_database: Adapter, number: float) -> None:
    (result,) = opened_database.batch([Statement("SELECT ? AS x", (number,))], lossy=True)
    found = result.scalar()
    if math.isinf(number):
        assert found is None
    else:
        assert isinstance(found, int | float)
        assert float(found) == number
        assert isinstance(found, int) == (number.is_integer() and abs(number) < 1e21)


def test_columns_keep_their_names_and_their_order(database: Adapter) -> None:
    database.batch([Statement("CREATE TABLE t(a, b)"), Statement("INSERT INTO t VALUES (1, 2)")])
    result = database.query('SELECT a, b AS a, 3 AS "", a, 4 AS "x y", count(*) FROM t')
    assert result.columns == ("a", "a", "", "a", "x y", "count(*)")
    assert result.rows == ((1, 2, 3, 1, 4, 1),)


def test_columns_are_there_without_rows(database: Adapter) -> None:
    database.query("CREATE TABLE t(a, b)")
    for sql in ("SELECT a, b, a FROM t", "SELECT a, b, 1 AS a FROM t WHERE 0"):
        assert (database.query(sql).columns, database.query(sql).rows) == (("a", "b", "a"), ())
    assert database.query("UPDATE t SET a = 1 RETURNING b").columns == ("b",)
    assert database.query("PRAGMA table_info(nowhere)").rows == ()
    assert database.query("CREATE TABLE u(a)").columns == ()


def test_empty_text_null_and_empty_blob_are_three_things(database: Adapter) -> None:
    database.query("CREATE TABLE t(a)")
    database.query("INSERT INTO t VALUES (?), (?), (?)", ("", None, b""))
    assert database.query("SELECT typeof(a), a FROM t").rows == (("text", ""), ("null", None), ("blob", b""))


def test_text_that_is_not_utf8_beside_all_else(database: Adapter) -> None:
    database.query("CREATE TABLE t(a, b)")
    database.query("INSERT INTO t VALUES (CAST(? AS TEXT), 1), ('ok', x'ff'), (NULL, 1.5)", (b"\xff\x00",))
    assert database.query("SELECT a, b, a FROM t WHERE b <> ? ORDER BY b DESC;", (7,)).rows == (
        ("ok", b"\xff", "ok"),
        (None, 1.5, None),
        ("\ufffd\0", 1, "\ufffd\0"),
    )
    assert database.query("WITH x(y) AS (SELECT a FROM t) SELECT y FROM x -- end").rows[0] == ("\ufffd\0",)


def test_text_that_is_not_utf8_from_a_write(database: Adapter, leg: Leg) -> None:
    database.query("CREATE TABLE t(a)")
    insert = "INSERT INTO t VALUES (CAST(x'ff' AS TEXT)) RETURNING a"
    if REPLACES_IN_RETURNING.on(leg):
        assert database.query(insert).scalar() == "\ufffd"
    else:
        with pytest.raises(StatementRejected, match="not UTF-8"):
            database.query(insert)
        assert database.query("SELECT count(*) FROM t").scalar() == 0


def test_the_name_of_a_column_without_one(database: Adapter, leg: Leg) -> None:
    assert database.query("SELECT ?", (1,)).columns == (COLUMN_OF_A_PARAMETER.on(leg),)


def test_like_on_a_blob(database: Adapter, leg: Leg) -> None:
    assert database.query("SELECT x'41' LIKE 'A'").scalar() == COMPARES_BLOBS_WITH_LIKE.on(leg)
