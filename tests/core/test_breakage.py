"""Queries of the running Worker that a change breaks: those that fail, and those that scan where they searched."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from d1ops.core.breakage import breakages
from d1ops.core.mirror import schema_of
from d1ops.core.queries import parse_queries
from d1ops.core.replay import replay, run_script
from d1ops.core.sql import split
from d1ops.core.trial import user_schema
from d1ops.core.workload import merge
from d1ops.ops.workspace import read_catalog, read_queries

if TYPE_CHECKING:
    from d1ops.core.schema import Schema

ROOT = Path(__file__).parents[2]

QUERIES = merge(
    parse_queries(
        b"-- name: by name\nSELECT id FROM users WHERE name = ?1;\n"
        b"-- name: all\nSELECT * FROM users;\n"
        b"-- name: number\nSELECT count(*) FROM users;\n"
        b"-- name: new code\nSELECT phone FROM users WHERE id = ?1;\n",
        "q.sql",
    )
).entries
BASE = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT); CREATE INDEX by_name ON users (name);"


def stages(*scripts: str) -> tuple[Schema, list[tuple[str, Schema]]]:
    engine = replay(())
    run_script(engine, split(BASE))
    before = schema_of(engine)
    found = []
    for number, script in enumerate(scripts, 1):
        run_script(engine, split(script))
        found.append((f"step {number}", schema_of(engine)))
    return before, found


def test_a_query_that_fails_is_named_at_the_step_that_breaks_it() -> None:
    before, after = stages("SELECT 1;", "ALTER TABLE users RENAME COLUMN name TO title;", "SELECT 1;")

    (broken,) = breakages(before, after, QUERIES)

    assert (broken.query, broken.path, broken.line, broken.after) == ("by name", "q.sql", 2, "step 2")
    assert broken.problem == "no such column: name"
    assert broken.plan_after == ()


def test_a_query_that_fails_only_between_two_steps_is_named() -> None:
    before, after = stages("ALTER TABLE users RENAME TO people;", "ALTER TABLE people RENAME TO users;")

    broken = breakages(before, after, QUERIES)

    assert {(b.query, b.after) for b in broken if b.problem} == {
        ("by name", "step 1"),
        ("all", "step 1"),
        ("number", "step 1"),
    }


def test_a_search_that_becomes_a_scan_is_named_with_both_plans() -> None:
    before, after = stages("DROP INDEX by_name;")

    (broken,) = breakages(before, after, QUERIES)

    assert broken.problem is None
    assert broken.scanned == ("users",)
    assert broken.plan_before == ("SEARCH users USING COVERING INDEX by_name (name=?)",)
    assert broken.plan_after == ("SCAN users",)
    assert str(broken) == "query 'by name' (q.sql:2) reads all of users after step 1"


def test_what_waits_for_the_change_and_what_gets_better_is_no_breakage() -> None:
    before, after = stages("ALTER TABLE users ADD COLUMN phone TEXT; CREATE INDEX by_phone ON users (phone);")

    assert breakages(before, after, QUERIES) == ()


def test_every_rollback_of_the_sample_breaks_the_queries_that_use_what_it_takes() -> None:
    catalog = read_catalog(ROOT, "db/migrations", "db/rollbacks")
    queries = merge(read_queries(ROOT, "db/queries")).entries
    engine = replay(catalog.migrations)
    before = user_schema(engine)
    script = catalog.find("11").rollback
    assert script is not None
    run_script(engine, script.statements)

    found = breakages(before, [("rollback 0011", user_schema(engine))], queries)

    assert found != ()
    assert all(b.problem is None and b.scanned for b in found)
    assert breakages(before, [("nothing", before)], queries) == ()
