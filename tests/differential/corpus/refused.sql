-- What D1 refuses or keeps to itself: transactions, files, TEMP, reserved names, its own tables.
--@ setup
CREATE TABLE t(a INTEGER PRIMARY KEY, b);
CREATE INDEX i ON t(b);
CREATE VIEW v AS SELECT * FROM t;
CREATE TRIGGER tr AFTER INSERT ON t BEGIN SELECT 1; END;
INSERT INTO t VALUES (1, 'x');
--@ lines
BEGIN
BEGIN TRANSACTION
begin immediate
BEGIN EXCLUSIVE TRANSACTION
BEGIN DEFERRED;
COMMIT
COMMIT TRANSACTION
END
END TRANSACTION
ROLLBACK
ROLLBACK TRANSACTION
ROLLBACK TO s
ROLLBACK TRANSACTION TO SAVEPOINT s
SAVEPOINT s
SAVEPOINT "_cf_x"
RELEASE s
RELEASE SAVEPOINT s
/* first */ BEGIN
; BEGIN
EXPLAIN BEGIN
EXPLAIN QUERY PLAN COMMIT
BEGIN; SELECT 1
SELECT 1; COMMIT
INSERT INTO t VALUES (2, 'y'); COMMIT
INSERT INTO t VALUES (2, 'y'); ROLLBACK
BEGIN nonsense
COMMIT AND CHAIN
START TRANSACTION
ATTACH ':memory:' AS x
ATTACH DATABASE 'file.db' AS x
ATTACH 'x'
DETACH x
DETACH main
DETACH DATABASE temp
VACUUM
VACUUM main
VACUUM INTO 'file.db'
CREATE TEMP TABLE x(a)
CREATE TEMPORARY TABLE x(a)
CREATE TEMP TABLE IF NOT EXISTS x(a)
CREATE TEMP TABLE x AS SELECT 1
CREATE TABLE temp.x(a)
CREATE TABLE IF NOT EXISTS temp.x(a)
CREATE TEMP VIEW x AS SELECT 1
CREATE VIEW temp.x AS SELECT 1
CREATE TEMP TRIGGER x AFTER INSERT ON t BEGIN SELECT 1; END
CREATE TRIGGER temp.x AFTER INSERT ON t BEGIN SELECT 1; END
CREATE INDEX temp.x ON t(a)
CREATE VIRTUAL TABLE temp.x USING fts5(a)
DROP TABLE temp.x
DROP TABLE temp.sqlite_schema
SELECT * FROM temp.t
SELECT * FROM sqlite_temp_schema
SELECT * FROM sqlite_temp_master
SELECT * FROM temp.sqlite_schema
INSERT INTO temp.t VALUES (1)
CREATE TABLE _cf_x(a)
CREATE TABLE _CF_x(a)
CREATE TABLE "_cf_x"(a)
CREATE TABLE '_cf_x'(a)
CREATE TABLE [_Cf_x](a)
CREATE TABLE main._cf_x(a)
CREATE TABLE IF NOT EXISTS _cf_x(a)
CREATE TABLE _cf_x AS SELECT 1
CREATE TABLE _cf(a)
CREATE TABLE _cfx(a)
CREATE TABLE cf_x(a)
CREATE TABLE x_cf_(a)
CREATE TABLE d1_x(a)
CREATE TABLE d1_migrations(id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT UNIQUE, applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL)
CREATE TABLE ok(_cf_column)
CREATE TABLE ok(a REFERENCES _cf_x(a))
CREATE VIEW _cf_v AS SELECT 1
CREATE VIEW ok AS SELECT * FROM _cf_x
CREATE VIEW ok AS SELECT 1 AS _cf_column
CREATE INDEX _cf_i ON t(b)
CREATE INDEX ok ON _cf_x(a)
CREATE TRIGGER _cf_tr AFTER INSERT ON t BEGIN SELECT 1; END
CREATE TRIGGER ok AFTER INSERT ON t BEGIN INSERT INTO _cf_x VALUES (1); END
CREATE VIRTUAL TABLE _cf_f USING fts5(a)
ALTER TABLE t RENAME TO _cf_t
ALTER TABLE t RENAME TO "_cf_t"
ALTER TABLE t RENAME TO '_CF_t'
ALTER TABLE t RENAME TO [_cf_t]
ALTER TABLE t RENAME TO /* so */ _cf_t;
ALTER TABLE main.t RENAME TO _cf_t
ALTER TABLE nope RENAME TO _cf_t
ALTER TABLE t RENAME b TO _cf_b
ALTER TABLE t RENAME COLUMN b TO _cf_b
ALTER TABLE t ADD COLUMN _cf_c
ALTER TABLE _cf_x RENAME TO t2
ALTER TABLE _cf_x ADD COLUMN b
SELECT * FROM _cf_x
SELECT * FROM _cf_KV
SELECT * FROM _cf_METADATA
SELECT 1 AS _cf_a
SELECT _cf_a.a FROM t AS _cf_a
WITH _cf_w AS (SELECT 1 AS x) SELECT * FROM _cf_w
INSERT INTO _cf_x VALUES (1)
DROP TABLE _cf_x
DROP TABLE IF EXISTS _cf_x
DROP VIEW IF EXISTS _cf_x
DROP INDEX IF EXISTS _cf_x
DROP TRIGGER IF EXISTS _cf_x
CREATE TABLE sqlite_x(a)
CREATE TABLE SQLITE_x(a)
CREATE VIEW sqlite_v AS SELECT 1
CREATE TABLE sqlite(a)
CREATE TABLE x_sqlite_(a)
SELECT count(*) FROM sqlite_schema
SELECT count(*) FROM sqlite_master
SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY name
INSERT INTO sqlite_schema VALUES ('table', 'x', 'x', 2, 'CREATE TABLE x(a)')
UPDATE sqlite_schema SET sql = 'x'
DELETE FROM sqlite_master WHERE 0
CREATE INDEX x ON sqlite_master(name)
CREATE TRIGGER x AFTER INSERT ON sqlite_master BEGIN SELECT 1; END
ALTER TABLE sqlite_master RENAME TO x
SELECT * FROM sqlite_sequence
SELECT * FROM sqlite_stat1
SELECT writefile('x', 'y')
SELECT readfile('x')
SELECT edit('x')
GRANT SELECT ON t TO x
SHOW TABLES
DESCRIBE t
USE main
SET x = 1
CALL x()
.tables
.schema t
COPY t FROM 'x'
CREATE DATABASE x
CREATE FUNCTION x() RETURNS INT
CREATE SCHEMA x
CREATE SEQUENCE x
CREATE MATERIALIZED VIEW x AS SELECT 1
CREATE OR REPLACE VIEW v AS SELECT 1
CREATE UNIQUE TABLE x(a)
EXPLAIN ANALYZE SELECT 1
EXPLAIN QUERY PLAN ATTACH 'x' AS y
EXPLAIN QUERY PLAN PRAGMA user_version
EXPLAIN QUERY PLAN CREATE TEMP TABLE x(a)
--@ case a transaction inside a batch
INSERT INTO t VALUES (2, 'y');
BEGIN;
INSERT INTO t VALUES (3, 'z');
COMMIT;
--@ case a dump as SQLite writes it
PRAGMA foreign_keys=OFF;
BEGIN TRANSACTION;
CREATE TABLE x(a);
COMMIT;
--@ case a savepoint inside a batch
INSERT INTO t VALUES (2, 'y');
SAVEPOINT s;
ROLLBACK TO s;
--@ case a column of the reserved name lives
ALTER TABLE t ADD COLUMN _cf_c DEFAULT 5;
SELECT _cf_c FROM t;
UPDATE t SET _cf_c = 6;
CREATE INDEX ic ON t(_cf_c);
--@ case a column of the reserved name is not dropped
ALTER TABLE t ADD COLUMN _cf_c DEFAULT 5;
ALTER TABLE t DROP COLUMN _cf_c;
--@ case a column of the reserved name is not renamed
ALTER TABLE t ADD COLUMN _cf_c DEFAULT 5;
ALTER TABLE t RENAME COLUMN _cf_c TO c;
--@ case the ledger of wrangler
CREATE TABLE IF NOT EXISTS "d1_migrations"(
		id         INTEGER PRIMARY KEY AUTOINCREMENT,
		name       TEXT UNIQUE,
		applied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL
);
INSERT INTO "d1_migrations" (name, applied_at) VALUES ('0001_init.sql', '2026-01-01 00:00:00');
SELECT id, name, applied_at FROM d1_migrations ORDER BY id;
--@ text a rename to a reserved name before another statement
ALTER TABLE t RENAME TO _cf_t; SELECT 1
--@ text a rename to a reserved name after another statement
SELECT 1; ALTER TABLE t RENAME TO "_CF_t"
--@ case data_version is read
SELECT typeof(data_version) FROM pragma_data_version;
--@ case data_version takes no argument
PRAGMA data_version = 1;
--@ case data_version takes no argument in brackets
PRAGMA data_version(1);
--@ case data_version of temp
PRAGMA temp.data_version;
--@ text the bytecode of a DROP
EXPLAIN DROP TABLE t
--@ case a rename to a reserved name beside a broken view
CREATE VIEW broken AS SELECT * FROM nowhere;
ALTER TABLE t RENAME TO _cf_t;
--@ text a rename to a reserved name explained
EXPLAIN QUERY PLAN ALTER TABLE t RENAME TO _cf_t
