"""The two drivers: they run a protocol step by step, wait where it must wait, and ask again where that is allowed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar, cast

from tenacity import AsyncRetrying, Retrying

from d1ops.client.call import Call, Pace
from d1ops.client.failure import Failure, Success
from d1ops.client.retry import policy
from d1ops.client.transport import AsyncSender, SyncSender

if TYPE_CHECKING:
    from d1ops.client.call import Request, Step, Steps
    from d1ops.client.failure import Outcome
    from d1ops.client.session import Session

T = TypeVar("T")


class SyncDriver:
    """Runs protocols in the caller's thread."""

    def __init__(self, base_url: str, session: Session) -> None:
        self._session = session
        self._sender = SyncSender(base_url, session.secret, session.settings)
        self._sleep = session.settings.sleep or time.sleep

    def run(self, steps: Steps[T]) -> T:
        """Run a protocol to its end."""
        step = _advance(steps)
        while not isinstance(step, _End):
            step = _advance(steps, step, self._perform(step))
        return cast("T", step.value)

    def _perform(self, step: Step) -> Outcome:
        if isinstance(step, Pace):
            self._sleep(self._session.until(step.seconds))
            return Success(None)
        if isinstance(step, Call) and step.is_brief:
            return self._attempt(step)
        retrying = Retrying(sleep=self._sleep, **policy(step.safety, self._session.settings.spread))
        return retrying(self._attempt, step)

    def _attempt(self, request: Request) -> Outcome:
        wait = self._session.before(request)
        if wait > 0:
            self._sleep(wait)
        self._session.sending()
        return self._session.judge(request, self._sender.send(request))

    def close(self) -> None:
        """Close all connections."""
        self._sender.close()


class AsyncDriver:
    """Runs protocols in an asyncio event loop."""

    def __init__(self, base_url: str, session: Session) -> None:
        import asyncio

        self._session = session
        self._sender = AsyncSender(base_url, session.secret, session.settings)
        self._sleep = session.settings.sleep or asyncio.sleep

    async def run(self, steps: Steps[T]) -> T:
        """Run a protocol to its end."""
        step = _advance(steps)
        while not isinstance(step, _End):
            step = _advance(steps, step, await self._perform(step))
        return cast("T", step.value)

    async def _perform(self, step: Step) -> Outcome:
        if isinstance(step, Pace):
            await self._sleep(self._session.until(step.seconds))
            return Success(None)
        if isinstance(step, Call) and step.is_brief:
            return await self._attempt(step)
        retrying = AsyncRetrying(sleep=self._sleep, **policy(step.safety, self._session.settings.spread))
        return await retrying(self._attempt, step)

    async def _attempt(self, request: Request) -> Outcome:
        wait = self._session.before(request)
        if wait > 0:
            await self._sleep(wait)
        self._session.sending()
        return self._session.judge(request, await self._sender.send(request))

    async def close(self) -> None:
        """Close all connections."""
        await self._sender.close()


class _End(NamedTuple):
    """The end of a protocol."""

    value: Any


def _advance(steps: Steps[Any], step: Step | None = None, outcome: Outcome | None = None) -> Step | _End:
    """Tell a protocol what came of its step and return the next one; without a step, the first one."""
    try:
        if isinstance(outcome, Failure) and step is not None and not isinstance(step, Pace):
            return steps.throw(outcome.error(step.safety))
        return steps.send(outcome.value if isinstance(outcome, Success) else None)
    except StopIteration as end:
        return _End(end.value)
