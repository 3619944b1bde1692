"""Every rule of the lint on a script that breaks it and on the same script mended, and on the sample."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from d1ops.core.audit.finding import Severity
from d1ops.core.catalog import Catalog, build_catalog
from d1ops.core.lint.files import FILE_RULES, lint_files
from d1ops.core.lint.ignores import ID as IGNORE_COMMENT
from d1ops.core.lint.report import lint
from d1ops.core.lint.rules import RULES
from d1ops.ops.workspace import read_catalog

ROOT = Path(__file__).parents[2]

BASE = """CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, age INTEGER);
CREATE TABLE artists (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users(id) ON DELETE CASCADE);
CREATE TABLE notes (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users(id));
CREATE INDEX idx_users_name ON users(name);
CREATE TRIGGER keep AFTER INSERT ON users BEGIN SELECT 1; END;
CREATE VIEW names AS SELECT name FROM users;
"""
REBUILD = """CREATE TABLE u2 (id INTEGER PRIMARY KEY, name TEXT);
INSERT INTO u2 SELECT id, name FROM users;
DROP TABLE users;
ALTER TABLE u2 RENAME TO users;
"""
UNDO_BASE = """DROP VIEW names;
DROP TABLE notes;
DROP TABLE artists;
DROP TABLE users;
"""


def catalog(up: str | bytes, down: str | None = "SELECT 1;", *, base: str = BASE) -> Catalog:
    data = up.encode() if isinstance(up, str) else up
    rollbacks = {"0001_rollback.sql": UNDO_BASE.encode()}
    if down is not None:
        rollbacks["0002_rollback.sql"] = down.encode()
    return build_catalog({"0001_base.sql": base.encode(), "0002_change.sql": data}, rollbacks)


def found(up: str | bytes, down: str | None = "SELECT 1;") -> set[tuple[str, str, int]]:
    return {(f.rule, (f.path or "").rpartition("/")[2], f.line or 0) for f in lint(catalog(up, down)).findings}


UP, DOWN = "0002_change.sql", "0002_rollback.sql"

BROKEN: dict[str, list[tuple[str | bytes, str | None, str, int]]] = {
    "cascading-rebuild": [
        (REBUILD, "SELECT 1;", UP, 3),
        ("CREATE TABLE x (i);", f"DROP TABLE x;\n{REBUILD}", DOWN, 4),
        ("DROP VIEW names;\nDROP TABLE users;", "SELECT 1;", UP, 2),
    ],
    "conflict-rollback": [
        ("INSERT OR ROLLBACK INTO users VALUES (1, 'a', 2);", "SELECT 1;", UP, 1),
        ("CREATE TABLE c (a UNIQUE ON CONFLICT ROLLBACK);", "DROP TABLE c;", UP, 1),
        (
            "\nCREATE TRIGGER t AFTER INSERT ON users BEGIN SELECT RAISE(ROLLBACK, 'no'); END;",
            "DROP TRIGGER t;",
            UP,
            2,
        ),
    ],
    "crlf-in-trigger": [
        (b"CREATE TRIGGER t AFTER INSERT ON users\r\nBEGIN\r\n  SELECT 1;\r\nEND;\r\n", "DROP TRIGGER t;", UP, 1)
    ],
    "destructive-step": [
        ("DROP TABLE notes;", "CREATE TABLE notes (i);", UP, 1),
        ("ALTER TABLE users DROP COLUMN age;", "ALTER TABLE users ADD COLUMN age INTEGER;", UP, 1),
        ("DELETE FROM notes;", "SELECT 1;", UP, 1),
        ("UPDATE users SET age = (SELECT max(id) FROM notes WHERE user_id = 1);", "SELECT 1;", UP, 1),
    ],
    "if-not-exists": [
        ("CREATE TABLE IF NOT EXISTS users (id);", "SELECT 1;", UP, 1),
        ("CREATE INDEX IF NOT EXISTS idx_users_name ON users(age);", "SELECT 1;", UP, 1),
        ("CREATE UNIQUE INDEX IF NOT EXISTS i ON users(name);", "DROP INDEX i;", UP, 1),
        (
            "CREATE INDEX i ON users(age);\nCREATE INDEX IF NOT EXISTS i ON users(age DESC);",
            "DROP INDEX i;",
            UP,
            2,
        ),
    ],
    "long-pattern": [(f"CREATE TABLE p (a CHECK (a NOT LIKE '{'x' * 51}'));", "DROP TABLE p;", UP, 1)],
    "missing-rollback": [("CREATE TABLE x (i);", None, UP, 1)],
    "needs-empty-table": [
        ("ALTER TABLE users ADD COLUMN email TEXT NOT NULL;", "ALTER TABLE users DROP COLUMN email;", UP, 1),
        (
            "ALTER TABLE users ADD COLUMN at TEXT DEFAULT CURRENT_TIMESTAMP;",
            "ALTER TABLE users DROP COLUMN at;",
            UP,
            1,
        ),
        (
            "ALTER TABLE users ADD COLUMN boss INTEGER DEFAULT 1 REFERENCES users(id);",
            "ALTER TABLE users DROP COLUMN boss;",
            UP,
            1,
        ),
    ],
    "refused-by-d1": [
        ("BEGIN;\nSELECT 1;\nCOMMIT;", "SELECT 1;", UP, 1),
        ("VACUUM;", "SELECT 1;", UP, 1),
        ("CREATE TEMP TABLE x (i);", "SELECT 1;", UP, 1),
        ("\nPRAGMA journal_mode = WAL;", "SELECT 1;", UP, 2),
        ("UPDATE users SET name = load_extension('x') WHERE id = 1;", "SELECT 1;", UP, 1),
    ],
    "rollback-drops-others": [
        ("CREATE INDEX i ON users(age);", "DROP INDEX i;\nDROP INDEX idx_users_name;", DOWN, 1),
        ("CREATE INDEX i ON users(age);", "DROP INDEX i;\nALTER TABLE users DROP COLUMN age;", DOWN, 1),
    ],
    "rollback-forgets": [
        ("DROP INDEX idx_users_name;", "SELECT 1;", DOWN, 1),
        ("DROP TRIGGER keep;", "SELECT 1;", DOWN, 1),
    ],
    "rollback-leaves": [("CREATE INDEX i ON users(age);", "SELECT 1;", DOWN, 1)],
    "statement-too-long": [(f"INSERT INTO users(name) VALUES ('{'x' * 100_000}');", "SELECT 1;", UP, 1)],
    "unfinished-script": [
        ("CREATE TABLE x (i);\nCREATE TABLE y (i)", "SELECT 1;", UP, 2),
        ("SELECT 'open;\n", "SELECT 1;", UP, 1),
    ],
    "unreadable-script": [
        (b"SELECT '\xff';", "SELECT 1;", UP, 1),
        ("-- nothing\n", "SELECT 1;", UP, 1),
        ("DROP TABLE nowhere;", "SELECT 1;", UP, 1),
    ],
    "useless-pragma": [
        ("PRAGMA foreign_keys = OFF;\nSELECT 1;", "SELECT 1;", UP, 1),
        (f"PRAGMA defer_foreign_keys = ON;\n{REBUILD}", "SELECT 1;", UP, 1),
    ],
}


@pytest.mark.parametrize(
    ("rule", "up", "down", "file", "line"),
    [(rule, *case) for rule, cases in BROKEN.items() for case in cases],
)
def test_a_rule_finds_what_it_is_for(rule: str, up: str | bytes, down: str | None, file: str, line: int) -> None:
    assert (rule, file, line) in found(up, down)


QUIET: dict[str, tuple[str, str | None]] = {
    "a column by DROP COLUMN": ("ALTER TABLE users ADD COLUMN x TEXT;", "ALTER TABLE users DROP COLUMN x;"),
    "a column with a default": (
        "ALTER TABLE users ADD COLUMN x TEXT NOT NULL DEFAULT 'a';",
        "ALTER TABLE users DROP COLUMN x;",
    ),
    "a table of its own with a child of its own": (
        "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (p REFERENCES p(id) ON DELETE CASCADE);",
        "DROP TABLE p; DROP TABLE c;",
    ),
    "a rebuild of a table without dependants": (
        "CREATE TABLE n2 (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users(id), x);"
        "INSERT INTO n2 (id, user_id) SELECT id, user_id FROM notes; DROP TABLE notes; ALTER TABLE n2 RENAME TO notes;",
        "ALTER TABLE notes DROP COLUMN x;",
    ),
    "a renamed column": (
        "ALTER TABLE users RENAME COLUMN age TO years;",
        "ALTER TABLE users RENAME COLUMN years TO age;",
    ),
    "a deferred check without a rebuild": (
        "PRAGMA defer_foreign_keys = ON; DELETE FROM notes WHERE id = 1;",
        "SELECT 1;",
    ),
    "an index that the migrations make once": (
        'CREATE INDEX IF NOT EXISTS "Idx_age" ON users(age);',
        "DROP INDEX idx_age;",
    ),
    "an index that is there in the same form": (
        "create index if not exists [idx_users_name] on Users (name);",
        "SELECT 1;",
    ),
    "an update with a condition": ("UPDATE users SET age = 1 WHERE age IS NULL;", "SELECT 1;"),
    "an irreversible migration": ("-- d1ops: irreversible rows are merged\nDELETE FROM notes WHERE id = 1;", None),
    "a trigger in LF": ("CREATE TRIGGER t AFTER INSERT ON users\nBEGIN\n SELECT 1;\nEND;", "DROP TRIGGER t;"),
    "a pattern of 50 bytes": (f"CREATE TABLE p (a CHECK (a LIKE '{'x' * 50}'));", "DROP TABLE p;"),
}


@pytest.mark.parametrize("name", QUIET)
def test_what_is_right_is_quiet(name: str) -> None:
    up, down = QUIET[name]

    assert found(up, down) == set()


def test_every_rule_has_a_case_and_a_page() -> None:
    pages = {page.stem for page in (ROOT / "docs" / "rules").glob("*.md")}

    assert set(RULES) - set(BROKEN) == {"skipped-number"}
    assert {*RULES, *FILE_RULES, IGNORE_COMMENT} <= pages


def test_a_hole_in_the_numbers_is_named() -> None:
    holed = build_catalog({"0001_a.sql": b"SELECT 1;", "0004_b.sql": b"SELECT 1;"}, {})
    timed = build_catalog({"20240101000000_a.sql": b"SELECT 1;", "20240301000000_b.sql": b"SELECT 1;"}, {})

    assert [f.message for f in lint(holed).findings if f.rule == "skipped-number"] == [
        "no migration has the number 2 to 3"
    ]
    assert "skipped-number" not in {f.rule for f in lint(timed).findings}


def test_the_sample_has_nothing_to_say() -> None:
    report = lint(read_catalog(ROOT, "db/migrations", "db/rollbacks"))

    assert [f for f in report.findings if f.severity is not Severity.INFO] == []


# -- ignores -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "up",
    [
        "-- d1ops: ignore destructive-step the notes are a cache\nDELETE FROM notes;",
        "DELETE FROM notes; -- d1ops: ignore destructive-step the notes are a cache",
        "DELETE -- d1ops: ignore destructive-step the notes are a cache\nFROM notes;",
        "-- d1ops: ignore destructive-step the notes are a cache\n\nSELECT 1;\nDELETE FROM notes;",
    ],
)
def test_a_comment_with_a_reason_excuses(up: str) -> None:
    report = lint(catalog(up))

    assert (report.findings, report.ignored) == ((), 1)


@pytest.mark.parametrize(
    ("up", "rules"),
    [
        ("-- d1ops: ignore destructive-step\nDELETE FROM notes;", {"destructive-step", IGNORE_COMMENT}),
        ("-- d1ops: ignore destructive-stop cache\nDELETE FROM notes;", {"destructive-step", IGNORE_COMMENT}),
        (
            "-- d1ops: ignore destructive-step cache\nSELECT 1;\nDELETE FROM notes;",
            {"destructive-step", IGNORE_COMMENT},
        ),
        ("-- d1ops: ignore destructive-step cache\nSELECT 1;", {IGNORE_COMMENT}),
        ("SELECT '-- d1ops: ignore destructive-step cache';\nDELETE FROM notes;", {"destructive-step"}),
    ],
)
def test_a_comment_that_excuses_nothing_is_a_finding(up: str, rules: set[str]) -> None:
    report = lint(catalog(up))

    assert {f.rule for f in report.findings} == rules
    assert report.ignored == 0


# -- names ---------------------------------------------------------------------------------------------


def test_names_that_make_no_catalog_are_all_found() -> None:
    findings = lint_files(
        ["0001_a.sql", "0002_b.sql", "0002_c.sql", "0003_d.down.sql", "notes.sql"],
        ["0001_rollback.sql", "0009_rollback.sql"],
        migrations_folder="m",
        rollbacks_folder="r",
    )

    assert {(f.rule, f.path) for f in findings} == {
        ("down-file", "m/0003_d.down.sql"),
        ("duplicate-number", "m/0002_c.sql"),
        ("unnumbered-file", "m/notes.sql"),
        ("unpaired-rollback", "r/0009_rollback.sql"),
    }


@given(st.lists(st.integers(1, 9999), unique=True, min_size=1, max_size=20))
def test_a_well_formed_folder_has_no_finding_and_makes_a_catalog(numbers: list[int]) -> None:
    migrations = {f"{number:04}_step.sql": b"SELECT 1;" for number in numbers}
    rollbacks = {f"{number:04}_rollback.sql": b"SELECT 1;" for number in numbers}

    assert lint_files(migrations, rollbacks, migrations_folder="m", rollbacks_folder="r") == []
    assert len(build_catalog(migrations, rollbacks).migrations) == len(numbers)
