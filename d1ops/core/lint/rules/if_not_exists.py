"""IF NOT EXISTS, which makes a migration succeed where it does nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Severity
from d1ops.core.lint.rules.placing import at_step
from d1ops.core.lint.subject import Role

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.finding import Finding
    from d1ops.core.lint.subject import Subject

ID = "if-not-exists"
SEVERITY = Severity.WARNING


def find(subject: Subject) -> Iterator[Finding]:
    """Find CREATE ... IF NOT EXISTS in migrations: a warning for tables, views and triggers, info for an index."""
    for run in subject.runs:
        if run.role is not Role.MIGRATION:
            continue
        for step in run.steps:
            if step.words[0] == "CREATE" and ("IF", "NOT", "EXISTS") in zip(
                step.words, step.words[1:6], step.words[2:7], strict=False
            ):
                is_index = "INDEX" in step.words[:3]
                yield at_step(
                    ID,
                    Severity.INFO if is_index else Severity.WARNING,
                    step,
                    "IF NOT EXISTS hides drift: an object of this name in another form stays as it is, and the ledger"
                    " says applied",
                    "leave it out; the ledger already knows what ran",
                )
