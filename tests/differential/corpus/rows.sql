-- INSERT, UPDATE, DELETE: conflicts, upsert, RETURNING, constraints.
--@ setup
CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT UNIQUE, c INT CHECK (c > 0), d NOT NULL DEFAULT 'd');
CREATE TABLE k(x, y, z, PRIMARY KEY (x, y)) WITHOUT ROWID;
CREATE TABLE par(id INTEGER PRIMARY KEY, code TEXT UNIQUE);
CREATE TABLE kid(id INTEGER PRIMARY KEY, par REFERENCES par(id), code TEXT REFERENCES par(code) ON UPDATE CASCADE ON DELETE SET NULL);
CREATE TABLE bag(x);
INSERT INTO t VALUES (1, 'one', 1, 'x'), (2, 'two', 2, 'y'), (3, NULL, NULL, 'z');
INSERT INTO k VALUES (1, 1, 'a'), (1, 2, 'b');
INSERT INTO par VALUES (1, 'p1'), (2, 'p2');
INSERT INTO kid VALUES (1, 1, 'p2');
--@ lines
INSERT INTO t VALUES (4, 'four', 4, 'w')
INSERT INTO t VALUES (4, 'four', 4)
INSERT INTO t(a, b) VALUES (4)
INSERT INTO t(nope) VALUES (1)
INSERT INTO nope VALUES (1)
INSERT INTO t(a, a) VALUES (4, 5)
INSERT INTO t DEFAULT VALUES
INSERT INTO t(b) VALUES ('one')
INSERT INTO t(a) VALUES (1)
INSERT INTO t(a) VALUES ('x')
INSERT INTO t(a) VALUES (1.5)
INSERT INTO t(a) VALUES ('12')
INSERT INTO t(c) VALUES (0)
INSERT INTO t(c) VALUES ('text')
INSERT INTO t(d) VALUES (NULL)
INSERT OR REPLACE INTO t(a, b) VALUES (1, 'two')
INSERT OR IGNORE INTO t(a, b, c) VALUES (1, 'x', 0), (9, 'nine', 9), (10, 'ten', 0)
INSERT OR ABORT INTO t(a) VALUES (9), (1)
INSERT OR FAIL INTO t(a) VALUES (9), (1)
REPLACE INTO t(a, d) VALUES (1, NULL)
INSERT INTO t(a, b) SELECT a + 10, b || '!' FROM t
INSERT INTO t(a) WITH w(n) AS (SELECT 7 UNION SELECT 8) SELECT n FROM w
WITH w(n) AS (SELECT 7 UNION SELECT 8) INSERT INTO t(a) SELECT n FROM w
INSERT INTO t AS tt (a) VALUES (4) RETURNING tt.a
INSERT INTO t(a, b) VALUES (1, 'x') ON CONFLICT DO NOTHING
INSERT INTO t(a, b) VALUES (1, 'x') ON CONFLICT(a) DO UPDATE SET b = excluded.b || b
INSERT INTO t(a, b) VALUES (1, 'x') ON CONFLICT(a) DO UPDATE SET b = 'two'
INSERT INTO t(a, b) VALUES (9, 'one') ON CONFLICT(a) DO UPDATE SET b = 'z'
INSERT INTO t(a, b) VALUES (9, 'one') ON CONFLICT(b) DO UPDATE SET c = 77 WHERE a > 5
INSERT INTO t(a, b) VALUES (9, 'one') ON CONFLICT(b) DO UPDATE SET c = 77 RETURNING *
INSERT INTO t(a, b) VALUES (1, 'two') ON CONFLICT(a) DO NOTHING ON CONFLICT(b) DO UPDATE SET c = 5
INSERT INTO t(a, b) VALUES (1, 'x') ON CONFLICT(c) DO NOTHING
INSERT INTO t(a, b) VALUES (1, 'x') ON CONFLICT(nope) DO NOTHING
INSERT INTO t(a, c) VALUES (1, 1) ON CONFLICT(a) DO UPDATE SET c = -1
INSERT INTO t(a, b) SELECT a, b FROM t WHERE 1 ON CONFLICT DO UPDATE SET c = 9
INSERT INTO t(a, b) SELECT a, b FROM t ON CONFLICT DO NOTHING
INSERT INTO k VALUES (1, 1, 'c') ON CONFLICT(x, y) DO UPDATE SET z = z || excluded.z RETURNING z
INSERT INTO k VALUES (1, 1, 'c')
INSERT INTO k VALUES (1, NULL, 'c')
INSERT INTO bag VALUES (1), (2), (3) RETURNING x, rowid, x * 2 AS twice
INSERT INTO bag VALUES (1) RETURNING count(*)
INSERT INTO bag VALUES (1) RETURNING (SELECT count(*) FROM bag)
INSERT INTO bag VALUES (1) RETURNING nope
INSERT INTO bag VALUES (1) RETURNING *, *
INSERT INTO bag VALUES (CURRENT_TIMESTAMP IS NOT NULL)
INSERT INTO bag VALUES ((SELECT max(a) FROM t))
INSERT INTO bag VALUES (nope)
INSERT INTO bag VALUES ("nope")
UPDATE t SET b = 'x' WHERE a = 1
UPDATE t SET b = 'x'
UPDATE t SET nope = 1
UPDATE t SET a = a + 1
UPDATE t SET a = a + 10
UPDATE t SET (b, c) = ('q', 4) WHERE a = 1
UPDATE t SET (b, c) = (SELECT 'q', 4) WHERE a = 1
UPDATE t SET (b, c) = (1, 2, 3)
UPDATE t SET c = 0
UPDATE OR IGNORE t SET c = a - 1
UPDATE OR REPLACE t SET b = 'same'
UPDATE OR FAIL t SET c = 3 - a
UPDATE t SET c = n.x FROM (SELECT 1 AS i, 50 AS x UNION ALL SELECT 2, 60) AS n WHERE n.i = t.a
UPDATE t SET d = d || '!' WHERE a > 1 RETURNING a, d
UPDATE t SET c = 5 WHERE 0
UPDATE t AS q SET c = q.a WHERE q.b = 'one'
UPDATE t SET b = (SELECT b FROM t x WHERE x.a = t.a) || 'z'
UPDATE t INDEXED BY nope SET c = 1
UPDATE par SET id = 9 WHERE id = 1
UPDATE par SET id = 9 WHERE id = 2
UPDATE par SET code = 'new' WHERE id = 2
UPDATE kid SET par = 7
WITH w AS (SELECT 1 AS i) UPDATE t SET c = 8 WHERE a IN (SELECT i FROM w)
DELETE FROM t
DELETE FROM t WHERE a = 1
DELETE FROM t WHERE nope
DELETE FROM t WHERE a > 1 RETURNING *
DELETE FROM t WHERE a IN (SELECT x FROM bag)
DELETE FROM nope
DELETE FROM par WHERE id = 1
DELETE FROM par WHERE id = 2
DELETE FROM par
DELETE FROM t AS q WHERE q.a = 1
WITH w AS (SELECT 2 AS i) DELETE FROM t WHERE a = (SELECT i FROM w)
INSERT INTO kid VALUES (2, 9, NULL)
INSERT INTO kid VALUES (2, NULL, 'nope')
INSERT INTO kid VALUES (2, '1', 'p1')
INSERT OR IGNORE INTO kid VALUES (2, 9, NULL)
INSERT OR REPLACE INTO par VALUES (1, 'again')
TRUNCATE TABLE t
MERGE INTO t USING k ON 1
SELECT changes(), last_insert_rowid() > -1
--@ case changes and the last rowid move with each statement
INSERT INTO bag VALUES (1), (2), (3);
SELECT changes(), last_insert_rowid();
UPDATE bag SET x = 0 WHERE x > 1;
SELECT changes(), last_insert_rowid();
DELETE FROM bag;
SELECT changes(), last_insert_rowid();
--@ case a failing member undoes the others
INSERT INTO bag VALUES (1);
CREATE TABLE made(x);
INSERT INTO t(a) VALUES (1);
INSERT INTO bag VALUES (2);
--@ request
SELECT count(*) FROM bag;
--@ case a syntax error in the middle
INSERT INTO bag VALUES (1);
SELEC 1;
--@ case an unknown table at the end
INSERT INTO bag VALUES (1);
DELETE FROM par WHERE id = 2;
SELECT * FROM nowhere;
--@ case INSERT OR ROLLBACK
INSERT INTO bag VALUES (1);
INSERT OR ROLLBACK INTO t(a) VALUES (1);
--@ case OR FAIL keeps nothing of a failing batch
INSERT OR FAIL INTO t(a) VALUES (20), (1), (21);
--@ case self reference
CREATE TABLE tree(id INTEGER PRIMARY KEY, up REFERENCES tree(id) ON DELETE CASCADE);
INSERT INTO tree VALUES (1, NULL), (2, 1), (3, 2), (4, 4);
DELETE FROM tree WHERE id = 1;
SELECT * FROM tree;
INSERT INTO tree VALUES (5, 6);
--@ case SET DEFAULT
CREATE TABLE sd(id INTEGER PRIMARY KEY, par DEFAULT 2 REFERENCES par(id) ON DELETE SET DEFAULT);
INSERT INTO sd VALUES (1, 1);
DELETE FROM kid;
DELETE FROM par WHERE id = 1;
SELECT * FROM sd;
DELETE FROM par WHERE id = 2;
--@ case RESTRICT
CREATE TABLE r(par REFERENCES par(id) ON DELETE RESTRICT);
DELETE FROM kid;
INSERT INTO r VALUES (1);
PRAGMA defer_foreign_keys = ON;
DELETE FROM par WHERE id = 1;
--@ case cascades over three tables count as changes
CREATE TABLE c1(id INTEGER PRIMARY KEY REFERENCES par(id) ON DELETE CASCADE);
CREATE TABLE c2(id INTEGER PRIMARY KEY REFERENCES c1(id) ON DELETE CASCADE);
DELETE FROM kid;
INSERT INTO c1 VALUES (1), (2);
INSERT INTO c2 VALUES (1);
DELETE FROM par;
--@ case composite foreign key
CREATE TABLE ck(x, y, FOREIGN KEY (x, y) REFERENCES k(x, y) ON DELETE SET NULL);
INSERT INTO ck VALUES (1, 1), (1, NULL), (NULL, 99);
DELETE FROM k WHERE y = 1;
SELECT * FROM ck;
INSERT INTO ck VALUES (1, 99);
--@ case ignore_check_constraints for one request
PRAGMA ignore_check_constraints = ON;
INSERT INTO t(c) VALUES (-5);
SELECT c FROM t WHERE c < 0;
--@ case the planted row stays and is seen
PRAGMA ignore_check_constraints = ON;
INSERT INTO t(a, c) VALUES (50, -5);
PRAGMA ignore_check_constraints = OFF;
UPDATE t SET d = 'touched' WHERE a = 50;
--@ case quick_check sees a broken CHECK
PRAGMA ignore_check_constraints = ON;
INSERT INTO t(a, c) VALUES (50, -5);
PRAGMA ignore_check_constraints = OFF;
PRAGMA quick_check;
PRAGMA quick_check(t);
--@ case a large rowid is exact inside and rounded outside
INSERT INTO t(a) VALUES (9007199254740993);
SELECT a, CAST(a AS TEXT), a = 9007199254740993 FROM t WHERE a > 100;
--@ case an upsert that counts
INSERT INTO k VALUES (2, 1, 1);
INSERT INTO k VALUES (2, 1, 1) ON CONFLICT DO UPDATE SET z = z + 1;
INSERT INTO k VALUES (2, 1, 1) ON CONFLICT DO UPDATE SET z = z + 1 RETURNING z;
--@ case UPDATE with LIMIT
UPDATE t SET d = 'first' ORDER BY a LIMIT 1;
--@ case DELETE with LIMIT
DELETE FROM t ORDER BY a DESC LIMIT 1;
--@ case a setting outlives the request
PRAGMA ignore_check_constraints = ON;
--@ request
INSERT INTO t(c) VALUES (-5);
--@ case a table of statements in the wrong order
INSERT INTO later VALUES (1);
CREATE TABLE later(x);
--@ case many statements in one batch
INSERT INTO bag VALUES (1);
INSERT INTO bag SELECT x + 1 FROM bag;
INSERT INTO bag SELECT x + 2 FROM bag;
INSERT INTO bag SELECT x + 4 FROM bag;
DELETE FROM bag WHERE x % 2;
UPDATE bag SET x = x * 10;
SELECT sum(x), count(*) FROM bag;
DROP TABLE bag;
CREATE TABLE bag(x, y);
SELECT * FROM bag;
