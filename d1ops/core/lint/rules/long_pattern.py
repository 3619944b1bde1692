"""A LIKE or GLOB pattern that D1 refuses when a row is written or read."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from d1ops.core import rules
from d1ops.core.audit.finding import Severity
from d1ops.core.lint.rules.placing import at_step
from d1ops.core.sql import significant

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.finding import Finding
    from d1ops.core.lint.subject import Subject

ID = "long-pattern"
SEVERITY = Severity.ERROR


def find(subject: Subject) -> Iterator[Finding]:
    """Find literal patterns of more than 50 bytes after LIKE or GLOB in a CHECK, view, trigger or query."""
    for run in subject.runs:
        for step in run.steps:
            if not {"LIKE", "GLOB"}.intersection(step.words):
                continue
            found = list(significant(step.statement.sql))
            for word, pattern in itertools.pairwise(found):
                size = len(pattern.text[1:-1].replace("''", "'").encode())
                if word.upper in ("LIKE", "GLOB") and pattern.kind == "string" and size > rules.MAX_PATTERN_BYTES:
                    yield at_step(
                        ID,
                        Severity.ERROR,
                        step,
                        f"the pattern after {word.upper} has {size} bytes, more than D1's {rules.MAX_PATTERN_BYTES}:"
                        " the script passes, and the first row that meets it fails",
                        "shorten it, or test the parts of the text with substr() and instr()",
                    )
