"""`WorkerdDatabase` against the real workerd and, where it matters, the real wrangler (`tests/node`)."""

from __future__ import annotations

import io
import json
import os
import stat
import subprocess
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import apsw
import pytest

from d1ops.core.values import Bookmark, Param, Statement, Value
from d1ops.database.workerd import WorkerdDatabase, database_file
from d1ops.database.workerd.process import find_node
from d1ops.errors import (
    NotFound,
    PrecisionLost,
    StatementRejected,
    Unreachable,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

NODE = Path(__file__).parents[1] / "node"
ID = "11111111-1111-1111-1111-111111111111"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / ".wrangler" / "state"


@pytest.fixture
def database(state: Path) -> Iterator[WorkerdDatabase]:
    with closing(WorkerdDatabase(ID, state, [NODE])) as database:
        yield database


# -- one file with wrangler ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("database_id", "name"),
    [
        (ID, "c917712ba74c5102d69ecf1555a42fe4d03ba423fee62c633ac82b645ae953eb"),
        ("DB", "e7352547963de7050bd7d94658afc4fe78b61811b7815da12d90be8e863abf4d"),
    ],
)
def test_knows_the_file_before_workerd_makes_it(database_id: str, name: str, state: Path) -> None:
    assert database_file(state, database_id).stem == name
    with closing(WorkerdDatabase(database_id, state, [NODE])) as database:
        database.query("SELECT 1")
        assert database.file.is_file()
        assert [path for path in database.file.parent.glob("*.sqlite") if path.stem != "metadata"] == [database.file]


def _wrangler(project: Path, command: str) -> list[dict[str, list[dict[str, Value]]]]:
    configuration = {
        "name": "app",
        "compatibility_date": "2026-01-01",
        "d1_databases": [{"binding": "DB", "database_name": "app", "database_id": ID}],
    }
    (project / "wrangler.json").write_text(json.dumps(configuration))
    script = NODE / "node_modules" / "wrangler" / "bin" / "wrangler.js"
    done = subprocess.run(
        [find_node(), str(script), "d1", "execute", "app", "--local", "--json", "--command", command],
        cwd=project,
        env={**os.environ, "HOME": str(project), "CI": "true", "WRANGLER_SEND_METRICS": "false"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    answer: list[dict[str, list[dict[str, Value]]]] = json.loads(done.stdout)
    return answer


def test_shares_rows_with_wrangler_in_both_directions(database: WorkerdDatabase, tmp_path: Path) -> None:
    database.batch([Statement("CREATE TABLE t(a)"), Statement("INSERT INTO t VALUES('ours')")])
    answer = _wrangler(tmp_path, "INSERT INTO t VALUES('wrangler''s'); SELECT a FROM t ORDER BY a")
    assert answer[-1]["results"] == [{"a": "ours"}, {"a": "wrangler's"}]
    assert database.query("SELECT a FROM t ORDER BY a").rows == (("ours",), ("wrangler's",))


def test_waits_for_a_lock_of_another_program(state: Path) -> None:
    waits: list[float] = []
    with closing(WorkerdDatabase(ID, state, [NODE], busy_timeout_seconds=0.2, sleep=waits.append)) as database:
        database.query("CREATE TABLE t(a)")
        with closing(apsw.Connection(os.fspath(database.file))) as other:
            other.execute("BEGIN IMMEDIATE; INSERT INTO t VALUES(1)")
            with pytest.raises(Unreachable, match="locked by another program"):
                database.query("INSERT INTO t VALUES(2)")
            assert 0.2 <= sum(waits) < 0.3
            assert database.query("SELECT count(*) FROM t").scalar() == 0
            database._sleep = lambda _: other.execute("COMMIT")  # type: ignore[assignment]
            database.query("INSERT INTO t VALUES(2)")
        assert database.query("SELECT a FROM t").rows == ((1,), (2,))


def test_waits_for_a_lock_that_is_there_when_the_engine_opens_the_file(state: Path) -> None:
    with closing(WorkerdDatabase(ID, state, [NODE], sleep=lambda _: None)) as database:
        database.query("CREATE TABLE t(a)")
        database.close()
        with closing(apsw.Connection(os.fspath(database.file))) as other:
            other.execute("PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE; INSERT INTO t VALUES(1)").fetchall()
            with pytest.raises(Unreachable, match="locked by another program"):
                database.query("INSERT INTO t VALUES(2)")
            assert database.requests > 2
            other.execute("COMMIT")
        database.query("INSERT INTO t VALUES(2)")
        assert database.query("SELECT a FROM t").rows == ((1,), (2,))


# -- batches ---------------------------------------------------------------------------------------------------------


def test_a_batch_with_a_failing_member_leaves_nothing(database: WorkerdDatabase) -> None:
    database.query("CREATE TABLE t(a UNIQUE)")
    with pytest.raises(StatementRejected) as caught:
        database.batch(
            [
                Statement("CREATE TABLE other(b)"),
                Statement("INSERT INTO t VALUES(?)", (1,)),
                Statement("INSERT INTO t VALUES(?)", (1,)),
                Statement("INSERT INTO t VALUES(2)"),
            ]
        )
    assert caught.value.index == 2
    assert caught.value.sql == "INSERT INTO t VALUES(?)"
    assert caught.value.text == "UNIQUE constraint failed: t.a: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_UNIQUE)"
    assert database.query("SELECT name FROM sqlite_master WHERE type = 'table' AND name <> '_cf_METADATA'").rows == (
        ("t",),
    )
    assert database.query("SELECT count(*) FROM t").scalar() == 0
    assert database.batch([]) == ()


def test_a_violation_found_at_commit_is_a_refusal_not_an_unknown_outcome(database: WorkerdDatabase) -> None:
    database.ingest("CREATE TABLE p(id INTEGER PRIMARY KEY);\nCREATE TABLE c(p REFERENCES p);")
    with pytest.raises(StatementRejected) as caught:
        database.batch([Statement("PRAGMA defer_foreign_keys = ON"), Statement("INSERT INTO c VALUES(7)")])
    assert caught.value.index is None
    assert (
        caught.value.text == "FOREIGN KEY constraint failed: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_FOREIGNKEY)"
    )
    assert database.query("SELECT count(*) FROM c").scalar() == 0


def test_a_trial_is_rolled_back_whatever_it_breaks(database: WorkerdDatabase) -> None:
    database.batch(
        [
            Statement("CREATE TABLE p(id INTEGER PRIMARY KEY)"),
            Statement("CREATE TABLE c(id INTEGER PRIMARY KEY, p REFERENCES p(id) ON DELETE RESTRICT)"),
            Statement("INSERT INTO p VALUES(1)"),
            Statement("INSERT INTO c VALUES(1, 1)"),
        ]
    )
    _, result = database.trial([Statement("PRAGMA defer_foreign_keys = ON"), Statement("DELETE FROM p")])
    assert result.meta.changes == 1
    assert result.meta.rows_read
    assert database.query("SELECT count(*) FROM p").scalar() == 1
    with pytest.raises(StatementRejected, match="FOREIGN KEY constraint failed"):
        database.query("DELETE FROM p")
    with pytest.raises(StatementRejected, match="no such table: nowhere"):
        database.trial([Statement("SELECT * FROM nowhere")])


@pytest.mark.parametrize(
    ("sql", "text", "offset"),
    [
        ("SELECT * FROM nope", "no such table: nope: SQLITE_ERROR", None),
        ("SELECT nope", "no such column: nope at offset 7: SQLITE_ERROR", 7),
        ("selec 1", 'near "selec": syntax error at offset 0: SQLITE_ERROR', 0),
        ("CREATE TRIGGER x", "incomplete input: SQLITE_ERROR", None),
        ("ATTACH 'x' AS y", "not authorized: SQLITE_AUTH", None),
        ("PRAGMA user_version", "not authorized: SQLITE_AUTH", None),
        ("SELECT power(2, 3)", "not authorized to use function: power at offset 7: SQLITE_ERROR", 7),
        ("VACUUM", "cannot VACUUM from within a transaction: SQLITE_ERROR", None),
        ("", "No SQL statements detected.", None),
        ("-- nothing", "No SQL statements detected.", None),
        (";", "SQL code did not contain a statement.", None),
        ("SELECT ?", "Wrong number of parameter bindings for SQL query.", None),
        ("SELECT json_extract('{}', 'd1ops:it''s')", "bad JSON path: 'd1ops:it''s': SQLITE_ERROR", None),
    ],
)
def test_refuses_in_the_words_of_the_engine(sql: str, text: str, offset: int | None, database: WorkerdDatabase) -> None:
    with pytest.raises(StatementRejected) as caught:
        database.query(sql)
    assert caught.value.text == text
    assert caught.value.offset == offset
    assert caught.value.index == 0


def test_names_no_offset_in_a_statement_that_binding_rewrote(database: WorkerdDatabase) -> None:
    with pytest.raises(StatementRejected, match="at offset") as caught:
        database.query("SELECT ?, nope", (1,))
    assert caught.value.offset is None


@pytest.mark.parametrize("sql", ["SELECT 1", "SELECT :a", "SELECT ?3"])
def test_refuses_parameters_that_do_not_fit_before_anything_is_sent(sql: str, database: WorkerdDatabase) -> None:
    with pytest.raises(UsageError):
        database.query(sql, (1,))
    assert database.requests == 0


# -- values ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("param", "kind"),
    [
        (None, "null"),
        (0, "integer"),
        (2**53 - 1, "integer"),
        (True, "integer"),
        (0.1, "real"),
        (5e-324, "real"),
        ("", "text"),
        ("ü 🙂 'quoted'", "text"),
        ("a\x00b", "text"),
        (b"", "blob"),
        (bytes(range(256)), "blob"),
    ],
)
def test_values_come_back_as_they_went(param: Param, kind: str, database: WorkerdDatabase) -> None:
    database.query("CREATE TABLE t(a)")
    database.query("INSERT INTO t VALUES(?)", (param,))
    assert database.query("SELECT a, typeof(a) FROM t").one() == (param, kind)
    assert database.query("SELECT count(*) FROM t WHERE a IS ?", (param,)).scalar() == 1


def test_a_large_integer_goes_exactly_and_does_not_come_back_rounded(database: WorkerdDatabase) -> None:
    database.query("CREATE TABLE t(a TEXT, b)")
    database.query("INSERT INTO t VALUES(?, ?)", (1, 2**63 - 1))
    assert database.query("SELECT a, CAST(b AS TEXT) FROM t").one() == ("1", "9223372036854775807")
    with pytest.raises(PrecisionLost) as caught:
        database.query("SELECT 1, b FROM t")
    assert isinstance(caught.value, UsageError)
    assert (caught.value.column, caught.value.row) == ("b", 0)
    (rounded,) = database.batch([Statement("SELECT b FROM t")], lossy=True)
    assert rounded.scalar() == 9223372036854776000


def test_values_that_json_cannot_carry(database: WorkerdDatabase) -> None:
    assert database.query("SELECT 9e999, -9e999, 1.0, CAST(x'ff41' AS TEXT)").one() == (None, None, 1, "\ufffdA")


def test_columns_keep_their_order_and_repeat_and_are_there_without_rows(database: WorkerdDatabase) -> None:
    assert database.query("SELECT 1 AS b, 2 AS a, 3 AS b").columns == ("b", "a", "b")
    empty = database.query("SELECT 1 AS a, 2 AS a WHERE 0")
    assert (empty.columns, empty.rows) == (("a", "a"), ())


def test_meta_counts_as_d1_bills(database: WorkerdDatabase) -> None:
    created, inserted, read = database.batch(
        [
            Statement("CREATE TABLE t(a INTEGER PRIMARY KEY, b UNIQUE)"),
            Statement("INSERT INTO t(b) VALUES('x'), ('y'), ('z')"),
            Statement("SELECT * FROM t WHERE b = 'y'"),
        ]
    )
    assert created.meta.changed_db
    assert (inserted.meta.changes, inserted.meta.last_row_id, inserted.meta.rows_written) == (3, 3, 6)
    assert (read.meta.changes, read.meta.changed_db, read.meta.rows_written) == (0, False, 0)
    assert read.meta.rows_read is not None
    assert read.meta.rows_read >= 1
    assert read.meta.size_after_bytes % 4096 == 0
    assert read.meta.size_after_bytes > 0


# -- scripts, dumps, bookmarks ---------------------------------------------------------------------------------------


def test_ingests_a_script_with_triggers_and_without_a_last_semicolon(database: WorkerdDatabase) -> None:
    result = database.ingest(
        "CREATE TABLE t(a);\r\nCREATE TABLE log(a);\n"
        "CREATE TRIGGER tr AFTER INSERT ON t BEGIN\n"
        "  INSERT INTO log VALUES(CASE new.a WHEN 1 THEN 1 ELSE 2 END);\nEND;\n"
        "INSERT INTO t VALUES(1); -- a comment; with a semicolon\nINSERT INTO t VALUES(0)"
    )
    assert result.meta.changes == 4
    assert database.query("SELECT a FROM log").rows == ((1,), (2,))


@pytest.mark.parametrize("tail", ["", "\n-- the end", "\n/* the\nend; */\n"])
def test_ingests_a_script_that_ends_in_a_comment(tail: str, database: WorkerdDatabase) -> None:
    database.ingest(f"CREATE TABLE t(a);{tail}")
    assert database.query("SELECT count(*) FROM t").scalar() == 0


@pytest.mark.parametrize("last", ["INSERT INTO nope VALUES(1);", "INSERT INTO t VALUES(", "BEGIN;"])
def test_a_script_that_fails_leaves_nothing(last: str, database: WorkerdDatabase) -> None:
    with pytest.raises(StatementRejected):
        database.ingest(f"CREATE TABLE t(a);\nINSERT INTO t VALUES(1);\n{last}")
    with pytest.raises(StatementRejected, match="no such table: t"):
        database.query("SELECT * FROM t")


@pytest.mark.parametrize("script", ["", " \n", "-- nothing\n"])
def test_refuses_a_script_without_statements(script: str, database: WorkerdDatabase) -> None:
    with pytest.raises(StatementRejected, match="No SQL statements detected"):
        database.ingest(script)


def test_a_dump_can_be_ingested_elsewhere(database: WorkerdDatabase, tmp_path: Path) -> None:
    database.ingest("CREATE TABLE t(a INTEGER PRIMARY KEY, b);\nCREATE INDEX i ON t(b);")
    database.query("INSERT INTO t(b) VALUES(?), (?), (?)", ("it's\na line", b"\x00\xff", 1.5))
    sink = io.BytesIO()
    export = database.export(sink)
    assert export.bytes_written == len(sink.getvalue())
    with closing(WorkerdDatabase("other", tmp_path / "other", [NODE])) as other:
        other.ingest(sink.getvalue().decode())
        assert other.query("SELECT * FROM t").rows == database.query("SELECT * FROM t").rows


def test_exports_and_names_the_state_of_a_database_that_was_never_used(database: WorkerdDatabase) -> None:
    assert database.export(io.BytesIO()).bytes_written > 0
    empty = database.bookmark()
    database.query("CREATE TABLE t(a)")
    database.restore(empty)
    with pytest.raises(StatementRejected, match="no such table: t"):
        database.query("SELECT * FROM t")


def test_bookmarks_survive_restarts_and_a_rewind_can_be_undone(database: WorkerdDatabase) -> None:
    database.ingest("CREATE TABLE t(a);\nINSERT INTO t VALUES('before');")
    before = database.bookmark()
    assert database.bookmark() == before
    database.close()
    database.ingest("UPDATE t SET a = 'after';\nCREATE TABLE later(b);\nINSERT INTO later VALUES(zeroblob(100000));")
    database.close()
    with closing(WorkerdDatabase(ID, database.file.parents[3], [NODE])) as neighbour:
        assert neighbour.query("SELECT a FROM t").scalar() == "after"
        restored = database.restore(before)
        # A second workerd with the file open, as `wrangler dev` would be, sees the rewind.
        assert neighbour.query("SELECT a FROM t").scalar() == "before"
        assert database.query("SELECT a FROM t").scalar() == "before"
        with pytest.raises(StatementRejected, match="no such table: later"):
            neighbour.query("SELECT * FROM later")
        neighbour.query("INSERT INTO t VALUES('since')")
        database.close()
    assert database.query("SELECT count(*) FROM t").scalar() == 2
    assert database.restore(restored.undo).bookmark > restored.bookmark > restored.undo > before
    assert database.query("SELECT a FROM t").rows == (("after",),)
    assert database.query("SELECT length(b) FROM later").scalar() == 100_000
    assert database.query("PRAGMA quick_check").scalar() == "ok"


def test_bookmarks_are_private_and_an_unknown_one_is_not_found(database: WorkerdDatabase) -> None:
    database.query("CREATE TABLE t(a)")
    bookmark = database.bookmark()
    folder = database.file.with_name(f"{database.file.name}.bookmarks")
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    assert stat.S_IMODE((folder / f"{bookmark}.sqlite").stat().st_mode) == 0o600
    with pytest.raises(NotFound):
        database.restore(Bookmark("00000000-00000000-00000000-00000000000000000000000000000000"))
    assert database.query("SELECT count(*) FROM t").scalar() == 0
