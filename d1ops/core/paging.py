"""How many rows the next request asks for: decided by what the last answer weighed and how long the engine took."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from d1ops.core.reader import TableReader, Totals

_MEBIBYTE = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """What a backup asks for at once, in bytes of rows, seconds of the engine and rows.

    D1 gives an answer 30 seconds and a value 2 MB; answers of 32 MB were seen to come back whole. A text of JSON has up
    to six bytes for one, a blob two.
    """

    one_batch_bytes: int = 8 * _MEBIBYTE
    """A database up to this size is read as one batch of SELECTs."""
    small_table_bytes: int = 256 * 1024
    """In a larger one, tables up to this size are read as one batch, all of them together below `small_bytes`."""
    small_bytes: int = 2 * _MEBIBYTE
    page_bytes: int = 3 * _MEBIBYTE
    most_page_bytes: int = 16 * _MEBIBYTE
    """Where rows differ so much that a page could exceed this, the engine itself stops at `page_bytes`."""
    inline_bytes: int = 300_000
    """What a row may weigh before its longer texts and blobs are read by pieces."""
    piece_bytes: int = 500_000
    pieces_at_once: int = 8
    slow_seconds: float = 5.0
    most_rows: int = 50_000
    walk_rows: int = 200_000
    """Rows that one statement of totals counts at first."""
    rounds: int = 5
    """How often a table that moves is read again."""


def inline_bytes(reader: TableReader, totals: Totals, limits: Limits) -> int | None:
    """Return from what length a cell is read by pieces; None where no row of the table is heavy."""
    if totals.largest <= limits.inline_bytes:
        return None
    return limits.inline_bytes // len(reader.columns)


def first_limit(totals: Totals, limits: Limits) -> int:
    """Return how many rows the first page of a table asks for."""
    average = totals.size_bytes / totals.rows + 16 if totals.rows else limits.page_bytes
    return max(1, min(limits.most_rows, int(limits.page_bytes / average)))


def needs_bound(limit: int, totals: Totals, limits: Limits) -> bool:
    """Return whether so many rows could weigh too much."""
    return limit * min(totals.largest, limits.inline_bytes) > limits.most_page_bytes


def next_limit(limit: int, rows: int, size_bytes: int, seconds: float, limits: Limits) -> int:
    """Return how many rows the next page asks for, after one of `rows` rows and `size_bytes` that took `seconds`."""
    if seconds > limits.slow_seconds:
        return max(1, limit // 2)
    if not rows:
        return limit
    wanted = int(rows * limits.page_bytes / max(size_bytes, 1))
    if seconds > limits.slow_seconds / 2:
        wanted = min(wanted, limit)
    return max(1, min(limits.most_rows, limit * 4, wanted))


def shorter(limit: int) -> int:
    """Return how many rows are asked for after a refusal."""
    return max(1, limit // 8)
