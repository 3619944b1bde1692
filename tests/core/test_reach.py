"""On a copy of what it depends on a script does what it does on the whole, and it touches nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING

import apsw
from hypothesis import given, settings
from hypothesis import strategies as st

from d1ops.core.engine import Engine
from d1ops.core.mirror import build_mirror, schema_of
from d1ops.core.reach import EVERYTHING, Closure, reach, watching_reach
from d1ops.core.replay import run_script
from d1ops.core.rules import is_reserved
from d1ops.core.sql import fold, quote_identifier, split
from d1ops.errors import StatementRejected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.sql import ScriptStatement
    from d1ops.core.values import Row

TABLES = 6
ROWS = 4
ACTIONS = [
    "",
    " ON DELETE CASCADE",
    " ON DELETE SET NULL",
    " ON UPDATE CASCADE ON DELETE SET DEFAULT",
    " ON DELETE RESTRICT",
]


@st.composite
def schemas(draw: st.DrawFn) -> list[str]:
    """Six tables that refer to one another (or themselves), with views, triggers and a full-text index, and rows."""
    statements = []
    for number in range(TABLES):
        parent = draw(st.integers(0, number))
        action = draw(st.sampled_from(ACTIONS))
        key = draw(st.sampled_from(["INTEGER PRIMARY KEY", "INTEGER PRIMARY KEY AUTOINCREMENT", "INT PRIMARY KEY"]))
        link = f"INTEGER DEFAULT NULL REFERENCES t{parent} (id){action}" if draw(st.booleans()) else "INTEGER"
        rest = " WITHOUT ROWID" if key == "INT PRIMARY KEY" and draw(st.booleans()) else ""
        statements.append(f"CREATE TABLE t{number} (id {key}, a INTEGER, b TEXT UNIQUE, p {link}){rest}")
    some = st.integers(0, TABLES - 1)
    if draw(st.booleans()):
        statements.append(
            f"CREATE VIEW v AS SELECT id, a, (SELECT count(*) FROM t{draw(some)}) AS n FROM t{draw(some)}"
        )
        statements.append(
            f"CREATE TRIGGER vi INSTEAD OF DELETE ON v BEGIN DELETE FROM t{draw(some)} WHERE id = old.id; END"
        )
    for number in range(draw(st.integers(0, 2))):
        event = draw(st.sampled_from(["INSERT", "UPDATE", "DELETE"]))
        body = draw(
            st.sampled_from(
                [
                    "UPDATE t{0} SET a = (SELECT sum(a) FROM t{1})",
                    "DELETE FROM t{0} WHERE id IN (SELECT a FROM t{1})",
                    "INSERT INTO t{0} (a) SELECT a FROM t{1} LIMIT 1",
                ]
            )
        ).format(draw(some), draw(some))
        statements.append(f"CREATE TRIGGER g{number} AFTER {event} ON t{draw(some)} BEGIN {body}; END")
    if draw(st.booleans()):
        statements.append(f"CREATE VIRTUAL TABLE f USING fts5(b, content='t{draw(some)}', content_rowid='id')")
        statements.append("INSERT INTO f (f) VALUES ('rebuild')")
    return statements


SCRIPTS = [
    "UPDATE t{0} SET a = a + 1 WHERE id IN (SELECT p FROM t{1})",
    "UPDATE t{0} SET id = id + 10",
    "UPDATE t{0} SET a = 1",
    "DELETE FROM t{0}",
    "DELETE FROM t{0} WHERE id % 2",
    "CREATE UNIQUE INDEX u ON t{0} ((1))",
    "UPDATE t{0} SET b = (SELECT b FROM f LIMIT 1) WHERE id = 1",
    "INSERT OR REPLACE INTO t{0} (id, a, b, p) SELECT id, a, 'new' || id, p FROM t{1}",
    "INSERT INTO t{0} SELECT * FROM t{1} WHERE id > 99",
    "DROP TABLE t{0}",
    "ALTER TABLE t{0} DROP COLUMN a",
    "ALTER TABLE t{0} RENAME TO renamed",
    "ALTER TABLE t{0} ADD COLUMN c INTEGER NOT NULL DEFAULT 1 CHECK (c > 0)",
    "CREATE TABLE made AS SELECT x.a, y.b FROM t{0} x JOIN t{1} y ON x.id = y.id",
    "CREATE UNIQUE INDEX u ON t{0} (a)",
    "PRAGMA defer_foreign_keys=ON; CREATE TABLE n (id INTEGER PRIMARY KEY, a, b TEXT UNIQUE, p);"
    " INSERT INTO n SELECT * FROM t{0}; DROP TABLE t{0}; ALTER TABLE n RENAME TO t{0}",
    "DELETE FROM v",
    "INSERT INTO f (f) VALUES ('rebuild')",
    "UPDATE t{0} SET a = (SELECT count(*) FROM f WHERE f MATCH 'b1')",
    "UPDATE t{0} SET a = (SELECT count(*) FROM pragma_foreign_key_check('t{1}'))",
    "WITH w AS (SELECT max(id) AS m FROM t{0}) UPDATE t{1} SET a = (SELECT m FROM w)",
]


def fill(engine: Engine) -> None:
    with engine.unlimited():
        for number in range(TABLES):
            rows = [(at, at * 7 % 5, f"b{at}", 1 + at % ROWS if number % 2 else None) for at in range(1, ROWS + 1)]
            engine.ask_many(f"INSERT INTO t{number} (id, a, b, p) VALUES (?, ?, ?, ?)", rows)


def part_of(whole: Engine, held: frozenset[str]) -> Engine:
    """A copy with the rows of some tables."""
    part = build_mirror(schema_of(whole).objects)
    part.connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
    with part.unlimited():
        tables = {str(n) for (n,) in part.ask("SELECT name FROM pragma_table_list WHERE type IN ('table', 'shadow')")}
        for table in sorted(tables):
            if table == "sqlite_sequence" or (fold(table) in held and not is_reserved(table)):
                name = quote_identifier(table)
                part.ask(f"DELETE FROM {name}")
                rows = whole.ask(f"SELECT * FROM {name}")
                if rows:
                    part.ask_many(f"INSERT INTO {name} VALUES ({', '.join('?' * len(rows[0]))})", rows)
    part.connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 1)
    return part


def dump(engine: Engine, tables: set[str]) -> dict[str, list[Row]]:
    there = [
        str(n) for (n,) in engine.ask("SELECT name FROM pragma_table_list WHERE type = 'table' AND schema = 'main'")
    ]
    return {
        table: engine.ask(f"SELECT * FROM {quote_identifier(table)} ORDER BY 1, 2")
        for table in there
        if fold(table) in tables
    }


@settings(max_examples=250, deadline=None)
@given(schemas(), st.lists(st.tuples(st.sampled_from(SCRIPTS), st.integers(0, 5), st.integers(0, 5)), max_size=3))
def test_a_script_does_the_same_on_what_it_depends_on(schema: list[str], chosen: list[tuple[str, int, int]]) -> None:
    whole = Engine.memory()
    for statement in schema[:TABLES]:
        whole.ask(statement)
    fill(whole)
    for statement in schema[TABLES:]:
        whole.ask(statement)
    scripts = [split(f"{text.format(first, second)};") for text, first, second in chosen]
    found = reach(build_mirror(schema_of(whole).objects), scripts)
    if found is None:
        looks_at_all = any("foreign_key_check" in text for text, *_ in chosen)
        assert looks_at_all or _run(build_mirror(schema_of(whole).objects), scripts)[0] is not None
        return
    part = part_of(whole, found)
    names = {f"t{number}" for number in range(TABLES)}
    before = dump(whole, names - found)
    verdicts = []
    for engine in (whole, part):
        with watching_reach(engine) as seen:
            verdicts.append(_run(engine, scripts))
        belonging = Closure.of(build_mirror(schema_of(whole).objects))
        assert EVERYTHING not in seen
        assert belonging.closed(seen) <= found | {"made", "n", "renamed"}
    assert verdicts[0] == verdicts[1]
    assert dump(whole, set(found) | {"made", "renamed"}) == dump(part, set(found) | {"made", "renamed"})
    after = dump(whole, names - found)
    assert after == before


def _run(engine: Engine, scripts: Sequence[tuple[ScriptStatement, ...]]) -> tuple[str | None, int]:
    started = engine.connection.total_changes()
    try:
        for script in scripts:
            run_script(engine, script)
    except StatementRejected as error:
        return error.text, 0
    return None, engine.connection.total_changes() - started


def test_a_full_text_index_needs_the_table_that_holds_its_text() -> None:
    mirror = Engine.memory()
    for statement in (
        "CREATE TABLE docs (id INTEGER PRIMARY KEY, body TEXT)",
        "CREATE TABLE apart (id INTEGER PRIMARY KEY)",
        "CREATE TABLE hits (n)",
        """CREATE VIRTUAL TABLE "found" USING fts5(body, content='Docs', content_rowid='id')""",
        "CREATE VIRTUAL TABLE words USING fts5vocab('found', 'row')",
    ):
        mirror.ask(statement)
    script = split("UPDATE hits SET n = (SELECT count(*) FROM words);")
    shadows = {"found_config", "found_data", "found_docsize", "found_idx"}
    assert reach(mirror, [script]) == frozenset({"hits", "words", "found", "docs", *shadows})
    assert reach(mirror, [script], also=["apart"]) == frozenset({"hits", "words", "found", "docs", "apart", *shadows})


def test_a_script_that_lacks_rows_still_shows_what_it_depends_on() -> None:
    mirror = Engine.memory()
    for table in ("roles (id INTEGER PRIMARY KEY)", "grants (role NOT NULL REFERENCES roles (id))", "apart (id)"):
        mirror.ask(f"CREATE TABLE {table}")
    needy = split("INSERT INTO grants VALUES ((SELECT max(id) FROM roles));")
    later = split("ALTER TABLE apart ADD COLUMN more;")
    assert reach(mirror, [needy]) == frozenset({"roles", "grants"})
    assert reach(mirror, [needy, later]) == frozenset({"roles", "grants", "apart"})
    hidden = split("UPDATE apart SET id = 1; SELECT * FROM pragma_quick_check('apart');")
    assert reach(mirror, [needy, hidden]) is None
