"""A migration that destroys rows or values which it did not make."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Severity
from d1ops.core.lint.rules.placing import at_script, at_step
from d1ops.core.lint.subject import Role, is_marked, table_columns
from d1ops.core.sql import fold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.finding import Finding
    from d1ops.core.lint.subject import Run, Step, Subject

ID = "destructive-step"
SEVERITY = Severity.WARNING


def find(subject: Subject) -> Iterator[Finding]:
    """Find dropped tables and columns that were there before the migration, and DELETE and UPDATE without WHERE, unless
    the migration says that it cannot be undone."""
    for run in subject.runs:
        if run.role is Role.MIGRATION and not is_marked(run.migration):
            for step in run.steps:
                yield from _of_step(run, step)
            yield from _columns(run)


def _of_step(run: Run, step: Step) -> Iterator[Finding]:
    remedy = "no rollback brings this back: copy the rows into a table that stays, or mark it -- d1ops: irreversible"
    if step.dropped and run.before and run.after and _is_gone(run, step.dropped):
        message = f"DROP TABLE {step.dropped} destroys every row of it"
        yield at_step(ID, Severity.WARNING, step, message, remedy, table=step.dropped)
    verb = step.words[0]
    if verb in ("DELETE", "UPDATE") and not _has_where(step.words):
        what = "deletes every row" if verb == "DELETE" else "overwrites every row"
        yield at_step(ID, Severity.WARNING, step, f"{verb} without WHERE {what}", remedy)


def _is_gone(run: Run, table: str) -> bool:
    assert run.before is not None
    assert run.after is not None
    return run.before.has_table(table) and not run.after.has_table(table)


def _columns(run: Run) -> Iterator[Finding]:
    """Columns that are not there any more, in place or by a rebuild. A renamed column looks like one that went and one
    that came: ALTER TABLE ... RENAME COLUMN is told by its words."""
    if run.before is None or run.after is None:
        return
    renamed = any(step.words[:2] == ("ALTER", "TABLE") and "RENAME" in step.words for step in run.steps)
    after = table_columns(run.after)
    for table, columns in table_columns(run.before).items():
        gone = sorted(columns - after.get(table, columns))
        if not gone or (renamed and len(after[table] - columns) >= len(gone)):
            continue
        dropping = next((s for s in run.steps if _drops_column(s, table, gone)), None)
        message = f"{table} loses {', '.join(gone)} and every value there"
        remedy = "no rollback brings the values back: copy them first, or mark it -- d1ops: irreversible"
        if dropping is not None:
            yield at_step(ID, Severity.WARNING, dropping, message, remedy, table=table, columns=tuple(gone))
        else:
            yield at_script(ID, Severity.WARNING, run, message, remedy)


def _drops_column(step: Step, table: str, gone: list[str]) -> bool:
    names = {fold(word.strip('"`[]')) for word in step.words}
    return step.words[:2] == ("ALTER", "TABLE") and "DROP" in step.words and table in names and bool(names & set(gone))


def _has_where(words: tuple[str, ...]) -> bool:
    depth = 0
    for word in words:
        depth += {"(": 1, ")": -1}.get(word, 0)
        if word == "WHERE" and depth == 0:
            return True
    return False
