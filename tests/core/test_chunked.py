"""What a chunked migration may hold, with the place of what it may not."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from d1ops.core.catalog import Script
from d1ops.core.chunked import Key, Strays, ranges, require_fitting
from d1ops.core.engine import Engine
from d1ops.core.rehearsal import rehearse
from d1ops.errors import ScriptError

if TYPE_CHECKING:
    from d1ops.core.chunked import Chunked

BETWEEN = "BETWEEN :from AND :to;\n"
HEAD = "-- a note\n-- d1ops: chunked users by id\n"
SCHEMA = (
    "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT, state TEXT)",
    "CREATE TABLE other (a, b, PRIMARY KEY (a, b)) WITHOUT ROWID",
    "CREATE TABLE plain (x)",
)


def chunked(text: str) -> Chunked:
    found = Script("db/migrations/0009_x.sql", text.encode()).chunked
    assert found is not None
    return found


def fit(text: str) -> None:
    engine = Engine.memory()
    for sql in SCHEMA:
        engine.execute(sql)
    require_fitting(engine, chunked(text))


def test_the_comment_is_read() -> None:
    found = chunked('-- D1OPS: Chunked "my ""users" BY "a b", 50 rows\nDELETE FROM t WHERE :from < :to;\n')
    assert (found.table, found.key, found.rows) == ('my "users', "a b", 50)
    assert Script("x.sql", b"-- chunked is a word\nSELECT 1;\n").chunked is None
    assert Script("x.sql", b"SELECT '-- d1ops: chunked users by id';\n").chunked is None


@pytest.mark.parametrize(
    "text",
    [
        HEAD + "UPDATE users SET email = lower(email) WHERE id " + BETWEEN,
        HEAD + "DELETE FROM users WHERE id >= :from AND id <= :to AND state IS NULL;\n",
        HEAD + "UPDATE users SET email = (SELECT max(x) FROM plain) WHERE id " + BETWEEN,
        HEAD.replace("by id", "by rowid") + "DELETE FROM users WHERE rowid " + BETWEEN,
        "-- d1ops: chunked plain by rowid, 7 rows\nDELETE FROM plain WHERE rowid " + BETWEEN,
    ],
)
def test_what_fits(text: str) -> None:
    fit(text)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("-- d1ops: chunked\nDELETE FROM users WHERE id " + BETWEEN, "1:1: this comment is not"),
        ("\n  -- d1ops: chunked users\nDELETE FROM users WHERE id " + BETWEEN, "2:3: this comment"),
        (HEAD + HEAD + "DELETE FROM users WHERE id " + BETWEEN, "2:1: two of them"),
        (HEAD.replace("id\n", "id, 0 rows\n") + "DELETE FROM users WHERE id " + BETWEEN, "a piece has 1 to"),
        (HEAD + "DELETE FROM users WHERE id > :from;\n", "3:1: a statement of a chunked migration lacks :to"),
        (HEAD + "DELETE FROM users WHERE id BETWEEN :from AND :to AND 1 = ?1;\n", "3:1: .* knows no \\?1"),
        (HEAD + "UPDATE plain SET x = 1 WHERE rowid " + BETWEEN, "3:1: the statement writes to plain"),
        (HEAD + "INSERT INTO users (id) VALUES (:from), (:to);\n", "3:1: INSERT does not go by pieces"),
        (HEAD + "CREATE TABLE y AS SELECT :from, :to;\n", "3:1: "),
        (HEAD + "SELECT :from, :to;\n", "3:1: SELECT does not go by pieces"),
        (HEAD + "\n DELETE FROM users WHERE email " + BETWEEN, "4:2: the statement does not find its rows"),
        (HEAD + "DELETE FROM users WHERE nope " + BETWEEN, "3:1: .*no such column: nope"),
        (HEAD.replace("users", "nobody") + "DELETE FROM nobody WHERE id " + BETWEEN, "there is no table nobody"),
        (HEAD.replace("by id", "by email") + "DELETE FROM users WHERE email " + BETWEEN, "email is not the key"),
        ("-- d1ops: chunked other by a\nDELETE FROM other WHERE a " + BETWEEN, "2:1: a is not the key of other"),
        ("-- d1ops: chunked plain by x\nDELETE FROM plain WHERE x " + BETWEEN, "it has no key: use rowid"),
    ],
)
def test_what_does_not_fit_is_refused_with_its_place(text: str, says: str) -> None:
    with pytest.raises(ScriptError, match=rf"^db/migrations/0009_x.sql:.*{says}") as caught:
        fit(text)
    assert caught.value.hint is not None


def test_a_statement_that_reaches_beyond_its_range_is_found_on_the_copy() -> None:
    engine = Engine.memory()
    engine.execute(SCHEMA[0])
    engine.execute("INSERT INTO users (id, state) VALUES (1, 'a'), (2, 'b'), (3, 'c'), (90, 'z')")
    found = chunked(HEAD + "UPDATE users SET state = 'x' WHERE id BETWEEN :from AND :to + 80;\n")
    require_fitting(engine, found)
    strays = Strays(engine, found, Key("i1"), Key("i3"))
    rehearse(engine, found.between(Key("i1"), Key("i3")), also=strays.note)
    strays.refuse()
    strays = Strays(engine, found, Key("i3"), Key("i80"))
    rehearse(engine, found.between(Key("i3"), Key("i80")), also=strays.note)
    with pytest.raises(ScriptError, match=r"0009_x.sql:3:1: the statement changes a row outside of its range: id 90"):
        strays.refuse()


keys = st.one_of(st.integers(-(2**63), 2**63 - 1), st.floats(allow_nan=False), st.text(), st.binary())


@example([float("inf"), float("-inf"), -0.0, 5e-324, 1.7e308], 1, 0)
@given(st.lists(keys, max_size=40), st.integers(1, 9), st.integers(0, 39))
def test_the_ranges_hold_every_key_once(values: list[int | float | str | bytes], rows: int, after: int) -> None:
    engine = Engine.memory()
    engine.execute("CREATE TABLE t (k PRIMARY KEY) WITHOUT ROWID")
    for value in values:
        engine.ask("INSERT OR IGNORE INTO t VALUES (?)", (value,))
    found = chunked(f"-- d1ops: chunked t by k, {rows} rows\nDELETE FROM t WHERE k " + BETWEEN)
    whole = engine.count("t")
    pieces = list(ranges(engine, found))
    sizes = [int(str(engine.ask_one(f"SELECT count(*) FROM t WHERE {found.range_sql(*piece)}"))) for piece in pieces]
    assert sum(sizes) == whole
    assert all(size <= rows for size in sizes)
    if after < len(pieces):  # A run that goes on begins with the piece behind.
        assert list(ranges(engine, found, pieces[after][1])) == pieces[after + 1 :]


def test_over_the_whole_table_it_is_an_ordinary_script() -> None:
    engine = Engine.memory()
    engine.execute(SCHEMA[0])
    engine.execute("INSERT INTO users (id, email) VALUES (1, 'A'), (7, 'B')")
    for statement in Script(
        "x.sql", f"{HEAD}UPDATE users SET email = lower(email) WHERE id BETWEEN :from AND :to;".encode()
    ).statements:
        engine.execute(statement.sql)
    assert engine.ask("SELECT email FROM users") == [("a",), ("b",)]
