"""A new column that SQLite adds to an empty table alone.

ALTER TABLE ... ADD COLUMN fails on a table with rows when the column is NOT NULL without a default, has a default that
is not a constant, or refers to a table and has a default (SQLite documentation, "ALTER TABLE ADD COLUMN").
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import apsw

from d1ops.core.audit.finding import Severity
from d1ops.core.engine import Engine
from d1ops.core.lint.rules.placing import at_step
from d1ops.core.sql import quote_identifier

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.finding import Finding
    from d1ops.core.lint.subject import Run, Step, Subject

ID = "needs-empty-table"
SEVERITY = Severity.ERROR


def find(subject: Subject) -> Iterator[Finding]:
    """Find ADD COLUMN statements that pass on empty tables and fail on one row."""
    for run in subject.runs:
        for step in run.steps:
            if _adds_column(step) and run.before is not None and (text := _refusal(run, step)):
                yield at_step(
                    ID,
                    Severity.ERROR,
                    step,
                    f"it runs on an empty table and fails on the first row: {text}",
                    "give the column a constant default, or allow NULL and fill it in a later statement",
                )


def _adds_column(step: Step) -> bool:
    return step.words[:2] == ("ALTER", "TABLE") and "ADD" in step.words


def _refusal(run: Run, step: Step) -> str | None:
    """Try the column on a table of one row that stands for the real one."""
    name, _, clause = _cut(step)
    with closing(Engine.memory()) as engine, engine.unlimited():
        connection = engine.connection
        connection.execute(f"CREATE TABLE {quote_identifier(name)} (d1ops_row)")
        try:
            connection.execute(f"ALTER TABLE {quote_identifier(name)} {clause}")
        except apsw.Error:
            return None  # it needs the rest of the table; the trial on generated rows judges it
        connection.execute(f"DROP TABLE {quote_identifier(name)}")
        connection.execute(f"CREATE TABLE {quote_identifier(name)} (d1ops_row)")
        connection.execute(f"INSERT INTO {quote_identifier(name)} VALUES (1)")
        # The real foreign keys are on, which is what makes SQLite refuse a default there.
        connection.execute("PRAGMA foreign_keys = ON")
        try:
            connection.execute(f"ALTER TABLE {quote_identifier(name)} {clause}")
        except apsw.Error as error:
            return str(error)
    return None


def _cut(step: Step) -> tuple[str, str, str]:
    """Cut `ALTER TABLE [main.]name ADD ...` before ADD; the stand-in has a name of its own."""
    from d1ops.core.sql import significant

    found = next(token for token in significant(step.statement.sql) if token.upper == "ADD")
    return "d1ops_stand_in", step.statement.sql[: found.start], step.statement.sql[found.start :]
