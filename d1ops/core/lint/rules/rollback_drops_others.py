"""A rollback script that drops what its migration did not make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Severity
from d1ops.core.lint.rules.placing import at_script
from d1ops.core.lint.subject import Role, table_columns, vanished

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.finding import Finding
    from d1ops.core.lint.subject import Run, Subject
    from d1ops.core.schema import Schema

ID = "rollback-drops-others"
SEVERITY = Severity.ERROR


def find(subject: Subject) -> Iterator[Finding]:
    """Find objects and columns that were there before the migration and with it, and are gone after the rollback."""
    for run in subject.runs:
        origin = subject.origins.get(run.migration.file)
        if run.role is Role.ROLLBACK and origin and run.before and run.after:
            gone = set(vanished(run.before, run.after)) & set(vanished(origin, run.after))
            for label in sorted({*gone, *_columns(origin, run)}):
                yield at_script(
                    ID,
                    Severity.ERROR,
                    run,
                    f"it drops {label}, which {run.migration.file} did not make",
                    "remove the statement that drops it",
                )


def _columns(origin: Schema, run: Run) -> set[str]:
    assert run.before is not None
    assert run.after is not None
    first, last = table_columns(origin), table_columns(run.after)
    return {
        f"column {table}.{column}"
        for table, columns in table_columns(run.before).items()
        if table in first and table in last
        for column in (columns & first[table]) - last[table]
    }
