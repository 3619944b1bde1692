"""What text is made of: sizes, counts, tables."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from d1ops.cli import text


@given(st.text())
def test_nothing_that_is_printed_moves_the_cursor(value: str) -> None:
    shown = text.printable(value)
    assert not any((ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160 for c in shown)
    assert text.printable(shown) == shown
    assert len(text.one_line(value).splitlines()) <= 1


def test_what_turns_the_direction_of_a_line_is_written_out() -> None:
    assert text.printable("a\u202eb\u2028c\u200d\x1b") == "a\\u202eb\\u2028c\u200d\\x1b"


@given(st.lists(st.lists(st.text("ab ", max_size=6), min_size=3, max_size=3), max_size=6), st.sets(st.integers(0, 2)))
def test_the_columns_of_a_table_begin_where_their_headers_do(rows: list[list[str]], right: set[int]) -> None:
    lines = text.table(["one", "two", "three"], rows, right=right)
    assert len(lines) == len(rows) + 1
    widths = [max(len(row[column]) for row in [["one", "two", "three"], *rows]) for column in range(3)]
    for line, row in zip(lines, [["ONE", "TWO", "THREE"], *rows], strict=True):
        padded = line.ljust(sum(widths) + 4)
        start = 0
        for column, width in enumerate(widths):
            cell = padded[start : start + width]
            assert cell == (row[column].rjust(width) if column in right else row[column].ljust(width))
            start += width + 2
        assert not line.endswith(" ")


def test_a_table_without_rows_or_columns_has_no_lines() -> None:
    assert text.columns([]) == []
    assert text.columns([[]]) == [""]
    assert text.facts([]) == []


@pytest.mark.parametrize(
    ("count", "shown"),
    [
        (0, "0 bytes"),
        (999, "999 bytes"),
        (1000, "1 KB"),
        (999_499, "999 KB"),
        (999_500, "1 MB"),
        (12_345_678, "12.3 MB"),
        (10_000_000_000, "10 GB"),
        (1_500_000_000_000, "1,500 GB"),
    ],
)
def test_sizes(count: int, shown: str) -> None:
    assert text.size(count) == shown


@pytest.mark.parametrize(
    ("number", "noun", "shown"),
    [
        (1, "row", "1 row"),
        (0, "row", "0 rows"),
        (1040, "row", "1,040 rows"),
        (2, "query", "2 queries"),
        (2, "foreign key", "2 foreign keys"),
        (1, "query", "1 query"),
    ],
)
def test_counts(number: int, noun: str, shown: str) -> None:
    assert text.count(number, noun) == shown


def test_times_of_the_ledger_are_made_rfc_3339_and_others_stay() -> None:
    assert text.moment("2026-11-22 20:51:00") == "2026-11-22T20:51:00Z"
    assert text.moment("yesterday") == "yesterday"
    assert text.moment(None) is None
