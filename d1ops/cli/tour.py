"""The tour: d1ops at work on a fresh database. Every step is a command as a person would type it, run as a process of
its own, and its real output. A step that does not end as it must ends the tour with its exit code.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import d1ops
from d1ops.core.replay import replay
from d1ops.core.sql import quote_identifier
from d1ops.errors import ConfigError, ExitCode
from d1ops.ops.workspace import read_catalog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CONFIG = """\
# The tour's own database: a SQLite file that obeys D1's rules.
protected = false

[database]
kind = "sqlite"
path = ".d1ops/dev.sqlite"
"""
"""Never a file of the project: that one may point at a database that somebody needs."""

SCRIPT = "db/rollbacks/0007_rollback.sql"
COUNTS = "SELECT (SELECT count(*) FROM users) AS users, (SELECT count(*) FROM artists) AS artists"


@dataclass(frozen=True, slots=True)
class Step:
    """A sentence, and what it introduces: a command with the exit code that it must end with, or a file to show."""

    says: str
    command: tuple[str, ...] = ()
    must_exit: ExitCode = ExitCode.DONE
    shows: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """A step that was run. `output` is what the command wrote, both streams as they came."""

    step: Step
    exit_code: int
    output: str

    @property
    def is_as_expected(self) -> bool:
        """Whether the step ended as it must."""
        return self.exit_code == self.step.must_exit


def find_sample() -> Path:
    """Return the folder with the sample's `db/`: the package's own copy, or the repository's.

    Raises ConfigError when neither is there.
    """
    package = Path(d1ops.__file__).parent
    for folder in (package / "sample", package.parent):
        if (folder / "db" / "migrations" / "0007_clerk_integration.sql").is_file():
            return folder
    raise ConfigError("the sample database is not part of this installation", hint="install d1ops from its repository")


def make_folder(project: Path, now: datetime) -> Path:
    """Make a fresh folder for one tour, 0700: below the project's `.d1ops`, or a temporary one where that fails."""
    name = now.astimezone(UTC).strftime("%Y%m%dT%H%M%S%fZ")
    state = project / ".d1ops"
    try:
        state.mkdir(mode=0o700, exist_ok=True)
        ignore = state / ".gitignore"
        if not ignore.exists():
            ignore.write_text("*\n")
        (state / "tour").mkdir(mode=0o700, exist_ok=True)
        folder = state / "tour" / name
        folder.mkdir(mode=0o700)
    except OSError:
        folder = Path(tempfile.mkdtemp(prefix="d1ops-tour-"))
    return folder


def fill_folder(sample: Path, folder: Path) -> None:
    """Write a configuration into the folder of the tour, and copy the sample's scripts beside it."""
    (folder / "config").mkdir()
    (folder / "config" / "dev.toml").write_text(CONFIG)
    shutil.copytree(sample / "db", folder / "db")
    for path in folder.rglob("*"):
        path.chmod(0o700 if path.is_dir() else 0o600)


def steps(folder: Path) -> Iterator[Step]:
    """Yield the steps. Between them the dangerous script is put in place and taken away again."""
    rollback = ("rollback", "0007", "--env", "dev", "--yes")
    yield Step(
        "A fresh database. The first command makes it and runs twelve migrations, each in one guarded batch.",
        ("migrate", "--env", "dev", "--yes"),
    )
    yield Step("Forty rows for every table, the same every time.", ("sample", "--rows", "40", "--seed", "7", "--yes"))
    yield Step("Where it stands now.", ("status",))
    yield Step(
        "Undo one migration in the middle: backed up, rehearsed on a copy of the rows, proved, then done.", rollback
    )
    yield Step("It is pending again; the eleven others stay applied.", ("status", "--short"))
    yield Step("And back again, in one command.", ("migrate", "--yes"))
    script = folder / SCRIPT
    safe = script.read_bytes()
    script.write_text(dangerous_script(folder))
    yield Step(
        "Now a rollback script as textbooks have it: copy users, drop it, rename the copy. D1 keeps foreign keys on, so"
        " DROP TABLE deletes every row that hangs from a user, commits, and reports success.",
        shows=SCRIPT,
    )
    yield Step(
        "d1ops runs it on a copy first, names every table that would lose rows, and refuses. --yes does not help.",
        rollback,
        must_exit=ExitCode.REFUSED,
    )
    yield Step("Every row is where it was.", ("query", COUNTS))
    script.write_bytes(safe)
    yield Step(
        "The safe script is back. Does an index serve every foreign key and frequent query of the database itself?",
        ("audit",),
    )
    yield Step("The backups that were taken on the way, each restored and checked once.", ("backup", "list"))


def dangerous_script(folder: Path) -> str:
    """Return a rollback script for 0007 that rebuilds `users` without its new column."""
    first = read_catalog(folder, "db/migrations", "db/rollbacks").migrations[0]
    engine = replay([first])
    try:
        definition = str(engine.ask_one("SELECT sql FROM sqlite_master WHERE name = 'users'"))
        columns = ", ".join(
            quote_identifier(str(name)).strip('"')
            for (name,) in engine.ask("SELECT name FROM pragma_table_info('users')")
        )
    finally:
        engine.close()
    return "\n".join(
        [
            "PRAGMA foreign_keys = OFF;",
            f"{definition.replace('TABLE users', 'TABLE users_new', 1)};",
            f"INSERT INTO users_new ({columns}) SELECT {columns} FROM users;",
            "DROP TABLE users;",
            "ALTER TABLE users_new RENAME TO users;",
            "",
        ]
    )


def run(folder: Path, tell: Callable[[str], None]) -> list[Done]:
    """Run the steps in the folder and tell each as it happens. Ends after the first that is not as it must be."""
    done: list[Done] = []
    for step in steps(folder):
        tell(f"\n# {step.says}")
        if step.shows is not None:
            text = (folder / step.shows).read_text()
            tell(f"$ cat {step.shows}\n{text.rstrip()}")
            done.append(Done(step, 0, text))
            continue
        tell(f"$ {shlex.join(('d1ops', *step.command))}")
        ended = _d1ops(step.command, folder)
        tell(ended.stdout.rstrip("\n"))
        done.append(Done(step, ended.returncode, ended.stdout))
        if not done[-1].is_as_expected:
            tell(f"\n# This ended with exit code {ended.returncode} instead of {int(step.must_exit)}: the tour stops.")
            break
        if step.must_exit:
            tell(f"# Exit code {ended.returncode}, as it must be: refused, and nothing was changed.")
    return done


def _d1ops(command: tuple[str, ...], folder: Path) -> subprocess.CompletedProcess[str]:
    """Run one command in the folder as a process of its own, with both streams in the order they come."""
    # The package may be found through the working directory, which is another one for the command.
    paths = [str(Path(d1ops.__file__).parents[1]), *filter(None, [os.environ.get("PYTHONPATH")])]
    return subprocess.run(
        [sys.executable, "-m", "d1ops", *command],
        cwd=folder,
        env={**os.environ, "PYTHONUTF8": "1", "PYTHONPATH": os.pathsep.join(paths)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        check=False,
    )
