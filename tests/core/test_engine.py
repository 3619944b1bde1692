"""The engine under D1's rules. What every database shares is in `tests/contract`; this is what only the engine has."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from d1ops.core import rules
from d1ops.core.authorizer import refusal_of_text
from d1ops.core.engine import Engine, Rejected
from d1ops.core.values import Statement

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def engine() -> Iterator[Engine]:
    with closing(Engine.memory()) as engine:
        yield engine


def run(engine: Engine, *statements: str) -> list[tuple[object, ...]]:
    return list(engine.run([Statement(sql) for sql in statements])[-1].rows)


# -- transactions ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("failing", "index", "code"),
    [
        ("SELECT nope", 1, "SQLITE_ERROR"),
        ("INSERT INTO t VALUES (1)", 1, "SQLITE_CONSTRAINT_PRIMARYKEY"),
        ("PRAGMA user_version", 1, "SQLITE_AUTH"),
        ("COMMIT", 1, ""),
        ("INSERT INTO c VALUES (9)", 2, "SQLITE_CONSTRAINT_FOREIGNKEY"),
    ],
)
def test_a_refusal_says_where_and_why(engine: Engine, failing: str, index: int, code: str) -> None:
    run(
        engine,
        "CREATE TABLE t(a INTEGER PRIMARY KEY)",
        "INSERT INTO t VALUES (1)",
        "CREATE TABLE c(t REFERENCES t DEFERRABLE INITIALLY DEFERRED)",
    )
    with pytest.raises(Rejected) as caught:
        run(engine, "INSERT INTO t VALUES (2)", failing)
    assert (caught.value.index, caught.value.code) == (index, code)
    assert not engine.connection.in_transaction
    assert run(engine, "SELECT * FROM t") == [(1,)]


def test_after_is_called_inside_the_transaction(engine: Engine) -> None:
    seen: list[tuple[int, int]] = []
    engine.run(
        [Statement("CREATE TABLE t(a)"), Statement("INSERT INTO t VALUES (1)"), Statement("DELETE FROM t")],
        after=lambda index: seen.append((index, engine.count("t"))),
    )
    assert seen == [(0, 0), (1, 1), (2, 0)]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_whatever_after_raises_nothing_stays(engine: Engine, error: type[BaseException]) -> None:
    def stop(index: int) -> None:
        raise error

    with pytest.raises(error):
        engine.run([Statement("CREATE TABLE t(a)")], after=stop)
    assert run(engine, "SELECT * FROM sqlite_schema") == []
    assert not engine.connection.in_transaction


def test_a_run_of_reads_leaves_the_file_to_others(tmp_path: Path) -> None:
    path = str(tmp_path / "a.sqlite")
    with closing(Engine(apsw.Connection(path))) as first, closing(Engine(apsw.Connection(path))) as second:
        run(first, "CREATE TABLE t(a)")
        second.connection.set_busy_timeout(0)

        def write_elsewhere(index: int) -> None:
            second.execute("SELECT * FROM t")
            with pytest.raises(Rejected, match="database is locked: SQLITE_BUSY"):
                second.execute("INSERT INTO t VALUES (1)")

        first.run([Statement("INSERT INTO t VALUES (2)")], after=write_elsewhere)
        seen: list[object] = []
        first.run([Statement("SELECT * FROM t")], after=lambda index: seen.append(run(second, "SELECT * FROM t")))
        assert seen == [[(2,)]]


def test_columns_follow_a_schema_that_another_connection_changed(tmp_path: Path) -> None:
    path = str(tmp_path / "a.sqlite")
    with closing(Engine(apsw.Connection(path))) as first, closing(Engine(apsw.Connection(path))) as second:
        run(first, "CREATE TABLE t(a)")
        assert second.execute("SELECT * FROM t").columns == ("a",)
        run(first, "ALTER TABLE t ADD COLUMN b", "INSERT INTO t VALUES (1, 2)")
        result = second.execute("SELECT * FROM t")
        assert (result.columns, result.rows) == (("a", "b"), ((1, 2),))


# -- the authorizer --------------------------------------------------------------------------------------------------


def test_what_the_engine_asked_freely_is_still_refused(engine: Engine) -> None:
    for sql in ("PRAGMA user_version", "SELECT sqlite_version()", "CREATE TEMP TABLE mine(a)"):
        engine.ask(sql)
        with pytest.raises(Rejected, match="not authorized"):
            run(engine, sql)


def test_every_run_is_shown_to_the_watcher(engine: Engine) -> None:
    run(engine, "CREATE TABLE t(a)")
    seen: list[tuple[int, str | None]] = []
    engine.on_action = lambda action, first, second, database, trigger: seen.append((action, first))
    for _ in range(3):
        run(engine, "INSERT INTO t VALUES (1)")
        engine.ask("DELETE FROM t")
    assert seen.count((apsw.SQLITE_INSERT, "t")) == 3
    assert (apsw.SQLITE_DELETE, "t") not in seen


def test_unlimited_ends(engine: Engine) -> None:
    run(engine, "CREATE TABLE p(a PRIMARY KEY)", "CREATE TABLE c(a REFERENCES p)")
    with engine.unlimited():
        engine.ask(f"SELECT {', '.join('1' * 150)}")
        engine.ask("INSERT INTO c VALUES (7)")
        engine.ask("PRAGMA writable_schema = ON")
    for sql, text in [
        (f"SELECT {', '.join('1' * 150)}", "too many columns in result set"),
        ("INSERT INTO c VALUES (8)", "FOREIGN KEY constraint failed"),
        ("DELETE FROM sqlite_schema", "may not be modified"),
        ("PRAGMA user_version", "not authorized"),
    ]:
        with pytest.raises(Rejected, match=text):
            run(engine, sql)


def test_settings_of_a_run_end_with_it(engine: Engine) -> None:
    names = sorted(rules.PRAGMAS_BOOLEAN - {"foreign_keys", "case_sensitive_like"})
    before = [run(engine, f"PRAGMA {name}") for name in names]
    run(engine, *(f"/* on */ PRAGMA {name} = 1" for name in (*names, "case_sensitive_like")))
    assert [run(engine, f"PRAGMA {name}") for name in names] == before
    assert run(engine, "SELECT 'A' LIKE 'a'") == [(1,)]


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT 1",
        "SELECT 1;",
        "SELECT 1 ; \t\r\n",
        "SELECT ';' -- ; \n",
        ";SELECT 1",
        "SELECT 1;;SELECT 2",
        "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; END;",
        "ALTER TABLE a RENAME TO b",
        "ALTER TABLE a RENAME COLUMN b TO _cf_b",
        "ALTER TABLE a ADD COLUMN _cf_b",
        "ALTER",
        "ALTER TABLE _cf_a RENAME TO b;",
    ],
)
def test_a_text_that_is_left_to_sqlite(sql: str) -> None:
    assert refusal_of_text(sql) is None


# -- values ----------------------------------------------------------------------------------------------------------


@given(st.lists(st.binary(max_size=8), min_size=1, max_size=5), st.booleans())
def test_text_that_is_not_utf8_is_replaced(cells: list[bytes], is_text: bool) -> None:
    kind = "TEXT" if is_text else "BLOB"
    sql = f"SELECT {', '.join(f'CAST(? AS {kind}) AS same' for _ in cells)}, NULL, 1.0, 'é' -- end"
    result = Engine.memory().execute(sql, cells)
    expected = [cell.decode(errors="replace") if is_text else cell for cell in cells]
    assert result.rows == ((*expected, None, 1.0, "é"),)
    assert result.columns[: len(cells)] == ("same",) * len(cells)


def test_text_that_is_not_utf8_in_a_hundred_columns(engine: Engine) -> None:
    result = engine.execute(f"SELECT {', '.join(['CAST(?1 AS TEXT)'] * 100)}", (b"\xff",))
    assert result.rows == (("\ufffd",) * 100,)
    with pytest.raises(Rejected, match="too many columns in result set"):
        run(engine, f"SELECT {', '.join('1' * 101)}")


def test_a_write_that_answers_with_such_text_is_rolled_back(engine: Engine) -> None:
    run(engine, "CREATE TABLE t(a)")
    with pytest.raises(Rejected, match="not UTF-8"):
        run(engine, "INSERT INTO t VALUES (CAST(x'ff' AS TEXT)) RETURNING a")
    assert engine.count("t") == 0


def test_numbers_keep_their_type_inside_the_engine(engine: Engine) -> None:
    engine.execute("CREATE TABLE t(a)")
    engine.ask_many("INSERT INTO t VALUES (?)", [(2**63 - 1,), (1.0,), (float("inf"),), (True,)])
    rows = engine.execute("SELECT a FROM t").rows
    assert [(type(cell), cell) for (cell,) in rows] == [
        (int, 2**63 - 1),
        (float, 1.0),
        (float, float("inf")),
        (int, 1),
    ]
    with pytest.raises(ValueError, match="64 bits"):
        engine.execute("SELECT ?", (2**63,))


def test_a_file_of_it_is_one_that_any_sqlite_reads(engine: Engine, tmp_path: Path) -> None:
    run(engine, "CREATE TABLE t(a)", "INSERT INTO t VALUES (42)")
    path = tmp_path / "copy.sqlite"
    path.write_bytes(engine.serialize())
    with closing(sqlite3.connect(path)) as other:
        assert other.execute("SELECT a FROM t").fetchall() == [(42,)]


def test_asking(engine: Engine) -> None:
    engine.ask("CREATE TABLE t(a)")
    engine.ask_many("INSERT INTO t VALUES (?)", ((number,) for number in range(3)))
    assert engine.ask("SELECT a FROM t WHERE a > ?", (0,)) == [(1,), (2,)]
    assert engine.ask_one("SELECT max(a) FROM t") == 2
    assert engine.count("t") == 3
