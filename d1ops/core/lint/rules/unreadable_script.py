"""A file that is no script, or one that does not run."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Severity
from d1ops.core.lint.rules.placing import at_error, at_step
from d1ops.errors import RefusedStatement, StatementTooLong, UnfinishedScript

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.finding import Finding
    from d1ops.core.lint.subject import Subject

ID = "unreadable-script"
SEVERITY = Severity.ERROR


def find(subject: Subject) -> Iterator[Finding]:
    """Find files that are not UTF-8, empty or too large, and statements that no SQLite takes at their place."""
    for error in subject.unreadable:
        if not isinstance(error, RefusedStatement | StatementTooLong | UnfinishedScript):
            yield at_error(ID, Severity.ERROR, error)
    for run in subject.runs:
        if run.failure is not None and not run.failure.is_rule:
            yield at_step(
                ID,
                Severity.ERROR,
                run.steps[run.failure.step],
                f"it does not run after the scripts before it: {run.failure.text}",
                "mend the statement, or the migration that it builds on",
            )
