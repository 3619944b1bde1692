"""A whole database, written request by request into an empty one, is the same database."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from d1ops.core.engine import Engine
from d1ops.core.fulltext import check, settings
from d1ops.core.lossless import decode, reader_of
from d1ops.core.mirror import schema_of
from d1ops.core.replay import run_script
from d1ops.core.restoring import parts, removals
from d1ops.core.rows import generate
from d1ops.core.schema import SELECT_OBJECTS, Schema
from d1ops.core.sql import split
from d1ops.core.values import Statement
from d1ops.errors import BackupRefused
from tests.core.test_loading import exact

if TYPE_CHECKING:
    from collections.abc import Iterable

    from d1ops.core.values import Row
    from tests.contract.conftest import Adapter

RICH = """
CREATE TABLE users (
  id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT COLLATE NOCASE UNIQUE, boss INTEGER REFERENCES users(id)
);
CREATE TABLE "odd ""name" (
  a, b, c REAL, d BLOB, e INTEGER GENERATED ALWAYS AS (length(a)) STORED, CHECK (b <> 'never')
);
CREATE TABLE keyed (x TEXT, y INTEGER, v ANY, PRIMARY KEY (y DESC, x)) STRICT, WITHOUT ROWID;
CREATE TABLE left_one (id INTEGER PRIMARY KEY, r INTEGER REFERENCES right_one(id) DEFERRABLE INITIALLY DEFERRED);
CREATE TABLE right_one (id INTEGER PRIMARY KEY, l INTEGER NOT NULL REFERENCES left_one(id));
CREATE TABLE log (at TEXT, what TEXT);
CREATE VIRTUAL TABLE words USING fts5(body, tags);
CREATE VIRTUAL TABLE mirrored USING fts5(what, content='log', content_rowid='rowid');
CREATE INDEX partial ON users (lower(name)) WHERE boss IS NOT NULL;
CREATE VIEW bosses AS SELECT * FROM users WHERE boss IS NULL;
CREATE TRIGGER logged AFTER INSERT ON users BEGIN INSERT INTO log VALUES ('now', new.name); END;
CREATE TRIGGER through INSTEAD OF INSERT ON bosses BEGIN INSERT INTO users (name) VALUES (new.name); END;
"""
ROWS = """
INSERT INTO users (id, name, boss) VALUES (1, 'a', NULL), (7, 'b', 1), (40, 'c', 7);
DELETE FROM users WHERE id = 40;
INSERT INTO "odd ""name" (rowid, a, b, c, d) VALUES (-5, 9007199254740993, -9223372036854775808, 0.1, x'00ff'),
  (99, 1e999, 'text', -1e999, zeroblob(3)), (100, '', NULL, 5e-324, '');
INSERT INTO keyed VALUES ('k', 1, 1.5), ('k', 2, x'01'), ('', 3, 'x');
PRAGMA defer_foreign_keys = ON;
INSERT INTO left_one VALUES (1, 2), (3, NULL);
INSERT INTO right_one VALUES (2, 1);
INSERT INTO words (rowid, body, tags) VALUES (3, 'some words', NULL), (9, 'other words', 'x');
INSERT INTO mirrored (mirrored) VALUES ('rebuild');
ANALYZE;
"""
BROKEN = """
PRAGMA defer_foreign_keys = ON;
PRAGMA ignore_check_constraints = ON;
INSERT INTO right_one VALUES (5, 555);
INSERT INTO "odd ""name" (a, b) VALUES (1, 'never');
PRAGMA defer_foreign_keys = OFF;
"""


def source(*scripts: str) -> Engine:
    engine = Engine.memory()
    for script in scripts:
        run_script(engine, split(script))
    return engine


def selects(copy: Engine) -> dict[str, str]:
    """How to read the stored tables that are not the shadows of virtual ones."""
    tables = copy.ask(
        "SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table' AND name <> 'sqlite_schema'"
    )
    return {str(name): reader_of(copy, str(name)).select(hexadecimal=True) for (name,) in tables}


def exactly(rows: Iterable[Row]) -> list[str]:
    return sorted(repr([exact(decode(cell)) for cell in row]) for row in rows)


def rows_of(database: Adapter, copy: Engine) -> dict[str, list[str]]:
    wanted = selects(copy)
    answers = database.batch([Statement(sql) for sql in wanted.values()], lossy=True)
    return {table: exactly(answer.rows) for table, answer in zip(wanted, answers, strict=True)}


def local_rows(copy: Engine) -> dict[str, list[str]]:
    return {table: exactly(copy.ask(sql)) for table, sql in selects(copy).items()}


def restore(database: Adapter, copy: Engine, *, max_bytes: int = 2_000) -> None:
    for part in parts(copy, schema_of(copy), max_bytes=max_bytes):
        database.batch(part.statements)


def schema(database: Adapter) -> set[tuple[object, ...]]:
    found = Schema.from_rows(database.query(SELECT_OBJECTS).rows)
    return {(o.type, o.name, o.table, o.sql) for o in found.objects if not o.name.lower().startswith("_cf_")}


def schema_here(copy: Engine) -> set[tuple[object, ...]]:
    return {(o.type, o.name, o.table, o.sql) for o in schema_of(copy).objects}


@pytest.mark.parametrize("scripts", [(RICH, ROWS), (RICH, ROWS, BROKEN), (RICH,)], ids=["rows", "broken rows", "empty"])
def test_everything_is_there_again(database: Adapter, scripts: tuple[str, ...]) -> None:
    with closing(source(*scripts)) as copy:
        restore(database, copy)

        assert schema(database) == schema_here(copy)
        assert rows_of(database, copy) == local_rows(copy)
        for asked in ("SELECT rowid, * FROM words WHERE words MATCH 'words'", "SELECT rowid FROM mirrored('a')"):
            assert database.query(asked).rows == tuple(copy.ask(asked))


def test_rows_whose_parents_are_missing_or_not_unique_are_written_too(database: Adapter) -> None:
    copy = source(
        "CREATE TABLE parent (a, b);"
        "CREATE TABLE child (id INTEGER PRIMARY KEY, a REFERENCES parent(a), n REFERENCES nowhere);"
    )
    with closing(copy):
        with copy.unlimited():
            copy.ask("INSERT INTO child VALUES (1, 2, 3), (4, 5, NULL)")
            copy.ask("INSERT INTO parent VALUES (2, 1), (2, 2)")

        restore(database, copy)

        assert schema(database) == schema_here(copy)
        assert rows_of(database, copy) == local_rows(copy)


def test_a_full_text_index_without_contents_is_refused() -> None:
    with closing(source("CREATE VIRTUAL TABLE w USING fts5(a, content='');")) as copy:
        assert [part.says for part in parts(copy, schema_of(copy))] == ["create 1 tables"]
        run_script(copy, split("INSERT INTO w (rowid, a) VALUES (1, 'x');"))

        with pytest.raises(BackupRefused, match="full-text index without contents"):
            list(parts(copy, schema_of(copy)))


def test_a_target_is_emptied_whatever_refers_to_what(database: Adapter) -> None:
    with closing(source(RICH, ROWS, BROKEN)) as copy:
        restore(database, copy)
        links = {"users": {"users"}, "left_one": {"right_one"}, "right_one": {"left_one"}}
        for part in removals(schema_of(copy), links):
            database.batch(part.statements)

    assert {row[1] for row in schema(database)} <= {"sqlite_sequence", "sqlite_stat1"}


def test_the_same_copy_gives_the_same_requests() -> None:
    with closing(source(RICH)) as copy:
        generate(copy, rows=40, seed=3)

        one, other = (
            list(parts(copy, schema_of(copy), max_bytes=3_000)),
            list(parts(copy, schema_of(copy), max_bytes=3_000)),
        )

    assert one == other
    assert len(one) > 10


@pytest.mark.parametrize("seed", range(2))
def test_generated_rows_survive(database: Adapter, seed: int) -> None:
    with closing(source(RICH)) as copy:
        generate(copy, rows=60, seed=seed)

        restore(database, copy, max_bytes=20_000)

        assert rows_of(database, copy) == local_rows(copy)


def found(database: Adapter | Engine, index: str, word: str) -> list[Row]:
    asked = f"SELECT rowid FROM {index} WHERE {index} MATCH '{word}' ORDER BY rowid"
    return database.ask(asked) if isinstance(database, Engine) else list(database.query(asked).rows)


def test_full_text_indexes_are_filled_after_what_they_read(database: Adapter) -> None:
    copy = source(
        "CREATE VIRTUAL TABLE of_table USING fts5(body, content='posts', content_rowid='id');"
        "CREATE VIRTUAL TABLE of_view USING fts5(body, content='long_ones', content_rowid='id');"
        "CREATE TABLE posts (id INTEGER PRIMARY KEY, body TEXT);"
        "CREATE VIEW long_ones AS SELECT id, body FROM posts WHERE length(body) > 4;"
        "INSERT INTO posts VALUES (3, 'alpha'), (5, 'beta'), (9, 'alpha beta');"
        "INSERT INTO of_table (of_table) VALUES ('rebuild');"
        "INSERT INTO of_view (of_view) VALUES ('rebuild');"
    )
    with closing(copy):
        restore(database, copy)

        assert found(database, "of_table", "beta") == [(5,), (9,)]
        assert found(database, "of_view", "beta") == [(9,)]
        database.batch([check("of_table"), check("of_view")])


def test_a_row_that_was_not_indexed_is_not_found_afterwards(database: Adapter) -> None:
    copy = source(
        "CREATE TABLE posts (id INTEGER PRIMARY KEY, body TEXT);"
        "CREATE VIRTUAL TABLE published USING fts5(body, content='posts', content_rowid='id');"
        "CREATE VIRTUAL TABLE unsized USING fts5(body, content='posts', content_rowid='id', columnsize=0);"
        "INSERT INTO posts VALUES (1, 'a draft'), (2, 'a post');"
        "INSERT INTO published (rowid, body) VALUES (2, 'a post');"
        "INSERT INTO unsized (rowid, body) VALUES (2, 'a post');"
    )
    with closing(copy):
        restore(database, copy)

    assert found(database, "published", "a") == found(database, "unsized", "a") == [(2,)]


def test_the_settings_of_a_full_text_index_return(database: Adapter) -> None:
    copy = source(
        "CREATE VIRTUAL TABLE w USING fts5(a, b);"
        "INSERT INTO w VALUES ('x', 'y');"
        "INSERT INTO w (w, rank) VALUES ('rank', 'bm25(5.0, 1.0)'), ('automerge', 8), ('secure-delete', 1);"
    )
    with closing(copy):
        restore(database, copy)

        assert list(database.query(settings("w")).rows) == copy.ask(settings("w")) != []
