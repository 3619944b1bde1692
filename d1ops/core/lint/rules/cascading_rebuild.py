"""A DROP TABLE that takes rows of other tables with it.

D1 keeps foreign keys on: dropping a table deletes its rows first, and every ON DELETE action fires.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Severity
from d1ops.core.lint.rules.placing import at_step
from d1ops.core.sql import fold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.finding import Finding
    from d1ops.core.lint.subject import Link, Run, Step, Subject

ID = "cascading-rebuild"
SEVERITY = Severity.ERROR

_ACTIONS = {"CASCADE": "its rows are deleted", "SET NULL": "its links become NULL", "SET DEFAULT": "its links change"}


def find(subject: Subject) -> Iterator[Finding]:
    """Find tables that are dropped while tables which stay refer to them with an ON DELETE action."""
    for run in subject.runs:
        for step in run.steps:
            if step.dropped is not None and (touched := hit(run, step)):
                yield _finding(run, step, step.dropped, touched)


def hit(run: Run, step: Step) -> list[Link]:
    """Return the foreign keys by which dropping a table reaches rows of tables that were there before the script and
    are there after it."""
    if step.dropped is None or run.before is None:
        return []
    stays = {fold(name) for name in (run.after or run.before).tables()}
    there = {fold(name) for name in run.before.tables()}
    return [
        link
        for link in step.links
        if fold(link.parent) == fold(step.dropped)
        and fold(link.child) != fold(link.parent)
        and link.on_delete in _ACTIONS
        and fold(link.child) in stays & there
    ]


def _finding(run: Run, step: Step, table: str, touched: list[Link]) -> Finding:
    comes_back = run.after is not None and run.after.has_table(table)
    children = "; ".join(f"{link.child} (ON DELETE {link.on_delete}: {_ACTIONS[link.on_delete]})" for link in touched)
    what = "a rebuild drops" if comes_back else "this drops"
    if comes_back:
        remedy = (
            "use DROP INDEX and ALTER TABLE ... DROP COLUMN, or RENAME COLUMN, in place of the rebuild;"
            " where only a rebuild will do, d1ops rollback-script writes one that keeps every row"
        )
    else:
        remedy = "rebuild or drop the tables that refer to it first, or make their rows refer to nothing on purpose"
    return at_step(
        ID,
        Severity.ERROR,
        step,
        f"{what} {table}, and D1 keeps foreign keys on: {children}",
        remedy,
        table=table,
    )
