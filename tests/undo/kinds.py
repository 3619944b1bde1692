"""Migrations of every kind of DDL, made from a seed: a base that holds parents, children and everything that may stand
on a table, and a change of it."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Callable

ACTIONS = ("CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT", "NO ACTION")
LOST = frozenset(("irreversible",))
KEPT = frozenset(("proved",))
STOPS = frozenset(("proved", "conditional"))

Change: TypeAlias = "Callable[[Random], tuple[str, str]]"


@dataclass(frozen=True)
class Kind:
    """A kind of migration. `change` returns more for the base, and the migration; `standings` are the right answers."""

    name: str
    change: Change
    standings: frozenset[str]


@dataclass(frozen=True)
class Case:
    kind: Kind
    seed: int
    base: str
    forward: str

    def __str__(self) -> str:
        return f"{self.kind.name} #{self.seed}"


KINDS: list[Kind] = []


def kind(name: str, standings: frozenset[str] = KEPT) -> Callable[[Change], Change]:
    def keep(change: Change) -> Change:
        KINDS.append(Kind(name, change, standings))
        return change

    return keep


def family(draw: Random) -> str:
    """A parent, children that depend on it in every way, a grandchild, and a table that refers to itself."""
    action, other = draw.choice(ACTIONS[:3]), draw.choice(ACTIONS)
    key = draw.choice(
        ("id TEXT PRIMARY KEY NOT NULL", "id INTEGER PRIMARY KEY", "id INTEGER PRIMARY KEY AUTOINCREMENT")
    )
    ref = "TEXT" if "TEXT" in key else "INTEGER"
    return f"""
CREATE TABLE users (
  {key},
  email TEXT NOT NULL COLLATE NOCASE UNIQUE,
  name TEXT DEFAULT 'nobody', -- shown on the page
  age INTEGER CHECK (age > 0),
  score REAL NOT NULL DEFAULT 1.5
);
CREATE TABLE artists (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  user_id {ref} REFERENCES users (id) ON DELETE {action} ON UPDATE CASCADE,
  stage_name TEXT NOT NULL, bio BLOB
);
CREATE TABLE tracks (
  artist_id INTEGER NOT NULL REFERENCES artists (id) ON DELETE CASCADE,
  number INTEGER NOT NULL, title TEXT COLLATE RTRIM, PRIMARY KEY (artist_id, number)
) WITHOUT ROWID;
CREATE TABLE reviews (user_id {ref} REFERENCES users ON DELETE {other}, stars INT, body TEXT);
CREATE TABLE folders (
  id INTEGER PRIMARY KEY, up INTEGER REFERENCES folders (id) ON DELETE {draw.choice(ACTIONS)}, title TEXT
);
CREATE INDEX users_name ON users (name, age DESC);
CREATE INDEX users_adults ON users (lower(email)) WHERE age IS NOT NULL;
CREATE INDEX reviews_user ON reviews (user_id);
CREATE VIEW fans AS SELECT u.id, count(*) AS n FROM users u JOIN reviews r ON r.user_id = u.id GROUP BY 1;
CREATE TABLE log (at INTEGER PRIMARY KEY, what TEXT);
CREATE TRIGGER users_gone AFTER DELETE ON users BEGIN INSERT INTO log (what) VALUES ('gone ' || old.id); END;
CREATE TRIGGER review_new AFTER INSERT ON reviews BEGIN INSERT INTO log (what) VALUES ('new'); END;
"""


TYPES = ("TEXT", "INTEGER", "REAL", "BLOB", "NUMERIC", "VARCHAR(20)", "")
USERS = (
    "email TEXT NOT NULL COLLATE NOCASE UNIQUE, name TEXT DEFAULT 'nobody', age INTEGER CHECK (age > 0),"
    " score REAL NOT NULL DEFAULT 1.5"
)


def rebuild(table: str, definition: str, columns: str, *, after: str = "", source: str = "", options: str = "") -> str:
    """The textbook rebuild of a table that nothing depends on."""
    return (
        f"CREATE TABLE next_{table} ({definition}){options}; INSERT INTO next_{table} ({columns})"
        f" SELECT {source or columns} FROM {table}; DROP TABLE {table};"
        f" ALTER TABLE next_{table} RENAME TO {table}; {after}"
    )


def leaf(draw: Random, columns: str, options: str = "") -> str:
    """A table of its own with an index and a trigger, for changes that a rebuild makes; something refers to it."""
    child = draw.choice(ACTIONS)
    return (
        f"CREATE TABLE leaf (id INTEGER PRIMARY KEY{draw.choice(('', ' AUTOINCREMENT'))}, {columns}){options};"
        "CREATE INDEX leaf_v ON leaf (v); CREATE VIEW leaves AS SELECT id, v FROM leaf;"
        "CREATE TRIGGER leaf_new AFTER INSERT ON leaf BEGIN INSERT INTO log (what) VALUES (new.v); END;"
        "CREATE TABLE twigs (id INTEGER PRIMARY KEY,"
        f" leaf_id INTEGER REFERENCES leaf (id) ON DELETE {child}, note TEXT);"
        "CREATE TABLE buds (twig INTEGER REFERENCES twigs (id) ON DELETE CASCADE, n INT);"
    )


def changed_leaf(draw: Random, before: str, after: str, *, options: tuple[str, str] = ("", "")) -> tuple[str, str]:
    """A leaf whose columns change from one definition to another by the safe rebuild, written by hand."""
    base = leaf(draw, before, options[0])
    names = ", ".join(["id", *(part.split()[0] for part in before.split(", ") if not part.startswith(_CONSTRAINTS))])
    names = ", ".join(n for n in names.split(", ") if n in ("id", "v", "w", "x"))
    counted = " AUTOINCREMENT" if "AUTOINCREMENT" in base else ""
    counter = "CREATE TABLE keep_seq AS SELECT * FROM sqlite_sequence WHERE name = 'leaf';" if counted else ""
    back = (
        "DELETE FROM sqlite_sequence WHERE name = 'leaf'; INSERT INTO sqlite_sequence SELECT * FROM keep_seq;"
        "DROP TABLE keep_seq;"
        if counted
        else ""
    )
    forward = (
        f"PRAGMA defer_foreign_keys = ON; {counter}"
        f"CREATE TABLE keep AS SELECT {names} FROM leaf; CREATE TABLE keep_twigs AS SELECT * FROM twigs;"
        "CREATE TABLE keep_buds AS SELECT rowid AS r, * FROM buds;"
        "DELETE FROM buds; DELETE FROM twigs; DROP TABLE leaf;"
        f"CREATE TABLE leaf (id INTEGER PRIMARY KEY{counted}, {after}){options[1]};"
        f"INSERT INTO leaf ({names}) SELECT {names} FROM keep;"
        "INSERT INTO twigs SELECT * FROM keep_twigs; INSERT INTO buds (rowid, twig, n) SELECT * FROM keep_buds;"
        "DROP TABLE keep; DROP TABLE keep_twigs; DROP TABLE keep_buds;"
        "CREATE INDEX leaf_v ON leaf (v);"
        f"CREATE TRIGGER leaf_new AFTER INSERT ON leaf BEGIN INSERT INTO log (what) VALUES (new.v); END; {back}"
    )
    return base, forward


_CONSTRAINTS = ("CHECK", "UNIQUE", "FOREIGN", "CONSTRAINT", "PRIMARY")


# -- tables ----------------------------------------------------------------------------------------------


@kind("create table")
def _(draw: Random) -> tuple[str, str]:
    options = draw.choice(("", " STRICT", " WITHOUT ROWID", " STRICT, WITHOUT ROWID"))
    column = draw.choice(("INTEGER", "TEXT"))
    return "", f"CREATE TABLE venues (id {column} PRIMARY KEY NOT NULL, city TEXT){options};"


@kind("create table that refers to others")
def _(draw: Random) -> tuple[str, str]:
    return "", (
        f"CREATE TABLE gigs (id INTEGER PRIMARY KEY, artist INTEGER REFERENCES artists (id) ON DELETE"
        f" {draw.choice(ACTIONS)}); CREATE TABLE seats (gig INTEGER REFERENCES gigs (id) ON DELETE"
        f" {draw.choice(ACTIONS)}, row INT, CHECK (row > 0)); CREATE INDEX seats_gig ON seats (gig);"
    )


@kind("create table with a composite foreign key")
def _(draw: Random) -> tuple[str, str]:
    return "", (
        "CREATE TABLE plays (id INTEGER PRIMARY KEY, a INTEGER, n INTEGER,"
        f" FOREIGN KEY (a, n) REFERENCES tracks (artist_id, number) ON DELETE {draw.choice(ACTIONS[:2])});"
    )


@kind("create tables that refer to each other in a circle")
def _(draw: Random) -> tuple[str, str]:
    one, two = draw.choice(ACTIONS), draw.choice(ACTIONS)
    return "", (
        f"CREATE TABLE hens (id INTEGER PRIMARY KEY, egg INTEGER REFERENCES eggs (id) ON DELETE {one});"
        f"CREATE TABLE eggs (id INTEGER PRIMARY KEY, hen INTEGER REFERENCES hens (id) ON DELETE {two});"
    )


@kind("create table that refers to itself")
def _(draw: Random) -> tuple[str, str]:
    return (
        "",
        "CREATE TABLE parts (id INTEGER PRIMARY KEY,"
        f" of INTEGER REFERENCES parts (id) ON DELETE {draw.choice(ACTIONS)});",
    )


@kind("create table with rows")
def _(draw: Random) -> tuple[str, str]:
    return (
        "",
        "CREATE TABLE genres (id INTEGER PRIMARY KEY, name TEXT); INSERT INTO genres VALUES (1, 'rock'), (2, 'pop');",
    )


@kind("insert rows")
def _(draw: Random) -> tuple[str, str]:
    key = draw.choice(("slug TEXT PRIMARY KEY", "slug TEXT", "slug TEXT, UNIQUE (slug)"))
    return (
        f"CREATE TABLE genres (weight REAL DEFAULT 0.5, made TEXT NOT NULL DEFAULT CURRENT_TIMESTAMP, {key});",
        "INSERT INTO genres (slug, weight) VALUES ('rock''n', 1.25), ('pop', NULL), ('jazz', 3);",
    )


@kind("insert rows whose ids SQLite gives", frozenset(("unproven",)))
def _(draw: Random) -> tuple[str, str]:
    return (
        f"CREATE TABLE genres (id INTEGER PRIMARY KEY{draw.choice(('', ' AUTOINCREMENT'))}, slug TEXT);",
        "INSERT INTO genres (slug) VALUES ('rock''n'), ('pop'), ('jazz');",
    )


@kind("drop table", LOST)
def _(draw: Random) -> tuple[str, str]:
    return "", f"DROP TABLE {draw.choice(('tracks', 'reviews', 'folders'))};"


@kind("rename table")
def _(draw: Random) -> tuple[str, str]:
    name = draw.choice(("users", "artists", "tracks", "reviews", "folders", "log"))
    return "", f"ALTER TABLE {name} RENAME TO {draw.choice(('renamed', 'the table', 'order'))!s};".replace(
        "the table", '"the table"'
    ).replace("TO order", 'TO "order"')


# -- columns ---------------------------------------------------------------------------------------------


@kind("add column")
def _(draw: Random) -> tuple[str, str]:
    table = draw.choice(("users", "artists", "tracks", "reviews"))
    more = draw.choice(
        ("", " DEFAULT 'x'", " NOT NULL DEFAULT 7", " CHECK (extra IS NULL OR extra <> 'z')", " COLLATE NOCASE")
    )
    index = draw.choice(
        (
            "",
            f"CREATE INDEX extra_i ON {table} (extra);",
            f"CREATE UNIQUE INDEX extra_u ON {table} (extra) WHERE extra = 'q';",
        )
    )
    return "", f"ALTER TABLE {table} ADD COLUMN extra {draw.choice(TYPES)}{more}; {index}"


@kind("add several columns, a view and a trigger on them")
def _(draw: Random) -> tuple[str, str]:
    return "", (
        "ALTER TABLE users ADD COLUMN first TEXT; ALTER TABLE users ADD COLUMN last TEXT;"
        "CREATE VIEW names AS SELECT first || ' ' || last AS n FROM users;"
        "CREATE TRIGGER named AFTER UPDATE OF first ON users BEGIN INSERT INTO log (what) VALUES (new.last); END;"
    )


@kind("add column that refers to another table")
def _(draw: Random) -> tuple[str, str]:
    return "", (
        f"CREATE TABLE labels (id INTEGER PRIMARY KEY); ALTER TABLE artists ADD COLUMN label INTEGER"
        f" REFERENCES labels (id) ON DELETE {draw.choice(ACTIONS)}; CREATE INDEX artists_label ON artists (label);"
    )


@kind("drop column", LOST)
def _(draw: Random) -> tuple[str, str]:
    return "", draw.choice(
        (
            "ALTER TABLE users DROP COLUMN score;",
            "DROP INDEX users_name; ALTER TABLE users DROP COLUMN name;",
            "ALTER TABLE reviews DROP COLUMN stars;",
            "ALTER TABLE artists DROP COLUMN bio;",
            "ALTER TABLE tracks DROP COLUMN title;",
        )
    )


@kind("rename column")
def _(draw: Random) -> tuple[str, str]:
    table, column = draw.choice(
        (
            ("users", "id"),
            ("users", "name"),
            ("users", "email"),
            ("tracks", "number"),
            ("reviews", "stars"),
            ("artists", "user_id"),
        )
    )
    return "", f"ALTER TABLE {table} RENAME COLUMN {column} TO renamed;"


@kind("rename table and column")
def _(draw: Random) -> tuple[str, str]:
    return "", "ALTER TABLE users RENAME TO members; ALTER TABLE members RENAME COLUMN name TO full_name;"


@kind("add generated column")
def _(draw: Random) -> tuple[str, str]:
    return "", f"ALTER TABLE {draw.choice(('users', 'reviews'))} ADD COLUMN rounded INTEGER AS (abs({'1'})) VIRTUAL;"


@kind("drop generated column")
def _(draw: Random) -> tuple[str, str]:
    mode = draw.choice(("VIRTUAL", "STORED"))
    place = draw.choice((f"a INT, b INT AS (a * 2) {mode}, c TEXT", f"a INT, c TEXT, b INT AS (a * 2) {mode}"))
    return f"CREATE TABLE sums (id INTEGER PRIMARY KEY, {place});", "ALTER TABLE sums DROP COLUMN b;"


@kind("change generated column")
def _(draw: Random) -> tuple[str, str]:
    mode = draw.choice(("VIRTUAL", "STORED"))
    return (
        f"CREATE TABLE sums (id INTEGER PRIMARY KEY, a INT, b INT AS (a * 2) {mode}, c TEXT);",
        rebuild("sums", f"id INTEGER PRIMARY KEY, a INT, b INT AS (a * 3) {mode}, c TEXT", "id, a, c"),
    )


@kind("move columns to another order")
def _(draw: Random) -> tuple[str, str]:
    return changed_leaf(draw, "v TEXT, w INT, x REAL", "x REAL, v TEXT, w INT")


# -- constraints, by rebuild -----------------------------------------------------------------------------

TIGHTER = {
    "add CHECK": ("v TEXT, w INT", "v TEXT CHECK (length(v) < 1000), w INT"),
    "add NOT NULL": ("v TEXT, w INT", "v TEXT, w INT NOT NULL DEFAULT 0"),
    "add UNIQUE": ("v TEXT, w INT", "v TEXT, w INT, UNIQUE (id, v)"),
    "change DEFAULT": ("v TEXT DEFAULT 'a', w INT", "v TEXT DEFAULT 'b', w INT"),
    "change collation": ("v TEXT COLLATE NOCASE, w INT", "v TEXT COLLATE RTRIM, w INT"),
    "change declared type": ("v TEXT, w INT", "v VARCHAR(9), w INTEGER"),
    "add foreign key": ("v TEXT, w INT", "v TEXT, w INT, up INTEGER REFERENCES log (at) ON DELETE SET NULL"),
    "name a constraint": ("v TEXT, w INT CHECK (w <> 7)", "v TEXT, w INT CONSTRAINT lucky CHECK (w <> 7)"),
    "change ON DELETE": (
        "v TEXT, w INTEGER REFERENCES folders (id) ON DELETE CASCADE",
        "v TEXT, w INTEGER REFERENCES folders (id) ON DELETE SET NULL",
    ),
    "make a foreign key deferrable": (
        "v TEXT, w INTEGER REFERENCES folders (id)",
        "v TEXT, w INTEGER REFERENCES folders (id) DEFERRABLE INITIALLY DEFERRED",
    ),
}
LOOSER = {
    "drop CHECK": ("v TEXT, w INT CHECK (w IN (1, 2, 3))", "v TEXT, w INT"),
    "drop NOT NULL": ("v TEXT NOT NULL, w INT", "v TEXT, w INT"),
    "drop UNIQUE": ("v TEXT UNIQUE, w INT", "v TEXT, w INT"),
    "drop foreign key": ("v TEXT, w INTEGER REFERENCES folders (id)", "v TEXT, w INTEGER"),
}


def _changing(before: str, after: str) -> Change:
    return lambda draw: changed_leaf(draw, before, after)


for _name, (_before, _after) in TIGHTER.items():
    kind(_name)(_changing(_before, _after))
for _name, (_before, _after) in LOOSER.items():
    kind(_name, STOPS)(_changing(_before, _after))


@kind("add STRICT")
def _(draw: Random) -> tuple[str, str]:
    return (
        "CREATE TABLE sums (id INTEGER PRIMARY KEY, a INTEGER, c TEXT);",
        rebuild(
            "sums",
            "id INTEGER PRIMARY KEY, a INTEGER, c TEXT",
            "id, a, c",
            options=" STRICT",
            source="id, CAST(a AS INTEGER), CAST(c AS TEXT)",
        ),
    )


@kind("drop STRICT", STOPS)
def _(draw: Random) -> tuple[str, str]:
    return changed_leaf(draw, "v TEXT, w INT, x ANY", "v TEXT, w INT, x BLOB", options=(" STRICT", ""))


@kind("add WITHOUT ROWID")
def _(draw: Random) -> tuple[str, str]:
    return (
        "CREATE TABLE codes (code TEXT PRIMARY KEY NOT NULL, v REAL);",
        rebuild("codes", "code TEXT PRIMARY KEY NOT NULL, v REAL", "code, v", options=" WITHOUT ROWID"),
    )


@kind("drop WITHOUT ROWID")
def _(draw: Random) -> tuple[str, str]:
    return (
        "CREATE TABLE codes (code TEXT PRIMARY KEY NOT NULL, v REAL) WITHOUT ROWID;",
        rebuild("codes", "code TEXT PRIMARY KEY NOT NULL, v REAL", "code, v"),
    )


@kind("add AUTOINCREMENT")
def _(draw: Random) -> tuple[str, str]:
    return (
        "CREATE TABLE sums (id INTEGER PRIMARY KEY, a INT);"
        "CREATE TABLE of_sums (s INTEGER REFERENCES sums (id) ON DELETE SET NULL);",
        "CREATE TABLE keep AS SELECT rowid AS r, s FROM of_sums; DELETE FROM of_sums;"
        + rebuild("sums", "id INTEGER PRIMARY KEY AUTOINCREMENT, a INT", "id, a")
        + "INSERT INTO of_sums (rowid, s) SELECT r, s FROM keep; DROP TABLE keep;",
    )


@kind("drop AUTOINCREMENT")
def _(draw: Random) -> tuple[str, str]:
    return (
        "CREATE TABLE sums (id INTEGER PRIMARY KEY AUTOINCREMENT, a INT);",
        rebuild("sums", "id INTEGER PRIMARY KEY, a INT", "id, a"),
    )


@kind("change a composite foreign key")
def _(draw: Random) -> tuple[str, str]:
    one, two = draw.choice(ACTIONS), draw.choice(ACTIONS)
    form = "id INTEGER PRIMARY KEY, a INTEGER, n INTEGER, FOREIGN KEY (a, n) REFERENCES tracks (artist_id, number)"
    return (
        f"CREATE TABLE plays ({form} ON DELETE {one});",
        rebuild("plays", f"{form} ON DELETE {two} ON UPDATE CASCADE", "id, a, n"),
    )


@kind("change a table that refers to itself")
def _(draw: Random) -> tuple[str, str]:
    action = draw.choice(ACTIONS)
    form = f"id INTEGER PRIMARY KEY, of INTEGER REFERENCES parts (id) ON DELETE {action}, n INT"
    return (
        f"CREATE TABLE parts ({form});",
        "PRAGMA defer_foreign_keys = ON; CREATE TABLE keep AS SELECT * FROM parts; DROP TABLE parts;"
        f"CREATE TABLE parts ({form} DEFAULT 4); INSERT INTO parts SELECT * FROM keep; DROP TABLE keep;",
    )


@kind("change a table in a circle")
def _(draw: Random) -> tuple[str, str]:
    one, two = draw.choice(ACTIONS), draw.choice(ACTIONS)
    hens = f"id INTEGER PRIMARY KEY, egg INTEGER REFERENCES eggs (id) ON DELETE {one}"
    return (
        f"CREATE TABLE hens ({hens}); CREATE TABLE eggs (id INTEGER PRIMARY KEY,"
        f" hen INTEGER REFERENCES hens (id) ON DELETE {two});",
        "PRAGMA defer_foreign_keys = ON; CREATE TABLE h AS SELECT * FROM hens; CREATE TABLE e AS SELECT * FROM eggs;"
        f"DELETE FROM eggs; DROP TABLE hens; CREATE TABLE hens ({hens}, feathers TEXT DEFAULT 'brown');"
        "INSERT INTO hens (id, egg) SELECT * FROM h; INSERT INTO eggs SELECT * FROM e; DROP TABLE h; DROP TABLE e;"
        "CREATE INDEX hens_egg ON hens (egg);",
    )


@kind("convert values of a column", LOST)
def _(draw: Random) -> tuple[str, str]:
    return (
        "CREATE TABLE sums (id INTEGER PRIMARY KEY, a INTEGER NOT NULL);",
        rebuild("sums", "id INTEGER PRIMARY KEY, a TEXT NOT NULL", "id, a"),
    )


# -- indexes ---------------------------------------------------------------------------------------------

INDEXES = {
    "plain": "CREATE INDEX i ON users (age)",
    "unique": "CREATE UNIQUE INDEX i ON users (email, age)",
    "partial": "CREATE INDEX i ON users (name) WHERE score > 1",
    "on an expression": "CREATE INDEX i ON users (lower(name) COLLATE NOCASE, age + 1 DESC)",
}


def _plainly(more: str, forward: str) -> Change:
    return lambda draw: (more, forward)


for _name, _sql in INDEXES.items():
    kind(f"create index, {_name}")(_plainly("", f"{_sql};"))
    kind(f"drop index, {_name}")(_plainly(f"{_sql};", "DROP INDEX i;"))


@kind("replace index")
def _(draw: Random) -> tuple[str, str]:
    column = draw.choice(("name, age", "age", "name COLLATE NOCASE", "name, age DESC, score"))
    return (
        "",
        f"DROP INDEX users_name; CREATE {draw.choice(('', 'UNIQUE '))}INDEX users_name ON users (email, {column});",
    )


# -- views and triggers ----------------------------------------------------------------------------------


@kind("create view")
def _(draw: Random) -> tuple[str, str]:
    return "", "CREATE VIEW v (a, b) AS SELECT id, name FROM users WHERE age > 3 -- adults\n;"


@kind("drop view")
def _(draw: Random) -> tuple[str, str]:
    return (
        "CREATE TRIGGER into_fans INSTEAD OF INSERT ON fans BEGIN SELECT 1; END;" if draw.random() < 0.5 else "",
        "DROP VIEW fans;",
    )


@kind("replace view")
def _(draw: Random) -> tuple[str, str]:
    return (
        "CREATE VIEW top AS SELECT * FROM fans;CREATE TRIGGER into_fans INSTEAD OF DELETE ON fans BEGIN SELECT 1; END;",
        "DROP VIEW fans; CREATE VIEW fans AS SELECT id, 0 AS n FROM users;",
    )


@kind("create trigger")
def _(draw: Random) -> tuple[str, str]:
    when, event = draw.choice(("BEFORE", "AFTER")), draw.choice(("INSERT", "UPDATE OF name", "DELETE"))
    return "", (
        f"CREATE TRIGGER t {when} {event} ON users WHEN (SELECT count(*) FROM log) > 999 BEGIN"
        " INSERT INTO log (what) SELECT CASE WHEN 1 THEN 'a;b' END; END;"
    )


@kind("drop trigger")
def _(draw: Random) -> tuple[str, str]:
    return "", f"DROP TRIGGER {draw.choice(('users_gone', 'review_new'))};"


@kind("replace trigger")
def _(draw: Random) -> tuple[str, str]:
    return "", (
        "DROP TRIGGER users_gone; CREATE TRIGGER users_gone BEFORE DELETE ON users"
        " BEGIN INSERT INTO log (what) VALUES ('before'); END;"
    )


# -- full-text search ------------------------------------------------------------------------------------

SYNCED = """
CREATE TABLE posts (title TEXT, body TEXT);
CREATE VIRTUAL TABLE search USING fts5 (title, body, content='posts', content_rowid='rowid');
CREATE TRIGGER posts_new AFTER INSERT ON posts BEGIN
  INSERT INTO search (rowid, title, body) VALUES (new.rowid, new.title, new.body);
END;
CREATE TRIGGER posts_gone AFTER DELETE ON posts BEGIN
  INSERT INTO search (search, rowid, title, body) VALUES ('delete', old.rowid, old.title, old.body);
END;
"""


@kind("create full-text index")
def _(draw: Random) -> tuple[str, str]:
    return draw.choice(
        (
            ("", "CREATE VIRTUAL TABLE notes USING fts5 (body, tokenize = 'porter');"),
            (
                "CREATE TABLE posts (title TEXT, body TEXT);",
                SYNCED.partition(");")[2] + "INSERT INTO search (search) VALUES ('rebuild');",
            ),
        )
    )


@kind("drop full-text index over a table")
def _(draw: Random) -> tuple[str, str]:
    return SYNCED, "DROP TRIGGER posts_new; DROP TRIGGER posts_gone; DROP TABLE search;"


@kind("drop full-text table", LOST)
def _(draw: Random) -> tuple[str, str]:
    return "CREATE VIRTUAL TABLE notes USING fts5 (body);", "DROP TABLE notes;"


@kind("change full-text index over a table")
def _(draw: Random) -> tuple[str, str]:
    return SYNCED, (
        "DROP TABLE search; CREATE VIRTUAL TABLE search USING fts5 (title, body, content='posts',"
        " content_rowid='rowid', prefix='2'); INSERT INTO search (search) VALUES ('rebuild');"
    )


@kind("change full-text table")
def _(draw: Random) -> tuple[str, str]:
    return "CREATE VIRTUAL TABLE notes USING fts5 (body, author UNINDEXED);", (
        "CREATE TABLE keep AS SELECT rowid AS r, * FROM notes; DROP TABLE notes;"
        "CREATE VIRTUAL TABLE notes USING fts5 (body, author UNINDEXED,"
        f" tokenize = '{draw.choice(('porter', 'trigram'))}');"
        "INSERT INTO notes (rowid, body, author) SELECT r, body, author FROM keep; DROP TABLE keep;"
    )


@kind("change a table under a full-text index")
def _(draw: Random) -> tuple[str, str]:
    return SYNCED, (
        "CREATE TABLE keep AS SELECT rowid AS r, * FROM posts; DROP TRIGGER posts_new; DROP TRIGGER posts_gone;"
        "DROP TABLE posts; CREATE TABLE posts (title TEXT NOT NULL DEFAULT '', body TEXT);"
        "INSERT INTO posts (rowid, title, body) SELECT r, title, body FROM keep; DROP TABLE keep;"
        + SYNCED.partition("CREATE TRIGGER")[1]
        + SYNCED.partition("CREATE TRIGGER")[2]
    )


# -- rows that were there --------------------------------------------------------------------------------


@kind("update rows", LOST)
def _(draw: Random) -> tuple[str, str]:
    return "", draw.choice(("UPDATE users SET score = score * 2;", "UPDATE reviews SET body = 'x' WHERE stars > 3;"))


@kind("delete rows", LOST)
def _(draw: Random) -> tuple[str, str]:
    return "", draw.choice(("DELETE FROM reviews;", "DELETE FROM users WHERE age > 5;"))


@kind("a rebuild that cascades", LOST)
def _(draw: Random) -> tuple[str, str]:
    return (
        "CREATE TABLE sums (id INTEGER PRIMARY KEY, a INT);"
        "CREATE TABLE of_sums (s INTEGER NOT NULL REFERENCES sums (id) ON DELETE CASCADE);",
        rebuild("sums", "id INTEGER PRIMARY KEY, a INT DEFAULT 3", "id, a"),
    )


@kind("several at once")
def _(draw: Random) -> tuple[str, str]:
    parts = [
        "CREATE TABLE venues (id INTEGER PRIMARY KEY, city TEXT);",
        "ALTER TABLE reviews ADD COLUMN venue INTEGER REFERENCES venues (id);",
        "DROP INDEX reviews_user; CREATE INDEX reviews_user ON reviews (user_id, stars);",
        "ALTER TABLE folders RENAME TO boxes;",
        "DROP VIEW fans; CREATE VIEW fans AS SELECT id FROM users;",
        "ALTER TABLE users RENAME COLUMN name TO full_name;",
    ]
    chosen = sorted(draw.sample(range(len(parts)), draw.randint(2, len(parts))))
    if 1 in chosen and 0 not in chosen:
        chosen.insert(0, 0)
    return "", " ".join(parts[index] for index in chosen)


def cases(seeds: range) -> list[Case]:
    """Every kind with every seed; what is made twice is left out."""
    found: dict[tuple[str, str, str], Case] = {}
    for each in KINDS:
        for seed in seeds:
            draw = Random(f"{each.name}/{seed}")
            base = family(draw)
            more, forward = each.change(draw)
            case = Case(each, seed, base + more, forward)
            found.setdefault((each.name, case.base, forward), case)
    return list(found.values())
