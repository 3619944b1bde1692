"""Generated schemas, rows and statements: the grammar of the hypothesis-driven comparison.

About a third of what is generated is refused for its meaning: names that are not there, constraints, keys. What
docs/differences.md lists is left out by construction: no text of several statements, no `ROLLBACK` as a conflict
clause, no LIMIT on writes, no LIKE over blobs, no text that is not UTF-8.
"""

from __future__ import annotations

from typing import TypeAlias

from hypothesis import strategies as st

from d1ops.core.values import Statement
from tests.differential.cases import Case

Text: TypeAlias = st.SearchStrategy[str]

TABLES = ("t0", "t1", "t2")
COLUMNS = ("a", "b", "c", "d")

table = st.sampled_from(TABLES * 8 + ("v0", "nope"))
column = st.sampled_from(COLUMNS * 12 + ("nope",))
real_column = st.sampled_from(COLUMNS)

literal = st.one_of(
    st.integers(-3, 12).map(str),
    st.sampled_from(
        (
            "NULL",
            "TRUE",
            "1.5",
            "-0.0",
            "2.0",
            "1e300",
            "9e999",
            "9007199254740993",
            "9223372036854775807",
            "''",
            "'x'",
            "'X'",
            "'12'",
            "'1.50'",
            "'é🎵'",
            "'it''s'",
            "x''",
            "x'00'",
            "x'6162'",
            "'{\"a\": [1, null]}'",
            "'2024-02-30'",
        )
    ),
)

FUNCTIONS = {
    1: (
        "abs",
        "hex",
        "length",
        "lower",
        "quote",
        "round",
        "sign",
        "trim",
        "typeof",
        "unicode",
        "upper",
        "json",
        "json_type",
        "json_valid",
        "json_quote",
        "octet_length",
        "unhex",
        "sqrt",
        "floor",
        "ltrim",
        "json_array",
        "power",
        "no_such",
    ),
    2: (
        "coalesce",
        "ifnull",
        "instr",
        "max",
        "min",
        "nullif",
        "substr",
        "mod",
        "json_extract",
        "round",
        "rtrim",
        "printf",
    ),
    3: ("iif", "replace", "substr", "concat_ws", "json_set", "coalesce"),
}
"""By the number of arguments; two of them are refused."""
OPERATORS = (
    "+",
    "-",
    "*",
    "/",
    "%",
    "||",
    "=",
    "<>",
    "<",
    ">=",
    "AND",
    "OR",
    "IS",
    "IS NOT",
    "&",
    "|",
    "<<",
    "->>",
    "IS DISTINCT FROM",
)


def _expressions(inner: Text) -> Text:
    return st.one_of(
        st.builds("({} {} {})".format, inner, st.sampled_from(OPERATORS), inner),
        st.builds("{}({})".format, st.sampled_from(FUNCTIONS[1]), inner),
        st.builds("{}({}, {})".format, st.sampled_from(FUNCTIONS[2]), inner, inner),
        st.builds("{}({}, {}, {})".format, st.sampled_from(FUNCTIONS[3]), inner, inner, inner),
        st.builds("CASE {} WHEN {} THEN {} ELSE {} END".format, inner, inner, inner, inner),
        st.builds("CAST({} AS {})".format, inner, st.sampled_from(("INTEGER", "TEXT", "REAL", "BLOB", "NUMERIC"))),
        st.builds("({} IN ({}, {}))".format, inner, inner, inner),
        st.builds("({} BETWEEN {} AND {})".format, inner, inner, inner),
        st.builds("(NOT {})".format, inner),
        st.builds("(hex({}) LIKE {} || '%')".format, inner, inner),
        st.builds("({} = {} COLLATE NOCASE)".format, inner, inner),
    )


subquery = st.builds(
    "(SELECT {}({}) FROM {})".format,
    st.sampled_from(("max", "count", "sum", "total")),
    st.one_of(column, literal),
    table,
)


constant = st.recursive(literal, _expressions, max_leaves=3)
expression = st.recursive(st.one_of(literal, column, column, column, subquery), _expressions, max_leaves=4)
pure = st.recursive(st.one_of(literal, real_column, real_column), _expressions, max_leaves=3)
"""What a CHECK or a generated column may be."""

# -- definitions -----------------------------------------------------------------------------------------------------

TYPES = ("INTEGER", "INT", "TEXT", "REAL", "BLOB", "ANY")
"""Those that a STRICT table takes; another takes everything."""

action = st.sampled_from(("", " ON DELETE CASCADE", " ON DELETE SET NULL", " ON UPDATE CASCADE", " ON DELETE RESTRICT"))
_rare = st.one_of(
    st.sampled_from((" NOT NULL", " UNIQUE", " COLLATE NOCASE", " DEFAULT 7", " DEFAULT 'd'", " PRIMARY KEY")),
    st.one_of(st.builds(" CHECK (b IS NULL OR {})".format, pure), st.builds(" DEFAULT ({})".format, constant)),
    st.builds(" AS ({}){}".format, pure, st.sampled_from(("", " STORED"))),
    st.builds(" REFERENCES {}(a){}".format, st.sampled_from(TABLES), action),
    st.builds(
        " REFERENCES {}({}) DEFERRABLE INITIALLY DEFERRED".format, st.sampled_from(TABLES), st.sampled_from("aaab")
    ),
)
constraint = st.integers(0, 9).flatmap(lambda dice: _rare if dice > 6 else st.just(""))
definition = st.builds("{} {}{}".format, st.sampled_from((*COLUMNS, "e", "f")), st.sampled_from(TYPES), constraint)

KEYS = (
    "a INTEGER PRIMARY KEY",
    "a INTEGER PRIMARY KEY",
    "a INTEGER PRIMARY KEY AUTOINCREMENT",
    "a TEXT PRIMARY KEY",
    "a INT UNIQUE",
)


@st.composite
def create_table(draw: st.DrawFn, name: str) -> str:
    """A table of the columns a to d. Most are plain; the wilder the definition, the rarer."""
    key = draw(st.sampled_from(KEYS))
    others = [f"{column} {draw(st.sampled_from(TYPES))}{draw(constraint)}" for column in ("b", "c", "d")]
    options = draw(
        st.sampled_from(("", "", "", "", " STRICT", "" if "AUTO" in key or "UNIQUE" in key else " WITHOUT ROWID"))
    )
    return f"CREATE TABLE {name}({', '.join([key, *others])}){options}"


create_index = st.builds(
    "CREATE {}INDEX {} ON {}({}{}){}".format,
    st.sampled_from(("", "UNIQUE ")),
    st.sampled_from(("i0", "i1")),
    table,
    expression,
    st.sampled_from(("", " DESC", " COLLATE NOCASE", ", b", ", lower(c)")),
    st.one_of(st.just(""), st.builds(" WHERE {}".format, expression)),
)
alter = st.one_of(
    st.builds("ALTER TABLE {} ADD COLUMN {}".format, table, definition),
    st.builds("ALTER TABLE {} DROP COLUMN {}".format, table, column),
    st.builds("ALTER TABLE {} RENAME COLUMN {} TO {}".format, table, column, st.sampled_from(("d", "e", "a"))),
    st.builds("ALTER TABLE {} RENAME TO {}".format, table, st.sampled_from((*TABLES, "t9", "_cf_t"))),
)
drop = st.builds(
    "DROP {} {}{}".format,
    st.sampled_from(("TABLE", "TABLE", "VIEW", "INDEX", "TRIGGER")),
    st.sampled_from(("", "IF EXISTS ")),
    st.sampled_from((*TABLES, "v0", "i0", "g0")),
)

# -- rows ------------------------------------------------------------------------------------------------------------

where = st.one_of(st.just(""), st.builds(" WHERE {}".format, expression))
returning = st.one_of(
    st.just(""), st.just(" RETURNING *"), st.builds(" RETURNING {}, typeof({})".format, expression, column)
)
cell = st.one_of(st.integers(1, 4).map(str), st.sampled_from(("NULL", "'x'", "1.5", "x'6162'", "'2'")), literal)
row = st.builds("({}, {}, {}, {})".format, st.integers(1, 6), cell, cell, cell)
conflict = st.sampled_from(("", "", "", " OR IGNORE", " OR REPLACE", " OR FAIL", " OR ABORT"))
values = st.one_of(row, row, st.builds("({}, {}, {}, {})".format, *[constant] * 4), st.just("(1, 2)"))
insert = st.one_of(
    st.builds(
        lambda verb, name, rows, then, back: f"INSERT{verb} INTO {name} VALUES {', '.join(rows)}{then}{back}",
        conflict,
        table,
        st.lists(values, min_size=1, max_size=2),
        st.one_of(
            st.just(""),
            st.just(" ON CONFLICT DO NOTHING"),
            st.builds(" ON CONFLICT({}) DO UPDATE SET {} = {}".format, column, column, expression),
        ),
        returning,
    ),
    st.builds("INSERT INTO {}({}) VALUES ({}){}".format, table, column, constant, returning),
    st.builds("INSERT INTO {}({}, {}) VALUES ({}, {}), ({}, {})".format, table, column, column, *[constant] * 4),
    st.builds(
        "INSERT{} INTO {}(a, {}) SELECT {}, {} FROM {}".format, conflict, table, column, expression, expression, table
    ),
    st.builds("INSERT INTO {} DEFAULT VALUES{}".format, table, returning),
)
update = st.builds("UPDATE{} {} SET {} = {}{}{}".format, conflict, table, column, expression, where, returning)
delete = st.builds("DELETE FROM {}{}{}".format, table, where, returning)
write = st.one_of(insert, update, delete)

trigger = st.builds(
    "CREATE TRIGGER g0 {} {} ON {}{} BEGIN {}; {}; END".format,
    st.sampled_from(("BEFORE", "AFTER", "INSTEAD OF")),
    st.sampled_from(("INSERT", "UPDATE", "DELETE", "UPDATE OF b")),
    table,
    st.sampled_from(("", " WHEN new.a IS NOT NULL", " WHEN old.b > 1", " WHEN CASE new.a WHEN 1 THEN 0 ELSE 1 END")),
    st.one_of(insert, update, delete).filter(lambda sql: "RETURNING" not in sql and "DEFAULT VALUES" not in sql),
    st.sampled_from(
        (
            "SELECT 1",
            "SELECT RAISE(ABORT, 'no; END') WHERE new.a = 3",
            "SELECT RAISE(IGNORE) WHERE old.a = 2",
            "SELECT CASE new.a WHEN 1 THEN 'x;' END",
        )
    ),
)

# -- questions -------------------------------------------------------------------------------------------------------

select = st.one_of(
    st.builds("SELECT {}, {} FROM {}{} ORDER BY 1, 2".format, expression, expression, table, where),
    st.builds("SELECT * FROM {}{}".format, table, where),
    st.builds("SELECT {}, count(*), group_concat({}) FROM {} GROUP BY 1 ORDER BY 1".format, expression, column, table),
    st.builds(
        "SELECT x.a, y.b FROM {} x LEFT JOIN {} y ON x.{} = y.{} ORDER BY 1, 2".format, table, table, column, column
    ),
    st.builds(
        "SELECT a, {}({}) OVER (ORDER BY a, {}) FROM {} ORDER BY 1, 2".format,
        st.sampled_from(("sum", "lag", "max", "first_value")),
        column,
        column,
        table,
    ),
    st.builds("SELECT {} UNION SELECT {} FROM {} ORDER BY 1".format, constant, expression, table),
    st.builds("SELECT {} AS x".format, constant),
    st.builds("WITH w(x) AS (SELECT {} FROM {}) SELECT x, typeof(x) FROM w ORDER BY 1, 2".format, expression, table),
)
pragma = st.one_of(
    st.builds(
        "PRAGMA {} = {}".format, st.sampled_from(("defer_foreign_keys", "foreign_keys")), st.sampled_from(("ON", "OFF"))
    ),
    st.builds(
        "PRAGMA {}({})".format,
        st.sampled_from(("table_xinfo", "index_list", "foreign_key_list", "foreign_key_check")),
        table,
    ),
    st.just("PRAGMA user_version"),
)
other = st.one_of(
    st.builds("CREATE VIEW v0 AS SELECT {}, b FROM {}".format, expression, table),
    st.sampled_from(("REINDEX", "ANALYZE", "BEGIN", "SELECT", "CREATE TEMP TABLE x(a)", "VACUUM")),
)

statement = st.one_of(write, write, write, select, select, pragma, create_index, trigger, alter, drop, other).map(
    Statement
)
request = st.lists(statement, min_size=1, max_size=3).map(tuple)


filling = st.builds(
    "INSERT OR IGNORE INTO {} VALUES {}".format,
    st.sampled_from(TABLES),
    st.lists(row, min_size=1, max_size=4).map(", ".join),
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Three tables and some rows, a request for each so that one refused takes no other with it; then requests."""
    tables = [Statement(draw(create_table(name))) for name in TABLES]
    rows = [Statement(sql) for sql in draw(st.lists(filling, min_size=1, max_size=5))]
    requests = draw(st.lists(request, min_size=1, max_size=6))
    return Case("generated", (*((each,) for each in (*tables, *rows)), *requests))
