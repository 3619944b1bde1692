"""A statement that SQLite takes and D1 refuses."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Severity
from d1ops.core.lint.rules.placing import at_error, at_step
from d1ops.errors import RefusedStatement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.finding import Finding
    from d1ops.core.lint.subject import Subject

ID = "refused-by-d1"
SEVERITY = Severity.ERROR


def find(subject: Subject) -> Iterator[Finding]:
    """Find transactions, ATTACH, VACUUM, TEMP objects, refused pragmas, functions and modules, and broken limits."""
    for error in subject.unreadable:
        if isinstance(error, RefusedStatement):
            yield at_error(ID, Severity.ERROR, error)
    for run in subject.runs:
        if run.failure is not None and run.failure.is_rule:
            yield at_step(
                ID,
                Severity.ERROR,
                run.steps[run.failure.step],
                f"SQLite takes this statement and D1 refuses it: {run.failure.text}",
                "write it with what D1 allows",
            )
