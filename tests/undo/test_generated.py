"""A sample of what `python -m tests.undo` runs: generated rollback scripts make the round trip, on plain SQLite and on
workerd."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from d1ops.core.mirror import schema_of
from d1ops.core.schema import Schema, diff
from d1ops.core.sql import quote_identifier, split
from d1ops.core.tables import read_tables
from d1ops.core.trial import opened
from d1ops.core.values import Statement
from d1ops.database.workerd import WorkerdDatabase
from tests.support.node import MODULES
from tests.undo.kinds import KINDS, LOST, Case, cases
from tests.undo.run import applied_to, generated, run

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from d1ops.core.values import Row

SAMPLE = {case.kind.name: case for case in cases(range(1))}
REBUILDS = [case for name, case in SAMPLE.items() if name.startswith(("add ", "drop ", "change ", "move", "rename"))]
ON_WORKERD = [case for case in REBUILDS if case.kind.standings != LOST]


def test_the_command_has_every_kind_and_enough_cases() -> None:
    assert len(KINDS) >= 60
    assert len(cases(range(2))) >= 120


@pytest.mark.parametrize("name", list(SAMPLE)[::3])
def test_a_generated_script_makes_the_round_trip_or_is_refused_with_the_reason(name: str) -> None:
    result = run(SAMPLE[name])
    assert result.rollback.standing.value in result.case.kind.standings, result.rollback.reasons
    if result.rollback.standing.is_proved:
        assert result.differs == ()
    else:
        assert result.rollback.reasons


# -- workerd ---------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def workerd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WorkerdDatabase]:
    folder: Path = tmp_path_factory.mktemp("workerd")
    with closing(WorkerdDatabase("22222222-2222-2222-2222-222222222222", folder, [MODULES])) as database:
        yield database


@pytest.mark.parametrize("case", ON_WORKERD, ids=lambda case: case.kind.name)
def test_the_script_makes_the_round_trip_on_workerd(case: Case, workerd: WorkerdDatabase) -> None:
    empty = workerd.bookmark()
    rollback = generated(case)
    load(workerd, case)
    before = contents(workerd)
    workerd.batch([Statement(statement.sql) for statement in split(case.forward)])
    assert contents(workerd) != before
    workerd.batch([Statement(statement.sql) for statement in rollback.script.statements])
    after = contents(workerd)
    assert diff(before[0], after[0]) == ()
    assert after[1] == before[1]
    workerd.restore(empty)


def load(database: WorkerdDatabase, case: Case) -> None:
    """Bring the filled base over, triggers last so that they add nothing."""
    start, _ = applied_to(case)
    with closing(opened(start)) as engine:
        objects = [o for o in schema_of(engine).objects if o.sql is not None and not o.name.startswith("sqlite_")]
        tables = read_tables(engine)
        order = {"table": 0, "index": 1, "view": 2, "trigger": 3}
        made = [o for o in objects if o.type != "table" or o.name.lower() in tables]
        statements = [Statement(o.sql or "") for o in sorted(made, key=lambda o: order[o.type]) if o.type != "trigger"]
        statements.append(Statement("PRAGMA defer_foreign_keys = ON"))
        for table in tables.values():
            if table.content is not None:
                continue
            names = [*([table.rowid] if table.rowid else []), *table.columns]
            listed = ", ".join(map(quote_identifier, names))
            cells = ", ".join(f"quote({quote_identifier(name)})" for name in names)
            for row in engine.ask(f"SELECT {cells} FROM {quote_identifier(table.name)}"):
                values = ", ".join(map(str, row))
                statements.append(Statement(f"INSERT INTO {quote_identifier(table.name)} ({listed}) VALUES ({values})"))
        statements += [
            Statement(f"INSERT INTO {name} ({name}) VALUES ('rebuild')")
            for name in (quote_identifier(t.name) for t in tables.values() if t.content)
        ]
        statements += [Statement(o.sql or "") for o in made if o.type == "trigger"]
    database.batch(statements)


def contents(database: WorkerdDatabase) -> tuple[Schema, dict[str, list[Row]]]:
    """The schema, and the rows of every table, as workerd has them."""
    schema = Schema.from_rows(
        database.query("SELECT type, name, tbl_name, sql FROM sqlite_master ORDER BY rowid").rows
    ).users("d1_migrations")
    rows = {}
    for table in schema.tables():
        columns = database.query(
            "SELECT name FROM pragma_table_xinfo(?1) WHERE hidden <> 1 ORDER BY name", (table,)
        ).rows
        cells = ", ".join(f"quote({quote_identifier(str(name))})" for (name,) in columns)
        found = database.query(f"SELECT {cells} FROM {quote_identifier(table)}").rows
        if not table.startswith(("search_", "notes_")):
            rows[table] = sorted(found, key=repr)
    return schema, rows
