-- The defer_foreign_keys matrix of the facts: a parent with a plain child, a cascading one and one that is set to NULL.
--@ setup
CREATE TABLE par(id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE chi(id INTEGER PRIMARY KEY, par REFERENCES par(id));
CREATE TABLE cas(id INTEGER PRIMARY KEY, par REFERENCES par(id) ON DELETE CASCADE);
CREATE TABLE sn(id INTEGER PRIMARY KEY, par REFERENCES par(id) ON DELETE SET NULL);
INSERT INTO par VALUES (1, 'one');
INSERT INTO chi VALUES (1, 1);
INSERT INTO cas VALUES (1, 1);
INSERT INTO sn VALUES (1, 1);
--@ case drop the parent
DROP TABLE par;
--@ case foreign_keys off, drop the parent
PRAGMA foreign_keys = OFF;
DROP TABLE par;
--@ case foreign_keys off is not kept
PRAGMA foreign_keys = OFF;
PRAGMA foreign_keys;
--@ request
PRAGMA foreign_keys;
--@ case defer, drop the parent, no more
PRAGMA defer_foreign_keys = ON;
DROP TABLE par;
--@ case defer, drop the parent, switch off
PRAGMA defer_foreign_keys = ON;
DROP TABLE par;
PRAGMA defer_foreign_keys = OFF;
--@ case defer, rebuild and rename with a plain child row
PRAGMA defer_foreign_keys = ON;
CREATE TABLE par_new(id INTEGER PRIMARY KEY, name TEXT, more);
INSERT INTO par_new(id, name) SELECT id, name FROM par;
DROP TABLE par;
ALTER TABLE par_new RENAME TO par;
--@ case defer, rebuild and rename without a plain child row
DELETE FROM chi;
PRAGMA defer_foreign_keys = ON;
CREATE TABLE par_new(id INTEGER PRIMARY KEY, name TEXT, more);
INSERT INTO par_new(id, name) SELECT id, name FROM par;
DROP TABLE par;
ALTER TABLE par_new RENAME TO par;
SELECT * FROM cas;
SELECT * FROM sn;
--@ case defer, rebuild, rename and switch off
PRAGMA defer_foreign_keys = ON;
CREATE TABLE par_new(id INTEGER PRIMARY KEY, name TEXT, more);
INSERT INTO par_new(id, name) SELECT id, name FROM par;
DROP TABLE par;
ALTER TABLE par_new RENAME TO par;
PRAGMA defer_foreign_keys = OFF;
SELECT * FROM chi;
SELECT * FROM cas;
SELECT * FROM sn;
PRAGMA foreign_key_check;
--@ case the usual shape with foreign_keys off and on
PRAGMA foreign_keys = OFF;
PRAGMA defer_foreign_keys = ON;
CREATE TABLE par_new(id INTEGER PRIMARY KEY, name TEXT);
INSERT INTO par_new SELECT * FROM par;
DROP TABLE par;
ALTER TABLE par_new RENAME TO par;
PRAGMA foreign_keys = ON;
PRAGMA defer_foreign_keys = OFF;
--@ case the usual shape with foreign_keys alone
PRAGMA foreign_keys = OFF;
CREATE TABLE par_new(id INTEGER PRIMARY KEY, name TEXT);
INSERT INTO par_new SELECT * FROM par;
DROP TABLE par;
ALTER TABLE par_new RENAME TO par;
PRAGMA foreign_keys = ON;
--@ case defer, drop, create, fill again
PRAGMA defer_foreign_keys = ON;
CREATE TABLE kept AS SELECT * FROM par;
DROP TABLE par;
CREATE TABLE par(id INTEGER PRIMARY KEY, name TEXT);
INSERT INTO par SELECT * FROM kept;
DROP TABLE kept;
SELECT * FROM cas;
SELECT * FROM sn;
--@ case defer, drop, create, fill with other keys
PRAGMA defer_foreign_keys = ON;
DROP TABLE par;
CREATE TABLE par(id INTEGER PRIMARY KEY, name TEXT);
INSERT INTO par VALUES (2, 'two');
--@ case defer, a real violation
PRAGMA defer_foreign_keys = ON;
INSERT INTO chi VALUES (2, 99);
--@ case defer, a real violation mended
PRAGMA defer_foreign_keys = ON;
INSERT INTO chi VALUES (2, 99);
INSERT INTO par VALUES (99, 'late');
--@ case defer, a real violation, switched off
PRAGMA defer_foreign_keys = ON;
INSERT INTO chi VALUES (2, 99);
PRAGMA defer_foreign_keys = OFF;
--@ request
PRAGMA foreign_key_check;
SELECT * FROM chi;
--@ case off without on resets nothing
INSERT INTO chi VALUES (2, 99);
PRAGMA defer_foreign_keys = OFF;
--@ case deferral lasts for one request
PRAGMA defer_foreign_keys = ON;
PRAGMA defer_foreign_keys;
--@ request
PRAGMA defer_foreign_keys;
--@ request
INSERT INTO chi VALUES (2, 99);
--@ case a refused commit keeps nothing and the next request works
PRAGMA defer_foreign_keys = ON;
INSERT INTO par VALUES (5, 'five');
INSERT INTO chi VALUES (2, 99);
--@ request
SELECT * FROM par;
INSERT INTO par VALUES (6, 'six');
--@ case rename the parent away
ALTER TABLE par RENAME TO par_old;
SELECT name, sql FROM sqlite_schema ORDER BY name;
--@ case rename the parent away the legacy way
PRAGMA legacy_alter_table = ON;
ALTER TABLE par RENAME TO par_old;
SELECT name, sql FROM sqlite_schema ORDER BY name;
--@ case rename away, create, copy, drop the old
PRAGMA defer_foreign_keys = ON;
ALTER TABLE par RENAME TO par_old;
CREATE TABLE par(id INTEGER PRIMARY KEY, name TEXT);
INSERT INTO par SELECT * FROM par_old;
DROP TABLE par_old;
PRAGMA defer_foreign_keys = OFF;
SELECT name, sql FROM sqlite_schema ORDER BY name;
--@ case deferred key in the table
CREATE TABLE late(par REFERENCES par(id) DEFERRABLE INITIALLY DEFERRED);
INSERT INTO late VALUES (7);
INSERT INTO par VALUES (7, 'seven');
--@ case deferred key in the table never mended
CREATE TABLE late(par REFERENCES par(id) DEFERRABLE INITIALLY DEFERRED);
INSERT INTO late VALUES (7);
--@ case deferred keys and deferral off
CREATE TABLE late(par REFERENCES par(id) DEFERRABLE INITIALLY DEFERRED);
INSERT INTO late VALUES (7);
PRAGMA defer_foreign_keys = OFF;
--@ case immediate keys fail at once
INSERT INTO chi VALUES (2, 99);
--@ case delete the parent row
DELETE FROM par;
--@ case defer, delete the parent row
PRAGMA defer_foreign_keys = ON;
DELETE FROM par;
SELECT * FROM cas;
SELECT * FROM sn;
INSERT INTO par VALUES (1, 'back');
--@ case defer, update the parent key there and back
PRAGMA defer_foreign_keys = ON;
UPDATE par SET id = 2;
UPDATE par SET id = 1;
--@ case drop children first, then the parent
DROP TABLE chi;
DROP TABLE cas;
DROP TABLE sn;
DROP TABLE par;
--@ case a child of a dropped parent
DELETE FROM chi;
DROP TABLE par;
INSERT INTO chi VALUES (2, NULL);
INSERT INTO chi VALUES (3, 1);
--@ case the check as a table
PRAGMA defer_foreign_keys = ON;
INSERT INTO chi VALUES (2, 99), (3, 98);
SELECT "table", rowid, parent, fkid FROM pragma_foreign_key_check;
SELECT count(*) FROM pragma_foreign_key_check('chi');
PRAGMA defer_foreign_keys = OFF;
--@ case the check names a mismatch
CREATE TABLE bad(x REFERENCES par(name));
INSERT INTO bad VALUES (NULL);
PRAGMA foreign_key_check;
--@ case the check with a missing parent
CREATE TABLE orphan(x REFERENCES nowhere(id));
PRAGMA defer_foreign_keys = ON;
PRAGMA foreign_key_check(orphan);
PRAGMA foreign_key_check(nope);
--@ text the whole rebuild in one text
PRAGMA defer_foreign_keys = ON; CREATE TABLE n(id INTEGER PRIMARY KEY, name TEXT); INSERT INTO n SELECT * FROM par; DROP TABLE par; ALTER TABLE n RENAME TO par; PRAGMA defer_foreign_keys = OFF; SELECT * FROM chi
--@ text a deferred violation in one text
PRAGMA defer_foreign_keys = ON; INSERT INTO chi VALUES (2, 99)
--@ case ON UPDATE CASCADE, SET NULL and RESTRICT
CREATE TABLE u1(par REFERENCES par(id) ON UPDATE CASCADE);
CREATE TABLE u2(par REFERENCES par(id) ON UPDATE SET NULL);
DELETE FROM chi;
DELETE FROM cas;
DELETE FROM sn;
INSERT INTO u1 VALUES (1);
INSERT INTO u2 VALUES (1);
UPDATE par SET id = 8;
SELECT (SELECT par FROM u1), (SELECT par FROM u2);
--@ case INSERT OR REPLACE of a parent cascades
DELETE FROM chi;
INSERT OR REPLACE INTO par VALUES (1, 'new');
SELECT * FROM cas;
SELECT * FROM sn;
