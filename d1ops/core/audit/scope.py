"""What an audit had in sight: which findings it could make at all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.audit.rules import (
    automatic_index,
    correlated_scan,
    defeated_index,
    full_scan,
    plan_differs_on_target,
    query_does_not_compile,
    schema_drift,
    stale_statistics,
    temp_b_tree,
    unused_index,
)
from d1ops.core.sql import fold
from d1ops.core.workload import LOG_NAME

if TYPE_CHECKING:
    from d1ops.core.audit.sift import Ignore
    from d1ops.core.audit.subject import Subject

_OF_ALL_QUERIES = frozenset(
    rule.ID for rule in (automatic_index, correlated_scan, defeated_index, full_scan, temp_b_tree, unused_index)
)
"""Rules that judge by the plans of all queries."""


@dataclass(frozen=True, slots=True)
class Scope:
    """The rules that had no say, the queries that were there and those that had no plan, the tables of known rows;
    names are folded."""

    idle: frozenset[str] = frozenset()
    queries: frozenset[str] = frozenset()
    unplanned: frozenset[str] = frozenset()
    counted: frozenset[str] = frozenset()

    def holds(self, ignore: Ignore, *, with_sources: bool) -> bool:
        """Return whether a finding that an ignore is about would have been made.

        One about a query that is not there may be about one of source code, which `with_sources` says was read, or of
        the query log, which forgets.
        """
        if ignore.query is not None and ignore.rule not in self.idle - _OF_ALL_QUERIES:
            name = fold(ignore.query)
            if name not in self.queries:
                return with_sources and not name.startswith(LOG_NAME)
            return ignore.rule == query_does_not_compile.ID or name not in self.unplanned
        if ignore.rule == stale_statistics.ID and ignore.table is not None:
            return fold(ignore.table) in self.counted
        return ignore.rule not in self.idle


def scope_of(subject: Subject) -> Scope:
    """Return what was in sight."""
    unplanned = frozenset(fold(planned.query.name) for planned in subject.queries if planned.plan is None)
    idle: set[str] = set()
    if unplanned or not subject.queries:
        idle |= _OF_ALL_QUERIES
    if not subject.queries:
        idle.add(query_does_not_compile.ID)
    if not subject.remote_plans or unplanned:
        idle.add(plan_differs_on_target.ID)
    if subject.expected is None:
        idle.add(schema_drift.ID)
    if not subject.known_rows:
        idle.add(stale_statistics.ID)
    return Scope(
        frozenset(idle),
        frozenset(fold(planned.query.name) for planned in subject.queries),
        unplanned,
        frozenset(map(fold, subject.known_rows)),
    )
