"""An index that sorts by the same as another."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Rule, Severity
from d1ops.core.audit.surplus import Kind, findings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.finding import Finding
    from d1ops.core.audit.subject import Subject

ID = "duplicate-index"


def find(subject: Subject) -> Iterator[Finding]:
    """Find the indexes that sort by the same as another.

    No known query and no foreign key is worse without them.
    """
    yield from findings(subject.surplus, Kind.DUPLICATE, ID, Severity.WARNING)


RULE = Rule(ID, "An index that sorts by the same as another", Severity.WARNING, find)
