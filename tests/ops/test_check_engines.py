"""The same verdicts whichever engine runs the scripts: memory, the SQLite adapter, workerd."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from d1ops.core.catalog import build_catalog
from d1ops.core.trial import run_in_memory
from d1ops.core.verdict import Verdict
from d1ops.database.sqlite import SqliteDatabase
from d1ops.database.workerd import WorkerdDatabase
from d1ops.ops.check import check, run_on
from d1ops.ops.workspace import read_catalog
from tests.support.catalogs import generated_catalog
from tests.support.node import MODULES
from tests.support.project import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from d1ops.core.trial import RunScript
    from d1ops.core.verdict import Reversibility

CATALOGS = {
    "sample": read_catalog(REPOSITORY, "db/migrations", "db/rollbacks"),
    "text index": build_catalog(
        {
            "0001_notes.sql": b"CREATE TABLE notes (id INTEGER PRIMARY KEY, body TEXT NOT NULL);",
            "0002_search.sql": b"CREATE VIRTUAL TABLE search USING fts5 (body, title);",
            "0003_index.sql": b"CREATE INDEX notes_body ON notes (body);",
        },
        {
            "0001_rollback.sql": b"DROP TABLE notes;",
            "0002_rollback.sql": b"DROP TABLE search;",
            "0003_rollback.sql": b"DROP INDEX notes_body;",
        },
    ),
    "generated": generated_catalog(30, 12, seed=4),
}


@pytest.fixture(scope="module")
def workerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunScript]:
    identifier = "11111111-1111-1111-1111-111111111111"
    with closing(WorkerdDatabase(identifier, tmp_path_factory.mktemp("check"), [MODULES])) as database:
        yield run_on(database)


def said(one: Reversibility) -> tuple[Any, ...]:
    return one.migration.label, one.verdict, one.alone, one.lost, one.needed_by, len(one.obstacles), one.warnings


@pytest.mark.parametrize("name", CATALOGS)
def test_workerd_gives_the_verdicts_of_the_engine_in_memory(name: str, workerd: RunScript) -> None:
    catalog = CATALOGS[name]
    assert [said(one) for one in check(catalog, run=workerd).judged] == [said(one) for one in check(catalog).judged]


def test_the_sqlite_adapter_gives_the_same_verdicts(tmp_path: Path) -> None:
    catalog = CATALOGS["sample"]
    with closing(SqliteDatabase(tmp_path / "data.sqlite")) as database:
        found = check(catalog, run=run_on(database)).judged
        assert database.query("SELECT count(*) FROM sqlite_schema").scalar() == 0
    assert [said(one) for one in found] == [said(one) for one in check(catalog).judged]


def test_a_rejected_statement_is_placed_in_its_file_by_any_engine(workerd: RunScript) -> None:
    catalog = build_catalog(
        {"0001_a.sql": b"CREATE TABLE a (id);"}, {"0001_rollback.sql": b"DROP TABLE a;\nDROP TABLE b;"}
    )
    for run in (workerd, run_in_memory):
        (one,) = check(catalog, run=run).judged
        assert one.verdict is Verdict.UNPROVEN
        assert one.evidence[0].startswith("the rollback script fails: db/rollbacks/0001_rollback.sql:2:"), one.evidence
