"""Reports as files: the kind by the file's name, written whole or not at all."""

from __future__ import annotations

import json
import os
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from d1ops.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from d1ops.cli.reports.model import Findings


class FindingsFormat(StrEnum):
    """How a command that finds things writes its answer."""

    TEXT = "text"
    JSON = "json"
    SARIF = "sarif"
    JUNIT = "junit"
    GITHUB = "github"


ENDINGS = {
    ".html": "html",
    ".sarif": "sarif",
    ".sarif.json": "sarif",
    ".xml": "junit",
    ".json": "json",
    ".md": "markdown",
}


def kind_of(path: Path) -> str:
    """Return the kind of report that a file of this name holds. Raises UsageError for an ending that none has."""
    name = path.name.lower()
    fitting = [ending for ending in ENDINGS if name.endswith(ending)]
    if not fitting:
        listed = ", ".join(ENDINGS)
        raise UsageError(f"--report {path}: its ending says no kind of report", hint=f"end its name in one of {listed}")
    return ENDINGS[max(fitting, key=len)]


def check_paths(paths: Sequence[Path]) -> None:
    """Raise UsageError for a report that could not be written, before anything is asked of a target."""
    for path in paths:
        kind_of(path)
        require_folder(path, "--report")


def require_folder(path: Path, option: str) -> None:
    """Raise UsageError unless a file of this name can be in the folder that it names."""
    if path.is_dir():
        raise UsageError(f"{option} {path} is a folder", hint="name a file in it")
    if not path.parent.is_dir():
        raise UsageError(f"{option} {path}: the folder {path.parent} does not exist", hint=f"mkdir -p {path.parent}")


def rendered(kind: str, findings: Findings, document: Mapping[str, Any]) -> str:
    """Return findings as a text of a kind. `document` is the command's JSON document."""
    match kind:
        case "html":
            from d1ops.cli.reports.html import html

            return html(findings)
        case "sarif":
            from d1ops.cli.reports.sarif import sarif

            return json.dumps(sarif(findings), indent=2) + "\n"
        case "junit":
            from d1ops.cli.reports.junit import junit

            return junit(findings)
        case "markdown":
            from d1ops.cli.reports.github import summary

            return summary(findings)
        case _:
            return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def write_report(path: Path, findings: Findings, document: Mapping[str, Any]) -> None:
    """Write a report of the kind that its name says. Raises OSError when it cannot be written."""
    write_whole(path, rendered(kind_of(path), findings, document))


def write_whole(path: Path, text: str) -> None:
    """Write a file, readable by its owner alone, so that nobody ever sees a part of it."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except BaseException:
        aside.unlink(missing_ok=True)
        raise


def repository_folder(project: Path) -> str:
    """Return where a project is in its repository, with `/`, "" for the root: CI systems count paths from there."""
    for folder in (project, *project.parents):
        if (folder / ".git").exists():
            inside = project.relative_to(folder).as_posix()
            return "" if inside == "." else inside
    return ""
