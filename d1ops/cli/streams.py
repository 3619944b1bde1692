"""What standard output and standard error share."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from typing import TextIO


def put(stream: TextIO, text: str) -> None:
    """Write a text and pass it on at once. A reader that went away ends the stream, never the command."""
    try:
        stream.write(text)
        stream.flush()
    except (OSError, ValueError):
        _abandon(stream)


def _abandon(stream: TextIO) -> None:
    """Send the rest of a stream nowhere, so that the interpreter's own last flush does not fail."""
    try:
        descriptor = stream.fileno()
    except (OSError, ValueError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)
