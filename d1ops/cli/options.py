"""Options that several commands share."""

from __future__ import annotations

from typing import Annotated

import typer

from d1ops.cli import complete
from d1ops.errors import UsageError

To = Annotated[
    str | None,
    typer.Option(
        "--to",
        metavar="NUMBER",
        show_default=False,
        help="The last migration to run.",
        autocompletion=complete.migrations,
    ),
]
Only = Annotated[
    str | None,
    typer.Option(
        "--only",
        metavar="NUMBER",
        show_default=False,
        help="Run this one alone, also one out of order or rolled back.",
        autocompletion=complete.migrations,
    ),
]


def refuse_both(to: str | None, only: str | None) -> None:
    """Raise UsageError when two options contradict each other."""
    if to is not None and only is not None:
        raise UsageError("--to and --only exclude each other", hint="leave one of them out")
