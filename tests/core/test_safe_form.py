"""The safe form of a script that would cascade: it does what its author meant, and loses nothing."""

from __future__ import annotations

from contextlib import closing

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d1ops.core.engine import Engine
from d1ops.core.measure import measure
from d1ops.core.rehearsal import BEFORE, rehearse
from d1ops.core.replay import run_script
from d1ops.core.sql import split
from d1ops.core.trial import beside, data_tables, filled, opened
from d1ops.core.undo.proof import outcome
from d1ops.core.undo.safe import NoSafeForm, SafeForm, safe_form

USERS = "id TEXT PRIMARY KEY NOT NULL, name TEXT, age INTEGER CHECK (age > 0)"
FAMILY = f"""
CREATE TABLE users ({USERS});
CREATE TABLE artists (
  id INTEGER PRIMARY KEY AUTOINCREMENT, user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE
);
CREATE TABLE tracks (artist INTEGER REFERENCES artists (id) ON DELETE CASCADE, plays INTEGER);
CREATE TABLE reviews (user_id TEXT REFERENCES users (id) ON DELETE SET NULL, stars INTEGER);
CREATE TABLE visits (user_id TEXT REFERENCES users (id), day TEXT);
CREATE TABLE log (what TEXT);
CREATE INDEX users_name ON users (name);
CREATE TRIGGER track_gone AFTER DELETE ON tracks BEGIN INSERT INTO log VALUES (old.plays); END;
CREATE TRIGGER track_new AFTER INSERT ON tracks BEGIN INSERT INTO log VALUES (new.plays); END;
CREATE VIEW names AS SELECT name FROM users;
"""


def clone(schema: str = FAMILY, rows: int = 5, seed: int = 3) -> bytes:
    with closing(Engine.memory()) as engine:
        run_script(engine, split(schema))
        return filled(engine.serialize(), rows, seed)[0]


def rebuild(definition: str, columns: str, source: str = "", *, pragma: str = "PRAGMA foreign_keys = OFF;") -> str:
    return (
        f"{pragma} DROP VIEW names; CREATE TABLE users_new ({definition});"
        f" INSERT INTO users_new ({columns}) SELECT {source or columns} FROM users; DROP TABLE users;"
        " ALTER TABLE users_new RENAME TO users; CREATE INDEX users_name ON users (name);"
        " CREATE VIEW names AS SELECT name FROM users; PRAGMA defer_foreign_keys = OFF;"
    )


def safe(script: str, image: bytes | None = None) -> SafeForm:
    return safe_form(clone() if image is None else image, split(script), "db/rollbacks/0002_rollback.safe.sql")


def lost(image: bytes, script: str) -> set[str]:
    with closing(opened(image)) as engine:
        causes = rehearse(engine, split(script))
        with beside(engine, image):
            return {name for loss in measure(engine, data_tables(engine, BEFORE), causes) for name in loss.losses}


WITHOUT_AGE = rebuild("id TEXT PRIMARY KEY NOT NULL, name TEXT", "id, name", pragma="PRAGMA defer_foreign_keys = ON;")
OTHER_CHECK = rebuild(USERS.replace("> 0", "> -1"), "id, name, age", pragma="PRAGMA defer_foreign_keys = ON;")


def test_the_trap_is_real() -> None:
    assert {"artists", "tracks", "reviews.user_id"} <= lost(clone(), OTHER_CHECK)


def test_a_dropped_column_needs_no_rebuild() -> None:
    form = safe(WITHOUT_AGE)
    assert (form.rebuilt, form.moved) == ((), ())
    assert [s.sql for s in form.script.statements] == ["ALTER TABLE users DROP COLUMN age"]
    assert lost(clone(), form.script.data.decode()) == {"users.age"}


def test_what_only_a_rebuild_can_do_keeps_all_rows_aside() -> None:
    image = clone()
    form = safe(OTHER_CHECK, image)
    assert form.rebuilt == ("users",)
    assert set(form.moved) == {"artists", "tracks", "reviews"}
    assert lost(image, form.script.data.decode()) == set()
    with closing(opened(image)) as engine:
        run_script(engine, form.script.statements)
        assert "age > -1" in str(engine.ask_one("SELECT sql FROM sqlite_master WHERE name = 'users'"))
        leftovers = engine.ask("SELECT name FROM sqlite_master WHERE name LIKE 'stash%'")
    assert leftovers == []


def test_a_row_that_does_not_return_makes_the_commit_fail() -> None:
    image = clone()
    text = safe(OTHER_CHECK, image).script.data.decode()
    broken = text.replace("FROM stash_users;", "FROM stash_users WHERE id <> (SELECT min(user_id) FROM visits);")
    assert broken != text
    tried = outcome(image, split(broken), image)
    assert tried.failed
    assert "FOREIGN KEY constraint failed" in tried.problems[0]


def test_what_the_author_computes_on_the_way_is_kept() -> None:
    image = clone()
    form = safe(rebuild(USERS, "id, name, age", "id, upper(name), age + 1"), image)
    assert form.rebuilt == ()
    assert set(form.moved) == {"artists", "tracks", "reviews", "visits"}
    assert lost(image, form.script.data.decode()) <= {"users.name", "users.age"}


@pytest.mark.parametrize(
    ("script", "says"),
    [
        ("DELETE FROM users;", "the script itself takes rows of users that artists refers to"),
        (
            f"ALTER TABLE users RENAME TO users_old; CREATE TABLE users ({USERS});"
            "INSERT INTO users SELECT * FROM users_old; DROP TABLE users_old;",
            "refers to users_old, which is not there any more",
        ),
        ("DROP TABLE visits; DROP TABLE visits;", "fails with foreign keys off as well"),
    ],
)
def test_where_there_is_no_safe_form_the_reason_is_said(script: str, says: str) -> None:
    with pytest.raises(NoSafeForm, match=says):
        safe(script)


def test_a_table_that_cascades_into_itself_keeps_its_rows() -> None:
    form = "id INTEGER PRIMARY KEY, up INTEGER REFERENCES parts (id) ON DELETE CASCADE, v TEXT"
    image = clone(f"CREATE TABLE parts ({form});")
    script = (
        f"PRAGMA defer_foreign_keys = ON; CREATE TABLE n ({form} DEFAULT 'x'); INSERT INTO n SELECT * FROM parts;"
        " DROP TABLE parts; ALTER TABLE n RENAME TO parts;"
    )
    assert lost(image, script)
    assert lost(image, safe(script, image).script.data.decode()) == set()


def test_names_that_are_taken_are_left_alone() -> None:
    image = clone(FAMILY + 'CREATE TABLE stash_users (a); CREATE TABLE "stash artists" (a);')
    form = safe(OTHER_CHECK, image)
    assert "CREATE TABLE stash_users_2 AS" in form.script.data.decode()
    assert lost(image, form.script.data.decode()) == set()


ACTIONS = st.sampled_from(("CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT", "NO ACTION"))


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), ACTIONS), min_size=1, max_size=6), st.integers(0, 99))
def test_no_web_of_foreign_keys_loses_a_row(links: list[tuple[int, str]], seed: int) -> None:
    """Tables t1, t2, ... each refer to an earlier table, themselves, or a later one; t0 is rebuilt."""
    tables = "".join(
        f"CREATE TABLE t{n} (id INTEGER PRIMARY KEY, p INTEGER REFERENCES t{parent % (len(links) + 1)} (id)"
        f" ON DELETE {action}, v TEXT);"
        for n, (parent, action) in enumerate(links, 1)
    )
    image = clone(f"CREATE TABLE t0 (id INTEGER PRIMARY KEY, v TEXT); {tables}", 3, seed)
    script = (
        "CREATE TABLE n (id INTEGER PRIMARY KEY, v TEXT DEFAULT 'x'); INSERT INTO n SELECT * FROM t0; DROP TABLE t0;"
        " ALTER TABLE n RENAME TO t0;"
    )
    form = safe(script, image)
    assert form.rebuilt == ("t0",)
    assert lost(image, form.script.data.decode()) == set()
