"""JUnit XML: one suite for each rule, one test case for each finding, and one that passes for a rule without any.

There is no standard; what is written here is what pytest, Jenkins and GitLab have in common. A finding fails its case
where it makes the answer no; one that is known or ignored skips it, and one too light to fail passes with its text.
"""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

from d1ops.cli.reports.model import State

if TYPE_CHECKING:
    from d1ops.cli.reports.model import Findings, Item, RuleText

_ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What XML 1.0 cannot carry, section 2.2."""


def junit(findings: Findings) -> str:
    """Return the XML document."""
    suites = [_suite(findings, rule) for rule in findings.rules]
    root = ET.Element("testsuites", _totals(f"d1ops {findings.category}", suites))
    root.extend(suites)
    ET.indent(root)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _totals(name: str, suites: list[ET.Element]) -> dict[str, str]:
    sums = {key: str(sum(int(suite.get(key, "0")) for suite in suites)) for key in ("tests", "failures", "errors")}
    return {"name": _legal(name), **sums}


def _suite(findings: Findings, rule: RuleText) -> ET.Element:
    found = [item for item in findings.items if item.rule == rule.id]
    cases = [_case(findings, item) for item in found] or [_new_case(rule.id, rule.title, "no finding")]
    suite = ET.Element(
        "testsuite",
        {
            "name": rule.id,
            "tests": str(len(cases)),
            "failures": str(sum(case.find("failure") is not None for case in cases)),
            "errors": "0",
            "skipped": str(sum(case.find("skipped") is not None for case in cases)),
            "time": "0",
        },
    )
    if findings.made_at:
        suite.set("timestamp", findings.made_at.removesuffix("Z"))
    suite.extend(cases)
    return suite


def _new_case(rule: str, name: str, said: str | None) -> ET.Element:
    case = ET.Element("testcase", {"classname": f"d1ops.{rule}", "name": _legal(name), "time": "0"})
    if said is not None:
        ET.SubElement(case, "system-out").text = _legal(said)
    return case


def _case(findings: Findings, item: Item) -> ET.Element:
    name = item.key.removeprefix(item.rule).strip() or item.rule
    text = _text(findings, item)
    if findings.fails(item):
        case = _new_case(item.rule, name, None)
        failure = ET.SubElement(case, "failure", {"type": item.severity.value, "message": _legal(item.message)})
        failure.text = _legal(text)
    elif item.state is State.NEW:
        case = _new_case(item.rule, name, text)
    else:
        case = _new_case(item.rule, name, None)
        why = f"ignored: {item.reason}" if item.state is State.IGNORED else "known: it is in the baseline"
        ET.SubElement(case, "skipped", {"type": item.state.value, "message": _legal(why)}).text = _legal(text)
    return case


def _text(findings: Findings, item: Item) -> str:
    place = f"{findings.in_repository(item.place)}: " if item.place else ""
    lines = [f"{place}{item.severity.value}: {item.message}", *(f"    {line}" for line in item.plan)]
    lines.append(f"fix: {item.fix_sql}" if item.fix_sql else f"try: {item.remedy}")
    return "\n".join(lines)


def _legal(text: str) -> str:
    return _ILLEGAL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)
