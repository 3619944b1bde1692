"""Up, down and up again over the whole database."""

from __future__ import annotations

import pytest

from d1ops.core.catalog import Catalog, build_catalog
from d1ops.core.reversibility import judge
from d1ops.core.whole_way import WholeWay, go_whole_way
from tests.support.catalogs import generated_catalog

BASE = ("CREATE TABLE a (id INTEGER PRIMARY KEY, x TEXT); INSERT INTO a VALUES (1, 'one');", "DROP TABLE a;")


def catalog(*scripts: tuple[str, str]) -> Catalog:
    return build_catalog(
        {f"{number:04}_m.sql": forward.encode() for number, (forward, _) in enumerate(scripts, 1)},
        {f"{number:04}_rollback.sql": back.encode() for number, (_, back) in enumerate(scripts, 1)},
    )


def way(found: Catalog) -> WholeWay:
    return go_whole_way(found, judge(found), rows=3, seed=1)


def test_it_leads_down_to_nothing_and_up_again() -> None:
    found = way(generated_catalog(30, 12, seed=3))
    assert (found.holds, found.rolled_back, found.ends_at) == (True, 30, None)


def test_it_ends_at_what_nothing_undoes() -> None:
    middle = ("UPDATE a SET x = upper(x);", "SELECT 1;")
    found = way(catalog(BASE, middle, ("CREATE INDEX i ON a (x);", "DROP INDEX i;")))
    assert found.ends_at is not None
    assert (found.holds, found.rolled_back, found.ends_at.number) == (True, 1, 2)


def test_it_tells_when_a_rollback_fails_only_in_the_whole_database() -> None:
    # The view of 0003 does not hold; ADD COLUMN passes it, and no other ALTER TABLE does.
    scripts = catalog(BASE, ("ALTER TABLE a ADD COLUMN y;", "ALTER TABLE a DROP COLUMN y;"))
    judged = judge(scripts)
    with_view = catalog(
        BASE,
        ("ALTER TABLE a ADD COLUMN y; CREATE VIEW v AS SELECT z FROM b;", "ALTER TABLE a DROP COLUMN y; DROP VIEW v;"),
    )
    found = go_whole_way(with_view, judged, rows=3, seed=1)
    assert found.problems[0].startswith("rolling back 0002: db/rollbacks/0002_rollback.sql:1:1: error in view v")


@pytest.mark.parametrize(
    ("back", "says"),
    [
        ("DROP INDEX i; DELETE FROM a;", "down to before 0002, a lost what was not made since"),
        ("DROP INDEX i; UPDATE a SET x = NULL;", "down to before 0002, a.x lost what was not made since"),
        ("SELECT 1;", "index i is left over after rolling back 0002"),
        ("DROP INDEX i; ALTER TABLE a ADD COLUMN z;", "table a has another form after rolling back 0002"),
    ],
)
def test_it_compares_schema_and_all_rows_by_itself(back: str, says: str) -> None:
    judged = judge(catalog(BASE, ("CREATE INDEX i ON a (x);", "DROP INDEX i;")))
    found = go_whole_way(catalog(BASE, ("CREATE INDEX i ON a (x);", back)), judged, rows=3, seed=1)
    assert found.problems == (says,)
