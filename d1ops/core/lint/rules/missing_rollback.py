"""A migration that nobody said how to undo."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Finding, Severity
from d1ops.core.lint.subject import is_marked

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.lint.subject import Subject

ID = "missing-rollback"
SEVERITY = Severity.WARNING


def find(subject: Subject) -> Iterator[Finding]:
    """Find migrations without a rollback script that are not marked irreversible."""
    for migration in subject.catalog.migrations:
        if migration.rollback is None and not is_marked(migration):
            yield Finding(
                rule=ID,
                severity=Severity.WARNING,
                table=None,
                columns=(),
                message=f"{migration.file} has no rollback script",
                remedy=f"d1ops rollback-script {migration.label} writes one; or -- d1ops: irreversible REASON",
                path=migration.script.path,
                line=1,
            )
