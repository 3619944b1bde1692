"""Faults on demand: what the specification says, that a seed repeats itself, and what our client makes of each."""

from __future__ import annotations

import io
import itertools

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from d1ops.core.values import Statement
from d1ops.emulator import Emulator, Fault, Faults
from d1ops.emulator.faults import IS_CARRIED_OUT, parse
from d1ops.emulator.wire import Reply
from d1ops.errors import DatabaseError, OutcomeUnknown, RateLimited, Unreachable, UsageError
from tests.emulator.conftest import client, settings


def test_a_specification_is_read() -> None:
    assert parse("") == Faults()
    assert parse("seed=7, rate=0.25,kinds=drop-before|429,slow=20,on=query|raw,at=3:500,at=5:slow") == Faults(
        rate=0.25,
        seed=7,
        kinds=(Fault.DROP_BEFORE, Fault.TOO_MANY),
        on=("query", "raw"),
        slow_seconds=0.02,
        at={3: Fault.INTERNAL, 5: Fault.SLOW},
    )


@pytest.mark.parametrize(
    "text", ["rate", "rate=x", "rate=2", "rate=-1", "rate=nan", "kinds=x", "at=0:500", "at=1", "x=1"]
)
def test_a_wrong_specification_names_what_is_wrong(text: str) -> None:
    with pytest.raises(UsageError, match="--faults: ") as caught:
        parse(text)
    assert caught.value.hint is not None
    assert "drop-after" in caught.value.hint


@given(seed=st.integers(0, 2**32), rate=st.floats(0, 1), kinds=st.sets(st.sampled_from(Fault), min_size=1))
def test_the_same_seed_spoils_the_same_requests(seed: int, rate: float, kinds: set[Fault]) -> None:
    spec = f"seed={seed},rate={rate!r},kinds={'|'.join(sorted(kinds))}"
    first = [parse(spec).of(number) for number in range(1, 60)]
    assert first == [parse(spec).of(number) for number in range(1, 60)]
    assert {fault for fault in first if fault} <= kinds
    assert rate < 1 or None not in first


@pytest.mark.parametrize("seed", [1, 2])
def test_a_run_repeats_itself_to_the_byte(seed: int) -> None:
    def run() -> list[object]:
        faults = parse(f"seed={seed},rate=0.6,slow=0")
        with Emulator(settings(faults=faults)) as server, httpx.Client() as http:
            url = f"{server.base_url}/user/tokens/verify"
            seen: list[object] = []
            for _ in range(30):
                try:
                    answer = http.get(url, headers={"authorization": f"Bearer {server.settings.token}"})
                    seen.append((answer.status_code, answer.content))
                except httpx.TransportError as error:
                    seen.append(type(error))
            return seen

    first = run()
    assert len({repr(each) for each in first}) >= 5
    assert first == run()


WRITES: dict[Fault, type[DatabaseError] | None] = {
    Fault.DROP_BEFORE: OutcomeUnknown,
    Fault.DROP_AFTER: OutcomeUnknown,
    Fault.TOO_MANY: RateLimited,
    Fault.INTERNAL: OutcomeUnknown,
    Fault.TIMEOUT: OutcomeUnknown,
    Fault.TRUNCATED: OutcomeUnknown,
    Fault.GARBAGE: OutcomeUnknown,
    Fault.SLOW: None,
    Fault.STUCK_EXPORT: None,
}


@pytest.mark.parametrize("fault", Fault)
def test_a_spoiled_write_is_in_exactly_when_the_fault_says_so(fault: Fault) -> None:
    with Emulator(settings(faults=Faults(slow_seconds=0.01))) as server, client(server) as api:
        id_ = server.create_database("writes")
        server.database(id_).query("CREATE TABLE t(a)")
        for nth in range(1, 9 if fault is Fault.TOO_MANY else 2):
            server.inject(fault, nth=nth)
        expected = WRITES[fault]
        if expected is None:
            api.query(id_, "INSERT INTO t VALUES(1)")
        else:
            with pytest.raises(expected):
                api.query(id_, "INSERT INTO t VALUES(1)")
        assert server.database(id_).query("SELECT count(*) FROM t").scalar() == int(fault in IS_CARRIED_OUT)


@pytest.mark.parametrize("fault", Fault)
def test_a_spoiled_read_is_asked_again(fault: Fault) -> None:
    with Emulator(settings(faults=Faults(slow_seconds=0.01))) as server, client(server) as api:
        id_ = server.create_database("reads")
        server.inject(fault)
        assert api.query(id_, "SELECT 1").scalar() == 1
        assert server.request_count == (1 if fault in (Fault.SLOW, Fault.STUCK_EXPORT) else 2)


def test_a_stuck_export_ends_with_the_clients_patience() -> None:
    with Emulator(settings()) as server:
        id_ = server.create_database("stuck")
        server.inject(Fault.STUCK_EXPORT)
        polls = itertools.count()

        class Enough(Exception):
            pass

        def lose_patience(_: float) -> None:
            if next(polls) > 10:
                raise Enough

        with client(server, clock=lambda: 0.0, sleep=lose_patience) as api, pytest.raises(Enough):
            api.export(id_, io.BytesIO())
        with client(server) as other, pytest.raises(Unreachable, match="long-running export"):
            other.batch(id_, [Statement("INSERT INTO t VALUES(1)")])


def test_an_answer_can_be_given_in_the_place_of_the_true_one() -> None:
    with Emulator(settings()) as server, client(server) as api:
        id_ = server.create_database("canned")
        server.inject(Reply(200, b'{"success":true,"result":[]}'), nth=2)
        assert api.query(id_, "SELECT 1").scalar() == 1
        with pytest.raises(OutcomeUnknown, match="0 results for 1 statement"):
            api.query(id_, "CREATE TABLE t(a)")
        assert server.request_count == 2
        assert server.database(id_).query("SELECT count(*) FROM sqlite_schema").scalar() == 0


def test_only_the_named_paths_count() -> None:
    with Emulator(settings(faults=parse("on=raw,at=2:500"))) as server, client(server) as api:
        id_ = server.create_database("paths")
        server.database(id_).query("CREATE TABLE t(a)")
        for _ in range(3):
            api.list_databases()
        api.query(id_, "INSERT INTO t VALUES(1)")
        with pytest.raises(OutcomeUnknown):
            api.query(id_, "INSERT INTO t VALUES(2)")
        assert api.query(id_, "SELECT count(*) FROM t").scalar() == 1
