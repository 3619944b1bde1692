"""The parts of the JSON documents. `docs/json.md` describes every field; names there are a contract."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from d1ops.cli.text import moment
from d1ops.core.ledger import ADVICE

if TYPE_CHECKING:
    from pathlib import Path

    from d1ops.cli.call import Call
    from d1ops.core.ledger import Event, MigrationStatus, Progress
    from d1ops.core.plan import Plan
    from d1ops.core.rehearsal import TableLoss
    from d1ops.core.values import Value
    from d1ops.ops.backup import Manifest
    from d1ops.ops.change import Applied, Prepared
    from d1ops.ops.condition import Condition
    from d1ops.ops.running import Running
    from d1ops.ops.workspace import Workspace

Document = dict[str, Any]


def target_document(workspace: Workspace, size_bytes: int | None) -> Document:
    """Which database the env points at."""
    target = workspace.database.target
    return {
        "kind": target.kind,
        "name": target.name,
        "id": target.id,
        "account": target.account,
        "size_bytes": size_bytes,
        "protected": workspace.protected,
    }


def migration_document(status: MigrationStatus) -> Document:
    """One migration and where it stands."""
    migration = status.migration
    digits = status.label if status.label.isdecimal() else None
    event = status.last_event
    return {
        "number": migration.number if migration else int(digits) if digits else None,
        "label": status.label,
        "name": migration.name if migration else status.file,
        "file": status.file,
        "state": status.state.value,
        "applied_at": moment(status.ledger.applied_at) if status.ledger else None,
        "advice": ADVICE.get(status.state),
        "has_rollback": bool(migration and migration.rollback),
        "last_event": {"kind": event.kind, "at": event.at, "backup": event.backup} if event else None,
    }


def progress_document(progress: Progress) -> Document:
    """How far a chunked migration is that is under way."""
    from d1ops.core.chunked import Key

    return {
        "file": progress.migration,
        "pieces_done": progress.pieces,
        "done_to": str(Key(progress.done_to)),
        "at": progress.at,
        "actor": progress.actor,
    }


def condition_document(call: Call, found: Condition) -> Document:
    """A state that asks for something, and the command that goes on."""
    return {
        "name": found.name,
        "fact": found.fact,
        "is_serious": found.is_serious,
        "command": call.command(*found.command) if found.command else None,
    }


def plan_document(plan: Plan) -> list[Document]:
    """The steps, in the order in which they would be sent."""
    return [
        {
            "kind": step.kind.value,
            "number": step.migration.number,
            "label": step.migration.label,
            "name": step.migration.name,
            "file": step.migration.file,
            "script": step.script.path,
            "checksum": step.script.checksum,
            "statements": len(step.script.statements),
        }
        for step in plan.steps
    ]


def loss_document(loss: TableLoss, collateral: frozenset[str] | None) -> Document:
    """What happens to one table. Without `collateral` nobody judges: the change is a rewind."""
    return {
        "table": loss.table,
        "rows_before": loss.rows_before,
        "rows_after": loss.rows_after,
        "rows_lost": loss.rows_lost,
        "columns": [asdict(column) for column in loss.columns],
        "exists_after": loss.exists_after,
        "renamed_to": loss.renamed_to,
        "is_unfit": loss.is_unfit,
        "verdict": None if collateral is None else verdict_of(loss, collateral),
        "causes": [{**asdict(cause), "path": list(cause.path)} for cause in loss.causes],
    }


def verdict_of(loss: TableLoss, collateral: frozenset[str]) -> str:
    """Return `collateral`, `expected`, or `kept` for a table that changes and loses nothing."""
    if not loss.losses:
        return "kept"
    return "collateral" if collateral.intersection(loss.losses) else "expected"


def backup_document(manifest: Manifest, folder: Path) -> Document:
    """A backup, without the figures of its tables."""
    return {
        "id": manifest.id,
        "env": manifest.env,
        "created_at": manifest.created_at,
        "database": manifest.database,
        "database_id": manifest.database_id,
        "bookmark": manifest.bookmark,
        "bookmark_after": manifest.bookmark_after,
        "method": manifest.method,
        "proof_of_rest": manifest.proof_of_rest,
        "scope": manifest.scope,
        "unsettled": list(manifest.unsettled),
        "left_out": list(manifest.left_out),
        "violations": [asdict(each) for each in manifest.violations],
        "tables": len(manifest.tables),
        "rows": manifest.rows,
        "rows_read": manifest.rows_read,
        "data_bytes": manifest.data_bytes,
        "stored_bytes": manifest.stored_bytes,
        "encrypted": manifest.is_encrypted,
        "manifest": str(folder / "manifest.json"),
    }


def prepared_document(prepared: Prepared) -> Document:
    """What was found out about a change before anything was sent."""
    backup = prepared.backup
    collateral = frozenset(prepared.collateral)
    return {
        "plan": plan_document(prepared.plan),
        "backup": backup_document(backup.manifest, backup.folder) if backup else None,
        "blast_radius": [loss_document(loss, collateral) for loss in prepared.losses],
        "expected": list(prepared.expected),
        "collateral": list(prepared.collateral),
        "dangling": [{"table": child, "parent": parent, "rows": number} for child, parent, number in prepared.dangling],
        "drift": list(prepared.drift),
        "wrong": list(prepared.wrong),
        "warnings": list(prepared.warnings),
        "data_proved": prepared.data_proved,
        "vanished": list(prepared.vanished),
        "queries": _running_document(prepared.running),
        "broken_queries": [{**asdict(each), "message": str(each)} for each in prepared.breakages],
        "estimate": asdict(prepared.estimate),
    }


def _running_document(running: Running | None) -> Document | None:
    if running is None:
        return None
    return {
        "files": running.files,
        "logged": running.logged,
        "days": running.days,
        "is_whole": running.is_whole,
        "problem": running.problem,
    }


def applied_document(applied: Applied, requests: int) -> Document:
    """What was done, and what it cost."""
    return {
        "events": [event_document(event) for event in applied.events],
        "bookmark": applied.bookmark,
        "backup_id": applied.backup_id,
        "rows_read": applied.rows_read,
        "rows_written": applied.rows_written,
        "requests": requests,
        "warnings": list(applied.warnings),
    }


def event_document(event: Event) -> Document:
    """A row of the history."""
    return asdict(event)


def value_document(value: Value) -> object:
    """A value of a row: a BLOB as `{"blob": hexadecimal}`, everything else as JSON has it."""
    return {"blob": value.hex()} if isinstance(value, bytes) else value


def error_document(error: Exception, exit_code: int, *, hint: str | None = None) -> Document:
    """An error: its class, its message, what to try, and the facts that it carries."""
    facts = {name: _plain(value) for name, value in vars(error).items() if name not in ("message", "hint")}
    return {
        "type": type(error).__name__,
        "message": str(error),
        "hint": hint,
        "exit_code": int(exit_code),
        **facts,
    }


def _plain(value: object) -> object:
    """A fact of an error in the values that JSON has."""
    from d1ops.errors import D1opsError

    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, D1opsError):
        return error_document(value, value.exit_code, hint=value.hint)
    if isinstance(value, tuple | list | frozenset):
        return [_plain(item) for item in value]
    return str(value)
