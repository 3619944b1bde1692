"""The rules, one a file. Each has an `ID`, its usual `SEVERITY`, a first line that says what it finds, a page
`docs/rules/<ID>.md` and a function `find` from facts to findings."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from d1ops.core.lint.rules import (
    cascading_rebuild,
    conflict_rollback,
    crlf_in_trigger,
    destructive_step,
    if_not_exists,
    long_pattern,
    missing_rollback,
    needs_empty_table,
    refused_by_d1,
    rollback_drops_others,
    rollback_forgets,
    rollback_leaves,
    skipped_number,
    statement_too_long,
    unfinished_script,
    unreadable_script,
    useless_pragma,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from d1ops.core.audit.finding import Finding, Severity
    from d1ops.core.lint.subject import Subject

    Find: TypeAlias = Callable[[Subject], Iterator[Finding]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: its `id` (also its page), what it finds in one sentence, its usual severity."""

    id: str
    title: str
    severity: Severity
    find: Find


RULES: Mapping[str, Rule] = {
    rule.ID: Rule(rule.ID, (rule.__doc__ or "").partition("\n")[0], rule.SEVERITY, rule.find)
    for rule in (
        cascading_rebuild,
        conflict_rollback,
        crlf_in_trigger,
        destructive_step,
        if_not_exists,
        long_pattern,
        missing_rollback,
        needs_empty_table,
        refused_by_d1,
        rollback_drops_others,
        rollback_forgets,
        rollback_leaves,
        skipped_number,
        statement_too_long,
        unfinished_script,
        unreadable_script,
        useless_pragma,
    )
}
"""Every rule by its id."""
