"""A sample of `python -m tests.expert`: our advice reads no more than `.expert`'s, on no more indexes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.expert.compare import compare
from tests.expert.worlds import SHOP

if TYPE_CHECKING:
    from pathlib import Path


def test_our_advice_beside_that_of_the_shell(tmp_path: Path) -> None:
    found = compare(SHOP, tmp_path, queries=slice(0, 12))
    assert len(found.lines) == 12
    assert found.worse == ()
    assert len(found.our_indexes) <= len(found.expert_indexes)
    assert sum(line.ours for line in found.lines) < sum(line.without for line in found.lines) / 3
