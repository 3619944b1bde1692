"""The reference of the command line, written from the commands and the exit codes themselves.

python -m d1ops.cli.reference      # writes docs/commands.md and docs/exit-codes.md
"""

from __future__ import annotations

import ast
import inspect
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

import d1ops.errors
from d1ops.cli.app import build
from d1ops.errors import D1opsError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMON = ("--env", "--format", "--project", "--database")
"""The options that every command has; they are described once."""

NOTE = "<!-- Written by `python -m d1ops.cli.reference`; do not edit. -->"


def commands_page() -> str:
    """Return `docs/commands.md`."""
    found = list(_commands(typer.main.get_command(build()), "d1ops"))
    _, first = found[0]
    common = [parameter for parameter in first.params if _name(parameter) in COMMON]
    shared = {_name(parameter): _choices(parameter) for parameter in common}
    lines = [
        "# Commands",
        "",
        NOTE,
        "",
        "`d1ops COMMAND -h` says the same. Standard output carries the answer, as text or as one JSON document"
        " ([fields](json.md)); narration, questions and errors go to standard error. What a command ends with is in"
        " [exit codes](exit-codes.md).",
        "",
        *(f"* [`{path}`](#{_anchor(path)}): {_summary(command)}" for path, command in found),
        "",
        "## Every command has",
        "",
        *_parameters(common),
        "`-h`, `--help` show the help and end; `d1ops --version` prints the version; `d1ops --install-completion`"
        " installs shell completion of commands, options, env names and migration numbers.",
    ]
    for path, command in found:
        own = [parameter for parameter in command.params if shared.get(_name(parameter)) != _choices(parameter)]
        examples = str(command.epilog).partition("Examples:\n")[2]
        lines += ["", f"## {path}", "", inspect.cleandoc(command.help or ""), "", *_parameters(own)]
        lines += [f"    {line.strip()}" for line in examples.splitlines()]
    return "\n".join(lines) + "\n"


def _commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    for name, inner in command.commands.items():
        if hasattr(inner, "commands"):
            yield from _commands(inner, f"{path} {name}")
        else:
            yield f"{path} {name}", inner


def _anchor(path: str) -> str:
    return path.replace(" ", "-")


def _summary(command: Any) -> str:
    return inspect.cleandoc(command.help or "").splitlines()[0]


def _name(parameter: Any) -> str:
    return str(parameter.opts[0])


def _parameters(parameters: list[Any]) -> list[str]:
    """Return a table of arguments and options."""
    if not parameters:
        return []
    rows = ["| | | default |", "|---|---|---|"]
    for parameter in parameters:
        is_option = _name(parameter).startswith("-")
        is_flag = isinstance(parameter.default, bool)
        name = ", ".join(f"`{option}`" for option in parameter.opts) if is_option else f"`{parameter.metavar}`"
        value = f" `{parameter.metavar or _choices(parameter)}`" if is_option and not is_flag else ""
        default = (
            ""
            if parameter.default is None or is_flag
            else f"`{getattr(parameter.default, 'value', parameter.default)}`"
        )
        rows.append(f"| {name}{value} | {parameter.help} | {'required' if parameter.required else default} |")
    return [*rows, ""]


def _choices(parameter: Any) -> str:
    default = parameter.default
    return " or ".join(member.value for member in type(default)) if hasattr(default, "value") else "NUMBER"


def exit_codes_page() -> str:
    """Return `docs/exit-codes.md`."""
    meanings = dict(_meanings())
    lines = ["# Exit codes", "", NOTE, "", "The numbers are a contract.", "", "| code | meaning |", "|---|---|"]
    lines += [f"| {int(code)} | {meanings[code.name]} |" for code in ExitCode]
    lines += [
        "",
        "Without consent, where nobody can answer, the answer is no: exit code 5. With `--format json` an error is a"
        " document on standard output too, under `error`, with its class as `type` ([fields](json.md#errors)).",
        "",
        "Where standard output cannot be written, as on a full disk, the command goes on to its end, says so, and ends"
        " with 2 instead of 0, or with 6 where it changed the target. A reader that goes away (`| head`) changes no"
        " exit code.",
        "",
        "| `error.type` | code | when |",
        "|---|---|---|",
    ]
    kinds: list[type[D1opsError]] = [*error_classes()]
    lines += [
        f"| `{kind.__name__}` | {int(kind.exit_code)} | {inspect.cleandoc(kind.__doc__ or '').split('.')[0]}. |"
        for kind in kinds
    ]
    lines += [
        "",
        "Anything else is a bug of d1ops: exit code 6, with type, message and place. `D1OPS_TRACEBACK=1` prints the"
        " whole traceback, of any error.",
    ]
    return "\n".join(lines) + "\n"


def _meanings() -> Iterator[tuple[str, str]]:
    """Yield the names of the exit codes with the text that stands below each in the source."""
    tree = ast.parse(inspect.getsource(d1ops.errors))
    (body,) = [node.body for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "ExitCode"]
    for member, text in pairwise(body):
        if isinstance(member, ast.Assign) and isinstance(text, ast.Expr) and isinstance(text.value, ast.Constant):
            yield ast.unparse(member.targets[0]), " ".join(str(text.value.value).split())


def error_classes(kind: type[D1opsError] = D1opsError) -> Iterator[type[D1opsError]]:
    """Yield the error classes of `d1ops.errors` below `kind`, in the order of their definition."""
    for inner in kind.__subclasses__():
        if inner.__module__ == "d1ops.errors":
            yield inner
        yield from error_classes(inner)


def main() -> None:
    """Write both pages into the repository's `docs/`."""
    docs = Path(d1ops.errors.__file__).parents[1] / "docs"
    (docs / "commands.md").write_text(commands_page())
    (docs / "exit-codes.md").write_text(exit_codes_page())


if __name__ == "__main__":
    main()
