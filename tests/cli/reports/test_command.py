"""`audit` with formats, reports, ignores and baselines, as a user runs it."""

from __future__ import annotations

import json
import stat
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.shell import Shell

FIX = "CREATE INDEX reviews_user ON reviews (user_id);\n"


@pytest.fixture
def bad(filled: Shell) -> Shell:
    """One foreign key without an index, of a table of the first migration, and one query that scans."""
    (filled.root / "db" / "queries").mkdir()
    (filled.root / "db" / "queries" / "q.sql").write_text("-- name: by mail\nSELECT id FROM users WHERE email = ?1;\n")
    return filled


def ignore(project: Shell, text: str) -> None:
    file = project.root / "config" / "dev.toml"
    file.write_text(f"{file.read_text()}\n{text}")


def rules(answer: Shell, *argv: str) -> list[str]:
    return [finding["rule"] for finding in answer("audit", "--format", "json", *argv).json["findings"]]


def test_findings_have_the_place_that_made_the_table(bad: Shell) -> None:
    key, scan = bad("audit", "--format", "json").json["findings"]
    assert (key["path"], key["line"]) == ("db/migrations/0001_base.sql", 3)
    assert (scan["path"], scan["line"]) == ("db/queries/q.sql", 2)
    assert key["key"] == "foreign-key-without-index reviews (user_id) -> users, id"
    assert "  db/migrations/0001_base.sql:3\n" in bad("audit").out


def test_a_catalog_that_does_not_run_costs_the_places_and_no_finding(bad: Shell) -> None:
    bad.migration("0009_broken.sql", "CREATE TABLE (;\n")
    answer = bad("audit", "--format", "json")
    assert answer.code == 1
    assert [finding["path"] for finding in answer.json["findings"]] == [None, "db/queries/q.sql"]
    assert "where tables are made is not known: db/migrations/0009_broken.sql:1:14" in answer.err


def test_each_format_is_all_that_standard_output_has(bad: Shell) -> None:
    assert bad("audit", "--format", "sarif").json["version"] == "2.1.0"
    assert ET.fromstring(bad("audit", "--format", "junit").out).get("failures") == "2"
    lines = bad("audit", "--format", "github").out.splitlines()
    assert [line.split(" ")[0] for line in lines] == ["::error", "::warning"]
    for form in ("sarif", "junit", "github", "text", "json"):
        assert bad("audit", "--format", form).code == 1
        assert bad("audit", "--format", form, "--fail-on", "never").code == 0


def test_a_format_that_another_command_lacks_is_refused_there(project: Shell) -> None:
    refused = project("status", "--format", "sarif")
    assert refused.code == 2
    assert "'sarif'" in refused.err


def test_the_summary_of_a_step_is_appended(bad: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    file = bad.root / "summary.md"
    file.write_text("before\n")
    monkeypatch.setenv("GITHUB_STEP_SUMMARY", str(file))
    assert bad("audit", "--format", "github").code == 1
    text = file.read_text()
    assert text.startswith("before\n## Index audit of ")
    assert "| error | foreign-key-without-index |" in text
    bad("audit")
    assert file.read_text() == text, "only the format github writes there"


def test_reports_are_files_by_their_ending_and_of_their_owner_alone(bad: Shell) -> None:
    names = ("a.html", "a.sarif", "b.sarif.json", "a.xml", "a.JSON", "a.md")
    answer = bad("audit", "--format", "json", *(word for name in names for word in ("--report", name)))
    assert answer.code == 1
    read = {name: (bad.root / name).read_text() for name in names}
    assert read["a.html"].startswith("<!doctype html>")
    assert json.loads(read["a.sarif"])["version"] == json.loads(read["b.sarif.json"])["version"] == "2.1.0"
    assert ET.fromstring(read["a.xml"]).tag == "testsuites"
    assert json.loads(read["a.JSON"]) == answer.json
    assert read["a.md"].startswith("## Index audit")
    assert {stat.S_IMODE((bad.root / name).stat().st_mode) for name in names} == {0o600}
    assert not list(bad.root.glob(".*.partial"))


@pytest.mark.parametrize(
    ("name", "words"),
    [("report.pdf", "its ending says no kind"), ("no/a.html", "does not exist"), ("config", "says no kind")],
)
def test_a_report_that_cannot_be_written_is_refused_before_anything_is_asked(bad: Shell, name: str, words: str) -> None:
    refused = bad("audit", "--report", "a.html", "--report", name)
    assert refused.code == 2
    assert words in refused.err
    assert "try: " in refused.err
    assert not (bad.root / "a.html").exists()


def test_a_report_replaces_the_old_one_whole_or_not_at_all(bad: Shell) -> None:
    (bad.root / "a.md").write_text("old")
    (bad.root / "b.md").mkdir()
    assert bad("audit", "--report", "a.md", "--report", "b.md").code == 2
    assert (bad.root / "a.md").read_text() == "old"
    assert bad("audit", "--report", "a.md").code == 1
    assert (bad.root / "a.md").read_text() != "old"


def test_paths_in_reports_count_from_the_repository(bad: Shell, tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (first, *_) = bad("audit", "--format", "github").out.splitlines()
    assert first.startswith("::error file=project/db/migrations/0001_base.sql,line=3,")
    assert " db/migrations/0001_base.sql:3" in bad("audit").out


# -- ignores ---------------------------------------------------------------------------------------------


def test_what_is_ignored_does_not_count_and_keeps_its_reason(bad: Shell) -> None:
    ignore(bad, '[[audit.ignore]]\nrule = "foreign-key-without-index"\ntable = "reviews"\nreason = "few rows"\n')
    document = bad("audit", "--format", "json").json
    assert [finding["rule"] for finding in document["findings"]] == ["full-scan"]
    assert [(one["rule"], one["reason"]) for one in document["ignored"]] == [("foreign-key-without-index", "few rows")]
    assert (document["summary"]["ignored"], document["summary"]["indexed_foreign_keys"]) == (1, 1)
    ignore(bad, '[[audit.ignore]]\nrule = "full-scan"\nquery = "by mail"\nreason = "asked once a year"\n')
    answer = bad("audit")
    assert (answer.code, answer.out.count("\n")) == (0, 1)
    assert answer.out.endswith("; 0 findings; 2 ignored\n")
    sarif = bad("audit", "--format", "sarif").json["runs"][0]["results"]
    assert [result["suppressions"][0]["justification"] for result in sarif] == ["few rows", "asked once a year"]


def test_an_ignore_that_no_longer_applies_is_a_finding_at_its_line(bad: Shell) -> None:
    ignore(bad, '[[audit.ignore]]\nrule = "foreign-key-without-index"\ntable = "reviews"\nreason = "few rows"\n')
    bad.write("CREATE INDEX reviews_user ON reviews (user_id)")
    found = bad("audit", "--format", "json").json["findings"]
    (unused,) = [finding for finding in found if finding["rule"] == "unused-ignore"]
    assert (unused["severity"], unused["path"]) == ("warning", "config/dev.toml")
    text = (bad.root / "config" / "dev.toml").read_text().splitlines()
    assert text[unused["line"] - 1] == "[[audit.ignore]]"


@pytest.mark.parametrize(
    ("decision", "queries", "options", "unused"),
    [
        ('rule = "full-scan"\nquery = "gone"', "SELECT 1;", ("--from-source", "src"), True),
        ('rule = "full-scan"\nquery = "gone"', "SELECT 1;", (), False),
        ('rule = "full-scan"\nquery = "query log 1f2e3d4c"', "SELECT 1;", ("--from-source", "src"), False),
        ('rule = "full-scan"\nquery = "q"', "SELECT 1;", (), True),
        ('rule = "full-scan"\nquery = "q"', "SELECT nope FROM users;", (), False),
        ('rule = "full-scan"\ntable = "users"', "SELECT 1;", (), True),
        ('rule = "full-scan"\ntable = "users"', "SELECT nope FROM users;", (), False),
        ('rule = "query-does-not-compile"\nquery = "q"', "SELECT 1;", (), True),
        ('rule = "unused-index"\nindex = "i"', "SELECT 1;", (), True),
        ('rule = "unused-index"\nindex = "i"', "SELECT nope FROM users;", (), False),
        ('rule = "unused-index"\nindex = "i"', "", (), False),
        ('rule = "plan-differs-on-target"', "SELECT 1;", (), False),
        ('rule = "plan-differs-on-target"', "SELECT 1;", ("--remote-plans",), True),
        ('rule = "stale-statistics"\ntable = "w"', "", (), False),
        ('rule = "stale-statistics"\ntable = "w"', "", ("--count",), True),
        ('rule = "schema-drift"\ntable = "users"', "", (), True),
    ],
)
def test_an_ignore_is_judged_where_its_finding_could_have_been_made(
    bad: Shell, decision: str, queries: str, options: tuple[str, ...], unused: bool
) -> None:
    (bad.root / "src").mkdir()
    bad.write("CREATE TABLE w (a PRIMARY KEY) WITHOUT ROWID")
    file = bad.root / "db" / "queries" / "q.sql"
    if queries:
        file.write_text(f"{queries}\n")
    else:
        file.unlink()
    ignore(bad, f'[[audit.ignore]]\n{decision}\nreason = "known"\n')
    assert ("unused-ignore" in rules(bad, *options)) is unused


def test_an_ignore_of_drift_that_could_not_be_looked_for_is_not_judged(bad: Shell) -> None:
    ignore(bad, '[[audit.ignore]]\nrule = "schema-drift"\nreason = "by hand"\n')
    bad.write("DROP TABLE d1_migrations")
    assert "unused-ignore" not in rules(bad)


def test_an_ignore_of_an_unknown_rule_is_refused_with_the_nearest(bad: Shell) -> None:
    ignore(bad, '[[audit.ignore]]\nrule = "foreign-key-without-indexes"\nreason = "r"\n')
    refused = bad("audit")
    assert refused.code == 2
    assert "try: foreign-key-without-index\n" in refused.err


# -- baselines -------------------------------------------------------------------------------------------


def test_a_baseline_lets_only_new_findings_through(bad: Shell) -> None:
    written = bad.ok("audit", "--write-baseline", "known.json")
    assert "2 findings" in written.out
    answer = bad.ok("audit", "--baseline", "known.json")
    assert answer.out.endswith("; 0 findings; 2 known\n")
    assert bad("audit").code == 1, "without the baseline all count"
    (bad.root / "db" / "queries" / "r.sql").write_text("SELECT id FROM users WHERE email > ?1;\n")
    assert rules(bad, "--baseline", "known.json") == ["full-scan"]
    assert bad("audit", "--baseline", "known.json").code == 1
    states = [
        result["baselineState"]
        for result in bad("audit", "--baseline", "known.json", "--format", "sarif").json["runs"][0]["results"]
    ]
    assert sorted(states) == ["new", "unchanged", "unchanged"]


def test_a_baseline_is_the_same_each_time_and_says_what_is_mended(bad: Shell) -> None:
    bad.ok("audit", "--write-baseline", "known.json")
    first = (bad.root / "known.json").read_text()
    bad.ok("audit", "--baseline", "known.json", "--write-baseline", "known.json")
    assert (bad.root / "known.json").read_text() == first
    bad.write("CREATE INDEX reviews_user ON reviews (user_id)")
    answer = bad.ok("audit", "--baseline", "known.json", "--format", "json")
    assert answer.json["outdated"] == ["foreign-key-without-index reviews (user_id) -> users, id"]
    assert "--write-baseline known.json" in answer.err


def test_a_baseline_that_is_not_there_or_is_not_one_is_refused(bad: Shell) -> None:
    missing = bad("audit", "--baseline", "no.json")
    assert missing.code == 2
    assert "try: d1ops audit --write-baseline no.json" in missing.err
    (bad.root / "no.json").write_text("[]")
    assert bad("audit", "--baseline", "no.json").code == 2
    assert bad("audit", "--write-baseline", "no/where.json").code == 2
