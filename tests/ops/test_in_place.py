"""A rehearsal in place where it must not or cannot run, and what it says of somebody else at work."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from d1ops.client import Budget, D1Client
from d1ops.client import Settings as ClientSettings
from d1ops.database.base import Atomicity
from d1ops.database.http import HttpDatabase
from d1ops.emulator import Emulator, Settings
from d1ops.errors import NotAtomic, TargetMoved, TooLong
from d1ops.ops import in_place, migrate, rollback
from d1ops.ops.look import look
from tests.support.delegate import Delegate
from tests.support.project import Project

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from d1ops.core.plan import Plan
    from d1ops.core.values import Result, Statement
    from d1ops.database.base import Capabilities


def plan_of(project: Project, number: str) -> Plan:
    found = rollback.plan(project.workspace, look(project.workspace), number)
    assert not isinstance(found, rollback.NothingToRollBack)
    return found


class Unproved(Delegate):
    @property
    def capabilities(self) -> Capabilities:
        return replace(self.inner.capabilities, atomic_batch=Atomicity.UNKNOWN)


class Busy(Delegate):
    """A target on which somebody writes just before, or just after, a batch that changes something."""

    def __init__(self, project: Project, sql: str, *, before: bool) -> None:
        super().__init__(project.database)
        self.sql = sql
        self.before = before

    def batch(
        self, statements: Sequence[Statement], *, reads_only: bool = False, lossy: bool = False
    ) -> tuple[Result, ...]:
        if reads_only:
            return super().batch(statements, reads_only=True, lossy=lossy)
        if self.before:
            self.inner.query(self.sql)
        try:
            return super().batch(statements, lossy=lossy)
        finally:
            if not self.before:
                self.inner.query(self.sql)


def test_a_target_that_nobody_proved_is_not_rehearsed_on(filled: Project) -> None:
    plan = plan_of(filled, "2")
    filled.database = Unproved(filled.database)
    with pytest.raises(NotAtomic, match=r"nobody has proved"):
        in_place.rehearse(filled.workspace, plan)


def test_a_schema_that_moves_just_before_the_batch_is_named(filled: Project) -> None:
    plan = plan_of(filled, "2")
    filled.database = Busy(filled, "CREATE INDEX by_hand ON users (email)", before=True)
    with pytest.raises(TargetMoved) as caught:
        in_place.rehearse(filled.workspace, plan)
    assert caught.value.subjects == ("index by_hand",)


def test_rows_that_somebody_else_writes_meanwhile_are_told_apart(filled: Project) -> None:
    plan = plan_of(filled, "2")
    filled.database = Busy(filled, "INSERT INTO users (id) VALUES ('u7')", before=False)
    found = in_place.rehearse(filled.workspace, plan)
    assert found.moved == ("users",)
    assert found.warnings[0] == in_place.IDENTITY_UNKNOWN
    assert "users was written to by somebody else" in found.warnings[1]


def test_a_rehearsal_that_takes_too_long_is_undone_and_says_so(tmp_path: Path) -> None:
    with Emulator(Settings(max_request_seconds=0.3)) as server:
        options = ClientSettings(budget=Budget(10**6), sleep=lambda seconds: None)
        client = D1Client(server.settings.account_id, "t0ken", base_url=server.base_url, settings=options)
        database = HttpDatabase(client, server.create_database("app"), name="app", atomicity=Atomicity.PROVED)
        with closing(database):
            project = Project(tmp_path, database).write(
                {
                    "0001_a.sql": "CREATE TABLE t (n INTEGER);\n",
                    "0002_slow.sql": "INSERT INTO t WITH RECURSIVE s(n) AS (SELECT n FROM t UNION ALL"
                    " SELECT n + 1 FROM s WHERE n < 100000000) SELECT count(*) FROM s;\n",
                }
            )
            project.migrate(to="1")
            project.run("INSERT INTO t VALUES (1)")
            plan = migrate.plan(project.workspace, look(project.workspace))
            with pytest.raises(TooLong, match=r"gave up on the rehearsal in place") as caught:
                in_place.rehearse(project.workspace, plan)
            assert caught.value.hint is not None
            assert "chunked" in caught.value.hint
            assert project.rows() == {"t": [(1,)]}
