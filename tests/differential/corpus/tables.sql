-- CREATE TABLE in every form, and DROP.
--@ setup
CREATE TABLE p(id INTEGER PRIMARY KEY, name TEXT UNIQUE);
INSERT INTO p VALUES (1, 'one'), (2, 'two');
--@ lines
CREATE TABLE a(x)
CREATE TABLE a(x INT, y TEXT, z BLOB, r REAL, n NUMERIC, untyped)
CREATE TABLE IF NOT EXISTS p(other)
CREATE TABLE p(other)
CREATE TABLE P(other)
CREATE TABLE "p"(other)
CREATE TABLE main.q(x)
CREATE TABLE nodb.q(x)
CREATE TABLE a(x, x)
CREATE TABLE a(x, X)
CREATE TABLE a()
CREATE TABLE a(x,)
CREATE TABLE a
CREATE TABLE a(x INTEGER PRIMARY KEY, y INTEGER PRIMARY KEY)
CREATE TABLE a(x TEXT PRIMARY KEY AUTOINCREMENT)
CREATE TABLE a(x INTEGER PRIMARY KEY AUTOINCREMENT)
CREATE TABLE a(x INTEGER PRIMARY KEY DESC)
CREATE TABLE a(x INT PRIMARY KEY) WITHOUT ROWID
CREATE TABLE a(x INT) WITHOUT ROWID
CREATE TABLE a(x INTEGER PRIMARY KEY AUTOINCREMENT) WITHOUT ROWID
CREATE TABLE a(x INT) STRICT
CREATE TABLE a(x INT, y ANY, z TEXT, w BLOB, v REAL, u INTEGER) STRICT
CREATE TABLE a(x VARCHAR(10)) STRICT
CREATE TABLE a(x) STRICT
CREATE TABLE a(x INT PRIMARY KEY, y ANY) STRICT, WITHOUT ROWID
CREATE TABLE a(x INT PRIMARY KEY, y ANY) WITHOUT ROWID, STRICT
CREATE TABLE a(x INT) SOMETHING
CREATE TABLE a(x DEFAULT 1, y DEFAULT 'text', z DEFAULT x'00ff', w DEFAULT NULL, v DEFAULT -1.5, u DEFAULT TRUE)
CREATE TABLE a(x DEFAULT (1 + 2), y DEFAULT (lower('A')), z DEFAULT CURRENT_TIMESTAMP)
CREATE TABLE a(x DEFAULT (random()))
CREATE TABLE a(x DEFAULT (SELECT 1))
CREATE TABLE a(x DEFAULT (y), y)
CREATE TABLE a(x DEFAULT "double quoted")
CREATE TABLE a(x DEFAULT bare)
CREATE TABLE a(x DEFAULT (power(2, 3)))
CREATE TABLE a(x DEFAULT (sqlite_version()))
CREATE TABLE a(x CHECK (x > 0), CONSTRAINT named CHECK (x < 9))
CREATE TABLE a(x CHECK (x IN (SELECT 1)))
CREATE TABLE a(x CHECK (nope > 0))
CREATE TABLE a(x CHECK (x > ?))
CREATE TABLE a(x CHECK (power(x, 2) > 0))
CREATE TABLE a(x CHECK (json_valid(x)))
CREATE TABLE a(x CHECK (x LIKE 'a%' AND x GLOB 'a*'))
CREATE TABLE a(x CHECK (x REGEXP 'a'))
CREATE TABLE a(x CHECK ("nope" > 0))
CREATE TABLE a(x COLLATE NOCASE, y COLLATE RTRIM, z COLLATE BINARY)
CREATE TABLE a(x COLLATE nope)
CREATE TABLE a(x UNIQUE ON CONFLICT REPLACE, y NOT NULL ON CONFLICT IGNORE)
CREATE TABLE a(x, y, PRIMARY KEY (x, y), UNIQUE (y, x))
CREATE TABLE a(x, PRIMARY KEY (nope))
CREATE TABLE a(x, UNIQUE (nope))
CREATE TABLE a(x, PRIMARY KEY (x), PRIMARY KEY (x))
CREATE TABLE a(x, UNIQUE (x COLLATE NOCASE DESC))
CREATE TABLE a(x, UNIQUE (lower(x)))
CREATE TABLE a(x REFERENCES p)
CREATE TABLE a(x REFERENCES p(id) ON DELETE CASCADE ON UPDATE SET NULL DEFERRABLE INITIALLY DEFERRED)
CREATE TABLE a(x REFERENCES nowhere(id))
CREATE TABLE a(x, y, FOREIGN KEY (x, y) REFERENCES p(id))
CREATE TABLE a(x, FOREIGN KEY (nope) REFERENCES p(id))
CREATE TABLE a(x, FOREIGN KEY (x) REFERENCES p(id) MATCH FULL NOT DEFERRABLE)
CREATE TABLE a(x REFERENCES p(id) ON DELETE EXPLODE)
CREATE TABLE a AS SELECT * FROM p
CREATE TABLE a AS SELECT 1 AS x, 'y' AS y, NULL, 1.5 AS r, x'00' AS b
CREATE TABLE a AS SELECT id + 1, id AS id, name AS id FROM p
CREATE TABLE a AS SELECT * FROM nowhere
CREATE TABLE a AS SELECT power(2, 2)
CREATE TABLE a(x) AS SELECT 1
CREATE TABLE a AS VALUES (1, 2), (3, 4)
CREATE TABLE a AS WITH w(n) AS (SELECT 1 UNION SELECT 2) SELECT n FROM w
CREATE TABLE "with ""quotes"" and spaces"("a b" INT, [c d] TEXT, `e f`)
CREATE TABLE 'single'('x')
CREATE TABLE select(x)
CREATE TABLE "select"("from", "where")
CREATE TABLE a(x TEXT NOT NULL NOT NULL DEFAULT 1 DEFAULT 2)
CREATE TABLE a(x VARCHAR(10, 2), y "MY TYPE", z LONG LONG INT(3), d DECIMAL(10,-2))
CREATE TABLE été(naïf, 日本)
CREATE TABLE "🎵"("🎸" TEXT)
CREATE TABLE a(x /* inside */, -- to the end
create table lower_case(a integer primary key not null)
CREATE   TABLE	spaced ( x )
CREATE TABLE a(x INTEGER PRIMARY KEY ON CONFLICT ABORT)
CREATE TABLE a(rowid, oid, _rowid_)
CREATE TABLE a(x, CONSTRAINT one UNIQUE (x), CONSTRAINT one CHECK (x))
CREATE TABLE a(x AS (1))
CREATE TABLE a(x, y AS (x + 1), z GENERATED ALWAYS AS (y * 2) STORED)
CREATE TABLE a(x, y AS (z), z AS (y))
CREATE TABLE a(x, y AS (y + 1))
CREATE TABLE a(x, y AS (random()))
CREATE TABLE a(x, y AS (SELECT 1))
CREATE TABLE a(x, y AS (rowid))
CREATE TABLE a(x, y AS (x) PRIMARY KEY)
CREATE TABLE a(x, y DEFAULT 1 AS (x))
CREATE TABLE a(x, y AS (json_extract(x, '$.a')) STORED NOT NULL UNIQUE)
CREATE TABLE a(x, y AS (power(x, 2)))
CREATE TABLE a(x, y INT AS (x) VIRTUAL REFERENCES p(id))
CREATE TABLE a(x, y AS (CURRENT_TIMESTAMP))
CREATE TABLE a(x, y AS (date('now')))
CREATE TABLE a(x, y AS (date(x)) STORED)
CREATE TABLE a(x PRIMARY KEY, y) WITHOUT ROWID;
CREATE TABLE a(x DATE DEFAULT (date('2024-01-31', '+1 month')))
DROP TABLE p
DROP TABLE P
DROP TABLE main.p
DROP TABLE nope
DROP TABLE IF EXISTS nope
DROP TABLE nodb.p
DROP VIEW p
DROP VIEW IF EXISTS p
DROP INDEX p
DROP TRIGGER p
DROP INDEX IF EXISTS p
DROP TABLE sqlite_schema
DROP TABLE sqlite_master
DROP INDEX sqlite_autoindex_p_1
--@ case autoincrement keeps counting
CREATE TABLE a(x INTEGER PRIMARY KEY AUTOINCREMENT, y);
INSERT INTO a(y) VALUES ('a'), ('b');
DELETE FROM a;
INSERT INTO a(y) VALUES ('c');
SELECT * FROM a;
SELECT * FROM sqlite_sequence;
UPDATE sqlite_sequence SET seq = 100;
INSERT INTO a DEFAULT VALUES;
DELETE FROM sqlite_sequence;
INSERT INTO a DEFAULT VALUES RETURNING x;
--@ case sqlite_sequence cannot be dropped
CREATE TABLE a(x INTEGER PRIMARY KEY AUTOINCREMENT);
DROP TABLE sqlite_sequence;
--@ case autoincrement at the largest rowid
CREATE TABLE a(x INTEGER PRIMARY KEY AUTOINCREMENT);
INSERT INTO a VALUES (9223372036854775807);
INSERT INTO a DEFAULT VALUES;
--@ case rowid is taken again without autoincrement
CREATE TABLE a(x INTEGER PRIMARY KEY, y);
INSERT INTO a(y) VALUES (1), (2);
DELETE FROM a WHERE x = 2;
INSERT INTO a(y) VALUES (3);
SELECT * FROM a;
--@ case generated columns hold and move
CREATE TABLE a(x INT, y AS (x * 2), z TEXT GENERATED ALWAYS AS (printf('%05d', x)) STORED);
INSERT INTO a VALUES (3);
INSERT INTO a(x) VALUES (4);
UPDATE a SET x = 7 WHERE y = 8;
SELECT * FROM a;
CREATE INDEX ia ON a(y);
SELECT x FROM a WHERE y = 14;
--@ case a generated column is not written
CREATE TABLE a(x INT, y AS (x * 2));
INSERT INTO a(x, y) VALUES (1, 2);
--@ case a generated column is not updated
CREATE TABLE a(x INT, y AS (x * 2));
UPDATE a SET y = 1;
--@ case without rowid has no rowid
CREATE TABLE a(x TEXT PRIMARY KEY, y) WITHOUT ROWID;
INSERT INTO a VALUES ('b', 1), ('a', 2);
SELECT * FROM a;
SELECT rowid FROM a;
--@ case without rowid refuses NULL in its key
CREATE TABLE a(x TEXT PRIMARY KEY, y) WITHOUT ROWID;
INSERT INTO a VALUES (NULL, 1);
--@ case a rowid table takes NULL in its key
CREATE TABLE a(x TEXT PRIMARY KEY, y);
INSERT INTO a VALUES (NULL, 1), (NULL, 2);
SELECT rowid, * FROM a;
--@ case strict takes what fits
CREATE TABLE a(i INT, r REAL, t TEXT, b BLOB, x ANY) STRICT;
INSERT INTO a VALUES (1, 2, 'x', x'00', 1), ('5', '1.5', 7, NULL, 'x'), (1.0, 1e300, 1.5, x'', 1.5);
SELECT typeof(i), typeof(r), typeof(t), typeof(b), typeof(x), * FROM a;
--@ case strict refuses text as INT
CREATE TABLE a(i INT) STRICT;
INSERT INTO a VALUES ('x');
--@ case strict refuses a fraction as INT
CREATE TABLE a(i INTEGER) STRICT;
INSERT INTO a VALUES (1.5);
--@ case strict refuses a blob as TEXT
CREATE TABLE a(i TEXT) STRICT;
INSERT INTO a VALUES (x'00');
--@ case strict refuses a number as BLOB
CREATE TABLE a(i BLOB) STRICT;
INSERT INTO a VALUES (1);
--@ case strict refuses text as REAL
CREATE TABLE a(i REAL) STRICT;
INSERT INTO a VALUES ('a');
--@ case strict checks an update
CREATE TABLE a(i INT) STRICT;
INSERT INTO a VALUES (1);
UPDATE a SET i = 'x';
--@ case affinities
CREATE TABLE a(i INTEGER, r REAL, t TEXT, b BLOB, n NUMERIC, d, f FLOATING POINT, s STRING, c CHARINT);
INSERT INTO a VALUES ('1', '1', 1, 1, '1.0', '1', '1', '1', '1'), (1.5, 1, 1.5, '1', 'x', 1.0, 2, '1e3', 3), ('x', 'x', x'31', 'x', x'31', 'x', '0x10', '007', '12abc');
SELECT typeof(i), typeof(r), typeof(t), typeof(b), typeof(n), typeof(d), typeof(f), typeof(s), typeof(c) FROM a;
SELECT * FROM a;
--@ case a table made and dropped in one batch
CREATE TABLE a(x);
INSERT INTO a VALUES (1);
DROP TABLE a;
CREATE TABLE a(y, z);
SELECT * FROM a;
--@ case a parent is not dropped under its children
CREATE TABLE c(x REFERENCES p(id));
INSERT INTO c VALUES (1);
DROP TABLE p;
--@ case a parent without children's rows is dropped
CREATE TABLE c(x REFERENCES p(id));
DROP TABLE p;
INSERT INTO c VALUES (1);
--@ case a child of a missing parent takes NULL
CREATE TABLE c(x REFERENCES nowhere(id));
INSERT INTO c VALUES (NULL);
INSERT INTO c VALUES (1);
--@ case a parent key that is not unique
CREATE TABLE par(a, b);
CREATE TABLE c(x REFERENCES par(a));
INSERT INTO par VALUES (1, 1);
INSERT INTO c VALUES (1);
--@ case drop takes indexes and triggers along
CREATE INDEX i ON p(name);
CREATE TRIGGER tr AFTER INSERT ON p BEGIN SELECT 1; END;
DROP TABLE p;
SELECT * FROM sqlite_schema;
--@ case create again after a failed batch
CREATE TABLE a(x);
CREATE TABLE a(x);
--@ request
CREATE TABLE a(x);
SELECT * FROM a;
