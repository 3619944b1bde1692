"""One run of a command: what was asked for on every command's options, the target once it is open, and the JSON
document, which grows as facts become known, so that a refused command can print what it knew."""

from __future__ import annotations

import os
import shlex
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from d1ops.cli import diagnostics, output, signals

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from d1ops.cli.watch import WatchedDatabase
    from d1ops.config.model import Settings
    from d1ops.core.queries import Query
    from d1ops.ops.backup.bucket import Bucket
    from d1ops.ops.look import Look
    from d1ops.ops.workspace import Workspace


class Format(StrEnum):
    """How the answer is written to standard output."""

    TEXT = "text"
    JSON = "json"


@dataclass
class Call:
    """A command as it was called, and what is known so far."""

    env: str = "dev"
    format: StrEnum = Format.TEXT
    """A `Format`, or another enum of a command that can do more; all have `text` and `json`."""
    project: Path | None = None
    database: str | None = None
    document: dict[str, Any] = field(default_factory=dict)
    watched: WatchedDatabase | None = None

    # -- the target ------------------------------------------------------------------------------------

    def settings(self) -> Settings:
        """Read the configuration. Raises ConfigError and UnknownEnv."""
        from d1ops.config.load import find_project, load_settings

        project = self.project or find_project(Path.cwd())
        settings = load_settings(project, self.env, os.environ, database=self.database)
        self.note(env=settings.env)
        return settings

    @contextmanager
    def open(self, *, catalog: bool = True) -> Iterator[Workspace]:
        """Open the env; its target is reached when it is first asked. Closed at the end, also when interrupted.

        Without `catalog` the folders of scripts are not read, so that nothing in them keeps a command from working
        that does not need them.
        """
        from d1ops.cli.watch import WatchedDatabase
        from d1ops.config.open import open_database
        from d1ops.core.catalog import Catalog
        from d1ops.ops.workspace import Workspace, read_catalog

        settings = self.settings()
        folders = settings.catalog
        found = read_catalog(settings.project, folders.migrations, folders.rollbacks) if catalog else Catalog(())
        database = WatchedDatabase(lambda create: open_database(settings, os.environ, create=create))
        self.watched = database
        try:
            yield Workspace(
                env=settings.env,
                database=database,
                catalog=found,
                state=settings.at(settings.state),
                ledger=folders.ledger,
                protected=settings.protected,
                rollbacks_folder=folders.rollbacks,
                backup_max_bytes=settings.backup.max_bytes,
                queries=lambda: _queries(settings),
                backup_recipients=settings.backup.recipients,
                backup_identity=_identity(settings),
                bucket=_bucket(settings),
                tell=diagnostics.tell,
                show=diagnostics.show,
                agree=diagnostics.agree,
                uninterrupted=signals.section,
            )
        finally:
            database.close()

    def introduce(self, workspace: Workspace, seen: Look) -> None:
        """Note the target; before a change, say in one line which database it is."""
        from d1ops.cli.documents import target_document
        from d1ops.cli.words import target_line

        self.note(target=target_document(workspace, seen.size_bytes))
        diagnostics.tell(target_line(workspace, seen.size_bytes))

    def command(self, *words: str) -> str:
        """Return a command for the same target as a person would type it."""
        options = ["--env", self.env]
        options += ["--database", self.database] if self.database else []
        options += ["--project", str(self.project)] if self.project else []
        return shlex.join(["d1ops", *words, *options])

    # -- the answer ------------------------------------------------------------------------------------

    @property
    def is_json(self) -> bool:
        """Whether standard output carries one JSON document and nothing else."""
        return self.format.value == Format.JSON.value

    def note(self, **facts: Any) -> None:
        """Add facts to the JSON document."""
        self.document.update(facts)

    def preview(self, lines: Iterable[str]) -> None:
        """Show what must be read before somebody agrees: on standard output, and where a person is about to be asked
        but does not see that, on standard error."""
        text = "\n".join(lines)
        if not self.is_json and (output.is_terminal() or not diagnostics.is_interactive()):
            output.write(text)
        elif diagnostics.is_interactive():
            diagnostics.tell(text)

    def answer(self, lines: Iterable[str]) -> None:
        """Write the answer: the JSON document, or these lines."""
        if self.is_json:
            output.write_json(self.document)
        else:
            text = "\n".join(lines)
            if text:
                output.write(text)


def _queries(settings: Settings) -> tuple[Query, ...]:
    """The known queries. A file that cannot be read must not keep anybody from a rollback."""
    from d1ops.errors import UsageError
    from d1ops.ops.workspace import read_queries

    try:
        return read_queries(settings.project, settings.catalog.queries)
    except UsageError as error:
        diagnostics.warn(f"the queries of {settings.catalog.queries} are not looked at: {error}")
        return ()


def _identity(settings: Settings) -> Path | None:
    """The file with the identity that opens encrypted backups: of this machine first, else of the project."""
    given = os.environ.get("D1OPS_IDENTITY") or settings.backup.key_file
    return settings.at(str(Path(given).expanduser())) if given else None


def _bucket(settings: Settings) -> Bucket | None:
    copy = settings.backup.copy_to
    if copy.bucket is None:
        return None
    from d1ops.ops.backup.bucket import Bucket

    return Bucket(copy.bucket, copy.endpoint, copy.region, copy.prefix, os.environ)
