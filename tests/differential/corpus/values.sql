-- Values as D1's JSON carries them: NULL, BLOB, REAL, integers about 2^53, text of every kind.
--@ setup
CREATE TABLE v(i INTEGER, r REAL, t TEXT, b BLOB, x);
--@ lines
SELECT NULL
SELECT 1, -1, 0, 2147483648, -2147483649
SELECT 9007199254740991, 9007199254740992, 9007199254740993, -9007199254740993
SELECT 9223372036854775807, -9223372036854775808, 9223372036854775808
SELECT CAST(9007199254740993 AS TEXT), CAST(-9223372036854775808 AS TEXT)
SELECT 1.0, 1.5, -0.0, 0.1, 0.1 + 0.2, 1e100, 5e-324, 1.7976931348623157e308
SELECT typeof(1.0), typeof(1), typeof(1e0), typeof('1'), typeof(x'31'), typeof(NULL)
SELECT 9e999, -9e999, 9e999 - 9e999, 1e308 * 10
SELECT 1e20, 1e21, 1e22, 123456789012345680000.0, 9007199254740993.0
SELECT CAST(0.1 AS TEXT), CAST(1e21 AS TEXT), CAST(1.0 AS TEXT), CAST(123456789.123456789 AS TEXT)
SELECT 3.0000000000000004, 100.0, 1e15, 1e16, 1e17, 0.000001, 1e-7
SELECT x'', x'00', x'00ff', x'feffc0'
SELECT zeroblob(4), CAST('abc' AS BLOB), CAST(x'616263' AS TEXT)
SELECT CAST(x'ff' AS TEXT)
SELECT CAST(x'61ff62' AS TEXT) AS t, hex(CAST(x'61ff62' AS TEXT)) AS h
SELECT CAST(x'c3' AS TEXT), CAST(x'e282' AS TEXT), CAST(x'f09f' AS TEXT), CAST(x'eda080' AS TEXT)
SELECT CAST(x'610062' AS TEXT), length(CAST(x'610062' AS TEXT)), 'a' || char(0) || 'b'
SELECT '', ' ', char(10), char(13, 10), char(9), '''', '"', '\', '/', char(127), char(8232)
SELECT 'é', '日本語', '🎵', char(0x1F3B5), char(0xFFFD), char(0xD800), char(0x10FFFF), char(0x110000)
SELECT 'ﬁ', 'Å', 'Å', upper('straße'), lower('ÀÉ')
SELECT TRUE, FALSE, 1 = 1, 1 > 2, NOT 1, NULL = NULL, NULL IS NULL
SELECT 'a' || 1, 'a' || 1.0, 'a' || NULL, 1 || 2, x'61' || 'b', 1.5e10 || ''
SELECT 1 + '2', '3 apples' + 1, 'x' + 1, '0x10' + 0, 1 + NULL, '1e2' * 1
SELECT 7 / 2, -7 / 2, 7 % 3, -7 % 3, 7 / 2.0, 1 / 0, 1 % 0, 1.0 / 0
SELECT 9223372036854775807 + 1, 9223372036854775807 * 2, -9223372036854775808 - 1, -(-9223372036854775808)
SELECT 1 << 63, 1 << 64, -1 >> 1, 1 << -1, ~5, 5 & 3, 5 | 3
SELECT 0x7fffffffffffffff, 0xffffffffffffffff, 0x10, 0x
SELECT 0x10000000000000000
SELECT 1_000_000, 0xFF_FF, 1_0.5_0
SELECT 1__0
SELECT .5, 5., 1e5, 1E-5, 1e
SELECT CAST('12abc' AS INTEGER), CAST('abc' AS REAL), CAST('1e3' AS NUMERIC), CAST(1.9 AS INTEGER), CAST(-1.9 AS INTEGER)
SELECT CAST(9e18 AS INTEGER), CAST(1e19 AS INTEGER), CAST(-1e19 AS INTEGER), CAST('9223372036854775808' AS INTEGER)
SELECT CAST(NULL AS TEXT), CAST(x'' AS TEXT), CAST('' AS INTEGER), CAST(1 AS BLOB), CAST(5 AS nonsense)
SELECT 1 AS a, 2 AS a, 3 AS "a"
SELECT 1 AS "", 2 AS " ", 3 AS "é🎵", 4 AS "a.b", 5 AS [x y], 6 AS `q`
SELECT 1, 'x', 1 + 1, max(1, 2), (SELECT 5)
SELECT (1, 2)
SELECT (1, 2) = (1, 2), (1, 2) < (1, 3), (1, NULL) = (1, 2)
SELECT *, i AS j FROM v
SELECT v.* FROM v
SELECT main.v.i FROM main.v
SELECT rowid, oid, _rowid_ FROM v
SELECT 'a' = 'A', 'a' = 'A' COLLATE NOCASE, 'a ' = 'a' COLLATE RTRIM, 'a' < 'B', 'é' = 'É' COLLATE NOCASE
SELECT 1 = '1', 1 = 1.0, x'31' = '1', NULL = 0, '10' < 9, 'a' > 5
SELECT 1 BETWEEN 0 AND 2, 'b' NOT BETWEEN 'a' AND 'c', NULL BETWEEN 1 AND 2, 1 IN (1, NULL), 2 IN (1, NULL), 1 IN ()
SELECT 1 IS TRUE, NULL IS NOT TRUE, 0 IS FALSE, 1 IS DISTINCT FROM NULL, NULL IS NOT DISTINCT FROM NULL
SELECT CASE 1 WHEN 1 THEN 'one' END, CASE WHEN 0 THEN 1 END, CASE NULL WHEN NULL THEN 1 ELSE 2 END
SELECT quote(1), quote(1.5), quote('it''s'), quote(x'00ff'), quote(NULL), quote(9e999), quote(0.1)
SELECT hex('é'), unhex('c3a9'), unhex('zz'), unhex('c3 a9', ' ')
SELECT printf('%d %s %.2f %x %c %% %q %Q %w %5d|%-5d|%05d', 1, 'a', 1.5, 255, 'z', 'it''s', 'it''s', 'a"b', 7, 7, 7)
SELECT printf('%,d', 1234567), printf('%g', 1e10), printf('%e', 12345.678), printf('%!.20f', 0.1), printf('%s', NULL)
SELECT round(2.5), round(-2.5), round(1.005, 2), round(1e20), round(NULL), abs('x'), sign(-2), sign('x')
SELECT 'x' AS 'quoted alias', 'y' "double"
VALUES (1, 'a'), (2, NULL), (3.5, x'00')
SELECT 1 ORDER BY 1
SELECT 1 LIMIT 0
SELECT 1 WHERE 0
SELECT count(*) WHERE 0
SELECT '2024-02-30', date('2024-02-30'), date('2024-01-31', '+1 month'), date('2024-01-31', '+1 month', 'floor')
SELECT datetime(0, 'unixepoch'), unixepoch('2024-01-01'), julianday('2000-01-01'), strftime('%Y-%m-%dT%H:%M:%fZ', 1e9, 'unixepoch')
SELECT timediff('2024-03-01', '2023-12-31'), date('nope'), time('12:30', '+90 minutes'), datetime('2024-01-01', 'utc')
--@ case every storage class in every affinity comes back
INSERT INTO v VALUES (NULL, NULL, NULL, NULL, NULL), (1, 1, 1, 1, 1), (1.5, 1.5, 1.5, 1.5, 1.5), ('a', 'a', 'a', 'a', 'a'), (x'61', x'61', x'61', x'61', x'61');
INSERT INTO v VALUES (9007199254740993, 9007199254740993, 9007199254740993, 9007199254740993, 9007199254740993), (9e999, 9e999, 9e999, 9e999, 9e999);
SELECT typeof(i), typeof(r), typeof(t), typeof(b), typeof(x) FROM v;
SELECT * FROM v;
SELECT * FROM v ORDER BY x, rowid;
SELECT max(x), min(x), sum(x), avg(x), total(x), count(x), group_concat(x) FROM v WHERE typeof(x) <> 'blob';
--@ case text that is not UTF-8 is stored and read
INSERT INTO v(t) VALUES (CAST(x'ff61' AS TEXT)), ('plain');
SELECT t, hex(t), length(t) FROM v;
SELECT t FROM v;
--@ case a blob in JSON functions
SELECT json_array(x'00');
--@ case sums of large integers
INSERT INTO v(i) VALUES (9223372036854775807), (1);
SELECT sum(i) FROM v;
--@ case totals of large integers
INSERT INTO v(i) VALUES (9223372036854775807), (1);
SELECT total(i), avg(i) FROM v;
--@ case a large text and blob arrive whole
INSERT INTO v(t, b) VALUES (printf('%.*c', 50000, 'x'), zeroblob(50000));
SELECT length(t), length(b), t, b FROM v;
--@ case text not UTF-8 in RETURNING
INSERT INTO v(t) VALUES (CAST(x'ff' AS TEXT)) RETURNING t;
--@ case LIKE with a blob
SELECT x'61' LIKE 'a', x'61' GLOB 'a';
--@ case INSERT of text that is not UTF-8 and of a surrogate
INSERT INTO v(t) VALUES (CAST(x'eda080' AS TEXT));
SELECT t, hex(t) FROM v;
