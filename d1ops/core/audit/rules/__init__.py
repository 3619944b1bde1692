"""The rules, one a file.

Each module has an `ID`, a function `find` from facts to findings, and a `RULE` that joins them; its page is
`docs/rules/<ID>.md`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.rules import (
    automatic_index,
    correlated_scan,
    defeated_index,
    duplicate_index,
    foreign_key_affinity,
    foreign_key_mismatch,
    foreign_key_without_index,
    full_scan,
    index_repeats_key,
    plan_differs_on_target,
    prefix_index,
    query_does_not_compile,
    schema_drift,
    stale_statistics,
    table_without_primary_key,
    temp_b_tree,
    unused_ignore,
    unused_index,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from d1ops.core.audit.finding import Rule

RULES: Mapping[str, Rule] = {
    rule.RULE.id: rule.RULE
    for rule in (
        automatic_index,
        correlated_scan,
        defeated_index,
        duplicate_index,
        foreign_key_affinity,
        foreign_key_mismatch,
        foreign_key_without_index,
        full_scan,
        index_repeats_key,
        plan_differs_on_target,
        prefix_index,
        query_does_not_compile,
        schema_drift,
        stale_statistics,
        table_without_primary_key,
        temp_b_tree,
        unused_ignore,
        unused_index,
    )
}
"""Every rule by its id."""
