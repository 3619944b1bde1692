"""How far a long reading is, in one line that replaces itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


class Progress:
    """Tells `show` one line after every page; an empty line takes it away again."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._table = ""
        self._expected = 0
        self._done = 0

    def table(self, label: str, expected: int, done: int) -> None:
        """Begin with a table of which so many rows are expected and so many are here already."""
        self._table, self._expected, self._done = label, expected, done

    def rows(self, count: int) -> None:
        """Count rows that came."""
        self._done += count
        percent = f" ({100 * self._done // self._expected} %)" if self._expected >= self._done else ""
        self._show(f"{self._table}: {self._done:,} of {max(self._expected, self._done):,} rows{percent}")

    def done(self) -> None:
        """Take the line away."""
        self._show("")
