"""Loss is judged by identity and content, on real engines."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from d1ops.core.engine import Engine
from d1ops.core.rehearsal import BEFORE, TableLoss, dangling, measure, rehearse
from d1ops.core.sql import split
from d1ops.core.values import Statement
from d1ops.errors import StatementRejected

if TYPE_CHECKING:
    from collections.abc import Sequence

FAMILY = (
    "CREATE TABLE users (id TEXT PRIMARY KEY, email TEXT, clerk_id TEXT)",
    "CREATE TABLE artists (id TEXT PRIMARY KEY, user_id TEXT REFERENCES users (id) ON DELETE CASCADE)",
    "CREATE TABLE tracks (id TEXT PRIMARY KEY, artist_id TEXT REFERENCES artists (id) ON DELETE CASCADE, plays INT)",
    "CREATE TABLE reviews (id TEXT PRIMARY KEY, user_id TEXT REFERENCES users (id) ON DELETE SET NULL)",
    "CREATE TABLE notes (body TEXT)",
    "INSERT INTO users VALUES ('u1', 'a@b', 'c1'), ('u2', 'c@d', NULL)",
    "INSERT INTO artists VALUES ('a1', 'u1'), ('a2', 'u2')",
    "INSERT INTO tracks VALUES ('t1', 'a1', 5), ('t2', 'a1', 6), ('t3', 'a2', 7)",
    "INSERT INTO reviews VALUES ('r1', 'u1'), ('r2', NULL)",
    "INSERT INTO notes VALUES ('same'), ('same'), ('other')",
)

REBUILD = """
CREATE TABLE users_new (id TEXT PRIMARY KEY, email TEXT);
INSERT INTO users_new SELECT id, email FROM users;
DROP TABLE users;
ALTER TABLE users_new RENAME TO users;
"""


def clone(statements: Sequence[str]) -> Engine:
    """An engine with the statements run, and an equal untouched database attached beside it."""
    pristine, engine = Engine.memory(), Engine.memory()
    for each in (pristine, engine):
        each.run([Statement(sql) for sql in statements])
    with engine.free():
        engine.connection.execute(f"ATTACH ':memory:' AS {BEFORE}")
        engine.connection.deserialize(BEFORE, pristine.serialize())
    return engine


def losses(statements: Sequence[str], script: str) -> dict[str, TableLoss]:
    engine = clone(statements)
    tables = [str(t) for (t,) in engine.ask("SELECT name FROM before.sqlite_master WHERE type = 'table'")]
    causes = rehearse(engine, split(script, "undo.sql"))
    return {loss.table: loss for loss in measure(engine, tables, causes)}


@pytest.mark.parametrize("pragma", ["", "PRAGMA foreign_keys=OFF;", "PRAGMA defer_foreign_keys=ON;"])
def test_the_textbook_rebuild_of_a_parent_names_every_child_and_its_path(pragma: str) -> None:
    found = losses(FAMILY, pragma + REBUILD)
    assert {name: (loss.rows_before, loss.rows_after, loss.losses) for name, loss in found.items()} == {
        "users": (2, 2, ("users.clerk_id",)),
        "artists": (2, 0, ("artists",)),
        "tracks": (3, 0, ("tracks",)),
        "reviews": (2, 2, ("reviews.user_id",)),
    }
    assert str(found["tracks"].causes[0]) == (
        "DROP TABLE users (undo.sql:4): users -> artists by user_id ON DELETE CASCADE"
        " -> tracks by artist_id ON DELETE CASCADE"
    )
    assert found["reviews"].causes[0].path == ("users", "reviews by user_id ON DELETE SET NULL")
    assert (found["reviews"].causes[0].deleted, found["reviews"].causes[0].updated) == (0, 1)


def test_dropping_a_column_in_place_touches_no_other_table() -> None:
    found = losses(FAMILY, "ALTER TABLE users DROP COLUMN clerk_id;")
    assert list(found) == ["users"]
    assert found["users"].losses == ("users.clerk_id",)
    assert [c.values_lost for c in found["users"].columns] == [1]
    assert found["users"].causes[0].statement == "ALTER TABLE users DROP COLUMN clerk_id"


def test_as_many_rows_in_as_out_is_still_a_loss() -> None:
    found = losses(FAMILY, "DELETE FROM tracks WHERE id = 't1'; INSERT INTO tracks VALUES ('t9', 'a1', 5);")
    assert (found["tracks"].rows_before, found["tracks"].rows_after, found["tracks"].rows_lost) == (3, 3, 1)


def test_a_changed_value_is_lost_and_a_filled_null_is_not() -> None:
    found = losses(
        FAMILY, "UPDATE tracks SET plays = 0 WHERE id = 't1'; UPDATE users SET clerk_id = 'c2' WHERE id = 'u2';"
    )
    assert found["tracks"].losses == ("tracks.plays",)
    assert "users" not in found or found["users"].losses == ()


def test_case_and_type_count_as_content() -> None:
    schema = ("CREATE TABLE t (id INTEGER PRIMARY KEY, v COLLATE NOCASE)", "INSERT INTO t VALUES (1, 'a'), (2, 1)")
    found = losses(schema, "UPDATE t SET v = 'A' WHERE id = 1; UPDATE t SET v = 1.0 WHERE id = 2;")
    assert [(c.column, c.values_lost) for c in found["t"].columns] == [("v", 2)]


def test_rows_without_a_key_are_compared_as_a_multiset() -> None:
    found = losses(
        FAMILY,
        "CREATE TABLE n2 (body TEXT); INSERT INTO n2 SELECT DISTINCT body FROM notes;"
        "DROP TABLE notes; ALTER TABLE n2 RENAME TO notes;",
    )
    assert (found["notes"].rows_before, found["notes"].rows_after, found["notes"].rows_lost) == (3, 2, 1)


def test_a_faithful_rebuild_loses_nothing() -> None:
    script = (
        "CREATE TABLE n2 (extra INT, body TEXT); INSERT INTO n2 (body) SELECT body FROM notes ORDER BY body DESC;"
        "DROP TABLE notes; ALTER TABLE n2 RENAME TO notes;"
    )
    assert losses(FAMILY, script) == {}


def test_a_renamed_table_or_column_is_no_loss() -> None:
    found = losses(
        FAMILY, "ALTER TABLE tracks RENAME TO songs; ALTER TABLE users RENAME COLUMN clerk_id TO outside_id;"
    )
    assert found["tracks"].renamed_to == "songs"
    assert [(c.column, c.renamed_to) for c in found["users"].columns] == [("clerk_id", "outside_id")]
    assert [loss.losses for loss in found.values()] == [(), ()]


def test_a_dropped_table_loses_its_rows_and_an_empty_one_none() -> None:
    schema = ("CREATE TABLE a (x)", "CREATE TABLE b (x)", "INSERT INTO a VALUES (1)")
    found = losses(schema, "DROP TABLE a; DROP TABLE b;")
    assert {name: (loss.losses, loss.exists_after) for name, loss in found.items()} == {
        "a": (("a",), False),
        "b": ((), False),
    }


CONTENTLESS = (
    "CREATE VIRTUAL TABLE f USING fts5(a, b, content='', contentless_delete=1)",
    "INSERT INTO f (rowid, a, b) VALUES (1, 'hello', 'world'), (2, 'bye', 'moon')",
)


@pytest.mark.parametrize(
    ("script", "lost"),
    [
        ("INSERT OR REPLACE INTO f (rowid, a, b) VALUES (1, 'x', 'y');", 1),
        ("INSERT OR REPLACE INTO f (rowid, a, b) VALUES (1, 'hello', 'moon'), (2, 'bye', 'moon');", 1),
        ("UPDATE f SET a = 'hello', b = 'y';", 2),
        ("DELETE FROM f WHERE rowid = 2;", 1),
        (
            "DROP TABLE f; CREATE VIRTUAL TABLE f USING fts5(a, content=''); INSERT INTO f (rowid) VALUES (1), (2);",
            2,
        ),
        ("ALTER TABLE f RENAME TO g; INSERT OR REPLACE INTO g (rowid, a) VALUES (1, 'x');", 1),
        ("INSERT INTO f (rowid, a, b) VALUES (3, 'hello', 'sun');", 0),
        ("ALTER TABLE f RENAME TO g;", 0),
        ("INSERT INTO f (f) VALUES ('optimize');", 0),
    ],
)
def test_the_entries_of_an_index_without_contents_are_compared(script: str, lost: int) -> None:
    found = losses(CONTENTLESS, script)
    assert (found["f"].rows_lost if "f" in found else 0) == lost


INDEXED = (
    "CREATE TABLE users (id TEXT PRIMARY KEY, name TEXT)",
    "CREATE VIRTUAL TABLE uf USING fts5(name, content='users')",
    "INSERT INTO users VALUES ('u1', 'ann'), ('u2', 'bob'), ('u3', 'cat')",
    "DELETE FROM users WHERE id = 'u1'",
    "INSERT INTO uf (uf) VALUES ('rebuild')",
)
RENUMBERED = (
    "CREATE TABLE n (id TEXT PRIMARY KEY, name TEXT NOT NULL); INSERT INTO n SELECT * FROM users;"
    "DROP TABLE users; ALTER TABLE n RENAME TO users;"
)
AGAIN = "INSERT INTO uf (uf) VALUES ('rebuild');"


@pytest.mark.parametrize(
    ("script", "lost"),
    [
        (RENUMBERED, 2),
        (RENUMBERED + AGAIN, 0),
        ("UPDATE users SET name = 'dan' WHERE id = 'u2';", 1),
        ("INSERT INTO uf (uf) VALUES ('delete-all');", 2),
        ("INSERT INTO users VALUES ('u4', 'never indexed');", 0),
        ("UPDATE users SET name = upper(name);", 0),
    ],
)
def test_an_index_that_fits_its_rows_no_longer_is_told(script: str, lost: int) -> None:
    loss = losses(INDEXED, script).get("uf")
    assert (loss is not None and loss.is_unfit, loss.rows_lost if loss is not None else 0) == (lost > 0, lost)


def test_an_index_that_did_not_fit_before_is_not_told() -> None:
    assert losses((*INDEXED, "UPDATE users SET name = 'dan' WHERE id = 'u2'"), RENUMBERED).keys() == set()


def test_a_delete_through_a_trigger_is_found() -> None:
    schema = (*FAMILY, "CREATE TRIGGER g AFTER DELETE ON notes BEGIN DELETE FROM tracks; END")
    found = losses(schema, "DELETE FROM notes WHERE body = 'other';")
    assert found["tracks"].rows_lost == 3


def test_a_script_that_fails_names_its_place_and_changes_nothing() -> None:
    engine = clone(FAMILY)
    with pytest.raises(StatementRejected, match=r"undo.sql:2:1: no such table: nope"):
        rehearse(engine, split("DELETE FROM tracks;\nDELETE FROM nope;\n", "undo.sql"))
    assert engine.count("tracks") == 3


def test_violations_that_wait_for_the_commit_fail_at_the_end() -> None:
    schema = ("CREATE TABLE p (id PRIMARY KEY)", "CREATE TABLE c (p REFERENCES p)", "INSERT INTO p VALUES (1)")
    engine = clone((*schema, "INSERT INTO c VALUES (1)"))
    with pytest.raises(StatementRejected, match="fails at its end"):
        rehearse(engine, split("PRAGMA defer_foreign_keys=ON; DELETE FROM p;", "undo.sql"))
    assert engine.count("p") == 1


def test_dangling_rows_are_counted_and_a_mismatch_elsewhere_hides_none() -> None:
    engine = Engine.memory()
    with engine.unlimited():
        engine.ask("CREATE TABLE p (id PRIMARY KEY, other)")
        engine.ask("CREATE TABLE c (p REFERENCES p (id))")
        engine.ask("CREATE TABLE broken (p REFERENCES p (other))")
        engine.ask("INSERT INTO c VALUES (7), (8)")
        engine.ask("INSERT INTO broken VALUES (1)")
    assert dangling(engine) == Counter({("c", "p"): 2})


CELL = st.one_of(st.none(), st.integers(0, 2), st.sampled_from(["a", "A", "b"]))


@given(
    before=st.dictionaries(st.integers(0, 6), st.tuples(CELL, CELL), max_size=5),
    after=st.dictionaries(st.integers(0, 6), st.tuples(CELL, CELL), max_size=5),
    keyed=st.booleans(),
)
def test_what_is_measured_is_what_a_person_would_count(
    before: dict[int, tuple[object, object]], after: dict[int, tuple[object, object]], keyed: bool
) -> None:
    def literal(cell: object) -> str:
        return "NULL" if cell is None else repr(cell)

    def insert(rows: dict[int, tuple[object, object]]) -> list[str]:
        return [f"INSERT INTO t VALUES ({k}, {literal(x)}, {literal(y)})" for k, (x, y) in rows.items()]

    table = f"CREATE TABLE t (k INTEGER{' PRIMARY KEY' if keyed else ''}, x, y)"
    rebuilt = f"CREATE TABLE t2 (k INTEGER{' PRIMARY KEY' if keyed else ''}, x, y)"
    script = "; ".join([rebuilt, *[s.replace("INTO t ", "INTO t2 ") for s in insert(after)]])
    found = losses((table, *insert(before)), f"{script}; DROP TABLE t; ALTER TABLE t2 RENAME TO t;").get("t")
    if keyed:
        lost = len(before.keys() - after.keys())
        both = before.keys() & after.keys()
        cells = [sum(before[k][i] is not None and before[k][i] != after[k][i] for k in both) for i in (0, 1)]
    else:
        lost = (Counter(before.items()) - Counter(after.items())).total()
        cells = [0, 0]
    assert (found.rows_lost if found else 0) == lost
    assert (sum(c.values_lost for c in found.columns) if found else 0) == sum(cells)


def test_the_rows_of_a_full_text_index_are_found_by_their_number() -> None:
    rows = "WITH n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 400) INSERT INTO f SELECT i FROM n"
    engine = clone(("CREATE VIRTUAL TABLE f USING fts5(a)", rows, "CREATE TABLE o (v)", "INSERT INTO o VALUES (1)"))
    steps = 0

    def count() -> bool:
        nonlocal steps
        steps += 1
        return False

    engine.connection.set_progress_handler(count, 1_000)
    assert measure(engine, ["f"], {}) == ()
    assert steps < 200
