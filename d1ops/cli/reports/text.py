"""Findings for people at a terminal: what is wrong, where, and the statement that mends it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.cli.reports.model import State
from d1ops.cli.text import columns, count, one_line

if TYPE_CHECKING:
    from d1ops.cli.reports.model import Findings, Item


def text(findings: Findings, *tail: str) -> list[str]:
    """Return the lines. The last one sums up: it is the only one where all is well. `tail` are figures for it."""
    new = findings.of(State.NEW)
    lines: list[str] = []
    for line, item in zip(columns(map(_head, new)) if new else [], new, strict=True):
        lines += [line, *_body(item), ""]
    quiet = [f"{len(found)} {state.value}" for state in (State.KNOWN, State.IGNORED) if (found := findings.of(state))]
    return [*lines, "; ".join([*tail, count(len(new), "finding"), *quiet])]


def _head(item: Item) -> tuple[str, ...]:
    return item.severity.value, item.rule, item.about, item.place


def _body(item: Item) -> list[str]:
    return [
        f"  {one_line(item.message)}",
        *(f"    {one_line(line)}" for line in item.plan),
        *(["  with the fix:", *(f"    {one_line(line)}" for line in item.plan_after)] if item.plan_after else []),
        # SQL stays as it is, to be copied: its lines all begin like one of a fix, and so forge no other.
        *([f"  fix: {line}" for line in item.fix_sql.split("\n")] if item.fix_sql else []),
        *([] if item.fix_sql else [f"  try: {one_line(item.remedy)}"]),
    ]
