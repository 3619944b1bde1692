-- SELECT: joins, grouping, CTEs, windows, set operations, and what is wrong with them.
--@ setup
CREATE TABLE emp(id INTEGER PRIMARY KEY, name TEXT, dept INT, boss INT, pay REAL);
CREATE TABLE dept(id INTEGER PRIMARY KEY, title TEXT);
INSERT INTO dept VALUES (1, 'ops'), (2, 'dev'), (3, 'none');
INSERT INTO emp VALUES (1, 'ann', 1, NULL, 10.5), (2, 'bob', 1, 1, 7), (3, 'cat', 2, 1, 9), (4, 'dan', 2, 3, 9), (5, 'eve', NULL, 3, NULL);
--@ lines
SELECT * FROM emp JOIN dept ON emp.dept = dept.id ORDER BY 1
SELECT * FROM emp LEFT JOIN dept ON emp.dept = dept.id ORDER BY 1
SELECT * FROM emp RIGHT JOIN dept ON emp.dept = dept.id ORDER BY emp.id, dept.id
SELECT * FROM emp FULL OUTER JOIN dept ON emp.dept = dept.id ORDER BY emp.id, dept.id
SELECT count(*) FROM emp CROSS JOIN dept
SELECT * FROM emp NATURAL JOIN dept
SELECT id FROM emp JOIN dept ON emp.dept = dept.id
SELECT e.id, d.id FROM emp e JOIN dept d USING (id)
SELECT * FROM emp e, dept d WHERE e.dept = d.id AND d.title = 'dev' ORDER BY e.id
SELECT dept, count(*), sum(pay), avg(pay), max(name) FROM emp GROUP BY dept ORDER BY dept
SELECT dept, count(*) FROM emp GROUP BY dept HAVING count(*) > 1 ORDER BY 1
SELECT dept, name, max(pay) FROM emp GROUP BY dept ORDER BY 1
SELECT count(*) FILTER (WHERE pay > 8), count(DISTINCT dept), group_concat(name, '/') FROM emp
SELECT group_concat(name ORDER BY name DESC), string_agg(name, ',' ORDER BY pay, id) FROM emp
SELECT name FROM emp HAVING count(*) > 1
SELECT DISTINCT dept FROM emp ORDER BY dept
SELECT name FROM emp ORDER BY pay DESC NULLS LAST, name COLLATE NOCASE
SELECT name FROM emp ORDER BY pay NULLS FIRST, 1 LIMIT 2 OFFSET 1
SELECT name FROM emp ORDER BY 5
SELECT name FROM emp LIMIT -1
SELECT name FROM emp ORDER BY id LIMIT 1, 2
SELECT name FROM emp LIMIT 'x'
SELECT name FROM emp WHERE pay = (SELECT max(pay) FROM emp)
SELECT name FROM emp WHERE dept IN (SELECT id FROM dept WHERE title <> 'ops') ORDER BY 1
SELECT name FROM emp e WHERE EXISTS (SELECT 1 FROM emp b WHERE b.boss = e.id) ORDER BY 1
SELECT name FROM emp WHERE id IN (SELECT id, name FROM emp)
SELECT (SELECT name FROM emp WHERE id = 99), (SELECT id, name FROM emp)
SELECT name, (SELECT title FROM dept WHERE id = dept) FROM emp ORDER BY 1
SELECT 1 UNION SELECT 2 UNION ALL SELECT 1 ORDER BY 1
SELECT 1 INTERSECT SELECT 2
SELECT 1 EXCEPT SELECT 2
SELECT 1, 2 UNION SELECT 3
SELECT 1 AS a UNION SELECT 2 AS b
SELECT 1 ORDER BY 1 UNION SELECT 2
SELECT name FROM emp UNION SELECT title FROM dept ORDER BY name DESC LIMIT 3
WITH RECURSIVE up(id, name, depth) AS (SELECT id, name, 0 FROM emp WHERE boss IS NULL UNION ALL SELECT e.id, e.name, depth + 1 FROM emp e JOIN up ON e.boss = up.id) SELECT * FROM up ORDER BY depth, id
WITH RECURSIVE n(x) AS (SELECT 1 UNION SELECT (x * 2) % 11 FROM n) SELECT group_concat(x) FROM n
WITH RECURSIVE n(x) AS (VALUES (1) UNION ALL SELECT x + 1 FROM n LIMIT 5) SELECT * FROM n
WITH a AS MATERIALIZED (SELECT 1 AS x), b AS NOT MATERIALIZED (SELECT x + 1 AS y FROM a) SELECT * FROM a, b
WITH a(x, y) AS (SELECT 1) SELECT * FROM a
WITH a AS (SELECT * FROM b), b AS (SELECT * FROM a) SELECT * FROM a
WITH a AS (SELECT 1), a AS (SELECT 2) SELECT * FROM a
WITH a AS (DELETE FROM emp RETURNING *) SELECT * FROM a
SELECT name, row_number() OVER (ORDER BY pay DESC, id), rank() OVER (ORDER BY pay), dense_rank() OVER (ORDER BY pay) FROM emp ORDER BY id
SELECT name, sum(pay) OVER (PARTITION BY dept ORDER BY id) FROM emp ORDER BY id
SELECT name, lag(name, 1, 'nobody') OVER w, lead(name) OVER w, first_value(name) OVER w, last_value(name) OVER w, nth_value(name, 2) OVER w FROM emp WINDOW w AS (ORDER BY id) ORDER BY id
SELECT id, avg(pay) OVER (ORDER BY id ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING) FROM emp
SELECT id, count(*) OVER (ORDER BY pay RANGE BETWEEN 1 PRECEDING AND CURRENT ROW) FROM emp ORDER BY id
SELECT id, count(*) OVER (ORDER BY pay GROUPS 1 PRECEDING) FROM emp ORDER BY id
SELECT id, sum(id) OVER (ORDER BY id ROWS BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING EXCLUDE CURRENT ROW) FROM emp
SELECT id, ntile(2) OVER (ORDER BY id), percent_rank() OVER (ORDER BY pay), cume_dist() OVER (ORDER BY pay) FROM emp ORDER BY id
SELECT id, sum(id) FILTER (WHERE dept = 1) OVER (ORDER BY id) FROM emp
SELECT sum(DISTINCT pay) OVER () FROM emp
SELECT row_number() FROM emp
SELECT id FROM emp WHERE row_number() OVER () = 1
SELECT lag(id) OVER nope FROM emp
SELECT ntile(0) OVER () FROM emp
SELECT id, sum(id) OVER (ORDER BY id ROWS BETWEEN 1 FOLLOWING AND 1 PRECEDING) FROM emp
SELECT dept, sum(count(*)) OVER (ORDER BY dept) FROM emp GROUP BY dept
SELECT max(count(*)) FROM emp
SELECT nope FROM emp
SELECT emp.nope FROM emp
SELECT nope.id FROM emp
SELECT * FROM nope
SELECT * FROM main.nope
SELECT * FROM nodb.emp
SELECT * FROM emp e, emp e
SELECT count(*) FROM emp WHERE count(*) > 1
SELECT id FROM emp GROUP BY count(*)
SELECT id FROM emp GROUP BY 2
SELECT * 
SELECT
SELECT FROM emp
SELECT id id id FROM emp
SELECT 1 FROM
SELECT 'unclosed
SELECT "unclosed
SELECT [unclosed
SELECT `unclosed
SELECT 1 /* unclosed
SELECT 1 -- closed
SELECT 1; 
SELECT 1;;
; SELECT 1
;
SELECT 1; SELECT 2
SELECT 1; SELECT nope
SELECT nope; SELECT 1
SELECT 1; INSERT INTO dept VALUES (9, 'x')
INSERT INTO dept VALUES (9, 'x'); INSERT INTO dept VALUES (9, 'x')
INSERT INTO dept VALUES (9, 'x'); SELECT * FROM dept;
INSERT INTO dept VALUES (9, 'x'); SELEC
SELECT 1; -- end
SELECT 1; /* end */
SELECT 1 /* end */
/* start */ SELECT 1
-- only a comment
/* only a comment */
SELECT ?
SELECT ?1
SELECT :name
SELECT @name
SELECT $name
SELECT ?0
SELECT ?101
SELECT #1
SELECT 1 $ 2
SELECT 1 ! 2
SELECT 1 <> 2, 1 != 2, 1 == 1, 1 = 1
SELECT !1
SELECT name FROM emp WHERE name LIKE 'A%'
SELECT name FROM emp WHERE name GLOB 'A*' OR name GLOB '[ab]*'
SELECT 'a%' LIKE 'a\%' ESCAPE '\', 'ab' LIKE 'a\%' ESCAPE '\'
SELECT 'a' LIKE 'a' ESCAPE 'ab'
SELECT 'a' REGEXP 'a'
SELECT 'a' MATCH 'a'
SELECT name FROM emp INDEXED BY nope
SELECT * FROM (SELECT 1 AS x) AS s JOIN (SELECT 2 AS y)
SELECT * FROM (VALUES (1, 2), (3, 4))
SELECT column1, column2 FROM (VALUES (1, 2))
SELECT x.* FROM emp
SELECT id, * FROM emp LIMIT 1
SELECT ALL id FROM emp WHERE id = 1
SELECT iif(1, 'a', 'b'), iif(0, 'a'), coalesce(NULL, 2), ifnull(NULL, 3), nullif(1, 1)
SELECT 1 COLLATE nope = 1
SELECT CAST(1 AS)
SELECT 1 IN (1, 2) IN (1), 2 NOT IN (SELECT 3), 'x' NOT LIKE 'y', 1 NOT NULL, 1 NOTNULL, NULL ISNULL
SELECT -id, +name, NOT dept, ~boss FROM emp WHERE id = 2
SELECT emp FROM emp
EXPLAIN QUERY PLAN SELECT * FROM emp WHERE id = 1
EXPLAIN QUERY PLAN SELECT * FROM emp e JOIN dept d ON e.dept = d.id ORDER BY d.title
EXPLAIN QUERY PLAN WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT * FROM n
EXPLAIN QUERY PLAN INSERT INTO dept SELECT id, name FROM emp
EXPLAIN QUERY PLAN SELECT nope
EXPLAIN SELECT nope
EXPLAIN
PRAGMA
WITH
INSERT
VALUES
VALUES (1), (1, 2)
DELETE
UPDATE
WITH x AS (SELECT 1)
CREATE
CREATE NOTHING
select name from EMP where ID = 1
SeLeCt 1 As One
SELECT 1 AS é
SELECT "name" FROM emp WHERE "name" = 'ann'
SELECT "no such column" FROM emp LIMIT 1
SELECT 'name' FROM emp LIMIT 1
SELECT count(*) FROM emp AS OF 1
SELECT current_date IS NOT NULL, CURRENT_TIME > '', typeof(CURRENT_TIMESTAMP)
SELECT * FROM emp WHERE (id, name) IN (VALUES (1, 'ann'), (2, 'zed'))
SELECT * FROM emp TABLESAMPLE
SELECT * FROM emp WHERE id = 1 FOR UPDATE
--@ text several lines with Windows ends
SELECT id,
  name
FROM emp WHERE nope = 1
--@ text a deep offset counts bytes
SELECT 'é🎵',
  'ü', nope FROM emp
--@ text RETURNING before another statement of one text
INSERT INTO dept VALUES (9, 'x') RETURNING id; SELECT 1 WHERE 0
--@ text SELECT before DROP in one text
CREATE TABLE x(a); INSERT INTO x VALUES (1); SELECT * FROM x; DROP TABLE x
--@ text a byte order mark before the statement
﻿SELECT 1
