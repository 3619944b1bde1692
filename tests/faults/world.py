"""A project in a folder, a database in an emulator, and a way back: both are put back to a kept moment in milliseconds.

Commands run in this process through the command line's own entry, or as processes of their own where one is to be
killed. Waiting between attempts takes no time: the driver's clock is ours.
"""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest.mock import patch

from d1ops.cli.run import run
from d1ops.client import drivers
from d1ops.core.schema import SELECT_OBJECTS, Schema
from d1ops.core.sql import quote_identifier
from d1ops.core.values import Statement
from d1ops.database.sqlite import copy_database
from d1ops.emulator import Emulator, EngineName
from d1ops.emulator import Settings as ServerSettings
from tests.support.node import MODULES

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from d1ops.core.values import Result

REPOSITORY = Path(__file__).resolve().parents[2]
TOKEN = "secret-token-f3a91c77"
ENV = ("--env", "far")
PATIENCE_SECONDS = 120


class State(NamedTuple):
    """What a database is, for whoever compares: structure, rows to the last bit, and what is applied."""

    schema: str
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    ledger: tuple[str, ...]


@dataclass(frozen=True)
class Ended:
    code: int
    out: str
    err: str


class World:
    """One emulator and one project in `folder`. `observed` collects the requests of the commands, as words."""

    def __init__(self, folder: Path, engine: EngineName) -> None:
        self.folder = folder
        self.project = folder / "project"
        self.observed: list[str] = []
        self.server = Emulator(
            ServerSettings(folder=folder / "emulator", engine=engine, modules=(MODULES,), token=TOKEN),
            observe=lambda request, _: self.observed.append(_words(request)),
        )
        self.id = self.server.create_database("umbrella")
        (self.project / "config").mkdir(parents=True)
        (folder / "home").mkdir()
        (self.project / "config" / "far.toml").write_text(
            f'protected = false\n[database]\nkind = "cloudflare"\ndatabase_id = "{self.id}"\n'
        )

    @contextmanager
    def open(self) -> Iterator[World]:
        """Serve, and let this process's commands see nothing of the machine's own."""
        clean = {name: text for name, text in os.environ.items() if not name.startswith(_FOREIGN)}
        environ = {**clean, **self.server.environment(), "HOME": str(self.folder / "home"), "D1OPS_ACTOR": "tester"}
        with (
            self.server,
            patch.dict(os.environ, environ, clear=True),
            patch.object(drivers, "time", SimpleNamespace(sleep=lambda _: None)),
        ):
            yield self

    # -- files -----------------------------------------------------------------------------------------

    def write(self, folder: str, files: Mapping[str, str]) -> None:
        for name, text in files.items():
            path = self.project / "db" / folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    @property
    def local(self) -> Path:
        return self.project / ".d1ops"

    # -- the target ------------------------------------------------------------------------------------

    def ask(self, *statements: str) -> tuple[Result, ...]:
        """Run statements on the engine itself, past the API."""
        hosted = self.server.state.registry.by_id(self.id)
        with hosted.held():
            results = hosted.database.batch([Statement(sql) for sql in statements], lossy=True)
            hosted.travel.after_write()
        return results

    def state(self) -> State:
        (found,) = self.ask(SELECT_OBJECTS)
        everything = Schema.from_rows(found.rows)
        users = everything.users("d1_migrations")
        tables = sorted(users.tables())
        columns = self.ask(*(f"SELECT name FROM pragma_table_info('{table}')" for table in tables)) if tables else ()
        wanted = [
            _all_rows(table, [str(name) for (name,) in each.rows]) for table, each in zip(tables, columns, strict=True)
        ]
        rows = self.ask(*wanted) if wanted else ()
        ledger = (
            self.ask("SELECT name FROM d1_migrations ORDER BY id")[0].rows
            if everything.has_table("d1_migrations")
            else ()
        )
        return State(
            users.fingerprint(),
            tuple(
                (table, tuple(str(row[0]) for row in result.rows)) for table, result in zip(tables, rows, strict=True)
            ),
            tuple(str(name) for (name,) in ledger),
        )

    def tables(self) -> set[str]:
        return {str(name) for (name,) in self.ask("SELECT name FROM sqlite_master WHERE type = 'table'")[0].rows}

    def nonces(self) -> set[str]:
        if "d1ops_history" not in self.tables():
            return set()
        return {str(nonce) for (nonce,) in self.ask("SELECT nonce FROM d1ops_history")[0].rows}

    # -- moments ---------------------------------------------------------------------------------------

    def keep(self, name: str) -> None:
        """Keep this moment: the target with its bookmarks, and the local files."""
        kept = self.folder / "kept" / name
        kept.mkdir(parents=True)
        hosted = self.server.state.registry.by_id(self.id)
        with hosted.held():
            hosted.travel.present()
            copy_database(hosted.file, kept / "data.sqlite")
            shutil.copytree(hosted.folder / "bookmarks", kept / "bookmarks")
        if self.local.exists():
            shutil.copytree(self.local, kept / "local")
        shutil.copytree(self.project / "db", kept / "db")

    def put_back(self, name: str) -> None:
        kept = self.folder / "kept" / name
        hosted = self.server.state.registry.by_id(self.id)
        with hosted.held():
            copy_database(kept / "data.sqlite", hosted.file)
            shutil.rmtree(hosted.folder / "bookmarks")
            shutil.copytree(kept / "bookmarks", hosted.folder / "bookmarks")
            hosted.__dict__.pop("travel", None)
        shutil.rmtree(self.local, ignore_errors=True)
        if (kept / "local").exists():
            shutil.copytree(kept / "local", self.local)
        shutil.rmtree(self.project / "db")
        shutil.copytree(kept / "db", self.project / "db")

    # -- commands --------------------------------------------------------------------------------------

    def run(self, *argv: str) -> Ended:
        """Run a command in this process, with nobody to answer."""
        out, err = io.StringIO(), io.StringIO()
        with (
            Path(os.devnull).open() as nobody,
            patch.object(sys, "stdin", nobody),
            redirect_stdout(out),
            redirect_stderr(err),
        ):
            code = run([*argv, *ENV, "--project", str(self.project)])
        return Ended(code, out.getvalue(), err.getvalue())

    def ok(self, *argv: str) -> Ended:
        ended = self.run(*argv)
        assert ended.code == 0, f"d1ops {' '.join(argv)}: {ended}"
        return ended

    def start(self, *argv: str) -> subprocess.Popen[str]:
        """Start a command as a process of its own."""
        return subprocess.Popen(
            [sys.executable, "-m", "d1ops", *argv, *ENV, "--project", str(self.project)],
            cwd=self.project,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


_FOREIGN = ("CLOUDFLARE_", "WRANGLER_", "D1OPS_", "XDG_", "GITHUB_", "GITLAB_")


def _all_rows(table: str, columns: Sequence[str]) -> str:
    """A query of every row as one text, exact for every value, in an order of its own."""
    values = " || ',' || ".join(f"quote({quote_identifier(column)})" for column in columns)
    return f"SELECT {values} FROM {quote_identifier(table)} ORDER BY 1"


def _words(request: Any) -> str:
    """A request in words, for reports: its path's end, and how its first statement begins."""
    body = request.body[:160].decode(errors="replace")
    end = "/".join(request.path.rstrip("/").split("/")[-2:]) if "time_travel" in request.path else ""
    return f"{request.method} {end or request.path.rsplit('/', 1)[-1]} {body}".strip()


def files_below(folder: Path) -> Sequence[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]
