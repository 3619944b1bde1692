"""A query whose rows are sorted or grouped after they were read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Finding, Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.subject import Subject

ID = "temp-b-tree"


def find(subject: Subject) -> Iterator[Finding]:
    """Find the plans with a temporary b-tree: each row is read before the first is returned, whatever the LIMIT."""
    for planned in subject.queries:
        if planned.plan is None:
            continue
        query = planned.query
        lines = [line.strip() for line in planned.plan.lines]
        uses = [line.removeprefix("USE TEMP B-TREE FOR ") for line in lines if line.startswith("USE TEMP B-TREE FOR ")]
        if uses:
            yield Finding(
                rule=ID,
                severity=Severity.INFO,
                table=None,
                columns=(),
                message=f"{query.name!r} builds a temporary b-tree for {', '.join(dict.fromkeys(uses))}",
                remedy="where it returns few of many rows, index the columns of WHERE, then those of the order",
                query=query.name,
                path=query.path,
                line=query.line,
                plan=planned.plan.lines,
            )


RULE = Rule(ID, "A query whose rows are sorted or grouped after they were read.", Severity.INFO, find)
