"""What a rule finds."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Severity(StrEnum):
    """How much a finding weighs: `info` is worth knowing, `warning` costs rows read, `error` also breaks or blocks."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"

    @property
    def rank(self) -> int:
        """The place in the order of weight, from 0."""
        return list(Severity).index(self)


@dataclass(frozen=True, slots=True)
class Finding:
    """One fact that somebody should act on.

    `table` and `columns` are spelled as in the schema; a finding about a query as a whole has neither. `fix_sql`
    is a statement that was tried on the mirror and made the finding go away. `path` and `line` (from 1) place a
    query, `query` is its name and `plan` its plan, one line a step.
    """

    rule: str
    severity: Severity
    table: str | None
    columns: tuple[str, ...]
    message: str
    remedy: str
    fix_sql: str | None = None
    query: str | None = None
    path: str | None = None
    line: int | None = None
    plan: tuple[str, ...] = ()
