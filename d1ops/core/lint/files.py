"""The names of the files, judged before anything is read: what keeps the folders from being a catalog."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

DUPLICATE_NUMBER = "duplicate-number"
DOWN_FILE = "down-file"
UNNUMBERED_FILE = "unnumbered-file"
UNPAIRED_ROLLBACK = "unpaired-rollback"

FILE_RULES = (DOWN_FILE, DUPLICATE_NUMBER, UNNUMBERED_FILE, UNPAIRED_ROLLBACK)

_NUMBER = re.compile(r"(\d+)(?:[_\-.].*)?\.sql", re.IGNORECASE)
_DOWN = re.compile(r"(?:(?:^|[._-])(?:down|rollback|undo|revert))\.sql$", re.IGNORECASE)


def lint_files(
    migrations: Iterable[str], rollbacks: Iterable[str], *, migrations_folder: str, rollbacks_folder: str
) -> list[Finding]:
    """Find down files among the migrations, numbers that two files carry, files without a number, and rollback scripts
    without a migration. Every one of these keeps the folders from being a catalog."""
    forward = sorted(migrations)
    back = sorted(rollbacks)
    found = [*_down_files(forward, migrations_folder)]
    ups = [name for name in forward if not _DOWN.search(name)]
    numbered: list[dict[int, list[str]]] = []
    for names, folder in ((ups, migrations_folder), (back, rollbacks_folder)):
        by_number: dict[int, list[str]] = {}
        for name in names:
            match = _NUMBER.fullmatch(name)
            if match is None:
                found.append(_unnumbered(name, folder))
            else:
                by_number.setdefault(int(match[1]), []).append(name)
        found += _duplicates(by_number, folder)
        numbered.append(by_number)
    found += _unpaired(numbered[0], numbered[1], rollbacks_folder)
    return found


def _finding(rule: str, path: str, message: str, remedy: str) -> Finding:
    return Finding(rule, Severity.ERROR, None, (), message, remedy, path=path, line=1)


def _down_files(names: Iterable[str], folder: str) -> Iterator[Finding]:
    for name in names:
        if _DOWN.search(name):
            yield _finding(
                DOWN_FILE,
                f"{folder}/{name}",
                f"{name} looks like a rollback script, and wrangler runs every file of {folder} as a migration",
                "move it to the folder of the rollback scripts",
            )


def _unnumbered(name: str, folder: str) -> Finding:
    return _finding(
        UNNUMBERED_FILE,
        f"{folder}/{name}",
        f"{name} has no number in front of its name",
        "name it like 0013_what_it_does.sql, or move it out of the folder",
    )


def _duplicates(by_number: dict[int, list[str]], folder: str) -> Iterator[Finding]:
    for number, names in by_number.items():
        for name in names[1:]:
            yield _finding(
                DUPLICATE_NUMBER,
                f"{folder}/{name}",
                f"{names[0]} has the number {number} as well: in which order they run is a matter of their names",
                "give one of them the next free number, unless it is applied somewhere",
            )


def _unpaired(ups: dict[int, list[str]], back: dict[int, list[str]], folder: str) -> Iterator[Finding]:
    for number, names in back.items():
        if number not in ups:
            yield _finding(
                UNPAIRED_ROLLBACK,
                f"{folder}/{names[0]}",
                f"there is no migration {number} that it could undo",
                "give it the number of its migration, or remove it",
            )
