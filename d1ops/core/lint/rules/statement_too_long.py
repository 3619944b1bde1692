"""A statement longer than D1 takes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Severity
from d1ops.core.lint.rules.placing import at_error
from d1ops.errors import StatementTooLong

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.finding import Finding
    from d1ops.core.lint.subject import Subject

ID = "statement-too-long"
SEVERITY = Severity.ERROR


def find(subject: Subject) -> Iterator[Finding]:
    """Find statements of more than 100,000 bytes (D1 documentation, "Limits")."""
    for error in subject.unreadable:
        if isinstance(error, StatementTooLong):
            yield at_error(ID, Severity.ERROR, error)
