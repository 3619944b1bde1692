"""Standard output: data, and nothing else. This is the only module that writes there.

A reader that goes away (`d1ops status | head -1`) ends the output, never the command: a change that has begun is
finished and its exit code stays true.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from d1ops.cli.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping


def write(text: str) -> None:
    """Write a text for people, and a newline, and pass it on at once. Control characters are made visible."""
    _write(printable(text))


def write_json(document: Mapping[str, Any]) -> None:
    """Write one JSON document. Raises TypeError for a value that JSON does not have: a mistake of this package."""
    _write(json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False))


def _write(text: str) -> None:
    try:
        sys.stdout.write(text + "\n")
        sys.stdout.flush()
    except BrokenPipeError:
        _abandon()


def _abandon() -> None:
    """Send the rest of standard output nowhere, so that the interpreter's own last flush does not fail."""
    try:
        descriptor = sys.stdout.fileno()
    except (OSError, ValueError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, descriptor)
    os.close(nowhere)


def is_terminal() -> bool:
    """Whether a person reads standard output."""
    return sys.stdout.isatty()
