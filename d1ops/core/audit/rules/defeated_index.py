"""A function, a collation or a LIKE that keeps a query from using an index."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Finding, Rule, Severity
from d1ops.core.audit.proposals import Names
from d1ops.core.audit.whole_reads import known_rows

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.defeats import Defeat
    from d1ops.core.audit.subject import Subject

ID = "defeated-index"


def find(subject: Subject) -> Iterator[Finding]:
    """Find what SQLite's planner proved to be in the way of an index."""
    names = Names(subject.schema)
    for defeat in subject.defeats:
        query = defeat.query
        name = names.name(defeat.fix) if defeat.fix else None
        yield Finding(
            rule=ID,
            severity=Severity.WARNING,
            table=defeat.table,
            columns=(defeat.column,),
            index=defeat.index,
            message=f"{query.name!r} reads {defeat.table} whole{known_rows(subject, defeat.table)}: {_why(defeat)}",
            remedy=_remedy(defeat),
            fix_sql=f"{defeat.fix.sql(name)};" if defeat.fix and name else None,
            rollback_sql=defeat.fix.drop(name) if defeat.fix and name else None,
            query=query.name,
            path=query.path,
            line=query.line,
            plan=defeat.plan,
            facts={"culprit": defeat.culprit},
        )


def _why(defeat: Defeat) -> str:
    if defeat.index is None:
        return f"no index of column {defeat.column} sorts as {defeat.culprit} compares"
    return f"{defeat.culprit} keeps it from using index {defeat.index}"


def _remedy(defeat: Defeat) -> str:
    if defeat.is_like:
        glob = ", or use GLOB, which minds case and uses an ordinary index" if defeat.index else ""
        return f"create the index, which serves patterns that begin with a letter{glob}"
    if defeat.fix is not None:
        return "compare the column itself, or create the index on the expression"
    return "compare the column itself: no index can hold this expression"


RULE = Rule(ID, "A function, a collation or a LIKE that keeps a query from using an index", Severity.WARNING, find)
