"""A rollback script that forgets what its migration took away."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Severity
from d1ops.core.lint.rules.placing import at_script
from d1ops.core.lint.subject import Role, vanished

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.finding import Finding
    from d1ops.core.lint.subject import Subject

ID = "rollback-forgets"
SEVERITY = Severity.ERROR


def find(subject: Subject) -> Iterator[Finding]:
    """Find tables, indexes, triggers and views that were there before the migration, went with it, and do not come
    back by the rollback."""
    for run in subject.runs:
        origin = subject.origins.get(run.migration.file)
        if run.role is Role.ROLLBACK and origin and run.before and run.after:
            taken = set(vanished(origin, run.before))
            for label in sorted(taken & set(vanished(origin, run.after))):
                yield at_script(
                    ID,
                    Severity.ERROR,
                    run,
                    f"{run.migration.file} takes {label} away, and the rollback does not bring it back",
                    "create it again at the end of the rollback script",
                )
