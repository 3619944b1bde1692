"""IF NOT EXISTS, which makes a migration succeed where it does nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Severity
from d1ops.core.lint.rules.placing import at_step
from d1ops.core.lint.subject import Role
from d1ops.core.schema import SchemaObject, structure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.finding import Finding
    from d1ops.core.lint.subject import Subject

ID = "if-not-exists"
SEVERITY = Severity.WARNING


def find(subject: Subject) -> Iterator[Finding]:
    """Find CREATE ... IF NOT EXISTS in migrations, except where a plain index then stands as the statement says."""
    for run in subject.runs:
        if run.role is not Role.MIGRATION:
            continue
        # No result depends on an index that is not unique, and one in another form is drift, which is looked for.
        stands = {structure(o) for o in run.after.objects if o.type == "index"} if run.after else set()
        for step in run.steps:
            if step.words[0] == "CREATE" and ("IF", "NOT", "EXISTS") in zip(
                step.words, step.words[1:6], step.words[2:7], strict=False
            ):
                made = SchemaObject("index", "", "", step.statement.sql)
                if step.words[1] == "INDEX" and structure(made) in stands:
                    continue
                yield at_step(
                    ID,
                    SEVERITY,
                    step,
                    "IF NOT EXISTS hides drift: an object of this name in another form stays as it is, and the ledger"
                    " says applied",
                    "leave it out; the ledger already knows what ran",
                )
