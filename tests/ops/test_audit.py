"""The audit of a target: what it asks, and that it asks little and writes nothing."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from d1ops.core.catalog import build_catalog
from d1ops.core.ledger import ledger_ddl
from d1ops.core.queries import parse_queries
from d1ops.core.values import Statement
from d1ops.database.sqlite import SqliteDatabase
from d1ops.ops.audit import audit
from d1ops.ops.survey import remote_plans

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from d1ops.core.catalog import Catalog
    from d1ops.ops.audit import Audited

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


def test_two_requests_are_enough_for_any_number_of_tables(database: SqliteDatabase) -> None:
    run(
        database,
        *(f"CREATE TABLE t{number} (id INTEGER PRIMARY KEY, up INTEGER REFERENCES t0)" for number in range(260)),
    )
    audited = audit(database, (), "d1_migrations")
    assert audited.requests == 2
    assert len(audited.report.findings) == audited.report.summary.foreign_keys == 260


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
        ("info", QUERIES[0].name),
        ("warning", QUERIES[1].name),
    }
    assert all("about 8 by its statistics" in finding.message for finding in audited.report.findings)


def test_an_audit_changes_nothing(database: SqliteDatabase) -> None:
    run(database, "CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT, v TEXT)", "ANALYZE")
    before = database.query("SELECT * FROM sqlite_master").rows
    audit(database, QUERIES, "d1_migrations")
    assert database.query("SELECT * FROM sqlite_master").rows == before
    assert database.query("SELECT count(*) FROM t").scalar() == 0


MIGRATIONS = {
    "0001_t.sql": b"CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT, v TEXT);",
    "0002_k.sql": b"CREATE INDEX t_k ON t (k);",
}


def catalog(files: dict[str, bytes]) -> Catalog:
    return build_catalog(files, {}, migrations_folder="db/migrations", rollbacks_folder="db/rollbacks")


def applied(database: SqliteDatabase, *files: str) -> None:
    run(database, ledger_ddl("d1_migrations"), *(MIGRATIONS[file].decode() for file in files))
    for file in files:
        database.query("INSERT INTO d1_migrations (name) VALUES (?)", (file,))


def test_the_target_is_compared_with_what_its_migrations_build(database: SqliteDatabase) -> None:
    applied(database, *MIGRATIONS)
    audited = audit(database, (), "d1_migrations", read_catalog=lambda: catalog(MIGRATIONS))
    assert (audited.requests, audited.report.findings, audited.report.summary.drift_checked) == (2, (), True)
    run(database, "DROP INDEX t_k")
    (finding,) = audit(database, (), "d1_migrations", read_catalog=lambda: catalog(MIGRATIONS)).report.findings
    assert (finding.rule, finding.index, finding.fix_sql) == (
        "schema-drift",
        "t_k",
        "CREATE INDEX IF NOT EXISTS t_k ON t (k);",
    )


def test_drift_is_not_looked_for_where_nobody_can_replay(database: SqliteDatabase) -> None:
    applied(database, *MIGRATIONS)
    broken = {**MIGRATIONS, "0002_k.sql": b"CREATE INDEX t_k ON gone (k);"}
    for files in ({"0001_t.sql": MIGRATIONS["0001_t.sql"]}, broken):
        said: list[str] = []
        audited = audit(database, (), "d1_migrations", read_catalog=partial(catalog, files), tell=said.append)
        assert not audited.report.summary.drift_checked
        assert [text.partition(":")[0] for text in said] == ["drift is not looked for"]
        assert "0002_k.sql" in said[0]


def test_rows_are_known_from_rowids_and_counted_only_when_asked(database: SqliteDatabase) -> None:
    run(
        database,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT, v TEXT)",
        "CREATE TABLE w (id TEXT PRIMARY KEY) WITHOUT ROWID",
        'CREATE TABLE "hidden ""one" (rowid, _rowid_, oid)',
        "CREATE TABLE s (id INTEGER PRIMARY KEY)",
        "INSERT INTO t (id) VALUES (3), (9)",
        "INSERT INTO s VALUES (9007199254740993)",
        "INSERT INTO w VALUES ('a')",
    )
    queries = parse_queries(b"SELECT v FROM t; SELECT * FROM w; SELECT * FROM s;", "queries.sql")
    said: list[str] = []
    plain = audit(database, queries, "d1_migrations", tell=said.append)
    counted = audit(database, queries, "d1_migrations", count=True, tell=said.append)
    assert (plain.requests, counted.requests) == (2, 3)
    assert said == ["counting 4 tables: each row is read and billed, about 9 in all by what is known"]

    def rows(done: Audited) -> dict[str | None, object]:
        return {f.table: f.facts["rows"] for f in done.report.findings if f.rule == "full-scan"}

    assert rows(plain) == {"t": 9, "w": None, "s": None}
    assert rows(counted) == {"t": 2, "w": 1, "s": 1}


def test_a_query_that_the_target_refuses_or_plans_otherwise_is_found(database: SqliteDatabase) -> None:
    run(database, "CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT, v TEXT)")
    plans = remote_plans(database, (*QUERIES, *parse_queries(b"SELECT * FROM gone;", "other.sql")))
    assert [(plan.lines, (plan.refusal or "")[:13]) for plan in plans] == [
        (("SCAN t",), ""),
        (("SCAN t",), ""),
        ((), "no such table"),
    ]
    audited = audit(database, QUERIES, "d1_migrations", with_remote_plans=True)
    assert audited.requests == 3
    assert not [finding for finding in audited.report.findings if finding.rule == "plan-differs-on-target"]
