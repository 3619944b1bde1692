"""A query that the target plans otherwise than the mirror."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Finding, Rule, Severity

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.subject import Subject

ID = "plan-differs-on-target"


def find(subject: Subject) -> Iterator[Finding]:
    """Compare the plans that the target was asked for with those that the other rules judged."""
    local = {id(planned.query): planned.plan for planned in subject.queries}
    for remote in subject.remote_plans:
        plan, query = local[id(remote.query)], remote.query
        if plan is None or (remote.refusal is None and remote.lines == plan.lines):
            continue
        what = (
            f"refuses it: {remote.refusal}"
            if remote.refusal
            else "plans it otherwise than its schema and statistics say"
        )
        yield Finding(
            rule=ID,
            severity=Severity.WARNING,
            table=None,
            columns=(),
            message=f"{query.name!r}: the target {what}",
            remedy="judge it by the target's own plan, which is given here; its SQLite may be of another version",
            query=query.name,
            path=query.path,
            line=query.line,
            plan=remote.lines,
            facts={"local_plan": plan.lines, "refusal": remote.refusal},
        )


RULE = Rule(ID, "A query that the target plans otherwise than the mirror", Severity.WARNING, find)
