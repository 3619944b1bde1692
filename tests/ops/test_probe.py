"""Whether a target is all or nothing is asked of the target, and remembered."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from d1ops.core.values import Statement
from d1ops.database.base import Atomicity, Capabilities
from d1ops.errors import NotAtomic
from d1ops.ops import probe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.values import Param, Result
    from d1ops.ops.workspace import Workspace
    from tests.support.project import Project


class Remote:
    """The embedded database as a target that says nothing about its batches; `atomic=False` makes it run a batch
    statement by statement, each for itself."""

    capabilities = Capabilities(Atomicity.UNKNOWN, ingest=True, time_travel=True, create=True)

    def __init__(self, project: Project, *, atomic: bool) -> None:
        self._inner = project.database
        self._atomic = atomic

    def __getattr__(self, name: str) -> object:
        return getattr(self._inner, name)

    def query(self, sql: str, params: Sequence[Param] = ()) -> Result:
        return self._inner.query(sql, params)

    def batch(self, statements: Sequence[Statement], **how: bool) -> tuple[Result, ...]:
        if self._atomic:
            return self._inner.batch(statements, **how)
        return tuple(self._inner.query(s.sql, s.params) for s in statements)


def remote(project: Project, *, atomic: bool) -> Workspace:
    return replace(project.workspace, database=Remote(project, atomic=atomic))  # type: ignore[arg-type] - delegates


def test_an_atomic_target_is_found_to_be_one_and_remembered(small: Project) -> None:
    workspace = remote(small, atomic=True)
    with pytest.raises(NotAtomic, match="nobody has proved yet"):
        probe.require_atomic(workspace)
    before = small.database.requests
    assert probe.run(workspace) is Atomicity.PROVED
    assert small.database.requests - before == 2
    probe.require_atomic(remote(small, atomic=True))
    assert small.database.query("SELECT count(*) FROM sqlite_master").scalar() == 0


def test_a_target_that_keeps_part_of_a_batch_is_found_and_cleaned(small: Project) -> None:
    workspace = remote(small, atomic=False)
    assert probe.run(workspace) is Atomicity.REFUTED
    with pytest.raises(NotAtomic, match="kept part of a batch"):
        probe.require_atomic(workspace)
    assert small.database.query("SELECT count(*) FROM sqlite_master").scalar() == 0
    assert any("left behind" in line for line in small.told)


def test_what_a_killed_probe_left_is_dropped_and_said(small: Project) -> None:
    small.run("CREATE TABLE d1ops_probe (n)")
    assert probe.run(remote(small, atomic=True)) is Atomicity.PROVED
    assert small.database.query("SELECT count(*) FROM sqlite_master").scalar() == 0
    assert any("left behind by an earlier probe" in line for line in small.told)


def test_facts_that_cannot_be_read_are_no_facts(small: Project) -> None:
    workspace = remote(small, atomic=True)
    probe.run(workspace)
    (file,) = (small.root / ".d1ops" / "targets").iterdir()
    file.write_text("{")
    assert probe.known(workspace) is Atomicity.UNKNOWN
