"""GitHub Actions: annotations as workflow commands, and the summary of a step as Markdown.

Source: GitHub documentation, "Workflow commands for GitHub Actions" (an annotation's message and properties escape %,
line ends, and in properties also `:` and `,`; GitHub shows ten errors, ten warnings and ten notices of a step;
a step's summary may have 1 MiB).
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from d1ops.cli.reports.model import State
from d1ops.cli.text import count
from d1ops.core.audit.finding import Severity

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from d1ops.cli.reports.model import Findings, Item

SUMMARY_VARIABLE = "GITHUB_STEP_SUMMARY"
"""The variable that names the file which a step's summary is appended to."""

MAX_SUMMARY_BYTES = 900_000

_COMMANDS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "notice"}


# -- annotations -----------------------------------------------------------------------------------------


def workflow_commands(findings: Findings) -> list[str]:
    """Return one workflow command for each new finding."""
    return [_annotation(findings, item) for item in findings.of(State.NEW)]


def _annotation(findings: Findings, item: Item) -> str:
    properties = {"title": f"{item.rule}: {item.about}" if item.about else item.rule}
    if item.path is not None:
        properties = {"file": findings.in_repository(item.path), "line": str(item.line or 1), **properties}
    listed = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    message = f"{item.message}\n{f'fix: {item.fix_sql}' if item.fix_sql else f'try: {item.remedy}'}"
    return f"::{_COMMANDS[item.severity]} {listed}::{_data(message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")


# -- the summary -----------------------------------------------------------------------------------------


def summary(findings: Findings, *, max_bytes: int = MAX_SUMMARY_BYTES) -> str:
    """Return the summary as Markdown. What does not fit into `max_bytes` is left out and counted."""
    lines = [f"## {_text(findings.title)}", "", _verdict(findings), ""]
    if findings.facts:
        lines += [" · ".join(f"{_text(label)} {_text(value)}" for label, value in findings.facts), ""]
    if findings.figures:
        lines += ["| | |", "|---|---:|", *(f"| {_text(label)} | {_text(value)} |" for label, value in findings.figures)]
        lines.append("")
    used = sum(len(line.encode()) + 1 for line in lines)
    for section in (_table(findings), _scripts(findings), _quiet(findings)):
        kept: list[str] = []
        for line in section:
            used += len(line.encode()) + 1
            if used > max_bytes:
                return "\n".join([*lines, *kept, "", "The rest does not fit into a summary."]) + "\n"
            kept.append(line)
        lines += kept
    return "\n".join(lines).rstrip() + "\n"


def _verdict(findings: Findings) -> str:
    counts = [count(number, severity.value) for severity, number in findings.counts().items() if number]
    if not counts:
        return "No finding." if not findings.has_baseline else "No new finding."
    return f"**{', '.join(counts).replace('infos', 'info')}**"


def _table(findings: Findings) -> Iterator[str]:
    new = findings.of(State.NEW)
    if new:
        yield from ("| | rule | about | finding | place |", "|---|---|---|---|---|")
    for item in new:
        cells = (item.severity.value, item.rule, item.about, item.message, item.place)
        yield f"| {' | '.join(map(_text, cells))} |"
    if new:
        yield ""


def _scripts(findings: Findings) -> Iterator[str]:
    scripts = list(dict.fromkeys(item.fix_sql for item in findings.of(State.NEW) if item.fix_sql))
    if not scripts:
        return
    text = "\n".join(scripts)
    fence = "`" * max(3, 1 + max(map(len, re.findall("`+", text)), default=0))
    yield f"<details><summary>{count(len(scripts), 'statement')} that mend what can be mended</summary>\n"
    yield f"{fence}sql\n{text}\n{fence}\n"
    yield "</details>\n"


def _quiet(findings: Findings) -> Iterator[str]:
    known = len(findings.of(State.KNOWN))
    if known:
        yield f"{count(known, 'finding')} known from the baseline.\n"
    ignored = findings.of(State.IGNORED)
    if ignored:
        yield f"<details><summary>{count(len(ignored), 'finding')} ignored</summary>\n"
        yield from ("| rule | about | reason |", "|---|---|---|")
        for item in ignored:
            yield f"| {_text(item.rule)} | {_text(item.about)} | {_text(item.reason or '')} |"
        yield "\n</details>"


def _text(text: str) -> str:
    """Return a text that Markdown and HTML show as it is, on one line."""
    flat = re.sub(r"\s+", " ", text)
    return re.sub(r"[&<>|*_`~\[\]\\@#!]", lambda found: f"&#{ord(found[0])};", flat)


def write_summary(findings: Findings, environ: Mapping[str, str]) -> None:
    """Add the summary to the file that GitHub Actions names, where there is one. Raises OSError."""
    file = environ.get(SUMMARY_VARIABLE)
    if file:
        with Path(file).open("a", encoding="utf-8") as summaries:
            summaries.write(summary(findings))
