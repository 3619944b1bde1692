"""A script whose end is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Severity
from d1ops.core.lint.rules.placing import at_error
from d1ops.errors import UnfinishedScript

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.finding import Finding
    from d1ops.core.lint.subject import Subject

ID = "unfinished-script"
SEVERITY = Severity.ERROR


def find(subject: Subject) -> Iterator[Finding]:
    """Find a last statement without its semicolon, an unclosed string or comment, and a trigger without END."""
    for error in subject.unreadable:
        if isinstance(error, UnfinishedScript):
            yield at_error(ID, Severity.ERROR, error)
