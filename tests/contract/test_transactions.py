"""All or nothing, foreign keys always on, and ways back."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from d1ops.core.ledger import ledger_ddl
from d1ops.core.values import Bookmark, Statement
from d1ops.database.base import Atomicity
from d1ops.database.sqlite import SqliteDatabase
from d1ops.errors import D1opsError, NotFound, ScriptError, StatementRejected, UsageError
from tests.contract.differences import EXPORTED_VALUES, INDEX_IN_BATCH

if TYPE_CHECKING:
    from pathlib import Path

    from tests.contract.conftest import Adapter, Opened
    from tests.contract.differences import Leg


def batch(database: Adapter, *statements: str) -> list[tuple[object, ...]]:
    """Run statements as one batch and return the rows of the last."""
    return list(database.batch([Statement(sql) for sql in statements])[-1].rows)


def rows(database: Adapter, sql: str) -> list[tuple[object, ...]]:
    return list(database.query(sql).rows)


def refusal(database: Adapter, *statements: str) -> StatementRejected:
    with pytest.raises(StatementRejected) as caught:
        batch(database, *statements)
    return caught.value


# -- a batch is one transaction --------------------------------------------------------------------------------------

WORK = [
    "CREATE TABLE made(a)",
    "INSERT INTO made VALUES (1)",
    "CREATE INDEX i ON made(a)",
    "ALTER TABLE kept ADD COLUMN b",
    "UPDATE kept SET a = 'changed'",
    "INSERT INTO kept(a) VALUES ('added')",
    "CREATE TRIGGER t AFTER INSERT ON kept BEGIN DELETE FROM kept; END",
    "DROP TABLE other",
]
FAILURES = {
    "run time": "SELECT json_extract('{}', 'd1ops:report')",
    "unique": "INSERT INTO kept(rowid, a) VALUES (1, 'again')",
    "not prepared": "SELECT * FROM nowhere",
    "syntax": "SELEC",
    "forbidden": "PRAGMA user_version",
    "transaction": "COMMIT",
    "empty": "-- nothing",
    "raised": "INSERT INTO other2 VALUES (1)",
    "deferred": "INSERT INTO child VALUES (99)",
}


@pytest.mark.parametrize("failure", FAILURES)
@pytest.mark.parametrize("place", ["first", "last"])
def test_a_batch_that_fails_leaves_nothing(database: Adapter, leg: Leg, failure: str, place: str) -> None:
    batch(
        database,
        "CREATE TABLE kept(a)",
        "INSERT INTO kept VALUES ('before')",
        "CREATE TABLE other(a)",
        "CREATE TABLE other2(a)",
        "CREATE TRIGGER no BEFORE INSERT ON other2 BEGIN SELECT RAISE(ABORT, 'not here'); END",
        "CREATE TABLE parent(id PRIMARY KEY)",
        "CREATE TABLE child(id REFERENCES parent DEFERRABLE INITIALLY DEFERRED)",
    )
    everything = "SELECT type, name, sql FROM sqlite_schema ORDER BY 1, 2"
    before = rows(database, everything)
    statements = [*WORK, FAILURES[failure]] if place == "last" else [FAILURES[failure], *WORK]
    error = refusal(database, *statements)
    assert rows(database, everything) == before
    assert rows(database, "SELECT * FROM kept") == [("before",)]
    if INDEX_IN_BATCH.on(leg):
        index = None if failure == "deferred" else statements.index(FAILURES[failure])
        assert (error.index, error.sql) == (index, None if index is None else FAILURES[failure])


def test_a_batch_answers_every_statement(database: Adapter) -> None:
    results = database.batch(
        [
            Statement("CREATE TABLE t(a INTEGER PRIMARY KEY, b)"),
            Statement("INSERT INTO t(b) VALUES (?), (?)", ("x", "y")),
            Statement("SELECT a, b FROM t ORDER BY a"),
            Statement("SELECT * FROM t WHERE 0"),
            Statement("UPDATE t SET b = 'z' RETURNING a"),
        ]
    )
    assert [result.rows for result in results] == [(), (), ((1, "x"), (2, "y")), (), ((1,), (2,))]
    assert [result.columns for result in results] == [(), (), ("a", "b"), ("a", "b"), ("a",)]
    assert [result.meta.changes for result in results] == [0, 2, 0, 0, 2]
    assert [result.meta.changed_db for result in results] == [True, True, False, False, True]
    assert results[1].meta.last_row_id == 2
    assert results[-1].meta.size_after_bytes > 0
    assert all(result.meta.duration_seconds >= 0 for result in results)


def test_an_empty_batch_is_nothing(database: Adapter) -> None:
    before = database.requests
    assert database.batch([]) == ()
    assert database.requests == before


def test_a_batch_is_one_request(database: Adapter) -> None:
    before = database.requests
    database.batch([Statement("SELECT 1"), Statement("SELECT 2")], reads_only=True)
    database.query("SELECT 3")
    assert database.requests == before + 2


def test_a_batch_sees_one_moment_and_its_own_work(database: Adapter) -> None:
    assert batch(database, "CREATE TABLE t(a)", "INSERT INTO t VALUES (1)", "SELECT total_changes() > 0, a FROM t") == [
        (1, 1)
    ]
    assert batch(database, *["INSERT INTO t VALUES (2)"] * 150, "SELECT count(*) FROM t") == [(151,)]


def test_what_it_can_do(database: Adapter) -> None:
    capabilities = database.capabilities
    assert capabilities.atomic_batch is Atomicity.PROVED
    assert capabilities.ingest
    assert capabilities.time_travel
    assert capabilities.create


# -- foreign keys ----------------------------------------------------------------------------------------------------

FAMILY = (
    "CREATE TABLE par(id INTEGER PRIMARY KEY, x)",
    "INSERT INTO par VALUES (1, 'x')",
    "CREATE TABLE cas(id INTEGER PRIMARY KEY, p REFERENCES par(id) ON DELETE CASCADE)",
    "INSERT INTO cas VALUES (1, 1), (2, 1)",
    "CREATE TABLE sn(id INTEGER PRIMARY KEY, p REFERENCES par(id) ON DELETE SET NULL)",
    "INSERT INTO sn VALUES (1, 1)",
)
CHILD = ("CREATE TABLE chi(id INTEGER PRIMARY KEY, p REFERENCES par(id))", "INSERT INTO chi VALUES (1, 1)")
REBUILD = (
    "CREATE TABLE new(id INTEGER PRIMARY KEY, x)",
    "INSERT INTO new SELECT * FROM par",
    "DROP TABLE par",
    "ALTER TABLE new RENAME TO par",
)
ON, OFF = "PRAGMA defer_foreign_keys=ON", "PRAGMA defer_foreign_keys=OFF"
STATE = "SELECT (SELECT count(*) FROM par), (SELECT count(*) FROM cas), (SELECT count(p) FROM sn)"


@pytest.mark.parametrize(
    "statements",
    [
        ["DROP TABLE par"],
        ["PRAGMA foreign_keys=OFF", "DROP TABLE par"],
        ["PRAGMA foreign_keys=0", "DELETE FROM par"],
        [ON, *REBUILD],
        ["PRAGMA foreign_keys=OFF", ON, *REBUILD],
        [ON, "INSERT INTO chi VALUES (2, 99)"],
        ["INSERT INTO chi VALUES (2, 99)"],
        ["UPDATE par SET id = 2"],
    ],
)
def test_foreign_keys_hold(database: Adapter, statements: list[str]) -> None:
    batch(database, *FAMILY, *CHILD)
    assert "FOREIGN KEY constraint failed" in refusal(database, *statements).text
    assert rows(database, STATE) == [(1, 2, 1)]
    assert rows(database, "SELECT * FROM chi") == [(1, 1)]


@pytest.mark.parametrize(
    ("statements", "state"),
    [
        ([ON, *REBUILD], (1, 0, 0)),
        (["PRAGMA foreign_keys=OFF", *REBUILD, "PRAGMA foreign_keys=ON"], (1, 0, 0)),
        ([ON, *REBUILD, OFF], (1, 0, 0)),
        (["DELETE FROM par"], (0, 0, 0)),
        (["INSERT OR REPLACE INTO par VALUES (1, 'y')"], (1, 0, 0)),
        (["UPDATE par SET x = 'y'"], (1, 2, 1)),
        (["PRAGMA foreign_keys=OFF", "ALTER TABLE par DROP COLUMN x"], (1, 2, 1)),
    ],
)
def test_deferring_delays_the_check_and_not_the_cascade(
    database: Adapter, statements: list[str], state: tuple[int, ...]
) -> None:
    batch(database, *FAMILY)
    batch(database, *statements)
    assert rows(database, STATE) == [state]


def test_a_rebuild_with_a_plain_child_needs_the_final_off(database: Adapter) -> None:
    batch(database, *FAMILY, *CHILD)
    batch(database, ON, *REBUILD, OFF)
    assert rows(database, STATE) == [(1, 0, 0)]
    assert rows(database, "SELECT * FROM chi") == [(1, 1)]
    assert rows(database, "PRAGMA foreign_key_check") == []


def test_a_parent_may_be_made_again(database: Adapter) -> None:
    batch(database, *FAMILY, *CHILD)
    batch(
        database, ON, "DROP TABLE par", "CREATE TABLE par(id INTEGER PRIMARY KEY, x)", "INSERT INTO par VALUES (1, 2)"
    )
    assert rows(database, STATE) == [(1, 0, 0)]


def test_the_final_off_checks_nothing(database: Adapter) -> None:
    batch(database, *FAMILY, *CHILD)
    batch(database, ON, "INSERT INTO chi VALUES (2, 99)", OFF)
    assert rows(database, "PRAGMA foreign_key_check") == [("chi", 2, "par", 0)]


def test_deferring_ends_with_the_request(database: Adapter) -> None:
    batch(database, *FAMILY, *CHILD)
    assert batch(database, ON, "PRAGMA defer_foreign_keys") == [(1,)]
    assert rows(database, "PRAGMA defer_foreign_keys") == [(0,)]
    assert rows(database, "PRAGMA foreign_keys") == [(1,)]
    assert batch(database, "PRAGMA foreign_keys=OFF", "PRAGMA foreign_keys") == [(1,)]


def test_a_rename_rewrites_the_children(database: Adapter) -> None:
    batch(database, *FAMILY)
    batch(database, "PRAGMA legacy_alter_table=ON", "ALTER TABLE par RENAME TO old", "PRAGMA legacy_alter_table=OFF")
    assert rows(database, "SELECT \"table\" FROM pragma_foreign_key_list('cas')") == [("old",)]


# -- whole scripts ---------------------------------------------------------------------------------------------------

SCRIPT = """\
-- A file as a person writes it.\r
CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT DEFAULT 'x;y');
CREATE TRIGGER tr AFTER INSERT ON t BEGIN
  UPDATE t SET b = CASE WHEN new.b = 'x;y' THEN 'END;' ELSE b END WHERE a = new.a; -- END;
END;
INSERT INTO t(a) VALUES (1); /* ; */ INSERT INTO t VALUES (2, 'kept
line');
"""


def test_a_script_runs_whole(database: Adapter) -> None:
    result = database.ingest(SCRIPT)
    assert rows(database, "SELECT * FROM t") == [(1, "END;"), (2, "kept\nline")]
    assert (result.columns, result.rows) == ((), ())


@pytest.mark.parametrize("bad", ["INSERT INTO t VALUES (1, 'again');", "SELECT * FROM nowhere;", "SELEC;", "VACUUM;"])
def test_a_script_that_fails_leaves_nothing(database: Adapter, bad: str) -> None:
    with pytest.raises(StatementRejected):
        database.ingest(SCRIPT + bad)
    assert rows(database, "SELECT * FROM sqlite_schema") == []


@pytest.mark.parametrize("cut", ["SELECT 'abc", "CREATE TRIGGER tr2 AFTER INSERT ON t BEGIN SELECT 1;"])
def test_a_cut_script_leaves_nothing(database: Adapter, cut: str) -> None:
    with pytest.raises((ScriptError, StatementRejected)):
        database.ingest(SCRIPT + cut)
    assert rows(database, "SELECT * FROM sqlite_schema") == []


def test_a_large_script_is_one_unit(database: Adapter) -> None:
    many = "INSERT INTO t(b) VALUES ('row');\n" * 2_000
    database.ingest(f"CREATE TABLE t(a INTEGER PRIMARY KEY, b);\n{many}")
    assert rows(database, "SELECT count(*) FROM t") == [(2_000,)]


def test_an_export_loads_back(database: Adapter, opened: Opened, leg: Leg, tmp_path: Path) -> None:
    batch(
        database,
        *FAMILY,
        *CHILD,
        'CREATE TABLE "odd name"("a b" INTEGER PRIMARY KEY AUTOINCREMENT, "c""d" TEXT NOT NULL DEFAULT \'it\'\'s\')',
        "INSERT INTO \"odd name\" VALUES (7, 'line\nbreak; --'), (8, 'é\U0001f600')",
        "CREATE TABLE v(a ANY, b TEXT GENERATED ALWAYS AS (a || '!') VIRTUAL) STRICT",
        "INSERT INTO v(a) VALUES (NULL), (1), (1.5), ('x'), (x'00ff'), (x''), ('')",
        f"INSERT INTO v(a) VALUES {EXPORTED_VALUES.on(leg)}",
        "CREATE INDEX i ON v(a) WHERE a IS NOT NULL",
        "CREATE VIEW w AS SELECT a FROM v",
        "CREATE TRIGGER tr AFTER INSERT ON v BEGIN SELECT CASE WHEN 1 THEN 2 END; END",
        "ANALYZE",
    )
    sink = BytesIO()
    export = database.export(sink)
    assert export.bytes_written == len(sink.getvalue())
    assert export.filename.endswith(".sql")
    look = (
        "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'sqlite_stat%' ORDER BY 1, 2",
        "SELECT *, typeof(c.id) FROM chi c",
        'SELECT * FROM "odd name"',
        "SELECT typeof(a), CAST(a AS TEXT), hex(a), b FROM v",
        "SELECT * FROM sqlite_sequence",
        "SELECT * FROM sqlite_stat1 ORDER BY 1, 2",
    )
    expected = [rows(database, sql) for sql in look]
    opened.empty = database.restore(opened.empty).bookmark
    with closing(SqliteDatabase(tmp_path / "loaded.sqlite")) as loaded:
        for target in (database, loaded):
            target.ingest(sink.getvalue().decode())
            assert [rows(target, sql) for sql in look] == expected


def test_an_export_refuses_virtual_tables(database: Adapter) -> None:
    batch(database, "CREATE VIRTUAL TABLE f USING fts5(a)")
    with pytest.raises(D1opsError, match=r"cannot export databases with Virtual Tables \(fts5\)"):
        database.export(BytesIO())


# -- bookmarks -------------------------------------------------------------------------------------------------------


def test_a_bookmark_brings_back_schema_rows_and_ledger(database: Adapter) -> None:
    batch(
        database,
        ledger_ddl("d1_migrations"),
        "CREATE TABLE users(id)",
        "INSERT INTO d1_migrations(name) VALUES ('0001_users.sql')",
    )
    before = database.bookmark()
    batch(
        database,
        "ALTER TABLE users ADD COLUMN clerk_id",
        "INSERT INTO users VALUES (1, 'a')",
        "INSERT INTO d1_migrations(name) VALUES ('0002_clerk.sql')",
    )
    restored = database.restore(before)
    assert rows(database, "SELECT * FROM users") == []
    assert database.query("SELECT * FROM users").columns == ("id",)
    assert rows(database, "SELECT id, name FROM d1_migrations") == [(1, "0001_users.sql")]

    again = database.restore(restored.undo)
    assert rows(database, "SELECT * FROM users") == [(1, "a")]
    assert rows(database, "SELECT name FROM d1_migrations") == [("0001_users.sql",), ("0002_clerk.sql",)]

    database.restore(again.undo)
    assert database.query("SELECT * FROM users").columns == ("id",)
    batch(database, "INSERT INTO users VALUES (2)")
    assert rows(database, "SELECT * FROM users") == [(2,)]


def test_bookmarks_order_by_time(database: Adapter) -> None:
    found = []
    for number in range(4):
        batch(database, f"CREATE TABLE t{number}(a)")
        found.append(database.bookmark())
    assert found == sorted(found)
    assert len(set(found)) == 4
    assert all([len(part) for part in bookmark.split("-")] == [8, 8, 8, 32] for bookmark in found)
    restored = database.restore(found[0])
    assert restored.undo >= found[-1]
    assert restored.bookmark > restored.undo


def test_a_bookmark_is_found_by_time(database: Adapter) -> None:
    batch(database, "CREATE TABLE t(a)")
    bookmark = database.bookmark()
    assert database.bookmark_at(datetime.now(UTC) + timedelta(hours=1)) == bookmark
    with pytest.raises(NotFound):
        database.bookmark_at(datetime(2020, 1, 1, tzinfo=UTC))


@pytest.mark.parametrize(
    "unknown", ["00000085-0000024c-00004c6d-8e61117bf38d7adb71b934ebbf891683", "nonsense", "../../etc/passwd"]
)
def test_an_unknown_bookmark_changes_nothing(database: Adapter, unknown: str) -> None:
    batch(database, "CREATE TABLE t(a)")
    with pytest.raises(NotFound):
        database.restore(Bookmark(unknown))
    assert rows(database, "SELECT name FROM sqlite_schema") == [("t",)]


def test_parameters_that_do_not_fit_change_nothing(database: Adapter) -> None:
    batch(database, "CREATE TABLE t(a, b)")
    for sql, params in [
        ("INSERT INTO t VALUES (?, ?)", (1,)),
        ("INSERT INTO t VALUES (?, ?)", (1, 2, 3)),
        ("INSERT INTO t VALUES (1, 2)", (1,)),
        ("INSERT INTO t VALUES (:a, 1)", (1,)),
        ("INSERT INTO t VALUES (?, 1)", (2**63,)),
        ("INSERT INTO t VALUES (?, 1)", ("\ud800",)),
    ]:
        with pytest.raises(UsageError):
            database.batch([Statement("INSERT INTO t VALUES (0, 0)"), Statement(sql, params)])
    with pytest.raises(StatementRejected, match="Wrong number of parameter bindings"):
        batch(database, "INSERT INTO t VALUES (0, 0)", "INSERT INTO t VALUES (?, ?)")
    assert rows(database, "SELECT * FROM t") == []
