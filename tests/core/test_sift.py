"""What counts, what is ignored with a reason, and what a baseline knows."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from d1ops.core.audit.finding import Finding, Severity
from d1ops.core.audit.sift import Ignore, baseline_text, read_baseline, sift
from d1ops.errors import UsageError

SCAN = Finding("full-scan", Severity.WARNING, "users", (), "m", "r", query="inbox", path="q.sql", line=3)
KEY = Finding("foreign-key-without-index", Severity.ERROR, "Reviews", ("a", "B"), "m", "r", others=("users",))
DOUBLE = Finding("duplicate-index", Severity.WARNING, "users", ("a",), "m", "r", index="users_a")


def ignore(rule: str, **narrowed: Any) -> Ignore:
    return Ignore(rule, "because", path="config/dev.toml", line=7, **narrowed)


@pytest.mark.parametrize(
    ("decision", "finding"),
    [
        (ignore("full-scan"), SCAN),
        (ignore("full-scan", table="USERS"), SCAN),
        (ignore("full-scan", query="Inbox"), SCAN),
        (ignore("foreign-key-without-index", table="reviews", columns=("b", "A")), KEY),
        (ignore("duplicate-index", index="USERS_A"), DOUBLE),
    ],
)
def test_an_ignore_fits_by_rule_and_names_without_case(decision: Ignore, finding: Finding) -> None:
    sifted = sift([finding], [decision])
    assert (sifted.new, sifted.ignored) == ((), ((finding, decision),))
    assert sifted.worst is None


@pytest.mark.parametrize(
    "decision",
    [
        ignore("full-scan", table="user"),
        ignore("full-scan", index="users_a"),
        ignore("full-scan", query="inbox", columns=("a",)),
        ignore("temp-b-tree"),
    ],
)
def test_an_ignore_that_fits_nothing_is_a_finding_at_its_line(decision: Ignore) -> None:
    (unused, found) = sift([SCAN], [decision]).new
    assert found == SCAN or unused == SCAN
    (finding,) = {unused, found} - {SCAN}
    assert (finding.rule, finding.severity) == ("unused-ignore", Severity.WARNING)
    assert (finding.path, finding.line) == ("config/dev.toml", 7)
    assert decision.rule in finding.key
    assert decision.described in finding.message


def test_of_two_ignores_that_fit_the_first_gives_the_reason_and_both_are_used() -> None:
    narrow, wide = ignore("full-scan", table="users"), replace(ignore("full-scan"), reason="other")
    sifted = sift([SCAN], [narrow, wide])
    assert sifted.ignored == ((SCAN, narrow),)
    assert sifted.new == ()


def test_a_known_finding_that_became_weightier_is_new() -> None:
    baseline = read_baseline(baseline_text([SCAN, KEY]).encode(), "b.json")
    worse = replace(SCAN, severity=Severity.ERROR)
    better = replace(KEY, severity=Severity.INFO, message="other words")
    sifted = sift([worse, better], (), baseline)
    assert (sifted.new, sifted.known, sifted.outdated) == ((worse,), (better,), ())
    assert sifted.worst is Severity.ERROR


def test_what_is_mended_is_outdated_and_what_is_ignored_is_not_known() -> None:
    baseline = read_baseline(baseline_text([SCAN, KEY]).encode(), "b.json")
    sifted = sift([SCAN], [ignore("full-scan")], baseline)
    assert sifted.outdated == (KEY.key,)
    assert (len(sifted.ignored), sifted.known) == (1, ())


names = st.text(st.characters(exclude_characters="\0", codec="utf-8"), min_size=1, max_size=8)
findings = st.lists(
    st.builds(
        Finding,
        rule=st.sampled_from(["full-scan", "temp-b-tree"]),
        severity=st.sampled_from(Severity),
        table=st.none() | names,
        columns=st.lists(names, max_size=2).map(tuple),
        message=st.just("m"),
        remedy=st.just("r"),
    ),
    max_size=8,
)


@given(findings, findings)
def test_every_finding_is_in_one_place_and_a_baseline_knows_its_own(
    before: list[Finding], after: list[Finding]
) -> None:
    text = baseline_text(before)
    baseline = read_baseline(text.encode(), "b.json")
    assert baseline_text(reversed(before)) == text
    assert sift(before, (), baseline).new == ()
    sifted = sift(after, (), baseline)
    assert sorted([*sifted.new, *sifted.known], key=repr) == sorted(after, key=repr)
    assert set(sifted.outdated) == set(baseline) - {finding.key for finding in after}


def test_a_baseline_has_one_finding_a_line_in_order() -> None:
    lines = baseline_text([SCAN, KEY]).splitlines()
    assert json.loads("\n".join(lines))["version"] == 1
    assert [line.strip() for line in lines[3:5]] == [
        '"foreign-key-without-index Reviews (a, B) -> users": "error",',
        '"full-scan users query inbox in q.sql": "warning"',
    ]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[" * 100_000,
        "[]",
        "{}",
        '{"version": 1, "findings": []}',
        '{"version": 1, "findings": {"a": "fatal"}}',
        "\xff",
    ],
)
def test_what_is_not_a_baseline_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"b\.json is not a baseline") as refused:
        read_baseline(text.encode("latin-1"), "b.json")
    assert refused.value.hint == "d1ops audit --write-baseline b.json"


def test_a_baseline_of_another_version_is_refused() -> None:
    with pytest.raises(UsageError, match="version 2"):
        read_baseline(b'{"version": 2, "findings": {}}', "b.json")
