"""The runbook as a page, in a real Chromium: whole, loading nothing, readable on a phone and without scripts."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from d1ops.cli.reports.runbook_page import runbook_page
from tests.support.browser import chromium
from tests.support.project import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser

    from tests.cli.shell import Shell

RUNBOOK = (REPOSITORY / "docs" / "MIGRATION_ROLLBACK.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as found:
        yield found


@pytest.fixture(scope="module")
def page_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("runbook") / "runbook.html"
    file.write_text(runbook_page(RUNBOOK, "for a test"), encoding="utf-8")
    return file


@pytest.mark.parametrize("scripts", [True, False])
def test_it_holds_the_whole_runbook_and_loads_nothing(browser: Browser, page_file: Path, scripts: bool) -> None:
    context = browser.new_context(java_script_enabled=scripts)
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(page_file.as_uri())

    for heading in re.findall(r"(?m)^#{1,3} (.+)$", RUNBOOK):
        expect(page.get_by_role("heading", name=heading, exact=True).first).to_be_visible()
    assert page.locator("td", has_text="clerk_integration").count() > 0
    assert (said, asked) == ([], [page_file.as_uri()])
    assert "flowchart TD" not in page.content()
    context.close()


def test_every_link_of_the_page_leads_somewhere(page_file: Path) -> None:
    text = page_file.read_text(encoding="utf-8")
    anchors = set(re.findall(r'id="([^"]+)"', text))

    assert set(re.findall(r'href="#([^"]+)"', text)) <= anchors


def test_the_matrix_sorts_and_a_phone_needs_no_sideways_scroll(browser: Browser, page_file: Path) -> None:
    page = browser.new_page(viewport={"width": 360, "height": 740})
    page.goto(page_file.as_uri())
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    matrix = page.locator("table.sortable").first
    before = matrix.locator("tbody tr").first.inner_text()
    heading = matrix.get_by_role("button", name="Verdict")
    heading.focus()
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    assert matrix.locator("tbody tr").first.inner_text() != before
    page.close()


def test_html_in_a_note_is_shown_and_not_run() -> None:
    text = runbook_page("# T\n\n## A\n\n<script>alert(1)</script> <img src=x onerror=alert(2)>\n", "")

    assert "<script>alert" not in text
    assert "<img" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_the_command_writes_the_page(sample: Shell) -> None:
    assert "written" in sample.ok("docs", "--html", "runbook.html").out
    assert "Reversibility matrix" in (sample.root / "runbook.html").read_text()
    assert sample("docs", "--html", "no/such/runbook.html").code == 2
