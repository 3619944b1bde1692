"""From a command line to an exit code. Nothing that a user can cause ends in a traceback."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from d1ops.cli import signals
from d1ops.cli.app import build
from d1ops.cli.call import Call, Format
from d1ops.cli.failure import guarded, requested_json, show
from d1ops.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence


def run(argv: Sequence[str]) -> int:
    """Run one command line (without the program's name) and return its exit code."""
    words = list(argv)
    call = Call(format=Format.JSON if requested_json(words) else Format.TEXT)
    with signals.handled():
        return guarded(call, lambda: _parse_and_run(call, words))


def _parse_and_run(call: Call, words: list[str]) -> ExitCode:
    parser = typer.main.get_command(build())
    try:
        code: Any = parser.main(args=words, prog_name="d1ops", standalone_mode=False)
    except typer.TyperException as problem:
        path = getattr(getattr(problem, "ctx", None), "command_path", "d1ops")
        is_early = path == "d1ops" and words[0].startswith("-")
        hint = "put the options behind the command: d1ops status --env NAME" if is_early else f"{path} --help"
        return ExitCode(show(call, UsageError(problem.format_message(), hint=hint)))
    return ExitCode(code or ExitCode.DONE)
