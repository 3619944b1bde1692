"""`restore`: rewind to a point in time, load a backup into a target or a file, go on with a load that was cut off."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from d1ops.cli.call import Call
from d1ops.cli.commands.backup import holds
from d1ops.cli.consent import Agreement, Confirm, Yes, obtain, require_right_name
from d1ops.cli.declare import command
from d1ops.errors import ExitCode, UsageError

if TYPE_CHECKING:
    from d1ops.ops.load import Loaded, PreparedLoad
    from d1ops.ops.look import Look
    from d1ops.ops.restore import PreparedRestore
    from d1ops.ops.workspace import Workspace


@command(
    "restore",
    "d1ops restore 20261122T205100Z-1f2e3d",
    "d1ops restore 2026-11-22T20:50:00Z --env production --confirm production",
    "d1ops restore 20261122T205100Z-1f2e3d --into copy.sqlite",
    "d1ops restore 20261122T205100Z-1f2e3d --load --from production --env staging",
    "d1ops restore --resume --env staging",
)
def restore(
    call: Call,
    to: Annotated[
        str | None,
        typer.Argument(
            metavar="TO", show_default=False, help="A backup's id, a bookmark, or a time with an offset or Z."
        ),
    ] = None,
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
    load: Annotated[
        bool,
        typer.Option("--load", help="Write the backup's rows into the target, in the place of what is there."),
    ] = False,
    from_env: Annotated[
        str | None,
        typer.Option("--from", metavar="ENV", show_default=False, help="With --load: the env whose backup it is."),
    ] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Finish a restore that was cut off.")] = False,
    yes: Yes = False,
    confirm: Confirm = None,
) -> ExitCode:
    """Rewind the whole database to a point in time.

    The point is a backup's moment, a bookmark or a time; the present is backed up first, and the command that takes
    the rewind back is printed. With --load the rows come out of the backup instead, which works for an empty database,
    for another env, and when no bookmark reaches that far back.
    """
    agreement = Agreement(yes, confirm)
    with call.open(catalog=False) as workspace:
        if resume:
            return _resume(call, workspace, to, agreement)
        if not to:
            raise UsageError("there is nothing to restore to", hint="d1ops backup list")
        if from_env is not None and not (load or into):
            raise UsageError(
                "a rewind goes to a moment of this database; another env's backup can only be loaded",
                hint=f"d1ops restore {to} --load --from {from_env}",
            )
        if into is not None:
            return _load_file(call, workspace, to, into, from_env)
        call.note(refused=None, restored=None)
        require_right_name(workspace, agreement)
        if load:
            return _load(call, workspace, to, from_env, agreement)
        return _rewind(call, workspace, to, agreement)


def _load_file(call: Call, workspace: Workspace, backup_id: str, into: Path, from_env: str | None) -> ExitCode:
    from d1ops.cli.documents import backup_document
    from d1ops.ops import load as use_case
    from d1ops.ops import restore

    source = use_case.source_of(workspace, from_env or workspace.env)
    loaded = restore.load(source, backup_id, into)
    call.note(backup=backup_document(loaded.manifest, loaded.folder), into=str(into))
    call.answer([f"{into} holds backup {loaded.id}: {holds(loaded.manifest)}"])
    return ExitCode.DONE


def _load(call: Call, workspace: Workspace, backup_id: str, from_env: str | None, agreement: Agreement) -> ExitCode:
    from d1ops.cli import change
    from d1ops.cli.documents import backup_document, loss_document
    from d1ops.ops import load as use_case
    from d1ops.ops.look import look

    seen = look(workspace)
    call.introduce(workspace, seen)
    source = use_case.source_of(workspace, from_env or workspace.env)
    prepared = use_case.prepare(workspace, source, backup_id, seen=seen)
    before = prepared.before
    call.note(
        to={
            "backup": prepared.backup.id,
            "env": prepared.source_env,
            "created_at": prepared.backup.manifest.created_at,
        },
        backup=backup_document(before.manifest, before.folder) if before else None,
        blast_radius=[loss_document(loss, None) for loss in prepared.losses],
    )
    call.preview(_prepared_lines(prepared))
    name = workspace.database.target.name
    consent = obtain(workspace, agreement, f"Put backup {prepared.backup.id} in the place of all that {name} holds?")
    change.prove_atomic(workspace, agreement)
    if call.watched is not None and not seen.everything.objects:
        call.watched.create()
    return _loaded(call, workspace, use_case.load(workspace, prepared, consent))


def _resume(call: Call, workspace: Workspace, to: str | None, agreement: Agreement) -> ExitCode:
    from d1ops.ops import load as use_case
    from d1ops.ops.load_mark import under_way
    from d1ops.ops.look import look

    call.note(refused=None, restored=None)
    require_right_name(workspace, agreement)
    seen = look(workspace)
    call.introduce(workspace, seen)
    mark = under_way(workspace, seen)
    if mark is None and to is not None:
        raise UsageError("no load is under way, and what a rewind left takes no point", hint="d1ops restore --resume")
    if mark is None:
        return _resume_rewind(call, workspace, seen, agreement)
    if to is not None and to != mark.backup:
        raise UsageError(
            f"the restore under way loads backup {mark.backup}, not {to}",
            hint=f"d1ops restore {mark.bookmark} undoes it",
        )
    call.note(to={"backup": mark.backup, "env": mark.source_env})
    call.preview([f"go on loading backup {mark.backup} of {mark.source_env}, begun {mark.started_at} by {mark.actor}"])
    obtain(workspace, agreement, f"Go on with the restore of {workspace.database.target.name}?")
    return _loaded(call, workspace, use_case.resume(workspace, use_case.source_of(workspace, mark.source_env), mark))


def _resume_rewind(call: Call, workspace: Workspace, seen: Look, agreement: Agreement) -> ExitCode:
    """Write back the history that a rewind which was cut off took along."""
    from d1ops.cli.documents import event_document
    from d1ops.ops import restore as use_case

    call.note(resumed=None)
    if use_case.unfinished(workspace, seen.history) is None:
        call.answer(["nothing to do: no restore was cut off"])
        return ExitCode.DONE
    obtain(workspace, agreement, f"Write the history of {workspace.database.target.name} back?")
    event = use_case.resume(workspace, seen)
    call.note(resumed=None if event is None else event_document(event))
    call.answer(["the history is whole again: what the rewind took from it is written back, marked as rewound"])
    return ExitCode.DONE


def _loaded(call: Call, workspace: Workspace, done: Loaded) -> ExitCode:
    from d1ops.cli.documents import event_document
    from d1ops.cli.text import facts
    from d1ops.cli.words import undo_facts

    undo = call.command("restore", done.undo)
    call.note(
        restored={
            "event": event_document(done.event),
            "undo_bookmark": done.undo,
            "backup_id": done.before,
            "rows": done.rows,
        },
        undo=undo,
        requests=workspace.database.requests,
    )
    call.answer(
        [
            "",
            f"loaded backup {done.backup.id}: {holds(done.backup.manifest)}, read again and equal",
            *facts(
                [
                    *([("backup", f"{done.before} holds the rows from before")] if done.before else []),
                    *undo_facts(undo),
                    ("look", call.command("status")),
                ]
            ),
        ]
    )
    return ExitCode.DONE


def _prepared_lines(prepared: PreparedLoad) -> list[str]:
    from d1ops.cli.words import loss_lines

    manifest = prepared.backup.manifest
    lines = [f"load backup {manifest.id} of {prepared.source_env}, taken {manifest.created_at}: {holds(manifest)}"]
    if prepared.before is None:
        return [*lines, "the target is empty"]
    if prepared.losses:
        return [*lines, "", "rows and values of now that are lost:", *loss_lines(prepared.losses, None)]
    return [*lines, "no row and no value of now is lost"]


def _rewind(call: Call, workspace: Workspace, to: str, agreement: Agreement) -> ExitCode:
    from d1ops.cli.documents import backup_document, event_document, loss_document
    from d1ops.cli.text import facts, shown_path
    from d1ops.cli.words import undo_facts
    from d1ops.ops import restore as use_case
    from d1ops.ops.look import look

    seen = look(workspace)
    call.introduce(workspace, seen)
    prepared = use_case.prepare(workspace, to, seen=seen)
    call.note(
        to={"bookmark": prepared.to, "described": prepared.described, "copied_at": prepared.copied_at},
        backup=backup_document(prepared.backup.manifest, prepared.backup.folder),
        blast_radius=None if prepared.losses is None else [loss_document(loss, None) for loss in prepared.losses],
        unknown=list(prepared.unknown),
        undone=[event_document(event) for event in prepared.undone],
    )
    call.preview(_restore_lines(to, prepared))
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


def _restore_lines(to: str, prepared: PreparedRestore) -> list[str]:
    from d1ops.cli.words import loss_lines

    lines = [f"rewind to {prepared.described}"]
    if prepared.copied_at is not None:
        lines.append(
            f"this target keeps copies: the newest one at or before {to} is of {prepared.copied_at}, and what was"
            " written between the two does not come back"
        )
    if prepared.losses is None:
        lines.append("warning: there is no backup of that moment, so nobody can say which rows written since are lost")
    elif prepared.losses:
        lines += ["", "rows and values of now that are lost:", *loss_lines(prepared.losses, None)]
    else:
        lines.append("no row and no value of now is lost")
    if prepared.unknown:
        listed = ", ".join(prepared.unknown)
        lines += [
            "",
            f"warning: the backup of that moment does not hold {listed}: nobody can say what of these is lost",
        ]
    if prepared.undone:
        lines += ["", "what happened since and is taken back:"]
        lines += [f"  {event.at} {event.kind} {event.migration or ''}".rstrip() for event in prepared.undone]
    return lines
