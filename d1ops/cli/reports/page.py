"""A page that stands alone: one file, nothing loaded, styles and scripts allowed by their hashes and nothing else.

`shell` is for every page of d1ops; the templates are files of the package, escaped by Jinja unless they are `Markup`.
"""

from __future__ import annotations

import base64
import hashlib
import re
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

import d1ops
from d1ops.cli.text import printable

if TYPE_CHECKING:
    from collections.abc import Sequence

_PACKAGE = "d1ops.cli.reports"


def shell(
    title: str,
    body: Markup,
    *,
    subtitle: str = "",
    sections: Sequence[tuple[str, str]] = (),
    made_at: str = "",
    styles: Sequence[str] = (),
    scripts: Sequence[str] = (),
) -> str:
    """Return a whole HTML document around `body`, which is HTML already.

    `sections` are the ids and labels of the navigation. `styles` and `scripts` name templates that are added to those
    of every page (themes, sortable tables `table.sortable`, blocks that can be copied `pre.copy`, print, phones). The
    page needs no JavaScript to be read.
    """
    style = "".join(_text(name) for name in ("page.css", *styles))
    script = "".join(_text(name) for name in ("page.js", *scripts))
    policy = (
        f"default-src 'none'; style-src {_hash(style)}; script-src {_hash(script)}; img-src data:; base-uri 'none';"
        " form-action 'none'"
    )
    page = render(
        "page.html",
        title=title,
        subtitle=subtitle,
        sections=sections,
        body=body,
        policy=policy,
        style=Markup(style),  # noqa: S704 - a file of the package
        script=Markup(script),  # noqa: S704 - a file of the package
        footer=f"Made by d1ops {d1ops.__version__}{f' at {made_at}' if made_at else ''}.",
    )
    return str(page)


def render(template: str, **values: Any) -> Markup:
    """Fill a template of the package. Every value is escaped but `Markup`."""
    return Markup(_environment().get_template(template).render(values))  # noqa: S704 - the template escapes


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(_PACKAGE, "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=_visible,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["breakable"] = _breakable
    return environment


def _visible(value: object) -> object:
    """Make control characters visible: HTML has no way to carry most of them."""
    return printable(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _breakable(text: str) -> Markup:
    """Let a long name break where it has a joint."""
    return Markup(re.sub(r"[/_.]", lambda found: f"{found[0]}<wbr>", str(escape(printable(text)))))  # noqa: S704 - escaped


@cache
def _text(name: str) -> str:
    return (files(_PACKAGE) / "templates" / name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
