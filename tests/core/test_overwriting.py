"""What a text says that it leaves alone, held against what SQLite then does."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from d1ops.core.engine import Engine
from d1ops.core.overwriting import copied, fills, replaces

ATOMS = st.sampled_from(
    ["v IS NULL", "w IS NULL", "v ISNULL", "v IS NOT NULL", "v = 1", "w = 'IS NULL'", "id", "1", '"v" IS NULL']
)
CONDITIONS = st.recursive(
    ATOMS,
    lambda inner: st.one_of(
        st.builds("{} AND {}".format, inner, inner),
        st.builds("{} OR {}".format, inner, inner),
        st.builds("NOT {}".format, inner),
        st.builds("({})".format, inner),
        st.builds("{} BETWEEN {} AND {}".format, ATOMS, ATOMS, inner),
        st.builds("CASE WHEN {} THEN {} ELSE {} END".format, inner, inner, inner),
    ),
    max_leaves=6,
)
VALUES = st.sampled_from(
    ["9", "coalesce(v, 9)", "ifnull(w, 9)", "coalesce(v, 9) + 1", "coalesce(9, v)", "nullif(v, 1)", "v", "(w)"]
)


def filled() -> Engine:
    engine = Engine.memory()
    engine.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, v, w)")
    engine.ask_many("INSERT INTO t (v, w) VALUES (?, ?)", list(product((None, 0, 1, "x"), repeat=2)))
    return engine


@given(VALUES, VALUES, CONDITIONS | st.none())
def test_what_is_only_filled_keeps_every_value(v: str, w: str, condition: str | None) -> None:
    sql = f"UPDATE t SET v = {v}, w = {w}{f' WHERE {condition}' if condition else ''};"
    engine = filled()
    before = engine.ask("SELECT id, v, w FROM t")
    engine.execute(sql)
    after = {row[0]: row for row in engine.ask("SELECT id, v, w FROM t")}
    for place, column in ((1, "v"), (2, "w")):
        if column in fills(sql):
            assert all(after[row[0]][place] == row[place] for row in before if row[place] is not None), sql


@pytest.mark.parametrize(
    ("sql", "columns"),
    [
        ("UPDATE t SET v = upper(k) WHERE v IS NULL", {"v"}),
        ("UPDATE t SET v = 1 WHERE id BETWEEN :from AND :to AND v IS NULL", {"v"}),
        ('UPDATE OR IGNORE "t" SET "V" = 1, w = 2 WHERE w = 3 AND v isnull', {"v"}),
        ("UPDATE t SET v = coalesce(v, w), w = 0", {"v"}),
        ("UPDATE t SET v = 1", set()),
        ("UPDATE t SET v = 1 WHERE v IS NULL OR w", set()),
        ("UPDATE t SET v = 1 WHERE id IN (SELECT id FROM u WHERE v IS NULL)", set()),
        ("INSERT INTO t (v) VALUES (1) ON CONFLICT DO UPDATE SET v = 1 WHERE v IS NULL", set()),
        ("WITH x AS (SELECT 1) UPDATE t SET v = 1 WHERE v IS NULL", set()),
    ],
)
def test_the_plain_forms_are_known(sql: str, columns: set[str]) -> None:
    assert fills(sql) == columns


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("INSERT OR REPLACE INTO t VALUES (1)", True),
        ("REPLACE INTO t VALUES (1)", True),
        ("CREATE TABLE t (k UNIQUE ON CONFLICT REPLACE)", True),
        ("CREATE TRIGGER x AFTER INSERT ON t BEGIN INSERT OR REPLACE INTO u VALUES (1); END", True),
        ("UPDATE t SET v = replace(v, 'a', 'b'), w = REPLACE (w, 'a', 'b')", False),
        ("INSERT INTO t VALUES ('REPLACE') -- replace", False),
    ],
)
def test_a_replacement_is_told_from_the_function(sql: str, expected: bool) -> None:
    assert replaces([sql]) is expected


@pytest.mark.parametrize(
    ("sql", "left_out"),
    [
        ("INSERT INTO n (id, v, w) SELECT id, NULL, coalesce(w, v) FROM u WHERE id > 1;", {"v"}),
        ('INSERT OR IGNORE INTO "N" ("ID", W) SELECT id, w FROM "U" ORDER BY 1', {"v"}),
        ("INSERT INTO n SELECT id, NULL, v FROM u", {"v", "w"}),
        ("INSERT INTO n SELECT id, v, w FROM u", set()),
        ("INSERT INTO n SELECT id, v FROM u", set()),
        ("INSERT INTO n (id, v) SELECT * FROM u", None),
        ("INSERT INTO n SELECT u.* FROM u", None),
        ("INSERT INTO n (id, v) SELECT u.id, x.v FROM u, x", None),
        ("INSERT INTO n (id, v) SELECT u.id, x.v FROM u JOIN x USING (id)", None),
        ("INSERT INTO n (id) VALUES (1)", None),
        ("INSERT INTO n SELECT 1", None),
        ("SELECT 1", None),
    ],
)
def test_a_copy_is_read_where_it_is_plain(sql: str, left_out: set[str] | None) -> None:
    copy = copied(sql)
    assert (copy and copy.left_out(["id", "v", "w"], ["id", "v", "w"])) == left_out
    assert copy is None or (copy.source, copy.target) == ("u", "n")
