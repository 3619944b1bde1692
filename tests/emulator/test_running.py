"""What a change breaks is looked for in the query log too, and a log that cannot be had stops nobody."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from d1ops.client import QueryGroup, QueryLog
from d1ops.core.paging import Limits
from d1ops.core.plan import Plan
from d1ops.core.queries import parse_queries
from d1ops.core.workload import normalised
from d1ops.database.base import Atomicity
from d1ops.database.http import HttpDatabase
from d1ops.emulator import Emulator
from d1ops.emulator.faults import parse
from d1ops.ops import backup as backups
from d1ops.ops import doctor, in_place, load, migrate, rollback
from d1ops.ops.change import Prepared
from d1ops.ops.insights import read_insights
from d1ops.ops.look import look
from d1ops.ops.running import LOG_DAYS, MAX_LOGGED, running_queries
from d1ops.ops.sample import sample
from d1ops.ops.survey import survey
from tests.emulator.conftest import TOKEN, client, settings
from tests.support.delegate import Delegate
from tests.support.project import YES, Project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from d1ops.ops.workspace import Workspace

FILES = parse_queries(b"-- name: by email\nSELECT id FROM users WHERE email = ?1;\n", "db/queries/users.sql")


@contextmanager
def opened(root: Path, server: Emulator, token: str = TOKEN) -> Iterator[Project]:
    with client(server, token=token) as api:
        database = HttpDatabase(api, server.create_database("app"), name="app", atomicity=Atomicity.PROVED)
        project = Project(root, database).write(
            {
                "0001_base.sql": "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT, name TEXT);\n"
                "CREATE TABLE tags (id INTEGER PRIMARY KEY);\n",
                "0002_index.sql": "CREATE INDEX users_email ON users (email);\n",
            },
            {"0002_rollback.sql": "DROP INDEX users_email;\n"},
        )
        project.migrate()
        for number in range(3):
            database.query(f"SELECT id FROM users WHERE email = 'person {number}'")
        database.query("SELECT max(name) FROM users WHERE email > ?", ("a",))
        database.query("SELECT count(*) FROM tags")
        yield project


def workspace_of(project: Project) -> Workspace:
    """With the emulator's own time, since its log begins now."""
    return replace(project.workspace, queries=lambda: FILES, now=lambda: datetime.now(UTC))


def prepared(project: Project) -> Prepared:
    found = rollback.prepare(workspace_of(project), "2")
    assert isinstance(found, Prepared)
    return found


def test_queries_of_the_log_are_looked_at_beside_those_of_files(tmp_path: Path) -> None:
    with Emulator(settings()) as server, opened(tmp_path, server) as project:
        found = prepared(project)
    assert found.running is not None
    assert (found.running.files, found.running.days, found.running.problem) == (1, LOG_DAYS, None)
    assert {(b.query, b.origin, b.executions) for b in found.breakages} == {
        ("by email", "db/queries/users.sql:2, 3 runs in 7 days", 3),
        ("SELECT max(name) FROM users WHERE email > ?", "query log, 1 run in 7 days", 1),
    }


def test_a_migration_names_what_it_breaks_by_the_log(tmp_path: Path) -> None:
    with Emulator(settings()) as server, opened(tmp_path, server) as project:
        project.write({"0003_drop.sql": "DROP TABLE tags;\n"})
        found = migrate.prepare(workspace_of(project))
    assert [str(b) for b in found.breakages] == [
        "query 'SELECT count(*) FROM tags' (query log, 1 run in 7 days) fails after migrate 0003 drop:"
        " no such table: tags"
    ]


def test_d1ops_finds_nothing_of_its_own_in_the_log(tmp_path: Path) -> None:
    ranges = Limits(one_batch_bytes=0, small_table_bytes=500, page_bytes=500, inline_bytes=100, piece_bytes=100)
    with Emulator(settings()) as server, client(server) as api:
        database = HttpDatabase(api, server.create_database("app"), name="app", atomicity=Atomicity.PROVED)
        project = Project(tmp_path, database).use_sample()
        project.migrate()
        sample(database, rows=6, seed=1)
        project.rollback("7")
        project.migrate()
        workspace = workspace_of(project)
        backup, _ = backups.create(workspace, limits=ranges)
        survey(database, workspace.ledger, count=True, tell=project.told.append)
        doctor.examine(workspace, foreign_keys=True)
        plan = rollback.plan(workspace, look(workspace), "7")
        assert isinstance(plan, Plan)
        in_place.rehearse(workspace, plan)
        load.load(workspace, load.prepare(workspace, workspace, backup.id), YES)
        catalog = workspace.catalog
        logged = read_insights(database, 1, workspace.now(), workspace.ledger).logged
    scripts = [script for m in catalog.migrations for script in (m.script, m.rollback) if script is not None]
    known = {normalised(s.sql, literals=False) for script in scripts for s in script.statements}
    assert logged
    assert [one.query.sql for one in logged if normalised(one.query.sql, literals=False) not in known] == []


def test_a_token_that_may_not_read_the_log_stops_nobody(tmp_path: Path) -> None:
    with Emulator(settings(analytics_token="another")) as server, opened(tmp_path, server) as project:
        found = prepared(project)
    assert found.running is not None
    assert found.running.logged is None
    assert found.running.problem == "the token lacks the permission Account Analytics: Read"
    assert [b.query for b in found.breakages] == ["by email"]


@pytest.mark.parametrize("kind", ["500", "429", "drop-before", "garbage", "truncated"])
def test_a_log_that_does_not_answer_is_asked_once(tmp_path: Path, kind: str) -> None:
    faults = parse(f"on=graphql,rate=1,kinds={kind}")
    with Emulator(settings(faults=faults)) as server, opened(tmp_path, server) as project:
        before = project.database.requests
        running = running_queries(workspace_of(project))
        assert project.database.requests == before + 1
        assert running.problem
        assert (running.logged, len(running.workload.entries)) == (None, 1)


def test_of_a_long_log_those_that_read_most_are_taken(tmp_path: Path) -> None:
    groups = tuple(QueryGroup(f"SELECT {n} FROM users", 1, 5_000 - n, 0, 0, 0.0) for n in range(MAX_LOGGED + 1))

    class Long(Delegate):
        def query_log(self, since: datetime, until: datetime, *, is_brief: bool = False) -> QueryLog:
            assert is_brief
            assert (until - since).days == LOG_DAYS
            return QueryLog(groups, is_whole=True)

    with Emulator(settings()) as server, opened(tmp_path, server) as project:
        running = running_queries(replace(workspace_of(project), database=Long(project.database)))
    assert (running.logged, running.is_whole) == (MAX_LOGGED, False)
