"""The account-wide allowance of requests, shared by every client of the process.

Cloudflare allows 1,200 API requests in 5 minutes for a user, all tokens together, and answers 429 for the next 5
minutes to who goes over (developers.cloudflare.com/fundamentals/api/reference/limits).
"""

from __future__ import annotations

import time
from collections import deque
from threading import Lock
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Budget:
    """A sliding window over the times of requests. Thread-safe; it tells how long to wait and never waits itself."""

    def __init__(
        self, requests: int = 1_200, window_seconds: float = 300.0, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._window_seconds = window_seconds
        self._clock = clock
        self._lock = Lock()
        self._times: deque[float] = deque(maxlen=requests)
        self._held_until = float("-inf")

    def reserve(self) -> float:
        """Take one request and return the seconds to wait before it may be sent."""
        with self._lock:
            now = self._clock()
            at = max(now, self._held_until)
            if len(self._times) == self._times.maxlen:
                at = max(at, self._times[0] + self._window_seconds)
            self._times.append(at)
            return at - now

    def hold(self, seconds: float) -> None:
        """Let no request pass for so long (the server's `Retry-After`), one window at most."""
        with self._lock:
            until = self._clock() + min(seconds, self._window_seconds)
            self._held_until = max(self._held_until, until)


SHARED = Budget()
"""The budget of this process."""
