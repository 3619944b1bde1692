"""From an audit to what its renderings are made of."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import d1ops
from d1ops.cli.reports.model import Findings, Item, Link, Relations, RuleText, State
from d1ops.core.audit.report import to_json
from d1ops.core.audit.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from d1ops.core.audit.finding import Finding, Severity
    from d1ops.core.audit.report import Report, Summary
    from d1ops.core.audit.sift import Sifted
    from d1ops.core.places import Place, Places
    from d1ops.database.base import Target


def of_audit(
    report: Report,
    sifted: Sifted,
    places: Places,
    *,
    env: str,
    target: Target,
    fails_from: Severity | None,
    has_baseline: bool,
    made_at: str,
    folder: str,
    source: str,
) -> Findings:
    """Return the findings of an audit with their rules, places, figures and the tables around them."""
    return Findings(
        name="audit",
        category=f"audit/{env}",
        title=f"Index audit of {target.name}",
        items=tuple(_items(sifted, places)),
        rules=rule_texts(),
        facts=(("env", env), ("kind", target.kind), ("database", target.name), ("at", made_at)),
        figures=_figures(report.summary),
        relations=_relations(report),
        fails_from=fails_from,
        has_baseline=has_baseline,
        made_at=made_at,
        tool_version=d1ops.__version__,
        folder=folder,
        source=source,
    )


def audit_document(report: Report, sifted: Sifted, places: Places) -> dict[str, Any]:
    """Return `findings`, `known`, `ignored` and `summary` of the JSON document, every finding with its place."""

    def listed(findings: Iterable[Finding]) -> list[dict[str, Any]]:
        chosen = tuple(findings)
        documents: Any = to_json(replace(report, findings=chosen))["findings"]
        for finding, document in zip(chosen, documents, strict=True):
            place = place_of(finding, places)
            if place is not None:
                document.update(path=place.path, line=place.line)
        return list(documents)

    ignored = listed(finding for finding, _ in sifted.ignored)
    summary: Any = to_json(report)["summary"]
    return {
        "findings": listed(sifted.new),
        "known": listed(sifted.known),
        "ignored": [
            {**document, "reason": ignore.reason} for document, (_, ignore) in zip(ignored, sifted.ignored, strict=True)
        ],
        "outdated": list(sifted.outdated),
        "summary": {**summary, "known": len(sifted.known), "ignored": len(sifted.ignored)},
    }


def place_of(finding: Finding, places: Places) -> Place | None:
    """Return where the catalog makes what a finding is about, for one that has no place of its own."""
    if finding.path is not None:
        return None
    if finding.index is not None:
        place = places.of_index(finding.index)
        if place is not None:
            return place
    return places.of_table(finding.table, finding.columns) if finding.table is not None else None


def rule_texts() -> tuple[RuleText, ...]:
    """Return the rules of the audit with their pages."""
    return tuple(RuleText(rule.id, rule.title, rule.severity, page(rule.id)) for rule in RULES.values())


def page(rule: str) -> str:
    """Return the page of a rule: the package's own copy, or the repository's; without one the empty text."""
    package = Path(d1ops.__file__).parent
    for folder in (package / "rule_pages", package.parent / "docs" / "rules"):
        file = folder / f"{rule}.md"
        if file.is_file():
            return file.read_text(encoding="utf-8")
    return ""


def _items(sifted: Sifted, places: Places) -> Iterator[Item]:
    for finding in sifted.new:
        yield _item(finding, places, State.NEW)
    for finding in sifted.known:
        yield _item(finding, places, State.KNOWN)
    for finding, ignore in sifted.ignored:
        yield _item(finding, places, State.IGNORED, ignore.reason)


def _item(finding: Finding, places: Places, state: State, reason: str | None = None) -> Item:
    place = place_of(finding, places)
    after = finding.facts.get("plan_after")
    return Item(
        key=finding.key,
        rule=finding.rule,
        severity=finding.severity,
        message=finding.message,
        remedy=finding.remedy,
        about=_about(finding),
        table=finding.table,
        path=place.path if place else finding.path,
        line=place.line if place else finding.line,
        fix_sql=finding.fix_sql,
        plan=finding.plan,
        plan_after=after if isinstance(after, tuple) else (),
        state=state,
        reason=reason,
    )


def _about(finding: Finding) -> str:
    if finding.query is not None:
        return finding.query
    if finding.index is not None:
        return f"{finding.index} of {finding.table}" if finding.table else finding.index
    if finding.table is not None:
        return f"{finding.table} ({', '.join(finding.columns)})" if finding.columns else finding.table
    return ", ".join(finding.others)


def _figures(summary: Summary) -> tuple[tuple[str, str], ...]:
    return (
        ("foreign keys indexed", f"{summary.indexed_foreign_keys:,} of {summary.foreign_keys:,}"),
        ("queries with a full scan", f"{summary.queries_with_full_scan:,} of {summary.queries:,}"),
        ("tables", f"{summary.tables:,}"),
    )


def _relations(report: Report) -> Relations:
    links = (key.reference for key in report.foreign_keys)
    return Relations(
        report.tables,
        tuple(
            Link(
                child=link.table,
                columns=link.columns,
                parent=link.parent,
                parent_columns=link.parent_columns,
                on_delete=link.on_delete,
                is_indexed=key.is_indexed,
            )
            for key, link in zip(report.foreign_keys, links, strict=True)
        ),
    )
