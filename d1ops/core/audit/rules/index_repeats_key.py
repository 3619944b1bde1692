"""An index that repeats the primary key or a UNIQUE constraint."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Rule, Severity
from d1ops.core.audit.surplus import Kind, findings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.finding import Finding
    from d1ops.core.audit.subject import Subject

ID = "index-repeats-key"


def find(subject: Subject) -> Iterator[Finding]:
    """Find the indexes that repeat the primary key or a UNIQUE constraint.

    No known query and no foreign key is worse without them.
    """
    yield from findings(subject.surplus, Kind.KEY, ID, Severity.WARNING)


RULE = Rule(ID, "An index that repeats the primary key or a UNIQUE constraint", Severity.WARNING, find)
