"""What a rule is, and what it finds."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, TypeAlias

from d1ops.core.sql import quote_if_needed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from d1ops.core.audit.subject import Subject

Fact: TypeAlias = str | int | float | bool | tuple[str, ...] | None
"""A figure or a name that a message is made of, as JSON carries it."""


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

    `table`, `columns` and `index` are spelled as in the schema; a finding about a query as a whole has none of them.
    `others` are the further objects that tell it from its like, such as the parent of a foreign key or the index that
    already does the work. `fix_sql` is a script, mostly of one statement, that was tried on the mirror and made the
    finding go away; `rollback_sql` takes it back. `path` and `line` (from 1) place a query, `query` is its name and
    `plan` its plan, one line a step. `facts` are the figures and names of the message, for programs.
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
    index: str | None = None
    others: tuple[str, ...] = ()
    rollback_sql: str | None = None
    facts: Mapping[str, Fact] = field(default_factory=dict, hash=False)

    @property
    def key(self) -> str:
        """What the finding is about, in one line: equal from run to run, whatever its words, figures and line.

        `foreign-key-without-index reviews (reviewer_user_id) -> users`. Ignores and baselines compare it.
        """
        parts = [self.rule]
        if self.table is not None:
            parts.append(quote_if_needed(self.table))
        if self.columns:
            parts.append(f"({', '.join(quote_if_needed(column) for column in self.columns)})")
        if self.index is not None:
            parts.append(f"index {quote_if_needed(self.index)}")
        if self.others:
            parts.append(f"-> {', '.join(quote_if_needed(other) for other in self.others)}")
        if self.query is not None:
            parts.append(f"query {quote_if_needed(self.query)}")
        if self.path is not None:
            parts.append(f"in {self.path}")
        return " ".join(parts)


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule: its `id` (also its page, `docs/rules/<id>.md`), what it finds in one sentence, its usual severity."""

    id: str
    title: str
    severity: Severity
    find: Callable[[Subject], Iterable[Finding]]
