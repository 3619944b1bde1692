"""Both engines, open for the session."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.differential.compare import Pair, open_pair

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pair]:
    with open_pair(tmp_path_factory.mktemp("pair")) as pair:
        yield pair
