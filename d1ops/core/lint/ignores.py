"""Comments that excuse a finding: `-- d1ops: ignore RULE reason`.

Before the first statement of a file, with an empty line after it, the comment counts for the whole file; otherwise for
the statement that it stands in, or else for the next one. An ignore without a reason, of an unknown rule, or of
something that is not found any more is itself a finding.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Finding, Severity
from d1ops.core.sql import tokens
from d1ops.errors import ScriptError

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

    from d1ops.core.catalog import Catalog, Script

ID = "ignore-comment"

_IGNORE = re.compile(r"--\s*d1ops:\s*ignore\b[ \t]*(?P<rule>\S*)[ \t]*(?P<reason>[^\n]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Ignore:
    """An excuse. It covers the lines `first` to `last` of the file, both included."""

    path: str
    line: int
    rule: str
    reason: str
    first: int
    last: int

    def covers(self, finding: Finding) -> bool:
        """Whether the excuse is for this finding."""
        if (finding.rule, finding.path) != (self.rule, self.path):
            return False
        return finding.line is None or self.first <= finding.line <= self.last


def apply(catalog: Catalog, findings: Sequence[Finding], known: Collection[str]) -> tuple[list[Finding], int]:
    """Leave out what comments excuse. Returns the other findings, with those about the comments themselves, and how
    many were left out."""
    kept = list(findings)
    for ignore in ignores_of(catalog):
        rest = [finding for finding in kept if not ignore.covers(finding)]
        problem = _problem(ignore, known, found=len(rest) < len(kept))
        if problem is None:
            kept = rest
        else:
            kept.append(problem)
    return kept, len(findings) - sum(finding.rule != ID for finding in kept)


def _problem(ignore: Ignore, known: Collection[str], *, found: bool) -> Finding | None:
    if ignore.rule not in known:
        near = get_close_matches(ignore.rule, sorted(known), 1)
        message = f"there is no rule {ignore.rule!r} to ignore" if ignore.rule else "the comment names no rule"
        remedy = f"write -- d1ops: ignore {near[0]} REASON" if near else "name the rule that the finding shows"
    elif not ignore.reason:
        message = f"{ignore.rule} is ignored without a reason, so it still counts"
        remedy = f"say why: -- d1ops: ignore {ignore.rule} REASON"
    elif not found:
        message = f"{ignore.rule} finds nothing here any more"
        remedy = "remove the comment"
    else:
        return None
    return Finding(
        rule=ID,
        severity=Severity.WARNING,
        table=None,
        columns=(),
        message=message,
        remedy=remedy,
        path=ignore.path,
        line=ignore.line,
    )


def ignores_of(catalog: Catalog) -> Iterator[Ignore]:
    """Yield the excuses of all scripts of a catalog."""
    for migration in catalog.migrations:
        for script in (migration.script, migration.rollback):
            if script is not None and b"d1ops:" in script.data:
                yield from _of_script(script)


def _of_script(script: Script) -> Iterator[Ignore]:
    text = script.data.decode("utf-8-sig", errors="replace")
    last_line = text.count("\n") + 1
    spans = _spans(script)
    for token in tokens(text):
        found = _IGNORE.match(token.text) if token.kind == "comment" else None
        if found is None:
            continue
        line = text.count("\n", 0, token.start) + 1
        is_first = not spans or line < spans[0][0]
        if is_first and re.match(r"\r?\n[ \t]*\r?\n", text[token.start + len(token.text) :]):
            first, last = 1, last_line
        else:
            first, last = next((span for span in spans if line <= span[1]), (1, last_line))
        yield Ignore(script.path, line, found["rule"].lower(), found["reason"].strip(), first, last)


def _spans(script: Script) -> list[tuple[int, int]]:
    """The first and last line of every statement; none where the script cannot be read."""
    try:
        return [(s.line, s.line + s.sql.count("\n")) for s in script.statements]
    except ScriptError:
        return []
