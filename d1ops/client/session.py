"""What a driver keeps between requests: settings, the count of requests, and what to think of an answer."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias

from d1ops.client import budget
from d1ops.client.call import Answer, Call, Download, Fault, Request, Upload
from d1ops.client.failure import (
    OVERLOADED_DATABASE,
    Failure,
    NotDone,
    Success,
    Verdict,
    diagnose,
    diagnose_entry,
    diagnose_fault,
    diagnose_file,
    diagnose_graphql,
    garbled,
)

if TYPE_CHECKING:
    from d1ops.client.budget import Budget
    from d1ops.client.failure import Outcome
    from d1ops.client.secret import Secret

Observer: TypeAlias = Callable[[Request, Answer | Fault], None]
"""Called after every attempt of every request, in the thread that made it."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a client behaves. `clock`, `sleep` and `spread` are for tests."""

    connect_timeout_seconds: float = 10.0
    read_timeout_seconds: float = 60.0
    """D1 gives up on a statement after 30 seconds."""
    max_answer_bytes: int = 256 * 1024 * 1024
    budget: Budget = field(default_factory=lambda: budget.SHARED)
    on_request: Observer | None = None
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], Any] | None = None
    """In place of `time.sleep`; for `AsyncD1Client` a coroutine function in place of `asyncio.sleep`."""
    spread: Callable[[], float] = random.random
    """A number from 0 to 1 that keeps clients which failed together from coming back together."""


class Session:
    """The part of a driver that does not wait."""

    def __init__(self, secret: Secret, settings: Settings) -> None:
        self.secret = secret
        self.settings = settings
        self.requests = 0
        self._lock = Lock()
        self._last_sent = float("-inf")

    def before(self, step: Request) -> float:
        """Return the seconds to wait before a request. Presigned URLs do not count against the budget."""
        return self.settings.budget.reserve() if isinstance(step, Call) else 0.0

    def sending(self) -> None:
        """Note that a request leaves now."""
        with self._lock:
            self.requests += 1
            self._last_sent = self.settings.clock()

    def until(self, seconds: float) -> float:
        """Return what is missing until so many seconds have passed since the last request."""
        return max(0.0, self._last_sent + seconds - self.settings.clock())

    def judge(self, step: Request, received: Answer | Fault) -> Outcome:
        """Return what an attempt came to."""
        if self.settings.on_request is not None:
            self.settings.on_request(step, received)
        outcome = diagnose_fault(received) if isinstance(received, Fault) else _read(step, received)
        if not isinstance(outcome, Failure):
            return outcome
        if outcome.verdict is Verdict.LIMITED and outcome.code != OVERLOADED_DATABASE:
            self.settings.budget.hold(outcome.retry_after_seconds or 0.0)
        return replace(outcome, text=self.secret.redact(outcome.text))


def _read(step: Request, answer: Answer) -> Outcome:
    match step:
        case Call():
            return _read_call(step, answer)
        case Download():
            return Success(answer.received_bytes) if answer.status == 200 else diagnose_file(answer, "the download")
        case Upload():
            if answer.status != 200:
                return diagnose_file(answer, "the upload")
            intact = answer.headers.get("etag") == f'"{step.md5}"'
            return Success(None) if intact else garbled(answer, "the file did not arrive as it was sent")


def _read_call(call: Call[object], answer: Answer) -> Outcome:
    envelope = diagnose_graphql(answer) if call.is_graphql else diagnose(answer)
    if isinstance(envelope, Failure):
        return envelope
    try:
        return Success(call.parse(envelope))
    except NotDone as entry:
        return diagnose_entry(answer, entry)
    except ValueError as problem:
        return garbled(answer, str(problem))
