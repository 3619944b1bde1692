"""The structural comparison, judged on schemas that SQLite itself made."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from d1ops.core.engine import Engine
from d1ops.core.mirror import build_mirror, schema_of
from d1ops.core.schema import SCHEMA_TEXT_SQL, Schema, SchemaObject, column_order, diff, structure
from d1ops.core.values import Statement


def made(*statements: str) -> Schema:
    engine = Engine.memory()
    engine.run([Statement(sql) for sql in statements])
    return schema_of(engine)


SAME = [
    ("CREATE TABLE t (a INTEGER, b TEXT)", 'create  table "T"(\n [A] integer , -- first\n `b` text /* second */ )'),
    ("CREATE TABLE t (a, b, c)", "CREATE TABLE IF NOT EXISTS t (a, c, b)"),
    ("CREATE TABLE t (a, UNIQUE (a), CHECK (a > 0))", "CREATE TABLE t (a, CHECK (a > 0), UNIQUE (a))"),
    (
        "CREATE TABLE t (a INT PRIMARY KEY) STRICT, WITHOUT ROWID",
        "CREATE TABLE t (a int primary key) without rowid,strict",
    ),
]

DIFFERENT = [
    ("CREATE TABLE t (a INTEGER)", "CREATE TABLE t (a TEXT)"),
    ("CREATE TABLE t (a TEXT DEFAULT 'x')", "CREATE TABLE t (a TEXT DEFAULT 'X')"),
    ('CREATE TABLE t (a TEXT DEFAULT "x")', 'CREATE TABLE t (a TEXT DEFAULT "X")'),
    ("CREATE TABLE t (a CHECK (a IN ('x')))", "CREATE TABLE t (a CHECK (a IN ('x', 'y')))"),
    ("CREATE TABLE t (a TEXT COLLATE NOCASE)", "CREATE TABLE t (a TEXT)"),
    ("CREATE TABLE t (a REFERENCES p ON DELETE CASCADE)", "CREATE TABLE t (a REFERENCES p)"),
    ("CREATE TABLE t (a INT) STRICT", "CREATE TABLE t (a INT)"),
    ("CREATE TABLE t (a INT PRIMARY KEY) WITHOUT ROWID", "CREATE TABLE t (a INT PRIMARY KEY)"),
    ("CREATE TABLE t (a INTEGER PRIMARY KEY AUTOINCREMENT)", "CREATE TABLE t (a INTEGER PRIMARY KEY)"),
    ("CREATE TABLE t (a, b AS (a + 1))", "CREATE TABLE t (a, b AS (a + 2))"),
    ("CREATE TABLE t (a NOT NULL)", "CREATE TABLE t (a)"),
    ("CREATE TABLE t (a, b, UNIQUE (a, b))", "CREATE TABLE t (a, b, UNIQUE (b, a))"),
]


@pytest.mark.parametrize(("one", "other"), SAME)
def test_what_carries_no_meaning_does_not_count(one: str, other: str) -> None:
    assert [structure(o) for o in made(one).objects if o.sql] == [structure(o) for o in made(other).objects if o.sql]
    assert made(one).fingerprint() == made(other).fingerprint()


@pytest.mark.parametrize(("one", "other"), DIFFERENT)
def test_what_carries_meaning_counts(one: str, other: str) -> None:
    assert [d.change for d in diff(made(one), made(other)) if d.label == "table t"] == ["different"]
    assert made(one).fingerprint() != made(other).fingerprint()


def test_a_column_order_is_a_verdict_of_its_own() -> None:
    one, other = made("CREATE TABLE t (a, b)"), made("CREATE TABLE t (b, a)")
    assert [d.change for d in diff(one, other)] == ["reordered"]
    assert column_order(other.objects[0]) == ("b", "a")


def test_an_index_keeps_its_column_order() -> None:
    table = "CREATE TABLE t (a, b)"
    one, other = made(table, "CREATE INDEX i ON t (a, b)"), made(table, "CREATE INDEX i ON t (b, a)")
    assert [(d.change, d.label) for d in diff(one, other)] == [("different", "index i")]


def test_objects_that_come_and_go_are_named() -> None:
    one = made("CREATE TABLE t (a)", "CREATE VIEW v AS SELECT a FROM t")
    other = made("CREATE TABLE t (a)", "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END")
    assert {(d.change, d.label) for d in diff(one, other)} == {("missing", "view v"), ("extra", "trigger g")}


def test_a_column_that_alter_table_added_and_took_away_leaves_no_trace() -> None:
    engine = Engine.memory()
    engine.execute("CREATE TABLE t (a INTEGER PRIMARY KEY, \"b c\" TEXT DEFAULT 'x', CHECK (a > 0))")
    before = schema_of(engine)
    for sql in ("ALTER TABLE t ADD COLUMN d TEXT", "ALTER TABLE t RENAME TO u", "ALTER TABLE u RENAME TO t"):
        engine.execute(sql)
    engine.execute("ALTER TABLE t DROP COLUMN d")
    assert diff(before, schema_of(engine)) == ()


def test_bookkeeping_is_no_part_of_a_users_schema() -> None:
    schema = made(
        "CREATE TABLE t (a INTEGER PRIMARY KEY AUTOINCREMENT, b UNIQUE)",
        "CREATE TABLE d1_migrations (id)",
        "CREATE TABLE d1ops_history (id)",
        "CREATE INDEX mine ON d1ops_history (id)",
    )
    assert [o.name for o in schema.users("D1_Migrations").objects] == ["t"]


NAMES = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)


@given(st.dictionaries(NAMES.filter(lambda n: not n.lower().startswith("sqlite_")), NAMES, min_size=1, max_size=4))
def test_the_text_equals_what_the_target_computes(names: dict[str, str]) -> None:
    engine = Engine.memory()
    seen: set[str] = set()
    for table, column in names.items():
        if table.lower() in seen or table.lower().startswith("_cf_"):
            continue
        seen.add(table.lower())
        quoted = ['"' + name.replace('"', '""') + '"' for name in (table, column)]
        with engine.free():
            try:
                engine.connection.execute(f"CREATE TABLE {quoted[0]} ({quoted[1]} /* é\n\t\x7f */)")
            except Exception as error:  # noqa: BLE001 - names that SQLite folds to the same one
                assert "already" in str(error)  # noqa: PT017
    (text,) = engine.ask(f"SELECT {SCHEMA_TEXT_SQL.replace('?2', '?1')}", ("d1_migrations",))[0]
    assert text == schema_of(engine).users("d1_migrations").text()
    assert json.loads(str(text)) is not None


MIRRORED = [
    "CREATE TABLE p (a INTEGER PRIMARY KEY AUTOINCREMENT, b TEXT UNIQUE, c AS (a * 2) STORED)",
    "CREATE TABLE w (a TEXT, b TEXT, PRIMARY KEY (a, b)) STRICT, WITHOUT ROWID",
    "CREATE TABLE c (p INTEGER REFERENCES p (a) ON DELETE CASCADE)",
    "CREATE UNIQUE INDEX part ON p (b DESC) WHERE b IS NOT NULL",
    "CREATE INDEX expr ON p (lower(b))",
    "CREATE VIEW v AS SELECT * FROM later",
    "CREATE TABLE later (x)",
    "CREATE TRIGGER g AFTER INSERT ON p BEGIN INSERT INTO c VALUES (new.a); END",
    "CREATE VIRTUAL TABLE f USING fts5(title, body)",
]


def test_a_mirror_holds_the_same_schema() -> None:
    schema = made(*MIRRORED)
    mirror = build_mirror(schema.objects, statistics=[("p", "part", "10 1")])
    again = schema_of(mirror)
    assert {o for o in again.objects if not o.name.startswith("sqlite_stat")} == set(schema.objects)
    assert mirror.ask("SELECT tbl, idx, stat FROM sqlite_stat1") == [("p", "part", "10 1")]


def test_cloudflares_tables_are_left_out_of_a_mirror() -> None:
    objects = [SchemaObject("table", "_cf_KV", "_cf_KV", "CREATE TABLE _cf_KV (k)")]
    assert schema_of(build_mirror(objects)).objects == ()
