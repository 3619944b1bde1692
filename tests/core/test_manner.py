"""How a rollback goes about it, against what workerd bills for it."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from d1ops.core.catalog import build_catalog
from d1ops.core.manner import manners
from d1ops.core.sql import split
from d1ops.database.workerd import WorkerdDatabase
from tests.support.node import MODULES

if TYPE_CHECKING:
    from pathlib import Path

BASE = "CREATE TABLE t (id INTEGER PRIMARY KEY, a); CREATE TABLE u (id INTEGER PRIMARY KEY);"
REBUILD = "CREATE TABLE n (id INTEGER PRIMARY KEY, a); INSERT INTO n SELECT id, a FROM t; DROP TABLE t;\
 ALTER TABLE n RENAME TO t;"
ROWS = 500


@pytest.mark.parametrize(
    ("forward", "back", "how", "cost", "times"),
    [
        ("CREATE INDEX i ON t (a);", "DROP INDEX i;", "drops 1 index", "a few rows", 0),
        ("CREATE TABLE x (a); CREATE TABLE y (a);", "DROP TABLE y; DROP TABLE x;", "drops 2 tables", "a few rows", 0),
        (
            "ALTER TABLE t ADD COLUMN b; ALTER TABLE t ADD COLUMN c;",
            "ALTER TABLE t DROP COLUMN c; ALTER TABLE t DROP COLUMN b;",
            "drops 2 columns of t",
            "every row of t, 2 times",
            2,
        ),
        ("ALTER TABLE t ADD COLUMN b;", REBUILD, "rebuilds t", "every row of t, twice", 1),
        ("UPDATE t SET a = 2;", "UPDATE t SET a = 1;", "changes rows", "the rows that it changes", 1),
        ("CREATE VIEW v AS SELECT 1;", "DROP VIEW v;", "drops 1 object", "a few rows", 0),
    ],
)
def test_what_is_said_is_what_workerd_bills(
    tmp_path: Path, forward: str, back: str, how: str, cost: str, times: int
) -> None:
    catalog = build_catalog(
        {"0001_base.sql": BASE.encode(), "0002_change.sql": forward.encode()}, {"0002_rollback.sql": back.encode()}
    )
    with closing(WorkerdDatabase("11111111-1111-1111-1111-111111111111", tmp_path, [MODULES])) as database:
        for statement in (*split(BASE), *split(forward)):
            database.query(statement.sql)
        database.query(
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {ROWS})"
            " INSERT INTO t (id, a) SELECT i, i FROM n"
        )
        written = sum(database.query(statement.sql).meta.rows_written or 0 for statement in split(back))

    assert (manners(catalog)[2].how, manners(catalog)[2].cost) == (how, cost)
    assert written // ROWS == times
