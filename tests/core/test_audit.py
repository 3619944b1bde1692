"""The audit as a whole: the rules, the report, and the sample project."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from d1ops.cli.reports.build_check import rule_texts
from d1ops.core.audit.finding import Finding, Severity
from d1ops.core.audit.report import Report, audit, to_json
from d1ops.core.audit.rules import RULES
from d1ops.core.engine import Engine
from d1ops.core.mirror import schema_of
from d1ops.core.queries import Query, parse_queries
from d1ops.core.sql import quote_if_needed, split

REPOSITORY = Path(__file__).resolve().parents[2]
LEDGER = "d1_migrations"


def audited(script: str, queries: str = "", statistics: tuple[tuple[str, str | None, str], ...] = ()) -> Report:
    engine = Engine.memory()
    for statement in split(script):
        engine.ask(statement.sql)
    parsed = parse_queries(queries.encode(), "queries.sql") if queries else ()
    return audit(schema_of(engine), statistics, parsed, LEDGER)


HOUSEKEEPING = frozenset(("table-without-primary-key", "unused-index", "foreign-key-affinity", "foreign-key-mismatch"))
"""What the small schemas here are not about."""


def concerned(report: Report) -> tuple[Finding, ...]:
    return tuple(finding for finding in report.findings if finding.rule not in HOUSEKEEPING)


def only(report: Report) -> Finding:
    (finding,) = concerned(report)
    return finding


# -- the sample ----------------------------------------------------------------------------------------


def sample(number: int) -> Engine:
    engine = Engine.memory()
    for file in sorted((REPOSITORY / "db" / "migrations").glob("*.sql")):
        if int(file.name[:4]) <= number:
            for statement in split(file.read_text(), file.name):
                engine.ask(statement.sql)
    return engine


def sample_queries() -> list[Query]:
    files = sorted((REPOSITORY / "db" / "queries").glob("*.sql"))
    return [query for file in files for query in parse_queries(file.read_bytes(), f"db/queries/{file.name}")]


def test_the_sample_before_its_last_migration_has_one_finding() -> None:
    engine = sample(11)
    report = audit(schema_of(engine), (), sample_queries(), LEDGER)
    finding = only(report)
    assert (finding.rule, finding.table, finding.columns) == (
        "foreign-key-without-index",
        "reviews",
        ("reviewer_user_id",),
    )
    assert finding.severity is Severity.ERROR
    assert (report.summary.foreign_keys, report.summary.indexed_foreign_keys) == (29, 28)
    assert report.summary.queries_with_full_scan == 0
    assert finding.fix_sql is not None
    engine.ask(finding.fix_sql)
    assert audit(schema_of(engine), (), sample_queries(), LEDGER).findings == ()


def test_a_foreign_keys_plans_are_those_of_a_delete_without_and_with_the_fix() -> None:
    engine = sample(11)
    finding = only(audit(schema_of(engine), (), sample_queries(), LEDGER))
    assert finding.fix_sql is not None
    delete = "EXPLAIN QUERY PLAN DELETE FROM users WHERE id = ?"
    before = [line for *_, line in engine.ask(delete, (1,))]
    engine.ask(finding.fix_sql)
    after = [line for *_, line in engine.ask(delete, (1,))]
    assert finding.plan == ("SCAN reviews",)
    assert finding.facts["plan_after"] == (
        "SEARCH reviews USING COVERING INDEX idx_reviews_reviewer_user_id (reviewer_user_id=?)",
    )
    assert [*finding.plan, *finding.facts["plan_after"]] == [*set(before) - set(after), *set(after) - set(before)]


def test_the_sample_has_no_finding_and_no_query_reads_a_table_whole() -> None:
    report = audit(schema_of(sample(12)), (), sample_queries(), LEDGER)
    assert report.findings == ()
    assert report.worst is None
    assert (report.summary.foreign_keys, report.summary.indexed_foreign_keys) == (29, 29)
    assert report.summary.queries == len(sample_queries()) > 0


def test_without_its_indexes_the_sample_has_full_scans() -> None:
    report = audit(schema_of(sample(10)), (), sample_queries(), LEDGER)
    scanning = {finding.path for finding in report.findings if finding.rule == "full-scan"}
    assert "db/queries/open_gigs_in_city.sql" in scanning
    assert report.summary.queries_with_full_scan == len(scanning)


# -- foreign keys --------------------------------------------------------------------------------------

KEYWORDS = sorted(apsw.keywords)
PARENT = "CREATE TABLE p (id TEXT PRIMARY KEY, n INTEGER UNIQUE, name TEXT COLLATE NOCASE UNIQUE);"


@pytest.mark.parametrize(
    ("action", "severity"),
    [
        ("", Severity.WARNING),
        ("ON DELETE RESTRICT", Severity.WARNING),
        ("ON DELETE CASCADE", Severity.ERROR),
        ("ON DELETE SET NULL", Severity.ERROR),
        ("ON DELETE SET DEFAULT", Severity.ERROR),
    ],
)
def test_an_action_on_delete_raises_the_severity(action: str, severity: Severity) -> None:
    report = audited(f"{PARENT} CREATE TABLE c (p_id TEXT REFERENCES p {action});")
    assert only(report).severity is severity
    assert report.worst is severity
    assert action in only(report).message


@pytest.mark.parametrize(
    ("child", "fix"),
    [
        ("CREATE TABLE c (x TEXT REFERENCES p);", "CREATE INDEX IF NOT EXISTS idx_c_x ON c (x);"),
        (
            "CREATE TABLE c (x TEXT REFERENCES p (name));",
            "CREATE INDEX IF NOT EXISTS idx_c_x ON c (x COLLATE NOCASE);",
        ),
        (
            'CREATE TABLE "Odd ""one" ("group" TEXT REFERENCES p);',
            'CREATE INDEX IF NOT EXISTS "idx_Odd ""one_group" ON "Odd ""one" ("group");',
        ),
        (
            "CREATE TABLE c (x TEXT REFERENCES p, y TEXT); CREATE INDEX IDX_C_X ON c (y);",
            "CREATE INDEX IF NOT EXISTS idx_c_x_2 ON c (x);",
        ),
        (
            "CREATE TABLE keyed (id INTEGER PRIMARY KEY); CREATE TABLE c (x INTEGER COLLATE NOCASE REFERENCES keyed);",
            "CREATE INDEX IF NOT EXISTS idx_c_x ON c (x);",
        ),
        ("CREATE TABLE c (x REFERENCES gone);", "CREATE INDEX IF NOT EXISTS idx_c_x ON c (x);"),
        ("CREATE TABLE c (x TEXT REFERENCES p (n));", None),
        ("CREATE TABLE c (x REFERENCES p (n));", None),
    ],
)
def test_a_fix_is_proposed_only_when_it_mends(child: str, fix: str | None) -> None:
    assert only(audited(PARENT + child)).fix_sql == fix
    if fix is not None:
        assert concerned(audited(PARENT + child + fix)) == ()


@given(
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1) | st.sampled_from(KEYWORDS)
)
def test_a_name_is_quoted_where_sqlite_needs_it(name: str) -> None:
    engine = Engine.memory()
    engine.ask(f"CREATE TABLE t ({quote_if_needed(name)})")
    assert engine.ask_one("SELECT name FROM pragma_table_info('t')") == name


def test_two_keys_of_one_column_share_an_index_and_others_have_names_of_their_own() -> None:
    script = (
        f"{PARENT} CREATE TABLE q (id TEXT PRIMARY KEY); CREATE TABLE b (c_d TEXT REFERENCES p);"
        "CREATE TABLE b_c (d TEXT REFERENCES p REFERENCES q REFERENCES p (name));"
    )
    fixes = [finding.fix_sql or "" for finding in concerned(audited(script))]
    assert sorted(fixes) == [
        "CREATE INDEX IF NOT EXISTS idx_b_c_d ON b (c_d);",
        "CREATE INDEX IF NOT EXISTS idx_b_c_d_2 ON b_c (d);",
        "CREATE INDEX IF NOT EXISTS idx_b_c_d_2 ON b_c (d);",
        "CREATE INDEX IF NOT EXISTS idx_b_c_d_3 ON b_c (d COLLATE NOCASE);",
    ]
    assert concerned(audited(script + "".join(fixes))) == ()


def test_an_index_on_a_part_of_the_key_is_said() -> None:
    finding = only(
        audited(
            "CREATE TABLE p (a TEXT, b TEXT, UNIQUE (a, b));"
            "CREATE TABLE c (a TEXT, b TEXT, FOREIGN KEY (a, b) REFERENCES p (a, b)); CREATE INDEX i ON c (b);"
        )
    )
    assert "an index serves only a part of the key" in finding.message
    assert finding.fix_sql == "CREATE INDEX IF NOT EXISTS idx_c_a_b ON c (a, b);"


def test_what_is_not_the_users_is_not_audited() -> None:
    report = audited(
        f"{PARENT} CREATE TABLE d1_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, p_id REFERENCES p);"
        "CREATE TABLE d1ops_history (p_id REFERENCES p); CREATE VIRTUAL TABLE notes USING fts5 (body);",
        "SELECT * FROM d1_migrations; SELECT * FROM notes WHERE notes MATCH ?1; SELECT * FROM notes_content;"
        "SELECT * FROM sqlite_master;",
    )
    assert report.findings == ()
    assert (report.summary.tables, report.summary.foreign_keys) == (2, 0)


# -- queries -------------------------------------------------------------------------------------------

TABLE = "CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT, v TEXT); CREATE INDEX t_k ON t (k);"


def verdicts(query: str, statistics: tuple[tuple[str, str | None, str], ...] = ()) -> set[tuple[str, str, str | None]]:
    report = audited(TABLE + "CREATE TABLE u (id INTEGER PRIMARY KEY, t_id INTEGER, v TEXT);", f"{query};", statistics)
    return {(finding.rule, finding.severity.value, finding.table) for finding in concerned(report)}


FULL_SCAN_OF_T = ("full-scan", "warning", "t")
WALK_OF_T = ("full-scan", "info", "t")
TEMP_B_TREE = ("temp-b-tree", "info", None)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT * FROM t WHERE k = ?", set()),
        ("SELECT * FROM t WHERE v = ?", {FULL_SCAN_OF_T}),
        ("SELECT * FROM t WHERE k = ? ORDER BY v", {TEMP_B_TREE}),
        ("SELECT * FROM t WHERE v = ? ORDER BY k LIMIT 5", {WALK_OF_T}),
        ("SELECT count(*) FROM t", {WALK_OF_T}),
        ("SELECT count(*) FROM t WHERE v = 1", {FULL_SCAN_OF_T}),
        ("SELECT * FROM t ORDER BY id DESC LIMIT 5", set()),
        ("SELECT * FROM t ORDER BY k LIMIT 5", set()),
        ("SELECT * FROM u JOIN t ON t.id = u.t_id ORDER BY u.id DESC LIMIT 5", set()),
        ("SELECT * FROM t ORDER BY v LIMIT 5", {FULL_SCAN_OF_T, TEMP_B_TREE}),
        ("SELECT * FROM t JOIN u ON u.id = t.k AND t.v = ? LIMIT 5", {FULL_SCAN_OF_T}),
        ("SELECT * FROM t JOIN u ON u.id = t.k WHERE t.v = ? LIMIT 5", {FULL_SCAN_OF_T}),
        ("SELECT * FROM t JOIN u ON u.id = t.k AND t.v IN (1, 2, 3, 4) LIMIT 5", {FULL_SCAN_OF_T}),
        ("SELECT * FROM t JOIN u ON u.id = t.k AND t.v IS NULL LIMIT 5", {FULL_SCAN_OF_T}),
        ("SELECT * FROM t JOIN u ON u.id = t.k AND u.v = ? LIMIT 5", {FULL_SCAN_OF_T}),
        ("SELECT * FROM t LEFT JOIN u ON u.id = t.k AND t.v = ? LIMIT 5", set()),
        ("SELECT * FROM t LIMIT -1", {FULL_SCAN_OF_T}),
        ("SELECT * FROM t LIMIT -1 OFFSET 5", {FULL_SCAN_OF_T}),
        ("SELECT * FROM t LIMIT 5, -1", {FULL_SCAN_OF_T}),
        ("SELECT * FROM t LIMIT 5 OFFSET 5", set()),
        ("SELECT * FROM t LIMIT ?", set()),
        ("SELECT sum(v) FROM t LIMIT 1", {FULL_SCAN_OF_T}),
        ("SELECT sum(id) FROM t", {WALK_OF_T}),
        ("SELECT k FROM t ORDER BY k", {WALK_OF_T}),
        ("SELECT DISTINCT k FROM t", {WALK_OF_T}),
        ("SELECT DISTINCT k, id FROM t", {WALK_OF_T}),
        ("SELECT count(DISTINCT k) FROM t", {WALK_OF_T}),
        ("SELECT k, count(*) FROM t GROUP BY k", {WALK_OF_T}),
        ("SELECT DISTINCT k FROM t WHERE id + k = ?", {FULL_SCAN_OF_T}),
        ("SELECT DISTINCT k FROM t WHERE k <> ?", {FULL_SCAN_OF_T}),
        ("SELECT count(DISTINCT k) FROM t WHERE k <> ?", {FULL_SCAN_OF_T}),
        ("SELECT id FROM t WHERE lower(k) = ?", {("defeated-index", "warning", "t")}),
        ("SELECT k, u.v FROM t JOIN u ON u.id = t.id ORDER BY k", {WALK_OF_T}),
        ("SELECT max(v) FROM t", {FULL_SCAN_OF_T}),
        ("SELECT max(k) FROM t", set()),
        ("SELECT t.id, u.id FROM t JOIN u ON u.v = t.v WHERE t.k = ?", {("correlated-scan", "warning", "u")}),
        ("SELECT t.id, u.id FROM t JOIN u ON u.v = t.v", {FULL_SCAN_OF_T, ("automatic-index", "warning", "u")}),
        ("DELETE FROM t WHERE v < ?", {FULL_SCAN_OF_T}),
        ("INSERT INTO t (k) VALUES (?)", set()),
        ("SELECT * FROM gone", {("query-does-not-compile", "error", None)}),
        ("SELECT soundex(k) FROM t", {("query-does-not-compile", "error", None)}),
    ],
)
def test_a_query_is_judged_by_what_it_reads(query: str, expected: set[tuple[str, str, str | None]]) -> None:
    assert verdicts(query) == expected


@pytest.mark.parametrize(
    ("join", "is_found"),
    [
        ("CROSS JOIN child ON child.k = t.k LIMIT 5", False),
        ("CROSS JOIN child ON child.k = t.k AND child.v = ? LIMIT 5", True),
        ("CROSS JOIN child ON child.k = t.k WHERE child.v = ? LIMIT 5", True),
        ("LEFT JOIN child ON child.k = t.k AND child.v = ? LIMIT 5", False),
        ("LEFT JOIN child ON child.k = t.k WHERE child.k IS NULL LIMIT 5", True),
    ],
)
def test_what_a_join_passes_over_keeps_limit_from_ending_it(join: str, *, is_found: bool) -> None:
    child = "CREATE TABLE child (id INTEGER PRIMARY KEY, k TEXT, v TEXT); CREATE INDEX child_k ON child (k);"
    report = audited(f"{child} CREATE TABLE t (id INTEGER PRIMARY KEY, k TEXT, v TEXT);", f"SELECT * FROM t {join};")
    assert ["full-scan"] * is_found == [finding.rule for finding in concerned(report)]


def test_a_finding_names_the_query_and_its_plan() -> None:
    report = audited(
        TABLE, "-- name: by v\n-- params: ?1 v\n\nSELECT * FROM t WHERE v = ?1;", (("t", "t_k", "1200 3"),)
    )
    finding = only(report)
    assert (finding.query, finding.path, finding.line, finding.plan) == ("by v", "queries.sql", 4, ("SCAN t",))
    assert finding.message == "'by v' reads every row of t, about 1,200 by its statistics (SCAN t)"


def test_an_automatic_index_is_named_as_such() -> None:
    report = audited(
        f"{TABLE} CREATE TABLE u (id INTEGER PRIMARY KEY, v TEXT);", "SELECT 1 FROM t JOIN u ON u.v = t.v;"
    )
    assert [finding.message for finding in concerned(report)] == [
        "'queries' reads every row of u to build an index of its own (SEARCH u USING AUTOMATIC COVERING INDEX (v=?))",
        "'queries' reads every row of t (SCAN t)",
    ]


def test_a_query_that_does_not_compile_is_placed_where_sqlite_points() -> None:
    finding = only(audited(TABLE, "SELECT id,\n  missing FROM t;"))
    assert finding.message == "'queries' does not compile on this target: no such column: missing (queries.sql:2:3)"
    assert finding.line == 2


@pytest.mark.parametrize(
    ("stat", "expected"),
    [
        ("3 3", {WALK_OF_T}),
        ("100 100", {WALK_OF_T}),
        ("101 101", {FULL_SCAN_OF_T}),
        ("1000000 1000000", {FULL_SCAN_OF_T}),
        ("1000000 10", set()),
    ],
)
def test_statistics_decide_the_plan_and_a_small_table_may_be_scanned(
    stat: str, expected: set[tuple[str, str, str | None]]
) -> None:
    assert verdicts("SELECT * FROM t WHERE k = ?", (("t", "t_k", stat),)) == expected
    assert verdicts("SELECT * FROM t WHERE v = ?", (("t", "t_k", stat),)) == {FULL_SCAN_OF_T}
    assert verdicts("SELECT * FROM t WHERE k = ?") == set()


def test_planted_statistics_do_no_harm() -> None:
    rubbish = (("t", "t_k", "'; DROP"), ("gone", None, ""), ("T", "T_K", "-1 9999999999999999999"))
    assert verdicts("SELECT * FROM t WHERE v = ?", rubbish) == {FULL_SCAN_OF_T}


# -- the report ----------------------------------------------------------------------------------------


def test_findings_are_ordered_by_weight_then_by_place() -> None:
    report = audited(
        f"{PARENT} {TABLE} CREATE TABLE c (x TEXT REFERENCES p ON DELETE CASCADE, a TEXT REFERENCES p);",
        "SELECT count(*) FROM t; SELECT * FROM t WHERE v = 1; SELECT * FROM gone; SELECT * FROM c WHERE a = 1;",
    )
    assert [(finding.severity.value, finding.rule, finding.table) for finding in concerned(report)] == [
        ("error", "foreign-key-without-index", "c"),
        ("error", "query-does-not-compile", None),
        ("warning", "foreign-key-without-index", "c"),
        ("warning", "full-scan", "c"),
        ("warning", "full-scan", "t"),
        ("info", "full-scan", "t"),
    ]
    assert all(one.severity.rank >= other.severity.rank for one, other in pairwise(report.findings))
    assert report.worst is Severity.ERROR


def test_the_json_has_the_fixed_names() -> None:
    document = json.loads(json.dumps(to_json(audited(f"{PARENT} CREATE TABLE c (x TEXT REFERENCES p);"))))
    assert {"rule", "severity", "table", "columns", "message", "remedy", "fix_sql"} <= document["findings"][0].keys()
    assert document["findings"][0]["columns"] == ["x"]
    assert document["findings"][0]["severity"] == "warning"
    assert document["summary"] == {
        "tables": 2,
        "foreign_keys": 1,
        "indexed_foreign_keys": 0,
        "queries": 0,
        "queries_with_full_scan": 0,
        "has_statistics": False,
        "drift_checked": False,
    }


def test_every_rule_has_a_page_that_says_all() -> None:
    pages = {page.stem: page.read_text() for page in (REPOSITORY / "docs" / "rules").glob("*.md")}
    index = pages.pop("index")
    others = sorted(rule_texts(), key=lambda rule: rule.id)
    assert {*RULES, *(rule.id for rule in others)} == set(pages)
    listed = [(rule.id, rule.severity, rule.title) for rule in RULES.values()]
    listed += [(rule.id, rule.severity, rule.title) for rule in others]
    rows = [f"| [{id_}]({id_}.md) | {severity.value} | {title.rstrip('.')} |" for id_, severity, title in listed]
    assert [line.replace(". |", " |") for line in index.splitlines() if line.startswith("| [")] == rows
    for rule, text in pages.items():
        assert text.startswith(f"# {rule}\n")
        for heading in ("## Problem", "## What it costs on D1", "## Fix", "## When to ignore it"):
            assert heading in text, (rule, heading)
