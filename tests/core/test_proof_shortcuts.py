"""The proof leaves out what cannot matter; the thorough one leaves out nothing. Both must say the same.

More of the same: `python -m tests.core.test_proof_shortcuts FIRST LAST` compares the catalogs of these seeds.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest

from d1ops.core.catalog import build_catalog
from d1ops.core.reversibility import judge
from tests.support.catalogs import entangled_catalog, generated_catalog

if TYPE_CHECKING:
    from d1ops.core.catalog import Catalog
    from d1ops.core.reversibility import Reversibility


def said(one: Reversibility) -> tuple[Any, ...]:
    """What does not depend on which rows the draw made."""
    return one.verdict, one.alone, one.needed_by, one.lost, one.obstacles, one.made, one.reordered


def differences(catalog: Catalog) -> list[tuple[Any, Any]]:
    pairs = zip(judge(catalog), judge(catalog, is_thorough=True), strict=True)
    return [(said(one), said(other)) for one, other in pairs if said(one) != said(other)]


@pytest.mark.parametrize("seed", [*range(20), 327, 328, 338])
def test_entangled_migrations(seed: int) -> None:
    assert differences(entangled_catalog(12, seed)) == []


@pytest.mark.parametrize("seed", [1, 2])
def test_migrations_as_projects_have_them(seed: int) -> None:
    assert differences(generated_catalog(24, 12, seed)) == []


def test_rows_that_wait_for_their_parents() -> None:
    catalog = build_catalog(
        {
            "0001_a.sql": b"CREATE TABLE p (id INTEGER PRIMARY KEY);"
            b"CREATE TABLE c (id INTEGER PRIMARY KEY, p REFERENCES p DEFERRABLE INITIALLY DEFERRED);",
            "0002_b.sql": b"ALTER TABLE c ADD COLUMN note TEXT;",
            "0003_c.sql": b"INSERT INTO c (id, p) VALUES (900, 901); INSERT INTO p VALUES (901);",
        },
        {
            "0001_rollback.sql": b"DROP TABLE c; DROP TABLE p;",
            "0002_rollback.sql": b"ALTER TABLE c DROP COLUMN note;",
            "0003_rollback.sql": b"DELETE FROM p WHERE id = 901; DELETE FROM c WHERE id = 900;",
        },
    )
    assert differences(catalog) == []
    assert [one.alone for one in judge(catalog)][:2] == [False, True]


def main(first: int, last: int) -> None:
    for seed in range(first, last):
        found = differences(entangled_catalog(12, seed))
        sys.stdout.write(f"seed {seed}: {len(found)} differences\n")
        for one, other in found:
            sys.stdout.write(f"  short    {one}\n  thorough {other}\n")


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
