"""The backups of an env on this machine: finding, listing, verifying again, pruning."""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from d1ops.core.retention import Retention, kept
from d1ops.errors import BackupRefused, ConfigError, UsageError
from d1ops.ops.backup import partial
from d1ops.ops.backup.manifest import MANIFEST, Manifest, read_manifest
from d1ops.ops.backup.verified import UNPACKED, VerifiedBackup, is_whole, made, unpack_anew
from d1ops.ops.look import look

if TYPE_CHECKING:
    from pathlib import Path

    from d1ops.ops.workspace import Workspace

_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}")
_UNPACKED = re.compile(r"\..+\.(\d+)\.[^.]+\.unpacked")


@dataclass(frozen=True, slots=True)
class Damaged:
    """A backup of which nobody can say what it holds. `problem` names its file."""

    id: str
    problem: str


def backups_folder(workspace: Workspace) -> Path:
    """Return the folder of this env's backups. It need not exist."""
    return workspace.state / "backups" / workspace.env


def find(workspace: Workspace, backup_id: str) -> tuple[Path, Manifest]:
    """Return a backup's folder and manifest. Raises UsageError for an unknown or malformed id, BackupRefused where the
    manifest cannot be read."""
    folder = backups_folder(workspace) / backup_id
    if not _ID.fullmatch(backup_id) or not folder.is_dir():
        known = [manifest.id for manifest in listed(workspace)]
        raise UsageError(
            f"no backup of {workspace.env} has the id {backup_id!r}",
            hint=f"the newest is {known[-1]}; d1ops backup list shows all"
            if known
            else "d1ops backup create makes one",
        )
    return folder, read_manifest(folder / MANIFEST)


def ids(workspace: Workspace) -> list[str]:
    """Return the ids of all backups of this env by name, damaged ones included, oldest first."""
    folder = backups_folder(workspace)
    return sorted(path.name for path in folder.iterdir() if _ID.fullmatch(path.name)) if folder.is_dir() else []


def listed(workspace: Workspace) -> list[Manifest]:
    """Return the manifests of all whole backups of this env, oldest first. Reads only."""
    return look_through(workspace)[0]


def look_through(workspace: Workspace) -> tuple[list[Manifest], list[Damaged]]:
    """Return what `listed` does, and the backups whose manifest cannot be read: one of them hides no other."""
    whole: list[Manifest] = []
    damaged: list[Damaged] = []
    for backup_id in ids(workspace):
        try:
            whole.append(read_manifest(backups_folder(workspace) / backup_id / MANIFEST))
        except BackupRefused as error:
            damaged.append(Damaged(backup_id, error.message))
    # Bookmarks are ordered as text, and tell apart what was taken within one second.
    return sorted(whole, key=lambda manifest: (manifest.created_at, manifest.bookmark, manifest.id)), damaged


def verify(workspace: Workspace, backup_id: str, *, from_copy: bool = False) -> VerifiedBackup:
    """Repeat the verification of a backup on disk, or of its copy in the bucket.

    Raises UsageError for an unknown id, BackupRefused for damage, ConfigError where it is encrypted and no identity
    opens it, or where there is no bucket; Unreachable when the bucket cannot be asked.
    """
    if from_copy:
        folder, manifest = fetch(workspace, backup_id)
    else:
        folder, manifest = find(workspace, backup_id)
    identity = workspace.backup_identity
    is_whole(unpack_anew(folder, manifest, identity), manifest)
    return made(manifest, folder, identity)


def fetch(workspace: Workspace, backup_id: str) -> tuple[Path, Manifest]:
    """Download a backup from the bucket into a private folder, which goes when the process ends."""
    if workspace.bucket is None:
        raise ConfigError(
            "there is no bucket that copies would be in",
            key="backup.copy.bucket",
            hint="write [backup.copy] into config/<env>.toml",
        )
    if not _ID.fullmatch(backup_id):
        raise UsageError(f"{backup_id!r} is no backup id", hint="d1ops backup list")
    return workspace.bucket.get(workspace.state_folder("backups", workspace.env), backup_id)


# -- pruning -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pruned:
    """What `prune` removed and kept, as backup ids. `held` are kept because the history points at them; `leftovers`
    are folders that interrupted commands left, by name. `damaged` are left alone, and count as nothing that is kept."""

    removed: tuple[str, ...]
    kept: tuple[str, ...]
    held: tuple[str, ...]
    removed_bytes: int
    leftovers: tuple[str, ...] = ()
    damaged: tuple[Damaged, ...] = ()


def prune(
    workspace: Workspace,
    *,
    keep_last: int = 0,
    keep_daily: int = 0,
    keep_weekly: int = 0,
    include_referenced: bool = False,
    leftovers_alone: bool = False,
    dry_run: bool = False,
) -> Pruned:
    """Remove all backups but the newest ones, and the newest of so many days and weeks (UTC); none of them with
    `leftovers_alone`.

    Those that a history row points at stay unless told otherwise. What interrupted commands left goes too. Copies in
    a bucket are not touched.
    """
    manifests, damaged = look_through(workspace)
    keep_last = len(manifests) if leftovers_alone else keep_last
    referenced = set() if include_referenced or leftovers_alone else {event.backup for event in look(workspace).history}
    times = [(manifest.id, datetime.fromisoformat(manifest.created_at)) for manifest in manifests]
    staying = kept(times, Retention(keep_last, keep_daily, keep_weekly))
    candidates = [m for m in manifests if m.id not in staying]
    removed = [m for m in candidates if m.id not in referenced]
    left = [path for path in leftovers(workspace) if not is_in_use(path)]
    if not dry_run:
        for manifest in removed:
            shutil.rmtree(backups_folder(workspace) / manifest.id)
        left = [path for path in left if _remove(path)]
    gone = {m.id for m in removed}
    return Pruned(
        removed=tuple(m.id for m in removed),
        kept=tuple(m.id for m in manifests if m.id not in gone),
        held=tuple(m.id for m in candidates if m.id in referenced),
        removed_bytes=sum(m.stored_bytes for m in removed),
        leftovers=tuple(path.name for path in left),
        damaged=tuple(damaged),
    )


def leftovers(workspace: Workspace) -> list[Path]:
    """Return what commands left, or use now: backups that are not done, and unpacked ones."""
    folder = backups_folder(workspace)
    return [*partial.leftovers(folder), *(sorted(folder.glob(f".*{UNPACKED}")) if folder.is_dir() else ())]


def clear(workspace: Workspace) -> None:
    """Remove what commands left, now that there is a newer backup: what `is_cleared` says, unless it is in use."""
    for path in leftovers(workspace):
        if is_cleared(workspace, path):
            _remove(path)


def is_cleared(workspace: Workspace, path: Path) -> bool:
    """Return whether the next backup removes, or goes on with, what `leftovers` found: all but what was begun for
    another target, which may come back to this env."""
    return not partial.is_of_another_target(workspace, path)


def is_in_use(path: Path) -> bool:
    """Return whether a command is at work on what `leftovers` found."""
    unpacked = _UNPACKED.fullmatch(path.name)
    return partial.is_busy(path) if unpacked is None else _is_alive(int(unpacked[1]))


def _remove(path: Path) -> bool:
    """Remove what `leftovers` found, unless a command is at work on it; return whether it is gone."""
    if _UNPACKED.fullmatch(path.name) is None:
        return partial.remove(path)
    if is_in_use(path):
        return False
    shutil.rmtree(path, ignore_errors=True)
    return True


def _is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
