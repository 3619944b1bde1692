"""What another order of a table's columns could break is named."""

from __future__ import annotations

import pytest

from d1ops.core.catalog import build_catalog
from d1ops.core.positional import uses_of_order
from d1ops.core.queries import parse_queries
from d1ops.core.reversibility import judge
from d1ops.core.sql import split


@pytest.mark.parametrize(
    ("sql", "uses"),
    [
        ("INSERT INTO t VALUES (1, 2)", ["INSERT INTO t without column names"]),
        ('INSERT OR IGNORE INTO main."T" VALUES (1, 2)', ["INSERT INTO t without column names"]),
        ("INSERT INTO t SELECT a, b FROM u", ["INSERT INTO t without column names"]),
        ("INSERT INTO t AS x VALUES (1, 2)", ["INSERT INTO t without column names"]),
        ("REPLACE INTO t DEFAULT VALUES", ["INSERT INTO t without column names"]),
        ("INSERT INTO t (a) SELECT * FROM u", ["SELECT *"]),
        ("SELECT t.* FROM t JOIN u", ["SELECT *"]),
        ("CREATE VIEW v AS SELECT DISTINCT * FROM t", ["SELECT *"]),
        ("INSERT INTO t (a) VALUES (1)", []),
        ("SELECT count(*), a * b FROM t", []),
        ("SELECT * FROM u", []),
        ("INSERT INTO u VALUES (1)", []),
    ],
)
def test_uses_of_order(sql: str, uses: list[str]) -> None:
    (statement,) = split(f"{sql};", "q.sql")
    assert list(uses_of_order("t", statement)) == [f"{use} (q.sql:1)" for use in uses]


def test_the_warning_names_later_scripts_other_rollbacks_and_queries() -> None:
    rebuild = "CREATE TABLE n (b, a); INSERT INTO n (a, b) SELECT a, b FROM t; DROP TABLE t; ALTER TABLE n RENAME TO t;"
    catalog = build_catalog(
        {
            "0001_a.sql": b"CREATE TABLE t (a, b); INSERT INTO t VALUES (1, 2);",
            "0002_b.sql": b"ALTER TABLE t ADD COLUMN c;",
            "0003_c.sql": b"INSERT INTO t VALUES (3, 4, 5);",
        },
        {"0001_r.sql": b"DROP TABLE t;", "0002_r.sql": rebuild.encode(), "0003_r.sql": b"DELETE FROM t WHERE a = 3;"},
    )
    queries = parse_queries(b"SELECT * FROM t;\nSELECT a FROM t;\n", "db/queries/t.sql")
    one = judge(catalog, queries=queries)[1]
    assert one.reordered == ("t",)
    assert one.warnings == (
        "the rows of t return under other rowids",
        "table t has its columns in another order after the rollback: INSERT INTO t without column names"
        " (db/migrations/0003_c.sql:1); SELECT * (db/queries/t.sql:1) would read or write them wrongly",
    )
