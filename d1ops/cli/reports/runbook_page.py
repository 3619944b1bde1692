"""The runbook as a page for people who would rather look: the same text, rendered."""

from __future__ import annotations

import itertools
import re
from typing import TYPE_CHECKING

from markdown_it import MarkdownIt
from markupsafe import Markup, escape

from d1ops.cli.reports.page import shell

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it.token import Token


def runbook_page(markdown: str, subtitle: str) -> str:
    """Return `docs/MIGRATION_ROLLBACK.md` as one HTML document that loads nothing.

    Tables can be sorted and commands copied; the flowchart stands in words, as the text has it too. Raw HTML in a
    hand-written note is shown, not run.
    """
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    tokens = [token for token in parser.parse(_without_comments(markdown)) if token.info != "mermaid"]
    title, sections = _headings(tokens)
    for token in tokens:
        if token.type == "table_open":
            token.attrSet("class", "sortable")
    body = str(parser.renderer.render(tokens, parser.options, {}))
    body = body.replace("<pre><code", '<pre class="copy"><code').replace("<table", '<div class="scroll"><table')
    body = body.replace("</table>", "</table></div>")
    return shell(title, Markup(body), subtitle=subtitle, sections=sections, styles=("runbook.css",))  # noqa: S704 - rendered with raw HTML off


def _without_comments(markdown: str) -> str:
    """The text without what only the Markdown file has use for."""
    return re.sub(r"(?ms)^<!--.*?-->\n", "", markdown).replace("The same in words:\n\n", "")


def _headings(tokens: Sequence[Token]) -> tuple[str, list[tuple[str, str]]]:
    """Give every heading the anchor that GitHub gives it; return the title and the sections."""
    title, sections = "", []
    for heading, inline in itertools.pairwise(tokens):
        if heading.type != "heading_open":
            continue
        text = inline.content.replace("`", "")
        anchor = re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
        if heading.tag == "h1":
            # The page shows its title itself.
            title = text
            heading.hidden = inline.hidden = True
            inline.children = []
            continue
        heading.attrSet("id", anchor)
        if heading.tag == "h2":
            sections.append((anchor, str(escape(text))))
    return title, sections
