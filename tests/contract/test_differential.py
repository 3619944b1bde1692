"""The same statements through the SQLite adapter and through workerd give the same verdicts, columns and rows."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, TypeAlias

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from d1ops.core import rules
from d1ops.core.sql import quote_text
from d1ops.core.values import Statement
from d1ops.database.sqlite import SqliteDatabase
from d1ops.database.workerd import WorkerdDatabase
from d1ops.errors import StatementRejected
from tests.support.node import MODULES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from d1ops.database.base import Database

Pair: TypeAlias = tuple[SqliteDatabase, WorkerdDatabase]


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    folder = tmp_path_factory.mktemp("pair")
    with (
        closing(SqliteDatabase(folder / "data.sqlite")) as sqlite,
        closing(WorkerdDatabase("22222222-2222-2222-2222-222222222222", folder, [MODULES])) as workerd,
    ):
        yield sqlite, workerd


@pytest.fixture
def pair(opened: Pair) -> Pair:
    """Both, empty."""
    for database in opened:
        drops = database.query(
            "SELECT 'DROP ' || type || ' IF EXISTS \"' || replace(name, '\"', '\"\"') || '\"' FROM sqlite_schema"
            " WHERE type IN ('table', 'view') AND name NOT IN ('sqlite_sequence', 'sqlite_schema')"
            " AND name NOT IN (SELECT name FROM pragma_table_list WHERE type = 'shadow') ORDER BY rowid DESC"
        )
        database.batch([Statement("PRAGMA defer_foreign_keys = ON"), *(Statement(str(sql)) for (sql,) in drops.rows)])
    return opened


def outcome(database: Database, statements: Sequence[Statement]) -> object:
    """What a batch comes to. Rounded numbers are compared as they are; costs are not."""
    try:
        results = database.batch(statements, lossy=True)
    except StatementRejected as error:
        return (error.text, error.index, error.offset)
    return [(result.columns, result.rows, result.meta.changes) for result in results]


CHAPTERS: dict[str, list[list[str]]] = {
    "tables": [
        ["CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT, c)", "INSERT INTO t(b, c) VALUES ('x', 1.5), (NULL, x'00')"],
        ["CREATE TABLE dq(a DEFAULT \"text\", CHECK (a <> 'no'))", "INSERT INTO dq DEFAULT VALUES", "SELECT * FROM dq"],
        ["ALTER TABLE t ADD COLUMN d INTEGER NOT NULL DEFAULT 7", "SELECT * FROM t"],
        ["ALTER TABLE t RENAME COLUMN c TO _cf_named", "ALTER TABLE t ADD COLUMN _cf_added"],
        ["ALTER TABLE t DROP COLUMN _cf_added", "SELECT sql FROM sqlite_schema WHERE name = 't'"],
        ["ALTER TABLE t RENAME TO _cf_t"],
        ["ALTER TABLE t RENAME TO u", "SELECT * FROM t"],
        ["CREATE TABLE g(a, b AS (a * 2) STORED, c AS (a || b))", "INSERT INTO g VALUES (3)", "SELECT * FROM g"],
        ["CREATE TABLE w(k PRIMARY KEY, v) WITHOUT ROWID", "INSERT INTO w VALUES (1, 2)", "SELECT rowid FROM w"],
        ["CREATE TABLE auto(a INTEGER PRIMARY KEY AUTOINCREMENT)", "INSERT INTO auto VALUES (9)"],
        ["UPDATE sqlite_sequence SET seq = 20", "INSERT INTO auto DEFAULT VALUES", "SELECT * FROM auto"],
        ["INSERT INTO u(a) VALUES (1)", "SELECT 1"],
        ["INSERT INTO u(a, b) VALUES (1, 'y') ON CONFLICT(a) DO UPDATE SET b = excluded.b RETURNING a, b"],
        ["INSERT INTO u(a) VALUES (50) RETURNING *; SELECT 5 AS five"],
        ["SELECT 1; SELECT 2, 3", "SELECT 1;", "SELECT 1 -- end", "SELECT 1;;SELECT 2"],
        ["SELECT 1; -- end"],
        ["CREATE TABLE in_one(a); INSERT INTO in_one VALUES (1), (2); SELECT a FROM in_one"],
        ["CREATE TABLE in_two(a); INSERT INTO nowhere VALUES (1)"],
        ["SELECT count(*) FROM sqlite_schema WHERE name = 'in_two'"],
        ["CREATE TABLE IF NOT EXISTS u(z)", "SELECT rowid, * FROM u", "SELECT *, rowid FROM u LIMIT 1"],
    ],
    "views and triggers": [
        ["CREATE TABLE t(a)", "CREATE TABLE log(x)", "CREATE VIEW v AS SELECT a, a + 1 AS b FROM t"],
        ["CREATE TRIGGER tr AFTER INSERT ON t BEGIN INSERT INTO log SELECT CASE 1 WHEN 1 THEN new.a END; END"],
        ["CREATE TRIGGER vi INSTEAD OF INSERT ON v BEGIN INSERT INTO t SELECT new.a; END"],
        ["INSERT INTO v VALUES (4, 0)"],
        ["SELECT * FROM log", "SELECT * FROM v", "DROP TABLE log", "INSERT INTO t VALUES (5)"],
        ["CREATE TRIGGER bad AFTER INSERT ON t BEGIN SELECT ?; END"],
        ["CREATE TRIGGER temp.x AFTER INSERT ON t BEGIN SELECT 1; END"],
        ["CREATE INDEX temp.x ON t(a)"],
        ["CREATE VIEW broken AS SELECT * FROM nowhere", "SELECT * FROM broken"],
        ["ALTER TABLE t RENAME COLUMN a TO z"],
        ["CREATE INDEX ie ON t(lower(a)) WHERE a > 1", "PRAGMA index_xinfo(ie)", "REINDEX", "REINDEX ie", "ANALYZE t"],
        ["SELECT tbl, idx, stat FROM sqlite_stat1 ORDER BY 1, 2", "UPDATE sqlite_stat1 SET stat = '9 9'"],
        ["DROP TABLE sqlite_stat1", "SELECT * FROM sqlite_stat1"],
    ],
    "virtual tables": [
        ["CREATE VIRTUAL TABLE f USING fts5(a, b, content='')", "SELECT name FROM sqlite_schema ORDER BY 1"],
        ["CREATE VIRTUAL TABLE d USING fts5(a)", "INSERT INTO d VALUES ('one two'), ('two three')"],
        ["SELECT rowid, highlight(d, 0, '[', ']') FROM d WHERE d MATCH 'two' ORDER BY bm25(d)"],
        ["CREATE VIRTUAL TABLE dv USING fts5vocab(d, row)", "SELECT * FROM dv"],
        ["INSERT INTO d_content VALUES (9, 'x')"],
        ["DROP TABLE d_data"],
        ["CREATE VIRTUAL TABLE r USING rtree(id, x0, x1)", "INSERT INTO r VALUES (1, 0, 5)", "SELECT rtreecheck('r')"],
        ["CREATE VIRTUAL TABLE n USING nothing(a)"],
        ["SELECT key, value, path FROM json_tree('{\"a\": [1, null]}')", "SELECT * FROM json_each(?1)"],
        ["SELECT * FROM fts3tokenize"],
        ["SELECT * FROM sqlite_dbpage"],
        ["SELECT * FROM generate_series(1, 3)"],
        ["SELECT * FROM pragma_page_count"],
        ["SELECT * FROM sqlite_temp_schema", "SELECT * FROM temp.sqlite_master"],
    ],
    "queries": [
        ["WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 5) SELECT sum(x), count(x) FROM n"],
        ["SELECT row_number() OVER (ORDER BY 1), lag(2) OVER (), nth_value(3, 1) OVER (), ntile(2) OVER ()"],
        ["SELECT * FROM (SELECT 1 AS a) NATURAL JOIN (SELECT 1 AS a, 2 AS b)", "SELECT 1 AS a, 2 AS a"],
        ["SELECT 'a' = 'A' COLLATE NOCASE, 'a' < 'B', 1 < '1', x'61' = 'a', NULL IS NULL, 1 IS DISTINCT FROM 2"],
        ["SELECT 1 / 0, 5 / 2, 5 % 0, 9223372036854775807 + 1, 1e308 * 10, -5 / 2, 7 & 3, 1 << 62, ~0"],
        ["SELECT 'a' = 'a' COLLATE nope"],
        ["SELECT upper('é'), 'é' LIKE 'É', length('é'), unicode('é'), substr('éa', 2), hex('é')"],
        ["EXPLAIN QUERY PLAN SELECT 1 UNION SELECT 2 ORDER BY 1"],
        ["SELECT 1 WHERE 'a' LIKE 'a' ESCAPE 'xx'"],
        ["VALUES (1), (2)", "SELECT 1 FROM (SELECT 1) WHERE 0", "SELECT count(*) FILTER (WHERE 0)"],
        ['SELECT "a string"', "SELECT [a] FROM (SELECT 1 AS a)", "SELECT `a` FROM (SELECT 1 AS a)"],
        ["SELECT 1_000, 0x1F, .5, 1e3, 'it''s'", "SELECT 1a"],
    ],
}  # fmt: skip


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_a_chapter_reads_the_same(pair: Pair, chapter: str) -> None:
    sqlite, workerd = pair
    for batch in CHAPTERS[chapter]:
        statements = [Statement(sql) for sql in batch]
        assert (batch, outcome(sqlite, statements)) == (batch, outcome(workerd, statements))


UNSTEADY = frozenset(("random", "randomblob", "current_date", "current_time", "current_timestamp", "total_changes"))
"""Functions whose value changes by itself."""
OF_NOW = {"date": 1, "time": 1, "datetime": 1, "julianday": 1, "unixepoch": 1, "strftime": 2}
"""Functions that mean the present with fewer arguments."""

arguments = st.one_of(
    st.integers(-3, 70).map(str),
    st.sampled_from(["NULL", "1.5", "-0.0", "9e999", "9223372036854775807", "x'00ff41'", "x''", "''", "char(0)"]),
    st.sampled_from(
        ["abc", "é", "1", "%d|%s", '[1,{"a":2}]', '{"a":null}', "$.a", "$[0]", "2024-02-30", "+1 month", "%Y-%j", "a%"]
    ).map(quote_text),
)  # fmt: skip


@given(name=st.sampled_from(sorted(rules.FUNCTIONS - UNSTEADY)), args=st.lists(arguments, max_size=4))
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_a_function_answers_the_same(pair: Pair, name: str, args: list[str]) -> None:
    sqlite, workerd = pair
    if name in ("like", "glob"):  # differences.COMPARES_BLOBS_WITH_LIKE
        args = [argument for argument in args if not argument.startswith("x'")]
    args += ["'2024-02-30'"] * (OF_NOW.get(name, 0) - len(args))
    call = f"{args[0]} {name} {args[-1]}" if name in ("->", "->>") and args else f"{name}({', '.join(args)})"
    cast = "CASE typeof(x) WHEN 'text' THEN CAST(x AS BLOB) ELSE x END"
    statements = [Statement(f"SELECT typeof(x), {cast} FROM (SELECT {call} AS x)")]
    assert outcome(sqlite, statements) == outcome(workerd, statements)
