-- Virtual tables: FTS5, its vocabulary, R-trees, and the modules that D1 does not have.
--@ setup
CREATE VIRTUAL TABLE f USING fts5(title, body);
INSERT INTO f VALUES ('one song', 'a song about trains'), ('two', 'songs of rivers and trains'), ('three', 'nothing');
CREATE VIRTUAL TABLE r USING rtree(id, x0, x1, y0, y1);
INSERT INTO r VALUES (1, 0, 10, 0, 10), (2, 5, 15, 5, 15);
CREATE TABLE src(id INTEGER PRIMARY KEY, txt TEXT);
INSERT INTO src VALUES (1, 'external words'), (2, 'more words');
--@ lines
SELECT rowid, title FROM f WHERE f MATCH 'trains' ORDER BY rank
SELECT rowid FROM f('song*') ORDER BY rowid
SELECT rowid FROM f WHERE f = 'title:one'
SELECT rowid FROM f WHERE f MATCH 'trains AND NOT rivers'
SELECT rowid FROM f WHERE f MATCH 'trains NOT rivers'
SELECT rowid FROM f WHERE f MATCH '"song about"'
SELECT rowid FROM f WHERE f MATCH 'NEAR(songs trains, 3)'
SELECT rowid FROM f WHERE f MATCH 'unclosed "'
SELECT rowid FROM f WHERE f MATCH 'nope:word'
SELECT rowid FROM f WHERE f MATCH ''
SELECT rowid FROM f WHERE title MATCH 'song'
SELECT highlight(f, 1, '<', '>'), snippet(f, 1, '[', ']', '...', 3), round(bm25(f), 6), round(bm25(f, 10.0, 1.0), 6) FROM f WHERE f MATCH 'trains' ORDER BY rowid
SELECT highlight(f, 1, '<', '>') FROM src
SELECT * FROM f WHERE body LIKE '%rivers%'
SELECT count(*) FROM f
SELECT * FROM f_config
SELECT id, c0 FROM f_content ORDER BY id
SELECT count(*) FROM f_data
INSERT INTO f VALUES ('four', 'x')
INSERT INTO f(f) VALUES ('rebuild')
INSERT INTO f(f) VALUES ('optimize')
INSERT INTO f(f) VALUES ('integrity-check')
INSERT INTO f(f, rank) VALUES ('integrity-check', 1)
INSERT INTO f(f, rank) VALUES ('rank', 'bm25(10.0, 5.0)')
INSERT INTO f(f, rank) VALUES ('automerge', 4)
INSERT INTO f(f) VALUES ('nonsense')
INSERT INTO f_content VALUES (9, 'a', 'b')
DELETE FROM f_data
UPDATE f_config SET v = 5
DELETE FROM f WHERE rowid = 1
DELETE FROM f WHERE f MATCH 'trains'
UPDATE f SET body = 'changed' WHERE rowid = 2
DROP TABLE f
DROP TABLE f_data
ALTER TABLE f RENAME TO g
ALTER TABLE f ADD COLUMN z
ALTER TABLE f RENAME COLUMN title TO t
CREATE INDEX i ON f(title)
CREATE TRIGGER tr AFTER INSERT ON f BEGIN SELECT 1; END
CREATE VIRTUAL TABLE g USING fts5(a)
CREATE VIRTUAL TABLE IF NOT EXISTS f USING fts5(a)
CREATE VIRTUAL TABLE f USING fts5(a)
CREATE VIRTUAL TABLE g USING fts5()
CREATE VIRTUAL TABLE g USING fts5(a, a)
CREATE VIRTUAL TABLE g USING fts5(rowid)
CREATE VIRTUAL TABLE g USING fts5(rank)
CREATE VIRTUAL TABLE g USING fts5(a UNINDEXED, b, prefix='2 3', detail=none)
CREATE VIRTUAL TABLE g USING fts5(a, tokenize='porter unicode61')
CREATE VIRTUAL TABLE g USING fts5(a, tokenize='trigram')
CREATE VIRTUAL TABLE g USING fts5(a, tokenize='ascii')
CREATE VIRTUAL TABLE g USING fts5(a, tokenize='nope')
CREATE VIRTUAL TABLE g USING fts5(a, tokenize="unicode61 remove_diacritics 2")
CREATE VIRTUAL TABLE g USING fts5(a, nope=1)
CREATE VIRTUAL TABLE g USING fts5(txt, content='src', content_rowid='id')
CREATE VIRTUAL TABLE g USING fts5(a, content='')
CREATE VIRTUAL TABLE g USING fts5(a, content='', contentless_delete=1)
CREATE VIRTUAL TABLE g USING fts5(a, columnsize=0)
CREATE VIRTUAL TABLE g USING fts5(a INT)
CREATE VIRTUAL TABLE g USING FTS5(a)
CREATE VIRTUAL TABLE main.g USING fts5(a)
CREATE VIRTUAL TABLE g USING fts5vocab(f, row)
CREATE VIRTUAL TABLE g USING fts5vocab(f, 'col')
CREATE VIRTUAL TABLE g USING fts5vocab(f, 'nope')
CREATE VIRTUAL TABLE g USING fts5vocab(nope, row)
CREATE VIRTUAL TABLE g USING fts4(a)
CREATE VIRTUAL TABLE g USING fts3(a)
CREATE VIRTUAL TABLE g USING geopoly(a)
CREATE VIRTUAL TABLE g USING csv(filename='x')
CREATE VIRTUAL TABLE g USING nope(a)
CREATE VIRTUAL TABLE g USING dbstat
CREATE VIRTUAL TABLE g USING json_each
CREATE VIRTUAL TABLE g USING sqlite_dbpage
CREATE VIRTUAL TABLE g USING bytecode
CREATE VIRTUAL TABLE g USING generate_series(1)
CREATE VIRTUAL TABLE g USING rtree(id, a, b)
CREATE VIRTUAL TABLE g USING rtree_i32(id, a, b, +extra)
CREATE VIRTUAL TABLE g USING rtree(id, a)
CREATE VIRTUAL TABLE g USING rtree(id)
SELECT id FROM r WHERE x0 <= 4 AND x1 >= 4 ORDER BY id
SELECT * FROM r ORDER BY id
SELECT rtreecheck('r'), rtreecheck('main', 'r')
SELECT rtreecheck('nope')
SELECT rtreenode(2, x'00')
SELECT rtreedepth(x'0000')
INSERT INTO r VALUES (1, 0, 1, 0, 1)
INSERT INTO r VALUES (3, 5, 1, 0, 1)
INSERT INTO r VALUES (NULL, 1.5, 2.5, 0, 1)
UPDATE r SET x1 = 99 WHERE id = 1
DELETE FROM r WHERE x0 < 1
SELECT count(*) FROM r_node
DROP TABLE r
DROP TABLE r_node
ALTER TABLE r RENAME TO rr
SELECT * FROM generate_series(1, 3)
SELECT * FROM dbstat
SELECT * FROM sqlite_dbpage
SELECT * FROM sqlite_stmt
SELECT * FROM bytecode('SELECT 1')
SELECT * FROM tables_used('SELECT 1')
SELECT * FROM fts3tokenize('x')
SELECT * FROM completion('SEL')
SELECT fts5(1)
SELECT fts5_source_id()
SELECT fts5_locale('en', 'x')
SELECT fts5_get_locale(f, 0) FROM f
SELECT fts5_insttoken('x')
SELECT matchinfo(f) FROM f
SELECT offsets(f) FROM f
SELECT optimize(f) FROM f
PRAGMA table_info(f)
PRAGMA table_xinfo(f)
SELECT name, type FROM pragma_table_list WHERE schema = 'main' ORDER BY name
--@ case an index kept by triggers over an outside table
CREATE VIRTUAL TABLE g USING fts5(txt, content='src', content_rowid='id');
INSERT INTO g(g) VALUES ('rebuild');
CREATE TRIGGER ai AFTER INSERT ON src BEGIN INSERT INTO g(rowid, txt) VALUES (new.id, new.txt); END;
CREATE TRIGGER ad AFTER DELETE ON src BEGIN INSERT INTO g(g, rowid, txt) VALUES ('delete', old.id, old.txt); END;
CREATE TRIGGER au AFTER UPDATE ON src BEGIN
  INSERT INTO g(g, rowid, txt) VALUES ('delete', old.id, old.txt);
  INSERT INTO g(rowid, txt) VALUES (new.id, new.txt);
END;
INSERT INTO src VALUES (3, 'words again');
DELETE FROM src WHERE id = 1;
UPDATE src SET txt = 'altered text' WHERE id = 2;
SELECT rowid, txt FROM g WHERE g MATCH 'words OR altered' ORDER BY rowid;
INSERT INTO g(g) VALUES ('integrity-check');
--@ case contentless tables keep no text
CREATE VIRTUAL TABLE g USING fts5(a, content='');
INSERT INTO g(rowid, a) VALUES (1, 'word');
SELECT rowid, a FROM g WHERE g MATCH 'word';
DELETE FROM g WHERE rowid = 1;
--@ case the vocabulary
CREATE VIRTUAL TABLE vr USING fts5vocab(f, row);
CREATE VIRTUAL TABLE vi USING fts5vocab(f, instance);
SELECT * FROM vr;
SELECT * FROM vi WHERE term = 'trains';
--@ case a failing batch leaves the index as it was
INSERT INTO f VALUES ('lost', 'lost');
SELECT * FROM nowhere;
--@ request
SELECT count(*) FROM f WHERE f MATCH 'lost';
INSERT INTO f(f) VALUES ('integrity-check');
--@ case created, filled and dropped
CREATE VIRTUAL TABLE g USING fts5(a, b);
INSERT INTO g VALUES ('x', 'y');
DROP TABLE g;
SELECT name FROM sqlite_schema ORDER BY name;
--@ text a rowid of a FTS5 table taken twice
INSERT INTO f(rowid, title) VALUES (1, 'again')
--@ text the table-valued function carray
SELECT * FROM carray(1, 2)
