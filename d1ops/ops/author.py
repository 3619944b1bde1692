"""Files of a catalog, written: the next pair, and the rollback script of a migration."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING

from d1ops.core.catalog import Catalog, Script, refuse_down_files
from d1ops.core.undo.generate import Standing, compare, has_statements, write_rollback
from d1ops.errors import GuardRefused, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from d1ops.core.catalog import Migration
    from d1ops.core.undo.generate import Comparison, Rollback

MAX_NAME = 60
"""Names of migrations are cut to so many characters."""


@dataclass(frozen=True, slots=True)
class Pair:
    """The files of a new migration: paths as a person would type them."""

    number: int
    label: str
    name: str
    migration: str
    rollback: str


def next_pair(catalog: Catalog, title: str, migrations: str, rollbacks: str) -> Pair:
    """Return the files that come after the newest of the catalog, numbered and padded as it is.

    Raises UsageError for a title without a letter or digit, and CatalogError for a name that wrangler would take for
    that of a down file.
    """
    name = slug(title)
    if not name:
        raise UsageError(f"{title!r} makes no name for a file", hint='say what it does: d1ops new "add venues"')
    newest = catalog.migrations[-1] if catalog.migrations else None
    number = newest.number + 1 if newest else 1
    label = str(number).zfill(len(newest.label) if newest else 4)
    file = f"{label}_{name}.sql"
    refuse_down_files([file], migrations)
    back = f"{label}_rollback.sql"
    if newest and newest.rollback and PurePosixPath(newest.rollback.path).name == newest.file:
        back = file
    return Pair(number, label, name, f"{migrations}/{file}", f"{rollbacks}/{back}")


def slug(title: str) -> str:
    """Return a title as the name of a file has it: `Add venues!` is `add_venues`."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "_", plain).strip("_")[:MAX_NAME].strip("_")


def write_pair(project: Path, pair: Pair, title: str, *, irreversible: str | None = None) -> None:
    """Write both files. Raises UsageError where one is there already or cannot be written; nothing is left then."""
    title = " ".join(title.split())
    files = {
        pair.migration: _MIGRATION.format(title=title),
        pair.rollback: _ROLLBACK.format(file=PurePosixPath(pair.migration).name, label=pair.label),
    }
    if irreversible is not None:
        files[pair.rollback] = _mark(irreversible)
    write_files(project, files)


def write_files(project: Path, files: Mapping[str, str]) -> None:
    """Write new files of a project, by their paths in it. Raises UsageError where one is there already or cannot be
    written; nothing is left then."""
    written: list[Path] = []
    try:
        for path, text in files.items():
            file = project / path
            file.parent.mkdir(parents=True, exist_ok=True)
            with file.open("x", encoding="utf-8", newline="\n") as out:
                written.append(file)
                out.write(text)
    except OSError as error:
        for file in written:
            file.unlink(missing_ok=True)
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None


def _mark(reason: str) -> str:
    words = " ".join(reason.split())
    if not words:
        raise UsageError("a migration is not irreversible without a reason", hint='--irreversible "the mail is sent"')
    return f"-- d1ops: irreversible {words}\n"


_MIGRATION = """\
-- {title}
--
-- Every statement ends with a semicolon; all of them run as one transaction. D1 keeps foreign keys on, whatever a
-- pragma says: DROP TABLE deletes the rows of all tables that cascade from it.
"""

_ROLLBACK = """\
-- Undoes {file}.
--
-- `d1ops rollback-script {label} --write` writes this file and proves it, once the migration is there.
"""


@dataclass(frozen=True, slots=True)
class Authored:
    """A generated rollback script, and the one that is there beside it."""

    rollback: Rollback
    comparison: Comparison | None


def author(catalog: Catalog, migration: Migration, rollbacks: str) -> Authored:
    """Write the rollback script of a migration and prove it; compare it with the one that is there. Writes no file.

    Raises what `core.reversibility.judge` raises.
    """
    path = migration.rollback.path if migration.rollback else f"{rollbacks}/{migration.label}_rollback.sql"
    # What `new` wrote and nobody filled in yet is no obstacle to the others.
    catalog = Catalog(tuple(m for m in catalog.migrations if m is migration or has_statements(m.script)))
    generated = write_rollback(catalog, migration, path)
    return Authored(generated, compare(catalog, migration, generated))


def keep(project: Path, authored: Authored, *, irreversible: bool = False) -> Script:
    """Write the script to its file, and return it as written.

    Raises GuardRefused for a script that is not proved, for one whose migration cannot be undone unless `irreversible`
    (it is then marked as such, so that no rollback runs it), and where a script is there already.
    """
    rollback = authored.rollback
    script = rollback.script
    if authored.comparison is not None:
        raise GuardRefused(
            f"{script.path} is there already", hint="compare them with --compare; remove the file to have it written"
        )
    if rollback.standing is Standing.IRREVERSIBLE:
        if not irreversible:
            raise GuardRefused(
                f"{rollback.migration.file} cannot be undone: {'; '.join(rollback.reasons)}",
                hint="--irreversible writes the file, marked so that no rollback runs it",
            )
        script = replace(script, data=_mark("; ".join(rollback.reasons)).encode() + script.data)
    elif not rollback.standing.is_proved:
        raise GuardRefused(
            f"{script.path} is not proved: {'; '.join(rollback.reasons)}", hint="write it by hand, then d1ops check"
        )
    file = project / script.path
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(script.data)
    except OSError as error:
        raise UsageError(f"{script.path} cannot be written: {error.strerror}") from None
    return script
