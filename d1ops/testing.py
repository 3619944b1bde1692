"""A pytest plugin: D1 databases and a D1 API for the tests of any project that has migrations.

    def test_artists(d1_database): ...    # D1's rules, the project's migrations applied, a new one for every test
    def test_worker(d1_server): ...       # Cloudflare's API on loopback, CLOUDFLARE_* pointing at it

The migrations are those of the project at pytest's root folder, as d1ops finds them for the environment `dev`. The ini
option `d1_project` names another folder, below the root, and `d1_env` another environment.
"""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from d1ops.database.sqlite import SqliteDatabase
    from d1ops.emulator import Emulator


def pytest_addoption(parser: pytest.Parser) -> None:
    """Declare the plugin's settings."""
    parser.addini("d1_project", "The folder of the D1 project, below pytest's root folder.", default=".")
    parser.addini("d1_env", "The d1ops environment whose migrations d1_database applies.", default="dev")


@pytest.fixture(scope="session")
def d1_migrated_file(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file of a database with the project's migrations applied, made once; `d1_database` is a copy of it."""
    import os
    from contextlib import closing

    from d1ops.config.load import load_settings
    from d1ops.core.ledger import EventKind, ledger_change, ledger_ddl
    from d1ops.core.values import Statement
    from d1ops.database.sqlite import SqliteDatabase
    from d1ops.ops.workspace import read_catalog

    project = pytestconfig.rootpath / str(pytestconfig.getini("d1_project"))
    folders = load_settings(project, str(pytestconfig.getini("d1_env")), os.environ).catalog
    file = tmp_path_factory.mktemp("d1") / "migrated.sqlite"
    with closing(SqliteDatabase(file)) as database:
        database.query(ledger_ddl(folders.ledger))
        for migration in read_catalog(project, folders.migrations, folders.rollbacks).migrations:
            script = [Statement(statement.sql) for statement in migration.script.statements]
            database.batch([*script, ledger_change(folders.ledger, EventKind.MIGRATE, migration.file)])
    return file


@pytest.fixture
def d1_database(d1_migrated_file: Path, tmp_path: Path) -> Iterator[SqliteDatabase]:
    """A database of the test's own, under D1's rules, with the project's migrations applied."""
    from contextlib import closing

    from d1ops.database.sqlite import SqliteDatabase

    file = tmp_path / "d1.sqlite"
    shutil.copyfile(d1_migrated_file, file)
    with closing(SqliteDatabase(file)) as database:
        yield database


@pytest.fixture
def d1_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Emulator]:
    """Cloudflare's D1 API on a free loopback port, with the CLOUDFLARE_* variables of this process pointing at it.

    It starts empty; `create_database(name)` returns the id of a new database.
    """
    from d1ops.emulator import Emulator

    with Emulator() as server:
        for name, value in server.environment().items():
            monkeypatch.setenv(name, value)
        yield server
