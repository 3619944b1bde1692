"""SQL in TypeScript, JavaScript and Python: what is put together, what becomes a parameter, and what is listed."""

from __future__ import annotations

import json

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from d1ops.core.source import extract
from d1ops.errors import ScriptError


def found(code: str, path: str = "src/a.ts") -> list[tuple[str, int]]:
    """The texts and how many parameters each takes; nothing may be unresolved."""
    extracted = extract(code.encode(), path)
    assert extracted.unresolved == ()
    return [(query.sql, len(query.parameters)) for query in extracted.queries]


def reasons(code: str, path: str = "src/a.ts") -> list[str]:
    extracted = extract(code.encode(), path)
    assert extracted.queries == ()
    return [one.reason for one in extracted.unresolved]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("db.prepare('SELECT 1 FROM t')", [("SELECT 1 FROM t", 0)]),
        (
            'await env.DB.prepare("SELECT a" + " FROM t WHERE b = ?").bind(1).all<Row>()',
            [("SELECT a FROM t WHERE b = ?", 1)],
        ),
        (
            "const T = 't';\nexport const q = `SELECT * FROM ${T}`;\nfunction f() { return db.prepare(q); }",
            [("SELECT * FROM t", 0)],
        ),
        ("db.prepare(`SELECT * FROM t WHERE a = ${x} LIMIT ${y}`)", [("SELECT * FROM t WHERE a = ? LIMIT ?", 2)]),
        (
            "db.prepare(`SELECT * FROM t WHERE a LIKE '%${x}%' AND b = ?`)",
            [("SELECT * FROM t WHERE a LIKE '%' || ? || '%' AND b = ?", 2)],
        ),
        ("const r = sql`SELECT a FROM t WHERE b IN (${ids})`", [("SELECT a FROM t WHERE b IN (?)", 1)]),
        ("const r = await sql<Row[]>`SELECT a FROM t WHERE b = ${b}`", [("SELECT a FROM t WHERE b = ?", 1)]),
        ("const N = 3; const r = sql`SELECT a FROM t WHERE b = ${N}`", [("SELECT a FROM t WHERE b = ?", 1)]),
        ("sql`SELECT a FROM t ${sql`WHERE b = ${b}`}`", [("SELECT a FROM t WHERE b = ?", 1)]),
        ("const Q = { one: 'SELECT 1 FROM t' } as const; db.prepare(Q.one)", [("SELECT 1 FROM t", 0)]),
        ("db.prepare(x ? 'SELECT 1 FROM t' : 'SELECT 2 FROM t')", [("SELECT 1 FROM t", 0), ("SELECT 2 FROM t", 0)]),
        ("db.prepare(['SELECT a', 'FROM t'].join(' '))", [("SELECT a FROM t", 0)]),
        ("db.prepare('SELECT a FROM t WHERE b = ' + b)", [("SELECT a FROM t WHERE b = ?", 1)]),
        (
            "db.exec('DELETE FROM t; CREATE TABLE u(a); SELECT 1 FROM u')",
            [("DELETE FROM t", 0), ("SELECT 1 FROM u", 0)],
        ),
        ("/SELECT/.exec(text); Promise.all([1]); app.get('/select', handler); list.query; session.get(url)", []),
        ("db.get('some key'); /x/.exec('text'); sql`WHERE a = 1`; db.exec('VACUUM'); db.exec('END')", []),
        ("db.prepare('SELECT \\'it\\\\n\\u0041\\' FROM t')", [("SELECT 'it\\nA' FROM t", 0)]),
        ("db.prepare('SELECT * FROM t WHERE a = :a AND b = @b')", [("SELECT * FROM t WHERE a = ? AND b = ?", 2)]),
        ("db.prepare('INSERT INTO t (a, b) VALUES (?, ' + b + ')')", [("INSERT INTO t (a, b) VALUES (?, ?)", 2)]),
        ("db.prepare('PRAGMA table_list')", []),
        (
            "db['prepare']('SELECT 1 FROM t'); db[`prepare`]('SELECT 2 FROM t')",
            [("SELECT 1 FROM t", 0), ("SELECT 2 FROM t", 0)],
        ),
        ("const { prepare } = db; prepare('SELECT 1 FROM t'); prepare('a pan')", [("SELECT 1 FROM t", 0)]),
        ("db.prepare.call(db, 'SELECT 1 FROM t'); f.call(db, 'SELECT 2 FROM t')", [("SELECT 1 FROM t", 0)]),
        (
            "const q = 'SELECT 1 FROM t'; function f() { { var q = 'SELECT 2 FROM t'; } db.run(q) }",
            [("SELECT 2 FROM t", 0)],
        ),
        ("var q = 'SELECT 1 FROM t'; function f() { var q = 'SELECT 2 FROM t'; } db.run(q)", [("SELECT 1 FROM t", 0)]),
        ("function q() {} { const q = 'SELECT 1 FROM t'; db.run(q) }", [("SELECT 1 FROM t", 0)]),
    ],
)
def test_typescript(code: str, expected: list[tuple[str, int]]) -> None:
    assert found(code) == expected
    assert found(code.replace("<Row>", "").replace("<Row[]>", "").replace(" as const", ""), "src/a.js") == expected


@pytest.mark.parametrize("method", ["get", "all", "first", "run"])
@pytest.mark.parametrize(
    "text",
    ["select", "delete", "Values", "update", "with love", "Select one", "select it's", "Delete; select"],
)
def test_words_that_begin_like_sql_are_no_query_of_what_is_no_database(method: str, text: str) -> None:
    for path in ("src/a.ts", "src/a.js", "app/a.py"):
        assert found(f'form.{method}("{text}"); form.{method}("SELECT a FROM t")', path) == [("SELECT a FROM t", 0)]
        assert len(found(f'db.{method}("select a from")', path)) == 1, "a database is given SQL, right or wrong"


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("function f(q: string) { db.prepare(q) }", "q is a parameter"),
        ("import { Q } from './q'; db.prepare(Q)", "Q is imported from another file"),
        ("let q = 'SELECT 1'; q += ' FROM t'; db.prepare(q)", "q is assigned more than once"),
        ("var q = 'SELECT 1'; if (x) { var q = 'SELECT 2'; } db.prepare(q)", "q is assigned more than once"),
        ("const q = 'SELECT 1'; function f() { if (x) { var q; } db.prepare(q) }", "q has no constant value"),
        ("let q = 'SELECT 1'; [q] = list; db.prepare(q)", "q is assigned more than once"),
        ("const q = 'SELECT 1'; for (const q of list) db.prepare(q)", "q has no constant value"),
        ("const q = 'SELECT 1'; function f() { for (var q of list) {} db.prepare(q) }", "q is assigned more than once"),
        ("const q = 'SELECT 1'; { const { q } = list; db.prepare(q) }", "q has no constant value"),
        ("const q = 'SELECT 1'; switch (x) { case 1: const q = f(); db.prepare(q) }", "it is the result of f()"),
        ("const q = 'SELECT 1'; try {} catch (q) { db.prepare(q) }", "q has no constant value"),
        ("db['prepare'](f())", "it is the result of f()"),
        ("db.prepare(`SELECT * FROM t WHERE a = x'${a}'`)", "a blob literal is put together at run time"),
        ("db.prepare('SELECT ?99999999999')", "it has more than the 100 parameters that D1 takes"),
        ("db.prepare(`SELECT X'00${a}'`)", "a blob literal is put together at run time"),
        ("db.prepare(`SELECT * FROM ${table}`)", "a name or a piece of SQL is put in at run time"),
        ("db.prepare(`SELECT * FROM t_${year} WHERE a = 1`)", "a name or a piece of SQL is put in at run time"),
        ("db.prepare(`SELECT * FROM t ORDER BY ${column}`)", "a name or a piece of SQL is put in at run time"),
        ("db.prepare(`INSERT INTO t (${columns}) VALUES (1)`)", "a name or a piece of SQL is put in at run time"),
        ("db.prepare(`SELECT ${what} FROM t`)", "a name or a piece of SQL is put in at run time"),
        ("db.prepare(build(1))", "it is the result of build()"),
        ("db.prepare(`${verb} FROM t`)", "the beginning of the statement is known only at run time"),
        ("env.DB.exec(lines[0])", "it is an element, known only at run time"),
        ("env.DB.prepare('SELECTT 1')", "it is no SQL: no statement begins with SELECTT"),
        ("x.prepare('')", "it is no SQL: it has no statement"),
        ("env.DB.exec('-- nothing')", "it is no SQL: it has no statement"),
        ("this.db.query('show tables')", "it is no SQL: no statement begins with SHOW"),
        ("env.DB.exec('SELECT 1; SELECTT 2; CREATE TABLE t(a)')", "it is no SQL: no statement begins with SELECTT"),
        ("env.DB.exec(`${verb} t`)", "the beginning of the statement is known only at run time"),
        ("sql`select * from ${users} where ${users.id} = ${id}`", "a name or a piece of SQL is put in at run time"),
    ],
)
def test_what_typescript_hides_is_listed(code: str, reason: str) -> None:
    assert reasons(code) == [reason]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("cur.execute('SELECT 1 FROM t')", [("SELECT 1 FROM t", 0)]),
        (
            "T = 't'\nQ = f'SELECT * FROM {T} WHERE a = ?'\ndef f(c):\n    c.execute(Q, (1,))",
            [("SELECT * FROM t WHERE a = ?", 1)],
        ),
        (
            "class R:\n    Q = 'SELECT 1 FROM t'\n    def f(self):\n        self.db.query(self.Q)",
            [("SELECT 1 FROM t", 0)],
        ),
        ("cur.execute('SELECT a FROM t WHERE b = %s' % b)", [("SELECT a FROM t WHERE b = ?", 1)]),
        ("cur.execute('SELECT a FROM t WHERE b = {}'.format(b))", [("SELECT a FROM t WHERE b = ?", 1)]),
        ("cur.execute(text('SELECT a FROM t WHERE b = :b'))", [("SELECT a FROM t WHERE b = ?", 1)]),
        ("cur.execute(textwrap.dedent('''SELECT a\n  FROM t'''))", [("SELECT a\n  FROM t", 0)]),
        ("cur.execute(' '.join(['SELECT a', 'FROM t']))", [("SELECT a FROM t", 0)]),
        ("db.execute(sql='SELECT 1 FROM t', params=()); db.query(other='SELECT 2')", [("SELECT 1 FROM t", 0)]),
        ("subprocess.run(['ls']); pattern.query('no sql'); d.get('x')", []),
    ],
)
def test_python(code: str, expected: list[tuple[str, int]]) -> None:
    assert found(code, "app/a.py") == expected


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("def f(cur, q):\n    cur.execute(q)", "q is a parameter"),
        ("def f(cur):\n    q = 'SELECT 1'\n    q += ' FROM t'\n    cur.execute(q)", "q is assigned more than once"),
        ("cur.execute(f'SELECT * FROM {t}')", "a name or a piece of SQL is put in at run time"),
        ("cur.execute(statement=build())", "it is the result of build()"),
        ("cur.execute(build())", "it is the result of build()"),
        ("cur.execute('SELECTT 1')", "it is no SQL: no statement begins with SELECTT"),
        ("cur.executescript('SELECTT 1')", "it is no SQL: no statement begins with SELECTT"),
        ("from q import Q\ncur.execute(Q)", "Q is not a constant"),
    ],
)
def test_what_python_hides_is_listed(code: str, reason: str) -> None:
    assert reasons(code, "app/a.py") == [reason]


def test_every_query_has_the_place_and_the_function_around_it() -> None:
    code = "export async function inbox(db) {\n  await db.prepare(`\n    SELECT 1 FROM a;`);\n"
    code += "  db.prepare('SELECT 2 FROM a');\n}\n"
    first, second = extract(code.encode(), "src/mail.ts").queries
    assert (first.path, first.line) == ("src/mail.ts", 3)
    assert (second.line, second.statement.column) == (4, 14)
    assert first.name.startswith("inbox ")
    (alone,) = extract(b"const inbox = () => db.prepare('SELECT 1')", "src/a.ts").queries
    assert alone.name == "inbox"
    (unresolved,) = extract(b"\n\n  db.prepare(x)", "src/a.ts").unresolved
    assert (unresolved.path, unresolved.line, unresolved.column) == ("src/a.ts", 3, 14)


@pytest.mark.parametrize(
    ("path", "frame"), [("a.ts", "function f() {{ {} }}"), ("a.py", "def f(): {}"), ("a.js", "{}")]
)
def test_a_query_put_in_front_of_others_changes_no_name(path: str, frame: str) -> None:
    calls = ["db.execute('SELECT 1')", "db.execute('SELECT  2')", "db.execute('select 2')", "db.execute('SELECT 3')"]

    def names(*calls: str) -> list[str]:
        return [query.name for query in extract(frame.format("; ".join(calls)).encode(), path).queries]

    one, other, again, third = names(*calls)
    assert other == again, "the same statement"
    assert len({one, other, third}) == 3
    assert names(calls[3], calls[1], calls[0]) == [third, other, one]


@pytest.mark.parametrize("path", ["page.vue", "page.svelte"])
def test_scripts_of_pages_are_read_where_they_are(path: str) -> None:
    code = b"<template>{{ db.prepare('SELECT 0') }}</template>\n"
    code += b"<script lang='ts'>\nconst r = db.prepare('SELECT 1 FROM t');\n</script>\n"
    (query,) = extract(code, path).queries
    assert (query.sql, query.line) == ("SELECT 1 FROM t", 3)


def test_a_file_with_errors_is_read_as_far_as_it_goes() -> None:
    extracted = extract(
        b"db.prepare('SELECT 1 FROM t');\n  db.prepare('SELECT 2 FROM t';\nfunction ( {{{\n", "src/a.ts"
    )
    assert "SELECT 1 FROM t" in [query.sql for query in extracted.queries]
    assert [(one.line, one.reason[:29]) for one in extracted.unresolved] == [(3, "the file is not wholly read: ")]
    with pytest.raises(ScriptError, match="it is not Python"):
        extract(b"def f(:", "a.py")


@pytest.mark.parametrize("path", ["a.ts", "a.js", "a.vue", "a.py"])
def test_a_file_that_is_not_utf_8_is_refused(path: str) -> None:
    with pytest.raises(ScriptError):
        extract("db.execute('SELECT é FROM t')".encode("latin-1"), path)


TEXTS = st.text(
    st.characters(exclude_categories=["Cs", "Co"], exclude_characters="\0'\"`$\\;\r\u2028\u2029"), max_size=30
)


@given(TEXTS, TEXTS)
def test_any_literal_comes_back_as_it_was_written(one: str, other: str) -> None:
    sql = f"SELECT '{one}', '{other}' FROM t"
    expected = [sql]
    double = json.dumps(sql, ensure_ascii=False)
    cut = len(sql) // 2
    for code in (f"db.prepare({double})", f"db.prepare(`{sql}`)", f"db.prepare({json.dumps(sql)})"):
        assert [query.sql for query in extract(code.encode(), "a.ts").queries] == expected
        assert [query.sql for query in extract(code.encode(), "a.js").queries] == expected
    for code in (f"db.execute({sql!r})", f"db.execute({sql[:cut]!r} + {sql[cut:]!r})"):
        assert [query.sql for query in extract(code.encode(), "a.py").queries] == expected


@pytest.mark.parametrize(
    ("literal", "expected", "parameters"),
    [
        ("'%~%'", "'%' || ? || '%'", 1),
        ("'%~'", "'%' || ?", 1),
        ("'_~'", "'_' || ?", 1),
        ("'~%'", "?", 1),
        ("'~'", "?", 1),
        ("'a~%'", "?", 1),
        ("'%it''s ~''~'", "'%it''s ' || ? || '''' || ?", 2),
        ("'%''~'''", "'%''' || ? || ''''", 1),
        ("'%~~?'", "'%' || ? || ? || '?'", 2),
    ],
)
def test_a_literal_keeps_what_stands_around_a_hole(literal: str, expected: str, parameters: int) -> None:
    start = "SELECT * FROM t WHERE a LIKE "
    wanted = [(start + expected, parameters)]
    template, added = literal.replace("~", "${q}"), literal.replace("~", '" + q + "')
    for path in ("src/a.ts", "src/a.js"):
        assert found(f"db.prepare(`{start}{template}`)", path) == wanted
        assert found(f'db.prepare("{start}{added}")', path) == wanted
    formatted, percent = literal.replace("~", "{q}"), literal.replace("%", "%%").replace("~", "%s")
    for code in (
        f'f"{start}{formatted}"',
        f'"{start}{added}"',
        f'"{start}{percent}" % q',
        f'"{start}{formatted}".format(q=q)',
    ):
        assert found(f"db.execute({code})", "app/a.py") == wanted


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("SELECT * FROM t WHERE a = 'user:${id}'", ("SELECT * FROM t WHERE a = 'user:' || ?", 1)),
        ("SELECT * FROM t WHERE a GLOB '*${x}'", ("SELECT * FROM t WHERE a GLOB '*' || ?", 1)),
        ("SELECT * FROM t WHERE a GLOB '${x}*'", ("SELECT * FROM t WHERE a GLOB ?", 1)),
        ("SELECT date('now', '-${n} days') FROM t", ("SELECT date('now', '-' || ? || ' days') FROM t", 1)),
        ("SELECT a ->> '$.${key}' FROM t", ("SELECT a ->> ('$.' || ?) FROM t", 1)),
    ],
)
def test_a_hole_in_any_literal_is_a_part_of_its_value(code: str, expected: tuple[str, int]) -> None:
    assert found(f"db.prepare(`{code}`)") == [expected]


TEXT = st.text(st.sampled_from("a%_' ?é"), max_size=4)


@given(st.lists(TEXT, min_size=2, max_size=4), st.lists(TEXT, min_size=4, max_size=4))
def test_a_literal_put_together_is_the_literal_that_the_program_makes(pieces: list[str], values: list[str]) -> None:
    doubled = [piece.replace("'", "''") for piece in pieces]
    (query,) = extract(f"db.prepare(`SELECT '{'${x}'.join(doubled)}' AS made`)".encode(), "a.ts").queries
    bound = values[: len(pieces) - 1]
    expected = "".join(piece + value for piece, value in zip(pieces, [*bound, ""], strict=True))
    assert apsw.Connection(":memory:").execute(query.sql, bound).get == expected
