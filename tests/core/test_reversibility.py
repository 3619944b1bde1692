"""Verdicts by behaviour: the sample catalogue, and a small catalogue for everything that can go wrong."""

from __future__ import annotations

import re
from contextlib import closing
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d1ops.core.catalog import Catalog, Migration, Script, build_catalog
from d1ops.core.replay import replay, run_script
from d1ops.core.reversibility import Made, Reversibility, Verdict, judge
from d1ops.core.sql import split
from d1ops.core.trial import user_schema
from d1ops.errors import ScriptError, StatementRejected
from d1ops.ops.workspace import read_catalog
from tests.support.project import REPOSITORY

FAMILY = """
CREATE TABLE users (
  id TEXT PRIMARY KEY NOT NULL, email TEXT NOT NULL COLLATE NOCASE,
  name TEXT DEFAULT 'nobody', age INTEGER CHECK (age > 0)
);
CREATE TABLE artists (id TEXT PRIMARY KEY NOT NULL, user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE);
CREATE TABLE reviews (id TEXT PRIMARY KEY NOT NULL, user_id TEXT REFERENCES users (id) ON DELETE SET NULL);
CREATE INDEX users_email ON users (email);
"""

REVIEWS = "id TEXT PRIMARY KEY NOT NULL, user_id TEXT REFERENCES users (id) ON DELETE SET NULL"
USERS = "id TEXT PRIMARY KEY NOT NULL, email TEXT NOT NULL COLLATE NOCASE"
NAME, AGE = "name TEXT DEFAULT 'nobody'", "age INTEGER CHECK (age > 0)"


def rebuild(table: str, definition: str, columns: str, *, after: str = "", source: str = "") -> str:
    return (
        f"CREATE TABLE next ({definition}); INSERT INTO next ({columns}) SELECT {source or columns} FROM {table};"
        f" DROP TABLE {table}; ALTER TABLE next RENAME TO {table}; {after}"
    )


def catalog(*scripts: tuple[str, str | None]) -> Catalog:
    return build_catalog(
        {f"{number:04}_m.sql": forward.encode() for number, (forward, _) in enumerate(scripts, 1)},
        {f"{number:04}_rollback.sql": back.encode() for number, (_, back) in enumerate(scripts, 1) if back is not None},
    )


def second(forward: str, back: str | None) -> Reversibility:
    """Judge a migration that comes after the family of tables."""
    return judge(catalog((FAMILY, None), (forward, back)))[1]


# -- the sample catalogue --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def sample() -> dict[str, Reversibility]:
    judged = judge(read_catalog(REPOSITORY, "db/migrations", "db/rollbacks"))
    return {one.migration.label: one for one in judged}


def test_the_sample_has_the_verdicts_that_it_was_written_for(sample: dict[str, Reversibility]) -> None:
    verdicts = {label: (one.verdict.value, one.alone) for label, one in sample.items()}
    assert verdicts == {
        **dict.fromkeys(("0001", "0002", "0003", "0004", "0005", "0006"), ("reversible", False)),
        **dict.fromkeys(("0008", "0010"), ("reversible", True)),
        **dict.fromkeys(("0007", "0009"), ("lossy", True)),
        **dict.fromkeys(("0011", "0012"), ("safe", True)),
    }
    assert [one.warnings for one in sample.values()] == [()] * 12


def test_the_sample_says_what_each_rollback_takes(sample: dict[str, Reversibility]) -> None:
    assert sample["0007"].lost == ("the values of users.clerk_id",)
    assert sample["0010"].lost == ("all rows of cron_logs",)
    assert len(sample["0009"].lost) == 7
    assert not sample["0012"].lost
    assert not sample["0012"].losses
    assert sample["0007"].made == Made(columns=("users.clerk_id",), indexes=("idx_users_clerk_id",))
    assert dict(sample["0008"].made.rows) == {"genres": 24, "tags": 20, "system_config": 10}


def test_the_sample_says_what_stands_on_what(sample: dict[str, Reversibility]) -> None:
    needed = {label: [m.label for m in one.needed_by] for label, one in sample.items() if one.needed_by}
    assert needed == {
        "0001": ["0002", "0003", "0004", "0005", "0007", "0009", "0011"],
        "0002": ["0004", "0011"],
        "0003": ["0011"],
        "0004": ["0011", "0012"],
        "0005": ["0011"],
        "0006": ["0011"],
    }
    assert "0011 does not run: db/migrations/0011_performance_indexes.sql:16:1" in sample["0003"].obstacles[0]


@pytest.mark.parametrize("label", ["0007", "0009"])
def test_what_is_lossy_comes_back_to_the_very_schema(label: str) -> None:
    migrations = read_catalog(REPOSITORY, "db/migrations", "db/rollbacks").migrations
    position = [migration.label for migration in migrations].index(label)
    migration = migrations[position]
    assert migration.rollback is not None
    with closing(replay(migrations[:position])) as engine:
        before = user_schema(engine).text()
        run_script(engine, migration.script.statements)
        assert user_schema(engine).text() != before
        run_script(engine, migration.rollback.statements)
        assert user_schema(engine).text() == before


def up_to(label: str, *also: str) -> Catalog:
    """The sample's migrations `also` and the one called `label`."""
    whole = read_catalog(REPOSITORY, "db/migrations", "db/rollbacks")
    return Catalog(tuple(m for m in whole.migrations if m.label in (*also, label)))


def without_statement(migration: Migration, position: int) -> Migration:
    assert migration.rollback is not None
    kept = [s.sql for index, s in enumerate(migration.rollback.statements) if index != position]
    script = Script(migration.rollback.path, "".join(f"{sql};\n" for sql in kept).encode())
    return replace(migration, rollback=script)


@pytest.mark.parametrize(
    ("label", "position"),
    [*(("0009", position) for position in range(8)), *(("0002", position) for position in range(4))],
)
def test_a_rollback_that_forgets_one_statement_is_never_proved(label: str, position: int) -> None:
    base, migration = up_to(label, "0001").migrations
    judged = judge(Catalog((base, without_statement(migration, position))))
    assert judged[1].verdict is Verdict.UNPROVEN
    assert judged[1].alone is None


# -- proved ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("forward", "back"),
    [
        ("CREATE INDEX i ON users (name);", "DROP INDEX i;"),
        ("CREATE UNIQUE INDEX i ON users (lower(email)) WHERE age IS NOT NULL;", "DROP INDEX i;"),
        ("CREATE VIEW v AS SELECT id FROM users;", "DROP VIEW v;"),
        (
            "CREATE TRIGGER t AFTER INSERT ON users BEGIN DELETE FROM reviews WHERE user_id = 'x'; END;",
            "DROP TRIGGER t;",
        ),
        ("ALTER TABLE users RENAME COLUMN name TO full_name;", "ALTER TABLE users RENAME COLUMN full_name TO name;"),
        ("ALTER TABLE reviews RENAME TO opinions;", "ALTER TABLE opinions RENAME TO reviews;"),
        ("ALTER TABLE users ADD COLUMN short TEXT AS (substr(name, 1, 1));", "ALTER TABLE users DROP COLUMN short;"),
        ("DROP INDEX users_email;", "CREATE INDEX users_email ON users (email);"),
        ("DROP INDEX users_email;", "create index if not exists [users_email] on Users(email) -- again\n;"),
        ("UPDATE sqlite_sequence SET seq = 9;", "UPDATE sqlite_sequence SET seq = 0;"),
    ],
)
def test_where_no_data_is_at_stake_it_is_safe(forward: str, back: str) -> None:
    first = FAMILY + "CREATE TABLE log (id INTEGER PRIMARY KEY AUTOINCREMENT);"
    one = judge(catalog((first, None), (forward, back)))[1]
    assert (one.verdict, one.lost, one.losses, one.alone) == (Verdict.SAFE, (), (), True)
    assert one.evidence == ("nothing is lost; every row and value stays",)


def test_a_table_that_it_made_goes_with_its_rows() -> None:
    one = second(
        "CREATE TABLE venues (id INTEGER PRIMARY KEY, city TEXT); INSERT INTO venues VALUES (1, 'x');",
        "DROP TABLE venues;",
    )
    assert (one.verdict, one.lost) == (Verdict.REVERSIBLE, ("all rows of venues",))
    assert [(loss.table, loss.rows_lost) for loss in one.losses] == [("venues", 4)]
    assert one.made == Made(tables=("venues",), rows=(("venues", 1),))


def test_rows_that_it_inserted_go_and_others_stay() -> None:
    one = second("INSERT INTO reviews VALUES ('root', NULL);", "DELETE FROM reviews WHERE id = 'root';")
    assert (one.verdict, one.lost) == (Verdict.REVERSIBLE, ("the 1 row it inserted into reviews",))
    assert [(loss.table, loss.rows_lost) for loss in one.losses] == [("reviews", 1)]


def test_a_full_text_index_is_a_table_like_others() -> None:
    one = second("CREATE VIRTUAL TABLE search USING fts5 (body);", "DROP TABLE search;")
    assert (one.verdict, one.lost, one.made.tables) == (Verdict.REVERSIBLE, ("all rows of search",), ("search",))


SEARCHED = """
CREATE TABLE posts (slug TEXT PRIMARY KEY, body TEXT);
CREATE VIRTUAL TABLE found USING fts5(body, content='posts');
CREATE TRIGGER indexed AFTER INSERT ON posts BEGIN INSERT INTO found (rowid, body) VALUES (new.rowid, new.body); END;
CREATE TRIGGER gone AFTER DELETE ON posts BEGIN
  INSERT INTO found (found, rowid, body) VALUES ('delete', old.rowid, old.body);
END;
"""


@pytest.mark.parametrize("again", ["", "INSERT INTO found (found) VALUES ('rebuild');"])
def test_a_rollback_that_renumbers_what_an_index_reads_has_to_build_it_again(again: str) -> None:
    back = rebuild("posts", "slug TEXT PRIMARY KEY, body TEXT", "slug, body") + "\n"
    triggers = SEARCHED[SEARCHED.index("CREATE TRIGGER") :]
    migrations = (SEARCHED, None), ("ALTER TABLE posts ADD COLUMN at TEXT;", f"{back}{triggers}{again}")
    one = judge(catalog(*migrations))[1]
    assert one.verdict is (Verdict.LOSSY if again else Verdict.UNPROVEN)
    assert any("found: a search finds" in text for text in one.evidence) == (not again)


@pytest.mark.parametrize(
    "back",
    [
        "ALTER TABLE artists DROP COLUMN city;",
        rebuild(
            "artists",
            "id TEXT PRIMARY KEY NOT NULL, user_id TEXT NOT NULL REFERENCES users (id) ON DELETE CASCADE",
            "id, user_id",
        ),
    ],
)
def test_a_column_that_it_added_is_lost(back: str) -> None:
    one = second("ALTER TABLE artists ADD COLUMN city TEXT NOT NULL DEFAULT 'Graz';", back)
    assert (one.verdict, one.lost, one.alone) == (Verdict.LOSSY, ("the values of artists.city",), True)
    assert one.made == Made(columns=("artists.city",))


def test_a_column_whose_values_moved_and_move_back_is_not_destroyed() -> None:
    one = second(
        "CREATE TABLE names (user_id TEXT PRIMARY KEY, name TEXT); INSERT INTO names SELECT id, name FROM users;"
        " ALTER TABLE users DROP COLUMN name;",
        "CREATE TABLE keep AS SELECT * FROM artists; CREATE TABLE keep2 AS SELECT * FROM reviews;"
        " DELETE FROM artists; DELETE FROM reviews;"
        + rebuild(
            "users", f"{USERS}, {NAME}, {AGE}", "id, email, age", after="CREATE INDEX users_email ON users (email);"
        )
        + "UPDATE users SET name = (SELECT name FROM names WHERE user_id = id); DROP TABLE names;"
        " INSERT INTO artists SELECT * FROM keep; INSERT INTO reviews SELECT * FROM keep2;"
        " DROP TABLE keep; DROP TABLE keep2;",
    )
    assert one.verdict is Verdict.REVERSIBLE, one.evidence
    assert [loss.losses for loss in one.destroyed] == [("users.name",)]


def test_another_column_order_is_a_warning() -> None:
    one = second(
        "ALTER TABLE reviews ADD COLUMN stars INTEGER;",
        rebuild(
            "reviews",
            "user_id TEXT REFERENCES users (id) ON DELETE SET NULL, id TEXT PRIMARY KEY NOT NULL",
            "id, user_id",
        ),
    )
    assert one.verdict is Verdict.LOSSY
    assert one.warnings == ("table reviews has its columns in another order after the rollback",)


def test_a_unique_index_that_several_generated_rows_break_is_tried_with_one() -> None:
    first = "CREATE TABLE flags (id INTEGER PRIMARY KEY, on_off INTEGER NOT NULL CHECK (on_off IN (0)));"
    one = judge(catalog((first, None), ("CREATE UNIQUE INDEX i ON flags (on_off);", "DROP INDEX i;")))[1]
    assert one.verdict is Verdict.SAFE
    assert "3 rows a table stopped it" in one.warnings[0]


# -- irreversible ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("forward", "back", "says"),
    [
        ("UPDATE users SET age = 7;", "UPDATE users SET age = 7;", "users: of 3 rows, age"),
        ("UPDATE users SET age = age * 2;", "UPDATE users SET age = age / 2;", "users: of 3 rows, age"),
        ("DELETE FROM reviews;", "SELECT 1;", "reviews: 3 of 3 rows go"),
        (
            "DELETE FROM users;",
            "SELECT 1;",
            "artists: 3 of 3 rows go, by DELETE FROM users (db/migrations/0002_m.sql:1): users -> artists",
        ),
        ("DROP TABLE reviews;", None, "reviews: the table goes, with 3 of 3 rows"),
        (
            "DROP TABLE reviews;",
            f"CREATE TABLE reviews ({REVIEWS});",
            "reviews: the table goes, with 3 of 3 rows",
        ),
        ("ALTER TABLE users DROP COLUMN age;", f"ALTER TABLE users ADD COLUMN {AGE};", "users: of 3 rows, age"),
        (
            "UPDATE users SET name = 'x' WHERE name = 'no such name';",
            "SELECT 1;",
            "it may overwrite or delete users.name",
        ),
        ("DELETE FROM users WHERE email = 'nobody@nowhere';", "SELECT 1;", "it may overwrite or delete users,"),
        (
            "INSERT INTO users VALUES ('u', 'e', 'n', 1) ON CONFLICT (id) DO UPDATE SET age = 1;",
            "SELECT 1;",
            "users.age",
        ),
        (
            "WITH old AS (SELECT id FROM users LIMIT 0) DELETE FROM reviews WHERE id IN old;",
            "SELECT 1;",
            "delete reviews,",
        ),
        (
            rebuild(
                "users",
                f"{USERS}, {NAME}, age INTEGER",
                "id, email, name, age",
                after="CREATE INDEX users_email ON users (email);",
            ),
            "SELECT 1;",
            "artists: 3 of 3 rows go, by DROP TABLE users",
        ),
    ],
)
def test_what_the_migration_destroyed_no_script_brings_back(forward: str, back: str | None, says: str) -> None:
    one = second(forward, back)
    assert one.verdict is Verdict.IRREVERSIBLE
    assert any(says in text for text in one.evidence), one.evidence
    assert (one.lost, one.alone) == ((), None)


def test_filling_values_where_there_were_none_is_an_update_too() -> None:
    scripts = ("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (77, NULL);", None)
    one = judge(catalog(scripts, ("UPDATE t SET v = 'x' WHERE v IS NULL;", "UPDATE t SET v = NULL WHERE v = 'x';")))[1]
    assert (one.verdict, one.evidence) == (Verdict.IRREVERSIBLE, ("t: values are written where there were none",))


def test_a_trigger_that_overwrites_for_the_migration_counts() -> None:
    first = (
        "CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (id INTEGER PRIMARY KEY, n INTEGER);"
        "CREATE TRIGGER t AFTER INSERT ON a WHEN new.id = -5 BEGIN UPDATE b SET n = 0; END;"
    )
    one = judge(catalog((first, None), ("INSERT INTO a VALUES (-7);", "DELETE FROM a WHERE id = -7;")))[1]
    assert (one.verdict, one.evidence) == (
        Verdict.IRREVERSIBLE,
        ("it may overwrite or delete b.n, though no row of the trial shows it",),
    )


@pytest.mark.parametrize("in_rollback", [True, False])
def test_its_author_may_say_so(in_rollback: bool) -> None:
    mark = "-- d1ops: irreversible the mail is sent\n"
    forward, back = "CREATE TABLE sent (id);", "DROP TABLE sent;"
    one = second(*((forward, mark + back) if in_rollback else (mark + forward, back)))
    assert (one.verdict, one.evidence) == (Verdict.IRREVERSIBLE, ("marked irreversible: the mail is sent",))


# -- unproven --------------------------------------------------------------------------------------------

ADD, TAKE = "ALTER TABLE users ADD COLUMN extra TEXT;", "ALTER TABLE users DROP COLUMN extra;"
LEAF = "CREATE TABLE leaf (id INTEGER PRIMARY KEY, a TEXT COLLATE NOCASE DEFAULT 'd', b TEXT, c INTEGER CHECK (c > 0));"
LEAVES = "id INTEGER PRIMARY KEY, a TEXT COLLATE NOCASE DEFAULT 'd', b TEXT, c INTEGER CHECK (c > 0)"


@pytest.mark.parametrize(
    ("forward", "back", "says"),
    [
        (ADD, None, "it has no rollback script"),
        (ADD, "ALTER TABLE users DROP COLUMN extra", "cannot be read: db/rollbacks/0002_rollback.sql:1:1"),
        (
            ADD,
            "ALTER TABLE users DROP COLUMN extras;",
            'the rollback script fails: db/rollbacks/0002_rollback.sql:1:31: no such column: "extras"',
        ),
        (ADD, "SELECT 1;", "table users has another form after the rollback"),
        (ADD, "DROP INDEX users_email; " + TAKE, "index users_email is not restored after the rollback"),
        (
            "CREATE TABLE t (a); CREATE VIEW v AS SELECT 1 AS one;",
            "DROP TABLE t;",
            "view v is left over after the rollback",
        ),
        (ADD, rebuild("users", f"{USERS}, {NAME}, {AGE}", "id, email, name, age"), "index users_email is not restored"),
        (
            ADD,
            rebuild(
                "users",
                f"{USERS}, {NAME}, {AGE}",
                "id, email, name, age",
                after="CREATE INDEX users_email ON users (email);",
            ),
            "artists: 3 of 3 rows go, by DROP TABLE users (db/rollbacks/0002_rollback.sql:1):"
            " users -> artists by user_id ON DELETE CASCADE",
        ),
        (
            ADD,
            rebuild(
                "users",
                f"{USERS}, {NAME}, {AGE}",
                "id, email, name, age",
                after="CREATE INDEX users_email ON users (email);",
            ),
            "user_id ON DELETE SET NULL",
        ),
        (ADD, TAKE + "UPDATE users SET age = 1 WHERE age IS NULL; UPDATE users SET age = 1;", "users: of 3 rows, age"),
        (ADD, TAKE + "DELETE FROM reviews;", "reviews: 3 of 3 rows go"),
        ("INSERT INTO users VALUES ('u', 'e', 'n', 1);", "SELECT 1;", "users: 3 rows before, 4 after"),
        ("INSERT INTO users VALUES ('u', 'e', 'n', 1);", "DELETE FROM users;", "users: 3 of 3 rows go"),
        (
            "CREATE TABLE child (u TEXT REFERENCES users (id));",
            "DROP TABLE child; PRAGMA defer_foreign_keys=ON; UPDATE reviews SET user_id = 'gone';"
            " PRAGMA defer_foreign_keys=OFF;",
            "reviews: of 3 rows, user_id",
        ),
        (
            "CREATE TABLE child (u TEXT REFERENCES users (id));",
            "DROP TABLE child; PRAGMA defer_foreign_keys=ON; INSERT INTO reviews VALUES ('r', 'gone');"
            " PRAGMA defer_foreign_keys=OFF;",
            "reviews: 3 rows before, 4 after",
        ),
    ],
)
def test_a_script_that_does_not_bring_it_back_proves_nothing(forward: str, back: str | None, says: str) -> None:
    one = second(forward, back)
    assert one.verdict is Verdict.UNPROVEN
    assert any(says in text for text in one.evidence), one.evidence
    assert (one.lost, one.losses, one.alone) == ((), (), None)


@pytest.mark.parametrize(
    ("definition", "says"),
    [
        (LEAVES.replace(" DEFAULT 'd'", ""), "has another form"),
        (LEAVES.replace("'d'", "'D'"), "has another form"),
        (LEAVES.replace(" COLLATE NOCASE", ""), "has another form"),
        (LEAVES.replace(" CHECK (c > 0)", ""), "has another form"),
        (LEAVES.replace("c > 0", "c > 1"), "has another form"),
        (LEAVES.replace(" PRIMARY KEY", ""), "has another form"),
    ],
)
def test_a_rebuild_that_changes_the_form_of_the_table_is_caught(definition: str, says: str) -> None:
    back = rebuild("leaf", definition, "id, a, b, c")
    one = judge(catalog((LEAF, None), ("ALTER TABLE leaf ADD COLUMN x;", back)))[1]
    assert (one.verdict, one.evidence) == (Verdict.UNPROVEN, (f"table leaf {says} after the rollback",))


@pytest.mark.parametrize(
    ("source", "says"),
    [
        ("id, b, a, c", "leaf: of 3 rows, a"),
        ("id, a, NULL, c", "b"),
        ("id, lower(a), b, c + 1", "c"),
        ("id + 1, a, b, c", "rows go"),
    ],
)
def test_a_rebuild_that_copies_wrongly_is_caught(source: str, says: str) -> None:
    back = rebuild("leaf", LEAVES, "id, a, b, c", source=source)
    one = judge(catalog((LEAF, None), ("ALTER TABLE leaf ADD COLUMN x;", back)))[1]
    assert one.verdict is Verdict.UNPROVEN
    assert says in one.evidence[0]


def test_a_rebuild_that_copies_only_some_rows_is_caught_by_the_rows_written_since() -> None:
    first = "CREATE TABLE leaf (id INTEGER PRIMARY KEY, a TEXT);"
    keep = rebuild("leaf", "id INTEGER PRIMARY KEY, a TEXT", "id, a").replace(
        "FROM leaf;", "FROM leaf WHERE x IS NULL;"
    )
    one = judge(catalog((first, None), ("ALTER TABLE leaf ADD COLUMN x;", keep)))[1]
    assert one.verdict is Verdict.UNPROVEN
    assert one.evidence[0].startswith("the rollback takes what is not its own: leaf:")


def test_new_rows_that_the_old_form_refuses_stop_the_script() -> None:
    narrow, wide = (
        "id INTEGER PRIMARY KEY, a INTEGER CHECK (a = 1)",
        "id INTEGER PRIMARY KEY, a INTEGER CHECK (a IN (1, 2) AND (id < 4 OR a = 2))",
    )
    scripts = (rebuild("leaf", wide, "id, a"), rebuild("leaf", narrow, "id, a"))
    one = judge(catalog((f"CREATE TABLE leaf ({narrow});", None), scripts))[1]
    assert one.verdict is Verdict.UNPROVEN
    assert one.evidence[0].startswith(
        "the rollback script fails on rows written since: db/rollbacks/0002_rollback.sql:1"
    )


def test_it_must_be_possible_to_apply_it_again() -> None:
    first = "CREATE TABLE n (id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id < 5), a TEXT);"
    one = judge(catalog((first, None), ("INSERT INTO n (a) VALUES ('x');", "DELETE FROM n WHERE a = 'x';")))[1]
    assert one.verdict is Verdict.UNPROVEN
    assert one.evidence[0].startswith("after its rollback it cannot be applied again: db/migrations/0002_m.sql:1:1")


def test_applied_again_it_must_do_the_same() -> None:
    first = (
        "CREATE TABLE n (id INTEGER PRIMARY KEY AUTOINCREMENT, a TEXT);"
        "CREATE TABLE m (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO m VALUES (5, 'old');"
    )
    forward = "INSERT INTO n (a) VALUES ('x'); INSERT OR REPLACE INTO m SELECT id, 'new' FROM n WHERE a = 'x';"
    back = "DELETE FROM n WHERE a = 'x'; DELETE FROM m WHERE v = 'new';"
    one = judge(catalog((first, None), (forward, back)))[1]
    assert one.verdict is Verdict.UNPROVEN
    assert "applied again it does something else: m: of 4 rows, v (1 values)" in one.evidence


@pytest.mark.parametrize(
    ("action", "says"),
    [
        ("", r"the rollback leaves \d+ rows of c\d+ without their row in p"),
        ("ON DELETE CASCADE", r"the rollback takes what is not its own: c\d+: 1 of 2 rows go, by DELETE FROM p"),
    ],
)
def test_rows_that_have_come_to_refer_to_inserted_rows_are_not_forgotten(action: str, says: str) -> None:
    children = "".join(
        f"CREATE TABLE c{n} (id INTEGER PRIMARY KEY, p TEXT REFERENCES p (id) {action});" for n in range(12)
    )
    back = "PRAGMA defer_foreign_keys=ON; DELETE FROM p WHERE id = 'n'; PRAGMA defer_foreign_keys=OFF;"
    scripts = (
        (f"CREATE TABLE p (id TEXT PRIMARY KEY NOT NULL); {children}", None),
        ("INSERT INTO p VALUES ('n');", back),
    )
    one = judge(catalog(*scripts), rows=1)[1]
    assert one.verdict is Verdict.UNPROVEN
    assert re.match(says, one.evidence[0])


def test_a_migration_that_stops_at_tables_with_rows_is_not_proved() -> None:
    one = second("ALTER TABLE users ADD COLUMN must TEXT NOT NULL;", "ALTER TABLE users DROP COLUMN must;")
    assert one.verdict is Verdict.UNPROVEN
    assert one.evidence[0].startswith("it does not run on tables that hold rows: db/migrations/0002_m.sql:1:1")


def test_where_no_row_can_be_made_nothing_is_claimed() -> None:
    first = "CREATE TABLE closed (id INTEGER PRIMARY KEY, v TEXT, CHECK (id <> id));"
    one = judge(catalog((first, None), ("ALTER TABLE closed ADD COLUMN w;", "ALTER TABLE closed DROP COLUMN w;")))[1]
    assert one.verdict is Verdict.UNPROVEN
    assert one.evidence[0].startswith("closed got no rows for the trial: ")


def test_a_table_that_cannot_be_filled_is_lost_all_the_same() -> None:
    one = second("CREATE TABLE closed (id INTEGER PRIMARY KEY, CHECK (id <> id));", "DROP TABLE closed;")
    assert (one.verdict, one.lost) == (Verdict.REVERSIBLE, ("all rows of closed",))
    assert one.evidence == ("no row of the trial shows what is lost",)
    assert one.warnings[0].startswith("closed got no rows for the trial: ")


def test_a_migration_that_cannot_be_read_or_run_is_an_error() -> None:
    with pytest.raises(ScriptError, match=r"db/migrations/0002_m.sql:1:1"):
        judge(catalog((FAMILY, None), ("DROP TABLE users", None)))
    with pytest.raises(StatementRejected, match=r"db/migrations/0002_m.sql:1:1: no such table: nope"):
        judge(catalog((FAMILY, None), ("DELETE FROM nope;", None)))


# -- alone, or only in cascade ---------------------------------------------------------------------------


def test_a_later_index_on_its_column_makes_it_cascade_only() -> None:
    judged = judge(catalog((FAMILY, None), (ADD, TAKE), ("CREATE INDEX i ON users (extra);", "DROP INDEX i;")))
    assert (judged[1].alone, [m.number for m in judged[1].needed_by]) == (False, [3])
    assert (
        judged[1].obstacles[0].startswith("without it 0003 does not run: db/migrations/0003_m.sql:1:26: no such column")
    )
    assert judged[2].alone is True


def test_a_later_child_whose_rows_would_go_makes_it_cascade_only() -> None:
    judged = judge(
        catalog(
            ("CREATE TABLE p (id INTEGER PRIMARY KEY);", "DROP TABLE p;"),
            (
                "CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER NOT NULL REFERENCES p (id) ON DELETE CASCADE);",
                "DROP TABLE c;",
            ),
        )
    )
    assert (judged[0].alone, judged[0].obstacles) == (False, ("it would take c",))
    assert [m.number for m in judged[0].needed_by] == [2]


def test_a_script_that_fails_beside_later_migrations_makes_it_cascade_only() -> None:
    judged = judge(
        catalog(
            ("CREATE TABLE p (id INTEGER PRIMARY KEY, a);", None),
            ("ALTER TABLE p ADD COLUMN b;", "ALTER TABLE p DROP COLUMN b;"),
            ("CREATE VIEW v AS SELECT b FROM p;", "DROP VIEW v;"),
        )
    )
    assert judged[1].alone is False
    assert (
        judged[1]
        .obstacles[0]
        .startswith("with later migrations applied its script fails: db/rollbacks/0002_rollback.sql:1:1")
    )


def test_a_rebuild_that_forgets_what_a_later_migration_made_makes_it_cascade_only() -> None:
    judged = judge(
        catalog(
            (LEAF, None),
            ("ALTER TABLE leaf ADD COLUMN x;", rebuild("leaf", LEAVES, "id, a, b, c")),
            ("CREATE INDEX later ON leaf (a);", "DROP INDEX later;"),
        )
    )
    assert (judged[1].verdict, judged[1].alone) == (Verdict.LOSSY, False)
    assert judged[1].obstacles == ("index later is gone",)
    assert judged[1].needed_by == ()


# -- properties ------------------------------------------------------------------------------------------

IDENTIFIER = st.sampled_from(["alpha", "beta", "gamma", "delta", "order", "Group"])
TYPES = st.sampled_from(["TEXT", "INTEGER", "REAL", "BLOB", "TEXT NOT NULL DEFAULT 'x'", "INTEGER DEFAULT 5"])


@st.composite
def proved_pairs(draw: st.DrawFn) -> list[tuple[str, str, Verdict]]:
    """Migrations that make a table, a column or an index, each with the script that takes it away."""
    tables: dict[str, list[str]] = {}
    pairs: list[tuple[str, str, Verdict]] = []
    for number in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["table", "column", "index"])) if tables else "table"
        if kind == "table":
            name = f"{draw(IDENTIFIER)}_{number}"
            tables[name] = ["id"]
            pairs.append(
                (f'CREATE TABLE "{name}" (id INTEGER PRIMARY KEY);', f'DROP TABLE "{name}";', Verdict.REVERSIBLE)
            )
            continue
        table = draw(st.sampled_from(sorted(tables)))
        name = f"{draw(IDENTIFIER)}_{number}"
        if kind == "column":
            tables[table].append(name)
            forward = f'ALTER TABLE "{table}" ADD COLUMN "{name}" {draw(TYPES)};'
            pairs.append((forward, f'ALTER TABLE "{table}" DROP COLUMN "{name}";', Verdict.LOSSY))
        else:
            column = draw(st.sampled_from(tables[table]))
            pairs.append((f'CREATE INDEX "{name}" ON "{table}" ("{column}");', f'DROP INDEX "{name}";', Verdict.SAFE))
    return pairs


@settings(max_examples=25)
@given(proved_pairs())
def test_what_is_undone_object_by_object_is_proved_and_the_same_twice(pairs: list[tuple[str, str, Verdict]]) -> None:
    found = catalog(*((forward, back) for forward, back, _ in pairs))
    judged = judge(found)
    assert [one.verdict for one in judged] == [verdict for *_, verdict in pairs]
    assert judged[-1].alone is True
    assert judge(found) == judged


@settings(max_examples=15)
@given(proved_pairs())
def test_a_script_that_does_nothing_is_never_proved(pairs: list[tuple[str, str, Verdict]]) -> None:
    judged = judge(catalog(*((forward, "SELECT 1;") for forward, *_ in pairs)))
    assert {one.verdict for one in judged} == {Verdict.UNPROVEN}
    assert all(split(forward) for forward, *_ in pairs)
