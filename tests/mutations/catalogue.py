"""Catalogues with everything that a rollback script can get wrong, richer than the sample; the scripts that undo them
are generated."""

from __future__ import annotations

from functools import cache

from d1ops.core.catalog import Catalog, build_catalog
from d1ops.core.undo.generate import write_rollback

BASE = """
CREATE TABLE shops (
  id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL COLLATE NOCASE UNIQUE, city TEXT DEFAULT 'Graz',
  rank INTEGER NOT NULL DEFAULT 5 CHECK (rank BETWEEN 1 AND 9), note TEXT
);
CREATE TABLE goods (
  id INTEGER PRIMARY KEY AUTOINCREMENT, shop TEXT NOT NULL REFERENCES shops (id) ON DELETE CASCADE ON UPDATE CASCADE,
  title TEXT NOT NULL, price REAL NOT NULL DEFAULT 1.5 CHECK (price > 0), gross REAL AS (price * 1.2) STORED, tag TEXT
);
CREATE TABLE sales (
  good INTEGER REFERENCES goods (id) ON DELETE SET NULL, day TEXT NOT NULL, amount INTEGER NOT NULL, memo TEXT
);
CREATE TABLE prices (
  good INTEGER NOT NULL REFERENCES goods (id) ON DELETE CASCADE, since TEXT NOT NULL, price REAL NOT NULL,
  PRIMARY KEY (good, since)
) WITHOUT ROWID;
CREATE TABLE gauges (id INTEGER PRIMARY KEY, label TEXT NOT NULL, level INTEGER DEFAULT 3, data ANY) STRICT;
CREATE TABLE staff (
  id INTEGER PRIMARY KEY, boss INTEGER REFERENCES staff (id) ON DELETE SET NULL, shop TEXT DEFAULT 'none'
  REFERENCES shops (id) ON DELETE SET DEFAULT, name TEXT NOT NULL
);
CREATE TABLE log (at INTEGER PRIMARY KEY, what TEXT);
CREATE INDEX goods_shop ON goods (shop, title DESC);
CREATE UNIQUE INDEX goods_tag ON goods (lower(tag)) WHERE tag IS NOT NULL;
CREATE INDEX sales_good ON sales (good);
CREATE VIEW busy AS SELECT shop, count(*) AS n FROM goods GROUP BY shop;
CREATE TRIGGER goods_new AFTER INSERT ON goods WHEN new.price > 1e6 BEGIN
  INSERT INTO log (what) VALUES (new.title); END;
CREATE TRIGGER sales_gone AFTER DELETE ON sales BEGIN INSERT INTO log (what) VALUES ('gone'); END;
CREATE TABLE posts (title TEXT, body TEXT);
CREATE VIRTUAL TABLE search USING fts5 (title, body, content = 'posts');
CREATE TRIGGER posts_new AFTER INSERT ON posts BEGIN
  INSERT INTO search (rowid, title, body) VALUES (new.rowid, new.title, new.body);
END;
CREATE TRIGGER posts_gone AFTER DELETE ON posts BEGIN
  INSERT INTO search (search, rowid, title, body) VALUES ('delete', old.rowid, old.title, old.body);
END;
"""

CHANGES = (
    "ALTER TABLE shops ADD COLUMN phone TEXT; CREATE UNIQUE INDEX shops_phone ON shops (phone) WHERE phone <> '';"
    "ALTER TABLE shops ADD COLUMN fax TEXT NOT NULL DEFAULT '';",
    "CREATE TABLE offers (id INTEGER PRIMARY KEY, good INTEGER REFERENCES goods (id) ON DELETE CASCADE, percent REAL);"
    "CREATE TABLE bids (offer INTEGER REFERENCES offers (id), sum REAL); CREATE INDEX bids_offer ON bids (offer);"
    "CREATE VIEW hot AS SELECT good FROM offers WHERE percent > 50;",
    "DROP INDEX goods_shop; CREATE INDEX goods_shop ON goods (shop, title); DROP INDEX goods_tag;"
    "CREATE INDEX goods_tag ON goods (tag);",
    "DROP VIEW busy; CREATE VIEW busy AS SELECT shop, sum(price) AS n FROM goods GROUP BY shop;"
    "DROP TRIGGER goods_new; CREATE TRIGGER goods_new BEFORE INSERT ON goods WHEN new.price > 1e7 BEGIN SELECT 1; END;"
    "DROP TRIGGER sales_gone;",
    "ALTER TABLE sales RENAME TO turnover; ALTER TABLE turnover RENAME COLUMN amount TO pieces;",
    "ALTER TABLE shops RENAME COLUMN city TO town; ALTER TABLE staff RENAME COLUMN name TO full_name;",
    "CREATE TABLE countries (code TEXT PRIMARY KEY NOT NULL, name TEXT) WITHOUT ROWID;"
    "INSERT INTO countries VALUES ('at', 'Austria'), ('de', 'Germany');"
    "INSERT INTO log (at, what) VALUES (-1, 'countries'), (-2, NULL);",
)
"""Migrations whose rollback scripts are generated."""


def _around(rebuilt: str, *tables: str) -> str:
    """A rebuild between two halves that keep the rows of other tables aside."""
    aside = "".join(f"CREATE TABLE keep_{t} AS SELECT * FROM {t};" for t in tables)
    away = "".join(f"DELETE FROM {t};" for t in reversed(tables))
    columns = {
        "goods": "id, shop, title, price, tag", "sales": "good, day, amount, memo", "prices": "good, since, price",
        "staff": "id, boss, shop, name",
    }  # fmt: skip
    back = "".join(f"INSERT INTO {t} ({columns[t]}) SELECT {columns[t]} FROM keep_{t};" for t in tables)
    gone = "".join(f"DROP TABLE keep_{t};" for t in tables)
    return f"PRAGMA defer_foreign_keys = ON; DROP TRIGGER sales_gone; {aside}{away}{rebuilt}{back}{gone}" + SALES_GONE


SALES_GONE = "CREATE TRIGGER sales_gone AFTER DELETE ON sales BEGIN INSERT INTO log (what) VALUES ('gone'); END;"
ALL = ("goods", "sales", "prices", "staff")

REBUILDS = (
    _around(
        "CREATE TABLE keep_shops AS SELECT * FROM shops; DROP TABLE shops; CREATE TABLE shops ("
        "id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL COLLATE NOCASE UNIQUE, city TEXT DEFAULT 'Wien',"
        "rank INTEGER NOT NULL DEFAULT 5 CHECK (rank BETWEEN 1 AND 99), note TEXT, since TEXT);"
        "INSERT INTO shops (id, name, city, rank, note) SELECT * FROM keep_shops; DROP TABLE keep_shops;",
        *ALL,
    ),
    "CREATE TABLE g2 (id INTEGER PRIMARY KEY, label TEXT NOT NULL, level INTEGER DEFAULT 3, data ANY);"
    "INSERT INTO g2 SELECT * FROM gauges; DROP TABLE gauges; ALTER TABLE g2 RENAME TO gauges;",
    "PRAGMA defer_foreign_keys = ON; CREATE TABLE keep AS SELECT * FROM staff; DROP TABLE staff;"
    "CREATE TABLE staff (id INTEGER PRIMARY KEY, boss INTEGER REFERENCES staff (id) ON DELETE SET NULL, shop TEXT"
    " REFERENCES shops (id) ON DELETE SET NULL, name TEXT NOT NULL, CHECK (id <> boss - 1000000));"
    "INSERT INTO staff SELECT * FROM keep; DROP TABLE keep;",
    "CREATE TABLE keep AS SELECT rowid AS r, * FROM sales; DROP TABLE sales; CREATE TABLE sales ("
    "good INTEGER REFERENCES goods (id) ON DELETE CASCADE, day TEXT NOT NULL COLLATE RTRIM, amount INTEGER NOT NULL,"
    "memo TEXT); INSERT INTO sales (rowid, good, day, amount, memo) SELECT * FROM keep; DROP TABLE keep;"
    "CREATE INDEX sales_good ON sales (good);" + SALES_GONE,
    "CREATE TABLE keep AS SELECT rowid AS r, * FROM posts; DROP TRIGGER posts_new; DROP TRIGGER posts_gone;"
    "DROP TABLE posts; CREATE TABLE posts (title TEXT DEFAULT '', body TEXT);"
    "INSERT INTO posts (rowid, title, body) SELECT r, title, body FROM keep; DROP TABLE keep;"
    + "CREATE TRIGGER posts_new"
    + BASE.partition("CREATE TRIGGER posts_new")[2],
    "CREATE TABLE keep AS SELECT * FROM prices; DROP TABLE prices; CREATE TABLE prices ("
    "good INTEGER NOT NULL REFERENCES goods (id) ON DELETE CASCADE, since TEXT NOT NULL, price REAL NOT NULL,"
    "UNIQUE (good, since)); INSERT INTO prices SELECT * FROM keep; DROP TABLE keep;",
)
"""Migrations that rebuild tables, so that their rollback scripts do as well."""


@cache
def rich() -> tuple[Catalog, ...]:
    """Catalogues of two migrations, the base and a change, each with its generated rollback script."""
    found = []
    for change in (*CHANGES, *REBUILDS):
        files = {"0001_base.sql": BASE.encode(), "0002_change.sql": change.encode()}
        bare = build_catalog(files, {})
        written = write_rollback(bare, bare.migrations[1], "db/rollbacks/0002_rollback.sql")
        assert written.standing.is_proved, (change, written.reasons)
        found.append(build_catalog(files, {"0002_rollback.sql": written.script.data}))
    return tuple(found)
