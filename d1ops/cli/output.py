"""Standard output: data, and nothing else. This is the only module that writes there.

A reader that goes away (`d1ops status | head -1`) ends the output, never the command: a change that has begun is
finished and its exit code stays true. What cannot be written for another reason (a full disk) does not end the command
either, and is told at its end.
"""

from __future__ import annotations

import json
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from d1ops.cli.streams import put
from d1ops.cli.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass
class _State:
    """Why standard output could not be written. There is one in a process."""

    problem: OSError | None = None


_STATE = _State()


def take_problem() -> OSError | None:
    """Return, once, why some of what was written is not there."""
    problem, _STATE.problem = _STATE.problem, None
    return problem


def write(text: str) -> None:
    """Write a text for people, and a newline, and pass it on at once. Control characters are made visible."""
    _put(printable(text) + "\n")


def write_json(document: Mapping[str, Any]) -> None:
    """Write one JSON document. Raises TypeError for a value that JSON does not have: a mistake of this package."""
    _put(json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def _put(text: str) -> None:
    _STATE.problem = put(sys.stdout, text) or _STATE.problem


def is_terminal() -> bool:
    """Whether a person reads standard output."""
    return sys.stdout.isatty()
