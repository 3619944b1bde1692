"""All commands, as one typer application."""

from __future__ import annotations

from typing import Annotated

import typer

import d1ops
from d1ops.cli import output
from d1ops.cli.commands import (
    audit,
    author,
    backup,
    baseline,
    change,
    check,
    emulate,
    look,
    prove,
    read,
    rehearse,
    restore,
    sample,
)
from d1ops.errors import ExitCode

COMMANDS = (
    look.status,
    look.plan,
    change.migrate,
    change.rollback,
    rehearse.rehearse,
    baseline.baseline,
    restore.restore,
    read.query,
    read.history,
    audit.audit,
    prove.check,
    check.doctor,
    author.new,
    author.rollback_script,
    check.docs,
    emulate.emulate,
    sample.sample,
    sample.tour,
)
"""In the order in which the help lists them."""

BACKUP_COMMANDS = (backup.create, backup.list_, backup.verify, backup.prune)
"""The verbs behind `backup`."""

EPILOG = """\b
Examples:
  d1ops tour
  d1ops status --env staging
  d1ops rollback 0007 --env dev"""


def _version(wanted: bool) -> None:
    if wanted:
        output.write(f"d1ops {d1ops.__version__}")
        raise typer.Exit


def main(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Change Cloudflare D1 databases without losing anything."""
    del version
    if context.invoked_subcommand is None:
        output.write(context.get_help())
        raise typer.Exit(ExitCode.USAGE)


def build() -> typer.Typer:
    """Return the application."""
    app = typer.Typer(
        name="d1ops",
        epilog=EPILOG,
        context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
    )
    app.callback(invoke_without_command=True)(main)
    for command in COMMANDS:
        command.add_to(app)
    backups = typer.Typer(help="Take, list, check and remove backups.", rich_markup_mode=None)
    for command in BACKUP_COMMANDS:
        command.add_to(backups)
    app.add_typer(backups, name="backup")
    return app
