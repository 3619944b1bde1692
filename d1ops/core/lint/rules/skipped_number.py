"""A hole in the numbers of the migrations."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.lint.subject import Subject

ID = "skipped-number"
SEVERITY = Severity.INFO

_LARGEST_COUNT = 100_000
"""Larger numbers are times (20240131120000), which leave holes on purpose."""


def find(subject: Subject) -> Iterator[Finding]:
    """Find numbers that no file has between two that files have: a file may not have been added to the repository."""
    for before, after in pairwise(subject.catalog.migrations):
        if after.number > before.number + 1 and after.number < _LARGEST_COUNT:
            first, last = before.number + 1, after.number - 1
            missing = str(first) if first == last else f"{first} to {last}"
            yield Finding(
                rule=ID,
                severity=Severity.INFO,
                table=None,
                columns=(),
                message=f"no migration has the number {missing}",
                remedy="look whether a file was forgotten; a hole by itself does no harm",
                path=after.script.path,
                line=1,
            )
