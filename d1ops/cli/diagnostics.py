"""Standard error: narration, questions and errors. This is the only module that writes there.

What it writes may hold names and texts out of a database, so control characters are made visible: a table's name
cannot move the cursor of whoever reads it.
"""

from __future__ import annotations

import os
import sys
from contextlib import suppress

from d1ops.cli.streams import put, wait_for_line
from d1ops.cli.text import printable

_RED, _YELLOW, _PLAIN = "\033[31m", "\033[33m", "\033[0m"


def tell(text: str) -> None:
    """Write one fact. A reader that went away does not stop the command."""
    put(sys.stderr, printable(text) + "\n")


def tell_at_once(text: str) -> None:
    """Write one fact past the stream's buffer: a signal may have broken into a write to it."""
    with suppress(OSError, ValueError):
        os.write(sys.stderr.fileno(), (printable(text) + "\n").encode(errors="backslashreplace"))


def warn(text: str) -> None:
    """Write a fact that a person should act on."""
    tell_marked("warning:", text, _YELLOW)


def fail(message: str, hint: str | None = None) -> None:
    """Write an error and, as a second line, what to try."""
    tell_marked("error:", message, _RED)
    if hint:
        tell(f"try: {hint}")


def tell_marked(mark: str, text: str, colour: str) -> None:
    """Write a fact behind a mark, which is coloured where colour is wanted."""
    put(sys.stderr, f"{colour}{mark}{_PLAIN}" if _has_colour() else mark)
    tell(f" {text}")


def _has_colour() -> bool:
    """Whether colours are wanted: on a terminal, unless NO_COLOR is set (no-color.org) or the terminal has none."""
    return sys.stderr.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def show(text: str) -> None:
    """Replace the last line that this wrote, on a terminal alone; an empty text takes it away."""
    if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        put(sys.stderr, f"\r\033[K{printable(text)}")


def agree(question: str) -> bool:
    """Ask a person yes or no; where nobody can answer it is no."""
    return is_interactive() and ask(f"{question} [y/N]").lower() in ("y", "yes")


def is_interactive() -> bool:
    """Whether a person can read a question and answer it."""
    return sys.stdin is not None and sys.stdin.isatty() and sys.stderr.isatty()


def ask(question: str) -> str:
    """Ask, and return the answer without the space around it. The end of the input is an empty answer."""
    put(sys.stderr, printable(question) + " ")
    wait_for_line(sys.stdin)
    answer = sys.stdin.readline()
    if not answer.endswith("\n"):
        tell("")
    return answer.strip()
