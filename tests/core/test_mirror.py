"""The mirror that is written as an image, against the same schema built statement by statement."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from d1ops.core.audit.foreign_keys import read_foreign_keys
from d1ops.core.engine import Engine
from d1ops.core.image import open_image
from d1ops.core.mirror import build_mirror, build_schema, load_statistics, schema_of
from d1ops.core.schema import Schema, SchemaObject
from d1ops.core.sql import quote_identifier, split
from d1ops.errors import HumanNeeded
from tests.support.schemas import draw_schema

if TYPE_CHECKING:
    from random import Random

    from d1ops.core.values import Row

REPOSITORY = Path(__file__).resolve().parents[2]

HAND_MADE = (
    "CREATE TABLE p (a INTEGER PRIMARY KEY AUTOINCREMENT, b TEXT UNIQUE, c AS (a * 2) STORED, UNIQUE (b, c))",
    "CREATE TABLE w (a TEXT, b TEXT, PRIMARY KEY (a, b), UNIQUE (b)) STRICT, WITHOUT ROWID",
    'CREATE TABLE "Odd ""one" ("order" TEXT PRIMARY KEY COLLATE NOCASE, x REFERENCES p (b))',
    "CREATE TABLE c (p INTEGER REFERENCES p (a) ON DELETE CASCADE)",
    "CREATE UNIQUE INDEX part ON p (b DESC) WHERE b IS NOT NULL",
    "CREATE INDEX expr ON p (lower(b))",
    "CREATE VIEW v AS SELECT * FROM later",
    "CREATE TABLE later (x)",
    "CREATE TRIGGER g AFTER INSERT ON p BEGIN INSERT INTO c VALUES (new.a); END",
    "CREATE VIRTUAL TABLE f USING fts5(title, body)",
    "CREATE TABLE renamed_before (id TEXT PRIMARY KEY, y UNIQUE)",
    'ALTER TABLE renamed_before RENAME TO "renamed after"',
    "CREATE TABLE spoken (x TEXT DEFAULT 'autoincrement')",
)


def made(*statements: str) -> Engine:
    engine = Engine.memory()
    with engine.unlimited():
        for statement in statements:
            engine.ask(statement)
    return engine


def sample() -> Engine:
    files = sorted((REPOSITORY / "db" / "migrations").glob("*.sql"))
    return made(*(s.sql for file in files for s in split(file.read_text(), file.name)))


def fast(schema: Schema) -> Engine:
    """The image alone: `build_mirror` would hide that it failed, and build statement by statement."""
    return open_image(
        [o for o in schema.objects if (o.sql or "").startswith("CREATE VIRTUAL")],
        [o for o in schema.objects if not (o.sql or "").startswith("CREATE VIRTUAL")],
    )


def slow(schema: Schema) -> Engine:
    engine = Engine.memory()
    build_schema(engine, schema.objects)
    return engine


def facts(engine: Engine) -> dict[str, list[Row]]:
    """All that SQLite tells of a schema, but for the order of its objects."""
    with engine.unlimited():
        tables = [str(name) for (name,) in engine.ask("SELECT name FROM sqlite_master WHERE type = 'table'")]
        found = {"master": sorted(engine.ask("SELECT type, name, tbl_name, coalesce(sql, '') FROM sqlite_master"))}
        found["tables"] = sorted(engine.ask("SELECT schema, name, type, ncol, wr, strict FROM pragma_table_list"))
        for table in tables:
            for pragma in ("table_xinfo", "foreign_key_list", "index_list"):
                name = quote_identifier(table)
                found[f"{pragma} {table}"] = sorted(engine.ask(f"PRAGMA {pragma}({name})"), key=repr)
            for index in engine.ask("SELECT name FROM pragma_index_list(?)", (table,)):
                found[f"index {index[0]!r}"] = engine.ask("SELECT * FROM pragma_index_xinfo(?)", index)
        found["check"] = [*engine.ask("PRAGMA integrity_check"), *engine.ask("PRAGMA foreign_key_check")]
    return found


def without_positions(found: dict[str, list[Row]]) -> dict[str, list[Row]]:
    """The first column of index_list counts the indexes of a table, the newest first."""
    return {
        title: sorted((row[1:] for row in rows), key=repr) if title.startswith("index_list") else rows
        for title, rows in found.items()
    }


def test_hand_made_schemas_are_equal() -> None:
    schema = schema_of(made(*HAND_MADE))
    image = fast(schema)
    assert facts(image) == facts(slow(schema)) == facts(build_mirror(schema.objects))
    assert set(schema_of(image).objects) == set(schema.objects)


def test_the_sample_is_equal() -> None:
    schema = schema_of(sample())
    assert facts(fast(schema)) == facts(slow(schema))


def test_the_indexes_of_constraints_are_sqlites_own() -> None:
    schema = schema_of(made(*HAND_MADE))
    bare = [o for o in schema.objects if o.sql is not None and not o.name.startswith("sqlite_")]
    planted = [*bare, SchemaObject("index", "sqlite_autoindex_c_7", "c", None)]
    assert without_positions(facts(fast(Schema(tuple(bare))))) == without_positions(facts(slow(schema)))
    for objects in (bare, planted, list(reversed(bare))):
        mirror = build_mirror(objects)
        assert without_positions(facts(mirror)) == without_positions(facts(slow(schema)))


@given(st.randoms(use_true_random=False))
def test_generated_schemas_are_equal_and_plan_alike(random: Random) -> None:
    drawn = draw_schema(random)
    schema = schema_of(drawn.build())
    image, built = fast(schema), slow(schema)
    assert facts(image) == facts(built)
    tables = frozenset(schema.tables())
    assert read_foreign_keys(image, tables) == read_foreign_keys(built, tables)


def test_a_mirror_takes_rows_as_any_database() -> None:
    mirror = build_mirror(schema_of(made(*HAND_MADE)).objects)
    mirror.execute("INSERT INTO p (b) VALUES ('x'), ('y')")
    mirror.execute("INSERT INTO w VALUES ('a', 'b')")
    mirror.execute("INSERT INTO f VALUES ('a title', 'some body')")
    mirror.execute("DELETE FROM p WHERE b = 'y'")
    mirror.execute("INSERT INTO p (b) VALUES ('z')")
    assert mirror.ask("SELECT a, b FROM p ORDER BY a") == [(1, "x"), (3, "z")]
    assert mirror.ask("SELECT p FROM c ORDER BY p") == [(1,), (3,)]
    assert mirror.ask("SELECT title FROM f WHERE f MATCH 'body'") == [("a title",)]
    assert mirror.ask("PRAGMA integrity_check") == [("ok",)]


def test_statistics_are_loaded_and_loaded_anew() -> None:
    schema = schema_of(made("CREATE TABLE t (k, v)", "CREATE INDEX t_k ON t (k)"))
    mirror = build_mirror(schema.objects)
    query = "EXPLAIN QUERY PLAN SELECT * FROM t WHERE k = 1"
    plans = [mirror.ask(query)[0][3]]
    for stat in ("100000 100000", "100000 1"):
        load_statistics(mirror, [("t", "t_k", stat)])
        plans.append(mirror.ask(query)[0][3])
    assert plans == ["SEARCH t USING INDEX t_k (k=?)", "SCAN t", "SEARCH t USING INDEX t_k (k=?)"]


@pytest.mark.parametrize(
    "statement",
    ["CREATE TABLE t (a, a)", "CREATE INDEX t ON gone (x)", "CREATE TABLE", "CREATE VIRTUAL TABLE t USING nothing"],
)
def test_what_sqlite_does_not_read_is_named(statement: str) -> None:
    kind = "index" if " INDEX " in statement else "table"
    with pytest.raises(HumanNeeded, match=f"{kind} t cannot be rebuilt from its own definition"):
        build_mirror([SchemaObject(kind, "t", "t", statement)])
