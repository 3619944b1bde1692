"""Backups that were restored and checked. `VerifiedBackup` is the proof, and only verification makes one.

A backup is a SQLite file with the target's schema and rows as of one moment (`settle`), built with bound values from
rows that came as texts (`core.rowtext`), opened anew and compared with what the target said of itself (`verified`).

On disk: `<state>/backups/<env>/<id>/data.sqlite.zst` (with recipients `data.sqlite.zst.age`) and `manifest.json`,
folders 0700, files 0600, written aside and renamed, so that a folder with a manifest is a whole backup. Folders of
format 1 hold `data.sqlite` as it is, and are read.
"""

from d1ops.ops.backup.create import create
from d1ops.ops.backup.manifest import Manifest, TableFacts, Violation, read_manifest
from d1ops.ops.backup.shelf import (
    Damaged,
    Pruned,
    backups_folder,
    fetch,
    find,
    ids,
    is_cleared,
    is_in_use,
    leftovers,
    listed,
    look_through,
    prune,
    verify,
)
from d1ops.ops.backup.verified import VerifiedBackup

__all__ = [
    "Damaged",
    "Manifest",
    "Pruned",
    "TableFacts",
    "VerifiedBackup",
    "Violation",
    "backups_folder",
    "create",
    "fetch",
    "find",
    "ids",
    "is_cleared",
    "is_in_use",
    "leftovers",
    "listed",
    "look_through",
    "prune",
    "read_manifest",
    "verify",
]
