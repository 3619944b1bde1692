"""The folders of scripts as projects have them, read as wrangler reads them or refused with the reason.

    migrations/0001_a.sql                   wrangler, drizzle-kit (with meta/_journal.json)
    migrations/20240101120000_a.sql         a time as the number
    migrations/20240101_a/migration.sql     Prisma, newer drizzle-kit; wrangler's migrations_pattern "*/migration.sql"
    migrations/rollbacks/0001_rollback.sql  rollback scripts below the migrations, which wrangler does not see

Files are taken as wrangler takes them: regular ones, no links, no names that begin with a dot, names that end in
`.sql` in lower case. Seen on wrangler 4.164: `tests/peers/test_layouts.py` compares.
"""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING

from d1ops.core.catalog import build_catalog, refuse_other_order
from d1ops.errors import CatalogError, ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from d1ops.core.catalog import Catalog

MIGRATION = "migration.sql"
"""What a migration that has a folder of its own is called."""

DOWN = ("down.sql", "rollback.sql")
"""What its rollback script may be called, beside it."""

JOURNAL = "meta/_journal.json"

NESTED = ("rollbacks", "rollback", "down")
"""Where rollback scripts may be below the migrations folder."""


def read_layout(project: Path, migrations: str, rollbacks: str) -> Catalog:
    """Read a catalog from the migrations folder, which exists, and the folder of rollback scripts.

    Raises ConfigError for an unreadable file, CatalogError for what cannot be read rightly, and what `build_catalog`
    raises.
    """
    folder = project / migrations
    files, undo = sql_files(folder, exact=migrations), _rollbacks(project, migrations, rollbacks)
    own = _folders(folder)
    _refuse_other_engines(folder, migrations)
    if files and own:
        raise CatalogError(
            f"{migrations} holds files such as {min(files)} and folders such as {min(own)}: wrangler runs the ones or"
            " the others, as migrations_pattern says",
            hint="keep one layout; move the other migrations into it in their order",
        )
    if own:
        files = {f"{name}/{MIGRATION}": _read(path / MIGRATION) for name, path in own.items()}
        beside = {
            f"{name}/{down}": _read(path / down) for name, path in own.items() for down in DOWN if _is_file(path / down)
        }
        if beside and undo:
            raise CatalogError(
                f"rollback scripts are in {rollbacks} and beside their migrations, such as {migrations}/{min(beside)}",
                hint="keep them in one place",
            )
        catalog = build_catalog(
            files,
            beside or undo,
            migrations_folder=migrations,
            rollbacks_folder=migrations if beside else rollbacks,
        )
    else:
        _refuse_unknown_folders(folder, migrations, has_files=bool(files))
        place = rollbacks if (project / rollbacks).is_dir() else _nested(folder, migrations) or rollbacks
        catalog = build_catalog(files, undo, migrations_folder=migrations, rollbacks_folder=place)
    _refuse_other_order(catalog, folder, migrations)
    return catalog


def sql_files(folder: Path, *, exact: str | None = None) -> dict[str, bytes]:
    """Return the `.sql` files of a folder; none where it does not exist.

    With `exact`, the folder's name for messages, a file is refused whose ending wrangler does not take: it would run
    here and not there. Raises CatalogError for such a one, ConfigError for an unreadable one.
    """
    if not folder.is_dir():
        return {}
    found: dict[str, bytes] = {}
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() != ".sql" or not _is_file(path):
            continue
        if exact is not None and path.suffix != ".sql":
            raise CatalogError(
                f"{exact}/{path.name} ends in {path.suffix}, and wrangler runs only files that end in .sql",
                hint=f"rename it to {path.stem}.sql",
            )
        found[path.name] = _read(path)
    return found


def _is_file(path: Path) -> bool:
    return not path.name.startswith(".") and not path.is_symlink() and path.is_file()


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}", file=path) from None


def _subfolders(folder: Path) -> dict[str, Path]:
    return {
        path.name: path
        for path in sorted(folder.iterdir())
        if path.is_dir() and not path.is_symlink() and not path.name.startswith(".")
    }


def _folders(folder: Path) -> dict[str, Path]:
    """The folders that hold one migration each."""
    return {name: path for name, path in _subfolders(folder).items() if _is_file(path / MIGRATION)}


def _nested(folder: Path, migrations: str) -> str | None:
    return next((f"{migrations}/{name}" for name in NESTED if (folder / name).is_dir()), None)


def _rollbacks(project: Path, migrations: str, rollbacks: str) -> dict[str, bytes]:
    if (project / rollbacks).is_dir():
        return sql_files(project / rollbacks)
    nested = _nested(project / migrations, migrations)
    return sql_files(project / nested) if nested else {}


def _refuse_unknown_folders(folder: Path, migrations: str, *, has_files: bool) -> None:
    """Refuse migrations in folders of another form, which would be left out without a word."""
    for name, path in _subfolders(folder).items():
        if has_files or name in (*NESTED, "meta"):
            continue
        scripts = sorted(each.name for each in path.iterdir() if each.suffix.lower() == ".sql")
        if scripts:
            raise CatalogError(
                f"{migrations}/{name} holds {scripts[0]}: a migration that has a folder of its own is called"
                f" {MIGRATION}, and its rollback script {DOWN[0]}",
                hint=f"rename the script to {migrations}/{name}/{MIGRATION}",
            )


def _refuse_other_engines(folder: Path, migrations: str) -> None:
    """Refuse Prisma's migrations for another engine, as its lock file names it."""
    lock = folder / "migration_lock.toml"
    if not _is_file(lock):
        return
    try:
        provider = tomllib.loads(_read(lock).decode("utf-8")).get("provider")
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        provider = None
    if provider != "sqlite":
        raise CatalogError(
            f"{migrations}/migration_lock.toml names {provider or 'no provider'}, and D1 runs SQLite",
            hint='write the migrations with provider = "sqlite" in schema.prisma',
        )


def _refuse_other_order(catalog: Catalog, folder: Path, migrations: str) -> None:
    journal = folder / JOURNAL
    if not _is_file(journal):
        return
    path = f"{migrations}/{JOURNAL}"
    try:
        entries = json.loads(_read(journal).decode("utf-8"))["entries"]
        tags = [str(entry["tag"]) for entry in sorted(entries, key=lambda entry: int(entry["idx"]))]
    except (ValueError, KeyError, TypeError):
        raise CatalogError(
            f"{path} is not a journal of drizzle-kit", hint="bring it back from version control"
        ) from None
    refuse_other_order(catalog, tags, path)
