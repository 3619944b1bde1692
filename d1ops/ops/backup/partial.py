"""A backup that is not done: its folder, and how the next run goes on with one that a crash left.

What was read before is no risk to what comes out: every row is compared with the target once more before a backup
counts. The figures kept here only tell which tables are worth keeping.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import apsw

from d1ops.errors import ConfigError, Unreachable
from d1ops.ops.backup import files
from d1ops.ops.backup.copy import Copy
from d1ops.ops.backup.lock import Busy, Lock
from d1ops.ops.backup.manifest import DATA

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from d1ops.core.reader import TableReader, Totals
    from d1ops.core.schema import Schema
    from d1ops.ops.workspace import Workspace

STATE = "started.json"
SUFFIX = ".partial"


@dataclass
class Partial:
    """A folder that becomes a backup by being renamed. Its lock is kept from the beginning to the end."""

    folder: Path
    lock: Lock
    copy: Copy

    @property
    def data(self) -> Path:
        """The SQLite file."""
        return self.folder / DATA

    def keep(self, workspace: Workspace, schema: Schema, scope: Sequence[str], totals: Mapping[str, Totals]) -> None:
        """Note what a later run needs to know to go on."""
        state = {
            **_identity(workspace, schema, scope),
            "totals": {name: [each.rows, list(each.columns), each.largest] for name, each in totals.items()},
        }
        path = self.folder / STATE
        path.unlink(missing_ok=True)
        files.write_private(path, json.dumps(state).encode())

    def reopen(self) -> Copy:
        """Open the copy again, to be written."""
        self.copy.close()
        self.copy = Copy(self.data)
        return self.copy

    def become(self, folder: Path) -> None:
        """Rename it to a backup that is done."""
        self.copy.close()
        self.lock.vanish()
        files.sync(self.folder)
        self.folder.rename(folder)
        files.sync(folder.parent)
        self.lock.close()

    def close(self) -> None:
        """Let go of the copy and of the lock."""
        self.copy.close()
        self.lock.close()

    def remove(self) -> None:
        """Remove all of it."""
        self.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def begin(folder: Path, backup_id: str) -> Partial:
    """Make a new one."""
    aside = folder / f".{backup_id}{SUFFIX}"
    aside.mkdir(mode=0o700)
    return Partial(aside, Lock(aside), Copy(aside / DATA))


def adopt(
    workspace: Workspace,
    folder: Path,
    schema: Schema,
    scope: Sequence[str],
    readers: Sequence[TableReader],
    totals: Mapping[str, Totals],
) -> Partial | None:
    """Return what an interrupted run of the same target and scope left, with the tables emptied whose figures are not
    what they were; None where there is nothing that fits, or somebody is at work on it."""
    wanted = _identity(workspace, schema, scope)
    for aside in sorted(leftovers(folder), reverse=True):
        state = _state(aside)
        if state is None or any(state.get(name) != value for name, value in wanted.items()):
            continue
        found = _open(aside)
        if found is None:
            continue
        known = state["totals"]
        for reader in readers:
            own = totals[reader.table]
            if known.get(reader.table) != [own.rows, list(own.columns), own.largest]:
                found.copy.clear(reader)
        return found
    return None


def discard(workspace: Workspace, folder: Path) -> None:
    """Remove what interrupted runs of this target left, unless somebody is at work on it."""
    for aside in leftovers(folder):
        state = _state(aside)
        if state is not None and state.get("database_id") == workspace.database.target.id:
            remove(aside)


def leftovers(folder: Path) -> list[Path]:
    """Return the folders of backups that are not done, whoever makes or made them."""
    return sorted(folder.glob(f".*{SUFFIX}")) if folder.is_dir() else []


def is_busy(aside: Path) -> bool:
    """Return whether somebody is at work on a backup that is not done."""
    try:
        Lock(aside).close()
    except Busy:
        return True
    except (ConfigError, Unreachable, apsw.Error):
        return False
    return False


def remove(aside: Path) -> bool:
    """Remove a backup that is not done, unless somebody is at work on it; return whether it is gone."""
    if is_busy(aside):
        return False
    shutil.rmtree(aside, ignore_errors=True)
    return True


def _open(aside: Path) -> Partial | None:
    """Open the copy of a folder; None where another program has it, or it is no SQLite file any more."""
    try:
        lock = Lock(aside)
    except (Busy, ConfigError, Unreachable, apsw.Error):
        return None
    try:
        return Partial(aside, lock, Copy(aside / DATA))
    except (ConfigError, Unreachable, apsw.Error):
        lock.close()
        return None


def _state(aside: Path) -> dict[str, Any] | None:
    try:
        found = json.loads((aside / STATE).read_bytes())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("totals"), dict) else None


def _identity(workspace: Workspace, schema: Schema, scope: Sequence[str]) -> dict[str, Any]:
    target = workspace.database.target
    objects = hashlib.sha256(repr(sorted(map(repr, schema.objects))).encode()).hexdigest()
    return {
        "kind": target.kind,
        "account": target.account,
        "database_id": target.id,
        "ledger": workspace.ledger,
        "objects": objects,
        "scope": sorted(scope),
    }
