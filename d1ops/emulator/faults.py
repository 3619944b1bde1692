"""Faults on demand: which request is spoiled, and how. A pure function of the specification and the request's number.

A specification is a list of `key=value`, separated by commas:

    rate=0.2          every request is spoiled with this probability
    seed=7            the same seed spoils the same requests in the same way
    kinds=a|b         the kinds that `rate` chooses from; all of them when it is left out
    on=query|import   only requests whose path ends so count and are spoiled
    slow=2000         how many milliseconds `slow` takes
    at=3:drop-after   the third request that counts (from 1); may be given several times
"""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

from d1ops.emulator.wire import Refused, Reply
from d1ops.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

SLOW_SECONDS = 1.0


class Fault(StrEnum):
    """A way to spoil a request."""

    DROP_BEFORE = "drop-before"
    """The connection ends; the request was not carried out."""
    DROP_AFTER = "drop-after"
    """The connection ends; the request was carried out."""
    TOO_MANY = "429"
    """Not carried out; the answer says 429 with Retry-After."""
    INTERNAL = "500"
    """Not carried out; the answer says 500."""
    TIMEOUT = "504"
    """Carried out; the answer says 504."""
    TRUNCATED = "truncated"
    """Carried out; the connection ends in the middle of the answer."""
    GARBAGE = "garbage"
    """Carried out; the answer is not JSON."""
    SLOW = "slow"
    """Carried out and answered, late."""
    STUCK_EXPORT = "stuck-export"
    """An export that starts and never ends."""


class Hold:
    """A request that waits until a test lets it go on: before it is carried out, or between that and its answer.

    `fault` spoils the answer once it is let go. A test waits for `reached`, does what it came for, and calls `release`.
    """

    def __init__(self, *, carried_out: bool, fault: Fault | None = None) -> None:
        self.carried_out = carried_out
        self.fault = fault
        self.reached = threading.Event()
        self.ended = threading.Event()
        """The request was carried out, as far as its fault lets it."""
        self._released = threading.Event()

    def wait(self) -> None:
        """Wait in the place of the request."""
        self.reached.set()
        self._released.wait()

    def release(self) -> None:
        """Let the request go on."""
        self._released.set()


IS_CARRIED_OUT = frozenset(
    (Fault.DROP_AFTER, Fault.TIMEOUT, Fault.TRUNCATED, Fault.GARBAGE, Fault.SLOW, Fault.STUCK_EXPORT)
)


@dataclass(frozen=True, slots=True)
class Faults:
    """A specification, read."""

    rate: float = 0.0
    seed: int = 0
    kinds: tuple[Fault, ...] = tuple(Fault)
    on: tuple[str, ...] = ()
    slow_seconds: float = SLOW_SECONDS
    at: Mapping[int, Fault] = field(default_factory=dict)

    def counts(self, path: str) -> bool:
        """Return whether a request to this path counts."""
        return not self.on or path.rstrip("/").rpartition("/")[2] in self.on

    def of(self, number: int) -> Fault | None:
        """Return how the request of this number, from 1 among those that count, is spoiled."""
        if number in self.at:
            return self.at[number]
        if self.rate <= 0:
            return None
        dice = random.Random(f"{self.seed}:{number}")  # noqa: S311 - repeatable is what it has to be
        return dice.choice(self.kinds) if dice.random() < self.rate else None


def parse(text: str) -> Faults:
    """Read a specification. Raises UsageError that names what is wrong in it."""
    given: dict[str, str] = {}
    at: dict[int, Fault] = {}
    for item in filter(None, (part.strip() for part in text.split(","))):
        key, is_pair, value = item.partition("=")
        if not is_pair or key not in ("rate", "seed", "kinds", "on", "slow", "at"):
            raise _wrong(item, "is no fault setting")
        if key == "at":
            number, _, kind = value.partition(":")
            at[int(_number(item, number, at_least=1))] = _kind(item, kind)
        else:
            given[key] = value
    rate = _number("rate", given.get("rate", "0"))
    if rate > 1:
        raise _wrong(f"rate={given['rate']}", "is more than 1")
    kinds = tuple(_kind("kinds", kind) for kind in given["kinds"].split("|")) if "kinds" in given else tuple(Fault)
    return Faults(
        rate=rate,
        seed=int(_number("seed", given.get("seed", "0"))),
        kinds=kinds,
        on=tuple(filter(None, given.get("on", "").split("|"))),
        slow_seconds=_number("slow", given.get("slow", str(SLOW_SECONDS * 1000))) / 1000,
        at=at,
    )


def canned(fault: Fault) -> Reply:
    """Return the answer that a fault gives in the place of the true one."""
    match fault:
        case Fault.TOO_MANY:
            text = "D1 DB is overloaded. Requests queued for too long."
            return Refused(429, 7429, text, {"retry-after": "1"}).reply()
        case Fault.INTERNAL:
            return Refused(500, 7500, "internal error; reference = d1opsemulatorinjected500").reply()
        case Fault.TIMEOUT:
            return Refused(504, 7009, "Upstream service unavailable").reply()
        case _:
            return Reply(200, b"<html><body>Please wait...</body></html>", {"content-type": "text/html"})


def _number(item: str, text: str, *, at_least: float = 0) -> float:
    try:
        value = float(text)
    except ValueError:
        raise _wrong(item, f"needs a number, not {text!r}") from None
    if not at_least <= value < 1e15:
        raise _wrong(item, f"needs a number from {at_least:g} up, not {text}")
    return value


def _kind(item: str, text: str) -> Fault:
    try:
        return Fault(text)
    except ValueError:
        raise _wrong(item, f"names no fault: {text!r}") from None


def _wrong(item: str, problem: str) -> UsageError:
    kinds = ", ".join(Fault)
    return UsageError(f"--faults: {item} {problem}", hint=f"--faults 'seed=7,rate=0.2'; the kinds are {kinds}")
