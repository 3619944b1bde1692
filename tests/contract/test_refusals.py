"""What D1 refuses, in D1's words, and its limits at the edge and one past it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from d1ops.core import rules
from d1ops.core.values import Statement
from d1ops.errors import StatementRejected
from tests.contract.differences import (
    CUTS_TEXTS,
    KEEPS_PRAGMAS,
    LARGEST_VALUE_BYTES,
    LIMITS_WRITES,
    OFFSET_AFTER_PARAMETERS,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.contract.conftest import Adapter
    from tests.contract.differences import Leg

NOT_AUTHORIZED = "not authorized: SQLITE_AUTH"
TRANSACTION = "To execute a transaction, please use the state.storage.transaction()"

SETUP = (
    "CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT UNIQUE, c CHECK (c > 0), d NOT NULL DEFAULT 1)",
    "INSERT INTO t(a, b) VALUES (1, 'x')",
    "CREATE INDEX i ON t(c)",
    "CREATE TABLE st(a INT) STRICT",
    "CREATE TABLE raising(a)",
    "CREATE TRIGGER r BEFORE INSERT ON raising BEGIN SELECT RAISE(ABORT, 'my own words'); END",
    "CREATE VIEW broken AS SELECT * FROM nowhere",
)

REFUSED = {
    # transactions, files, temporary objects
    "BEGIN": TRANSACTION,
    "begin immediate": TRANSACTION,
    "/* x */ COMMIT": TRANSACTION,
    "END": TRANSACTION,
    "ROLLBACK": TRANSACTION,
    "SAVEPOINT a": TRANSACTION,
    "RELEASE a": TRANSACTION,
    "ROLLBACK TO a": TRANSACTION,
    "EXPLAIN BEGIN": TRANSACTION,
    "SELECT 1; BEGIN": TRANSACTION,
    "ATTACH ':memory:' AS x": NOT_AUTHORIZED,
    "DETACH x": NOT_AUTHORIZED,
    "CREATE TEMP TABLE x(a)": NOT_AUTHORIZED,
    "CREATE TEMPORARY VIEW x AS SELECT 1": NOT_AUTHORIZED,
    "CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END": NOT_AUTHORIZED,
    "CREATE TABLE temp.x(a)": NOT_AUTHORIZED,
    "CREATE VIEW temp.x AS SELECT 1": NOT_AUTHORIZED,
    "VACUUM": "cannot VACUUM from within a transaction: SQLITE_ERROR",
    "VACUUM INTO 'x'": "cannot VACUUM from within a transaction: SQLITE_ERROR",
    # names of Cloudflare's and of SQLite's
    "CREATE TABLE _cf_x(a)": NOT_AUTHORIZED,
    "CREATE TABLE _CF_x(a)": NOT_AUTHORIZED,
    "CREATE VIEW _cf_v AS SELECT 1": NOT_AUTHORIZED,
    "CREATE INDEX _cf_i ON t(a)": NOT_AUTHORIZED,
    "CREATE TRIGGER _cf_t AFTER INSERT ON t BEGIN SELECT 1; END": NOT_AUTHORIZED,
    "CREATE VIRTUAL TABLE _cf_v USING fts5(a)": NOT_AUTHORIZED,
    "ALTER TABLE t RENAME TO _cf_t": NOT_AUTHORIZED,
    'ALTER TABLE t RENAME TO "_CF_t"': NOT_AUTHORIZED,
    "PRAGMA table_info(_cf_x)": NOT_AUTHORIZED,
    "SELECT * FROM _cf_x": "no such table: _cf_x: SQLITE_ERROR",
    "CREATE TABLE sqlite_x(a)": "object name reserved for internal use: sqlite_x",
    "DELETE FROM sqlite_schema": "table sqlite_master may not be modified: SQLITE_ERROR",
    "CREATE VIRTUAL TABLE v USING fts4(a)": NOT_AUTHORIZED,
    "CREATE VIRTUAL TABLE v USING geopoly(a)": NOT_AUTHORIZED,
    "SELECT * FROM dbstat": "no such table: dbstat: SQLITE_ERROR",
    # functions
    "SELECT power(1, 2)": "not authorized to use function: power at offset 7: SQLITE_ERROR",
    "SELECT sqlite_version()": "not authorized to use function: sqlite_version at offset 7: SQLITE_ERROR",
    "SELECT json_pretty('1')": "not authorized to use function: json_pretty",
    "SELECT if(1, 2, 3)": "not authorized to use function: if",
    "SELECT soundex('a')": "no such function: soundex at offset 7: SQLITE_ERROR",
    "SELECT median(1)": "no such function: median at offset 7: SQLITE_ERROR",
    "SELECT load_extension('x')": "not authorized",
    # what is wrong with a statement
    "SELEC": 'near "SELEC": syntax error at offset 0: SQLITE_ERROR',
    "SELECT 1,": "incomplete input: SQLITE_ERROR",
    "SELECT 'abc": "unrecognized token: \"'abc\" at offset 7: SQLITE_ERROR",
    "CREATE TRIGGER x AFTER INSERT ON t BEGIN SELECT 1;": "incomplete input: SQLITE_ERROR",
    "": "No SQL statements detected.",
    " -- only words": "No SQL statements detected.",
    "/* only words */": "SQL code did not contain a statement.",
    ";": "SQL code did not contain a statement.",
    "SELECT ?": "Wrong number of parameter bindings for SQL query.",
    "EXPLAIN QUERY PLAN SELECT ?": "Wrong number of parameter bindings for SQL query.",
    "SELECT * FROM nope": "no such table: nope: SQLITE_ERROR",
    "SELECT nope FROM t": "no such column: nope at offset 7: SQLITE_ERROR",
    "SELECT * FROM broken": "no such table: main.nowhere: SQLITE_ERROR",
    "CREATE TABLE t(a)": "table t already exists at offset 13: SQLITE_ERROR",
    "CREATE INDEX i ON t(d)": "index i already exists: SQLITE_ERROR",
    "DROP INDEX nope": "no such index: nope: SQLITE_ERROR",
    "ALTER TABLE t ADD COLUMN z DEFAULT (random())": "Cannot add a column with non-constant default: SQLITE_ERROR",
    "ALTER TABLE t ADD COLUMN z NOT NULL": "Cannot add a NOT NULL column with default value NULL: SQLITE_ERROR",
    # what is wrong with the rows
    "INSERT INTO t(a, b) VALUES (1, 'y')": (
        "UNIQUE constraint failed: t.a: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_PRIMARYKEY)"
    ),
    "INSERT INTO t(b) VALUES ('x')": (
        "UNIQUE constraint failed: t.b: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_UNIQUE)"
    ),
    "INSERT INTO t(c) VALUES (0)": (
        "CHECK constraint failed: c > 0: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_CHECK)"
    ),
    "INSERT INTO t(d) VALUES (NULL)": (
        "NOT NULL constraint failed: t.d: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_NOTNULL)"
    ),
    "INSERT INTO st VALUES ('x')": (
        "cannot store TEXT value in INT column st.a: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_DATATYPE)"
    ),
    "INSERT INTO raising VALUES (1)": (
        "my own words: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_TRIGGER)"
    ),
    "SELECT json_extract('{}', 'd1ops:it''s {\"a\": 1}')": "bad JSON path: 'd1ops:it''s {\"a\": 1}': SQLITE_ERROR",
    "SELECT abs(-9223372036854775808)": "integer overflow: SQLITE_ERROR",
}  # fmt: skip


@pytest.fixture
def prepared(database: Adapter) -> Adapter:
    database.batch([Statement(sql) for sql in SETUP])
    return database


@pytest.mark.parametrize(("sql", "text"), REFUSED.items())
def test_refused_in_these_words(prepared: Adapter, sql: str, text: str) -> None:
    before = prepared.query("SELECT count(*), total(rootpage) FROM sqlite_schema").rows
    with pytest.raises(StatementRejected) as caught:
        prepared.query(sql)
    error = caught.value
    assert text in error.text
    assert (error.index, error.sql) == (0, sql)
    assert f" at offset {error.offset}: " in error.text if error.offset is not None else " at offset " not in error.text
    assert prepared.query("SELECT count(*), total(rootpage) FROM sqlite_schema").rows == before


def test_an_offset_counts_bytes(prepared: Adapter) -> None:
    with pytest.raises(StatementRejected) as caught:
        prepared.query("SELECT 'é', nope FROM t")
    assert caught.value.offset == len("SELECT 'é', ".encode())


def test_an_offset_is_one_of_the_given_text_or_none(prepared: Adapter, leg: Leg) -> None:
    with pytest.raises(StatementRejected) as caught:
        prepared.query("SELECT ?, nope FROM t", (1,))
    assert caught.value.offset == (len("SELECT ?, ") if OFFSET_AFTER_PARAMETERS.on(leg) else None)


# -- pragmas ---------------------------------------------------------------------------------------------------------

ALLOWED_PRAGMAS = """
data_version|page_size|case_sensitive_like|case_sensitive_like=ON|foreign_keys|foreign_keys=0|defer_foreign_keys=TRUE
ignore_check_constraints=no|legacy_alter_table(1)|recursive_triggers=off|reverse_unordered_selects=0|table_info(t)
main.table_info(t)|table_xinfo('t')|index_info(i)|index_xinfo(i)|index_list(t)|foreign_key_list(t)|foreign_key_check
foreign_key_check(t)|quick_check|quick_check(t)|quick_check(5)|table_list|table_list(t)|optimize|optimize(-1)
optimize(0x10002)
"""
DENIED_PRAGMAS = """
integrity_check|user_version|user_version=3|schema_version|page_count|journal_mode|journal_mode=WAL|encoding|cache_size
compile_options|function_list|module_list|collation_list|database_list|analysis_limit|query_only|automatic_index
writable_schema=1|temp.table_info(t)|data_version=1|page_size=512|case_sensitive_like=2|foreign_keys=maybe
table_info|table_info(_cf_KV)|quick_check(_cf_KV)|optimize=x|secure_delete|trusted_schema=0|mmap_size|synchronous=off
locking_mode=exclusive|wal_checkpoint|incremental_vacuum|no_such_pragma|hard_heap_limit|shrink_memory
"""


def pragmas(text: str) -> list[str]:
    return text.replace("\n", "|").strip("|").split("|")


@pytest.mark.parametrize("pragma", pragmas(ALLOWED_PRAGMAS))
def test_a_pragma_that_d1_allows(prepared: Adapter, pragma: str) -> None:
    answer = prepared.query(f"PRAGMA {pragma}")
    assert len(answer.columns) == len(answer.rows[0]) if answer.rows else answer.meta.changes == 0


@pytest.mark.parametrize("pragma", pragmas(DENIED_PRAGMAS))
def test_a_pragma_that_d1_denies(prepared: Adapter, pragma: str) -> None:
    with pytest.raises(StatementRejected, match=NOT_AUTHORIZED):
        prepared.query(f"PRAGMA {pragma}")


@pytest.mark.parametrize(
    ("function", "rows"),
    [
        ("SELECT name, type FROM pragma_table_xinfo('st')", (("a", "INT"),)),
        ("SELECT m.name, l.name FROM sqlite_schema m, pragma_index_list(m.name) l WHERE l.origin = 'c'", (("t", "i"),)),
        ("SELECT * FROM pragma_foreign_key_check", ()),
        ("SELECT * FROM pragma_quick_check", (("ok",),)),
        ("SELECT count(*) FROM pragma_table_list('t')", ((1,),)),
    ],
)
def test_a_pragma_as_a_table(prepared: Adapter, function: str, rows: tuple[object, ...]) -> None:
    assert prepared.query(function).rows == rows


@pytest.mark.parametrize("pragma", ["user_version", "integrity_check", "function_list", "database_list"])
def test_a_denied_pragma_as_a_table(prepared: Adapter, pragma: str) -> None:
    with pytest.raises(StatementRejected, match="not authorized"):
        prepared.query(f"SELECT * FROM pragma_{pragma}")


def test_a_setting_ends_with_the_request(prepared: Adapter, leg: Leg) -> None:
    prepared.query("PRAGMA ignore_check_constraints = ON")
    prepared.batch([Statement("-- said\nPRAGMA case_sensitive_like = ON"), Statement("SELECT 1")])
    kept = prepared.query("SELECT 'A' LIKE 'a'").scalar() == 0
    prepared.batch([Statement(f"PRAGMA {name} = OFF") for name in ("ignore_check_constraints", "case_sensitive_like")])
    assert kept == KEEPS_PRAGMAS.on(leg)


# -- limits ----------------------------------------------------------------------------------------------------------


LIMITS: dict[str, tuple[Callable[[int], str], int, str]] = {
    "statement": (
        lambda n: f"SELECT '{'x' * (n - 9)}'",
        rules.MAX_STATEMENT_BYTES,
        "statement too long: SQLITE_TOOBIG",
    ),
    "statement in UTF-8": (
        lambda n: f"SELECT '{'é' * ((n - 9) // 2)}{'x' * ((n - 9) % 2)}'",
        rules.MAX_STATEMENT_BYTES,
        "statement too long: SQLITE_TOOBIG",
    ),
    "columns of a table": (
        lambda n: f"CREATE TABLE wide{n}({', '.join(f'c{i}' for i in range(n))})",
        rules.MAX_COLUMNS,
        "too many columns on wide",
    ),
    "columns of a result": (
        lambda n: f"SELECT {', '.join('1' * n)}",
        rules.MAX_COLUMNS,
        "too many columns in result set: SQLITE_ERROR",
    ),
    "depth": (
        lambda n: f"SELECT {'+'.join('1' * n)}",
        rules.MAX_EXPRESSION_DEPTH,
        "Expression tree is too large (maximum depth 100): SQLITE_ERROR",
    ),
    "compound": (
        lambda n: " UNION ALL ".join(["SELECT 1"] * n),
        rules.MAX_COMPOUND_TERMS,
        "too many terms in compound SELECT: SQLITE_ERROR",
    ),
    "arguments": (
        lambda n: f"SELECT max({', '.join('1' * n)})",
        rules.MAX_FUNCTION_ARGUMENTS,
        "too many arguments on function max",
    ),
    "LIKE": (
        lambda n: f"SELECT 'a' LIKE '{'x' * n}'",
        rules.MAX_PATTERN_BYTES,
        "LIKE or GLOB pattern too complex: SQLITE_ERROR",
    ),
    "GLOB": (
        lambda n: f"SELECT 'a' GLOB '{'é' * (n // 2)}{'x' * (n % 2)}'",
        rules.MAX_PATTERN_BYTES,
        "LIKE or GLOB pattern too complex: SQLITE_ERROR",
    ),
    "number of a parameter": (
        lambda n: f"EXPLAIN SELECT 1 WHERE 0 OR ?{n} IS NULL",
        rules.MAX_PARAMETERS,
        "variable number must be between ?1 and ?100",
    ),
}


def test_nothing_between_two_semicolons(database: Adapter, leg: Leg) -> None:
    if CUTS_TEXTS.on(leg):
        assert database.query("SELECT 1;;").rows == ((1,),)
    else:
        with pytest.raises(StatementRejected, match="SQL code did not contain a statement"):
            database.query("SELECT 1;;")


@pytest.mark.parametrize("limit", LIMITS)
def test_a_limit_holds_at_its_edge(database: Adapter, limit: str) -> None:
    make, edge, text = LIMITS[limit]
    params = [0] * edge if limit == "number of a parameter" else []
    assert database.query(make(edge), params).meta.changes == 0
    with pytest.raises(StatementRejected) as caught:
        database.query(make(edge + 1), [0] * (edge + 1) if params else [])
    assert text in caught.value.text


def test_parameters_at_the_edge(database: Adapter) -> None:
    edge = rules.MAX_PARAMETERS
    row = database.query(f"SELECT {', '.join('?' * edge)}", list(range(edge))).one()
    assert row == tuple(range(edge))
    with pytest.raises(StatementRejected, match="variable"):
        database.query(f"SELECT max({', '.join('?' * (edge + 1))})", list(range(edge + 1)))


def test_a_cascade_may_be_so_deep(database: Adapter) -> None:
    def chain(depth: int) -> list[Statement]:
        tables = [
            f"CREATE TABLE c{depth}_{i}(id INTEGER PRIMARY KEY REFERENCES c{depth}_{i - 1}(id) ON DELETE CASCADE)"
            if i
            else f"CREATE TABLE c{depth}_0(id INTEGER PRIMARY KEY)"
            for i in range(depth + 1)
        ]
        rows = [f"INSERT INTO c{depth}_{i} VALUES (1)" for i in range(depth + 1)]
        return [Statement(sql) for sql in (*tables, *rows, f"DELETE FROM c{depth}_0")]

    assert database.batch(chain(rules.MAX_TRIGGER_DEPTH))[-1].meta.changes == rules.MAX_TRIGGER_DEPTH + 1
    with pytest.raises(StatementRejected, match="triggers nested too deep: SQLITE_ERROR"):
        database.batch(chain(rules.MAX_TRIGGER_DEPTH + 1))


def test_a_large_value(database: Adapter, leg: Leg) -> None:
    size = LARGEST_VALUE_BYTES.on(leg)
    assert database.query(f"SELECT length(zeroblob({size}))").scalar() == size
    with pytest.raises(StatementRejected, match=r"too big: SQLITE_TOOBIG|out of memory"):
        database.query("SELECT hex(zeroblob(20000000))")


def test_many_rows_of_values_are_no_compound(database: Adapter) -> None:
    assert len(database.query(f"VALUES {', '.join(['(1)'] * 600)}").rows) == 600


# -- where they rightly differ ---------------------------------------------------------------------------------------


def test_update_and_delete_with_a_limit(prepared: Adapter, leg: Leg) -> None:
    statements = [Statement("UPDATE t SET c = 1 ORDER BY a LIMIT 1"), Statement("DELETE FROM t LIMIT 1")]
    if LIMITS_WRITES.on(leg):
        assert [result.meta.changes for result in prepared.batch(statements)] == [1, 1]
    else:
        with pytest.raises(StatementRejected, match="syntax error"):
            prepared.batch(statements)
