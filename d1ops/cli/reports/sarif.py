"""SARIF 2.1.0, as GitHub code scanning and other viewers read it.

Source: OASIS, "Static Analysis Results Interchange Format (SARIF) Version 2.1.0 Plus Errata 01"; GitHub documentation,
"SARIF support for code scanning": a result without a location is not shown, an alert is followed from run to run by
the partial fingerprint `primaryLocationLineHash`, and `%SRCROOT%` is the root of the repository.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from d1ops.cli.reports.model import State
from d1ops.core.audit.finding import Severity

if TYPE_CHECKING:
    from d1ops.cli.reports.model import Findings, Item, RuleText

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"

_LEVELS = {Severity.ERROR: "error", Severity.WARNING: "warning", Severity.INFO: "note"}


def sarif(findings: Findings) -> dict[str, Any]:
    """Return the SARIF log: one run, ignored and known findings included as such."""
    numbers = {rule.id: number for number, rule in enumerate(findings.rules)}
    seen: Counter[str] = Counter()
    results = []
    for item in findings.items:
        seen[item.key] += 1
        results.append(_result(findings, item, numbers, seen[item.key]))
    driver = {"name": "d1ops", "rules": [_rule(rule) for rule in findings.rules]}
    if findings.tool_version:
        driver["version"] = findings.tool_version
    run: dict[str, Any] = {
        "tool": {"driver": driver},
        "automationDetails": {"id": f"d1ops/{findings.category}/"},
        "columnKind": "unicodeCodePoints",
        "results": results,
    }
    if findings.made_at:
        run["invocations"] = [{"executionSuccessful": True, "endTimeUtc": findings.made_at}]
    return {"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}


def _rule(rule: RuleText) -> dict[str, Any]:
    page = rule.page or rule.title
    return {
        "id": rule.id,
        "name": "".join(part.capitalize() for part in rule.id.split("-")),
        "shortDescription": {"text": rule.title},
        "fullDescription": {"text": rule.title},
        "help": {"text": page, "markdown": page},
        "defaultConfiguration": {"level": _LEVELS[rule.severity]},
        "properties": {"tags": ["d1", "sqlite"], "precision": "high"},
    }


def _result(findings: Findings, item: Item, numbers: dict[str, int], number: int) -> dict[str, Any]:
    """Return a result. `number` counts the findings of one key, from 1."""
    digest = hashlib.sha256(item.key.encode(errors="surrogatepass")).hexdigest()
    text = f"{item.message}\n\n{item.remedy}" + (f"\n\n{item.fix_sql}" if item.fix_sql else "")
    result: dict[str, Any] = {
        "ruleId": item.rule,
        "level": _LEVELS[item.severity],
        "message": {"text": text},
        "partialFingerprints": {
            "primaryLocationLineHash": f"{digest[:16]}:{number}",
            "d1opsFinding/v1": f"{digest}:{number}",
        },
        "properties": {
            "key": item.key,
            **({"fixSql": item.fix_sql} if item.fix_sql else {}),
            **({"plan": list(item.plan)} if item.plan else {}),
            **({"planAfter": list(item.plan_after)} if item.plan_after else {}),
        },
    }
    if item.rule in numbers:
        result["ruleIndex"] = numbers[item.rule]
    location = _location(findings, item)
    if location:
        result["locations"] = [location]
    if findings.has_baseline:
        result["baselineState"] = "unchanged" if item.state is State.KNOWN else "new"
    if item.state is State.IGNORED:
        result["suppressions"] = [{"kind": "external", "justification": item.reason or ""}]
    return result


def _location(findings: Findings, item: Item) -> dict[str, Any]:
    location: dict[str, Any] = {}
    path = item.path or findings.source
    if path:
        uri = quote(findings.in_repository(path))
        location["physicalLocation"] = {
            "artifactLocation": {"uri": uri, "uriBaseId": "%SRCROOT%"},
            "region": {"startLine": item.line or 1},
        }
    if item.about:
        location["logicalLocations"] = [{"name": item.about, "kind": "table" if item.table else "query"}]
    return location
