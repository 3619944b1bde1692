"""Queries in folders of source code: which files are read, and which are left out and why."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from d1ops.core.source import SUFFIXES, extract
from d1ops.errors import ConfigError, ScriptError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from d1ops.core.queries import Query
    from d1ops.core.source import Unresolved

MAX_FILE_BYTES = 1024 * 1024
"""A larger file was written by a program."""

LEFT_OUT = frozenset(
    (
        "node_modules",
        "dist",
        "build",
        "out",
        "coverage",
        "vendor",
        "__pycache__",
        "venv",
        "site-packages",
    )
)
"""Folders of others' code and of what was built; so are all whose name begins with a dot."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A file or a folder that was not read."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Sources:
    """What folders of source code hold."""

    queries: tuple[Query, ...] = ()
    unresolved: tuple[Unresolved, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    files: int = 0


def read_sources(project: Path, folders: Iterable[Path]) -> Sources:
    """Find the queries in folders, in the order of their paths. Paths are told as seen from `project`.

    Raises ConfigError for a folder that is not there and when tree-sitter is needed and not installed.
    """
    queries: list[Query] = []
    unresolved: list[Unresolved] = []
    left_out: list[LeftOut] = []
    seen: set[Path] = set()
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError(f"the folder {folder} does not exist", key="--from-source", hint="--from-source src")
        for file, reason in _walk(folder.resolve()):
            name = _shown(file, project)
            if file in seen:
                continue
            seen.add(file)
            if reason:
                left_out.append(LeftOut(name, reason))
                continue
            try:
                found = extract(file.read_bytes(), name)
            except OSError as error:
                left_out.append(LeftOut(name, f"cannot be read: {error.strerror}"))
            except ScriptError as error:
                left_out.append(LeftOut(name, str(error)))
            else:
                queries += found.queries
                unresolved += found.unresolved
    read = len(seen) - len(left_out)
    return Sources(tuple(queries), tuple(unresolved), tuple(left_out), read)


def _walk(folder: Path) -> Iterator[tuple[Path, str]]:
    """Yield every file of a kind that is read, and every folder that is left out, with the reason."""
    for here, folders, files in os.walk(folder):
        for name in sorted(folders):
            if name in LEFT_OUT or name.startswith("."):
                folders.remove(name)
                yield Path(here, name), "not the project's own code"
            elif Path(here, name).is_symlink():
                yield Path(here, name), "a link"
        folders.sort()
        for name in sorted(files):
            file = Path(here, name)
            if file.suffix.lower() not in SUFFIXES or name.endswith((".d.ts", ".d.mts", ".d.cts")):
                continue
            if file.is_symlink() or not file.is_file():
                yield file, "a link"
            elif ".min." in name:
                yield file, "minified"
            elif file.stat().st_size > MAX_FILE_BYTES:
                yield file, f"larger than {MAX_FILE_BYTES:,} bytes"
            else:
                yield file, ""


def _shown(path: Path, project: Path) -> str:
    try:
        return path.relative_to(project.resolve()).as_posix()
    except ValueError:
        return path.as_posix()
