"""What a plan reads whole, against what SQLite does: a query reads a table whole when its work grows with the table."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from d1ops.core.audit.plans import Plan, PlanRefused, plan_of, trees_of
from d1ops.core.engine import Engine

SCHEMA = (
    "CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT, v TEXT, w TEXT)",
    "CREATE INDEX t_k ON t (k, w)",
    "CREATE TABLE u (id TEXT PRIMARY KEY, t_id INTEGER, v TEXT) WITHOUT ROWID",
    "CREATE INDEX u_t_id ON u (t_id)",
    "CREATE TABLE copy (id INTEGER PRIMARY KEY, k TEXT, v TEXT, w TEXT)",
    "CREATE TABLE child (id INTEGER PRIMARY KEY, t_id INTEGER REFERENCES t ON DELETE CASCADE, v TEXT)",
    "CREATE VIEW per_v AS SELECT v, count(*) AS n FROM t GROUP BY v",
    "CREATE TABLE logged (id INTEGER PRIMARY KEY, v TEXT)",
    "CREATE TRIGGER on_logged AFTER UPDATE ON logged BEGIN DELETE FROM copy WHERE v = new.v; END",
)
TABLES = frozenset(("t", "u", "copy", "child", "logged"))
FILL = {
    "t": "INSERT INTO t SELECT value, 'k' || value, 'v' || value, 'w' FROM filler",
    "u": "INSERT INTO u SELECT 'u' || value, value, 'x' || value FROM filler",
    "copy": "INSERT INTO copy SELECT value, 'k', 'v' || value, 'w' FROM filler",
    "child": "INSERT INTO child SELECT value, NULL, 'v' FROM filler",
    "logged": "INSERT INTO logged SELECT value, 'v' FROM filler",
}
SMALL, LARGE = 20, 320


def built() -> Engine:
    engine = Engine.memory()
    for statement in SCHEMA:
        engine.ask(statement)
    return engine


def planned(sql: str, parameters: int = 0) -> Plan:
    engine = built()
    return plan_of(engine, sql, parameters, trees_of(engine, TABLES))


def steps(sql: str, sizes: dict[str, int]) -> int:
    """The instructions that SQLite executes for a query over tables of these sizes, all parameters NULL."""
    engine = built()
    counted = 0

    def count() -> bool:
        nonlocal counted
        counted += 1
        return False

    with engine.unlimited():
        for table, rows in sizes.items():
            filler = "WITH RECURSIVE filler (value) AS (VALUES (1) UNION ALL SELECT value + 1 FROM filler LIMIT ?)"
            engine.ask(f"{filler} {FILL[table]}", (rows,))
    engine.ask("PRAGMA foreign_keys = ON")
    engine.connection.set_progress_handler(count, 1)
    engine.ask(sql)
    engine.close()
    return counted


def tables_read_whole(sql: str) -> set[str]:
    """The tables with whose size the work grows by an instruction a row at least."""
    base = steps(sql, dict.fromkeys(TABLES, SMALL))
    return {
        table for table in TABLES if steps(sql, dict.fromkeys(TABLES, SMALL) | {table: LARGE}) - base >= LARGE - SMALL
    }


# No condition below holds for any row, so a search ends at once and a scan goes to the end.
CONDITIONS = st.sampled_from(
    (
        "t.k = 'none'",
        "t.v = 'none'",
        "t.id = -1",
        "t.id > 1000000",
        "t.k > 'z'",
        "t.k LIKE 'none%'",
        "t.k GLOB 'none*'",
        "t.k IN ('none', 'nothing')",
        "t.v IN ('none', 'nothing')",
        "lower(t.k) = 'none'",
        "(t.k = 'none' OR t.id = -1)",
        "(t.k = 'none' OR t.v = 'none')",
        "t.id IN (SELECT t_id FROM u WHERE id = 'none')",
        "t.v IN (SELECT v FROM u)",
        "EXISTS (SELECT 1 FROM u WHERE u.t_id = -1 AND u.v = t.v)",
        "t.k IS NULL",
        "t.v IS NULL",
        "t.w = 'none' AND t.k = 'none'",
    )
)
HEADS = st.sampled_from(
    (
        "SELECT * FROM t WHERE {}",
        "SELECT k FROM t WHERE {} ORDER BY v",
        "SELECT id FROM t WHERE {} ORDER BY id DESC LIMIT 3",
        "SELECT k, w FROM t WHERE {} ORDER BY k, w LIMIT 3",
        "SELECT DISTINCT v FROM t WHERE {}",
        "SELECT v, count(*) FROM t WHERE {} GROUP BY v",
        "SELECT max(k) FROM t WHERE {}",
        "SELECT min(v) FROM t WHERE {}",
        "SELECT max(id) FROM t WHERE {}",
        "SELECT * FROM t WHERE {} UNION SELECT * FROM t WHERE id = -2",
        "SELECT * FROM t JOIN copy ON copy.id = t.id WHERE {}",
        "WITH copy AS (SELECT * FROM t WHERE {} LIMIT 9) SELECT * FROM copy",
        "WITH c AS MATERIALIZED (SELECT * FROM t WHERE {}) SELECT * FROM c",
        "SELECT (SELECT v FROM t WHERE {})",
        "SELECT row_number() OVER (ORDER BY v) FROM t WHERE {}",
        "UPDATE t SET v = 'x' WHERE {}",
        "DELETE FROM copy WHERE id IN (SELECT id FROM t WHERE {})",
        "INSERT INTO copy SELECT * FROM t WHERE {}",
    )
)


@given(HEADS, CONDITIONS)
def test_a_whole_read_is_work_that_grows_with_the_table(head: str, condition: str) -> None:
    sql = head.format(condition)
    plan = planned(sql)
    assert {read.tree.table for read in plan.whole_reads} == tables_read_whole(sql), plan


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * FROM t",
        "SELECT max(id), 1 FROM t",
        "SELECT max(id) FROM t",
        "SELECT min(k) FROM t",
        "SELECT max(v) FROM t",
        "SELECT sum(id) FROM t",
        "SELECT * FROM per_v WHERE n > 1",
        "SELECT * FROM t AS u LEFT JOIN u AS t ON t.t_id = u.id WHERE u.id = -1",
        "SELECT * FROM json_each('[1, 2]') AS t",
        "INSERT INTO copy SELECT * FROM t WHERE id < 0",
        "DELETE FROM t WHERE id = 1",
        "DELETE FROM u",
        "UPDATE logged SET v = 'x' WHERE id = 1",
        "UPDATE t SET v = 'x'",
        "WITH RECURSIVE t (x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM t WHERE x < 3) SELECT * FROM t",
    ],
)
def test_examples_do_what_the_plan_says(sql: str) -> None:
    plan = planned(sql)
    assert {read.tree.table for read in plan.whole_reads} == tables_read_whole(sql), plan


def test_an_automatic_index_is_a_whole_read_of_its_table() -> None:
    plan = planned("SELECT * FROM t AS a JOIN copy AS b ON a.v = b.v")
    assert [(read.tree.table, read.line) for read in plan.whole_reads] == [
        ("t", "SCAN a"),
        ("copy", "SEARCH b USING AUTOMATIC COVERING INDEX (v=?)"),
    ]


def test_the_copy_of_a_table_has_no_plan_and_is_a_whole_read() -> None:
    plan = planned("INSERT INTO copy SELECT * FROM t")
    assert plan.lines == ()
    assert ("t", None) in {(read.tree.table, read.tree.index) for read in plan.whole_reads}


def test_looking_whether_a_table_is_empty_is_no_whole_read() -> None:
    engine = Engine.memory()
    for table in ("a", "b"):
        engine.ask(f"CREATE TABLE {table} (x TEXT); CREATE INDEX {table}_x ON {table} (x)")
    plan = plan_of(engine, "INSERT INTO b SELECT * FROM a", 0, trees_of(engine, frozenset("ab")))
    assert {(read.tree.table, read.tree.index) for read in plan.whole_reads} == {("a", None), ("a", "a_x")}


def test_a_bare_count_is_a_whole_read_that_counts() -> None:
    (read,) = planned("SELECT count(*) FROM t").whole_reads
    assert (read.tree.table, read.tree.index, read.counts) == ("t", "t_k", True)


def test_lines_are_indented_by_their_place_in_the_plan() -> None:
    plan = planned("SELECT * FROM t WHERE id = ?1 UNION SELECT * FROM t WHERE k = ?2", 2)
    assert plan.lines == (
        "MERGE (UNION)",
        "  LEFT",
        "    SEARCH t USING INTEGER PRIMARY KEY (rowid=?)",
        "  RIGHT",
        "    SEARCH t USING INDEX t_k (k=?)",
        "    USE TEMP B-TREE FOR ORDER BY",
    )


@pytest.mark.parametrize(
    ("sql", "text", "offset"),
    [
        ("SELECT missing FROM t", "no such column: missing", 7),
        ("SELECT * FROM gone", "no such table: gone", None),
        ("SELECT power(2, 3)", "not authorized to use function: power", 7),
        ("SELECT * FROM t WHERE k = ?101", "variable number must be between ?1 and ?100", 26),
        ("SELECT * FROM t WHERE", "incomplete input", None),
    ],
)
def test_what_does_not_compile_is_refused_with_its_place(sql: str, text: str, offset: int | None) -> None:
    with pytest.raises(PlanRefused) as refused:
        planned(sql)
    assert (refused.value.text, refused.value.offset) == (text, offset)


def test_planning_a_write_writes_nothing() -> None:
    engine = built()
    engine.ask("INSERT INTO t (id) VALUES (1)")
    plan_of(engine, "DELETE FROM t", 0, trees_of(engine, TABLES))
    assert engine.count("t") == 1
