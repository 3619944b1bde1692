"""What goes into a backup comes out of it bit for bit, on every engine, whole or in ranges."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.lossless.sweep import SMALL, backed_up, contents_of, fill, random_database

if TYPE_CHECKING:
    from pathlib import Path

    from d1ops.core.paging import Limits
    from tests.contract.conftest import Adapter


@pytest.mark.parametrize(("seed", "limits"), [(1, SMALL), (2, None)])
def test_random_schemas_and_rows_come_back_bit_for_bit(
    database: Adapter, tmp_path: Path, seed: int, limits: Limits | None
) -> None:
    made = random_database(seed, rows=12)
    fill(database, made)
    expected = made.expected()
    with backed_up(database, tmp_path, limits) as copy:
        found = contents_of(copy)
    assert found.keys() == expected.keys()
    for table, rows in expected.items():
        assert found[table] == rows, table
