"""The databases that keep the contract: a SQLite file, workerd, and the HTTP client against the emulator over both."""

from __future__ import annotations

from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import pytest

from d1ops.client import Budget, D1Client, Settings
from d1ops.database.base import Atomicity
from d1ops.database.http import HttpDatabase
from d1ops.database.sqlite import SqliteDatabase
from d1ops.database.workerd import WorkerdDatabase
from d1ops.emulator import Emulator, EngineName
from d1ops.emulator import Settings as ServerSettings
from tests.contract.differences import Leg
from tests.support.node import MODULES

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from d1ops.core.values import Bookmark

Adapter: TypeAlias = SqliteDatabase | WorkerdDatabase | HttpDatabase


@dataclass
class Opened:
    """A database that stays open for the whole run, and the newest bookmark of its empty state."""

    database: Adapter
    empty: Bookmark


@pytest.fixture(scope="session", params=list(Leg))
def leg(request: pytest.FixtureRequest) -> Leg:
    assert isinstance(request.param, Leg)
    return request.param


@pytest.fixture(scope="session")
def opened(leg: Leg, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Opened]:
    folder = tmp_path_factory.mktemp(leg.name.lower())
    with ExitStack() as stack:
        database = stack.enter_context(closing(_open(leg, folder, stack)))
        yield Opened(database, database.bookmark())


@pytest.fixture
def database(opened: Opened) -> Adapter:
    """The leg's database, empty."""
    if opened.database.query("SELECT count(*) FROM sqlite_schema").scalar():
        opened.empty = opened.database.restore(opened.empty).bookmark
    return opened.database


def _open(leg: Leg, folder: Path, stack: ExitStack) -> Adapter:
    match leg:
        case Leg.SQLITE:
            return SqliteDatabase(folder / "data.sqlite")
        case Leg.WORKERD:
            return WorkerdDatabase("11111111-1111-1111-1111-111111111111", folder, [MODULES])
        case Leg.HTTP | Leg.HTTP_WORKERD:
            engine = EngineName.SQLITE if leg is Leg.HTTP else EngineName.WORKERD
            server = stack.enter_context(Emulator(ServerSettings(engine=engine, modules=(MODULES,))))
            settings = Settings(budget=Budget(10**6), sleep=lambda seconds: None)
            client = D1Client(server.settings.account_id, "t0ken", base_url=server.base_url, settings=settings)
            return HttpDatabase(client, server.create_database("app"), name="app", atomicity=Atomicity.PROVED)
