"""Standard output: data, and nothing else. This is the only module that writes there.

A reader that goes away (`d1ops status | head -1`) ends the output, never the command: a change that has begun is
finished and its exit code stays true.
"""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

from d1ops.cli.streams import put
from d1ops.cli.text import printable

if TYPE_CHECKING:
    from collections.abc import Mapping


def write(text: str) -> None:
    """Write a text for people, and a newline, and pass it on at once. Control characters are made visible."""
    put(sys.stdout, printable(text) + "\n")


def write_json(document: Mapping[str, Any]) -> None:
    """Write one JSON document. Raises TypeError for a value that JSON does not have: a mistake of this package."""
    put(sys.stdout, json.dumps(document, ensure_ascii=False, indent=2, allow_nan=False) + "\n")


def is_terminal() -> bool:
    """Whether a person reads standard output."""
    return sys.stdout.isatty()
