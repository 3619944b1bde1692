"""One audit, byte for byte, whatever engine holds the target and whatever stands between."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from d1ops.core.audit.report import to_json
from d1ops.core.catalog import build_catalog
from d1ops.core.ledger import ledger_ddl
from d1ops.core.queries import parse_queries
from d1ops.core.sql import split
from d1ops.core.values import Statement
from d1ops.database.sqlite import SqliteDatabase
from d1ops.ops.audit import audit

if TYPE_CHECKING:
    from d1ops.ops.audit import Audited
    from tests.contract.conftest import Adapter

REPOSITORY = Path(__file__).resolve().parents[2]
LEDGER = "d1_migrations"

SCHEMA = """
CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT NOT NULL, city TEXT, UNIQUE (email));
CREATE INDEX users_city ON users (city);
CREATE INDEX users_email ON users (email);
CREATE TABLE orders (
  id TEXT PRIMARY KEY, user_id INTEGER REFERENCES users ON DELETE CASCADE, total REAL, note TEXT, at TEXT
) WITHOUT ROWID;
CREATE INDEX orders_at ON orders (at);
CREATE INDEX orders_at_total ON orders (at, total);
CREATE TABLE "Odd ""one" ("order" TEXT REFERENCES orders, rowid TEXT, up REFERENCES gone (id));
CREATE VIRTUAL TABLE notes USING fts5 (body);
CREATE VIEW totals AS SELECT user_id, sum(total) AS total FROM orders GROUP BY user_id;
INSERT INTO users (email, city) SELECT 'user' || key, 'city' || key % 7 FROM json_each(
  '[' || substr(replace(hex(zeroblob(1500)), '00', ',1'), 2) || ']'
);
"""
QUERIES = """
SELECT * FROM users WHERE lower(city) = ?1;
SELECT * FROM users WHERE city LIKE ?1;
SELECT u.email, (SELECT count(*) FROM orders AS o WHERE o.user_id = u.id) FROM users AS u;
SELECT * FROM totals WHERE total > ?1;
SELECT * FROM orders WHERE note = ?1 ORDER BY total LIMIT 3;
DELETE FROM users WHERE id = ?1;
SELECT missing FROM users;
"""


def statements() -> list[Statement]:
    return [Statement(statement.sql) for statement in split(SCHEMA)]


def text(done: Audited) -> str:
    return json.dumps(to_json(done.report), indent=1, ensure_ascii=False)


def test_the_same_audit_everywhere(database: Adapter, tmp_path: Path) -> None:
    queries = parse_queries(QUERIES.encode(), "queries.sql")
    reference = SqliteDatabase(tmp_path / "reference.sqlite")
    for one in (database, reference):
        one.batch(statements())
    done = audit(database, queries, LEDGER)
    assert done.requests == 2
    assert text(done) == text(audit(reference, queries, LEDGER))
    rules = {finding.rule for finding in done.report.findings}
    assert {
        "defeated-index",
        "correlated-scan",
        "foreign-key-mismatch",
        "foreign-key-without-index",
        "full-scan",
        "index-repeats-key",
        "prefix-index",
        "query-does-not-compile",
        "stale-statistics",
        "table-without-primary-key",
        "temp-b-tree",
    } <= rules
    for one in (database, reference):
        one.query("ANALYZE")
    done = audit(database, queries, LEDGER, count=True)
    assert done.requests == 3
    assert text(done) == text(audit(reference, queries, LEDGER, count=True))
    reference.close()


def test_the_targets_own_plans_are_those_of_the_mirror(database: Adapter) -> None:
    database.batch(statements())
    queries = parse_queries(QUERIES.encode(), "queries.sql")
    done = audit(database, queries, LEDGER, with_remote_plans=True)
    assert done.requests == 3
    assert [f.message for f in done.report.findings if f.rule == "plan-differs-on-target"] == []


def test_the_sample_has_one_foreign_key_without_an_index_and_then_none(database: Adapter) -> None:
    files = {path.name: path.read_bytes() for path in sorted((REPOSITORY / "db" / "migrations").glob("*.sql"))}
    catalog = build_catalog(files, {}, migrations_folder="db/migrations", rollbacks_folder="db/rollbacks")
    asked = [
        query
        for path in sorted((REPOSITORY / "db" / "queries").glob("*.sql"))
        for query in parse_queries(path.read_bytes(), f"db/queries/{path.name}")
    ]
    database.query(ledger_ddl(LEDGER))
    found: list[list[tuple[str, str | None, tuple[str, ...]]]] = []
    for migration in catalog.migrations:
        database.batch([Statement(statement.sql) for statement in migration.script.statements])
        database.query(f"INSERT INTO {LEDGER} (name) VALUES (?)", (migration.file,))
        if migration.number >= 11:
            done = audit(database, asked, LEDGER, read_catalog=lambda: catalog, with_remote_plans=True)
            found.append([(f.rule, f.table, f.columns) for f in done.report.findings])
            assert done.report.summary.foreign_keys == 29
            assert done.report.summary.drift_checked
    assert found == [[("foreign-key-without-index", "reviews", ("reviewer_user_id",))], []]
