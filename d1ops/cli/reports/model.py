"""What every rendering is made of: findings of any source, their rules, and what was looked at."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from d1ops.core.audit.finding import Severity


class State(StrEnum):
    """What became of a finding: it counts, a baseline knows it, or somebody ignores it with a reason."""

    NEW = "new"
    KNOWN = "known"
    IGNORED = "ignored"


@dataclass(frozen=True, slots=True)
class Item:
    """One finding.

    `key` is equal from run to run. `about` names what it is about in a few words, `reviews (reviewer_user_id)`, and
    `table` the table where there is one. `path` is as a person types it from the project root, `line` counts from 1.
    `plan_after` is the plan once `fix_sql` is applied. `reason` says why it is ignored.
    """

    key: str
    rule: str
    severity: Severity
    message: str
    remedy: str
    about: str = ""
    table: str | None = None
    path: str | None = None
    line: int | None = None
    fix_sql: str | None = None
    plan: tuple[str, ...] = ()
    plan_after: tuple[str, ...] = ()
    state: State = State.NEW
    reason: str | None = None

    @property
    def place(self) -> str:
        """File and line as one word, or the empty text."""
        if self.path is None:
            return ""
        return f"{self.path}:{self.line}" if self.line else self.path


@dataclass(frozen=True, slots=True)
class RuleText:
    """A rule: what it finds in one sentence, how much its findings usually weigh, and its page as Markdown."""

    id: str
    title: str
    severity: Severity
    page: str = ""


@dataclass(frozen=True, slots=True)
class Link:
    """A foreign key of the diagram."""

    child: str
    columns: tuple[str, ...]
    parent: str
    parent_columns: tuple[str, ...]
    on_delete: str
    is_indexed: bool = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Relations:
    """The tables and foreign keys of a schema."""

    tables: tuple[str, ...]
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True)
class Findings:
    """A whole report.

    `name` is the command (`audit`), `category` tells reports of one project apart (`audit/staging`). `facts` say what
    was looked at and `figures` what was counted, as label and text. Items of a state other than new never fail.
    `fails_from` is the least severity that makes the answer no, None when nothing does. `has_baseline` says whether
    the state known could occur. `made_at` is RFC 3339. `folder` is the project's in its repository, "" for the root;
    `source` is the file that names what was looked at, for readers that show nothing without a file.
    """

    name: str
    category: str
    title: str
    items: tuple[Item, ...]
    rules: tuple[RuleText, ...]
    facts: tuple[tuple[str, str], ...] = ()
    figures: tuple[tuple[str, str], ...] = ()
    relations: Relations | None = None
    fails_from: Severity | None = Severity.WARNING
    has_baseline: bool = False
    made_at: str = ""
    tool_version: str = ""
    folder: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        """Raise ValueError for an item whose rule is not described: no rendering would show it right."""
        strangers = {item.rule for item in self.items} - {rule.id for rule in self.rules}
        if strangers:
            raise ValueError(f"findings of rules that are not described: {', '.join(sorted(strangers))}")

    def of(self, state: State) -> tuple[Item, ...]:
        """Return the items of a state, in their order."""
        return tuple(item for item in self.items if item.state is state)

    def fails(self, item: Item) -> bool:
        """Return whether an item makes the answer no."""
        return item.state is State.NEW and self.fails_from is not None and item.severity.rank >= self.fails_from.rank

    @property
    def is_no(self) -> bool:
        """Whether the answer is no."""
        return any(self.fails(item) for item in self.items)

    def counts(self) -> dict[Severity, int]:
        """Return how many new items there are of each severity, the weightiest first, none left out."""
        found = Counter(item.severity for item in self.of(State.NEW))
        return {severity: found[severity] for severity in sorted(Severity, key=lambda s: -s.rank)}

    def in_repository(self, path: str) -> str:
        """Return the path of a file from the root of the repository, as CI systems count it."""
        return f"{self.folder}/{path}" if self.folder else path
