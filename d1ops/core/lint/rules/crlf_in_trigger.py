"""Windows line ends inside of a trigger."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Severity
from d1ops.core.lint.rules.placing import at_step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.finding import Finding
    from d1ops.core.lint.subject import Subject

ID = "crlf-in-trigger"
SEVERITY = Severity.WARNING


def find(subject: Subject) -> Iterator[Finding]:
    """Find triggers written over several lines that end in CR LF in the file."""
    for run in subject.runs:
        if b"\r\n" not in run.script.data:
            continue
        lines = run.script.data.split(b"\n")
        for step in run.steps:
            height = step.statement.sql.count("\n")
            body = lines[step.line - 1 : step.line - 1 + height]
            if "TRIGGER" in step.words[:3] and any(line.endswith(b"\r") for line in body):
                yield at_step(
                    ID,
                    Severity.WARNING,
                    step,
                    "the trigger's lines end in CR LF, at which wrangler before 4.124 and D1's own splitter cut it",
                    "save the file with LF, and put *.sql text eol=lf into .gitattributes",
                )
