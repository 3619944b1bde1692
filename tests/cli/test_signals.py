"""Real signals to a real process, at points that the emulator holds: what was sent is waited for, or looked up, or said
to be unknown."""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING

import pytest

from d1ops.emulator import EngineName, Fault
from d1ops.emulator.faults import Hold
from tests.faults.scenarios import MIGRATIONS, ROLLBACKS, migrate
from tests.faults.world import PATIENCE_SECONDS, World

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Iterator

STOPPING = "stopping: waiting for the answer to migrate 0003 index; once more ends at once\n"
BATCHES: list[int] = []
"""Which requests of the undisturbed run are its guarded batches, counted from 1."""


@pytest.fixture(scope="module")
def opened(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    with World(tmp_path_factory.mktemp("signals"), EngineName.SQLITE).open() as world:
        world.write("migrations", MIGRATIONS)
        world.write("rollbacks", ROLLBACKS)
        migrate(world, 5)
        world.keep("start")
        world.observed.clear()
        world.ok("migrate", "--yes")
        BATCHES[:] = [nth for nth, words in enumerate(world.observed, start=1) if "CASE WHEN" in words]
        yield world


@pytest.fixture
def world(opened: World) -> World:
    """Three migrations are pending; the second one touches rows."""
    opened.put_back("start")
    return opened


class Held:
    """`migrate` as a process, whose first batch waits in the emulator."""

    def __init__(self, world: World, *, nth: int, carried_out: bool, fault: Fault | None = None) -> None:
        self.hold = Hold(carried_out=carried_out, fault=fault)
        world.server.inject(self.hold, nth=nth)
        self.process: subprocess.Popen[str] = world.start("migrate", "--yes", "--format", "json")
        assert self.hold.reached.wait(PATIENCE_SECONDS)
        self.said = ""

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def until(self, text: str) -> None:
        assert self.process.stderr is not None
        while text not in self.said:
            line = self.process.stderr.readline()
            assert line, self.said
            self.said += line

    def end(self) -> tuple[int, str, str]:
        out, err = self.process.communicate(timeout=PATIENCE_SECONDS)
        self.hold.release()
        assert self.hold.ended.wait(PATIENCE_SECONDS)
        return self.process.returncode, out, self.said + err


def applied(world: World) -> int:
    return len(world.state().ledger)


@pytest.mark.parametrize(("number", "fault"), [(signal.SIGINT, None), (signal.SIGTERM, Fault.DROP_AFTER)])
def test_a_batch_under_way_is_waited_for_and_the_rest_is_not_sent(
    world: World, number: signal.Signals, fault: Fault | None
) -> None:
    held = Held(world, nth=BATCHES[0], carried_out=True, fault=fault)
    held.signal(number)
    held.until(STOPPING)
    held.hold.release()
    code, out, err = held.end()
    assert code == 130
    assert "interrupted: committed: migrate 0003 index; not sent: migrate 0004 handles, migrate 0005 tags" in err
    assert json.loads(out)["error"]["pending"] == ["migrate 0004 handles", "migrate 0005 tags"]
    assert applied(world) == 3
    told = world.ok("status")
    assert "run not at its end: the last migrate did 1 of 3 steps, each whole" in told.out
    assert "go on: d1ops migrate --env far" in told.out
    world.ok("migrate", "--yes")
    assert applied(world) == 5
    assert "go on" not in world.ok("status").out


def test_a_batch_whose_answer_is_lost_is_withdrawn_before_the_end(world: World) -> None:
    held = Held(world, nth=BATCHES[0], carried_out=False, fault=Fault.DROP_BEFORE)
    held.signal(signal.SIGINT)
    held.until(STOPPING)
    held.hold.release()
    code, _, err = held.end()
    assert code == 130
    assert "interrupted: migrate 0003 index: the answer was lost" in err
    assert "the attempt was withdrawn, so that it cannot come late" in err
    assert applied(world) == 2
    world.ok("migrate", "--yes")
    assert applied(world) == 5


@pytest.mark.parametrize("carried_out", [True, False])
def test_a_second_signal_ends_at_once_and_says_what_is_unknown(world: World, carried_out: bool) -> None:
    held = Held(world, nth=BATCHES[0], carried_out=carried_out)
    held.signal(signal.SIGINT)
    held.until(STOPPING)
    held.signal(signal.SIGTERM)
    code, out, err = held.end()
    assert code == 130
    assert "a change was being sent, so the target may or may not have it (migrate 0003 index)" in err
    assert "try: d1ops status --env far" in err
    assert json.loads(out)["error"]["type"] == "Interrupted"
    told = world.ok("status").out
    assert "answer lost: tester" in told
    assert "the target has it, whole" in told
    assert applied(world) == 3
    world.ok("migrate", "--yes")
    assert applied(world) == 5


def test_before_anything_is_sent_the_end_is_at_once(world: World) -> None:
    held = Held(world, nth=1, carried_out=False)
    held.signal(signal.SIGTERM)
    code, _, err = held.end()
    assert code == 130
    assert "interrupted: nothing was sent to change the target" in err
    assert applied(world) == 2


@pytest.mark.parametrize("which", [0, -1], ids=["reading", "proving"])
def test_a_server_that_hangs_does_not_keep_a_backup(world: World, which: int) -> None:
    world.ask(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)"
        " INSERT INTO artists SELECT 'large' || i, 'u1', randomblob(230000) FROM n"
    )
    world.keep(f"large {which}")
    world.observed.clear()
    world.ok("backup", "create")
    pages = [n for n, words in enumerate(world.observed, start=1) if "SELECT json_array(" in words]
    world.put_back(f"large {which}")
    hold = Hold(carried_out=False)
    world.server.inject(hold, nth=pages[which])
    process = world.start("backup", "create")
    assert hold.reached.wait(PATIENCE_SECONDS)
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=20)
    hold.release()
    assert process.returncode == 130
    assert "interrupted: nothing was sent to change the target" in err


def test_after_the_last_batch_the_end_is_130_and_all_is_there(world: World) -> None:
    held = Held(world, nth=BATCHES[-1], carried_out=True)
    held.signal(signal.SIGINT)
    held.until("stopping: waiting for the answer to migrate 0005 tags")
    held.hold.release()
    code, _, err = held.end()
    assert code == 130
    assert "that was all of it" in err
    assert applied(world) == 5
    assert "go on" not in world.ok("status").out


def test_a_rewind_under_way_is_finished_with_its_history(world: World) -> None:
    world.ok("backup", "create")
    (backup,) = [path.name for path in (world.local / "backups" / "far").glob("2*")]
    world.ok("migrate", "--yes")
    events = world.nonces()
    world.observed.clear()
    world.keep("rewind")
    world.ok("restore", backup, "--yes")
    (nth,) = [n for n, words in enumerate(world.observed, start=1) if "time_travel/restore" in words]
    world.put_back("rewind")
    hold = Hold(carried_out=True)
    world.server.inject(hold, nth=nth)
    process = world.start("restore", backup, "--yes")
    assert hold.reached.wait(PATIENCE_SECONDS)
    process.send_signal(signal.SIGINT)
    assert process.stderr is not None
    said = ""
    while "stopping: waiting for the answer to the rewind" not in said:
        said += process.stderr.readline()
    hold.release()
    _, err = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 130
    assert "interrupted: the rewind and its history are committed" in err
    assert applied(world) == 2
    assert events <= world.nonces()
