"""A rollback script that leaves what its migration made."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Severity
from d1ops.core.lint.rules.placing import at_script
from d1ops.core.lint.subject import Role, vanished

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.finding import Finding
    from d1ops.core.lint.subject import Subject

ID = "rollback-leaves"
SEVERITY = Severity.ERROR


def find(subject: Subject) -> Iterator[Finding]:
    """Find objects that are there after the rollback and were not before the migration."""
    for run in subject.runs:
        origin = subject.origins.get(run.migration.file)
        if run.role is Role.ROLLBACK and origin and run.before and run.after:
            for label in vanished(run.after, origin):
                yield at_script(
                    ID,
                    Severity.ERROR,
                    run,
                    f"{label} is still there after the rollback, and was not before {run.migration.file}",
                    "drop it in the rollback script",
                )
