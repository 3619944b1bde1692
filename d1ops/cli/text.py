"""Facts as people read them: sizes, counts, moments, tables. Plain text that survives copying."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from d1ops.core.values import Value

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
"""Control characters, line ends that only some readers take for one, and what turns the direction of a line."""


def printable(text: str) -> str:
    """Return a text with its control characters written out; line ends and tabs stay."""
    return _CONTROL.sub(_written_out, text)


def _written_out(found: re.Match[str]) -> str:
    code = ord(found[0])
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}"


def one_line(text: str) -> str:
    """Return a text with line ends and tabs written out too."""
    return printable(text.replace("\n", "\\n").replace("\t", "\\t"))


def size(count: int) -> str:
    """Return a number of bytes in the unit that reads best: `412 KB`. The units are powers of 1000."""
    if count < 1000:
        return f"{count} bytes"
    amount = float(count)
    for unit in ("KB", "MB", "GB"):
        amount /= 1000
        if amount < 999.5 or unit == "GB":
            break
    return f"{amount:,.0f} {unit}" if amount >= 100 else f"{amount:.3g} {unit}"


def count(number: int, noun: str) -> str:
    """Return a number with its noun, in the plural where it takes one: `1 table`, `1,040 rows`."""
    if number == 1:
        return f"1 {noun}"
    ends_in_y = noun.endswith("y") and noun[-2] not in "aeou"
    return f"{number:,} {noun[:-1]}ies" if ends_in_y else f"{number:,} {noun}s"


def moment(applied_at: str | None) -> str | None:
    """Return a time of the ledger (`YYYY-MM-DD HH:MM:SS`, UTC) as RFC 3339. Another form stays as it is."""
    if applied_at and re.fullmatch(r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", applied_at):
        return f"{applied_at.replace(' ', 'T')}Z"
    return applied_at


def cell(value: Value) -> str:
    """Return a value of a row: NULL by its name, a BLOB as an SQL literal, text as it is on one line."""
    if value is None:
        return "NULL"
    return f"x'{value.hex()}'" if isinstance(value, bytes) else one_line(str(value))


def table(headers: Sequence[str], rows: Iterable[Sequence[str]], *, right: Iterable[int] = ()) -> list[str]:
    """Return the lines of a table: columns two spaces apart, headers in capitals, no frame.

    `right` are the columns (from 0) that are aligned to the right.
    """
    return columns([[header.upper() for header in headers], *rows], right=right)


def columns(rows: Iterable[Sequence[str]], *, right: Iterable[int] = ()) -> list[str]:
    """Return lines whose columns are aligned, two spaces apart."""
    lines = [[one_line(text) for text in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    to_right = frozenset(right)

    def aligned(line: Sequence[str]) -> str:
        cells = (
            text.rjust(width) if column in to_right else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        )
        return "  ".join(cells).rstrip()

    return [aligned(line) for line in lines]


def shown_path(path: Path) -> str:
    """Return a path as a person would type it here."""
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)


def facts(pairs: Iterable[tuple[str, str]]) -> list[str]:
    """Return lines of labelled facts, aligned: `backup    20261122T205100Z-1f2e3d`."""
    found = [(label, one_line(fact)) for label, fact in pairs]
    width = max((len(label) for label, _ in found), default=0)
    return [f"{label.ljust(width)}  {fact}" for label, fact in found]
