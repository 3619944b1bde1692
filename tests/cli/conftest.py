"""The command line over real projects in a folder of their own, in this process or as a process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from tests.cli.shell import REPOSITORY, Shell

if TYPE_CHECKING:
    from pathlib import Path

TOKEN = "cf-token-5f0c9a7e21d84b36"

MIGRATIONS = {
    "0001_base.sql": (
        "CREATE TABLE users (id TEXT PRIMARY KEY, email TEXT);\n"
        "CREATE TABLE artists (id TEXT PRIMARY KEY, user_id TEXT REFERENCES users (id) ON DELETE CASCADE);\n"
        "CREATE TABLE reviews (id TEXT PRIMARY KEY, user_id TEXT REFERENCES users (id) ON DELETE SET NULL);\n"
    ),
    "0002_clerk.sql": (
        "ALTER TABLE users ADD COLUMN clerk_id TEXT;\n"
        "CREATE UNIQUE INDEX users_clerk ON users (clerk_id) WHERE clerk_id IS NOT NULL;\n"
    ),
    "0003_index.sql": "CREATE INDEX artists_user ON artists (user_id);\n",
}
ROLLBACKS = {
    "0001_rollback.sql": "DROP TABLE reviews;\nDROP TABLE artists;\nDROP TABLE users;\n",
    "0002_rollback.sql": "DROP INDEX users_clerk;\nALTER TABLE users DROP COLUMN clerk_id;\n",
    "0003_rollback.sql": "DROP INDEX artists_user;\n",
}
DANGEROUS = (
    "PRAGMA defer_foreign_keys = ON;\n"
    "CREATE TABLE users_new (id TEXT PRIMARY KEY, email TEXT);\n"
    "INSERT INTO users_new SELECT id, email FROM users;\n"
    "DROP TABLE users;\n"
    "ALTER TABLE users_new RENAME TO users;\n"
)
ROWS = (
    "INSERT INTO users (id, email, clerk_id) VALUES ('u1', 'a@b.c', 'c1'), ('u2', 'd@e.f', NULL)",
    "INSERT INTO artists VALUES ('a1', 'u1'), ('a2', 'u1'), ('a3', 'u2')",
    "INSERT INTO reviews VALUES ('r1', 'u1'), ('r2', NULL)",
)


@pytest.fixture
def empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Shell:
    """A folder without any configuration, and nothing of the machine's own in the environment."""
    root = tmp_path / "project"
    root.mkdir()
    (tmp_path / "home").mkdir()
    for name in [name for name in os.environ if name.startswith(("CLOUDFLARE_", "WRANGLER_", "D1OPS_", "XDG_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", TOKEN)
    monkeypatch.chdir(root)
    return Shell(root, capfd)


@pytest.fixture
def project(empty: Shell) -> Shell:
    """Three small migrations, nothing applied: env dev in a file, env live in another one and protected."""
    (empty.root / "config").mkdir()
    empty.configure("dev", protected=False)
    empty.configure("live", protected=True)
    for folder, files in (("migrations", MIGRATIONS), ("rollbacks", ROLLBACKS)):
        (empty.root / "db" / folder).mkdir(parents=True)
        for name, text in files.items():
            (empty.root / "db" / folder / name).write_text(text)
    return empty


@pytest.fixture
def filled(project: Shell) -> Shell:
    """The same with everything applied to dev, and a few linked rows."""
    project.ok("migrate", "--yes")
    project.write(*ROWS)
    return project


@pytest.fixture
def sample(empty: Shell) -> Shell:
    """The sample marketplace, nothing applied."""
    import shutil

    shutil.copytree(REPOSITORY / "config", empty.root / "config")
    shutil.copytree(REPOSITORY / "db", empty.root / "db")
    return empty
