"""What every use-case works with: one target, one catalog, one folder of local state, and the outside world as
functions (clock, randomness, narration), so that tests decide what they say."""

from __future__ import annotations

import getpass
import os
import secrets
from contextlib import nullcontext
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from d1ops.core import rules
from d1ops.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

    from d1ops.core.catalog import Catalog
    from d1ops.core.queries import Query
    from d1ops.database.base import Database
    from d1ops.ops.backup.bucket import Bucket


def _silent(_: str) -> None:
    return None


def _never() -> bool:
    return False


def _nobody_stops(_: str) -> AbstractContextManager[Callable[[], bool]]:
    return nullcontext(_never)


def _no(_: str) -> bool:
    return False


def _who() -> str:
    """Return who runs the command: in CI the run's actor, else the user's login name."""
    for name in ("GITHUB_ACTOR", "GITLAB_USER_LOGIN", "D1OPS_ACTOR"):
        if os.environ.get(name):
            return os.environ[name]
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


@dataclass(frozen=True)
class Workspace:
    """One env, opened. `state` is the folder for backups, journal and facts about targets (0700, git-ignored)."""

    env: str
    database: Database
    catalog: Catalog
    state: Path
    ledger: str = "d1_migrations"
    protected: bool = False
    rollbacks_folder: str = "db/rollbacks"
    batch_max_seconds: float = rules.MAX_REQUEST_SECONDS
    """How long the target gives one batch."""
    allows_ingest: bool = True
    """Whether a step may go as a file through D1's import, which blocks the database while it runs."""
    queries: Callable[[], tuple[Query, ...]] = tuple
    """Reads the known queries of the Worker that is running."""
    backup_max_bytes: int = 1024 * 1024 * 1024
    backup_recipients: tuple[str, ...] = ()
    backup_identity: Path | None = None
    bucket: Bucket | None = None
    actor: str = field(default_factory=_who)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    nonce: Callable[[], str] = lambda: secrets.token_hex(12)
    tell: Callable[[str], None] = _silent
    """Narration for people: one fact a call, no newline."""
    uninterrupted: Callable[[str], AbstractContextManager[Callable[[], bool]]] = _nobody_stops
    """Opens a section, named for people, that a first signal does not break: what is sent in it gets its answer, or is
    looked up. The section gives a function that says whether somebody asked to stop meanwhile."""
    show: Callable[[str], None] = _silent
    """How far something is: one line that replaces the last one, an empty one at the end."""
    agree: Callable[[str], bool] = _no
    """Ask whether to go on; silence is a no."""

    def timestamp(self) -> str:
        """The present time, UTC RFC 3339 with `Z`, to the second."""
        return self.now().strftime("%Y-%m-%dT%H:%M:%SZ")

    def state_folder(self, *parts: str) -> Path:
        """Return a folder below `state`, made with 0700 and kept out of version control."""
        if not self.state.exists():
            self.state.mkdir(parents=True, mode=0o700)
        ignore = self.state / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
        folder = self.state
        for part in parts:
            folder = folder / part
            folder.mkdir(mode=0o700, exist_ok=True)
        return folder


def read_catalog(project: Path, migrations: str, rollbacks: str) -> Catalog:
    """Read both folders of a project, in whichever layout (`ops.layout`). Without a folder of rollback scripts there
    are none, but for those below the migrations folder.

    Raises ConfigError for a missing migrations folder or an unreadable file, CatalogError for a layout that cannot be
    read rightly, and what `build_catalog` raises.
    """
    from d1ops.ops.layout import read_layout

    folder = project / migrations
    if not folder.is_dir():
        raise ConfigError(
            f"the migrations folder {migrations} does not exist in {project}",
            key="catalog.migrations",
            hint="run d1ops in the project's folder, or set catalog.migrations in config/<env>.toml",
        )
    return read_layout(project, migrations, rollbacks)


def read_queries(project: Path, queries: str) -> tuple[Query, ...]:
    """Read the frequent queries of a project, in the order of their files. A missing folder has none.

    Raises ConfigError for an unreadable file, and what `parse_queries` raises.
    """
    from d1ops.core.queries import parse_queries
    from d1ops.ops.layout import sql_files

    files = sql_files(project / queries)
    return tuple(query for name, data in files.items() for query in parse_queries(data, f"{queries}/{name}"))
