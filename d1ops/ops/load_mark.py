"""The mark that a load leaves on its target while it lasts: what is being loaded, and how far it came."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from d1ops.core.ledger import Event
from d1ops.core.restoring import MARK

if TYPE_CHECKING:
    from d1ops.core.values import Bookmark
    from d1ops.ops.look import Look
    from d1ops.ops.workspace import Workspace

MARK_DDL = (
    f"CREATE TABLE {MARK} (source_env TEXT NOT NULL, backup TEXT NOT NULL, before_backup TEXT, bookmark TEXT NOT NULL,"
    " schema_before TEXT NOT NULL, started_at TEXT NOT NULL, actor TEXT NOT NULL, tool TEXT NOT NULL,"
    " nonce TEXT NOT NULL, part_bytes INTEGER NOT NULL, done INTEGER NOT NULL, tail TEXT NOT NULL)"
)
MARK_COLUMNS = (
    "source_env, backup, before_backup, bookmark, schema_before, started_at, actor, tool, nonce, part_bytes, done"
)


@dataclass(frozen=True, slots=True)
class UnderWay:
    """A load that is not finished, as the mark on the target has it.

    `done` counts the requests that are written; below zero what was there is still being removed. `bookmark` is the
    moment before it began, `before_backup` the backup of that moment, or None where the target was empty. `tail` is
    what the history held then that the backup does not.
    """

    source_env: str
    backup: str
    before_backup: str | None
    bookmark: Bookmark
    schema_before: str
    started_at: str
    actor: str
    tool: str
    nonce: str
    part_bytes: int
    done: int
    tail: tuple[Event, ...] = ()


def under_way(workspace: Workspace, seen: Look) -> UnderWay | None:
    """Return the load that a look shows as unfinished, or None. Sends a request only where there is one."""
    if not seen.everything.has_table(MARK):
        return None
    rows = workspace.database.query(f"SELECT {MARK_COLUMNS}, tail FROM {MARK}").rows
    if not rows:
        return None
    *cells, tail = rows[0]
    found = UnderWay(*cells)  # type: ignore[arg-type]  # the columns of the mark, in the order of the fields
    return replace(found, tail=tuple(Event(**event) for event in json.loads(str(tail))))
