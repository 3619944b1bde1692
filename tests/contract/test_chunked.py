"""Data migrations in pieces: every piece is guarded, a run that ended early goes on, and nothing is done twice."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from d1ops.errors import LedgerRefused, LossRefused, OutcomeUnknown, PiecesLeft, TargetMoved, TooLong
from d1ops.ops import migrate
from d1ops.ops.look import look
from tests.support.delegate import Delegate
from tests.support.project import Project, accepting

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from d1ops.core.values import Result, Statement
    from tests.contract.conftest import Adapter

ADD = (
    "-- d1ops: chunked items by id, 10 rows\n"
    "UPDATE items SET n = n + 1, seen = 1 WHERE id BETWEEN :from AND :to;\n"
    "DELETE FROM items WHERE id >= :from AND id <= :to AND name = 'drop';\n"
)
ACCEPT = "items"


@pytest.fixture
def project(request: pytest.FixtureRequest, tmp_path: Path, database: Adapter) -> Project:
    key = getattr(request, "param", "id INTEGER PRIMARY KEY")
    project = Project(tmp_path, database).write(
        {
            "0001_base.sql": f"CREATE TABLE items ({key}, n INTEGER, seen INTEGER, name TEXT);\n",
            "0002_add.sql": ADD,
            "0003_more.sql": "CREATE TABLE more (id INTEGER);\n",
        }
    )
    project.migrate(to="1")
    values = ", ".join(f"({i * 3}, {i}, NULL, '{'drop' if i % 11 == 0 else 'keep'}')" for i in range(35))
    project.run(f"INSERT INTO items VALUES {values}")
    return project


def numbers(project: Project) -> list[tuple[object, ...]]:
    return list(project.database.query("SELECT CAST(id AS INTEGER), n, seen FROM items ORDER BY 1").rows)


DONE = [(i * 3, i + 1, 1) for i in range(35) if i % 11]


class Failing(Delegate):
    """A target that breaks at the nth write: before it, or after it was carried out and without an answer."""

    def __init__(self, project: Project, nth: int, *, carried_out: bool) -> None:
        super().__init__(project.database)
        self.left = nth
        self.carried_out = carried_out

    def batch(
        self, statements: Sequence[Statement], *, reads_only: bool = False, lossy: bool = False
    ) -> tuple[Result, ...]:
        if not reads_only:
            self.left -= 1
            if self.left == 0:
                if self.carried_out:
                    super().batch(statements, lossy=lossy)
                raise OutcomeUnknown("the connection broke")
        return super().batch(statements, reads_only=reads_only, lossy=lossy)


@pytest.mark.parametrize("project", ["id INTEGER PRIMARY KEY", "id TEXT PRIMARY KEY"], indirect=True)
def test_every_row_is_changed_once_and_the_plan_goes_on(project: Project) -> None:
    before = project.database.requests
    applied = project.migrate(accept=ACCEPT)
    assert numbers(project) == DONE
    assert set(project.states().values()) == {"applied"}
    assert [event.migration for event in applied.events] == ["0002_add.sql", "0003_more.sql"]
    assert not applied.look.everything.has_table("d1ops_chunked")
    assert sum("pieces, up to the key" in line for line in project.told) == 3
    assert project.database.requests - before < 20


@pytest.mark.parametrize("carried_out", [False, True])
def test_a_run_that_breaks_goes_on_behind_what_is_done(project: Project, carried_out: bool) -> None:
    real = project.database
    for nth in (3, 1, 2):
        project.database = Failing(project, nth, carried_out=carried_out)
        if carried_out:  # The record on the target tells that the piece was committed.
            project.migrate(accept=ACCEPT)
            break
        with pytest.raises(OutcomeUnknown, match=r"does not show the piece"):
            project.migrate(accept=ACCEPT)
        project.database = real
        (progress,) = look(project.workspace).progress
        assert progress.migration == "0002_add.sql"
        assert project.states()["0002"] == "pending"
    project.database = real
    project.migrate(accept=ACCEPT) if not carried_out else None
    assert numbers(project) == DONE
    assert look(project.workspace).progress == ()


def test_rows_written_since_the_backup_stop_the_run_and_the_next_one_goes_on(project: Project) -> None:
    project.write({"0002_add.sql": ADD.replace("10 rows", "5 rows").replace("seen = 1", "seen = n")})
    project.run("UPDATE items SET seen = 7 WHERE n > 20")
    workspace = project.workspace
    prepared = migrate.prepare(workspace, to="2")
    project.run("UPDATE items SET seen = 8 WHERE n = 27")
    with pytest.raises(PiecesLeft) as caught:
        migrate.migrate(workspace, prepared, accepting(ACCEPT))
    assert isinstance(caught.value.cause, TargetMoved)
    assert 0 < caught.value.done < caught.value.pieces
    assert caught.value.hint is not None
    assert "d1ops migrate goes on" in caught.value.hint
    project.migrate(accept=ACCEPT)
    assert [row[:2] for row in numbers(project)] == [row[:2] for row in DONE]


def test_what_was_written_since_into_an_empty_column_is_not_overwritten(project: Project) -> None:
    update, _, _ = ADD.removesuffix("\n").rpartition("\n")
    project.write({"0002_add.sql": update.replace("n = n + 1, ", "") + "\n"})
    prepared = migrate.prepare(project.workspace, to="2")
    assert prepared.collateral == ()
    project.run("UPDATE items SET seen = 8 WHERE n = 27")
    with pytest.raises(PiecesLeft) as caught:
        migrate.migrate(project.workspace, prepared, accepting(""))
    assert isinstance(caught.value.cause, TargetMoved)
    assert caught.value.cause.subjects == ("items.seen",)
    assert project.database.query("SELECT seen FROM items WHERE n = 27").scalar() == 8


def test_a_loss_is_named_before_anything_is_sent(project: Project) -> None:
    before = numbers(project)
    with pytest.raises(LossRefused) as caught:
        project.migrate()
    assert caught.value.losses == ("items",)
    assert numbers(project) == before


def test_another_runner_is_noticed(project: Project) -> None:
    workspace = project.workspace
    prepared = migrate.prepare(workspace, to="2")
    project.migrate(to="2", accept=ACCEPT)
    with pytest.raises(TargetMoved):
        migrate.migrate(workspace, prepared, accepting(ACCEPT))
    assert numbers(project) == DONE


def test_a_file_that_was_changed_while_it_is_under_way_is_refused(project: Project) -> None:
    real = project.database
    project.database = Failing(project, 2, carried_out=False)
    with pytest.raises(OutcomeUnknown):
        project.migrate(accept=ACCEPT)
    project.database = real
    project.write({"0002_add.sql": ADD.replace("n + 1", "n + 2")})
    with pytest.raises(LedgerRefused, match=r"changed while it is under way: it is done up to the key"):
        project.migrate(accept=ACCEPT)


def test_an_empty_table_is_done_at_once(project: Project) -> None:
    project.run("DELETE FROM items")
    project.migrate()
    assert set(project.states().values()) == {"applied"}


def test_a_step_that_takes_too_long_on_the_copy_is_not_sent(project: Project) -> None:
    project.write({"0002_add.sql": "UPDATE items SET n = n + 1;\n"})
    workspace = replace(project.workspace, batch_max_seconds=0.0)
    with pytest.raises(TooLong, match=r"0002_add.sql took .* seconds on the copy") as caught:
        migrate.prepare(workspace, to="2")
    assert caught.value.hint is not None
    assert "docs/chunked-migrations.md" in caught.value.hint
