"""Emulators over both engines, and the clients that judge them."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pytest

from d1ops.client import Budget, D1Client
from d1ops.client import Settings as ClientSettings
from d1ops.emulator import Emulator, EngineName, Settings
from tests.support.node import MODULES, NODE, WRANGLER, node_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

TOKEN = "token-that-may-edit"
READ_TOKEN = "token-that-may-read"


def settings(**changes: Any) -> Settings:
    return Settings(**{"token": TOKEN, "read_token": READ_TOKEN, "modules": (MODULES,), **changes})


def client(server: Emulator, *, token: str = TOKEN, **changes: Any) -> D1Client:
    patient = {"budget": Budget(10**6), "sleep": lambda seconds: None, "spread": lambda: 0.0, **changes}
    return D1Client(server.settings.account_id, token, base_url=server.base_url, settings=ClientSettings(**patient))


@pytest.fixture(scope="session", params=list(EngineName))
def engine(request: pytest.FixtureRequest) -> EngineName:
    assert isinstance(request.param, EngineName)
    return request.param


@pytest.fixture(scope="session")
def server(engine: EngineName) -> Iterator[Emulator]:
    """One emulator an engine for all tests; each makes databases of its own."""
    with Emulator(settings(engine=engine)) as server:
        yield server


@pytest.fixture
def api(server: Emulator) -> Iterator[D1Client]:
    with client(server) as api:
        yield api


@pytest.fixture
def quick() -> Iterator[Emulator]:
    """An emulator of its own, over SQLite."""
    with Emulator(settings()) as server:
        yield server


@dataclass
class Wrangler:
    """Real wrangler in a project of its own, pointed at an emulator."""

    root: Path
    server: Emulator
    ids: dict[str, str] = field(default_factory=dict)

    def configure(self, name: str, database_id: str) -> None:
        self.ids[name] = database_id
        databases = [
            {"binding": key.upper(), "database_name": key, "database_id": value} for key, value in self.ids.items()
        ]
        (self.root / "wrangler.json").write_text(
            json.dumps({"name": "app", "compatibility_date": "2026-11-01", "d1_databases": databases})
        )

    def run(self, *arguments: str, expect: int = 0) -> str:
        """Run a command and return all that it says."""
        return "".join(self._run(arguments, expect))

    def _run(self, arguments: tuple[str, ...], expect: int) -> tuple[str, str]:
        done = subprocess.run(
            [str(NODE), str(WRANGLER), "d1", *arguments],
            cwd=self.root,
            env={**node_environment(), **self.server.environment(), "HOME": str(self.root)},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == expect, done.stdout + done.stderr
        return done.stdout, done.stderr

    def json(self, *arguments: str, expect: int = 0) -> Any:
        out, _ = self._run((*arguments, "--json"), expect)
        start = min(place for place in (out.find("["), out.find("{")) if place >= 0)
        return json.loads(out[start:])


@pytest.fixture
def wrangler(server: Emulator, tmp_path: Path) -> Wrangler:
    return Wrangler(tmp_path, server)
