"""The findings as one self-contained HTML page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from d1ops.cli.reports.diagram import diagram
from d1ops.cli.reports.model import State
from d1ops.cli.reports.page import render, shell
from d1ops.cli.text import count

if TYPE_CHECKING:
    from d1ops.cli.reports.model import Findings


def html(findings: Findings) -> str:
    """Return the page: summary, findings with their plans, the SQL that mends, diagram, what is ignored, rules."""
    new, known, ignored = (findings.of(state) for state in (State.NEW, State.KNOWN, State.IGNORED))
    scripts = list(dict.fromkeys(item.fix_sql for item in new if item.fix_sql))
    relations = findings.relations if findings.relations and findings.relations.tables else None
    body = render(
        "findings.html",
        findings=findings,
        verdict=_verdict(findings),
        counts=findings.counts(),
        new=new,
        known=known,
        ignored=ignored,
        rules=sorted({item.rule for item in new}),
        tables=sorted({item.table for item in new if item.table is not None}),
        with_plans=any(item.plan or item.plan_after for item in new),
        scripts=scripts,
        relations=relations,
        picture=Markup(diagram(relations)) if relations else "",  # noqa: S704 - it escapes every name itself
    )
    sections = [
        ("summary", "Summary"),
        ("findings", "Findings"),
        *([("mend", "SQL that mends")] if scripts else []),
        *([("diagram", "Diagram"), ("keys", "Foreign keys")] if relations else []),
        *([("quiet", "Ignored and known")] if known or ignored else []),
        ("rules", "Rules"),
    ]
    return shell(
        findings.title,
        body,
        subtitle=" · ".join(f"{label} {value}" for label, value in findings.facts),
        sections=sections,
        made_at=findings.made_at,
        styles=("findings.css",),
        scripts=("findings.js",),
    )


def _verdict(findings: Findings) -> str:
    failing = sum(findings.fails(item) for item in findings.items)
    quiet = [f"{number} {state.value}" for state in (State.KNOWN, State.IGNORED) if (number := len(findings.of(state)))]
    beside = f" ({', '.join(quiet)})" if quiet else ""
    if failing:
        return f"{count(failing, 'finding')} to act on{beside}"
    return f"Nothing to act on{beside}"
