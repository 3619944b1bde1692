"""An index that no known query chooses and no foreign key needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Finding, Rule, Severity
from d1ops.core.sql import ended, quote_if_needed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.subject import Subject

ID = "unused-index"


def find(subject: Subject) -> Iterator[Finding]:
    """Find the indexes without a use, when all queries are known; those that keep rows unique have one."""
    if not subject.queries or any(planned.plan is None for planned in subject.queries):
        return
    used = _used(subject)
    for table in subject.shapes.values():
        for index in table.indexes:
            if index.origin != "c" or index.is_unique or index.name in used:
                continue
            yield Finding(
                rule=ID,
                severity=Severity.INFO,
                table=table.name,
                columns=tuple(term.name for term in index.terms),
                index=index.name,
                message=(
                    f"none of {len(subject.queries)} known queries, no foreign key, view or trigger uses"
                    f" index {index.name}"
                ),
                remedy="add the query that needs it to the folder of queries, or drop it",
                fix_sql=f"DROP INDEX IF EXISTS {quote_if_needed(index.name)};",
                rollback_sql=ended(index.sql or ""),
                facts={"queries": len(subject.queries)},
            )


def _used(subject: Subject) -> set[str | None]:
    used = {key.index for key in subject.foreign_keys}
    for planned in (*subject.queries, *subject.inner_queries):
        for plan in (planned.plan, planned.plan_without_statistics):
            used |= {tree.index for tree in plan.reads} if plan else set()
    # An index that a query cannot use as it is written is what the remedy needs.
    used |= {defeat.index for defeat in subject.defeats}
    heirs = {one.index.name: one.kept for one in subject.surplus}
    for name in heirs:
        heir: str | None = name
        while heir in used and heir in heirs:
            heir = heirs[heir]
            used.add(heir)
    return used | set(heirs)


RULE = Rule(ID, "An index that no known query chooses and no foreign key needs", Severity.INFO, find)
