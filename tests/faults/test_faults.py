"""A sample of the matrix: other cases are `python -m tests.faults`."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from d1ops.emulator import EngineName
from tests.faults.matrix import Kind, Matrix
from tests.faults.scenarios import SCENARIOS

if TYPE_CHECKING:
    from collections.abc import Iterator

SEED = 20261122
CASES = {EngineName.SQLITE: 5, EngineName.WORKERD: 2}


@pytest.fixture(params=list(EngineName))
def matrix(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Matrix, int]]:
    engine: EngineName = request.param
    with Matrix(tmp_path_factory.mktemp("faults"), engine).open() as matrix:
        yield matrix, CASES[engine]


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_a_spoiled_command_leaves_before_or_after_and_the_next_one_completes(
    matrix: tuple[Matrix, int], scenario: str
) -> None:
    found, number = matrix
    cases = found.cases(scenario)
    assert {case.kind for case in cases} == set(Kind)
    for case in random.Random(f"{SEED}:{scenario}").sample(cases, number):
        assert found.run(case) == []
