"""The sections of the corpus that are made of tables: functions, pragmas, limits and parameters."""

from __future__ import annotations

from itertools import product
from typing import TYPE_CHECKING

from d1ops.core import rules
from d1ops.core.values import Statement
from tests.differential.cases import CORPUS, Case, section

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from d1ops.core.values import Param
    from tests.differential.cases import Request, Section

SETUP = (
    Statement("CREATE TABLE t(a INTEGER PRIMARY KEY, b TEXT UNIQUE, c INT DEFAULT 1 REFERENCES t(a))"),
    Statement("CREATE INDEX i ON t(c, b)"),
    Statement("INSERT INTO t VALUES (1, 'x', NULL), (2, 'y', 1), (3, NULL, 2)"),
)


def _requests(*texts: str) -> tuple[Request, ...]:
    return tuple((Statement(text),) for text in texts)


# -- functions -------------------------------------------------------------------------------------------------------

ARGUMENTS = (
    "",
    "NULL",
    "1",
    "'a'",
    "-1.5",
    "x'00ff'",
    "1, 2",
    "'abc', 'b'",
    "'$', '{}'",
    "'[1]', '$[0]', 5",
    "1, 2, 3, 4, 5",
)
"""What each function is called with: every number of arguments, right and wrong types."""

UNSTEADY = frozenset(("random", "randomblob", "total_changes"))
"""Functions whose value changes by itself; their type is compared."""

OF_NOW = {
    "date": ("", "'%s'"),
    "time": ("", "'%s'"),
    "datetime": ("", "'%s'"),
    "julianday": ("", "'%s'"),
    "unixepoch": ("", "'%s'"),
    "strftime": ("'a'", "'%Y'"),
    "current_date": ("",),
    "current_time": ("",),
    "current_timestamp": ("",),
}
"""Arguments with which a function means the present."""

REFUSED_FUNCTIONS = (CORPUS / "refused_functions.txt").read_text().split()


def _calls(name: str) -> Iterator[str]:
    for arguments in ARGUMENTS:
        if arguments in OF_NOW.get(name, ()):
            continue
        call = f"{name}({arguments})"
        if name in ("->", "->>"):
            first, _, second = arguments.partition(", ")
            call = f"{first or 'NULL'} {name} {second or 'NULL'}"
        if name == "randomblob" and not arguments.startswith("1"):
            continue
        yield f"SELECT typeof({call})" if name in UNSTEADY else f"SELECT {call}, typeof({call}), hex({call})"
    yield f"SELECT {name}(a) OVER (ORDER BY a) FROM t" if name[0].isalpha() and name not in UNSTEADY else "SELECT 1"


def functions() -> Section:
    """Every function that D1 allows, called well and badly; a window of it; its name in capitals."""
    cases = [
        Case(name, _requests(*_calls(name), f"SELECT {name.upper()}(DISTINCT b) FROM t"))
        for name in sorted(rules.FUNCTIONS - UNSTEADY - OF_NOW.keys())
    ]
    cases += [Case(name, _requests(*_calls(name))) for name in sorted(UNSTEADY | OF_NOW.keys())]
    return section("functions", SETUP, cases)


def refused_functions() -> Section:
    """Functions that D1 refuses, or does not have."""
    return section(
        "refused_functions",
        SETUP,
        [
            Case(name, _requests(f"SELECT {name}(b) FROM t", f"SELECT 1, {name}()"))
            for name in (*REFUSED_FUNCTIONS, *sorted(rules.LACKING_FUNCTIONS))
        ],
    )


# -- pragmas ---------------------------------------------------------------------------------------------------------

PRAGMAS = (CORPUS / "pragmas.txt").read_text().split()

FORMS = (
    "SELECT * FROM pragma_{}",
    "SELECT * FROM pragma_{}('t')",
    "SELECT * FROM pragma_{}('i')",
    "PRAGMA {}",
    "PRAGMA main.{}",
    "PRAGMA temp.{}",
    "PRAGMA {}(t)",
    "PRAGMA {}(i)",
    "PRAGMA {}('t')",
    "PRAGMA main.{}(t)",
    "PRAGMA temp.{}(t)",
    "PRAGMA {}(nope)",
    "PRAGMA {}(_cf_x)",
    "PRAGMA {} = 5",
    "PRAGMA {} = -1",
    "PRAGMA {} = 0x10",
    "PRAGMA {} = 1.5",
    "PRAGMA {} = maybe",
    "PRAGMA {} = 'on'",
    "PRAGMA {}(TRUE)",
    "PRAGMA {} = NO",
    "PRAGMA {} = 0",
)
"""The forms in which every pragma is sent, each as a request of its own. The last one leaves no setting behind."""


def pragmas() -> Section:
    """Every pragma that SQLite has ever had, in every form."""
    return section(
        "pragmas", SETUP, [Case(name, _requests(*(form.format(name) for form in FORMS))) for name in PRAGMAS]
    )


# -- limits ----------------------------------------------------------------------------------------------------------


def _names(n: int) -> list[str]:
    return [f"c{i}" for i in range(n)]


def _cascade(depth: int) -> list[str]:
    tables = [
        f"CREATE TABLE c{i}(id INTEGER PRIMARY KEY REFERENCES c{i - 1}(id) ON DELETE CASCADE)"
        for i in range(1, depth + 1)
    ]
    rows = [f"INSERT INTO c{i} VALUES (1)" for i in range(depth + 1)]
    return ["CREATE TABLE c0(id INTEGER PRIMARY KEY)", *tables, *rows, "DELETE FROM c0"]


def _triggers(depth: int) -> list[str]:
    tables = [f"CREATE TABLE c{i}(x)" for i in range(depth + 1)]
    triggers = [
        f"CREATE TRIGGER t{i} AFTER INSERT ON c{i} BEGIN INSERT INTO c{i + 1} VALUES (new.x); END" for i in range(depth)
    ]
    return [*tables, *triggers, "INSERT INTO c0 VALUES (7)", f"SELECT x FROM c{depth}"]


LIMITS: dict[str, tuple[Callable[[int], list[str]], int]] = {
    "bytes of a statement": (lambda n: [f"SELECT length('{'x' * (n - 17)}')"], rules.MAX_STATEMENT_BYTES),
    "bytes of a statement in UTF-8": (
        lambda n: [f"SELECT length('{'é' * ((n - 17) // 2)}{'x' * ((n - 17) % 2)}')"],
        rules.MAX_STATEMENT_BYTES,
    ),
    "bytes of a statement with a comment": (lambda n: [f"SELECT 1 /*{'x' * (n - 13)}*/"], rules.MAX_STATEMENT_BYTES),
    "bytes of a trigger": (
        lambda n: [f"CREATE TRIGGER r AFTER INSERT ON t BEGIN SELECT '{'x' * (n - 54)}'; END"],
        rules.MAX_STATEMENT_BYTES,
    ),
    "bytes of two statements in one text": (
        lambda n: [f"SELECT 1; SELECT length('{'x' * (n - 27)}')"],
        rules.MAX_STATEMENT_BYTES,
    ),
    "columns of a table": (lambda n: [f"CREATE TABLE wide({', '.join(_names(n))})"], rules.MAX_COLUMNS),
    "columns added to a table": (
        lambda n: [f"CREATE TABLE wide({', '.join(_names(n - 1))})", "ALTER TABLE wide ADD COLUMN last"],
        rules.MAX_COLUMNS,
    ),
    "columns of a result": (lambda n: [f"SELECT {', '.join('1' * n)}"], rules.MAX_COLUMNS),
    "columns of a view": (
        lambda n: [f"CREATE VIEW w AS SELECT {', '.join(f'1 AS {name}' for name in _names(n))}", "SELECT * FROM w"],
        rules.MAX_COLUMNS,
    ),
    "columns of a join": (
        lambda n: [
            f"CREATE TABLE wide({', '.join(_names(n - 3))})",
            "INSERT INTO wide(c0) VALUES (1)",
            "SELECT * FROM wide, t ORDER BY a",
        ],
        rules.MAX_COLUMNS,
    ),
    "columns of an index": (lambda n: [f"CREATE INDEX w ON t({', '.join(['a + 1'] * n)})"], rules.MAX_COLUMNS),
    "columns of a FTS5 table": (
        lambda n: [f"CREATE VIRTUAL TABLE w USING fts5({', '.join(_names(n))})"],
        rules.MAX_COLUMNS - 2,
    ),
    "terms of ORDER BY": (lambda n: [f"SELECT 1 ORDER BY {', '.join('1' * n)}"], rules.MAX_COLUMNS),
    "terms of GROUP BY": (lambda n: [f"SELECT 1 FROM t GROUP BY {', '.join(['a'] * n)}"], rules.MAX_COLUMNS),
    "values of a row": (lambda n: [f"VALUES ({', '.join('1' * n)})"], rules.MAX_COLUMNS),
    "columns of an UPDATE": (lambda n: [f"UPDATE t SET {', '.join(['c = 1'] * n)}"], rules.MAX_COLUMNS),
    "depth of an expression": (lambda n: [f"SELECT {'+'.join('1' * n)}"], rules.MAX_EXPRESSION_DEPTH),
    "depth of NOT": (lambda n: [f"SELECT {'NOT ' * (n - 1)} 1"], rules.MAX_EXPRESSION_DEPTH),
    "depth of AND": (lambda n: [f"SELECT {' AND '.join(['a'] * n)} FROM t"], rules.MAX_EXPRESSION_DEPTH),
    "depth of parentheses": (lambda n: [f"SELECT {'(' * n}1{')' * n}"], rules.MAX_EXPRESSION_DEPTH),
    "depth of subqueries": (lambda n: [f"SELECT {'(SELECT ' * n}1{')' * n}"], 20),
    "values in a list": (lambda n: [f"SELECT 1 IN ({', '.join('1' * n)})"], 2000),
    "terms of a compound": (lambda n: [" UNION ALL ".join(["SELECT 1"] * n)], rules.MAX_COMPOUND_TERMS),
    "terms of a compound in a CTE": (
        lambda n: [f"WITH w AS ({' UNION '.join(['SELECT 1'] * n)}) SELECT * FROM w"],
        rules.MAX_COMPOUND_TERMS,
    ),
    "rows of VALUES": (lambda n: [f"VALUES {', '.join(['(1)'] * n)}"], 600),
    "rows of an INSERT": (lambda n: [f"INSERT INTO t(c) VALUES {', '.join(['(1)'] * n)}"], 1000),
    "arguments of a function": (lambda n: [f"SELECT max({', '.join('1' * n)})"], rules.MAX_FUNCTION_ARGUMENTS),
    "arguments of json_object": (lambda n: [f"SELECT json_object({', '.join(['1'] * n)})"], 126),
    "bytes of a LIKE pattern": (lambda n: [f"SELECT 'a' LIKE '{'x' * n}'"], rules.MAX_PATTERN_BYTES),
    "bytes of a LIKE pattern in UTF-8": (
        lambda n: [f"SELECT 'a' LIKE '{'é' * (n // 2)}{'x' * (n % 2)}'"],
        rules.MAX_PATTERN_BYTES,
    ),
    "bytes of a GLOB pattern": (lambda n: [f"SELECT 'a' GLOB '{'x' * n}'"], rules.MAX_PATTERN_BYTES),
    "bytes of a pattern in a CHECK": (
        lambda n: [f"CREATE TABLE p(x CHECK (x NOT LIKE '{'x' * n}'))", "INSERT INTO p VALUES (1)"],
        rules.MAX_PATTERN_BYTES,
    ),
    "number of a parameter": (lambda n: [f"EXPLAIN QUERY PLAN SELECT ?{n}"], rules.MAX_PARAMETERS),
    "depth of cascades": (_cascade, rules.MAX_TRIGGER_DEPTH),
    "depth of triggers": (_triggers, rules.MAX_TRIGGER_DEPTH - 1),
    "tables of a join": (lambda n: [f"SELECT 1 FROM {', '.join(f't AS t{i}' for i in range(n))} LIMIT 0"], 64),
    "nested views": (
        lambda n: [
            "CREATE VIEW v0 AS SELECT 1",
            *(f"CREATE VIEW v{i} AS SELECT * FROM v{i - 1}" for i in range(1, n)),
            f"SELECT * FROM v{n - 1}",
        ],
        60,
    ),
    "steps of a program": (lambda n: [f"SELECT count(*) FROM t WHERE 1 IN ({', '.join(['a'] * n)})"], 30_000),
    "bytes of a blob": (lambda n: [f"SELECT length(zeroblob({n}))"], rules.MAX_VALUE_BYTES),
    "bytes of a name": (lambda n: [f'CREATE TABLE "{"n" * n}"(x)', f'SELECT * FROM "{"n" * n}"'], 5000),
    "bytes of hex": (lambda n: [f"SELECT length(hex(zeroblob({n})))"], rules.MAX_VALUE_BYTES // 2 - 1),
    "digits of an integer": (lambda n: [f"SELECT {'9' * n}"], 18),
    "width in printf": (lambda n: [f"SELECT length(printf('%{n}d', 1))"], 100_000),
    "bytes of replace": (
        lambda n: [f"SELECT length(replace(hex(zeroblob({n // 16})), '00', 'sixteen letters!') || '{'x' * (n % 16)}')"],
        rules.MAX_VALUE_BYTES - 1,
    ),
    "steps of a recursion": (
        lambda n: [
            f"WITH RECURSIVE w(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM w WHERE x < {n}) SELECT count(*) FROM w"
        ],
        100_000,
    ),
}
"""What makes statements that are so large, and the edge."""


def limits() -> Section:
    """Every limit at its edge and one past it."""
    cases = []
    for name, (make, edge) in LIMITS.items():
        for label, size in (("at the edge", edge), ("one past", edge + 1)):
            cases.append(Case(f"{name}, {label}", (tuple(Statement(sql) for sql in make(size)),)))
    return section("limits", SETUP, cases)


# -- parameters ------------------------------------------------------------------------------------------------------

VALUES: tuple[Param, ...] = (
    None,
    True,
    False,
    0,
    -1,
    2**31,
    2**53 - 1,
    2**53,
    2**53 + 1,
    -(2**53) - 1,
    2**63 - 1,
    -(2**63),
    0.0,
    -0.0,
    1.0,
    1.5,
    0.1,
    1e300,
    5e-324,
    float("inf"),
    float("-inf"),
    "",
    "x",
    "1",
    "é🎵",
    "a\0b",
    "'; DROP TABLE t; --",
    "\r\n",
    "\ufeff",
    "x" * 5000,
    b"",
    b"\x00\xff",
    b"abc",
    bytes(range(256)),
)

USES = (
    "SELECT ? AS x, typeof(?1) AS t, hex(?1) AS h",
    "INSERT INTO v(i, r, t, b, x, s) VALUES (?1, ?1, ?1, ?1, ?1, ?1)"
    " RETURNING typeof(i), typeof(r), typeof(t), typeof(b), typeof(x)",
    "INSERT INTO strict_any VALUES (?)",
    "SELECT count(*) AS n FROM t WHERE a = ? OR b = ?1 OR c > ?1",
    "SELECT a FROM t ORDER BY a LIMIT ?",
    "SELECT json_quote(CASE WHEN typeof(?1) = 'blob' THEN 1 ELSE ?1 END) AS j",
)

SHAPES: dict[str, tuple[str, tuple[Param, ...]]] = {
    "in order": ("SELECT ? AS a, ? AS b, ? AS c", (1, "two", None)),
    "by number, out of order": ("SELECT ?2 AS a, ?1 AS b, ?2 AS c", (1, "two")),
    "a number skipped": ("SELECT ?1 AS a, ?3 AS b", (1, 2, 3)),
    "mixed": ("SELECT ?2 AS a, ? AS b", (1, 2, 3)),
    "in a string, a comment and a name": ("SELECT '?' AS \"?\", ? AS a -- ?", (1,)),
    "none given": ("SELECT ? AS a", ()),
    "too few": ("SELECT ? AS a, ? AS b", (1,)),
    "too many": ("SELECT ? AS a", (1, 2)),
    "for a statement without": ("SELECT 1", (1,)),
    "named": ("SELECT :a AS a", (1,)),
    "number nought": ("SELECT ?0 AS a", (1,)),
    "for the last of two": ("SELECT 1; SELECT ? AS a", (1,)),
    "for the first of two": ("SELECT ? AS a; SELECT 1", (1,)),
    "in DDL": ("CREATE TABLE d(x DEFAULT (?))", (1,)),
    "as a table": ("SELECT * FROM ?", ("t",)),
    "as a column's name": ("SELECT ? FROM t LIMIT 1", ("a",)),
    "in LIKE": ("SELECT a FROM t WHERE b LIKE ?", ("x%",)),
    "in LIKE too long": ("SELECT a FROM t WHERE b LIKE ?", ("x" * 51,)),
    "in a list": ("SELECT a FROM t WHERE a IN (?, ?) ORDER BY a", (1, 3)),
    "in a pragma function": ("SELECT name FROM pragma_table_info(?)", ("t",)),
    "in a pragma": ("PRAGMA table_info(?)", ("t",)),
    "in json_each": ("SELECT value FROM json_each(?)", ("[1, 2]",)),
    "in EXPLAIN QUERY PLAN": ("EXPLAIN QUERY PLAN SELECT * FROM t WHERE a = ?", (None,)),
    "a hundred": (f"SELECT {', '.join(f'? AS c{i}' for i in range(100))}", tuple(range(100))),
    "a hundred and one": (f"SELECT {', '.join(f'? AS c{i}' for i in range(101))}", tuple(range(101))),
    "in RETURNING": ("INSERT INTO t(b) VALUES (?) RETURNING b || ? AS x", ("p", "q")),
    "in an upsert": (
        "INSERT INTO t(a, b) VALUES (?, ?) ON CONFLICT(a) DO UPDATE SET b = excluded.b || ?",
        (1, "n", "m"),
    ),
    "in a window": ("SELECT sum(a) OVER (ORDER BY a ROWS ? PRECEDING) AS s FROM t", (1,)),
    "in CASE": ("SELECT CASE ? WHEN ? THEN ? END AS x", (1, 1, "same")),
    "an integer compared with text": ("SELECT ? = '1' AS a, b = ?1 AS b FROM t", (1,)),
    "an integer divided": ("SELECT ? / 2 AS a, 7 / ? AS b", (3, 2)),
    "a real that is whole, divided": ("SELECT ? / 2 AS a", (3.0,)),
    "text with affinity": ("SELECT a FROM t WHERE a = ?", ("2",)),
    "too large": ("SELECT ? AS a", (2**63,)),
    "half of a pair": ("SELECT ? AS a", ("\ud800",)),
}


def parameters() -> Section:
    """Every kind of value in every kind of place."""
    setup = (
        *SETUP,
        Statement("CREATE TABLE v(i INTEGER, r REAL, t TEXT, b BLOB, x, s VARCHAR(5))"),
        Statement("CREATE TABLE strict_any(x ANY) STRICT"),
    )
    cases = [
        Case(f"{_label(value)} in use {use}", ((Statement(sql, (value,)),),))
        for value, (use, sql) in product(VALUES, enumerate(USES, 1))
    ]
    cases += [Case(name, ((Statement(sql, params),),)) for name, (sql, params) in SHAPES.items()]
    return section("parameters", setup, cases)


def _label(value: Param) -> str:
    text = repr(value)
    return text if len(text) < 40 else f"{text[:20]}... ({len(text)})"
