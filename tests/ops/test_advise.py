"""Advice for a target: measured beside it, never on it; and the migration that follows."""

from __future__ import annotations

import hashlib
import signal
import time
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from d1ops.core.audit.advice.advise import Scratch
from d1ops.core.audit.advice.advise import advise as advise_on
from d1ops.core.audit.advice.scratch import EngineMeter, NotRun
from d1ops.core.engine import Engine
from d1ops.core.mirror import build_mirror, schema_of
from d1ops.core.queries import parse_queries
from d1ops.core.schema import diff
from d1ops.core.values import Statement
from d1ops.core.workload import Workload, merge
from d1ops.database.workerd import WorkerdDatabase
from d1ops.errors import UsageError
from d1ops.ops import backup
from d1ops.ops.advise import Written, advise, write_migration
from d1ops.ops.audit import Audited, audit
from d1ops.ops.scratch import DatabaseMeter, scaled, scratch_of
from d1ops.ops.workspace import read_queries
from tests.support.node import MODULES
from tests.support.project import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from d1ops.core.audit.advice.advise import Advice
    from d1ops.core.schema import Schema
    from tests.support.project import Project

LEDGER = "d1_migrations"


def workload() -> Workload:
    return merge(read_queries(REPOSITORY, "db/queries"))


def at_0011(project: Project) -> Project:
    project.use_sample()
    for folder, name in (("migrations", "0012_missing_foreign_key_index.sql"), ("rollbacks", "0012_rollback.sql")):
        (project.root / "db" / folder / name).unlink()
    project.migrate()
    return project


def write(
    project: Project, queries: Workload, name: str | None = None, modules: tuple[Path, ...] = ()
) -> tuple[Written | None, Advice, Audited]:
    audited = audit(project.database, queries.queries, LEDGER)
    workspace = project.workspace
    advice = advise(workspace, audited, queries, audited.report.findings, modules=modules)
    findings = [one for one in audited.report.findings if one.severity.value != "info"]
    return (
        write_migration(workspace, project.root, "db/migrations", audited, queries, findings, advice, name),
        advice,
        audited,
    )


def target(project: Project) -> Schema:
    found: Schema = audit(project.database, (), LEDGER).schema
    return found


@pytest.mark.parametrize("modules", [(), (MODULES,)], ids=["estimated", "workerd"])
def test_the_sample_at_0011_gets_what_0012_is(project: Project, modules: tuple[Path, ...]) -> None:
    at_0011(project)
    written, advice, audited = write(project, workload(), "again", modules)
    assert written is not None
    assert [finding.columns for finding in audited.report.findings] == [("reviewer_user_id",)]
    assert written.migration == "db/migrations/0012_again.sql"
    assert written.rollback == "db/rollbacks/0012_rollback.sql"
    assert written.mended == (audited.report.findings[0].key,)
    assert [index.foreign_keys != () for index in advice.indexes] == [True]
    project.migrate()
    with closing(build_mirror(audited.schema.objects)) as mirror:
        real = (REPOSITORY / "db/migrations/0012_missing_foreign_key_index.sql").read_text()
        with mirror.unlimited():
            mirror.ask(real)
        assert diff(schema_of(mirror).users(LEDGER), target(project).users(LEDGER)) == ()
    assert audit(project.database, workload().queries, LEDGER).report.findings == ()
    project.rollback("0012")
    assert diff(audited.schema.users(LEDGER), target(project).users(LEDGER)) == ()


def test_nothing_is_overwritten_and_nothing_half_written(project: Project) -> None:
    at_0011(project)
    there = project.root / "db" / "rollbacks" / "0012_rollback.sql"
    there.write_text("-- mine\n")
    with pytest.raises(UsageError, match=r"0012|rollback"):
        write(project, merge(()))
    assert there.read_text() == "-- mine\n"
    assert not list((project.root / "db" / "migrations").glob("0012*"))
    there.unlink()
    with pytest.raises(UsageError, match="cannot be a part"):
        write(project, merge(()), "../../etc")


def test_with_migrations_pending_nothing_is_written(project: Project) -> None:
    project.use_sample()
    project.migrate(to="11")
    with pytest.raises(UsageError, match=r"0012_missing_foreign_key_index\.sql is pending") as caught:
        write(project, merge(()))
    assert "migrate" in (caught.value.hint or "")


def test_where_all_is_well_nothing_is_written(project: Project) -> None:
    project.use_sample()
    project.migrate()
    written, advice, _ = write(project, merge(()))
    assert (written, advice.indexes) == (None, ())


def digest(made: backup.VerifiedBackup) -> str:
    with made.unpacked() as path:
        return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_target_is_only_read_and_the_backup_stays_as_it_was(small: Project) -> None:
    small.migrate()
    small.database.batch(
        [Statement("INSERT INTO users (id, email) VALUES (?, ?)", (f"u{n}", f"{n % 40}@x")) for n in range(400)]
    )
    made, _ = backup.create(small.workspace)
    before, data = target(small), digest(made)
    queries = merge(
        read_queries(
            small.write_queries("SELECT id FROM users WHERE email = ?1;\nDELETE FROM users WHERE email = ?1;\n"), "q"
        )
    )
    audited = audit(small.database, queries.queries, LEDGER)
    found = advise(small.workspace, audited, queries, audited.report.findings, modules=(MODULES,), backup=made)
    assert (found.rows_from, found.rows["users"]) == (f"backup {made.id}", 400)
    assert (found.measured_by, found.is_estimate) == ("workerd", False)
    select, delete = found.effects
    assert select.rows_read_before == 400
    assert select.rows_read_after == 11, "ten rows and the step past the end, as D1 bills"
    assert delete.rows_read_after is not None
    assert delete.rows_read_before is not None
    assert delete.rows_read_after < delete.rows_read_before
    assert target(small) == before
    assert digest(made) == data
    assert small.database.query("SELECT count(*) FROM users").scalar() == 400


def test_without_workerd_the_figures_are_estimates_and_agree_on_the_indexes(small: Project, tmp_path: Path) -> None:
    small.migrate()
    queries = merge(read_queries(small.write_queries("SELECT id FROM users WHERE email = ?1 ORDER BY id;\n"), "q"))
    audited = audit(small.database, queries.queries, LEDGER)
    exact = advise(small.workspace, audited, queries, (), modules=(MODULES,))
    estimated = advise(small.workspace, audited, queries, (), modules=(tmp_path,))
    assert (exact.is_estimate, estimated.is_estimate) == (False, True)
    assert exact.indexes == estimated.indexes
    assert [one.plan_after for one in exact.effects] == [one.plan_after for one in estimated.effects]


def test_an_index_that_only_makes_good_for_others_is_told_so(tmp_path: Path) -> None:
    """Through an index a table without rowids is searched again for every row, and any index can be taken for a write
    of all rows: the last one made is."""
    statements = (
        "CREATE TABLE t (a INT, b INT, c TEXT COLLATE NOCASE, d TEXT, e INT, PRIMARY KEY (a, b)) WITHOUT ROWID",
        "INSERT OR IGNORE INTO t WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n WHERE i < 800)"
        " SELECT i * 7919 % 40, i * 104729 % 200, 'abA' || (i * 31 % 60), 'k' || (i * 17 % 300),"
        " (i % 5) * (i % 3) FROM n",
    )
    text = """
    SELECT * FROM t WHERE b > ? AND e IS NOT NULL AND a < ? ORDER BY a DESC, e;
    SELECT * FROM t WHERE b < ? AND c BETWEEN ? AND ? AND e = ? LIMIT 10;
    UPDATE t SET e = 5;
    DELETE FROM t;
    SELECT count(*) FROM t WHERE d = 1;
    SELECT min(e) FROM t WHERE e IN (?, ?);
    """
    engine = Engine.memory()
    with closing(engine), closing(WorkerdDatabase("scratch", tmp_path, (MODULES,))) as database:
        for sql in statements:
            engine.ask(sql)
        database.batch([Statement(sql) for sql in statements])
        scratch = Scratch(engine, DatabaseMeter(database), "generated")
        queries = merge(parse_queries(text.encode(), "q.sql"))
        found = advise_on(schema_of(engine), (), queries, (), scratch, ledger=LEDGER)
    assert all(index.queries or index.queries_kept for index in found.indexes)
    assert [query for index in found.indexes for query in index.queries_kept] == [queries.queries[2].name]
    assert [(one.rows_read_before or 0) >= (one.rows_read_after or 0) for one in found.effects] == [True] * 6


SHOPS = """
CREATE TABLE shops (id INTEGER PRIMARY KEY, name TEXT);
CREATE TABLE items (id INTEGER PRIMARY KEY, shop INT REFERENCES shops (id), sku INT, kind INT, code TEXT UNIQUE);
CREATE INDEX by_shop ON items (shop);
CREATE INDEX by_kind ON items (kind, sku);
CREATE INDEX of_some ON items (sku) WHERE kind = 1;
"""


def shops() -> Schema:
    engine = Engine.memory()
    with closing(engine), engine.unlimited():
        engine.ask(SHOPS)
        return schema_of(engine)


@pytest.mark.parametrize(
    ("rows", "shop", "kind", "shops_found", "kinds_found", "skus_found"),
    [
        (3000, "3000 1000", "3000 600 60", 3, 5, 10),
        (1_000_000, "1000000 1000", "1000000 200000 200", 50, 5, 10),
        (4000, "4000 1", "4000 2 1", 300, 950, 950),
    ],
)
def test_generated_rows_have_equal_values_as_often_as_the_statistics_say(
    rows: int, shop: str, kind: str, shops_found: int, kinds_found: int, skus_found: int
) -> None:
    statistics = [
        ("items", "by_shop", shop),
        ("items", "by_kind", kind),
        ("items", "of_some", "7 7"),
        ("items", "sqlite_autoindex_items_1", f"{rows} 1"),
    ]
    known = {"items": rows, "shops": 300 * max(1, rows // 5000)}
    with scratch_of(shops(), statistics, LEDGER, (), known=known) as scratch:
        (found,) = scratch.engine.ask(
            "SELECT count(DISTINCT shop), count(DISTINCT kind), count(DISTINCT sku) FROM items"
        )
        made = scratch.engine.count("items")
        codes = scratch.engine.ask_one("SELECT count(DISTINCT code) FROM items")
    assert made == min(rows, 5000)
    assert isinstance(codes, int)
    assert codes > made * 0.8, "a unique column has no equal values"
    assert found == pytest.approx((shops_found, kinds_found, skus_found), rel=0.2)


@pytest.mark.parametrize("modules", [(), (MODULES,)], ids=["estimated", "workerd"])
def test_a_query_that_reads_many_rows_by_the_statistics_is_served(modules: tuple[Path, ...]) -> None:
    text = "SELECT * FROM items WHERE shop = ? AND sku = ?; SELECT * FROM items WHERE shop = ? ORDER BY sku LIMIT 5;"
    queries = merge(parse_queries(text.encode(), "q.sql"))
    schema, statistics = shops(), [("items", "by_shop", "3000 1000")]
    with scratch_of(schema, statistics, LEDGER, modules, known={"items": 3000, "shops": 300}) as scratch:
        found = advise_on(schema, statistics, queries, (), scratch, ledger=LEDGER)
    assert [index.keys for index in found.indexes] == [("shop", "sku")]


@pytest.mark.parametrize("modules", [(), (MODULES,)], ids=["estimated", "workerd"])
def test_a_broken_foreign_key_stops_no_measurement_and_other_refusals_are_said(modules: tuple[Path, ...]) -> None:
    engine = Engine.memory()
    engine.ask("CREATE TABLE parent (id INTEGER PRIMARY KEY, n INT)")
    engine.ask("CREATE TABLE child (id INTEGER PRIMARY KEY, parent INT NOT NULL REFERENCES parent (id))")
    with closing(engine), scratch_of(schema_of(engine), (), LEDGER, modules) as scratch:
        deleted = scratch.meter.measure([Statement("DELETE FROM parent WHERE n IS NOT ?", ("x",))])
        assert deleted.rows_read >= scratch.engine.count("parent")
        assert scratch.meter.measure([Statement("SELECT n FROM parent")]).rows_read >= 40, "it was taken back"
        with pytest.raises(NotRun, match="UNIQUE constraint failed: parent"):
            scratch.meter.measure([Statement("UPDATE parent SET id = 1")])
        kept = scratch.engine.count("parent")
    assert kept == 40


ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT {} FROM n"


@pytest.mark.parametrize(
    "sql", [ENDLESS.format("count(*)"), ENDLESS.format("i"), f"INSERT INTO t {ENDLESS.format('i')}"]
)
def test_a_query_that_never_ends_is_stopped(sql: str) -> None:
    with closing(Engine.memory()) as engine:
        engine.ask("CREATE TABLE t (a INT)")
        meter = EngineMeter(engine, time.perf_counter, most_steps=1_000_000)
        with pytest.raises(NotRun, match="more than 1,000,000 instructions"):
            meter.measure([Statement(sql)])
        assert meter.measure([Statement("INSERT INTO t VALUES (1)")]).rows_written == 1, (
            "the next one has all its steps"
        )
        assert engine.count("t") == 0


def test_a_query_that_never_ends_is_stopped_on_workerd(tmp_path: Path) -> None:
    with closing(WorkerdDatabase("scratch", tmp_path, (MODULES,), timeout_seconds=1.0)) as database:
        database.query("CREATE TABLE t (a INT)")
        with pytest.raises(NotRun, match="no answer within 1 s"):
            DatabaseMeter(database).measure([Statement(ENDLESS.format("count(*)"))])
        assert database.query("SELECT count(*) FROM t").scalar() == 0, "it runs again, with what it held"


def test_a_signal_gets_through_while_a_query_is_measured() -> None:
    def end(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGVTALRM, end)
    try:
        with closing(Engine.memory()) as engine:
            meter = EngineMeter(engine, time.perf_counter, most_steps=10**15)
            signal.setitimer(signal.ITIMER_VIRTUAL, 0.01)
            with pytest.raises(KeyboardInterrupt):
                meter.measure([Statement(ENDLESS.format("count(*)"))])
    finally:
        signal.signal(signal.SIGVTALRM, before)


def test_generated_rows_follow_statistics_or_the_place_among_the_tables(small: Project) -> None:
    small.migrate()
    schema = target(small)
    with scratch_of(schema, (), LEDGER, (), known={"users": 1_000_000, "artists": 50_000}) as scratch:
        assert scratch.engine.count("users") == 5000
        assert scratch.engine.count("artists") == 250
    with scratch_of(schema, (), LEDGER, (), wanted=frozenset(("artists",))) as scratch:
        assert (scratch.engine.count("users"), scratch.engine.count("artists")) == (40, 240)
        assert scratch.engine.count("reviews") == 20
    assert scaled({"a": 999}, {"a": 0, "b": 5}) == {"a": 40, "b": 1200}
