"""Work beside the main thread that no end of the process waits for, as it would for an executor's."""

from __future__ import annotations

from concurrent import futures
from threading import Thread
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


class Background(Generic[T]):
    """Work that was begun in a thread of its own, by the name `d1ops-<name>`."""

    def __init__(self, name: str, work: Callable[[], T]) -> None:
        self._future: futures.Future[T] = futures.Future()
        self._thread = Thread(target=self._run, args=(work,), name=f"d1ops-{name}", daemon=True)
        self._thread.start()

    def _run(self, work: Callable[[], T]) -> None:
        try:
            result = work()
        except BaseException as error:  # noqa: BLE001 - whoever takes the result gets it
            self._future.set_exception(error)
        else:
            self._future.set_result(result)

    @property
    def has_ended(self) -> bool:
        """Whether it has ended, well or not."""
        return self._future.done()

    def wait(self, seconds: float | None = None) -> None:
        """Return when it has ended, well or not, or after so many seconds."""
        futures.wait((self._future,), seconds)
        self._thread.join(seconds)

    def result(self) -> T:
        """Return what came of it, or raise what it raised, once it has ended."""
        self.wait()
        return self._future.result()
