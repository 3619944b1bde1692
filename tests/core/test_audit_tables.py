"""The shapes of tables: read from one mirror or from many, and found out for a parent that has none."""

from __future__ import annotations

from itertools import groupby
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from d1ops.core.audit.foreign_keys import read_foreign_keys
from d1ops.core.audit.tables import read_tables
from d1ops.core.engine import Engine
from d1ops.core.mirror import build_mirror, schema_of
from d1ops.core.schema import SchemaObject
from tests.support.schemas import COLLATIONS, TYPES, draw_schema

if TYPE_CHECKING:
    from d1ops.core.audit.tables import Table

MANY = 1_300
"""More tables than are read from one mirror, and not a multiple of it."""


ONCE = {
    "notes": "CREATE VIRTUAL TABLE notes USING fts5(a, b)",
    "counted": "CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, a ANY)",
    "kept": "CREATE TABLE kept (a ANY COLLATE RTRIM, b INT AS (1), PRIMARY KEY (a DESC)) STRICT, WITHOUT ROWID",
    "collate ": 'CREATE TABLE "collate " (a /* collate */, rowid, "b c" TEXT UNIQUE)',
}


def large_schema() -> list[SchemaObject]:
    random = Random(11)
    objects = [SchemaObject("table", name, name, sql) for name, sql in ONCE.items()]
    objects.append(SchemaObject("view", "seen", "seen", "CREATE VIEW seen AS SELECT a FROM kept"))
    for number in range(MANY):
        table, index = f"t {number}", f"i {number}"
        columns = ", ".join(f"{name} {random.choice(TYPES)}{random.choice(COLLATIONS)}" for name in "abc")
        end = random.choice((")", ", UNIQUE (c))", ", PRIMARY KEY (b, a))", ", PRIMARY KEY (b, a)) WITHOUT ROWID"))
        terms = ", ".join(random.sample(("a", "b DESC", "c COLLATE NOCASE", "lower(a)"), 2))
        condition = random.choice(("", " WHERE b > 1"))
        objects.append(SchemaObject("table", table, table, f'CREATE TABLE "{table}" ({columns}{end}'))
        objects.append(SchemaObject("index", index, table, f'CREATE INDEX "{index}" ON "{table}" ({terms}){condition}'))
        objects.append(SchemaObject("index", f"{index}b", table, f'CREATE INDEX "{index}b" ON "{table}" (b)'))
    return objects


def test_many_tables_are_read_as_few_are() -> None:
    objects = large_schema()
    engine = build_mirror(objects)
    schema = schema_of(engine)
    names = schema.tables()
    found = read_tables(engine, schema, frozenset(names))
    assert {"notes", "notes_data", "sqlite_sequence"} < set(names)
    assert list(found) == [name for name in names if not name.startswith("notes")]
    assert {column.collation for table in found.values() for column in table.columns} == {"BINARY", "NOCASE", "RTRIM"}
    from_the_whole: dict[str, Table] = {}
    for start in range(0, len(names), 400):
        from_the_whole |= read_tables(engine, schema, frozenset(names[start : start + 400]))
    assert list(found.items()) == list(from_the_whole.items())
    by_table = {table: list(own) for table, own in groupby(objects, key=lambda o: o.table)}
    for table in list(found)[::25]:
        if table in by_table:
            alone = build_mirror(by_table[table])
            assert read_tables(alone, schema_of(alone), frozenset((table,))) == {table: found[table]}
            alone.close()
    engine.close()


@given(st.randoms(use_true_random=False))
def test_a_parent_that_is_no_users_table_compares_as_if_it_were(random: Random) -> None:
    drawn = draw_schema(random)
    engine = drawn.build()
    assert_same_values(engine, drawn.child)
    engine.close()


@pytest.mark.parametrize(
    "parent",
    [
        "CREATE TABLE p (k ANY PRIMARY KEY) STRICT",
        "CREATE TABLE p (k ANY PRIMARY KEY)",
        "CREATE TABLE p (k INTEGER PRIMARY KEY)",
        "CREATE TABLE p (k INTEGER PRIMARY KEY DESC)",
        "CREATE TABLE p (k INTEGER COLLATE NOCASE PRIMARY KEY) WITHOUT ROWID",
        "CREATE TABLE p (j, k INTEGER, PRIMARY KEY (k, j))",
        "CREATE TABLE p (k BIGINT PRIMARY KEY)",
    ],
)
def test_so_does_one_of_each_kind(parent: str) -> None:
    engine = Engine.memory()
    engine.ask(parent)
    engine.ask("CREATE TABLE c (x TEXT COLLATE RTRIM REFERENCES P (K))")
    engine.ask("CREATE INDEX i ON c (x)")
    assert_same_values(engine, "c")
    engine.close()


def assert_same_values(engine: Engine, child: str) -> None:
    every = frozenset(schema_of(engine).tables())
    known = [key for key in read_foreign_keys(engine, every) if key.reference.table == child]
    asked = list(read_foreign_keys(engine, frozenset((child,))))
    assert asked == known
    assert [key.reference.values for key in asked] == [key.reference.values for key in known]
