"""`backup create|list|verify|prune` and `restore`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from d1ops.cli.call import Call
from d1ops.cli.consent import Agreement, Confirm, Yes, obtain, require_right_name
from d1ops.cli.declare import command
from d1ops.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from d1ops.ops.backup import Manifest
    from d1ops.ops.restore import PreparedRestore
    from d1ops.ops.workspace import Workspace

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
                        f"{_holds(manifest)}, {size(manifest.data_bytes)}",
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
        call.answer([f"{found.id} is whole: {_holds(manifest)}"])
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


@command(
    "restore",
    "d1ops restore 20261122T205100Z-1f2e3d",
    "d1ops restore 2026-11-22T20:50:00Z --env production --confirm production",
    "d1ops restore 20261122T205100Z-1f2e3d --into copy.sqlite",
)
def restore(
    call: Call,
    to: Annotated[
        str | None,
        typer.Argument(
            metavar="[TO]", show_default=False, help="A backup's id, a bookmark, or a time with an offset or Z."
        ),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Finish a restore that was cut off. Takes no TO.")] = False,
    into: Annotated[
        Path | None,
        typer.Option(
            "--into",
            metavar="FILE",
            dir_okay=False,
            show_default=False,
            help="Load the backup into this new SQLite file instead; the target is not touched.",
        ),
    ] = None,
    yes: Yes = False,
    confirm: Confirm = None,
) -> ExitCode:
    """Rewind the whole database to a point in time.

    The point is a backup's moment, a bookmark or a time; the present is backed up first, and the command that takes
    the rewind back is printed.
    """
    if (to is None) != resume:
        raise UsageError("restore takes a point to go to, or --resume", hint="d1ops backup list; d1ops restore --help")
    agreement = Agreement(yes, confirm)
    with call.open(catalog=False) as workspace:
        if to is None:
            return _resume(call, workspace, agreement)
        if into is not None:
            return _load(call, workspace, to, into)
        call.note(refused=None, restored=None)
        require_right_name(workspace, agreement)
        return _rewind(call, workspace, to, agreement)


def _resume(call: Call, workspace: Workspace, agreement: Agreement) -> ExitCode:
    from d1ops.cli.documents import event_document
    from d1ops.ops import restore as use_case
    from d1ops.ops.look import look

    call.note(resumed=None)
    require_right_name(workspace, agreement)
    seen = look(workspace)
    call.introduce(workspace, seen)
    if use_case.unfinished(workspace, seen.history) is None:
        call.answer(["nothing to do: no restore was cut off"])
        return ExitCode.DONE
    obtain(workspace, agreement, f"Write the history of {workspace.database.target.name} back?")
    event = use_case.resume(workspace, seen)
    call.note(resumed=None if event is None else event_document(event))
    call.answer(["the history is whole again: what the rewind took from it is written back, marked as rewound"])
    return ExitCode.DONE


def _load(call: Call, workspace: Workspace, backup_id: str, into: Path) -> ExitCode:
    from d1ops.cli.documents import backup_document
    from d1ops.ops import restore as use_case

    loaded = use_case.load(workspace, backup_id, into)
    call.note(backup=backup_document(loaded.manifest, loaded.folder), into=str(into))
    call.answer([f"{into} holds backup {loaded.id}: {_holds(loaded.manifest)}"])
    return ExitCode.DONE


def _holds(manifest: Manifest) -> str:
    return f"{len(manifest.tables)} tables, {manifest.rows:,} rows"


def _rewind(call: Call, workspace: Workspace, to: str, agreement: Agreement) -> ExitCode:
    from d1ops.cli.documents import backup_document, event_document, loss_document
    from d1ops.cli.text import facts, shown_path
    from d1ops.cli.words import undo_facts
    from d1ops.ops import restore as use_case
    from d1ops.ops.look import look

    if not to:
        raise UsageError("there is nothing to restore to", hint="d1ops backup list")
    seen = look(workspace)
    call.introduce(workspace, seen)
    prepared = use_case.prepare(workspace, to, seen=seen)
    call.note(
        to={"bookmark": prepared.to, "described": prepared.described},
        backup=backup_document(prepared.backup.manifest, prepared.backup.folder),
        blast_radius=None if prepared.losses is None else [loss_document(loss, None) for loss in prepared.losses],
        undone=[event_document(event) for event in prepared.undone],
    )
    call.preview(_restore_lines(prepared))
    consent = obtain(workspace, agreement, f"Rewind {workspace.database.target.name} to {prepared.described}?")
    done = use_case.restore(workspace, prepared, consent)
    undo = call.command("restore", done.undo)
    manifest = f"{shown_path(prepared.backup.folder)}/manifest.json"
    call.note(
        restored={
            "event": event_document(done.event),
            "undo_bookmark": done.undo,
            "backup_id": done.backup_id,
        },
        undo=undo,
        requests=workspace.database.requests,
    )
    call.answer(
        [
            "",
            f"rewound to {prepared.described}",
            *facts(
                [
                    (
                        "backup",
                        f"{done.backup_id} holds the rows from before ({manifest})",
                    ),
                    *undo_facts(undo),
                    ("look", call.command("status")),
                ]
            ),
        ]
    )
    return ExitCode.DONE


def _restore_lines(prepared: PreparedRestore) -> list[str]:
    from d1ops.cli.words import loss_lines

    lines = [f"rewind to {prepared.described}"]
    if prepared.losses is None:
        lines.append("warning: there is no backup of that moment, so nobody can say which rows written since are lost")
    elif prepared.losses:
        lines += ["", "rows and values of now that are lost:", *loss_lines(prepared.losses, None)]
    else:
        lines.append("no row and no value of now is lost")
    if prepared.undone:
        lines += ["", "what happened since and is taken back:"]
        lines += [f"  {event.at} {event.kind} {event.migration or ''}".rstrip() for event in prepared.undone]
    return lines
