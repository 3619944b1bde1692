"""`backup create|list|verify|prune`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from d1ops.cli.call import Call
from d1ops.cli.consent import Agreement, Confirm, Yes, obtain
from d1ops.cli.declare import command
from d1ops.errors import ExitCode

if TYPE_CHECKING:
    from d1ops.ops.backup import Manifest

BackupId = Annotated[
    str,
    typer.Argument(metavar="BACKUP", show_default=False, help="The backup's id, as `backup list` shows it."),
]


@command("create", "d1ops backup create", "d1ops backup create --env production")
def create(call: Call) -> ExitCode:
    """Copy the target's schema and rows into a file, and check the copy.

    Every row that is read is billed, where rows read are billed.
    """
    from d1ops.cli.documents import backup_document
    from d1ops.cli.text import facts, shown_path, size
    from d1ops.ops import backup as use_case
    from d1ops.ops.look import look

    with call.open(catalog=False) as workspace:
        seen = look(workspace)
        call.introduce(workspace, seen)
        made, _ = use_case.create(workspace, seen)
        manifest = made.manifest
        call.note(backup=backup_document(manifest, made.folder), requests=workspace.database.requests)
        call.answer(
            facts(
                [
                    ("backup", f"{made.id} ({shown_path(made.folder)}/manifest.json)"),
                    (
                        "holds",
                        f"{holds(manifest)}, {size(manifest.data_bytes)}",
                    ),
                    ("bookmark", manifest.bookmark),
                    ("restore", call.command("restore", made.id)),
                ]
            )
        )
    return ExitCode.DONE


@command("list", "d1ops backup list", "d1ops backup list --env production --format json")
def list_(call: Call) -> ExitCode:
    """List the backups of an env, the newest last. Reaches no database."""
    from d1ops.cli.documents import backup_document
    from d1ops.cli.text import size, table
    from d1ops.ops import backup as use_case

    with call.open(catalog=False) as workspace:
        found = use_case.listed(workspace)
        folder = use_case.backups_folder(workspace)
        call.note(folder=str(folder), backups=[backup_document(each, folder / each.id) for each in found])
        rows = [
            [
                each.id,
                each.created_at,
                each.database,
                str(len(each.tables)),
                f"{each.rows:,}",
                size(each.data_bytes),
                each.bookmark,
            ]
            for each in found
        ]
        headers = ["backup", "created at", "database", "tables", "rows", "size", "bookmark"]
        lines = table(headers, rows, right=(3, 4, 5)) if rows else [f"there are no backups of {workspace.env}"]
        call.answer(lines)
    return ExitCode.DONE


@command("verify", "d1ops backup verify 20261122T205100Z-1f2e3d")
def verify(call: Call, backup: BackupId) -> ExitCode:
    """Check a backup on disk against its manifest. Reaches no database."""
    from d1ops.cli.documents import backup_document
    from d1ops.ops import backup as use_case

    with call.open(catalog=False) as workspace:
        found = use_case.verify(workspace, backup)
        manifest = found.manifest
        call.note(backup=backup_document(manifest, found.folder), verified=True)
        call.answer([f"{found.id} is whole: {holds(manifest)}"])
    return ExitCode.DONE


@command("prune", "d1ops backup prune --keep-last 10 --dry-run", "d1ops backup prune --keep-last 10 --yes")
def prune(
    call: Call,
    keep_last: Annotated[
        int, typer.Option("--keep-last", min=0, show_default=False, help="How many of the newest stay.")
    ],
    include_referenced: Annotated[
        bool, typer.Option("--include-referenced", help="Remove those that the history points at too.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    yes: Yes = False,
    confirm: Confirm = None,
) -> ExitCode:
    """Remove old backups from this machine. Those that the target's history points at stay."""
    from dataclasses import asdict

    from d1ops.cli.text import count, size
    from d1ops.ops import backup as use_case

    def run(*, dry_run: bool) -> use_case.Pruned:
        return use_case.prune(workspace, keep_last=keep_last, include_referenced=include_referenced, dry_run=dry_run)

    with call.open(catalog=False) as workspace:
        found = run(dry_run=True)
        held = [f"{each} stays: the history points at it" for each in found.held]
        if found.removed and not dry_run:
            call.preview([*found.removed, *held])
            obtain(workspace, Agreement(yes, confirm), f"Remove {count(len(found.removed), 'backup')} for good?")
            found = run(dry_run=False)
            held = []
        call.note(**asdict(found), dry_run=dry_run)
        verb = "would be removed" if dry_run else "removed"
        freed = f" ({size(found.removed_bytes)})" if found.removed else ""
        call.answer(
            [
                *(found.removed if dry_run else ()),
                *held,
                f"{count(len(found.removed), 'backup')} {verb}{freed}, {len(found.kept)} kept",
            ]
        )
    return ExitCode.DONE


def holds(manifest: Manifest) -> str:
    """Say in words how much a backup holds."""
    return f"{len(manifest.tables)} tables, {manifest.rows:,} rows"
