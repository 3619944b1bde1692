"""Every rule of schemas and indexes: what it finds, what it leaves alone, and that its fix makes it go away."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from d1ops.core.audit.finding import Finding, Severity
from d1ops.core.audit.foreign_keys import Breakage, read_foreign_keys
from d1ops.core.audit.plans import plan_of, trees_of
from d1ops.core.audit.report import Report, audit, judge
from d1ops.core.audit.rows import RowCount, Source
from d1ops.core.audit.subject import RemotePlan, examine, rebuild
from d1ops.core.engine import Engine
from d1ops.core.mirror import schema_of
from d1ops.core.queries import parse_queries
from d1ops.core.sql import quote_identifier, split
from tests.support.schemas import draw_schema

if TYPE_CHECKING:
    from random import Random

LEDGER = "d1_migrations"


def built(script: str) -> Engine:
    engine = Engine.memory()
    for statement in split(script):
        engine.ask(statement.sql)
    return engine


def audited(script: str, queries: str = "") -> Report:
    parsed = parse_queries(queries.encode(), "queries.sql") if queries else ()
    return audit(schema_of(built(script)), (), parsed, LEDGER)


def found(script: str, rule: str, queries: str = "") -> list[Finding]:
    return [finding for finding in audited(script, queries).findings if finding.rule == rule]


# -- indexes that do no work ---------------------------------------------------------------------------

T = "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT COLLATE NOCASE, c TEXT UNIQUE, d, UNIQUE (a, b));"
SURPLUS = ("duplicate-index", "prefix-index", "index-repeats-key")


@pytest.mark.parametrize(
    ("indexes", "expected"),
    [
        ("CREATE INDEX i ON t (d); CREATE INDEX j ON t (d);", [("duplicate-index", "j", ("i",))]),
        ("CREATE INDEX i ON t (d); CREATE UNIQUE INDEX j ON t (d);", [("duplicate-index", "i", ("j",))]),
        ("CREATE INDEX i ON t (b); CREATE INDEX j ON t (b COLLATE NOCASE);", [("duplicate-index", "j", ("i",))]),
        ("CREATE INDEX i ON t (b); CREATE INDEX j ON t (b COLLATE BINARY);", []),
        ("CREATE INDEX i ON t (d); CREATE INDEX j ON t (d DESC);", []),
        ("CREATE INDEX i ON t (d) WHERE a > 1; CREATE INDEX j ON t (d);", []),
        ("CREATE INDEX i ON t (d) WHERE a > 1; CREATE INDEX j ON t(d)where A>1;", [("duplicate-index", "j", ("i",))]),
        ("CREATE INDEX i ON t (d) WHERE a > 1; CREATE INDEX j ON t (d) WHERE a > 2;", []),
        ("CREATE INDEX i ON t (lower(d)); CREATE INDEX j ON t (LOWER( d ));", [("duplicate-index", "j", ("i",))]),
        ("CREATE INDEX i ON t (lower(d)); CREATE INDEX j ON t (upper(d));", []),
        ("CREATE INDEX i ON t (d); CREATE INDEX j ON t (d, a);", [("prefix-index", "i", ("j",))]),
        (
            "CREATE INDEX i ON t (d); CREATE INDEX j ON t (d, a); CREATE INDEX k ON t (d, a, c);",
            [("prefix-index", "i", ("k",)), ("prefix-index", "j", ("k",))],
        ),
        ("CREATE UNIQUE INDEX i ON t (d); CREATE INDEX j ON t (d, a);", []),
        ("CREATE INDEX i ON t (d); CREATE INDEX j ON t (d, a) WHERE a > 1;", []),
        ("CREATE INDEX i ON t (d DESC); CREATE INDEX j ON t (d, a);", []),
        ("CREATE INDEX i ON t (a);", [("prefix-index", "i", ("sqlite_autoindex_t_2",))]),
        ("CREATE INDEX i ON t (c);", [("index-repeats-key", "i", ("sqlite_autoindex_t_1",))]),
        ("CREATE UNIQUE INDEX i ON t (a, b);", [("index-repeats-key", "i", ("sqlite_autoindex_t_2",))]),
        ("CREATE INDEX i ON t (a, b COLLATE BINARY);", []),
        ("CREATE INDEX i ON t (id);", [("index-repeats-key", "i", ())]),
        ("CREATE INDEX i ON t (b, a);", []),
        (
            "CREATE TABLE w (a, b, PRIMARY KEY (a, b)) WITHOUT ROWID; CREATE INDEX i ON w (a, b);",
            [("index-repeats-key", "i", ())],
        ),
    ],
)
def test_an_index_is_surplus_when_another_does_all_of_its_work(
    indexes: str, expected: list[tuple[str, str, tuple[str, ...]]]
) -> None:
    report = audited(T + indexes)
    surplus = [finding for finding in report.findings if finding.rule in SURPLUS]
    assert [(finding.rule, finding.index, finding.others) for finding in surplus] == expected
    fixed = audited(T + indexes + "".join(finding.fix_sql or "" for finding in surplus))
    assert not [finding for finding in fixed.findings if finding.rule in SURPLUS]


def test_an_index_whose_order_a_known_query_uses_is_not_surplus() -> None:
    script = T + "CREATE INDEX i ON t (d); CREATE INDEX j ON t (d, a);"
    assert found(script, "prefix-index", "SELECT * FROM t WHERE d = ?1 ORDER BY a;")
    assert not found(script, "prefix-index", "SELECT * FROM t WHERE d = ?1 ORDER BY id LIMIT 9;")
    assert not found(script, "prefix-index", "SELECT * FROM t INDEXED BY i WHERE d = ?1;")


@pytest.mark.parametrize(
    "query",
    [
        "SELECT max(id) FROM t WHERE d = ?1;",
        "SELECT min(id) FROM t WHERE d = ?1;",
        "SELECT a, (SELECT max(id) FROM t WHERE d = o.a) FROM t AS o;",
    ],
)
def test_an_index_by_whose_order_a_known_query_ends_early_is_not_surplus(query: str) -> None:
    script = T + "CREATE INDEX i ON t (d); CREATE INDEX j ON t (d, a);"
    others = "SELECT b FROM t WHERE d = ?1 AND a > ?2; SELECT max(a) FROM t WHERE d = ?1;"
    assert found(script, "prefix-index", others)
    assert not found(script, "prefix-index", others + query)
    assert not found(script, "unused-index", others + query)
    twice = T + "CREATE INDEX i ON t (d); CREATE INDEX j ON t (d);"
    assert found(twice, "duplicate-index", query), "each does it as well"


def test_an_index_by_which_rows_are_all_but_sorted_is_not_surplus() -> None:
    script = "CREATE TABLE w (a, b, c, p, q, PRIMARY KEY (p, q)) WITHOUT ROWID;"
    script += "CREATE INDEX i ON w (a); CREATE INDEX j ON w (a, b);"
    assert found(script, "prefix-index", "SELECT c FROM w WHERE a = ?1;")
    assert not found(script, "prefix-index", "SELECT c FROM w WHERE a = ?1 ORDER BY p, b LIMIT 1;")


def test_a_unique_index_that_a_foreign_key_points_at_is_kept() -> None:
    script = (
        "CREATE TABLE p (a TEXT); CREATE INDEX i ON p (a); CREATE UNIQUE INDEX j ON p (a);"
        "CREATE TABLE c (a TEXT REFERENCES p (a)); CREATE INDEX k ON c (a); CREATE INDEX l ON c (a);"
    )
    surplus = found(script, "duplicate-index")
    assert {finding.index for finding in surplus} == {"i", "l"}
    fixed = audited(script + "".join(finding.fix_sql or "" for finding in surplus))
    assert fixed.summary.indexed_foreign_keys == 1
    assert {finding.rule for finding in fixed.findings} == {"table-without-primary-key"}


TERMS = st.lists(
    st.sampled_from(("a", "b", "c", "d", "d DESC", "b COLLATE BINARY", "lower(d)", "id")), min_size=1, max_size=3
)
INDEXES = st.lists(
    st.tuples(TERMS, st.sampled_from(("", "", "UNIQUE ")), st.sampled_from(("", "", " WHERE d > 1"))),
    min_size=1,
    max_size=5,
)
QUERIES = (
    "SELECT * FROM t WHERE d = ?1",
    "SELECT * FROM t WHERE d = ?1 ORDER BY id",
    "SELECT * FROM t WHERE a = ?1 AND d > 2 ORDER BY d DESC",
    "SELECT d FROM t ORDER BY d",
    "SELECT a FROM t WHERE b = ?1 COLLATE BINARY",
    "SELECT count(*) FROM t WHERE lower(d) = ?1",
    "UPDATE t SET b = ?1 WHERE c = ?2 OR d = ?3",
    "SELECT max(d) FROM t",
)


@given(INDEXES)
def test_dropping_all_that_is_surplus_makes_no_known_query_worse(
    indexes: list[tuple[list[str], str, str]],
) -> None:
    script = T + "".join(
        f"CREATE {unique}INDEX i{number} ON t ({', '.join(terms)}){where};"
        for number, (terms, unique, where) in enumerate(indexes)
    )
    queries = "".join(f"{query};" for query in QUERIES)
    report = audited(script, queries)
    surplus = [finding for finding in report.findings if finding.rule in SURPLUS]
    before, after = built(script), built(script + "".join(finding.fix_sql or "" for finding in surplus))
    for query in QUERIES:
        old, new = (plan_of(e, query, query.count("?"), trees_of(e, frozenset("t"))) for e in (before, after))
        assert len(new.whole_reads) <= len(old.whole_reads), (surplus, old, new)
        sorts = [sum("TEMP B-TREE" in line for line in plan.lines) for plan in (old, new)]
        assert sorts[1] <= sorts[0], (surplus, old, new)
    for finding in surplus:
        after.ask(finding.rollback_sql or "")
    assert set(schema_of(after).objects) == set(schema_of(before).objects)


def test_an_index_without_a_use_is_found_when_queries_are_known() -> None:
    script = (
        T + "CREATE INDEX i ON t (d); CREATE INDEX j ON t (b); CREATE UNIQUE INDEX k ON t (c, d);"
        "CREATE TABLE u (id INTEGER PRIMARY KEY, t_id INTEGER REFERENCES t); CREATE INDEX l ON u (t_id);"
    )
    assert not found(script, "unused-index")
    for query in ("SELECT * FROM t WHERE b = ?1;", "DELETE FROM t WHERE b = ?1;", "UPDATE t SET d = 1 WHERE b = ?1;"):
        (finding,) = found(script, "unused-index", query)
        assert (finding.index, finding.severity) == ("i", Severity.INFO)
        assert not found(script + (finding.fix_sql or ""), "unused-index", query)


# -- foreign keys that SQLite cannot check -------------------------------------------------------------

USED = "CREATE TABLE t (id INTEGER PRIMARY KEY, a INT, b INT, c INT, n TEXT);"


@pytest.mark.parametrize(
    ("script", "query", "gone"),
    [
        ("CREATE INDEX i ON t (a); CREATE INDEX j ON t (a);", "SELECT * FROM t WHERE a = ?", {"j"}),
        ("CREATE INDEX ac ON t (a, c); CREATE INDEX a ON t (a);", "SELECT * FROM t WHERE a = ?", {"a"}),
        ("CREATE INDEX a ON t (a); CREATE INDEX ac ON t (a, c);", "SELECT * FROM t WHERE a = ?", {"a"}),
        ("CREATE INDEX i ON t (a); CREATE INDEX j ON t (a);", "SELECT * FROM t WHERE id = ?", {"i", "j"}),
        (
            "CREATE INDEX i ON t (n COLLATE NOCASE); CREATE INDEX j ON t (n COLLATE NOCASE);",
            "SELECT id FROM t WHERE n LIKE ?",
            {"j"},
        ),
        # Where a plan could depend on a value, SQLite compiles a statement twice.
        (
            "CREATE INDEX i ON t (a); CREATE INDEX j ON t (b) WHERE n = 'x';",
            "DELETE FROM t WHERE a = ? AND n = ?",
            {"j"},
        ),
        # What the remedy needs is in use.
        ("CREATE UNIQUE INDEX k ON t (b); CREATE INDEX i ON t (n);", "SELECT * FROM t WHERE lower(n) = ?", set()),
        # Nobody knows what a query that does not compile would use.
        ("CREATE INDEX i ON t (a);", "SELECT absent FROM t WHERE a = ?", set()),
        # The schema asks for rows too.
        (
            "CREATE INDEX i ON t (a); CREATE VIEW v AS SELECT * FROM t WHERE a > 5;",
            "SELECT * FROM t WHERE id = ?",
            set(),
        ),
        (
            "CREATE INDEX ac ON t (a, c); CREATE INDEX a ON t (a);"
            " CREATE VIEW v AS SELECT * FROM t INDEXED BY a WHERE a > 5;",
            "SELECT * FROM t WHERE a = ? AND c = ?",
            set(),
        ),
        (
            "CREATE TABLE log (t_id INTEGER, at); CREATE INDEX i ON log (t_id); CREATE TRIGGER gone AFTER DELETE ON t"
            " BEGIN DELETE FROM log WHERE t_id = old.id; END;",
            "SELECT * FROM t WHERE id = ?",
            set(),
        ),
        (
            "CREATE TABLE log (t_id INTEGER, at); CREATE INDEX i ON log (t_id);"
            " CREATE TRIGGER moved AFTER UPDATE OF b ON t BEGIN"
            " INSERT INTO log SELECT new.id, count(*) FROM log INDEXED BY i WHERE t_id = new.id; END;",
            "SELECT * FROM t WHERE id = ?",
            set(),
        ),
        (
            "CREATE TABLE log (t_id INTEGER, at); CREATE INDEX i ON log (t_id); CREATE VIEW v AS SELECT * FROM t;"
            " CREATE TRIGGER into_v INSTEAD OF UPDATE ON v BEGIN DELETE FROM log WHERE t_id = old.id; END;",
            "SELECT * FROM t WHERE id = ?",
            set(),
        ),
    ],
)
def test_only_what_nothing_needs_may_go_and_all_that_goes_may_go_at_once(
    script: str, query: str, gone: set[str]
) -> None:
    script = USED + script
    findings = audited(script, f"-- name: q\n{query};\n").findings
    drops = [one for one in findings if one.fix_sql and one.fix_sql.startswith("DROP INDEX")]
    assert {one.index for one in drops} == gone
    after = audited(script + "".join(one.fix_sql or "" for one in drops), f"-- name: q\n{query};\n").findings
    assert {one.key for one in after} <= {one.key for one in findings}


@given(st.randoms(use_true_random=False))
def test_a_foreign_key_is_broken_when_an_insert_says_so(random: Random) -> None:
    drawn = draw_schema(random)
    engine = drawn.build()
    (key,) = read_foreign_keys(engine, frozenset((drawn.child,)))
    expected: Breakage | None = None
    try:
        engine.ask(f"EXPLAIN INSERT INTO {quote_identifier(drawn.child)} DEFAULT VALUES")
    except apsw.Error as error:
        expected = Breakage.MISMATCH if "mismatch" in str(error) else Breakage.NO_PARENT
    assert key.breakage is expected


@pytest.mark.parametrize(
    ("script", "breakage"),
    [
        ("CREATE TABLE p (a, b); CREATE TABLE c (x REFERENCES p (a));", "mismatch"),
        ("CREATE TABLE p (a UNIQUE, b); CREATE TABLE c (x REFERENCES p (a));", None),
        ("CREATE TABLE p (a, b); CREATE TABLE c (x REFERENCES p);", "mismatch"),
        (
            "CREATE TABLE p (a); CREATE UNIQUE INDEX i ON p (a) WHERE a > 1; CREATE TABLE c (x REFERENCES p (a));",
            "mismatch",
        ),
        (
            "CREATE TABLE p (a); CREATE UNIQUE INDEX i ON p (a COLLATE NOCASE); CREATE TABLE c (x REFERENCES p (a));",
            "mismatch",
        ),
        ("CREATE TABLE p (a, b, PRIMARY KEY (a, b)); CREATE TABLE c (x REFERENCES p);", "mismatch"),
        (
            "CREATE TABLE p (a UNIQUE); CREATE VIEW v AS SELECT * FROM p; CREATE TABLE c (x REFERENCES v (a));",
            "mismatch",
        ),
        ("CREATE TABLE c (x REFERENCES gone);", "no parent"),
    ],
)
def test_a_parent_that_is_missing_or_no_key_is_an_error(script: str, breakage: str | None) -> None:
    findings = found(script, "foreign-key-mismatch")
    assert [finding.facts["breakage"] for finding in findings] == ([breakage] if breakage else [])
    assert all(finding.severity is Severity.ERROR for finding in findings)


def test_each_of_several_foreign_keys_is_judged_alone() -> None:
    script = (
        "CREATE TABLE p (a UNIQUE, b); CREATE TABLE c (x REFERENCES p (a) REFERENCES p (b), y REFERENCES gone);"
        "CREATE TRIGGER g AFTER INSERT ON p BEGIN INSERT INTO nowhere VALUES (1); END;"
    )
    assert {(finding.columns, finding.others) for finding in found(script, "foreign-key-mismatch")} == {
        (("x",), ("p", "b")),
        (("y",), ("gone",)),
    }


@pytest.mark.parametrize(
    ("parent", "child", "severity"),
    [
        ("INTEGER", "INT", None),
        ("INTEGER", "TEXT", Severity.WARNING),
        ("INTEGER", "", Severity.WARNING),
        ("TEXT", "VARCHAR(9)", None),
        ("TEXT", "BLOB", Severity.WARNING),
        ("INTEGER", "REAL", Severity.INFO),
        ("NUMERIC", "ANY", None),
        ("BLOB", "", None),
    ],
)
def test_affinities_that_differ_are_found(parent: str, child: str, severity: Severity | None) -> None:
    script = f"CREATE TABLE p (k {parent} UNIQUE); CREATE TABLE c (x {child} REFERENCES p (k));"
    findings = found(script, "foreign-key-affinity")
    assert [finding.severity for finding in findings] == ([severity] if severity else [])


# -- tables and statistics -----------------------------------------------------------------------------


def test_a_table_without_a_primary_key_is_info() -> None:
    script = "CREATE TABLE a (x); CREATE TABLE b (x PRIMARY KEY); CREATE VIRTUAL TABLE f USING fts5 (x);"
    assert [(finding.table, finding.severity) for finding in audited(script).findings] == [("a", Severity.INFO)]


@pytest.mark.parametrize(
    ("statistics", "rows", "expected"),
    [
        ([], 999, []),
        ([], 1_000, [None]),
        ([("t", "i", "1000 3")], 9_000, []),
        ([("t", "i", "1000 3")], 10_001, ["t"]),
        ([("T", "i", "900000 3")], 1_000, ["t"]),
        ([("u", None, "5")], 1_000, ["t"]),
    ],
)
def test_statistics_are_stale_by_a_factor_of_ten(
    statistics: list[tuple[str, str | None, str]], rows: int, expected: list[str | None]
) -> None:
    schema = schema_of(built(T + "CREATE INDEX i ON t (d); CREATE TABLE u (id INTEGER PRIMARY KEY);"))
    known = {"t": RowCount(rows, Source.ROWID), "u": RowCount(5_000, Source.ROWID)}
    report = audit(schema, statistics, (), LEDGER, known_rows=known)
    assert [finding.table for finding in report.findings if finding.rule == "stale-statistics"] == expected


# -- drift ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("CREATE TABLE t (a, b); CREATE INDEX i ON t (a);", []),
        ("create table T(a,b);create index I on t(A);", []),
        ("CREATE TABLE t (a, b);", [("missing", "i", "warning")]),
        ("CREATE TABLE t (a, b); CREATE INDEX i ON t (b);", [("different", "i", "warning")]),
        ("CREATE TABLE t (a, b); CREATE INDEX i ON t (a); CREATE INDEX j ON t (b);", [("extra", "j", "info")]),
        ("CREATE TABLE t (a, b, c); CREATE INDEX i ON t (a);", [("different", None, "warning")]),
        ("CREATE TABLE t (b, a); CREATE INDEX i ON t (a);", [("reordered", None, "warning")]),
    ],
)
def test_drift_is_found_object_by_object(target: str, expected: list[tuple[str, str | None, str]]) -> None:
    wanted = schema_of(built("CREATE TABLE t (a, b); CREATE INDEX i ON t (a);"))

    def drift(script: str) -> list[Finding]:
        report = audit(schema_of(built(script)), (), (), LEDGER, expected=wanted)
        assert report.summary.drift_checked
        return [finding for finding in report.findings if finding.rule == "schema-drift"]

    findings = drift(target)
    assert [(one.facts["change"], one.index, one.severity.value) for one in findings] == expected
    for finding in findings:
        assert (finding.fix_sql is None) == (finding.index is None)
        if finding.fix_sql:
            assert drift(target + finding.fix_sql) == []
            restored = built(target + finding.fix_sql + (finding.rollback_sql or ""))
            assert set(schema_of(restored).objects) == set(schema_of(built(target)).objects)


# -- what defeats an index -----------------------------------------------------------------------------

USERS = (
    "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT, name TEXT, born TEXT, note TEXT);"
    "CREATE INDEX by_email ON users (email); CREATE INDEX by_born ON users (born);"
)


@pytest.mark.parametrize(
    ("query", "index", "fix"),
    [
        ("SELECT * FROM users WHERE lower(email) = ?1", "by_email", "idx_users_email_lower ON users (lower(email))"),
        (
            "SELECT * FROM users AS u WHERE lower(u.email) = ?1",
            "by_email",
            "idx_users_email_lower ON users (lower(email))",
        ),
        ("SELECT * FROM users WHERE date(born) = ?1", "by_born", "idx_users_born_date ON users (date(born))"),
        ("SELECT * FROM users WHERE date(born, 'localtime') = ?1", "by_born", None),
        (
            "SELECT * FROM users WHERE CAST(email AS TEXT) = ?1",
            "by_email",
            "idx_users_email_cast ON users (CAST(email AS TEXT))",
        ),
        (
            "SELECT * FROM users WHERE email = ?1 COLLATE NOCASE",
            "by_email",
            "idx_users_email ON users (email COLLATE NOCASE)",
        ),
        (
            "SELECT * FROM users WHERE email LIKE ?1",
            "by_email",
            "idx_users_email_nocase ON users (email COLLATE NOCASE)",
        ),
        ("SELECT * FROM users WHERE name LIKE 'b%'", None, "idx_users_name_nocase ON users (name COLLATE NOCASE)"),
    ],
)
def test_what_defeats_an_index_is_proved_by_the_planner(query: str, index: str | None, fix: str | None) -> None:
    (finding,) = found(USERS, "defeated-index", f"{query};")
    assert finding.index == index
    assert finding.fix_sql == (f"CREATE INDEX IF NOT EXISTS {fix};" if fix else None)
    if finding.fix_sql:
        report = audited(USERS + finding.fix_sql, f"{query};")
        assert not {"defeated-index", "full-scan"} & {one.rule for one in report.findings}


def test_a_scan_for_text_inside_a_value_is_not_told_to_index_the_column_and_no_more() -> None:
    (inside,) = found(USERS, "full-scan", "SELECT * FROM users WHERE note LIKE '%' || ?1 || '%';")
    (equal,) = found(USERS, "full-scan", "SELECT * FROM users WHERE note = ?1;")
    assert "FTS5" in inside.remedy
    assert "FTS5" not in equal.remedy


def test_queries_that_want_the_same_index_are_given_one() -> None:
    wishes = ["email = ?1 COLLATE NOCASE", "email LIKE ?1", "email = ?1 collate nocase", "note = ?1"]
    wishes += ["lower(email) = ?1", "LOWER( email ) = ?1"]
    queries = "\n".join(f"SELECT * FROM users WHERE {wish};" for wish in wishes)
    assert [finding.fix_sql for finding in found(USERS, "defeated-index", queries)] == [
        *["CREATE INDEX IF NOT EXISTS idx_users_email ON users (email COLLATE NOCASE);"] * 3,
        *["CREATE INDEX IF NOT EXISTS idx_users_email_lower ON users (lower(email));"] * 2,
    ]


@pytest.mark.parametrize(
    "query",
    [
        "SELECT * FROM users WHERE email LIKE '%b'",
        "SELECT * FROM users WHERE lower(name) = ?1",
        "SELECT lower(email) FROM users",
        "SELECT lower(email) FROM users WHERE note = ?1",
        "SELECT * FROM users WHERE lower(email) = ?1 AND id = ?2",
        "SELECT max(lower(note)) FROM users",
    ],
)
def test_a_function_that_is_in_no_way_is_left_alone(query: str) -> None:
    assert not found(USERS, "defeated-index", f"{query};")


@pytest.mark.parametrize(
    ("query", "tables"),
    [
        ("SELECT (SELECT count(*) FROM users AS v WHERE v.note = u.name) FROM users AS u", ["users"]),
        ("SELECT * FROM users AS u JOIN users AS v ON v.note = u.note WHERE u.email = ?1", ["users"]),
        ("SELECT * FROM users WHERE note IN (SELECT note FROM users WHERE id = ?1)", []),
        ("SELECT * FROM users WHERE email = ?1 AND note = (SELECT max(note) FROM users)", []),
        ("SELECT * FROM users AS u JOIN users AS v ON v.note = u.note WHERE u.id = ?1", []),
    ],
)
def test_a_scan_is_correlated_when_it_is_done_again_for_each_row(query: str, tables: list[str]) -> None:
    assert [finding.table for finding in found(USERS, "correlated-scan", f"{query};")] == tables


def test_keys_tell_findings_apart_and_stay() -> None:
    script = (
        T + USERS + "CREATE INDEX i ON t (d); CREATE INDEX j ON t (d); CREATE TABLE c (x REFERENCES t, y REFERENCES t);"
    )
    queries = "SELECT * FROM users WHERE note = ?1; SELECT * FROM t WHERE d + 1 = ?1;"
    first = audited(script, queries)
    later = audit(
        schema_of(built(script)),
        [("users", None, "77")],
        parse_queries(("\n" + queries).encode(), "queries.sql"),
        LEDGER,
    )
    keys = [finding.key for finding in first.findings]
    assert len(set(keys)) == len(keys)
    assert set(keys) == {finding.key for finding in later.findings}
    assert "duplicate-index t (d) index j -> i" in keys
    assert "foreign-key-without-index c (x) -> t, id" in keys


def test_the_targets_own_plan_is_compared_with_the_mirrors() -> None:
    queries = parse_queries(b"SELECT * FROM t WHERE d = ?1; SELECT id FROM t; SELECT a FROM t;", "queries.sql")
    subject = examine(rebuild(schema_of(built(T)), LEDGER), (), queries)
    told = [planned.plan.lines if planned.plan else () for planned in subject.queries]
    remote = (
        RemotePlan(queries[0], ("SEARCH t USING INDEX other (d=?)",)),
        RemotePlan(queries[1], told[1]),
        RemotePlan(queries[2], refusal="no such column: a"),
    )
    findings = [f for f in judge(replace(subject, remote_plans=remote)).findings if f.rule == "plan-differs-on-target"]
    assert {(finding.query, finding.plan, finding.facts["refusal"]) for finding in findings} == {
        (queries[0].name, ("SEARCH t USING INDEX other (d=?)",), None),
        (queries[2].name, (), "no such column: a"),
    }
