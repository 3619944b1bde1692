"""What standard input, standard output and standard error share."""

from __future__ import annotations

import os
import select
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO


def prepare() -> None:
    """Open the streams that the caller closed, and let no text fail because an encoding lacks a character.

    What is not a stream is None, and the next file that is opened would take its number.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            # A standard stream is open as long as the process, so no block closes it.
            setattr(sys, name, Path(os.devnull).open(mode, encoding="utf-8"))  # noqa: SIM115 - as said above
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="backslashreplace")


def put(stream: TextIO, text: str) -> OSError | None:
    """Write a text and pass it on at once; return why it could not be written. The stream ends then, never the
    command. That a reader went away is no reason."""
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError) as error:
        _abandon(stream)
        return error if isinstance(error, OSError) and not isinstance(error, BrokenPipeError) else None
    return None


def wait_for_line(terminal: TextIO) -> None:
    """Wait until a line can be read from a terminal, or a signal's handler raises. Main thread only.

    A read alone would sleep through a signal that comes between the question and the read: the interpreter runs a
    handler before or after a system call, and this one has no end until somebody types.
    """
    woken, wakes = os.pipe()
    os.set_blocking(woken, False)
    os.set_blocking(wakes, False)
    both: list[TextIO | int] = [terminal, woken]
    before = signal.set_wakeup_fd(wakes)
    try:
        while terminal not in select.select(both, [], [])[0]:
            os.read(woken, 1)
    finally:
        signal.set_wakeup_fd(before)
        os.close(woken)
        os.close(wakes)


def _abandon(stream: TextIO) -> None:
    """Send the rest of a stream nowhere, so that the interpreter's own last flush does not fail."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
