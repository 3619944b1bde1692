"""The generated runbook `docs/MIGRATION_ROLLBACK.md`: written, and checked for being up to date."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from d1ops.core import runbook
from d1ops.core.manner import manners
from d1ops.core.replay import replay
from d1ops.core.reversibility import judge
from d1ops.core.sql import decode
from d1ops.errors import AnswerIsNo, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from d1ops.core.catalog import Catalog

RUNBOOK = "docs/MIGRATION_ROLLBACK.md"
NOTES = "docs/rollback_notes"


def read_notes(project: Path, folder: str = NOTES) -> dict[str, str]:
    """Return the hand-written passages of a project by the name of their file (`0007`). A missing folder has none.

    Raises ScriptError for a file that is not UTF-8.
    """
    return {
        path.stem: decode(path.read_bytes(), f"{folder}/{path.name}")
        for path in sorted((project / folder).glob("*.md"))
    }


def render(catalog: Catalog, notes: Mapping[str, str]) -> str:
    """Prove every rollback and return the runbook. `notes` has hand-written passages by migration label.

    Raises UsageError for a note whose migration does not exist, and what `reversibility.judge` raises.
    """
    labels = {migration.label for migration in catalog.migrations}
    strangers = sorted(set(notes) - labels)
    if strangers:
        raise UsageError(
            f"{NOTES}/{strangers[0]}.md belongs to no migration",
            hint="name it by the number of its migration as the file writes it, 0007.md",
        )
    judged = judge(catalog)
    with closing(replay(catalog.migrations)) as engine:
        keys = runbook.key_rows(engine, judged)
    return runbook.render(judged, keys, notes, manners(catalog))


def write(project: Path, text: str, path: str = RUNBOOK) -> bool:
    """Write the runbook; return whether that changed it. Raises UsageError where it cannot be written."""
    file = project / path
    if _present(file) == text:
        return False
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8", newline="\n")
    except OSError as error:
        raise UsageError(f"{path} cannot be written: {error.strerror}") from None
    return True


def check(project: Path, text: str, path: str = RUNBOOK) -> None:
    """Raise AnswerIsNo unless the file holds `text`."""
    present = _present(project / path)
    if present is None:
        raise AnswerIsNo(f"{path} does not exist", hint="d1ops docs writes it")
    if present != text:
        old, new = present.splitlines(), text.splitlines()
        line = next(
            (n for n, (a, b) in enumerate(zip(old, new, strict=False), 1) if a != b), min(len(old), len(new)) + 1
        )
        raise AnswerIsNo(
            f"{path} is out of date from line {line} on", hint="d1ops docs writes it anew; commit the result"
        )


def _present(file: Path) -> str | None:
    try:
        return file.read_bytes().decode("utf-8", errors="replace")
    except OSError:
        return None
