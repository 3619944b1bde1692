"""A query that the target's schema does not know how to answer."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Finding, Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.subject import Subject

ID = "query-does-not-compile"


def find(subject: Subject) -> Iterator[Finding]:
    """Find the queries that SQLite refuses under D1's rules."""
    for planned in subject.queries:
        query, refusal = planned.query, planned.refusal
        if refusal is None:
            continue
        line, column = query.statement.place(refusal.offset or 0)
        yield Finding(
            rule=ID,
            severity=Severity.ERROR,
            table=None,
            columns=(),
            message=f"{query.name!r} does not compile on this target: {refusal.text} ({query.path}:{line}:{column})",
            remedy="apply the migrations that it needs, or mend the query",
            query=query.name,
            path=query.path,
            line=line,
        )


RULE = Rule(ID, "A query that the target's schema does not know how to answer.", Severity.ERROR, find)
