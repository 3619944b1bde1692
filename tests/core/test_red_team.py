"""Comparisons that two unlike things could pass as alike."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from d1ops.core.engine import Engine
from d1ops.core.ledger import require_untouched
from d1ops.core.lossless import read_totals, reader_of
from d1ops.core.measure import BEFORE, loss_name, lowered_counters, measure, table_of
from d1ops.core.mirror import schema_of
from d1ops.core.replay import effects, watching
from d1ops.core.schema import SchemaObject, structure
from d1ops.core.sql import fold, quote_identifier, split
from d1ops.core.values import Statement
from d1ops.errors import LedgerRefused

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=6)


@given(NAMES, NAMES)
def test_names_fold_as_sqlite_compares_them(one: str, other: str) -> None:
    engine = Engine.memory()
    same = engine.ask_one("SELECT ?1 = ?2 COLLATE NOCASE", (one, other))
    assert (fold(one) == fold(other)) == bool(same)


@given(NAMES, NAMES, NAMES)
def test_no_two_losses_share_a_name(table: str, column: str, other: str) -> None:
    assert loss_name(table, column) != loss_name(other)
    assert table_of(loss_name(table, column)) == table_of(loss_name(table)) == loss_name(table)


@given(st.lists(NAMES, min_size=1, max_size=5, unique_by=fold))
def test_any_names_can_be_read_for_a_backup(names: list[str]) -> None:
    engine = Engine.memory()
    table = names[0] if not names[0].lower().startswith(("sqlite_", "_cf_")) else "t"
    columns = ", ".join(map(quote_identifier, names))
    with engine.unlimited():
        engine.ask(f"CREATE TABLE {quote_identifier(table)} ({columns})")
        engine.ask(f"INSERT INTO {quote_identifier(table)} VALUES ({', '.join('?' * len(names))})", names)
    reader = reader_of(engine, table)
    (row,) = engine.ask(reader.select())
    assert row[-len(names) :] == tuple(f"t{name}" for name in names)
    (figures,) = engine.ask(reader.totals())
    assert read_totals(figures)[1][-len(names) :] == tuple(float(len(name.encode())) for name in names)


def test_a_shadow_table_is_the_same_in_either_quotes() -> None:
    forms = {
        structure(SchemaObject("table", "f_data", "f_data", sql))
        for sql in ("CREATE TABLE 'f_data'(id INTEGER)", 'CREATE TABLE "f_data"(id INTEGER)')
    }
    assert len(forms) == 1


def test_what_a_script_empties_is_told_from_what_it_fills() -> None:
    engine = Engine.memory()
    engine.execute("CREATE TABLE a (id INTEGER PRIMARY KEY, v, w)")
    engine.execute("CREATE TABLE b (id INTEGER PRIMARY KEY, a REFERENCES a (id) ON DELETE CASCADE)")
    script = "ALTER TABLE a ADD COLUMN n; UPDATE a SET n = v; UPDATE a SET v = NULL; DELETE FROM a; DROP TABLE b;"
    found = effects(engine, split(script))
    assert found.emptied == {("a", "v"), ("a", None), ("b", None)}


def test_writes_are_seen_though_no_row_is_there() -> None:
    engine = Engine.memory()
    for sql in (
        "CREATE TABLE p (id INTEGER PRIMARY KEY)",
        "CREATE TABLE k (p REFERENCES p (id) ON DELETE SET NULL)",
        "CREATE TABLE log (x)",
        "CREATE TRIGGER t AFTER UPDATE ON k BEGIN DELETE FROM log; END",
    ):
        engine.execute(sql)
    with watching(engine) as written:
        engine.execute("DELETE FROM p")
    assert written == {"p", "k", "log"}


@pytest.mark.parametrize("sql", ["CREATE TABLE d1_migrations (id)", "CREATE INDEX i ON t (v)", "CREATE TABLE n (v)"])
def test_what_is_not_ours_may_change(sql: str) -> None:
    engine = Engine.memory()
    engine.execute("CREATE TABLE t (v)")
    before = schema_of(engine)
    engine.execute(sql)
    require_untouched("x.sql", {"t", "n"}, before, schema_of(engine), "d1_migrations")
    with pytest.raises(LedgerRefused, match=r"x\.sql changes D1_MIGRATIONS"):
        require_untouched("x.sql", {"D1_MIGRATIONS"}, before, schema_of(engine), "d1_migrations")


def beside(*statements: str) -> Engine:
    """An engine in memory with an attached copy of what the statements made."""
    source = Engine.memory()
    source.run([Statement(sql) for sql in statements])
    engine = Engine.memory()
    with engine.free(), source.free():
        engine.connection.execute(f"ATTACH ':memory:' AS {BEFORE}")
        for schema in ("main", BEFORE):
            with engine.connection.backup(schema, source.connection, "main") as copy:
                copy.step()
    return engine


@given(st.lists(st.sampled_from(["1", "1.0", "'1'", "x'31'", "NULL", "'a'", "'A'", "-0.5"]), max_size=12))
def test_copying_a_table_without_a_key_loses_nothing_whatever_the_order(values: list[str]) -> None:
    engine = beside("CREATE TABLE t (v)", *(f"INSERT INTO t VALUES ({value})" for value in values))
    engine.run(
        [
            Statement(sql)
            for sql in (
                "CREATE TABLE t2 (v)",
                "INSERT INTO t2 SELECT v FROM t ORDER BY typeof(v) DESC, v DESC",
                "DROP TABLE t",
                "ALTER TABLE t2 RENAME TO t",
            )
        ]
    )
    assert measure(engine, ["t"], {}) == ()


@given(
    st.lists(st.sampled_from(["1", "1.0", "'1'", "NULL", "'a'", "'A'"]), min_size=1, max_size=8),
    st.integers(0, 7),
)
def test_one_row_less_is_one_row_lost(values: list[str], gone: int) -> None:
    engine = beside("CREATE TABLE t (v)", *(f"INSERT INTO t VALUES ({value})" for value in values))
    kept = [value for index, value in enumerate(values) if index != gone % len(values)]
    engine.run([Statement("CREATE TABLE t2 (v)"), Statement("DROP TABLE t")])
    engine.run([Statement(f"INSERT INTO t2 VALUES ({value})") for value in kept])
    engine.run([Statement("ALTER TABLE t2 RENAME TO t")])
    (loss,) = measure(engine, ["t"], {})
    assert (loss.rows_lost, loss.losses) == (1, ("t",))


def test_a_counter_is_compared_by_table() -> None:
    engine = beside(
        "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT)",
        "CREATE TABLE u (id INTEGER PRIMARY KEY AUTOINCREMENT)",
        "INSERT INTO t VALUES (9)",
        "INSERT INTO u VALUES (5)",
    )
    assert lowered_counters(engine) == ()
    engine.run([Statement("UPDATE sqlite_sequence SET seq = 7"), Statement("DROP TABLE u")])
    (text,) = lowered_counters(engine)
    assert "of t falls from 9 to 7" in text
