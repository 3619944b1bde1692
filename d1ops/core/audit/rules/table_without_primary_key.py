"""A table whose rows have no name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Finding, Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.subject import Subject

ID = "table-without-primary-key"


def find(subject: Subject) -> Iterator[Finding]:
    """Find the tables that declare no primary key."""
    for table in subject.shapes.values():
        if not table.primary_key:
            yield Finding(
                rule=ID,
                severity=Severity.INFO,
                table=table.name,
                columns=(),
                message=f"{table.name} has no primary key: equal rows may be there twice, and none can be named alone",
                remedy="rebuild the table with a primary key",
                facts={"has_unique_index": any(index.is_unique for index in table.indexes)},
            )


RULE = Rule(ID, "A table without a primary key", Severity.INFO, find)
