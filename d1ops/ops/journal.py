"""The journal beside the backups: every event of every change, one JSON object a line, append-only, 0600.

A rewind takes the tail of the history on the target with it; the journal keeps it.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from d1ops.core.ledger import Event
    from d1ops.ops.workspace import Workspace

_FILE = "journal.jsonl"


def append(workspace: Workspace, event: Event, **facts: Any) -> None:
    """Add an event with the target it belongs to, and write it through to the disk."""
    target = workspace.database.target
    line: Mapping[str, Any] = {
        "env": workspace.env,
        "database": target.name,
        "database_id": target.id,
        **{key: value for key, value in asdict(event).items() if key != "id"},
        **facts,
    }
    path = workspace.state_folder("backups", workspace.env) / _FILE
    flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    with os.fdopen(os.open(path, flags, 0o600), "a") as file:
        file.write(json.dumps(line) + "\n")
        file.flush()
        os.fsync(file.fileno())
