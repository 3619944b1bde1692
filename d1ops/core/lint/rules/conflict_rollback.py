"""A statement that ends D1's transaction by itself."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Severity
from d1ops.core.lint.rules.placing import at_step

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.finding import Finding
    from d1ops.core.lint.subject import Subject

ID = "conflict-rollback"
SEVERITY = Severity.ERROR


def find(subject: Subject) -> Iterator[Finding]:
    """Find `OR ROLLBACK`, `ON CONFLICT ROLLBACK` and `RAISE(ROLLBACK, ...)`: the batch then ends with an internal error
    and its answer is lost (seen on workerd)."""
    for run in subject.runs:
        for step in run.steps:
            words = step.words
            pairs = set(itertools.pairwise(words))
            raises = ("RAISE", "(", "ROLLBACK") in zip(words, words[1:], words[2:], strict=False)
            if raises or ("OR", "ROLLBACK") in pairs or ("CONFLICT", "ROLLBACK") in pairs:
                yield at_step(
                    ID,
                    Severity.ERROR,
                    step,
                    "ROLLBACK as a conflict action ends the transaction that D1 opened, and the answer is lost",
                    "write ABORT in its place: the batch is undone as a whole anyway",
                )
