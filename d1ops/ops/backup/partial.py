"""A backup that is not done: its folder, and how the next run goes on with one that a crash left.

What was read before is no risk to what comes out: every row is compared with the target once more before a backup
counts. The figures kept here only tell which tables are worth keeping.

Several programs look after one folder of backups, and no name in it is ever given twice. A folder is `.<id>.new` until
its maker has its lock, which lies inside of it; then `.<id>.partial`, which others find. Whoever makes it, goes on with
it or removes it has the lock until the folder has another name: `<id>` where the backup is done, `.<id>.removed` where
it goes, and nobody takes either for a backup that is not done. So who has the lock, and sees that the folder is still
where it was (`Lock`), is alone with it, and a lock that was waited for while the folder was renamed opens nothing.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import apsw

from d1ops.errors import ConfigError, Unreachable
from d1ops.ops.backup import files
from d1ops.ops.backup import lock as locks
from d1ops.ops.backup.copy import Copy
from d1ops.ops.backup.lock import Busy, Lock
from d1ops.ops.backup.manifest import DATA

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from d1ops.core.reader import TableReader, Totals
    from d1ops.core.schema import Schema
    from d1ops.ops.backup.background import Background
    from d1ops.ops.workspace import Workspace

STATE = "started.json"
SUFFIX = ".partial"
_NEW = ".new"
_REMOVED = ".removed"


@dataclass
class Partial:
    """A folder that becomes a backup by being renamed. Its lock is kept from the beginning to the end."""

    folder: Path
    lock: Lock
    copy: Copy
    at_work: Background[Any] | None = None
    """The thread that uses the copy, while there is one."""

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
        new = self.folder / f"{STATE}{_NEW}"
        new.unlink(missing_ok=True)
        files.write_private(new, json.dumps(state).encode())
        new.replace(self.folder / STATE)

    def reopen(self) -> Copy:
        """Open the copy again, to be written."""
        self.copy.close()
        self.copy = Copy(self.data)
        return self.copy

    def become(self, folder: Path, unpacked: Path) -> None:
        """Rename it to a backup that is done, and its SQLite file to `unpacked`: nobody may be able to decrypt what is
        done. A run that is cut off before is gone on with."""
        self.copy.close()
        files.sync(self.folder)
        self.data.rename(unpacked)
        self.folder.rename(folder)
        for left in (STATE, locks.NAME):
            (folder / left).unlink(missing_ok=True)
        for changed in (folder, folder.parent):
            files.sync(changed)
        self.lock.close()

    def close(self) -> None:
        """Let go of the copy and of the lock. Where a thread that nobody waits for any more is at work on the copy,
        both go with the process."""
        if self.at_work is None or self.at_work.has_ended:
            self.copy.close()
            self.lock.close()

    def remove(self) -> None:
        """Remove all of it."""
        _remove(self.folder)
        self.close()


def begin(folder: Path, backup_id: str, schema: Schema, readers: Iterable[TableReader]) -> Partial:
    """Make a new one, with all tables and without rows. One that is left before `keep` is not gone on with."""
    new, aside = folder / f".{backup_id}{_NEW}", folder / f".{backup_id}{SUFFIX}"
    new.mkdir(mode=0o700)
    lock = Lock(new)
    new.rename(aside)
    made = Partial(aside, lock, Copy(aside / DATA))
    try:
        made.copy.build(schema.objects, readers)
    except BaseException:
        made.remove()
        raise
    return made


def adopt(
    workspace: Workspace,
    folder: Path,
    schema: Schema,
    scope: Sequence[str],
    readers: Sequence[TableReader],
    totals: Mapping[str, Totals],
) -> Partial | None:
    """Return what an interrupted run of the same target and scope left, with the tables emptied whose figures are not
    what they were; None where there is nothing that fits, or somebody is at work on it. A copy without all tables is
    damaged, and removed."""
    wanted = _identity(workspace, schema, scope)
    for aside in sorted(_named(folder, SUFFIX), reverse=True):
        state = _state(aside)
        if state is None or any(state.get(name) != value for name, value in wanted.items()):
            continue
        found = _open(aside)
        if found is None:
            continue
        try:
            if found.copy.holds(readers):
                _empty_what_moved(found.copy, state["totals"], readers, totals)
                return found
        except (apsw.CorruptError, apsw.NotADBError):
            pass
        found.remove()
    return None


def _empty_what_moved(
    copy: Copy, known: Mapping[str, Any], readers: Iterable[TableReader], totals: Mapping[str, Totals]
) -> None:
    copy.drop_triggers()
    for reader in readers:
        own = totals[reader.table]
        if known.get(reader.table) != [own.rows, list(own.columns), own.largest]:
            copy.clear(reader)


def discard(workspace: Workspace, folder: Path) -> None:
    """Remove what interrupted runs left, unless somebody is at work on it or may go on with it for another target."""
    for aside in leftovers(folder):
        if not is_of_another_target(workspace, aside):
            remove(aside)


def is_of_another_target(workspace: Workspace, aside: Path) -> bool:
    """Return whether a backup that is not done is one of another target than this one, as far as it says."""
    state = _state(aside)
    return state is not None and state.get("database_id") != workspace.database.target.id


def leftovers(folder: Path) -> list[Path]:
    """Return the folders of backups that are not done, whoever makes or made them."""
    return sorted([*_named(folder, SUFFIX), *_named(folder, _REMOVED)])


def is_busy(aside: Path) -> bool:
    """Return whether somebody is at work on a backup that is not done."""
    return locks.is_held(aside)


def remove(aside: Path) -> bool:
    """Remove a backup that is not done, unless somebody is at work on it; return whether it is gone."""
    try:
        lock = Lock(aside)
    except Busy:
        return False
    except (ConfigError, Unreachable, apsw.Error):  # Nobody can have what is no lock.
        _remove(aside)
        return True
    try:
        _remove(aside)
    finally:
        lock.close()
    return True


def _remove(aside: Path) -> None:
    """Remove a folder whose lock is ours, under a name that nobody goes on with should this be cut off."""
    doomed = aside.with_suffix(_REMOVED)
    with suppress(FileNotFoundError):
        aside.rename(doomed)
    shutil.rmtree(doomed, ignore_errors=True)


def _named(folder: Path, suffix: str) -> list[Path]:
    return list(folder.glob(f".*{suffix}")) if folder.is_dir() else []


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
