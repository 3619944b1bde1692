"""The judge of foreign keys, against three other ways to the same answer on generated schemas.

* What `index_list` and `index_xinfo` say: an index serves when its first columns are the key's, in any order, with
  the parent's collations and comparable types, and it holds every row that can match.
* The published algorithm of the sqlite3 shell's `.lint fkey-indexes`.
* The program that SQLite compiles for a DELETE from the parent.
"""

from __future__ import annotations

from collections import Counter
from itertools import takewhile
from random import Random
from typing import TYPE_CHECKING

import apsw
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from d1ops.core.audit.foreign_keys import read_foreign_keys
from d1ops.core.audit.plans import plan_of, trees_of
from d1ops.core.audit.report import audit
from d1ops.core.engine import Engine
from d1ops.core.mirror import schema_of
from d1ops.core.sql import quote_identifier, quote_text
from tests.support.schemas import draw_schema

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.audit.foreign_keys import ForeignKey


def judged(engine: Engine, child: str) -> ForeignKey:
    (key,) = read_foreign_keys(engine, frozenset((child,)))
    return key


# -- what the pragmas say ------------------------------------------------------------------------------


def expected(engine: Engine, key: ForeignKey) -> bool:
    """Whether an index serves, by comparing column lists, collations and types alone."""
    reference = key.reference
    wanted = _wanted(engine, key)
    if _rowid_column(engine, reference.table) in reference.columns:
        return True
    indexes = engine.ask('SELECT name, "unique", partial FROM pragma_index_list(?)', (reference.table,))
    for name, unique, partial in indexes:
        if partial and not _holds_every_match(engine, str(name), reference.columns):
            continue
        columns = engine.ask("SELECT name, upper(coll), key FROM pragma_index_xinfo(?)", (name,))
        usable = list(takewhile(lambda row: wanted.get(str(row[0])) == row[1], columns))
        if {row[0] for row in usable} == set(reference.columns) or (
            unique and all(row in usable for row in columns if row[2])
        ):
            return True
    return False


def _wanted(engine: Engine, key: ForeignKey) -> dict[str, str]:
    """The collation that an index must have for each column; none for a column whose type does not compare."""
    reference = key.reference
    wanted = {column: _column(engine, reference.table, column)[1] for column in reference.columns}
    for column, other in zip(reference.columns, reference.parent_columns, strict=bool(reference.parent_columns)):
        declared, collation = _column(engine, reference.parent, other)
        if _is_numeric(declared) and not _is_numeric(_column(engine, reference.table, column)[0]):
            del wanted[column]
        elif other != _rowid_column(engine, reference.parent):  # the rowid has no collation of its own
            wanted[column] = collation
    return wanted


def _rowid_column(engine: Engine, table: str) -> str | None:
    rows = engine.ask(
        "SELECT min(x.name) FROM pragma_table_list AS l, pragma_table_xinfo(l.name) AS x"
        " WHERE l.name = ? AND NOT l.wr AND x.pk GROUP BY l.name HAVING count(*) = 1 AND min(x.type) = 'INTEGER'",
        (table,),
    )
    return str(rows[0][0]) if rows else None


def _column(engine: Engine, table: str, column: str) -> tuple[str, str]:
    """The declared type and the collation."""
    found = engine.connection.column_metadata("main", table, column)
    return found[0] or "", found[1].upper()


def _is_numeric(declared: str) -> bool:
    return declared in ("INTEGER", "REAL")


def _holds_every_match(engine: Engine, index: str, columns: Sequence[str]) -> bool:
    """A key that matches is not NULL, so `WHERE key IS NOT NULL` leaves nothing out."""
    condition = str(engine.ask_one("SELECT sql FROM sqlite_master WHERE name = ?", (index,))).rpartition(" WHERE ")[2]
    return condition in {f"{column} IS NOT NULL" for column in columns}


@given(st.randoms(use_true_random=False))
def test_the_planner_and_the_column_lists_agree(random: Random) -> None:
    drawn = draw_schema(random)
    engine = drawn.build()
    key = judged(engine, drawn.child)
    assert key.is_indexed == expected(engine, key), (drawn.statements, key)


# -- what .lint says -----------------------------------------------------------------------------------


def lint(engine: Engine, child: str) -> bool:
    """Whether `.lint fkey-indexes` is silent about the only foreign key of `child` (shell.c, SQLite 3.53)."""
    (row, *more) = engine.ask('SELECT "table" FROM pragma_foreign_key_list(?) ORDER BY seq', (child,))
    parent = str(row[0])
    columns = engine.ask(
        'SELECT f."from", coalesce(f."to", p.name) FROM pragma_foreign_key_list(?1) AS f'
        ' LEFT JOIN pragma_table_info AS p ON p.pk - 1 = f.seq AND p.arg = f."table" ORDER BY f.seq',
        (child,),
    )
    assert len(columns) == len(more) + 1
    conditions: list[str] = []
    for column, other in columns:
        own = engine.connection.column_metadata("main", child, str(column))[1]
        try:
            wanted = engine.connection.column_metadata("main", parent, str(other))[1]
        except apsw.SQLError:
            wanted = own
        clause = f" COLLATE {wanted}" if wanted.upper() != own.upper() else ""
        conditions.append(f"{quote_text(child)}.{quote_text(str(column))}=?{clause}")
    rows = engine.ask(
        f"EXPLAIN QUERY PLAN SELECT 1 FROM {quote_text(child)} WHERE {' AND '.join(conditions)}", (None,) * len(columns)
    )
    plan = str(rows[0][3])
    globs = (
        f"SEARCH {child} USING COVERING INDEX*({' AND '.join('*=?' for _ in columns)})",
        "SEARCH * USING INTEGER PRIMARY KEY (rowid=?)",
    )
    with engine.unlimited():
        return any(engine.ask_one("SELECT ? GLOB ?", (plan, glob)) for glob in globs)


def test_lint_is_never_right_where_the_audit_is_wrong() -> None:
    random = Random(31)
    seen: Counter[str] = Counter()
    for _ in range(600):
        drawn = draw_schema(random)
        engine = drawn.build()
        key = judged(engine, drawn.child)
        truth = expected(engine, key)
        match key.is_indexed == truth, lint(engine, drawn.child) == truth:
            case True, True:
                seen[f"both right: {'indexed' if truth else 'not indexed'}"] += 1
            case True, False:
                seen[f"only the audit is right: {'indexed' if truth else 'not indexed'}"] += 1
            case _:
                seen[f"the audit is wrong: {drawn.statements}"] += 1
        engine.close()
    assert not any(outcome.startswith("the audit is wrong") for outcome in seen), seen
    assert seen["both right: indexed"] > 50, seen
    assert seen["both right: not indexed"] > 50, seen
    assert sum(seen.values()) == 600, seen


# -- what a DELETE does --------------------------------------------------------------------------------


@given(st.randoms(use_true_random=False))
def test_a_delete_from_the_parent_reads_the_child_as_judged(random: Random) -> None:
    drawn = draw_schema(random)
    assume(drawn.has_parent)
    engine = drawn.build()
    key = judged(engine, drawn.child)
    parent, column = key.reference.parent, key.reference.parent_columns[0]
    delete = f"DELETE FROM {quote_identifier(parent)} WHERE {quote_identifier(column)} = ?1"
    plan = plan_of(engine, delete, 1, trees_of(engine, frozenset((drawn.child,))))
    assert bool(plan.whole_reads) == key.plan.startswith("SCAN"), (drawn.statements, plan, key)
    if not any(" WITHOUT ROWID" in statement for statement in drawn.statements):  # there it reads the key besides
        named = key.plan.replace(" c", f" {drawn.child}", 1)
        assert named in [line.strip() for line in plan.lines], (drawn.statements, plan, key)


# -- examples ------------------------------------------------------------------------------------------


def engine_of(*statements: str) -> Engine:
    engine = Engine.memory()
    for statement in statements:
        engine.ask(statement)
    return engine


PARENT = "CREATE TABLE p (k TEXT PRIMARY KEY, n INTEGER UNIQUE, i TEXT COLLATE NOCASE UNIQUE, UNIQUE (k, n))"


@pytest.mark.parametrize(
    ("is_indexed", "statements"),
    [
        pytest.param(True, ["CREATE TABLE c (id INTEGER PRIMARY KEY REFERENCES p (n))"], id="rowid"),
        pytest.param(True, ["CREATE TABLE c (k TEXT PRIMARY KEY REFERENCES p) WITHOUT ROWID"], id="primary key"),
        pytest.param(
            True,
            [
                "CREATE TABLE c (k, n INTEGER, x, FOREIGN KEY (k, n) REFERENCES p (k, n))",
                "CREATE INDEX i ON c (n, k, x)",
            ],
            id="composite in another order",
        ),
        pytest.param(
            False,
            [
                "CREATE TABLE c (k, n INTEGER, x, FOREIGN KEY (k, n) REFERENCES p (k, n))",
                "CREATE INDEX i ON c (k, x, n)",
            ],
            id="composite with a column between",
        ),
        pytest.param(
            False, ["CREATE TABLE c (x TEXT REFERENCES p (i))", "CREATE INDEX i ON c (x)"], id="the parent's collation"
        ),
        pytest.param(
            True,
            ["CREATE TABLE c (x TEXT REFERENCES p (i))", "CREATE INDEX i ON c (x COLLATE NOCASE)"],
            id="an index with the parent's collation",
        ),
        pytest.param(
            False, ["CREATE TABLE c (x TEXT REFERENCES p (n))", "CREATE INDEX i ON c (x)"], id="TEXT against INTEGER"
        ),
        pytest.param(
            True,
            ["CREATE TABLE c (x REFERENCES p)", "CREATE INDEX i ON c (x) WHERE x IS NOT NULL"],
            id="partial that holds every match",
        ),
        pytest.param(
            False,
            ["CREATE TABLE c (x REFERENCES p, y)", "CREATE INDEX i ON c (x) WHERE y IS NOT NULL"],
            id="partial that leaves matches out",
        ),
        pytest.param(
            False, ["CREATE TABLE c (x REFERENCES p)", "CREATE INDEX i ON c (lower(x))"], id="index on an expression"
        ),
        pytest.param(
            True,
            ["CREATE TABLE c (id INTEGER PRIMARY KEY, up INTEGER REFERENCES c (id))", "CREATE INDEX i ON c (up)"],
            id="self-reference",
        ),
        pytest.param(
            False,
            ["CREATE TABLE c (x REFERENCES p (n))", "CREATE INDEX i ON c (x)"],
            id="no type against INTEGER",
        ),
        pytest.param(
            True, ["CREATE TABLE c (x REFERENCES gone (id))", "CREATE INDEX i ON c (x)"], id="no such parent, indexed"
        ),
        pytest.param(False, ["CREATE TABLE c (x REFERENCES gone (id))"], id="no such parent, not indexed"),
        pytest.param(
            True,
            ["CREATE TABLE c (x TEXT REFERENCES P (missing))", "CREATE INDEX i ON c (x)"],
            id="no such column of the parent",
        ),
        pytest.param(
            True, ["CREATE TABLE c (Xx REFERENCES P (K))", 'CREATE INDEX "i (Xx=?)" ON C (xX)'], id="another case"
        ),
        pytest.param(
            False,
            ["CREATE TABLE c (x REFERENCES p, y)", "CREATE INDEX i ON c (y, x)"],
            id="index that begins with another column",
        ),
    ],
)
def test_examples(is_indexed: bool, statements: list[str]) -> None:
    assert judged(engine_of(PARENT, *statements), "c").is_indexed is is_indexed


def test_statistics_do_not_make_a_finding() -> None:
    engine = engine_of(PARENT, "CREATE TABLE c (x TEXT REFERENCES p (k))", "CREATE INDEX i ON c (x)")
    for stat in ("1 1", "1000000 1000000"):
        report = audit(schema_of(engine), [("c", "i", stat)], (), "d1_migrations")
        assert report.summary.indexed_foreign_keys == 1


def test_keys_come_in_the_order_of_the_schema() -> None:
    engine = engine_of(
        PARENT,
        "CREATE TABLE z (a REFERENCES p, b REFERENCES p)",
        "CREATE TABLE y (d REFERENCES p, c REFERENCES p)",
    )
    keys = read_foreign_keys(engine, frozenset(("y", "z")))
    assert [(key.reference.table, *key.reference.columns) for key in keys] == [
        ("z", "a"),
        ("z", "b"),
        ("y", "d"),
        ("y", "c"),
    ]


def test_a_wide_schema_is_read_whole() -> None:
    engine = engine_of(*(f"CREATE TABLE t{number} (a REFERENCES t0)" for number in range(2_100)))
    report = audit(schema_of(engine), (), (), "d1_migrations")
    assert (report.summary.tables, report.summary.foreign_keys) == (2_100, 2_100)
