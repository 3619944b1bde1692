"""Export and import: tasks that are started, polled by their bookmark, and block the database while they run.

The work itself is done at the start; the first `active_polls` answers say that it goes on, as a client must be able to
wait. A task that nobody asks for is given up, as the service does.
"""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from d1ops.core.sql import split
from d1ops.emulator.dump_text import dump
from d1ops.emulator.statements import meta_json
from d1ops.emulator.wire import Fields, Reply, invalid, success
from d1ops.errors import D1opsError, ScriptError, StatementRejected

if TYPE_CHECKING:
    from datetime import datetime
    from pathlib import Path

    from d1ops.core.values import Bookmark
    from d1ops.emulator.registry import Hosted
    from d1ops.emulator.settings import Settings
    from d1ops.emulator.state import State
    from d1ops.emulator.wire import Request

NOTHING = {"export": "Not currently exporting anything.", "import": "Not currently importing anything."}


@dataclass
class Task:
    """An export or import. `polls_left` None never ends (a fault)."""

    kind: str
    bookmark: Bookmark
    end: dict[str, Any]
    polls_left: int | None
    asked_at: datetime

    def is_running(self, settings: Settings) -> bool:
        """Return whether it still blocks the database."""
        if self.polls_left == 0:
            return False
        return (settings.now() - self.asked_at).total_seconds() < settings.task_seconds


def export(state: State, hosted: Hosted, request: Request, *, stuck: bool) -> Reply:
    """Start an export, or tell how the one at a bookmark stands."""
    body = Fields(request.json())
    at = body.text("current_bookmark")
    if at is None:
        body.choice("output_format", ("polling",), required=True)
    options = body.object("dump_options")
    no_schema, no_data = options.flag("no_schema"), options.flag("no_data")
    tables, form = options.texts("tables"), options.choice("compatibility", ("d1", "sqlite3_cli_only"))
    body.check()
    with hosted.held():
        if at is not None:
            return _poll(state, hosted, "export", at)
        state.refuse_while_busy(hosted)
        try:
            script = dump(
                hosted.database,
                schema=not no_schema,
                data=not no_data,
                tables=tables,
                any_module=form == "sqlite3_cli_only",
            )
        except D1opsError as error:
            return _start(state, hosted, "export", _failed(error.message), stuck=stuck)
        bookmark = hosted.travel.present()
        # Two exports of one state may have different options.
        name = f"{hosted.record.name}-{bookmark}-{secrets.token_hex(4)}.sql"
        (hosted.files / name).write_text(script, encoding="utf-8", newline="\n")
        url = state.storage.url(request, "GET", hosted.record.uuid, name)
        done = {"status": "complete", "result": {"filename": name, "signed_url": url}}
        return _start(state, hosted, "export", done, stuck=stuck)


def import_(state: State, hosted: Hosted, request: Request) -> Reply:
    """Take the next step of an import."""
    body = Fields(request.json())
    action = body.choice("action", ("init", "ingest", "poll"), required=True)
    etag = body.text("etag", required=action in ("init", "ingest"))
    body.text("filename", required=action == "ingest")
    at = body.text("current_bookmark", required=action == "poll")
    body.check()
    with hosted.held():
        if action == "poll":
            return _poll(state, hosted, "import", at or "")
        if etag is None or len(etag) != 32 or not set(etag) <= set("0123456789abcdef"):
            raise invalid([("etag", "Invalid md5")])
        state.refuse_while_busy(hosted)
        name = f"{hosted.record.uuid}-{etag}.sql"
        data = _stored(hosted.files / name, etag)
        if data is not None:
            return _ingest(state, hosted, data)
        if action == "ingest":
            problem = "No file with the given etag was uploaded."
            return success({"success": False, "error": problem, "messages": []})
        url = state.storage.url(request, "PUT", hosted.record.uuid, name)
        return success({"success": True, "filename": name, "upload_url": url})


def _stored(file: Path, etag: str) -> bytes | None:
    """Return a file that was uploaded; one that is not what its name says is forgotten."""
    data = file.read_bytes() if file.is_file() else None
    if data is not None and hashlib.md5(data, usedforsecurity=False).hexdigest() != etag:
        file.unlink()
        return None
    return data


def _ingest(state: State, hosted: Hosted, data: bytes) -> Reply:
    hosted.travel.before_write()
    try:
        script = data.decode()
        if not state.settings.atomic_import:
            for statement in split(script)[:-1]:
                hosted.database.ingest(f"{statement.sql};")
            script = split(script)[-1].sql + ";"
        result = hosted.database.ingest(script)
    except UnicodeDecodeError:
        return _start(state, hosted, "import", _failed("The file is not UTF-8."))
    except (StatementRejected, ScriptError) as error:
        text = error.text if isinstance(error, StatementRejected) else "incomplete input: SQLITE_ERROR"
        return _start(state, hosted, "import", _failed(text))
    except D1opsError as error:  # No answer came: nobody knows what was done.
        hosted.travel.after_write()
        return _start(state, hosted, "import", _failed(error.message))
    hosted.travel.after_write()
    bookmark = hosted.travel.present()
    counted = {"num_queries": _count(script), "final_bookmark": bookmark, "meta": meta_json(result.meta)}
    return _start(state, hosted, "import", {"status": "complete", "result": counted})


def _count(script: str) -> int:
    try:
        return len(split(f"{script}\n;"))
    except ScriptError:  # The engine took what the splitter does not, such as a comment without an end.
        return script.count(";")


def _failed(text: str) -> dict[str, Any]:
    return {"status": "error", "success": False, "error": text}


def _start(state: State, hosted: Hosted, kind: str, end: dict[str, Any], *, stuck: bool = False) -> Reply:
    bookmark = hosted.travel.present()
    polls = None if stuck else state.settings.active_polls
    hosted.task = Task(kind, bookmark, end, polls, state.settings.now())
    return _poll(state, hosted, kind, bookmark)


def _poll(state: State, hosted: Hosted, kind: str, at: str) -> Reply:
    task = hosted.task
    if task is None or (task.kind, task.bookmark) != (kind, at):
        return success({"success": False, "error": NOTHING[kind], "messages": []})
    common = {"success": True, "type": kind, "at_bookmark": task.bookmark, "messages": []}
    if task.polls_left == 0:
        hosted.task = None
        return success({**common, **task.end})
    if not task.is_running(state.settings):
        hosted.task = None
        return success({**common, **_failed("Cancelled due to no poll() received")})
    task.polls_left = None if task.polls_left is None else task.polls_left - 1
    task.asked_at = state.settings.now()
    return success({**common, "status": "active", "messages": ["Processing"]}, status=202)
