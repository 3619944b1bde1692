"""An index that another one begins with."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Rule, Severity
from d1ops.core.audit.surplus import Kind, findings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.finding import Finding
    from d1ops.core.audit.subject import Subject

ID = "prefix-index"


def find(subject: Subject) -> Iterator[Finding]:
    """Find the indexes that another one begins with.

    No known query and no foreign key is worse without them.
    """
    yield from findings(subject.surplus, Kind.PREFIX, ID, Severity.INFO)


RULE = Rule(ID, "An index that another one begins with", Severity.INFO, find)
