from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d1ops.core import rules
from d1ops.core.engine import Engine
from d1ops.core.rows import Generated, generate
from d1ops.core.sql import quote_identifier, read_script, split
from d1ops.core.values import Row, Statement

MIGRATIONS = Path(__file__).parents[2] / "db" / "migrations"
FULL = "every combination of its unique columns is in use"


def engine_of(*ddl: str) -> Engine:
    engine = Engine.memory()
    engine.run([Statement(sql) for sql in ddl])
    return engine


def contents(engine: Engine) -> dict[str, list[Row]]:
    """Every cell of every table, with its type, in the order of the table's own b-tree."""
    found: dict[str, list[Row]] = {}
    for name, kind, without_rowid in engine.ask(
        "SELECT name, type, wr FROM pragma_table_list"
        " WHERE schema = 'main' AND type <> 'view' AND name <> 'sqlite_schema'"
    ):
        columns = [
            str(column) for (column,) in engine.ask("SELECT name FROM pragma_table_xinfo(?) WHERE hidden <> 1", (name,))
        ]
        rowid = [] if without_rowid or kind == "virtual" else ["_rowid_"]
        cells = ", ".join(
            [*rowid, *(f"typeof({q}), {q}" for q in map(quote_identifier, columns))],
        )
        found[str(name)] = engine.ask(f"SELECT {cells} FROM {quote_identifier(str(name))}")
    return found


def assert_sound(engine: Engine) -> None:
    assert engine.ask("PRAGMA integrity_check") == [("ok",)]
    assert engine.ask("PRAGMA foreign_key_check") == []


def assert_replays(generated: Generated, filled: Engine, fresh: Engine, *, batch: int) -> None:
    """The statements, sent in batches under D1's rules, make the very same rows."""
    for start in range(0, len(generated.statements), batch):
        fresh.run(generated.statements[start : start + batch])
    assert contents(fresh) == contents(filled)
    assert all(len(statement.params) <= rules.MAX_PARAMETERS for statement in generated.statements)


def filled_rows(generated: Generated) -> dict[str, int]:
    return {filled.table: filled.rows for filled in generated.tables}


def shortfalls(generated: Generated) -> dict[str, str]:
    return {filled.table: filled.shortfall for filled in generated.tables if filled.shortfall}


# -- any schema ----------------------------------------------------------------------------------------

STRICT_COLUMNS = (
    "{c} TEXT NOT NULL",
    "{c} TEXT CHECK ({c} IN ('a', 'b''c', 'd'))",
    "{c} INTEGER CHECK ({c} BETWEEN -3 AND 7)",
    "{c} INT NOT NULL CHECK ({c} % 5 = 0 AND {c} > 0)",
    "{c} REAL NOT NULL CHECK ({c} > 0.5 AND {c} <= 2.5)",
    "{c} TEXT NOT NULL CHECK (length({c}) = 12)",
    "{c} TEXT NOT NULL CHECK ({c} GLOB '[A-Z][a-z]*-[0-9][0-9]')",
    "{c} TEXT NOT NULL CHECK ({c} LIKE 'usr_%')",
    "{c} TEXT UNIQUE CHECK ({c} NOT GLOB '*[^0-9a-f]*' AND length({c}) BETWEEN 6 AND 8)",
    "{c} TEXT NOT NULL CONSTRAINT is_json CHECK (json_valid({c}) AND json_type({c}) = 'array')",
    "{c} TEXT NOT NULL DEFAULT '{{}}' CHECK (json_valid({c}))",
    "{c} INTEGER NOT NULL UNIQUE",
    "{c} TEXT NOT NULL UNIQUE COLLATE NOCASE CHECK (lower({c}) = {c} AND instr({c}, '@') > 1)",
    "{c} BLOB NOT NULL CHECK (length({c}) = 16)",
    "{c} BLOB",
    "{c} ANY",
    "{c} TEXT NOT NULL CHECK (date({c}) IS {c})",
    "{c} TEXT DEFAULT (strftime('%Y-%m-%dT%H:%M:%SZ', 'now'))",
    "{c} INTEGER GENERATED ALWAYS AS (coalesce(length(note), 0) + 1) STORED",
)
LOOSE_COLUMNS = (
    "{c}",
    "{c} CHECK (typeof({c}) = 'blob')",
    "{c} NOT NULL CHECK (typeof({c}) = 'integer' AND {c} < 0)",
    "{c} VARCHAR(8) NOT NULL UNIQUE",
    "{c} DECIMAL(10, 2) CHECK ({c} >= 0)",
    "{c} BOOLEAN NOT NULL",
    "{c} DATETIME DEFAULT CURRENT_TIMESTAMP",
    '{c} TEXT CHECK ({c} <> "note, (")',
)
NAMES = ("email", "name", "title", "price_cents", "created_at", "is_open", "settings", "Größe", 'odd "name"', "order")
TABLE_CONSTRAINTS = (
    "CHECK (note IS NOT NULL OR low IS NOT NULL)",
    "CHECK (high >= low)",
    "CHECK ((note IS NULL) = (high IS NULL))",
    "UNIQUE (note, low)",
)
ACTIONS = ("", " ON DELETE CASCADE", " ON DELETE SET NULL", " DEFERRABLE INITIALLY DEFERRED")
TRIGGERS = (
    'CREATE TRIGGER "{t} log" AFTER INSERT ON {t} BEGIN INSERT INTO log(text) VALUES (new.note || new.low); END',
    "CREATE TRIGGER {t}_even BEFORE INSERT ON {t} WHEN new.low % 2 BEGIN SELECT RAISE(IGNORE); END",
    "CREATE TRIGGER {t}_high BEFORE INSERT ON {t} WHEN new.high > 600"
    " BEGIN INSERT INTO log(text) VALUES ('!'); SELECT RAISE(FAIL, 'too high'); END",
)
INDEXES = (
    "CREATE UNIQUE INDEX {t}_note ON {t} (note) WHERE note IS NOT NULL",
    "CREATE UNIQUE INDEX {t}_lower ON {t} (lower(note), high)",
    "CREATE UNIQUE INDEX {t}_one ON {t} (high) WHERE low = 1",
)


@st.composite
def tables(draw: st.DrawFn, number: int, of: int) -> list[str]:
    """The statements that make table `t<number>`; every table has `id`, `note`, `low` and `high`."""
    table = f"t{number}"
    is_strict = draw(st.booleans())
    key = draw(
        st.sampled_from(
            ("INTEGER PRIMARY KEY", "INTEGER PRIMARY KEY AUTOINCREMENT", "TEXT PRIMARY KEY", "TEXT NOT NULL UNIQUE")
        )
    )
    columns = [f"id {key}", "note TEXT", "low INTEGER", "high INTEGER"]
    templates = STRICT_COLUMNS if is_strict else STRICT_COLUMNS + LOOSE_COLUMNS
    names = draw(st.lists(st.sampled_from(NAMES), unique=True, max_size=5))
    columns += [draw(st.sampled_from(templates)).format(c=quote_identifier(name)) for name in names]
    for parent in draw(st.lists(st.integers(0, of - 1), max_size=3)):
        # A reference that cannot be NULL may only point to an earlier table, or no row could ever be the first.
        required = " NOT NULL" if parent < number and draw(st.booleans()) else ""
        unique = draw(st.sampled_from(("", " UNIQUE"))) if parent < number else ""
        action = draw(st.sampled_from(ACTIONS))
        columns.append(
            f"ref{len(columns)} {'ANY' if is_strict else ''}{required}{unique} REFERENCES t{parent} (id){action}"
        )
    constraints = draw(st.lists(st.sampled_from(TABLE_CONSTRAINTS), unique=True, max_size=2))
    options = ["STRICT"] if is_strict else []
    if key == "TEXT PRIMARY KEY" and draw(st.booleans()):
        options.append("WITHOUT ROWID")
    made = [f"CREATE TABLE {table} ({', '.join(columns + constraints)}) {', '.join(options)}"]
    made += [
        sql.format(t=table) for sql in draw(st.lists(st.sampled_from(INDEXES + TRIGGERS), unique=True, max_size=2))
    ]
    return made


@st.composite
def schemas(draw: st.DrawFn) -> list[str]:
    count = draw(st.integers(1, 5))
    found = ["CREATE TABLE log (id INTEGER PRIMARY KEY, text)"]
    for number in range(count):
        found += draw(tables(number, count))
    return found


@settings(max_examples=60, deadline=None)
@given(schemas(), st.integers(1, 25), st.integers(0, 2**64), st.integers(1, 50))
def test_any_schema_is_filled_soundly_repeatably_and_replays(ddl: list[str], rows: int, seed: int, batch: int) -> None:
    engine = engine_of(*ddl)
    generated = generate(engine, rows=rows, seed=seed)
    assert_sound(engine)
    for filled in generated.tables:
        assert filled.rows >= 1, filled
        assert filled.rows == rows or filled.shortfall == FULL, filled
    assert generate(engine_of(*ddl), rows=rows, seed=seed) == generated
    assert_replays(generated, engine, engine_of(*ddl), batch=batch)


# -- references ----------------------------------------------------------------------------------------


def test_a_cycle_of_references_is_linked_in_both_directions() -> None:
    engine = engine_of(
        "CREATE TABLE users (id TEXT PRIMARY KEY, team_id TEXT REFERENCES teams (id))",
        "CREATE TABLE teams (id TEXT PRIMARY KEY, owner_id TEXT NOT NULL REFERENCES users (id), "
        " parent_id TEXT REFERENCES teams (id))",
    )
    generated = generate(engine, rows=20, seed=5)
    assert filled_rows(generated) == {"users": 20, "teams": 20}
    assert engine.ask_one("SELECT count(*) FROM users JOIN teams ON teams.id = users.team_id") in range(5, 20)
    assert engine.ask_one("SELECT count(*) FROM teams JOIN users ON users.id = owner_id") == 20
    assert_sound(engine)


def test_one_row_of_every_table_of_a_cycle() -> None:
    engine = engine_of(
        "CREATE TABLE a (b REFERENCES b (id), id PRIMARY KEY)", "CREATE TABLE b (id PRIMARY KEY, a REFERENCES a (id))"
    )
    assert filled_rows(generate(engine, rows=1, seed=0)) == {"a": 1, "b": 1}


@settings(max_examples=20)
@given(st.integers(0, 1000), st.sampled_from(("", " NOT NULL")))
def test_rows_that_refer_to_their_own_table_stay_shallow(seed: int, required: str) -> None:
    engine = engine_of(
        "CREATE TABLE folders (id TEXT PRIMARY KEY,"
        f" parent_id TEXT{required} REFERENCES folders (id) ON DELETE CASCADE)"
    )
    for half in range(2):
        generate(engine, rows=100, seed=seed + half)
    depth = engine.ask_one(
        "WITH RECURSIVE tree(id, depth) AS ("
        " SELECT id, 0 FROM folders WHERE parent_id IS NULL OR parent_id = id UNION ALL"
        " SELECT f.id, depth + 1 FROM folders f JOIN tree ON f.parent_id = tree.id AND f.id <> tree.id)"
        " SELECT max(depth) * 1000 + count(*) FROM tree"
    )
    assert depth in range(1200, 4201), "at most four levels, and every row hangs from a root"
    engine.execute("DELETE FROM folders WHERE parent_id IS NULL OR parent_id = id")
    assert engine.count("folders") == 0


def test_foreign_keys_that_share_a_column_agree() -> None:
    engine = engine_of(
        "CREATE TABLE tenants (id INTEGER PRIMARY KEY)",
        "CREATE TABLE users (tenant REFERENCES tenants, id INTEGER, PRIMARY KEY (tenant, id)) WITHOUT ROWID",
        "CREATE TABLE rooms (tenant REFERENCES tenants, id INTEGER, PRIMARY KEY (tenant, id)) WITHOUT ROWID",
        "CREATE TABLE talks (tenant INTEGER NOT NULL REFERENCES tenants, speaker INTEGER NOT NULL, room INTEGER,"
        " FOREIGN KEY (tenant, speaker) REFERENCES users, FOREIGN KEY (tenant, room) REFERENCES rooms (tenant, id))",
        "CREATE TABLE notes (tenant INTEGER NOT NULL, id INTEGER, author INTEGER NOT NULL, parent INTEGER,"
        " PRIMARY KEY (tenant, id), FOREIGN KEY (tenant, parent) REFERENCES notes,"
        " FOREIGN KEY (tenant, author) REFERENCES users)",
    )
    generated = generate(engine, rows=40, seed=3)
    assert filled_rows(generated) == {"tenants": 40, "users": 40, "rooms": 40, "talks": 40, "notes": 40}
    assert engine.ask_one("SELECT count(*) FROM talks WHERE room IS NOT NULL") in range(5, 41)
    assert_sound(engine)


def test_a_finite_key_is_filled_to_the_last_combination() -> None:
    engine = engine_of(
        "CREATE TABLE users (id TEXT PRIMARY KEY CHECK (id IN ('ada', 'ben', 'chloe', 'dario')))",
        "CREATE TABLE members (user_id TEXT NOT NULL REFERENCES users,"
        " role TEXT NOT NULL CHECK (role IN ('a', 'b', 'c')), PRIMARY KEY (role, user_id))",
        "CREATE TABLE pairs (one TEXT NOT NULL REFERENCES users, two TEXT NOT NULL REFERENCES users,"
        " UNIQUE (one, two), CHECK (one < two))",
        "CREATE TABLE profiles (user_id TEXT UNIQUE REFERENCES users)",
    )
    generated = generate(engine, rows=50, seed=1)
    assert filled_rows(generated) == {"users": 4, "members": 12, "pairs": 6, "profiles": 50}
    assert shortfalls(generated) == {"users": FULL, "members": FULL, "pairs": "CHECK constraint failed: one < two"}
    assert engine.ask_one("SELECT count(DISTINCT user_id) FROM profiles") == 4


def test_rows_that_are_there_are_respected_and_referred_to() -> None:
    engine = engine_of(
        "CREATE TABLE genres (id INTEGER PRIMARY KEY, slug TEXT UNIQUE NOT NULL CHECK (slug IN ('pop', 'rock')))",
        "CREATE TABLE tracks (id INTEGER PRIMARY KEY AUTOINCREMENT, genre_id INTEGER NOT NULL REFERENCES genres)",
        "INSERT INTO genres VALUES (7, 'pop'), (9, 'rock')",
        "INSERT INTO tracks VALUES (100, 7)",
    )
    first = generate(engine, rows=10, seed=1)
    assert filled_rows(first) == {"genres": 0, "tracks": 10}
    assert shortfalls(first) == {"genres": FULL}
    assert engine.ask("SELECT DISTINCT genre_id FROM tracks ORDER BY 1") == [(7,), (9,)]
    assert engine.ask("SELECT min(id), max(id) FROM tracks WHERE id > 100") == [(101, 110)]
    assert filled_rows(generate(engine, rows=10, seed=1)) == {"genres": 0, "tracks": 10}
    assert engine.count("tracks") == 21


# -- what cannot be filled is named --------------------------------------------------------------------


def test_tables_that_take_no_row_are_reported_by_name() -> None:
    engine = engine_of(
        "CREATE TABLE never (a CHECK (0))",
        "CREATE TABLE hen (id INTEGER PRIMARY KEY, egg_id INTEGER NOT NULL REFERENCES egg)",
        "CREATE TABLE egg (id INTEGER PRIMARY KEY, hen_id INTEGER NOT NULL REFERENCES hen)",
        "CREATE TABLE lost (parent_id NOT NULL REFERENCES nowhere (id))",
        "CREATE TABLE mismatch (egg REFERENCES never (a))",
        "CREATE TABLE uneven (id INTEGER PRIMARY KEY, a, b, FOREIGN KEY (a, b) REFERENCES uneven)",
        "CREATE TABLE closed (id INTEGER PRIMARY KEY)",
        "CREATE TRIGGER closed_gate BEFORE INSERT ON closed BEGIN SELECT RAISE(ABORT, 'closed for repairs'); END",
        "CREATE TABLE wall (id INTEGER PRIMARY KEY)",
        "CREATE TRIGGER wall_gate BEFORE INSERT ON wall BEGIN SELECT RAISE(IGNORE); END",
    )
    generated = generate(engine, rows=3, seed=0)
    assert generated.statements == ()
    assert shortfalls(generated) == {
        "never": "CHECK constraint failed: 0",
        "hen": "egg has no row that egg_id could refer to",
        "egg": "hen has no row that hen_id could refer to",
        "lost": "nowhere has no row that parent_id could refer to",
        "mismatch": 'foreign key mismatch - "mismatch" referencing "never"',
        "uneven": 'foreign key mismatch - "uneven" referencing "uneven"',
        "closed": "closed for repairs",
        "wall": "a trigger or a conflict clause ignores the row",
    }


def test_bookkeeping_is_never_filled() -> None:
    engine = engine_of(
        "CREATE TABLE d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE)",
        "CREATE TABLE d1ops_history (id INTEGER PRIMARY KEY)",
        "CREATE TABLE notes (id INTEGER PRIMARY KEY)",
        "CREATE VIEW v AS SELECT * FROM notes",
    )
    assert filled_rows(generate(engine, rows=2, seed=0)) == {"notes": 2}
    assert filled_rows(generate(engine, rows=2, seed=0, ledger="notes")) == {"d1_migrations": 2}


def test_full_text_indexes_get_text_unless_something_else_fills_them() -> None:
    engine = engine_of(
        "CREATE TABLE posts (id INTEGER PRIMARY KEY, title TEXT NOT NULL, body TEXT)",
        "CREATE VIRTUAL TABLE plain USING fts5(title, tags UNINDEXED)",
        "CREATE VIRTUAL TABLE lean USING FTS5 (body, content='')",
        "CREATE VIRTUAL TABLE over_posts USING fts5(title, body, content='posts', content_rowid='id')",
        "CREATE VIRTUAL TABLE followed USING fts5(title)",
        "CREATE TRIGGER follow AFTER INSERT ON posts"
        " BEGIN INSERT INTO followed(rowid, title) VALUES (new.id, new.title); END",
        "CREATE VIRTUAL TABLE boxes USING rtree(id, low, high)",
    )
    generated = generate(engine, rows=6, seed=2)
    assert filled_rows(generated) == {"posts": 6, "plain": 6, "lean": 6, "over_posts": 0, "followed": 0, "boxes": 0}
    assert shortfalls(generated) == {
        "over_posts": "an index over posts",
        "followed": "filled by triggers",
        "boxes": "a virtual table other than FTS5",
    }
    assert engine.ask_one("SELECT count(*) FROM followed JOIN posts ON posts.id = followed.rowid") == 6
    word = str(engine.ask_one("SELECT title FROM plain LIMIT 1")).split()[0]
    assert engine.ask_one("SELECT count(*) FROM plain WHERE plain MATCH ?", (word,)) in range(1, 7)
    assert_sound(engine)


# -- values --------------------------------------------------------------------------------------------

FORMS = {
    "id": r"[0-9a-f]{24}",
    "email": r"[a-z]+\.[a-z]+\.[a-z0-9]+@example\.com",
    "phone": r"\+1555\d{7}",
    "name": r"\S+ \S+",
    "homepageUrl": r"https://example\.com/\S+",
    "slug": r"[a-z]+-[a-z]+-[a-z0-9]+",
    "price_cents": r"\d+",
    "created_at": r"2025-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "due_date": r"2025-\d\d-\d\d",
    "seen": r"2025-\d\d-\d\d \d\d:\d\d:\d\d",
    "expires_at": r"17\d{8}",
    "is_admin": "[01]",
    "member": "[01]",
    "settings": r"\{.*\}",
    "tags": r"\[.*\]",
    "code": ".{1,4}",
    "balance": r"\d+\.\d+|\d+",
}


def test_values_fit_the_names_of_their_columns() -> None:
    engine = engine_of(
        "CREATE TABLE users (id TEXT PRIMARY KEY, email TEXT UNIQUE, phone TEXT, name TEXT, homepageUrl TEXT,"
        " slug TEXT, price_cents INTEGER, created_at TEXT, due_date TEXT, seen DATETIME, expires_at INTEGER,"
        " is_admin INTEGER, member BOOLEAN, settings TEXT, tags TEXT DEFAULT '[]', code VARCHAR(4), balance REAL,"
        " updated_at TEXT)"
    )
    generate(engine, rows=200, seed=4)
    for column, form in FORMS.items():
        for (value,) in engine.ask(f'SELECT "{column}" FROM users WHERE "{column}" IS NOT NULL'):
            assert re.fullmatch(form, str(value)), (column, value)
    assert (
        engine.ask_one(
            "SELECT count(*) FROM users WHERE created_at > updated_at OR due_date < substr(created_at, 1, 10)"
        )
        == 0
    )
    assert engine.ask_one("SELECT count(*) FROM users WHERE phone IS NULL") in range(5, 60)
    assert None not in engine.ask("SELECT * FROM users")[0], "the first row shows every column"


def test_a_column_without_a_type_gets_values_of_every_class() -> None:
    engine = engine_of("CREATE TABLE bag (a, b ANY)")
    generate(engine, rows=60, seed=9)
    for column in "ab":
        found = {kind for (kind,) in engine.ask(f"SELECT typeof({column}) FROM bag")}
        assert found == {"null", "integer", "real", "text", "blob"}


def test_rows_of_a_hundred_columns_go_one_a_statement() -> None:
    engine = engine_of(f"CREATE TABLE wide ({', '.join(f'c{n} INTEGER' for n in range(100))})")
    generated = generate(engine, rows=3, seed=0)
    assert [len(statement.params) for statement in generated.statements] == [100, 100, 100]


# -- the sample database -------------------------------------------------------------------------------


def sample_database() -> Engine:
    engine = Engine.memory()
    for path in sorted(MIGRATIONS.glob("*.sql")):
        engine.run([Statement(s.sql) for s in read_script(path.read_bytes(), path.name)])
    return engine


def test_the_sample_database_is_filled_whole() -> None:
    engine = sample_database()
    generated = generate(engine, rows=50, seed=1)
    assert_sound(engine)
    assert set(filled_rows(generated).values()) == {50}
    assert shortfalls(generated) == {}
    for table in filled_rows(generated):
        for name, declared in engine.ask("SELECT name, lower(type) FROM pragma_table_xinfo(?)", (table,)):
            found = {k for (k,) in engine.ask(f"SELECT DISTINCT typeof({quote_identifier(str(name))}) FROM {table}")}
            assert found - {"null"} == {declared}, (table, name)
    assert_replays(generated, engine, sample_database(), batch=500)


FINGERPRINT = """
import hashlib, sys
from tests.core.test_rows import sample_database
from d1ops.core.rows import generate
print(hashlib.sha256(repr(generate(sample_database(), rows=20, seed=7)).encode()).hexdigest())
"""


def test_the_rows_do_not_depend_on_when_objects_were_made() -> None:
    tables = [
        "CREATE TABLE users (id TEXT PRIMARY KEY)",
        "CREATE TABLE rooms (id TEXT PRIMARY KEY, kind TEXT NOT NULL CHECK (kind IN ('a', 'b')))",
        "CREATE TABLE stays (user_id TEXT NOT NULL REFERENCES users, room_id TEXT NOT NULL REFERENCES rooms, day DATE)",
    ]
    indexes = [
        "CREATE UNIQUE INDEX one ON stays (user_id)",
        "CREATE UNIQUE INDEX two ON stays (room_id)",
        "CREATE UNIQUE INDEX both ON stays (user_id, room_id)",
    ]
    forwards = generate(engine_of(*tables, *indexes), rows=9, seed=0)
    assert generate(engine_of(*tables[::-1], *indexes[::-1]), rows=9, seed=0) == forwards
    assert filled_rows(forwards) == {"rooms": 9, "users": 9, "stays": 9}


@pytest.mark.parametrize("hash_seed", ["0", "1"])
def test_the_rows_do_not_depend_on_the_process(hash_seed: str) -> None:
    here = hashlib.sha256(repr(generate(sample_database(), rows=20, seed=7)).encode()).hexdigest()
    there = subprocess.run(
        [sys.executable, "-c", FINGERPRINT],
        env={**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert there.stdout.strip() == here
    assert generate(sample_database(), rows=20, seed=8) != generate(sample_database(), rows=20, seed=7)


DEMANDING = """
CREATE TABLE releases (
    id BLOB PRIMARY KEY CHECK (typeof(id) = 'blob' AND length(id) = 16),
    digest TEXT NOT NULL
        CHECK (length(digest) = 71 AND substr(digest, 1, 7) = 'sha256:' AND substr(digest, 8) NOT GLOB '*[^0-9a-f]*'),
    draft TEXT NOT NULL
        CHECK (length(draft) = 36 AND substr(draft, 9, 1) = '-' AND length(replace(draft, '-', '')) = 32),
    month TEXT NOT NULL
        CHECK (length(month) = 7 AND substr(month, 5, 1) = '-' AND substr(month, 6, 2) BETWEEN '01' AND '12'),
    code TEXT NOT NULL UNIQUE CHECK (length(code) = 2),
    number TEXT NOT NULL CHECK (number <> '' AND number NOT GLOB '*[^0-9]*'),
    mask INTEGER NOT NULL CHECK (mask & ~7 = 0),
    later_ms INTEGER CHECK (later_ms > 100000000000)
) STRICT;
CREATE TABLE runs (
    id INTEGER PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('open', 'done', 'failed')),
    started TEXT NOT NULL CHECK (datetime(started) IS NOT NULL),
    ended TEXT CHECK (datetime(ended) = ended),
    error TEXT,
    CHECK ((state = 'open' AND ended IS NULL AND error IS NULL)
        OR (state = 'done' AND ended IS NOT NULL AND error IS NULL)
        OR (state = 'failed' AND ended IS NOT NULL AND error IS NOT NULL))
);
CREATE TABLE arcs (
    id INTEGER PRIMARY KEY,
    release REFERENCES releases, run REFERENCES runs, arc REFERENCES arcs, url TEXT,
    CHECK ((release IS NOT NULL) + (run IS NOT NULL) + (arc IS NOT NULL) + (url IS NOT NULL) = 1),
    CHECK (arc <> id)
);
CREATE TABLE invoices (
    id TEXT PRIMARY KEY CHECK (lower(id) IS id),
    net INTEGER NOT NULL CHECK (net >= 0), tax REAL NOT NULL, gross REAL NOT NULL,
    CHECK (gross = net + tax)
);
CREATE TABLE crates (id INTEGER PRIMARY KEY, kind TEXT NOT NULL CHECK (kind IN ('fixed', 'smart', 'folder')));
CREATE TABLE entries (
    crate INTEGER NOT NULL REFERENCES crates, run INTEGER NOT NULL REFERENCES runs,
    kind TEXT NOT NULL CHECK (kind IN ('in', 'always', 'never')),
    PRIMARY KEY (crate, run)
) STRICT, WITHOUT ROWID;
CREATE TRIGGER fits BEFORE INSERT ON entries
WHEN (SELECT CASE kind WHEN 'fixed' THEN new.kind = 'in' WHEN 'smart' THEN new.kind <> 'in' ELSE 0 END
      FROM crates WHERE id = new.crate) IS NOT 1
BEGIN SELECT RAISE(ABORT, 'no'); END;
"""


@settings(max_examples=10)
@given(st.integers(0, 1000))
def test_checks_that_ask_for_much_are_met(seed: int) -> None:
    ddl = [statement.sql for statement in split(DEMANDING)]
    engine = engine_of(*ddl)
    generated = generate(engine, rows=30, seed=seed)
    assert shortfalls(generated) == {}
    assert_sound(engine)
    assert_replays(generated, engine, engine_of(*ddl), batch=100)


def test_one_singleton_row_and_no_more() -> None:
    engine = engine_of("CREATE TABLE settings (id INTEGER PRIMARY KEY CHECK (id = 1), theme TEXT NOT NULL)")
    generated = generate(engine, rows=5, seed=0)
    assert (filled_rows(generated), shortfalls(generated)) == ({"settings": 1}, {"settings": FULL})


def test_a_pattern_that_d1_finds_too_long_is_named() -> None:
    """D1 refuses every row of such a table: it measures the pattern before it looks at the value."""
    pattern = "-".join(["[0-9][0-9][0-9][0-9]"] * 3)
    engine = engine_of(f"CREATE TABLE cards (number TEXT CHECK (number GLOB '{pattern}'))")
    generated = generate(engine, rows=2, seed=0)
    assert shortfalls(generated) == {"cards": "LIKE or GLOB pattern too complex"}


def test_odd_definitions_are_read() -> None:
    engine = engine_of(
        "CREATE TABLE parents (code TEXT PRIMARY KEY, seen_at REAL NOT NULL)",
        "CREATE TABLE [odd] ([a] INTEGER NOT NULL CHECK ([a] > 007 -- more than seven )\n),"
        " b INTEGER AS (a * 2) CHECK (b < 1800), c TEXT CHECK ((c IS NULL) IS (a IS a) IS 0),"
        " code TEXT NOT NULL REFERENCES parents, twin TEXT CHECK (code = twin) CHECK (code IS NOT 'x'),"
        " computed TEXT AS (code) REFERENCES parents, d TEXT CHECK (d NOT LIKE '%~%%' ESCAPE '~'))",
    )
    generated = generate(engine, rows=30, seed=0)
    assert shortfalls(generated) == {}
    assert engine.ask_one("SELECT count(*) FROM odd WHERE twin = code") in range(15, 31)
    assert engine.ask_one("SELECT max(a) FROM odd") in range(8, 900)
    assert_sound(engine)


def test_values_that_collide_are_made_different() -> None:
    engine = engine_of(
        "CREATE TABLE dates (day INTEGER NOT NULL, month INTEGER NOT NULL, UNIQUE (day, month))",
        "CREATE TABLE bytes (a BLOB NOT NULL UNIQUE CHECK (length(a) = 1))",
        "CREATE TABLE genres (name TEXT NOT NULL UNIQUE COLLATE NOCASE, slug VARCHAR(4) NOT NULL UNIQUE)",
    )
    generated = generate(engine, rows=200, seed=0)
    assert shortfalls(generated) == {}
    assert_sound(engine)


def test_what_is_read_as_json_is_json() -> None:
    ddl = (
        "CREATE TABLE events (id INTEGER PRIMARY KEY, n INTEGER NOT NULL CHECK (n % 9 = 7),"
        " a TEXT, b TEXT, c TEXT CHECK (json_type(c) = 'array'), d TEXT, e TEXT,"
        " kind AS (a ->> '$.theme'), size AS (json_array_length(trim(b))) STORED)",
        "CREATE INDEX by_limit ON events (json_extract(d, '$.limit'))",
        "CREATE TRIGGER follow AFTER INSERT ON events"
        " BEGIN UPDATE events SET n = n WHERE json_set(new.e, '$.x', new.n) = id; END",
    )
    engine = engine_of(*ddl)
    generated = generate(engine, rows=50, seed=0)
    assert shortfalls(generated) == {}
    for column in "abcde":
        assert engine.ask_one(f"SELECT min(json_valid({column})) FROM events") == 1
    assert engine.ask_one("SELECT count(DISTINCT kind) FROM events") in range(5, 25)
    assert_replays(generated, engine, engine_of(*ddl), batch=7)


def test_a_check_that_raises_is_named() -> None:
    """Nothing tells that `doc` is to be JSON: it is read by another name."""
    engine = engine_of(
        "CREATE TABLE notes (body TEXT NOT NULL CHECK (length(body) = 12), doc TEXT NOT NULL, alias TEXT AS (doc),"
        " CHECK (json_type(alias) IN ('object', 'array')))"
    )
    assert shortfalls(generate(engine, rows=20, seed=0)) == {"notes": "malformed JSON"}


def test_rows_of_a_table_that_is_also_filled_by_triggers_count_on() -> None:
    engine = engine_of(
        "CREATE TABLE a_log (id INTEGER PRIMARY KEY, what TEXT NOT NULL)",
        "CREATE TABLE a (id INTEGER PRIMARY KEY)",
        "CREATE TRIGGER follow AFTER INSERT ON a BEGIN INSERT INTO a_log(what) VALUES ('a' || new.id); END",
    )
    assert filled_rows(generate(engine, rows=100, seed=0)) == {"a": 100, "a_log": 100}
    assert engine.ask_one("SELECT max(id) FROM a_log") == engine.count("a_log") == 200


def test_a_damaged_index_is_named() -> None:
    engine = engine_of("CREATE VIRTUAL TABLE words USING fts5(text)")
    with engine.unlimited():
        engine.ask("DELETE FROM words_data")
    generated = generate(engine, rows=2, seed=0)
    assert shortfalls(generated)["words"].startswith("fts5: corruption found")
