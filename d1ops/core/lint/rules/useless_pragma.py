"""A PRAGMA that promises safety and does nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Severity
from d1ops.core.lint.rules.cascading_rebuild import hit
from d1ops.core.lint.rules.placing import at_step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.finding import Finding
    from d1ops.core.lint.subject import Subject

ID = "useless-pragma"
SEVERITY = Severity.WARNING


def find(subject: Subject) -> Iterator[Finding]:
    """Find `foreign_keys = OFF`, which D1 accepts and ignores, and `defer_foreign_keys = ON` before a DROP TABLE whose
    ON DELETE actions it does not hold back."""
    for run in subject.runs:
        for index, step in enumerate(run.steps):
            if step.words[:1] != ("PRAGMA",):
                continue
            words = set(step.words)
            if "FOREIGN_KEYS" in words and words & {"OFF", "0", "FALSE", "NO"}:
                yield at_step(
                    ID,
                    Severity.WARNING,
                    step,
                    "D1 accepts PRAGMA foreign_keys = OFF and ignores it: foreign keys stay on",
                    "remove it, and write the script for a database that enforces foreign keys",
                )
            elif "DEFER_FOREIGN_KEYS" in words and words & {"ON", "1", "TRUE", "YES"}:
                struck = [later for later in run.steps[index + 1 :] if hit(run, later)]
                if struck:
                    yield at_step(
                        ID,
                        Severity.WARNING,
                        step,
                        f"PRAGMA defer_foreign_keys delays the check alone: dropping {struck[0].dropped} in line"
                        f" {struck[0].line} still fires ON DELETE at once",
                        "do not drop a table that others refer to with an ON DELETE action",
                        table=struck[0].dropped,
                    )
