"""Whether a target is all or nothing is asked of the target, and remembered."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from d1ops.core.values import Statement
from d1ops.database.base import Atomicity
from d1ops.errors import NotAtomic
from d1ops.ops import probe
from tests.support.delegate import Delegate

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.values import Result
    from d1ops.database.base import Capabilities, Database
    from d1ops.ops.workspace import Workspace
    from tests.support.project import Project


class Remote(Delegate):
    """A target that says nothing about its batches; `atomic=False` makes it run a batch statement by statement, each
    for itself."""

    def __init__(self, inner: Database, *, atomic: bool) -> None:
        super().__init__(inner)
        self.atomic = atomic

    @property
    def capabilities(self) -> Capabilities:
        return replace(self.inner.capabilities, atomic_batch=Atomicity.UNKNOWN)

    def batch(
        self, statements: Sequence[Statement], *, reads_only: bool = False, lossy: bool = False
    ) -> tuple[Result, ...]:
        if self.atomic:
            return super().batch(statements, reads_only=reads_only, lossy=lossy)
        return tuple(self.inner.query(s.sql, s.params) for s in statements)


def remote(project: Project, *, atomic: bool) -> Workspace:
    return replace(project.workspace, database=Remote(project.database, atomic=atomic))


def test_an_atomic_target_is_found_to_be_one_and_remembered(small: Project) -> None:
    workspace = remote(small, atomic=True)
    with pytest.raises(NotAtomic, match="nobody has proved yet"):
        probe.require_atomic(workspace)
    before = small.database.requests
    assert probe.run(workspace) is Atomicity.PROVED
    assert small.database.requests - before == 2
    probe.require_atomic(remote(small, atomic=True))
    assert small.database.query("SELECT count(*) FROM sqlite_master").scalar() == 0


class Chatty(Remote):
    """A target that writes rows of its own while it works, so that `total_changes()` counts more than the batch's."""

    def batch(
        self, statements: Sequence[Statement], *, reads_only: bool = False, lossy: bool = False
    ) -> tuple[Result, ...]:
        mixed = [each for statement in statements for each in (statement, Statement("UPDATE d1ops_noise SET n = n"))]
        return super().batch(statements if reads_only else mixed[:-1], reads_only=reads_only, lossy=lossy)


def test_a_target_whose_count_of_changes_is_not_the_batchs_own_is_not_held_to_it(small: Project) -> None:
    small.run("CREATE TABLE d1ops_noise (n)", "INSERT INTO d1ops_noise VALUES (1)")
    workspace = replace(small.workspace, database=Chatty(small.database, atomic=True))
    assert probe.run(workspace) is Atomicity.PROVED
    assert not probe.counts_changes(workspace)
    exact = remote(small, atomic=True)
    assert not probe.counts_changes(exact)
    probe.run(exact)
    assert probe.counts_changes(exact)


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
