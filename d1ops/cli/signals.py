"""SIGINT and SIGTERM: the first one lets a change that was sent get its answer, and ends everything else at once; the
second one ends at once whatever is under way."""

from __future__ import annotations

import signal
import threading
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.cli import diagnostics

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_HANDLED = {signal.SIGINT: (signal.default_int_handler,), signal.SIGTERM: (signal.SIG_DFL,)}
"""The signals, and what they must be set to for us to take them over: one that the caller ignores stays ignored."""


@dataclass
class _State:
    """What is under way in this process, and whether somebody asked to stop. There is one command line in a process."""

    section: str | None = None
    is_asked: bool = False


_STATE = _State()


@contextmanager
def handled() -> Iterator[None]:
    """Take the signals over while a command runs. Elsewhere than in the main thread nothing is done."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _HANDLED}
    ours = [number for number, expected in _HANDLED.items() if before[number] in expected]
    _STATE.section, _STATE.is_asked = None, False
    for number in ours:
        signal.signal(number, _handle)
    try:
        yield
    finally:
        for number in ours:
            signal.signal(number, before[number])


@contextmanager
def section(what: str) -> Iterator[Callable[[], bool]]:
    """Open a section that a first signal does not break. `what` is under way, in the words of the narration."""
    _STATE.section = what
    try:
        yield lambda: _STATE.is_asked
    finally:
        _STATE.section = None


def asked_to_stop() -> bool:
    """Whether a signal came while a change was under way."""
    return _STATE.is_asked


def _handle(_number: int, _frame: object) -> None:
    if _STATE.section is None or _STATE.is_asked:
        raise Broken(_STATE.section)
    _STATE.is_asked = True
    diagnostics.tell_at_once(f"stopping: waiting for the answer to {_STATE.section}; once more ends at once")


class Broken(KeyboardInterrupt):
    """A signal ended the command. `section` is the change that it broke off, or None."""

    def __init__(self, broken: str | None) -> None:
        super().__init__()
        self.section = broken
