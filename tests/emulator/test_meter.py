"""What statements cost: the emulator over SQLite beside workerd, which counts as D1 bills.

Rows written agree; rows read agree for scans, look-ups by key and counts, and differ where an index is walked. The
differences are those of docs/emulator.md.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, NamedTuple

import pytest

from d1ops.database.workerd import WorkerdDatabase
from d1ops.emulator.meter import TIMEOUT_TEXT, MeteredSqlite, TimeLimitExceeded
from tests.support.node import MODULES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Cost(NamedTuple):
    read: int
    written: int


SAME = [
    "CREATE TABLE p(id INTEGER PRIMARY KEY, n TEXT)",
    "CREATE TABLE t(id INTEGER PRIMARY KEY, k, v TEXT, s)",
    "CREATE TABLE u(a TEXT PRIMARY KEY, b UNIQUE)",
    "CREATE TABLE w(a TEXT PRIMARY KEY, b) WITHOUT ROWID",
    "CREATE TABLE au(id INTEGER PRIMARY KEY AUTOINCREMENT, b)",
    "CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES p(id) ON DELETE CASCADE)",
    "SELECT * FROM t",
    "SELECT * FROM t WHERE k = 3",
    "SELECT * FROM t WHERE k = 3 LIMIT 1",
    "SELECT * FROM t WHERE id = 5",
    "SELECT count(*) FROM t",
    "SELECT (SELECT count(*) FROM t) AS n",
    "SELECT (SELECT count(*) FROM t), v FROM t",
    "SELECT * FROM t ORDER BY v LIMIT 1",
    "SELECT max(id) FROM t",
    "SELECT max(k) FROM t",
    "SELECT * FROM t LIMIT 10 OFFSET 100",
    "SELECT k, count(*) FROM t WHERE k <> 99 GROUP BY k",
    "SELECT s, count(*) FROM t GROUP BY s",
    "SELECT DISTINCT s FROM t",
    "INSERT INTO t(k, v) VALUES(1, 'x')",
    "INSERT INTO u VALUES('a', 1)",
    "INSERT INTO u VALUES('b', 2), ('c', 3)",
    "INSERT INTO w VALUES('a', 1)",
    "INSERT INTO au(b) VALUES(1)",
    "UPDATE t SET v = 'y' WHERE id = 5",
    "UPDATE t SET v = 'z'",
    "UPDATE u SET b = 9 WHERE a = 'a'",
    "DELETE FROM t WHERE id = 7",
    "DELETE FROM u",
    "REPLACE INTO w VALUES('a', 3)",
    "INSERT INTO w VALUES('a', 3) ON CONFLICT DO UPDATE SET b = 9",
    "CREATE VIEW vv AS SELECT 1",
    "CREATE TRIGGER tr AFTER INSERT ON p BEGIN INSERT INTO w VALUES(new.id, 1); END",
    "EXPLAIN QUERY PLAN SELECT * FROM t",
    "PRAGMA table_list",
    "SELECT 1",
    "VALUES(1), (2)",
    "DELETE FROM w WHERE 0",
    "DELETE FROM t",
]
FILL = (
    "INSERT INTO t(k, v, s) WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 1000)"
    " SELECT i % 10, 'v' || i, i FROM n"
)
DIFFERENT = {
    FILL: (Cost(0, 1000), Cost(1001, 1000)),
    "CREATE INDEX tk ON t(k)": (Cost(2000, 1001), Cost(2005, 1001)),
    "SELECT * FROM t WHERE k = 3 -- by its index": (Cost(100, 0), Cost(101, 0)),
    "SELECT * FROM t WHERE id BETWEEN 11 AND 20": (Cost(10, 0), Cost(11, 0)),
    "SELECT count(*) FROM t WHERE k = 3": (Cost(1, 0), Cost(101, 0)),
    "SELECT * FROM t a JOIN t b ON b.id = a.s WHERE a.k = 3": (Cost(100, 0), Cost(201, 0)),
    "UPDATE t SET k = 77 WHERE k = 3": (Cost(100, 200), Cost(301, 200)),
    "INSERT INTO c SELECT 1, id FROM p": (Cost(0, 0), Cost(1, 0)),
}


@pytest.fixture
def both(tmp_path: Path) -> Iterator[tuple[MeteredSqlite, WorkerdDatabase]]:
    with (
        closing(MeteredSqlite(tmp_path / "a.sqlite", name="a")) as sqlite,
        closing(WorkerdDatabase("a", tmp_path, [MODULES])) as workerd,
    ):
        yield sqlite, workerd


def costs(both: tuple[MeteredSqlite, WorkerdDatabase], sql: str) -> tuple[Cost, Cost]:
    one, other = (database.query(sql).meta for database in both)
    assert (one.changes, one.last_row_id) == (other.changes, other.last_row_id), sql
    return Cost(one.rows_read or 0, one.rows_written or 0), Cost(other.rows_read or 0, other.rows_written or 0)


def test_rows_are_counted_as_workerd_counts_them_but_where_it_is_listed(
    both: tuple[MeteredSqlite, WorkerdDatabase],
) -> None:
    fill, *rest = DIFFERENT
    until = SAME.index("SELECT * FROM t")
    made = {sql: costs(both, sql) for sql in (*SAME[:until], fill, *SAME[until:18], *rest, *SAME[18:])}
    assert {sql: made[sql] for sql in DIFFERENT} == DIFFERENT
    assert {sql: each for sql, each in made.items() if sql not in DIFFERENT and each[0] != each[1]} == {}


def test_a_request_has_so_much_time_and_no_more(tmp_path: Path) -> None:
    endless = "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    with closing(MeteredSqlite(tmp_path / "a.sqlite", name="a", max_seconds=0.2)) as database:
        with pytest.raises(TimeLimitExceeded, match=TIMEOUT_TEXT):
            database.query(endless)
        assert database.query("SELECT 1").scalar() == 1
