"""When to ask again: one pure decision, and its translation for tenacity.

A read is asked again after anything that may pass. A write is asked again only if it provably was not executed;
whatever else went wrong stops, and the caller finds out by looking.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from d1ops.client.call import Safety
from d1ops.client.failure import MAYBE_EXECUTED, Failure, Verdict

if TYPE_CHECKING:
    from collections.abc import Callable

    from tenacity import RetryCallState

    from d1ops.client.failure import Outcome

MAX_ATTEMPTS = 4
FIRST_BACKOFF_SECONDS = 0.5
MAX_BACKOFF_SECONDS = 8.0
MAX_RETRY_AFTER_SECONDS = 60.0
"""A server that wishes a longer pause gets no second attempt: the caller decides whether to wait."""

_NEVER_RAN = frozenset((Verdict.NOT_EXECUTED, Verdict.LIMITED))
_MAY_PASS = {
    Safety.READ: _NEVER_RAN | MAYBE_EXECUTED - {Verdict.OVERRUN},
    Safety.IDEMPOTENT: _NEVER_RAN | MAYBE_EXECUTED - {Verdict.OVERRUN},
    Safety.WRITE: _NEVER_RAN,
}


def decide(outcome: Outcome, attempt: int, safety: Safety, spread: float = 0.0) -> float | None:
    """Return the seconds to wait before the next attempt, or None to stop.

    `attempt` counts from 1. `spread`, from 0 to 1, shortens the pause by up to a half, so that clients which failed
    together do not come back together; a pause that the server asked for is never shortened.
    """
    if not isinstance(outcome, Failure) or not outcome.repeatable or attempt >= MAX_ATTEMPTS:
        return None
    if outcome.verdict not in _MAY_PASS[safety]:
        return None
    wish = outcome.retry_after_seconds or 0.0
    if wish > MAX_RETRY_AFTER_SECONDS:
        return None
    backoff = min(FIRST_BACKOFF_SECONDS * 2.0 ** (attempt - 1), MAX_BACKOFF_SECONDS)
    return max(backoff * (1 - spread / 2), wish)


def policy(safety: Safety, spread: Callable[[], float]) -> dict[str, Any]:
    """Return `decide` as the arguments of tenacity's `Retrying` and `AsyncRetrying`."""

    def pause(state: RetryCallState) -> float | None:
        if state.outcome is None or state.outcome.failed:
            return None
        outcome: Outcome = state.outcome.result()
        return decide(outcome, state.attempt_number, safety, spread())

    return {"retry": lambda state: pause(state) is not None, "wait": lambda state: pause(state) or 0.0}
