-- JSON and JSONB.
--@ setup
CREATE TABLE j(id INTEGER PRIMARY KEY, doc TEXT CHECK (json_valid(doc)));
INSERT INTO j(doc) VALUES ('{"a": 1, "b": [1, 2, {"c": null}], "d": "x"}'), ('[]'), ('"s"'), (NULL);
--@ lines
SELECT json('{"a" : 1, "b":[ 1 , 2 ]}')
SELECT json('{a: 1, b: .5, c: +1, d: 0x1F, e: ''s'', /* c */ f: Infinity,}')
SELECT json('nope')
SELECT json('')
SELECT json('{"a":1')
SELECT json(1), json(1.5), json(NULL), json('null'), json('"x"')
SELECT json_array(1, 'a', NULL, 1.5, json('[1]'), '[1]')
SELECT json_array()
SELECT json_object('a', 1, 'b', json_array(1))
SELECT json_object('a')
SELECT json_object(1, 2)
SELECT json_array_length('[1,2,3]'), json_array_length('{"a":[1]}', '$.a'), json_array_length('1')
SELECT json_extract('{"a":{"b":[1,2,3]}}', '$.a.b[1]'), json_extract('{"a":1}', '$.x'), json_extract('[1,2]', '$[#-1]')
SELECT json_extract('{"a":1,"b":2}', '$.a', '$.b')
SELECT json_extract('{"a":1}', 'a')
SELECT json_extract('{"a":1}', '$.')
SELECT json_extract('{}', 'd1ops:it''s {"a": 1}')
SELECT '{"a":{"b":1}}' -> 'a', '{"a":{"b":1}}' ->> 'a', '[1,"x"]' -> 1, '[1,"x"]' ->> 1, '{"a":null}' ->> 'a', '{"a":null}' -> 'a'
SELECT '{"a b":1}' ->> '$."a b"', '{"1":2}' ->> '1', '[5]' ->> 0, '[5]' ->> -1
SELECT 'nope' -> 'a'
SELECT json_insert('{"a":1}', '$.b', 2, '$.a', 9), json_replace('{"a":1}', '$.a', 2, '$.b', 3), json_set('{"a":1}', '$.a', 2, '$.b', json('[]'))
SELECT json_set('[1]', '$[#]', 2), json_set('{}', '$.a.b', 1), json_insert('[1,2]', '$[0]', 9)
SELECT json_remove('{"a":1,"b":2}', '$.a'), json_remove('[1,2,3]', '$[0]', '$[0]'), json_remove('{}', '$.x')
SELECT json_patch('{"a":1,"b":2}', '{"a":null,"c":3}')
SELECT json_type('{"a":[1,1.5,"x",null,true]}', '$.a'), json_type('null'), json_type('true'), json_type('1'), json_type('1.0'), json_type('{}', '$.x')
SELECT json_valid('{}'), json_valid('{a:1}'), json_valid('nope'), json_valid(NULL), json_valid('{a:1}', 2), json_valid(jsonb('{}'), 4), json_valid(jsonb('{}'), 8)
SELECT json_valid('{}', 99)
SELECT json_quote('it"s'), json_quote(1), json_quote(NULL), json_quote(json('[1]'))
SELECT json_quote(x'00')
SELECT hex(jsonb('{"a":[1,null]}')), typeof(jsonb('1')), json(jsonb('{"a":[1,null]}'))
SELECT json(jsonb_set('{"a":1}', '$.b', 2)), json(jsonb_array(1, 2)), json(jsonb_object('a', 1)), json(jsonb_patch('{}', '{"a":1}'))
SELECT json(jsonb_insert('{}', '$.a', 1)), json(jsonb_replace('{"a":1}', '$.a', 2)), json(jsonb_remove('{"a":1}', '$.a')), json(jsonb_extract('{"a":[1]}', '$.a'))
SELECT json(x'00'), json(x'ff')
SELECT json_group_array(id), json_group_object(id, doc) FROM j
SELECT json_group_array(id ORDER BY id DESC), json_group_array(DISTINCT id % 2) FROM j
SELECT json(jsonb_group_array(id)), json(jsonb_group_object(id, id)) FROM j
SELECT json_group_object(NULL, 1)
SELECT key, value, type, atom, id, parent, fullkey, path FROM json_each('{"a":1,"b":[2]}')
SELECT key, value, type, atom, fullkey, path FROM json_tree('{"a":1,"b":[2,{"c":null}]}')
SELECT * FROM json_each('[1,2]')
SELECT * FROM json_each('nope')
SELECT * FROM json_each(NULL)
SELECT * FROM json_each('{"a":[1,2]}', '$.a')
SELECT * FROM json_each('{"a":[1,2]}', 'a')
SELECT * FROM json_each
SELECT j.id, e.key, e.value FROM j, json_each(j.doc, '$.b') e
SELECT j.id FROM j WHERE EXISTS (SELECT 1 FROM json_each(j.doc) WHERE value = 'x')
SELECT * FROM jsonb_each('[1]')
SELECT doc ->> '$.b[2].c', doc -> '$.b' FROM j WHERE id = 1
INSERT INTO j(doc) VALUES ('nope')
INSERT INTO j(doc) VALUES (json('{"z": [1 , 2]}')) RETURNING doc
UPDATE j SET doc = json_set(doc, '$.new', 1) WHERE id = 1
UPDATE j SET doc = json_set(doc, '$.new', 1)
CREATE INDEX i ON j(doc ->> '$.a')
CREATE TABLE g(doc, a AS (doc ->> 'a') STORED, b INT AS (json_extract(doc, '$.b')))
SELECT json_pretty('{}')
SELECT json_error_position('{')
SELECT json_array_insert('[1]', '$[0]', 2)
SELECT json('[9007199254740993, 1e400, 1.10, -0, 0.0]'), json_extract('[9007199254740993]', '$[0]')
SELECT json('"\u00e9\ud83c\udfb5\n"'), json_extract('"\u00e9\u0000x"', '$')
SELECT json_extract('[true, false]', '$[0]'), typeof(json_extract('[true]', '$[0]'))
SELECT json_array(9e999), json_array(-9e999)
SELECT max(json('2'), json('10')), json('1') + json('2')
