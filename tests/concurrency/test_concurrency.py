"""A few rounds of the race: more are `python -m tests.concurrency`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from d1ops.emulator import EngineName
from tests.concurrency.race import RUNNERS, Race

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("engine", list(EngineName))
def test_each_migration_is_applied_once_and_every_loser_is_told(engine: EngineName, tmp_path: Path) -> None:
    with Race(tmp_path, engine).open() as race:
        rounds = [race.run(number) for number in range(2)]
    assert [each.wrong for each in rounds] == [[], []]
    assert rounds[0].won + rounds[0].refused + rounds[0].partial + rounds[0].late == RUNNERS
    assert all(each.won >= 1 for each in rounds)
