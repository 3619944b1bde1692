"""Index advice: what the planner is asked, what is chosen, and that what is chosen is right."""

from __future__ import annotations

import time
from contextlib import closing
from typing import TYPE_CHECKING

import apsw
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d1ops.core.audit.advice.advise import Advice, Need, Scratch, advise
from d1ops.core.audit.advice.candidates import Candidate, candidates_of
from d1ops.core.audit.advice.changes import Change
from d1ops.core.audit.advice.lab import Budget
from d1ops.core.audit.advice.mend import mend
from d1ops.core.audit.advice.money import Prices, bills
from d1ops.core.audit.advice.samples import distinct_in, samples_of
from d1ops.core.audit.advice.scratch import EngineMeter
from d1ops.core.audit.advice.terms import Access, Comparison, Recorder, Term, Terms
from d1ops.core.audit.report import audit
from d1ops.core.engine import Engine
from d1ops.core.mirror import build_mirror, schema_of
from d1ops.core.queries import parse_queries
from d1ops.core.values import Statement
from d1ops.core.workload import Logged, Observed, Workload, merge

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

LEDGER = "d1_migrations"
SCHEMA = """
CREATE TABLE people (id INTEGER PRIMARY KEY, email TEXT COLLATE NOCASE, city TEXT, age INT, state TEXT, data TEXT);
CREATE TABLE posts (id INTEGER PRIMARY KEY, author INT, at INT, kind TEXT, body TEXT);
CREATE VIEW grown AS SELECT * FROM people WHERE age > 17;
"""
N = "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < {}) "
FILL = (
    f"INSERT INTO people {N.format(500)} SELECT i, 'P' || i || '@x', 'c' || (i % 25), i % 90,"
    " CASE WHEN i % 50 THEN 'done' ELSE 'open' END, '{\"n\":' || (i % 100) || '}' FROM n",
    f"INSERT INTO posts {N.format(3000)} SELECT i, 1 + i * 7 % 500, i * 13 % 5000, 'k' || (i % 4), 'b' FROM n",
)


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    engine = Engine(apsw.Connection(":memory:"))
    with engine.unlimited():
        engine.ask(SCHEMA)
        for sql in FILL:
            engine.ask(sql)
    with closing(engine):
        yield engine


def terms(engine: Engine, sql: str) -> Terms:
    schema = schema_of(engine)
    with closing(Recorder(engine, schema, frozenset(schema.tables()))) as recorder:
        return recorder.terms_of(sql)


def advice(
    engine: Engine, text: str, needs: Sequence[Need] = (), budget: Budget | None = None, log: Sequence[Logged] = ()
) -> Advice:
    workload: Workload = merge(parse_queries(text.encode(), "q.sql") if text else (), log, days=31)
    scratch = Scratch(engine, EngineMeter(engine, time.perf_counter), "generated")
    found = advise(schema_of(engine), (), workload, needs, scratch, ledger=LEDGER, budget=budget)
    assert not [o for o in schema_of(engine).objects if o.type == "index"]
    return found


def keys(engine: Engine, text: str) -> set[tuple[str, ...]]:
    found = advice(engine, text).indexes
    return {
        (index.table, *(key.strip('"') for key in index.keys), *([index.where] if index.where else []))
        for index in found
    }


# -- what the planner tells ------------------------------------------------------------------------------------------


def test_the_planner_tells_conditions_orders_and_parameters(engine: Engine) -> None:
    told = terms(engine, "SELECT * FROM people WHERE city = ?2 AND age > ?1 AND state = 'open' ORDER BY id LIMIT ?3")
    assert told.parameters == {1: Comparison("people", "age", ">"), 2: Comparison("people", "city", "=")}
    access = told.accesses[0]
    assert set(access.equals) == {Term("city"), Term("state")}
    assert access.ranges == (Term("age"),)
    assert access.order == (Term("id"),)
    assert ("state", "open") in access.constants


@pytest.mark.parametrize(
    ("sql", "equals"),
    [
        ("SELECT * FROM people WHERE email = ? COLLATE BINARY", Term("email", "BINARY")),
        ("SELECT 1 FROM grown WHERE city = 'c1'", Term("city")),
        ("UPDATE people SET age = 1 WHERE city = ? RETURNING id", Term("city")),
        ("DELETE FROM people WHERE city IS NULL", Term("city")),
        ("INSERT INTO posts (author) SELECT id FROM people WHERE city = ? ON CONFLICT DO NOTHING", Term("city")),
        ("WITH a AS (SELECT id FROM people WHERE city = ?) SELECT * FROM posts, a", Term("city")),
        ("SELECT * FROM posts WHERE EXISTS (SELECT 1 FROM people p WHERE p.city = posts.kind)", Term("city")),
    ],
)
def test_every_form_of_query_is_understood(engine: Engine, sql: str, equals: Term) -> None:
    assert any(equals in access.equals for access in terms(engine, sql).accesses if access.table == "people")


def test_what_cannot_be_prepared_tells_nothing(engine: Engine) -> None:
    assert terms(engine, "SELECT * FROM nowhere WHERE a = 1") == Terms((), {})
    assert terms(engine, "SELECT 1") == Terms((), {})


def test_parameters_get_values_that_are_there(engine: Engine) -> None:
    sql = "SELECT * FROM people WHERE city = ?1 AND age BETWEEN ?2 AND ?3 AND lower(email) = ?4 LIMIT ?5"
    schema = schema_of(engine)
    with closing(Recorder(engine, schema, frozenset(schema.tables()))) as recorder:
        told = recorder.terms_of(sql)
        values = samples_of(engine, sql, 5, told.parameters, recorder.columns)
    assert len(values) == 3
    assert values == samples_of(engine, sql, 5, told.parameters, recorder.columns)
    for city, low, high, email, limit in values:
        assert engine.count("people") == 500
        assert engine.ask("SELECT 1 FROM people WHERE city = ? AND email = ?", (city, email))
        assert isinstance(low, int)
        assert isinstance(high, int)
        assert low < high
        assert limit == 20


# -- what is chosen --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("SELECT * FROM people WHERE id = ?1;", set()),
        ("SELECT * FROM people;", set()),
        ("SELECT * FROM posts WHERE author = ?1;", {("posts", "author")}),
        ("SELECT * FROM posts WHERE author = ?1 ORDER BY at DESC LIMIT 1;", {("posts", "author", "at")}),
        ("SELECT * FROM people WHERE lower(email) = ?1;", {("people", "lower(email)")}),
        ("SELECT * FROM people p WHERE p.data ->> '$.n' = 7;", {("people", "data ->> '$.n'")}),
        (
            "SELECT * FROM posts WHERE author = ?1; SELECT * FROM posts WHERE author = ?1 AND at > ?2;",
            {("posts", "author", "at")},
        ),
        (
            "SELECT p.id FROM people p JOIN posts o ON o.author = p.id WHERE p.city = ?1;",
            {("people", "city"), ("posts", "author")},
        ),
    ],
)
def test_the_index_that_serves_and_no_other(engine: Engine, text: str, expected: set[tuple[str, ...]]) -> None:
    assert keys(engine, text) == expected


def test_a_partial_index_where_the_condition_is_rare(engine: Engine) -> None:
    found = advice(engine, "SELECT * FROM people WHERE state = 'open' AND age > 5 ORDER BY age LIMIT 5;")
    (effect,) = found.effects
    assert effect.is_mended
    (index,) = found.indexes
    assert "state" in f"{index.keys} {index.where}"


WORDS = st.sampled_from(
    [
        "SELECT * FROM people WHERE city = ?1",
        "SELECT * FROM people WHERE city = ?1 AND age = ?2",
        "SELECT * FROM people WHERE age > ?1 ORDER BY age LIMIT 3",
        "SELECT * FROM people WHERE email = ?1",
        "SELECT count(*) FROM people WHERE state = 'open'",
        "SELECT city, count(*) FROM people WHERE age = ?1 GROUP BY city",
        "SELECT * FROM posts WHERE author = ?1 ORDER BY at",
        "SELECT * FROM posts WHERE author = ?1 AND kind = ?2",
        "SELECT * FROM posts WHERE kind = ?1 OR author = ?2",
        "SELECT max(at) FROM posts WHERE author = ?1",
        "SELECT p.email FROM people p JOIN posts o ON o.author = p.id WHERE o.kind = ?1 AND p.city = ?2",
        "DELETE FROM posts WHERE author = ?1 AND at < ?2",
        "UPDATE people SET state = 'done' WHERE city = ?1",
    ]
)


@settings(max_examples=12, deadline=None)
@given(st.lists(WORDS, min_size=1, max_size=6, unique=True))
def test_no_query_is_worse_and_no_index_is_idle(engine: Engine, texts: list[str]) -> None:
    found = advice(engine, "".join(f"{text};\n" for text in texts))
    before = [engine.count("people"), engine.count("posts")]
    assert before == [500, 3000], "what a query writes on the scratch database is undone"
    for effect in found.effects:
        assert effect.rows_read_before is not None
        assert effect.rows_read_after is not None
        assert effect.rows_read_after <= effect.rows_read_before * 1.05 + 1
    for index in found.indexes:
        assert index.queries or index.queries_kept, "every index has a reason"
        assert any(index.name in effect.indexes for effect in found.effects)
    names = [index.name for index in found.indexes]
    assert len(set(names)) == len(names)
    candidates = [Candidate(index.table, index.keys, index.where) for index in found.indexes]
    assert not [1 for one in candidates for other in candidates if one != other and one.starts_with(other)]


def test_what_a_foreign_key_needs_is_there_or_wider(engine: Engine) -> None:
    need = Need("CREATE INDEX IF NOT EXISTS idx_posts_author ON posts (author);", "posts (author)")
    alone = advice(engine, "", [need])
    assert [index.create_sql for index in alone.indexes] == [need.create_sql]
    wider = advice(engine, "SELECT * FROM posts WHERE author = ?1 ORDER BY at DESC LIMIT 1;", [need])
    (index,) = wider.indexes
    assert index.keys[0] == "author"
    assert index.foreign_keys == ("posts (author)",)


def test_many_columns_give_few_candidates_and_the_telling_ones_lead() -> None:
    engine = Engine.memory()
    names = [f"c{number}" for number in range(30)]
    with engine.unlimited():
        engine.ask(f"CREATE TABLE wide (id INTEGER PRIMARY KEY, {' INT, '.join(names)} INT)")
        values = ", ".join({"c17": "i % 40", "c23": "i / 40"}.get(name, "i % 2") for name in names)
        engine.ask(f"INSERT INTO wide {N.format(1000)} SELECT i, {values} FROM n")
    schema = schema_of(engine)
    sql = f"SELECT * FROM wide WHERE {' AND '.join(f'{name} = ?' for name in names)}"
    with closing(engine):
        with closing(Recorder(engine, schema, frozenset(schema.tables()))) as recorder:
            accesses = recorder.terms_of(sql).accesses
            tried = candidates_of(accesses, recorder.columns, distinct_in(engine))
        assert {("c17",), ("c23",), ("c17", "c23"), ("c29",)} < {one.keys for one in tried}
        assert {len(one.keys) for one in tried} == {1, 2, 8}
        assert len(tried) <= 50
        (index,) = advice(engine, f"{sql};").indexes
    assert {"c17", "c23"} <= set(index.keys)


def test_an_insert_is_not_told_with_the_index_of_a_check_that_it_skips() -> None:
    engine = Engine.memory()
    with engine.unlimited():
        engine.ask("CREATE TABLE source (id INTEGER PRIMARY KEY, state TEXT)")
        engine.ask("CREATE TABLE parent (id INTEGER PRIMARY KEY, n INT)")
        engine.ask("CREATE TABLE child (id INTEGER PRIMARY KEY, parent INT REFERENCES parent (id))")
        engine.ask(f"INSERT INTO source {N.format(300)} SELECT i, 's' || (i % 50) FROM n")
    need = Need("CREATE INDEX IF NOT EXISTS idx_child_parent ON child (parent);", "child (parent)")
    text = (
        "INSERT INTO parent (id, n) SELECT id, 1 FROM source WHERE state = ?1;"
        "DELETE FROM parent WHERE id = (SELECT id FROM source WHERE state = ?1);"
    )
    with closing(engine):
        found = advice(engine, text, [need])
    inserting, deleting = found.effects
    assert any("child" in line for line in inserting.plan_after)
    assert inserting.indexes == ("idx_source_state",)
    assert deleting.indexes == ("idx_child_parent", "idx_source_state"), "a deleted row is looked for among children"


def test_the_budget_of_a_table_is_kept_and_said(engine: Engine) -> None:
    text = "".join(f"SELECT * FROM people WHERE {column} = ?1;" for column in ("city", "age", "email"))
    found = advice(engine, text, budget=Budget(max_indexes=1))
    assert len(found.indexes) == 1
    assert found.over_budget


def test_an_index_that_costs_more_writes_than_it_saves_is_not_advised(engine: Engine) -> None:
    def log(reads: int, writes: int) -> list[Logged]:
        found = parse_queries(b"SELECT * FROM posts WHERE author = ?1; INSERT INTO posts (author) VALUES (?1);", "")
        figures = [Observed(reads, reads * 3000.0, 0, 0, 31), Observed(writes, 0, float(writes), 0, 31)]
        return [Logged(query, one) for query, one in zip(found, figures, strict=True)]

    assert len(advice(engine, "", log=log(1_000_000, 10)).indexes) == 1
    assert advice(engine, "", log=log(10, 1_000_000)).indexes == ()


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
PAIRS = "SELECT count(*) FROM t x, t y WHERE x.b = y.b AND x.a = 1 AND y.a = 1"


def test_indexes_are_found_beside_a_query_that_never_ends_and_none_that_lets_one_go_on_for_ever() -> None:
    engine = Engine.memory()
    with engine.unlimited():
        engine.ask("CREATE TABLE t (id INTEGER PRIMARY KEY, a INT, b INT, c TEXT)")
        engine.ask(f"INSERT INTO t {N.format(2000)} SELECT i, i > 5, i, 'c' FROM n")
    workload = merge(parse_queries(f"SELECT c FROM t WHERE a = 0; {PAIRS}; {ENDLESS};".encode(), "q.sql"))
    # Where a alone has an index, SQLite makes none on the fly for the pairs, and they take 24 million steps.
    meter = EngineMeter(engine, time.perf_counter, most_steps=1_000_000)
    with closing(engine):
        found = advise(schema_of(engine), (), workload, (), Scratch(engine, meter, "generated"), ledger=LEDGER)
    few, pairs, endless = found.effects
    assert (few.is_mended, few.not_run, pairs.is_worse, pairs.not_run) == (True, None, False, None)
    assert "instructions" in (endless.not_run or "")


def test_money_follows_what_the_log_counted(engine: Engine) -> None:
    (query,) = parse_queries(b"SELECT * FROM posts WHERE author = ?1;", "")
    found = advice(engine, "", log=[Logged(query, Observed(31_000, 93_000_000.0, 0, 0, 31))])
    (bill,) = bills(found.effects, Prices())
    assert bill.executions == 30_000
    assert bill.rows_read_before == 90_000_000
    assert bill.cost_before == pytest.approx(0.09)
    assert bill.rows_read_after < bill.rows_read_before / 50
    assert bill.cost_after == pytest.approx(bill.rows_read_after / 1e6 * 0.001)


@pytest.mark.parametrize(
    ("sql", "rows"),
    [
        ("SELECT count(*) FROM posts", 3000),
        ("SELECT (SELECT count(*) FROM posts), email FROM people", 3500),
        ("SELECT count(*) FROM people WHERE id = 1", 1),
    ],
)
def test_an_estimate_has_the_rows_that_sqlite_counts_by_the_page(engine: Engine, sql: str, rows: int) -> None:
    meter = EngineMeter(engine, time.perf_counter)
    cost = meter.measure([Statement(sql)])
    assert cost is not None
    assert cost.rows_read == pytest.approx(rows, abs=1)


# -- the migration ---------------------------------------------------------------------------------------------------


def test_the_migration_mends_and_its_rollback_takes_it_back() -> None:
    engine = Engine.memory()
    with engine.unlimited():
        engine.ask("CREATE TABLE p (id INTEGER PRIMARY KEY)")
        engine.ask("CREATE TABLE c (id INTEGER PRIMARY KEY, p INT REFERENCES p (id) ON DELETE CASCADE, n INT)")
    schema = schema_of(engine)
    report = audit(schema, (), (), LEDGER)
    made = mend(schema, (), (), LEDGER, report.findings, ())
    assert made is not None
    assert made.mended == tuple(finding.key for finding in report.findings if finding.fix_sql)
    assert "-- c (p) references p" in made.migration
    again = build_mirror(schema.objects)
    with again.unlimited():
        again.ask(made.migration)
        assert not audit(schema_of(again), (), (), LEDGER).findings
        again.ask(made.rollback)
    assert schema_of(again) == schema
    assert mend(schema_of(engine), (), (), LEDGER, (), ()) is None


def test_what_a_new_index_makes_superfluous_is_a_finding_and_not_dropped_unasked() -> None:
    engine = Engine.memory()
    with engine.unlimited():
        engine.ask("CREATE TABLE t (id INTEGER PRIMARY KEY, a INT, b INT)")
        engine.ask("CREATE INDEX old ON t (a)")
    queries = parse_queries(b"SELECT * FROM t WHERE a = ?1 AND b = ?2;", "q.sql")
    wider = Change("CREATE INDEX IF NOT EXISTS idx_t_a_b ON t (a, b);", ("serves a query",))
    made = mend(schema_of(engine), (), queries, LEDGER, (), [wider])
    assert made is not None
    assert made.statements == (wider.sql,)
    with engine.unlimited():
        engine.ask(wider.sql)
    dropping = audit(schema_of(engine), (), queries, LEDGER).findings
    again = mend(schema_of(engine), (), queries, LEDGER, dropping, ())
    assert again is not None
    assert again.statements == ("DROP INDEX IF EXISTS old;",)
    assert "CREATE INDEX old ON t (a);" in again.rollback


def test_what_the_advice_mends_is_not_mended_once_more() -> None:
    engine = Engine.memory()
    with engine.unlimited():
        engine.ask("CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT UNIQUE)")
    queries = parse_queries(b"SELECT * FROM users WHERE lower(email) = lower(?1);", "q.sql")
    findings = audit(schema_of(engine), (), queries, LEDGER).findings
    assert [one.rule for one in findings if one.fix_sql] == ["defeated-index"]
    own = Change("CREATE INDEX IF NOT EXISTS idx_users_lower_email ON users (lower(email));", ("serves a query",))
    made = mend(schema_of(engine), (), queries, LEDGER, findings, [own])
    assert made is not None
    assert (made.statements, made.new) == ((own.sql,), ())
    assert {one.key for one in findings if one.fix_sql} <= set(made.mended)


def test_an_index_is_not_dropped_where_a_query_would_get_a_warning() -> None:
    engine = Engine.memory()
    with engine.unlimited():
        engine.ask("CREATE TABLE t (id INTEGER PRIMARY KEY, a INT, b INT)")
        engine.ask("CREATE INDEX i ON t (a)")
    queries = parse_queries(b"-- name: by a\nSELECT * FROM t WHERE a = ?1;", "q.sql")
    makes, drops = Change("CREATE INDEX j ON t (b);", ("yes",)), Change("DROP INDEX i;", ("no",))
    made = mend(schema_of(engine), (), queries, LEDGER, (), [makes, drops])
    assert made is not None
    assert (made.statements, made.unmended, made.new) == ((makes.sql,), (drops.sql,), ())
    told = mend(schema_of(engine), (), queries, LEDGER, (), [drops])
    assert told is not None
    assert [key.partition(" ")[0] for key in told.new] == ["full-scan"]


def test_an_index_whose_definition_ends_with_a_comment_is_dropped_and_made_again() -> None:
    engine = Engine.memory()
    with engine.unlimited():
        engine.ask("CREATE TABLE t (id INTEGER PRIMARY KEY, a INT)")
        engine.ask("CREATE INDEX i ON t (a)")
        engine.ask("CREATE INDEX j ON t (a) -- by hand")
    findings = audit(schema_of(engine), (), (), LEDGER).findings
    (duplicate,) = [one for one in findings if one.rule == "duplicate-index"]
    made = mend(schema_of(engine), (), (), LEDGER, findings, ())
    assert made is not None
    with engine.unlimited():
        engine.ask(made.migration)
        engine.ask(duplicate.rollback_sql or "")
        engine.ask(made.migration)
        engine.ask(made.rollback)
    assert [one.key for one in audit(schema_of(engine), (), (), LEDGER).findings] == [one.key for one in findings]


def test_a_proposal_that_does_more_than_indexes_is_left_to_a_person() -> None:
    engine = Engine.memory()
    with engine.unlimited():
        engine.ask("CREATE TABLE t (id INTEGER PRIMARY KEY, a INT)")
    others = [
        Change("DROP TABLE t;", ("no",)),
        Change("CREATE INDEX i ON t (a);", ("yes",)),
        Change("nonsense", ("no",)),
    ]
    made = mend(schema_of(engine), (), (), LEDGER, (), others)
    assert made is not None
    assert (made.statements, made.unmended) == (("CREATE INDEX i ON t (a);",), ("DROP TABLE t;", "nonsense"))


def test_accesses_are_values() -> None:
    assert Access("t") == Access("t")
    assert Candidate("t", ("a", "b")).starts_with(Candidate("t", ("a",)))
    assert not Candidate("t", ("a", "b")).starts_with(Candidate("t", ("b",)))
    assert not Candidate("t", ("a", "b")).starts_with(Candidate("t", ("a",), "b = 1"))
    assert Candidate("t", ('"or der"', "lower(x) COLLATE NOCASE")).words == ("t", "or_der", "lower", "x", "NOCASE")
