"""The catalog: migration files and rollback scripts, parsed by name and paired by number.

The order is wrangler's: by the number before the first underscore, not by text (0002 before 0010, 9 before 10).
The name that the ledger holds is the file's name, or where every migration has a folder of its own
(`20240101_init/migration.sql`, as Prisma and Drizzle write them) its path below the migrations folder.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from d1ops.core.sql import decode, read_script, tokens
from d1ops.errors import CatalogError, DuplicateNumber, NoRollbackScript, UnknownMigration, UnpairedRollback

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from d1ops.core.chunked import Chunked
    from d1ops.core.sql import ScriptStatement

_NUMBERED = re.compile(r"(?P<number>\d+)(?:[_\-.](?P<name>[^/]*))?(?:\.sql|/[^/]*\.sql)", re.IGNORECASE)
_IRREVERSIBLE = re.compile(r"--\s*d1ops:\s*irreversible\b[ \t]*(?P<reason>[^\n]*)", re.IGNORECASE)


@dataclass(frozen=True)
class Script:
    """A file of SQL. `path` is as a person would type it; `checksum` is the SHA-256 of its bytes."""

    path: str
    data: bytes

    @cached_property
    def checksum(self) -> str:
        """64 hexadecimal digits."""
        return hashlib.sha256(self.data).hexdigest()

    @cached_property
    def statements(self) -> tuple[ScriptStatement, ...]:
        """The statements; those of a chunked script over the whole table.

        Raises ScriptError, with the place, when the file cannot be read as such.
        """
        return self.chunked.whole() if self.chunked else self._as_written

    @cached_property
    def _as_written(self) -> tuple[ScriptStatement, ...]:
        return read_script(self.data, self.path)

    @cached_property
    def chunked(self) -> Chunked | None:
        """How the script is run in pieces, or None. Raises ScriptError as `statements` does."""
        if b"chunked" not in self.data.lower():
            return None
        from d1ops.core.chunked import read_chunked

        return read_chunked(decode(self.data, self.path), self._as_written, self.path)

    @cached_property
    def irreversible(self) -> str | None:
        """The reason given in a comment `-- d1ops: irreversible REASON`, or None."""
        if b"irreversible" not in self.data:
            return None
        text = self.data.decode("utf-8", errors="replace")
        for token in tokens(text):
            found = _IRREVERSIBLE.match(token.text) if token.kind == "comment" else None
            if found:
                return found["reason"].strip() or "no reason given"
        return None


@dataclass(frozen=True)
class Migration:
    """A numbered change. `label` is the number as the file writes it (0007), `file` what the ledger holds."""

    number: int
    label: str
    name: str
    file: str
    script: Script
    rollback: Script | None

    def rollback_script(self, expected: str) -> Script:
        """Return the rollback script.

        Raises NoRollbackScript when there is none, or when it or the migration is marked irreversible;
        `expected` is the path that a script would have.
        """
        reason = self.script.irreversible or (self.rollback.irreversible if self.rollback else None)
        if reason is not None or self.rollback is None:
            raise NoRollbackScript(self.file, expected=expected, reason=reason)
        return self.rollback


@dataclass(frozen=True)
class Catalog:
    """All migrations, in wrangler's order."""

    migrations: tuple[Migration, ...]

    def by_file(self) -> dict[str, Migration]:
        """Return the migrations by the name that the ledger holds."""
        return {migration.file: migration for migration in self.migrations}

    def find(self, wanted: str) -> Migration:
        """Return a migration by number (7, 0007), name or file. Raises UnknownMigration."""
        text = wanted.strip()
        for migration in self.migrations:
            if text.isdecimal() and migration.number == int(text):
                return migration
            if text in (migration.file, migration.file.removesuffix(".sql"), migration.name):
                return migration
        raise UnknownMigration(wanted, self.migrations[-1].label if self.migrations else None)


def build_catalog(
    migrations: Mapping[str, bytes],
    rollbacks: Mapping[str, bytes],
    *,
    migrations_folder: str = "db/migrations",
    rollbacks_folder: str = "db/rollbacks",
) -> Catalog:
    """Pair files by number. The mappings are file name to bytes; the folders only make paths for messages.

    Raises CatalogError for a name without a number and for a down file among the migrations (wrangler would run
    it), DuplicateNumber, and UnpairedRollback.
    """
    refuse_down_files(migrations, migrations_folder)
    numbered = _by_number(migrations, migrations_folder)
    undo = _by_number(rollbacks, rollbacks_folder)
    for number, file in undo.items():
        if number not in numbered:
            raise UnpairedRollback(f"{rollbacks_folder}/{file}", number)
    found: list[Migration] = []
    for number, file in numbered.items():
        match = _match(file, migrations_folder)
        back = undo.get(number)
        found.append(
            Migration(
                number=number,
                label=match["number"],
                name=match["name"] or "",
                file=file,
                script=Script(f"{migrations_folder}/{file}", migrations[file]),
                rollback=None if back is None else Script(f"{rollbacks_folder}/{back}", rollbacks[back]),
            )
        )
    return Catalog(tuple(sorted(found, key=lambda migration: migration.number)))


def _by_number(files: Iterable[str], folder: str) -> dict[int, str]:
    found: dict[int, list[str]] = {}
    for file in sorted(files):
        found.setdefault(int(_match(file, folder)["number"]), []).append(file)
    for number, names in found.items():
        if len(names) > 1:
            raise DuplicateNumber(number, [f"{folder}/{name}" for name in names])
    return {number: names[0] for number, names in found.items()}


def _match(file: str, folder: str) -> re.Match[str]:
    match = _NUMBERED.fullmatch(file)
    if match is None:
        raise CatalogError(
            f"{folder}/{file} has no number in front of its name",
            hint="name it like 0013_what_it_does.sql, or move it out of the folder",
        )
    return match


def refuse_other_order(catalog: Catalog, tags: Sequence[str], journal: str) -> None:
    """Raise CatalogError unless Drizzle's journal (`tags` in its order) and the numbers of the files, by which wrangler
    goes, put the migrations in one order. Files that the journal does not list have no say."""
    own = [migration.file.partition("/")[0].removesuffix(".sql") for migration in catalog.migrations]
    missing = [tag for tag in tags if tag not in own]
    if missing:
        raise CatalogError(
            f"{journal} lists {missing[0]}, and there is no such migration",
            hint="bring the file back, or remove the entry with drizzle-kit drop",
        )
    listed = [tag for tag in own if tag in tags]
    for by_number, by_journal in zip(listed, tags, strict=False):
        if by_number != by_journal:
            raise CatalogError(
                f"{journal} runs {by_journal} where wrangler, which goes by the number of the file, runs {by_number}",
                hint="rename the files so that their numbers follow the journal",
            )


def refuse_down_files(files: Iterable[str], folder: str) -> None:
    """Raise CatalogError for a down file among the migrations: wrangler would run it as a migration."""
    for file in sorted(files):
        if re.search(r"(\.down|[._-]rollback)\.sql$", file, re.IGNORECASE):
            raise CatalogError(
                f"{folder}/{file} looks like a rollback script, and wrangler would run it as a migration",
                hint="move it to the folder of the rollback scripts",
            )
