"""Every request of every command, spoiled in every way: afterwards the database is wholly before or wholly after, the
next run completes, and nothing is lost."""

from __future__ import annotations

import json
import signal
import threading
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from d1ops.core.restoring import MARK
from d1ops.emulator import Fault
from d1ops.emulator.faults import Hold
from tests.faults.scenarios import MIGRATIONS, ROLLBACKS, SCENARIOS, Way
from tests.faults.world import PATIENCE_SECONDS, TOKEN, Ended, State, World, files_below

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from d1ops.emulator import EngineName

MANY = 60
"""More requests than any command sends after a fault."""


class Kind(StrEnum):
    """What happens to a request; from `gone` on, to every later one of the command too."""

    DROP_BEFORE = "drop-before"
    DROP_AFTER = "drop-after"
    TOO_MANY = "429"
    INTERNAL = "500"
    TIMEOUT = "504"
    GARBAGE = "garbage"
    KILL = "SIGKILL"
    GONE_BEFORE = "drop-before, then no network"
    GONE_AFTER = "drop-after, then no network"
    TIMEOUT_GONE = "504, then no network"
    LIMITED = "429 from then on"

    @property
    def fault(self) -> Fault:
        """The fault of the request itself."""
        return {
            Kind.GONE_BEFORE: Fault.DROP_BEFORE,
            Kind.GONE_AFTER: Fault.DROP_AFTER,
            Kind.TIMEOUT_GONE: Fault.TIMEOUT,
            Kind.LIMITED: Fault.TOO_MANY,
        }.get(self) or Fault(self.value)

    @property
    def later(self) -> Fault | None:
        """The fault of every later request."""
        if self in (Kind.GONE_BEFORE, Kind.GONE_AFTER, Kind.TIMEOUT_GONE):
            return Fault.DROP_BEFORE
        return Fault.TOO_MANY if self is Kind.LIMITED else None


@dataclass(frozen=True)
class Case:
    """The `nth` request (from 1) of a command, spoiled."""

    scenario: str
    nth: int
    kind: Kind

    def __str__(self) -> str:
        return f"{self.scenario}, request {self.nth}, {self.kind}"


@dataclass(frozen=True)
class Record:
    """An undisturbed run: where it starts, every whole state on the way, where it ends, and what it asked."""

    way: Way
    states: tuple[State, ...]
    requests: tuple[str, ...]
    nonces: frozenset[str]

    @property
    def before(self) -> State:
        return self.states[0]

    @property
    def after(self) -> State:
        return self.states[-1]


class Matrix:
    """A world for each command, and its record. `rows` is how many users the database has."""

    def __init__(self, folder: Path, engine: EngineName, *, rows: int = 12) -> None:
        self._folder = folder
        self._engine = engine
        self._rows = rows
        self._worlds: dict[str, tuple[World, Record]] = {}
        self._stack = ExitStack()

    @contextmanager
    def open(self) -> Iterator[Matrix]:
        with self._stack:
            yield self

    @contextmanager
    def _world(self, scenario: str) -> Iterator[tuple[World, Record]]:
        """Open the scenario's world. One is open at a time: commands read the process's environment."""
        if scenario not in self._worlds:
            self._stack.close()
            self._worlds.clear()
            folder = self._folder / scenario.replace(" ", "_")
            folder.mkdir(parents=True)
            world = self._stack.enter_context(World(folder, self._engine).open())
            self._worlds[scenario] = (world, _record(world, scenario, self._rows))
        yield self._worlds[scenario]

    def cases(self, scenario: str) -> list[Case]:
        """Every case of a scenario, from the requests of its undisturbed run."""
        with self._world(scenario) as (_, record):
            return [Case(scenario, nth, kind) for nth in range(1, len(record.requests) + 1) for kind in Kind]

    def run(self, case: Case) -> list[str]:
        """Run a case and return what is wrong, in words."""
        with self._world(case.scenario) as (world, record):
            world.put_back("start")
            ended = _killed(world, record, case) if case.kind is Kind.KILL else _spoiled(world, record, case)
            world.server.inject_nothing()
            wrong = [*_judge(world, record, ended), *_finish(world, record, ended)]
            request = record.requests[case.nth - 1]
            return [f"{case} ({request[:100]}): {problem}" for problem in wrong]


def _record(world: World, scenario: str, rows: int) -> Record:
    world.write("migrations", MIGRATIONS)
    world.write("rollbacks", ROLLBACKS)
    way = SCENARIOS[scenario](world, rows)
    world.keep("start")
    states = [world.state()]
    for step in way.steps:
        world.ok(*step)
        states.append(world.state())
    world.put_back("start")
    nonces = world.nonces()
    world.observed.clear()
    world.ok(*way.command)
    requests = tuple(world.observed)
    if world.state() not in states or not way.steps:
        states.append(world.state())
    assert world.state() == states[-1], "the steps end elsewhere than the command"
    return Record(way, tuple(states), requests, frozenset(nonces))


def _spoiled(world: World, record: Record, case: Case) -> Ended:
    world.server.inject(case.kind.fault, nth=case.nth)
    if case.kind.later is not None:
        for nth in range(case.nth + 1, case.nth + MANY):
            world.server.inject(case.kind.later, nth=nth)
    return world.run(*record.way.command)


def _killed(world: World, record: Record, case: Case) -> Ended:
    """Kill the process between a request that was carried out and its answer."""
    hold = Hold(carried_out=True)
    world.server.inject(hold, nth=case.nth)
    process = world.start(*record.way.command)

    def watch() -> None:
        process.wait()
        hold.reached.set()

    watcher = threading.Thread(target=watch)
    watcher.start()
    assert hold.reached.wait(PATIENCE_SECONDS)
    process.kill()
    out, err = process.communicate()
    watcher.join()
    hold.release()
    return Ended(process.returncode, out, err)


def _judge(world: World, record: Record, ended: Ended) -> Iterator[str]:
    """What must hold right after the command, whatever happened to it."""
    if MARK in world.tables():
        yield from _judge_mark(world, ended)
        return
    state = world.state()
    if state not in record.states:
        yield f"the database is neither before nor after: {_short(state)}"
    if ended.code == 0 and state != record.after:
        yield "exit 0, and the database is not as it must be after"
    if ended.code in (2, 3, 4, 5) and state != record.before:
        yield f"exit {ended.code} says that nothing changed, and something did"
    if ended.code not in (0, 3, 5, 6, -signal.SIGKILL):
        yield f"exit {ended.code}: {ended.err}"
    yield from _clean(ended)
    yield from _told(world, state)
    if any(TOKEN.encode() in path.read_bytes() for path in files_below(world.local)):
        yield "a local file holds the token"
    listed = world.run("backup", "list", "--format", "json")
    for backup in json.loads(listed.out).get("backups", [])[-1:]:
        checked = world.run("backup", "verify", backup["id"])
        if checked.code != 0:
            yield f"a listed backup is not whole: {checked.err}"


def _judge_mark(world: World, ended: Ended) -> Iterator[str]:
    """While a load is unfinished the database is neither; then everything that looks at it must say so."""
    if ended.code not in (6, -signal.SIGKILL):
        yield f"exit {ended.code} while a load is under way: {ended.err}"
    yield from _clean(ended)
    told = world.run("status", "--format", "json")
    if told.code != 6 or not json.loads(told.out)["restoring"]:
        yield f"status does not tell of the load: exit {told.code}"
    refused = world.run("migrate", "--yes")
    if refused.code != 6:
        yield f"a migrate in the middle of a load exits {refused.code}"


def _told(world: World, state: State) -> Iterator[str]:
    """What `status` says must be what is there."""
    told = world.run("status", "--format", "json")
    if told.code != 0:
        yield f"status exits {told.code}: {told.err}"
        return
    document = json.loads(told.out)
    applied = {each["file"] for each in document["migrations"] if each["applied_at"]}
    if applied != set(state.ledger):
        yield f"status says {sorted(applied)} are applied, the ledger holds {state.ledger}"
    yield from _clean(told)


def _finish(world: World, record: Record, ended: Ended) -> Iterator[str]:
    """The next run completes, and nothing is lost."""
    if ended.code != 0:
        again = world.run(*(RESUME if MARK in world.tables() else record.way.command))
        if again.code != 0:
            yield f"the next run exits {again.code}: {again.err}"
        yield from _clean(again)
    state = world.state()
    if state != record.after:
        yield f"the next run ends elsewhere: {_short(state)}, not {_short(record.after)}"
    lost = record.nonces - world.nonces()
    if lost:
        yield f"{len(lost)} events of the history are lost"
    if len(state.ledger) != len(set(state.ledger)):
        yield "a migration is applied twice"
    left = {table for table in world.tables() if table.startswith("d1ops_")} - {"d1ops_history"}
    if left:
        yield f"left behind on the target: {sorted(left)}"
    told = json.loads(world.run("status", "--format", "json").out)
    open_ones = [each for each in told["conditions"] if each["name"] not in _MAY_STAY]
    if open_ones:
        yield f"at the end status still asks for something: {open_ones}"
    unproved = [each["file"] for each in told["migrations"] if each["state"] in ("unverified", "changed", "missing")]
    if unproved:
        yield f"at the end nobody knows what these held: {unproved}"
    yield from _foreign_keys(world)


RESUME = ("restore", "--resume", "--yes")

_MAY_STAY = ("unfinished backup",)
"""A killed process cannot tidy up after itself; `status` names the folder."""


def _foreign_keys(world: World) -> Iterator[str]:
    broken: Any = world.ask("SELECT count(*) FROM pragma_foreign_key_check")[0].scalar()
    if broken:
        yield f"{broken} rows lost their parent"


def _clean(ended: Ended) -> Iterator[str]:
    text = ended.out + ended.err
    if TOKEN in text:
        yield "the token is in the output"
    if "Traceback" in text or "bug of d1ops" in text:
        yield f"a defect: {ended.err}"
    if ended.code not in (0, -signal.SIGKILL) and "error:" not in ended.err:
        yield f"exit {ended.code} without a word"


def _short(state: State) -> str:
    rows = {table: len(found) for table, found in state.rows}
    return f"schema {state.schema}, rows {rows}, applied {list(state.ledger)}"
