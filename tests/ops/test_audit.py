"""The audit of a target: what it asks, and that it asks little and writes nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from d1ops.core.queries import parse_queries
from d1ops.core.values import Statement
from d1ops.database.sqlite import SqliteDatabase
from d1ops.ops.audit import audit

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

QUERIES = parse_queries(b"SELECT * FROM t WHERE k = ?1; SELECT * FROM t WHERE v = ?1;", "queries.sql")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    database = SqliteDatabase(tmp_path / "target.sqlite")
    yield database
    database.close()


def run(database: SqliteDatabase, *statements: str) -> None:
    database.batch([Statement(sql) for sql in statements])


def test_an_empty_target_is_one_request_and_no_finding(database: SqliteDatabase) -> None:
    audited = audit(database, (), "d1_migrations")
    assert (audited.requests, audited.report.findings, audited.target) == (1, (), database.target)


def test_without_statistics_one_request_is_enough(database: SqliteDatabase) -> None:
    run(
        database,
        *(f"CREATE TABLE t{number} (id INTEGER PRIMARY KEY, up INTEGER REFERENCES t0)" for number in range(60)),
    )
    audited = audit(database, (), "d1_migrations")
    assert audited.requests == 1
    assert len(audited.report.findings) == audited.report.summary.foreign_keys == 60


def test_the_targets_own_statistics_take_a_second_request(database: SqliteDatabase) -> None:
    run(
        database,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT, v TEXT)",
        "CREATE INDEX t_k ON t (k)",
        "INSERT INTO t (k) SELECT 'same' FROM json_each('[1,2,3,4,5,6,7,8]')",
        "ANALYZE",
    )
    audited = audit(database, QUERIES, "d1_migrations")
    assert audited.requests == 2
    assert audited.report.summary.has_statistics
    assert {(finding.severity.value, finding.query) for finding in audited.report.findings} == {
        ("info", "queries"),
        ("warning", "queries #2"),
    }
    assert all("about 8 by its statistics" in finding.message for finding in audited.report.findings)


def test_an_audit_changes_nothing(database: SqliteDatabase) -> None:
    run(database, "CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT, v TEXT)", "ANALYZE")
    before = database.query("SELECT * FROM sqlite_master").rows
    audit(database, QUERIES, "d1_migrations")
    assert database.query("SELECT * FROM sqlite_master").rows == before
    assert database.query("SELECT count(*) FROM t").scalar() == 0
