from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.client.scripted import Caller, ScriptedServer

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server
    assert not server.script, "the script has answers that nobody asked for"
    assert not server.unexpected, "there were requests beyond the script"


@pytest.fixture(params=["sync", "async"])
def caller(request: pytest.FixtureRequest, server: ScriptedServer) -> Caller:
    return Caller(request.param, server)
