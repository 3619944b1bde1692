"""A seeded sample of `python -m tests.mutations`: what plain SQLite says is wrong, the proof says as well."""

from __future__ import annotations

import pytest

from tests.mutations.__main__ import SEED
from tests.mutations.run import Result, run, sampled

NUMBER = 36


@pytest.fixture(scope="module")
def results() -> list[Result]:
    return [run(subject, mutant) for subject, mutant in sampled(SEED, NUMBER)]


def test_no_defect_survives(results: list[Result]) -> None:
    assert [(result.subject, result.mutant) for result in results if result.survived] == []
    assert len({result.mutant.kind for result in results}) >= 30
    assert sum(result.truth == "wrong" for result in results) >= NUMBER // 2


def test_another_order_of_columns_is_warned_of() -> None:
    seeded = [(subject, mutant) for subject, mutant in sampled(SEED, 10**6) if mutant.kind == "column order"]
    results = [run(subject, mutant) for subject, mutant in seeded]
    assert {result.truth for result in results} == {"reordered"}
    assert any("has its columns in another order" in (result.caught or "") for result in results)
    assert all(result.caught for result in results)
