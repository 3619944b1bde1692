"""The page of findings in a real Chromium: what it shows, sorts and filters, by mouse, keyboard and without scripts."""

from __future__ import annotations

import re
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from playwright.sync_api import expect

from d1ops.cli.reports.build import of_audit
from d1ops.cli.reports.html import html
from d1ops.cli.reports.model import State
from d1ops.core.audit.finding import Severity
from d1ops.core.audit.report import audit
from d1ops.core.audit.sift import Ignore, sift
from d1ops.core.mirror import schema_of
from d1ops.core.places import find_places
from d1ops.core.queries import parse_queries
from d1ops.core.replay import replay
from d1ops.database.base import Target
from d1ops.ops.workspace import read_catalog
from tests.cli.reports.sample import HOSTILE_FINDINGS
from tests.support.browser import chromium
from tests.support.project import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from playwright.sync_api import Browser, Page

    from d1ops.cli.reports.model import Findings

QUERIES = b"""
-- name: artists by bio
SELECT id FROM artists WHERE bio LIKE '%' || ?1 || '%' ORDER BY created_at;
-- name: count of messages
SELECT count(*) FROM messages;
-- name: nonsense
SELECT nope FROM users;
-- name: gigs by lower city
SELECT id FROM gigs WHERE lower(city) = ?1;
"""
DARK_PANEL, LIGHT_PANEL = "rgb(28, 32, 36)", "rgb(255, 255, 255)"


def sample() -> Findings:
    """The sample database without its last migration, and queries that it does not serve."""
    migrations = read_catalog(REPOSITORY, "db/migrations", "db/rollbacks").migrations
    report = audit(
        schema_of(replay(migrations[:-1])), (), parse_queries(QUERIES, "db/queries/bad.sql"), "d1_migrations"
    )
    ignores = (Ignore("full-scan", "few rows", query="count of messages"),)
    return of_audit(
        report,
        sift(report.findings, ignores),
        find_places(migrations),
        env="staging",
        target=Target("sqlite", "umbrella", "id", None),
        fails_from=Severity.WARNING,
        has_baseline=False,
        made_at="2026-11-22T12:00:00Z",
        folder="",
        source="config/staging.toml",
    )


@pytest.fixture(scope="module")
def findings() -> Findings:
    return sample()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with chromium() as opened:
        yield opened


@pytest.fixture(scope="module")
def address(findings: Findings, tmp_path_factory: pytest.TempPathFactory) -> str:
    return put(html(findings), tmp_path_factory.mktemp("page"))


def put(text: str, folder: Path) -> str:
    file = folder / "report.html"
    file.write_text(text, encoding="utf-8")
    return file.as_uri()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The page on a desk, in light colours; it asks for nothing and complains of nothing."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    opened = context.new_page()
    opened.set_default_timeout(5_000)
    said: list[str] = []
    asked: list[str] = []
    opened.on("console", lambda message: said.append(message.text))
    opened.on("pageerror", lambda error: said.append(str(error)))
    opened.on("request", lambda request: asked.append(request.url))
    opened.goto(address)
    yield opened
    context.close()
    assert said == []
    assert set(asked) <= {address}


def shown(page: Page) -> list[str]:
    """The findings that can be seen, in their order: rule and what they are about."""
    rows = page.locator("#findings-table tbody tr:visible")
    return [f"{row.locator('td').nth(1).inner_text()}: {row.locator('td').nth(2).inner_text()}" for row in rows.all()]


def natural(text: str) -> list[tuple[int, str]]:
    """The order of people: digits as numbers, case aside, punctuation before letters."""
    return [(int(part or -1), "") if part.isdigit() else (-1, part) for part in re.findall(r"\d+|\D", text.lower())]


def expected(findings: Findings) -> list[str]:
    return [f"{item.rule}: {item.about}" for item in findings.of(State.NEW)]


# -- what is there ---------------------------------------------------------------------------------------


def test_it_shows_all_findings_and_the_figures(page: Page, findings: Findings) -> None:
    assert shown(page) == expected(findings)
    assert len(shown(page)) >= 5
    assert page.title() == "Index audit of umbrella"
    assert page.locator(".tile", has_text="foreign keys indexed").locator("dd").inner_text() == "28 of 29"
    assert page.locator("#quiet").inner_text().count("few rows") == 1
    first = page.locator("#findings-table tbody tr").first
    assert "idx_reviews_reviewer_user_id" in first.locator("pre.copy").inner_text()
    assert "db/migrations/0004_files_reviews.sql:" in first.inner_text()


def test_the_key_without_an_index_is_red_in_the_diagram_and_says_so(page: Page) -> None:
    (path,) = page.locator(".diagram path.link.bad").all()
    assert path.get_attribute("data-child") == "reviews"
    red, grey = (
        page.locator(selector).first.evaluate("element => getComputedStyle(element).stroke")
        for selector in (".diagram path.link.bad", ".diagram path.link:not(.bad)")
    )
    assert red == "rgb(179, 38, 30)"
    assert red != grey
    assert page.locator(".diagram text.key.bad").text_content() == "reviewer_user_id (no index)"
    assert page.locator(".diagram g.table").count() == 30
    row = page.locator("#keys-table tbody tr").first
    assert re.split(r"\s*\t\s*", row.inner_text())[-1] == "no index"


def test_every_section_of_the_navigation_is_there_and_headings_go_down_by_one(page: Page) -> None:
    for link in page.locator("nav a").all():
        assert page.locator(link.get_attribute("href") or "").count() == 1
    levels = [int(tag[1]) for tag in page.locator("h1, h2, h3, h4").evaluate_all("all => all.map(h => h.tagName)")]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert page.locator("section:not([aria-labelledby])").count() == 0


# -- sorting ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("heading", "column"), [("Rule", 1), ("About", 2), ("Place", 3)])
def test_a_heading_sorts_and_sorts_back(page: Page, heading: str, column: int) -> None:
    button = page.locator("#findings-table th").get_by_role("button", name=heading, exact=True)
    cells = page.locator(f"#findings-table tbody td:nth-child({column + 1})")
    button.click()
    rising = cells.all_inner_texts()
    assert page.locator("#findings-table th[aria-sort]").evaluate_all("all => all.map(h => h.ariaSort)") == [
        "ascending"
    ]
    button.click()
    falling = cells.all_inner_texts()
    assert page.locator("#findings-table th[aria-sort=descending]").inner_text() == heading
    assert rising == sorted(rising, key=natural)
    assert falling == sorted(falling, key=natural, reverse=True)
    assert len(set(rising)) > 1


def test_severity_sorts_by_weight_and_equal_rows_keep_their_order(page: Page, findings: Findings) -> None:
    button = page.locator("#findings-table th").get_by_role("button", name="Severity")
    page.locator("#findings-table th").get_by_role("button", name="Finding").click()
    button.click()
    assert shown(page) == expected(findings), "the weightiest first, as it came"
    button.click()
    assert page.locator("#findings-table tbody td:first-child").all_inner_texts()[0] == "info"


def test_lines_sort_as_numbers(browser: Browser, tmp_path: Path) -> None:
    from tests.cli.reports.sample import FINDINGS

    page = browser.new_page()
    page.goto(put(html(FINDINGS), tmp_path))
    page.locator("#findings-table th").get_by_role("button", name="Place").click()
    places = page.locator("#findings-table tbody td:nth-child(4)").all_inner_texts()
    assert places[-2:] == ["db/queries/q.sql:1", "db/queries/q.sql:10"]
    page.close()


# -- filtering -------------------------------------------------------------------------------------------


def test_text_filters_by_every_word(page: Page, findings: Findings) -> None:
    page.fill("#filter-text", "SCAN gigs")
    assert shown(page) == ["full-scan: gigs by lower city"]
    assert page.locator("#shown").inner_text() == f"1 of {len(expected(findings))} shown"
    page.fill("#filter-text", "no such thing at all")
    assert shown(page) == []
    assert page.locator("#nothing").is_visible()
    page.get_by_role("button", name="Show all").click()
    assert shown(page) == expected(findings)
    assert page.locator("#nothing").is_hidden()


def test_rule_table_and_severity_filter_together(page: Page, findings: Findings) -> None:
    page.select_option("#filter-rule", "full-scan")
    assert {line.partition(":")[0] for line in shown(page)} == {"full-scan"}
    page.select_option("#filter-table", "artists")
    assert shown(page) == ["full-scan: artists by bio"]
    page.get_by_label("warning").uncheck()
    assert shown(page) == []
    page.select_option("#filter-rule", "")
    page.select_option("#filter-table", "")
    light = [f"{item.rule}: {item.about}" for item in findings.of(State.NEW) if item.severity is not Severity.WARNING]
    assert shown(page) == light


def test_a_filter_holds_while_the_order_changes(page: Page) -> None:
    page.select_option("#filter-rule", "full-scan")
    before = shown(page)
    page.locator("#findings-table th").get_by_role("button", name="About").click()
    assert sorted(shown(page)) == sorted(before)


# -- the keyboard ----------------------------------------------------------------------------------------


def focused(page: Page) -> str:
    return str(page.evaluate("(document.activeElement.id || document.activeElement.textContent).trim()"))


def test_the_first_stop_skips_to_the_content(page: Page) -> None:
    page.keyboard.press("Tab")
    assert focused(page) == "Skip to the content"
    assert page.locator(".skip").bounding_box()["x"] >= 0  # type: ignore[index]  # it is on the page
    page.keyboard.press("Enter")
    assert focused(page) == "main"


def test_slash_goes_to_the_filter_and_escape_shows_all(page: Page, findings: Findings) -> None:
    page.keyboard.press("/")
    assert focused(page) == "filter-text"
    page.keyboard.type("a/b")
    assert page.locator("#filter-text").input_value() == "a/b", "a slash that is typed is a slash"
    assert shown(page) == []
    page.keyboard.press("Escape")
    assert shown(page) == expected(findings)


def test_tab_reaches_every_control_in_the_order_of_the_page_with_a_visible_focus(page: Page) -> None:
    tops: list[float] = []
    for _ in range(400):
        page.keyboard.press("Tab")
        where = page.evaluate(
            """() => {
                const one = document.activeElement;
                if (one === document.body) return null;
                const style = getComputedStyle(one);
                return {outline: style.outlineStyle, width: parseFloat(style.outlineWidth),
                        top: one.getBoundingClientRect().top + scrollY};
            }"""
        )
        if where is None:
            break
        assert where["outline"] != "none"
        assert where["width"] >= 2
        tops.append(where["top"])
    controls = page.locator("a:visible, button:visible, input:visible, select:visible, summary:visible").count()
    assert len(tops) == controls + 1, "the diagram can be reached too"
    assert all(later > earlier - 60 for earlier, later in pairwise(tops[1:])), "never back up"


@pytest.mark.parametrize("key", ["Enter", "Space"])
def test_enter_and_space_sort_and_open_a_plan(page: Page, key: str) -> None:
    page.locator("#findings-table th").get_by_role("button", name="Rule").focus()
    page.keyboard.press(key)
    assert page.locator("#findings-table th[aria-sort=ascending]").inner_text() == "Rule"
    plan = page.locator("details.plan").first
    assert plan.locator("pre").first.is_hidden()
    plan.locator("summary").focus()
    page.keyboard.press(key)
    assert plan.locator("pre").first.is_visible()


def test_all_plans_open_and_close(page: Page) -> None:
    button = page.locator("#plans")
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    assert page.locator("details.plan:not([open])").count() == 0
    button.click()
    assert page.locator("details.plan[open]").count() == 0


def test_the_diagram_scrolls_and_zooms_by_keys_and_buttons(page: Page) -> None:
    width = "document.querySelector('svg.diagram').getBoundingClientRect().width"
    canvas = page.locator("#canvas")
    canvas.focus()
    before = page.evaluate(width)
    for _ in range(4):
        page.keyboard.press("+")
    larger = page.evaluate(width)
    assert larger > before * 2
    canvas.evaluate(
        """canvas => {
            canvas.scrollLeft = 0;
            canvas.addEventListener('scroll', () => { if (canvas.scrollLeft > 0) canvas.dataset.moved = 'yes'; });
        }"""
    )
    page.keyboard.press("ArrowRight")
    page.locator("#canvas[data-moved=yes]").wait_for()
    page.keyboard.press("-")
    assert page.evaluate(width) < larger
    page.get_by_role("button", name="Fit").click()
    assert page.evaluate(width) <= canvas.evaluate("element => element.clientWidth") + 1
    page.get_by_role("button", name="Full size").click()
    full = page.evaluate("document.querySelector('svg.diagram').viewBox.baseVal.width")
    assert page.evaluate(width) == pytest.approx(full, abs=1)


def test_the_diagram_moves_with_the_mouse_and_lights_up_neighbours(page: Page) -> None:
    canvas = page.locator("#canvas")
    canvas.scroll_into_view_if_needed()
    for _ in range(6):
        page.get_by_role("button", name="larger").click()
    box = canvas.bounding_box()
    assert box is not None
    before = canvas.evaluate("element => element.scrollLeft")
    page.mouse.move(box["x"] + 400, box["y"] + 200)
    page.mouse.down()
    page.mouse.move(box["x"] + 300, box["y"] + 150, steps=4)
    page.mouse.up()
    assert canvas.evaluate("element => element.scrollLeft") == pytest.approx(before + 100, abs=2)
    page.get_by_role("button", name="Fit").click()
    page.locator(".diagram g.table[data-table=reviews] rect").hover()
    lit = page.locator(".diagram g.table.on").evaluate_all("all => all.map(one => one.dataset.table)")
    assert set(lit) == {"reviews", "artists", "gigs", "users"}


# -- light, dark, phone, paper, no scripts ---------------------------------------------------------------


def panel(page: Page) -> str:
    return str(page.locator(".top").evaluate("element => getComputedStyle(element).backgroundColor"))


def test_colours_follow_the_system_and_the_button(page: Page) -> None:
    assert panel(page) == LIGHT_PANEL
    page.emulate_media(color_scheme="dark")
    button = page.locator("#theme")
    expect(button).to_have_text("Light")
    assert panel(page) == DARK_PANEL
    button.click()
    expect(button).to_have_text("Dark")
    assert panel(page) == LIGHT_PANEL


def test_the_choice_of_colours_is_remembered(page: Page) -> None:
    page.locator("#theme").click()

    def is_dark_again() -> bool:
        page.reload()
        return panel(page) == DARK_PANEL

    # Chromium keeps what a page remembers in another process, and a reload may overtake it on the way there.
    assert any(is_dark_again() for _ in range(20))


CONTRAST = """
(selector) => {
    const rgb = (text) => text.match(/[\\d.]+/g).map(Number);
    const light = (c) => c.slice(0, 3).map((v) => v / 255)
        .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
    const ground = (one) => {
        for (; one; one = one.parentElement) {
            const c = rgb(getComputedStyle(one).backgroundColor);
            if (c.length < 4 || c[3] === 1) return c;
        }
        return [255, 255, 255];
    };
    const says = (one) => Array.from(one.childNodes).some((n) => n.nodeType === 3 && n.data.trim());
    return Array.from(document.querySelectorAll(selector))
        .filter((one) => one.checkVisibility() && says(one))
        .map((one) => {
            const a = light(rgb(getComputedStyle(one).color)), b = light(ground(one));
            const ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
            return [one.className + "|" + one.textContent.trim().slice(0, 40), ratio];
        });
}
"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_has_the_contrast_of_wcag_aa(page: Page, scheme: str) -> None:
    page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")
    page.locator("#plans").click()
    ratios = page.evaluate(CONTRAST, "body :not(script, style, option, svg, svg *)")
    assert len(ratios) > 100
    assert [pair for pair in ratios if pair[1] < 4.5] == []


@pytest.mark.parametrize("width", [320, 390, 768])
def test_it_fits_a_narrow_screen(browser: Browser, address: str, width: int, findings: Findings) -> None:
    context = browser.new_context(viewport={"width": width, "height": 844}, has_touch=True)
    page = context.new_page()
    page.goto(address)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    assert shown(page) == expected(findings)
    page.locator("#findings-table th").get_by_role("button", name="About").click()
    assert page.locator("#findings-table th[aria-sort=ascending]").inner_text() == "About"
    page.fill("#filter-text", "nonsense")
    assert len(shown(page)) == 1
    context.close()


def test_on_paper_every_plan_is_there_and_no_control(page: Page) -> None:
    page.emulate_media(media="print", color_scheme="dark")
    assert page.locator(".controls:visible, nav:visible, .skip:visible").count() == 0
    assert page.locator("th").first.is_visible()
    assert page.locator("details.plan pre").first.is_visible()
    assert panel(page) == LIGHT_PANEL


def test_without_scripts_all_is_there_to_read(browser: Browser, address: str, findings: Findings) -> None:
    context = browser.new_context(java_script_enabled=False, viewport={"width": 390, "height": 844})
    page = context.new_page()
    page.goto(address)
    assert page.locator("#filters").is_hidden()
    assert page.locator("#theme").is_hidden()
    assert shown(page) == expected(findings)
    page.locator("details.plan summary").first.click()
    assert page.locator("details.plan pre").first.is_visible()
    assert page.locator("svg.diagram").bounding_box() is not None
    context.close()


def test_hostile_names_are_shown_and_run_nothing(browser: Browser, tmp_path: Path) -> None:
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(put(html(HOSTILE_FINDINGS), tmp_path))
    page.wait_for_selector("#shown")
    assert page.title().startswith("Audit </script><img src=x onerror=")
    assert page.locator("img").count() == 0
    assert page.evaluate("window.pwned ?? document.title") != "pwned"
    page.select_option("#filter-table", index=1)
    assert len(shown(page)) == 1
    assert said == []
    page.close()


def test_a_script_that_got_through_would_not_run(browser: Browser, tmp_path: Path, findings: Findings) -> None:
    through = html(findings).replace("</main>", "<script>document.title = 'pwned'</script></main>")
    assert "<script>document.title = 'pwned'</script>" in through
    page = browser.new_page()
    said: list[str] = []
    page.on("console", lambda message: said.append(message.text))
    page.goto(put(through, tmp_path))
    assert page.title() != "pwned"
    assert "Content Security Policy" in said[0]
    page.close()
