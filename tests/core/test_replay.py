"""What a script touches, told by SQLite's authorizer and not by reading it."""

from __future__ import annotations

import pytest

from d1ops.core.engine import Engine
from d1ops.core.replay import effects
from d1ops.core.sql import split
from d1ops.core.values import Statement
from d1ops.errors import StatementRejected

SCHEMA = (
    "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT, plan TEXT)",
    "CREATE TABLE log (line TEXT)",
    "CREATE TRIGGER note AFTER INSERT ON log BEGIN UPDATE users SET plan = 'x'; END",
)


def touched(script: str) -> set[str]:
    engine = Engine.memory()
    engine.run([Statement(sql) for sql in SCHEMA])
    return set(effects(engine, split(script)).tables)


@pytest.mark.parametrize(
    "script",
    [
        "CREATE TABLE new (a); CREATE INDEX i ON users (email);",
        "ALTER TABLE users ADD COLUMN phone TEXT; ALTER TABLE users ADD fax TEXT DEFAULT 'none';",
        "CREATE TABLE new (a); INSERT INTO new SELECT email FROM users; UPDATE new SET a = 1; DROP TABLE new;",
        "CREATE VIEW v AS SELECT * FROM users; CREATE TRIGGER g AFTER DELETE ON users BEGIN DELETE FROM log; END;",
        "SELECT * FROM users; PRAGMA foreign_keys = OFF; ANALYZE;",
    ],
)
def test_what_leaves_rows_alone(script: str) -> None:
    assert touched(script) == set()


@pytest.mark.parametrize(
    ("script", "tables"),
    [
        ("DELETE FROM users;", {"users"}),
        ("UPDATE users SET plan = 'a' WHERE id = 1;", {"users"}),
        ("DROP TABLE users;", {"users"}),
        ("ALTER TABLE users DROP COLUMN email;", {"users"}),
        ("ALTER TABLE users RENAME COLUMN email TO [add];", {"users"}),
        ('ALTER TABLE users RENAME COLUMN email TO [add]; ALTER TABLE main.users DROP COLUMN "add";', {"users"}),
        ("ALTER TABLE users RENAME TO people;", {"users"}),
        ("INSERT INTO log VALUES ('x');", {"log", "users"}),
        ("REPLACE INTO users (id) VALUES (1);", {"users"}),
        ("WITH x AS (SELECT 1) DELETE FROM log;", {"log"}),
        (
            "CREATE TABLE l2 (a); INSERT INTO l2 SELECT line FROM log; DROP TABLE log; ALTER TABLE l2 RENAME TO log;",
            {"log"},
        ),
    ],
)
def test_what_touches_rows(script: str, tables: set[str]) -> None:
    assert tables <= touched(script)


def test_the_first_statement_is_watched_too() -> None:
    assert touched("ALTER TABLE users ADD COLUMN a; DELETE FROM log;") == {"log"}
    assert touched("DELETE FROM log; ALTER TABLE users ADD COLUMN a;") == {"log"}


def test_a_script_that_does_not_run_names_its_place() -> None:
    with pytest.raises(StatementRejected, match=r"<sql>:2:1: no such table: nope"):
        touched("SELECT 1;\nDELETE FROM nope;")
