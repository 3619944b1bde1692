"""`backup create|list|verify|prune`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from d1ops.cli.call import Call
from d1ops.cli.consent import Agreement, Confirm, Yes, obtain
from d1ops.cli.declare import command
from d1ops.errors import BackupRefused, ExitCode, NotFound, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from d1ops.ops.backup import Damaged, Manifest


@command("create", "d1ops backup create", "d1ops backup create --env production")
def create(
    call: Call,
    over_budget: Annotated[
        bool, typer.Option("--over-budget", help="Agree to read more than backup.max_bytes.")
    ] = False,
    fresh: Annotated[
        bool, typer.Option("--fresh", help="Throw away what an interrupted run left, instead of going on with it.")
    ] = False,
) -> ExitCode:
    """Copy the target's schema and rows into a file, and check the copy.

    The target stays in use. Every row that is read is billed, where rows read are billed; a large table is read
    twice, to prove that the copy shows one moment. A table that never rests is left out and named, and the command then
    ends with 1.
    """
    from d1ops.cli.documents import backup_document
    from d1ops.cli.text import count, facts, shown_path, size
    from d1ops.ops import backup as use_case
    from d1ops.ops.look import look

    with call.open(catalog=False) as workspace:
        seen = look(workspace)
        call.introduce(workspace, seen)
        made, _ = use_case.create(workspace, seen, allow_unsettled=True, over_budget=over_budget, fresh=fresh)
        manifest = made.manifest
        call.note(backup=backup_document(manifest, made.folder), requests=workspace.database.requests)
        dangling = sum(each.rows or 0 for each in manifest.violations)
        call.answer(
            facts(
                [
                    ("backup", f"{made.id} ({shown_path(made.folder)}/manifest.json)"),
                    (
                        "holds",
                        f"{holds(manifest)}, {size(manifest.data_bytes)} ({size(manifest.stored_bytes)} packed)",
                    ),
                    *([("encrypted", f"to {count(len(manifest.recipients), 'key')}")] if manifest.is_encrypted else []),
                    *([("copied", workspace.bucket.name)] if workspace.bucket else []),
                    *([("dangling", f"{dangling:,} rows without a parent, as in the target")] if dangling else []),
                    *([("never rested", ", ".join(manifest.unsettled))] if manifest.unsettled else []),
                    ("bookmark", manifest.bookmark),
                    ("restore", call.command("restore", made.id)),
                ]
            )
        )
    return ExitCode.NO if manifest.unsettled else ExitCode.DONE


@command("list", "d1ops backup list", "d1ops backup list --env production --format json")
def list_(call: Call) -> ExitCode:
    """List the backups of an env, the newest last. Reaches no database."""
    from dataclasses import asdict

    from d1ops.cli.documents import backup_document
    from d1ops.cli.text import size, table
    from d1ops.ops import backup as use_case

    with call.open(catalog=False) as workspace:
        found, damaged = use_case.look_through(workspace)
        folder = use_case.backups_folder(workspace)
        call.note(
            folder=str(folder),
            backups=[backup_document(each, folder / each.id) for each in found],
            damaged=[asdict(each) for each in damaged],
        )
        _warn_of(damaged, "not listed")
        rows = [
            [
                each.id,
                each.created_at,
                each.database,
                each.counted.removesuffix(" tables"),
                f"{each.rows:,}",
                size(each.stored_bytes),
                each.bookmark,
            ]
            for each in found
        ]
        headers = ["backup", "created at", "database", "tables", "rows", "size", "bookmark"]
        whole = "whole " if damaged else ""
        lines = table(headers, rows, right=(3, 4, 5)) if rows else [f"there are no {whole}backups of {workspace.env}"]
        call.answer(lines)
    return ExitCode.DONE


@command(
    "verify",
    "d1ops backup verify 20261122T205100Z-1f2e3d",
    "d1ops backup verify --all",
    "d1ops backup verify 20261122T205100Z-1f2e3d --from-copy",
)
def verify(
    call: Call,
    backup: Annotated[
        str | None,
        typer.Argument(metavar="BACKUP", show_default=False, help="The backup's id, as `backup list` shows it."),
    ] = None,
    all_: Annotated[
        bool, typer.Option("--all", help="Every backup of the env; ends with 5 if one is damaged.")
    ] = False,
    from_copy: Annotated[bool, typer.Option("--from-copy", help="Check the copy in the bucket instead.")] = False,
) -> ExitCode:
    """Unpack a backup and check it against its manifest. Reaches no database."""
    from d1ops.cli import diagnostics
    from d1ops.cli.documents import backup_document
    from d1ops.ops import backup as use_case

    if (backup is None) != all_:
        raise UsageError("one backup is named, or --all", hint="d1ops backup verify --all")
    with call.open(catalog=False) as workspace:
        if backup is not None:
            found = use_case.verify(workspace, backup, from_copy=from_copy)
            call.note(backup=backup_document(found.manifest, found.folder), verified=True)
            call.answer([f"{found.id} is whole: {holds(found.manifest)}"])
            return ExitCode.DONE
        lines, documents, damaged = [], [], 0
        for backup_id in use_case.ids(workspace):
            try:
                found = use_case.verify(workspace, backup_id, from_copy=from_copy)
            except (BackupRefused, NotFound) as error:
                damaged += 1
                diagnostics.warn(str(error))
                documents.append({"id": backup_id, "verified": False, "problem": str(error)})
                continue
            found.forget()
            lines.append(f"{found.id} is whole: {holds(found.manifest)}")
            documents.append({"id": backup_id, "verified": True, "problem": None})
        call.note(backups=documents, verified=not damaged)
        call.answer([*lines, f"{len(lines)} whole, {damaged} damaged"])
    return ExitCode.REFUSED if damaged else ExitCode.DONE


@command(
    "prune",
    "d1ops backup prune --keep-last 10 --dry-run",
    "d1ops backup prune --keep-last 3 --keep-daily 7 --keep-weekly 4 --yes",
    "d1ops backup prune --leftovers",
)
def prune(
    call: Call,
    keep_last: Annotated[
        int | None,
        typer.Option("--keep-last", min=0, metavar="N", show_default=False, help="How many of the newest stay."),
    ] = None,
    keep_daily: Annotated[
        int | None,
        typer.Option("--keep-daily", min=0, metavar="N", show_default=False, help="Of so many days (UTC), the newest."),
    ] = None,
    keep_weekly: Annotated[
        int | None,
        typer.Option("--keep-weekly", min=0, metavar="N", show_default=False, help="Of so many weeks, the newest."),
    ] = None,
    include_referenced: Annotated[
        bool, typer.Option("--include-referenced", help="Remove those that the history points at too.")
    ] = False,
    leftovers: Annotated[
        bool, typer.Option("--leftovers", help="Remove what interrupted commands left, and no backup.")
    ] = False,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")] = False,
    yes: Yes = False,
    confirm: Confirm = None,
) -> ExitCode:
    """Remove old backups from this machine. Those that the target's history points at stay.

    A backup stays if one of the options keeps it; days and weeks without a backup do not count. What interrupted
    commands left is removed too. Copies in a bucket are not touched.
    """
    from dataclasses import asdict

    from d1ops.cli.text import count, size
    from d1ops.ops import backup as use_case

    says_what_stays = not (keep_last is None and keep_daily is None and keep_weekly is None)
    if leftovers and (says_what_stays or include_referenced):
        raise UsageError(
            "--leftovers removes no backup, and another option says which to remove", hint="give one of both"
        )
    if not leftovers and not says_what_stays:
        raise UsageError("nothing says what stays", hint="d1ops backup prune --keep-last 10 --dry-run")

    def run(*, dry_run: bool) -> use_case.Pruned:
        return use_case.prune(
            workspace,
            keep_last=keep_last or 0,
            keep_daily=keep_daily or 0,
            keep_weekly=keep_weekly or 0,
            include_referenced=include_referenced,
            leftovers_alone=leftovers,
            dry_run=dry_run,
        )

    with call.open(catalog=False) as workspace:
        found = run(dry_run=True)
        _warn_of(found.damaged, "neither counted nor removed")
        held = [f"{each} stays: the history points at it" for each in found.held]
        left = [f"{each} was left by an interrupted command" for each in found.leftovers]
        if (found.removed or found.leftovers) and not dry_run:
            call.preview([*found.removed, *left, *held])
            what = count(len(found.removed), "backup")
            what += f" and {count(len(left), 'leftover')}" if left else ""
            obtain(workspace, Agreement(yes, confirm), f"Remove {what} for good?")
            found = run(dry_run=False)
            held, left = [], []
        call.note(**asdict(found), dry_run=dry_run)
        verb = "would be removed" if dry_run else "removed"
        freed = f" ({size(found.removed_bytes)})" if found.removed else ""
        call.answer(
            [
                *(found.removed if dry_run else ()),
                *left,
                *held,
                f"{count(len(found.removed), 'backup')} {verb}{freed}, {len(found.kept)} kept",
            ]
        )
    return ExitCode.DONE


def _warn_of(damaged: Iterable[Damaged], fate: str) -> None:
    from d1ops.cli import diagnostics

    for each in damaged:
        diagnostics.warn(f"backup {each.id} is damaged and {fate}: {each.problem}")


def holds(manifest: Manifest) -> str:
    """Say in words how much a backup holds, and what not."""
    absent = manifest.absent
    more = f" and {len(absent) - 5} more" if len(absent) > 5 else ""
    without = f", without {', '.join(absent[:5])}{more}" if absent else ""
    return f"{manifest.counted}, {manifest.rows:,} rows{without}"
