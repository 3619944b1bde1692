"""The rules, one a file. Each has an `ID`, a page `docs/rules/<ID>.md` and a function `find` from facts to findings."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias

from d1ops.core.audit.rules import foreign_key_without_index, full_scan, query_does_not_compile, temp_b_tree

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from d1ops.core.audit.finding import Finding
    from d1ops.core.audit.subject import Subject

    Rule: TypeAlias = Callable[[Subject], Iterator[Finding]]

RULES: Mapping[str, Rule] = {
    rule.ID: rule.find for rule in (foreign_key_without_index, full_scan, query_does_not_compile, temp_b_tree)
}
"""Every rule by its id."""
