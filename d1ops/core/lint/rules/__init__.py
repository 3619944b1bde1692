"""The rules, one a file. Each has an `ID`, a page `docs/rules/<ID>.md` and a function `find` from facts to findings."""

from __future__ import annotations

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

    from d1ops.core.audit.finding import Finding
    from d1ops.core.lint.subject import Subject

    Rule: TypeAlias = Callable[[Subject], Iterator[Finding]]

RULES: Mapping[str, Rule] = {
    rule.ID: rule.find
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
