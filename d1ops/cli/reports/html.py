"""The findings as one self-contained HTML page."""

from __future__ import annotations

from typing import TYPE_CHECKING

from markupsafe import Markup

from d1ops.cli.reports.diagram import diagram
from d1ops.cli.reports.model import Relations, State
from d1ops.cli.reports.page import render, shell
from d1ops.cli.text import count
from d1ops.core.sql import fold

if TYPE_CHECKING:
    from d1ops.cli.reports.model import Findings


MOST_TABLES = 400
"""So many tables are drawn; of more, those with a key that no index serves, and their parents."""
MOST_KEYS = 2_000
"""So many foreign keys are listed; of more, those that no index serves."""


def html(findings: Findings) -> str:
    """Return the page: summary, findings with their plans, the SQL that mends, diagram, what is ignored, rules."""
    new, known, ignored = (findings.of(state) for state in (State.NEW, State.KNOWN, State.IGNORED))
    scripts = list(dict.fromkeys(item.fix_sql for item in new if item.fix_sql))
    relations = findings.relations if findings.relations and findings.relations.tables else None
    drawn = _drawn(relations) if relations else None
    links = sorted(relations.links, key=lambda link: link.is_indexed) if relations else []
    listed = links if len(links) <= MOST_KEYS else [link for link in links if not link.is_indexed]
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
        drawn=drawn,
        listed=listed,
        picture=Markup(diagram(drawn)) if drawn else "",  # noqa: S704 - it escapes every name itself
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


def _drawn(relations: Relations) -> Relations:
    """Return what is drawn: everything, or the surroundings of the keys without an index that there is room for."""
    if len(relations.tables) <= MOST_TABLES:
        return relations
    names = {fold(table): table for table in relations.tables}
    wanted: dict[str, None] = {}
    for link in relations.links:
        ends = [names[fold(end)] for end in (link.child, link.parent) if fold(end) in names]
        if not link.is_indexed and len({*wanted, *ends}) <= MOST_TABLES:
            wanted.update(dict.fromkeys(ends))
    return Relations(
        tuple(table for table in relations.tables if table in wanted),
        tuple(link for link in relations.links if names[fold(link.child)] in wanted),
    )


def _verdict(findings: Findings) -> str:
    failing = sum(findings.fails(item) for item in findings.items)
    quiet = [f"{number} {state.value}" for state in (State.KNOWN, State.IGNORED) if (number := len(findings.of(state)))]
    beside = f" ({', '.join(quiet)})" if quiet else ""
    if failing:
        return f"{count(failing, 'finding')} to act on{beside}"
    return f"Nothing to act on{beside}"
