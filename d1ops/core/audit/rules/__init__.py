"""The rules, one a file.

Each module has an `ID`, a function `find` from facts to findings, and a `RULE` that joins them; its page is
`docs/rules/<ID>.md`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.rules import foreign_key_without_index, full_scan, query_does_not_compile, temp_b_tree

if TYPE_CHECKING:
    from collections.abc import Mapping

    from d1ops.core.audit.finding import Rule

RULES: Mapping[str, Rule] = {
    rule.RULE.id: rule.RULE for rule in (foreign_key_without_index, full_scan, query_does_not_compile, temp_b_tree)
}
"""Every rule by its id."""
