"""A project over the embedded database, and the sample project filled with a few linked rows."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from d1ops.database.sqlite import SqliteDatabase
from tests.support.project import Project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    database = SqliteDatabase(tmp_path / "state" / "dev.sqlite")
    yield Project(tmp_path, database)
    database.close()


@pytest.fixture
def small(project: Project) -> Project:
    """Three migrations: a parent with children of every action, a column, an index."""
    return project.write(
        {
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
        },
        {
            "0001_rollback.sql": "DROP TABLE reviews;\nDROP TABLE artists;\nDROP TABLE users;\n",
            "0002_rollback.sql": "DROP INDEX users_clerk;\nALTER TABLE users DROP COLUMN clerk_id;\n",
            "0003_rollback.sql": "DROP INDEX artists_user;\n",
        },
    )


ROWS = (
    "INSERT INTO users (id, email, clerk_id) VALUES ('u1', 'a@b.c', 'c1'), ('u2', 'd@e.f', NULL)",
    "INSERT INTO artists VALUES ('a1', 'u1'), ('a2', 'u1'), ('a3', 'u2')",
    "INSERT INTO reviews VALUES ('r1', 'u1'), ('r2', NULL)",
)


@pytest.fixture
def filled(small: Project) -> Project:
    small.migrate()
    small.run(*ROWS)
    return small
