from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from d1ops.core.schema import SELECT_OBJECTS, Schema
from d1ops.core.sql import quote_identifier
from d1ops.core.values import Statement
from d1ops.database.sqlite import SqliteDatabase
from d1ops.database.workerd.adapter import WorkerdDatabase
from d1ops.errors import HumanNeeded, StatementRejected, Unreachable, UsageError
from d1ops.ops import sample as module
from d1ops.ops.sample import sample
from tests.support.node import MODULES
from tests.support.project import Project

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from d1ops.core.values import Result, Row
    from d1ops.database.base import Database


def contents(database: Database) -> dict[str, list[Row]]:
    """Every row as SQLite writes it down, which no number is too large for."""
    schema = Schema.from_rows(database.query(SELECT_OBJECTS).rows)
    found: dict[str, list[Row]] = {}
    for table in schema.tables():
        names = database.query("SELECT name FROM pragma_table_xinfo(?1)", (table,)).rows
        cells = ", ".join(f"quote({quote_identifier(str(name))})" for (name,) in names)
        found[table] = sorted(database.query(f"SELECT {cells} FROM {quote_identifier(table)}").rows, key=repr)
    return found


def counts(database: Database) -> dict[str, int]:
    return {table: len(rows) for table, rows in contents(database).items()}


def assert_sound(database: Database) -> None:
    assert database.query("PRAGMA foreign_key_check").rows == ()
    assert database.query("PRAGMA quick_check").rows == (("ok",),)


@pytest.fixture
def migrated(project: Project) -> Project:
    project.use_sample().migrate()
    return project


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    with closing(SqliteDatabase(tmp_path / "dev.sqlite")) as database:
        yield database


def test_every_table_of_the_user_is_filled_and_nothing_else(migrated: Project) -> None:
    database = migrated.database
    before, bookkeeping = counts(database), contents(database)
    requests = database.requests
    sampled = sample(database, rows=40, seed=7)
    assert sampled.batches == -(-sampled.statements // 500)
    assert database.requests - requests == 2 + sampled.batches
    added = {table: after - before[table] for table, after in counts(database).items() if after > before[table]}
    added.pop("sqlite_sequence", None)
    assert added == {filled.table: 40 for filled in sampled.tables}
    assert sampled.rows == 40 * len(added) > 1000
    after = contents(database)
    for table in ("d1_migrations", "d1ops_history"):
        assert after[table] == bookkeeping[table]
    assert_sound(database)


def test_the_same_seed_makes_the_same_rows_in_both_engines(tmp_path: Path) -> None:
    found = []
    engines: list[Database] = [
        SqliteDatabase(tmp_path / "dev.sqlite"),
        WorkerdDatabase("sample", tmp_path / "state", [MODULES]),
    ]
    for database in engines:
        with closing(database):
            Project(tmp_path / database.target.kind, database).use_sample().migrate()
            sampled = sample(database, rows=12, seed=3)
            assert_sound(database)
            rows = contents(database)
            found.append((sampled, {filled.table: rows[filled.table] for filled in sampled.tables}))
    assert found[0] == found[1]


def test_a_second_run_adds_rows_and_refers_to_those_that_are_there(migrated: Project) -> None:
    database = migrated.database
    sample(database, rows=15, seed=1)
    first = contents(database)
    for seed in (2, 1):
        sample(database, rows=15, seed=seed)
    after = contents(database)
    for table, rows in first.items():
        if table != "sqlite_sequence":
            assert set(rows) <= set(after[table])
    assert counts(database)["users"] == 45
    linked = "SELECT count(*) FROM tracks t JOIN artists a ON a.id = t.artist_id WHERE t.rowid > 15 AND a.rowid <= 15"
    assert database.query(linked).scalar() in range(1, 31)
    assert_sound(database)


def test_rows_of_every_kind_are_read_before_more_are_made(database: SqliteDatabase) -> None:
    odd = "CAST(x'c3' AS TEXT)"
    database.batch(
        [
            Statement("CREATE TABLE keys (id UNIQUE, kind TEXT AS (typeof(id)), n INTEGER PRIMARY KEY)"),
            Statement("CREATE UNIQUE INDEX kinds ON keys (kind, n)"),
            Statement(
                f"INSERT INTO keys (id) VALUES (9007199254740993), (9e999), (x'00ff'), ({odd}), ({odd} || 'b'), (NULL)"
            ),
            Statement("CREATE TABLE refs (key_n INTEGER NOT NULL UNIQUE REFERENCES keys)"),
            Statement("INSERT INTO refs VALUES (1), (2)"),
            Statement("CREATE TABLE log (at INTEGER PRIMARY KEY, what TEXT)"),
            Statement(
                "CREATE TRIGGER followed AFTER INSERT ON refs BEGIN INSERT INTO log(what) VALUES (new.key_n); END"
            ),
            Statement("INSERT INTO refs VALUES (3)"),
        ]
    )
    sampled = sample(database, rows=4, seed=0)
    assert {filled.table: filled.rows for filled in sampled.tables} == {"keys": 4, "log": 4, "refs": 4}
    assert counts(database) == {"keys": 10, "refs": 7, "log": 9}, "the trigger wrote 1 + 4 of the log's rows"
    assert_sound(database)


def test_too_many_rows_to_read_and_too_few_to_make_are_refused(database: SqliteDatabase) -> None:
    database.query("CREATE TABLE plays (id INTEGER PRIMARY KEY)")
    with pytest.raises(UsageError, match="0 rows cannot be made"):
        sample(database, rows=0, seed=0)
    many = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i <= ?1)"
        " INSERT INTO plays SELECT i FROM n LIMIT ?1 + 1"
    )
    database.query(many, (module.MAX_ROWS_READ,))
    with pytest.raises(UsageError, match="plays has more than 50,000 rows"):
        sample(database, rows=1, seed=0)
    database.query("DELETE FROM plays WHERE id = 1")
    assert sample(database, rows=1, seed=0).rows == 1


def test_a_database_without_tables_gets_nothing(database: SqliteDatabase) -> None:
    sampled = sample(database, rows=5, seed=0)
    assert (sampled.tables, sampled.statements, sampled.batches) == ((), 0, 0)
    assert database.requests == 1


class Failing(SqliteDatabase):
    """A database whose connection breaks before the given write is sent."""

    def __init__(self, path: Path, *, at: int) -> None:
        super().__init__(path)
        self.writes_left = at

    def batch(
        self, statements: Sequence[Statement], *, reads_only: bool = False, lossy: bool = False
    ) -> tuple[Result, ...]:
        if statements[0].sql.startswith("INSERT"):
            self.writes_left -= 1
            if self.writes_left < 0:
                raise Unreachable("the connection broke")
        return super().batch(statements, reads_only=reads_only, lossy=lossy)


def test_a_failure_says_how_far_it_came(tmp_path: Path) -> None:
    with closing(Failing(tmp_path / "dev.sqlite", at=0)) as database:
        database.query(f"CREATE TABLE wide ({', '.join(f'c{n} INTEGER' for n in range(100))})")
        with pytest.raises(Unreachable):
            sample(database, rows=1_200, seed=0)
        assert counts(database) == {"wide": 0}
        database.writes_left = 2
        with pytest.raises(HumanNeeded, match="1,000 of 1,200 inserts are in, then: the connection broke"):
            sample(database, rows=1_200, seed=0)
        assert counts(database) == {"wide": 1_000}


def test_what_the_target_alone_refuses_is_passed_on(database: SqliteDatabase) -> None:
    """A row that came between the look and the batch."""
    database.query("CREATE TABLE notes (id INTEGER PRIMARY KEY)")

    class Racing(Failing):
        def batch(
            self, statements: Sequence[Statement], *, reads_only: bool = False, lossy: bool = False
        ) -> tuple[Result, ...]:
            if statements[0].sql.startswith("INSERT"):
                database.query("INSERT INTO notes VALUES (2)")
            return super().batch(statements, reads_only=reads_only, lossy=lossy)

    path = database._path
    with (
        closing(Racing(path, at=9)) as racing,
        pytest.raises(StatementRejected, match=r"UNIQUE constraint failed: notes\.id"),
    ):
        sample(racing, rows=3, seed=0)
    assert contents(database) == {"notes": [("2",)]}
