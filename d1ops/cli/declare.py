"""How a command is declared: a function that takes a `Call` first, then its own options. `@command(name, *examples)`
makes a `Command` of it, to which the options that every command has are added.
"""

from __future__ import annotations

import inspect
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from d1ops.cli import complete
from d1ops.cli.call import Call, Format
from d1ops.cli.failure import guarded

if TYPE_CHECKING:
    from collections.abc import Callable
    from enum import StrEnum

    from d1ops.errors import ExitCode

Env = Annotated[
    str,
    typer.Option(
        "--env",
        "-e",
        metavar="NAME",
        help="The environment: config/NAME.toml, or env.NAME of wrangler's file.",
        autocompletion=complete.envs,
    ),
]
Project = Annotated[
    Path | None,
    typer.Option(
        "--project",
        metavar="DIR",
        exists=True,
        file_okay=False,
        show_default=False,
        help="The folder of config/ or of wrangler's file. Default: this one, or the nearest above.",
    ),
]
DatabaseName = Annotated[
    str | None,
    typer.Option(
        "--database",
        metavar="BINDING",
        show_default=False,
        help="Which database of wrangler's file, by binding or name.",
    ),
]


def _common(name: str, default: object, annotation: object) -> inspect.Parameter:
    return inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation)


_COMMON = (_common("env", "dev", Env), _common("project", None, Project), _common("database", None, DatabaseName))


@dataclass(frozen=True, slots=True)
class Command:
    """A command that can be added to an application. `examples` are command lines; `formats` what its answer can be
    written as, `text` and `json` among them."""

    name: str
    function: Callable[..., ExitCode]
    examples: tuple[str, ...]
    formats: type[StrEnum] = Format

    def add_to(self, app: typer.Typer) -> None:
        """Declare the command: its own options first, then those of every command; examples at the end of its help."""
        function = self.function
        hints = get_type_hints(function, include_extras=True)
        own = [
            parameter.replace(annotation=hints[parameter.name], kind=inspect.Parameter.KEYWORD_ONLY)
            for parameter in list(inspect.signature(function).parameters.values())[1:]
        ]

        def entry(**given: Any) -> int:
            call = Call(given.pop("env"), given.pop("format"), given.pop("project"), given.pop("database"))
            return guarded(call, lambda: function(call, **given))

        form: object = Annotated[self.formats, typer.Option("--format", help="What standard output carries.")]
        first, *others = _COMMON
        parameters = [*own, first, _common("format", self.formats("text"), form), *others]
        entry.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]  # what typer reads
        entry.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
        shown = "\n".join(f"  {example}" for example in self.examples)
        app.command(self.name, help=inspect.getdoc(function), epilog=f"\b\nExamples:\n{shown}")(entry)


def command(name: str, *examples: str, formats: type[StrEnum] = Format) -> Callable[[Callable[..., ExitCode]], Command]:
    """Make a command of a function that takes a `Call` first. Its docstring is the help."""
    return lambda function: Command(name, function, examples, formats)
