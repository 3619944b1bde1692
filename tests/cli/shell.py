"""A shell for tests: runs the command line and looks at everything that a user would see."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from d1ops.cli.run import run
from d1ops.core.values import Statement
from d1ops.database.sqlite import SqliteDatabase

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pytest

    from d1ops.core.values import Row

REPOSITORY = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    argv: tuple[str, ...]
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


@dataclass
class Shell:
    """A project folder, and the commands run in it. `seen` collects every output."""

    root: Path
    capture: pytest.CaptureFixture[str]

    def __post_init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, *argv: str) -> Ended:
        """Run a command in this process."""
        self.capture.readouterr()
        code = run(argv)
        out, err = self.capture.readouterr()
        self.seen += [out, err]
        return Ended(argv, code, out, err)

    def ok(self, *argv: str) -> Ended:
        ended = self(*argv)
        assert ended.code == 0, ended
        return ended

    def process(self, *argv: str, environment: Mapping[str, str] | None = None) -> Ended:
        """Run a command as a process of its own, with nobody to answer."""
        done = subprocess.run(
            [sys.executable, "-m", "d1ops", *argv],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY), **(environment or {})},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        return Ended(argv, done.returncode, done.stdout, done.stderr)

    def shell(self, script: str, *argv: str) -> Ended:
        """Run a script of the system's shell as `process` runs a command, to which `argv` are its parameters."""
        done = subprocess.run(
            ["/bin/sh", "-c", script.replace("python", sys.executable), "sh", *argv],
            cwd=self.root,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
        return Ended(argv, done.returncode, done.stdout, done.stderr)

    def configure(self, env: str, *, protected: bool, more: str = "") -> None:
        (self.root / "config" / f"{env}.toml").write_text(
            f'protected = {str(protected).lower()}\n{more}\n[database]\nkind = "sqlite"\npath = "data/{env}.sqlite"\n'
        )

    def migration(self, name: str, text: str | bytes) -> None:
        self._script("migrations", name, text)

    def rollback(self, name: str, text: str | bytes) -> None:
        self._script("rollbacks", name, text)

    def _script(self, folder: str, name: str, text: str | bytes) -> None:
        (self.root / "db" / folder / name).write_bytes(text if isinstance(text, bytes) else text.encode())

    @property
    def file(self) -> Path:
        return self.root / "data" / "dev.sqlite"

    def write(self, *statements: str) -> None:
        with closing(SqliteDatabase(self.file)) as database:
            database.batch([Statement(sql) for sql in statements])

    def read(self, sql: str) -> tuple[Row, ...]:
        with closing(SqliteDatabase(self.file, create=False)) as database:
            return database.query(sql).rows

    def tree(self) -> dict[str, str]:
        """Every file of the project but local state, by what it holds; the database is one of them."""
        return {
            str(path.relative_to(self.root)): hashlib.sha256(path.read_bytes()).hexdigest()
            for path in sorted(self.root.rglob("*"))
            if path.is_file() and ".d1ops" not in path.parts and ".bookmarks" not in str(path)
        }
