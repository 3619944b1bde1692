"""Our advice beside that of the sqlite3 shell's `.expert`: rows read by every query, counted by workerd."""

from __future__ import annotations

import shutil
import subprocess
from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import apsw

from d1ops.core.audit.advice.advise import Scratch, advise
from d1ops.core.engine import Engine
from d1ops.core.mirror import schema_of
from d1ops.core.queries import parse_queries
from d1ops.core.sql import quote_identifier
from d1ops.core.values import Statement
from d1ops.core.workload import merge
from d1ops.database.workerd import WorkerdDatabase, database_file
from d1ops.ops.scratch import DatabaseMeter
from tests.support.node import MODULES

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from d1ops.core.queries import Query
    from d1ops.core.schema import Schema
    from d1ops.core.values import Value
    from tests.expert.worlds import World


@dataclass(frozen=True)
class Line:
    """Rows read by one execution of a query, a mean over its parameters."""

    world: str
    query: str
    without: float
    ours: float
    experts: float


@dataclass(frozen=True)
class Comparison:
    world: str
    lines: tuple[Line, ...]
    our_indexes: tuple[str, ...]
    expert_indexes: tuple[str, ...]

    @property
    def worse(self) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.ours > line.experts)

    @property
    def better(self) -> tuple[Line, ...]:
        return tuple(line for line in self.lines if line.ours < line.experts)


def compare(world: World, folder: Path, *, queries: slice = slice(None), analyze: bool = False) -> Comparison:
    """Fill a world, ask both for advice, and measure every query without indexes, with ours and with the other's."""
    file = database_file(folder / "state", "world")
    file.parent.mkdir(parents=True)
    with closing(apsw.Connection(str(file))) as connection:
        connection.execute(world.schema)
        for statement in world.fill:
            connection.execute(statement)
        if analyze:
            connection.execute("ANALYZE")
            connection.execute("DELETE FROM sqlite_stat4; ANALYZE sqlite_schema; DROP TABLE sqlite_stat4")
    shutil.copyfile(file, folder / "shell.sqlite")
    engine = Engine(apsw.Connection(str(folder / "shell.sqlite")))
    wanted = parse_queries(world.queries.encode(), f"{world.name}.sql")[queries]
    database = WorkerdDatabase("world", folder / "state", (MODULES,))
    with closing(engine), closing(database):
        schema = schema_of(engine)
        statistics = engine.ask("SELECT tbl, idx, stat FROM sqlite_stat1") if analyze else []
        advice = advise(
            schema,
            statistics,
            merge(wanted),
            (),
            Scratch(engine, DatabaseMeter(database), "world"),
            ledger="d1_migrations",
        )
        expert = _expert(folder / "shell.sqlite", wanted)
        samples = _samples(engine, schema, wanted)
        ours = tuple(index.create_sql for index in advice.indexes)
        without = _rows_read(database, wanted, samples, ())
        with_ours = _rows_read(database, wanted, samples, ours)
        with_experts = _rows_read(database, wanted, samples, expert)
    lines = tuple(
        Line(world.name, query.sql, *figures)
        for query, *figures in zip(wanted, without, with_ours, with_experts, strict=True)
    )
    return Comparison(world.name, lines, ours, expert)


def _samples(engine: Engine, schema: Schema, queries: Sequence[Query]) -> list[tuple[tuple[Value, ...], ...]]:
    from d1ops.core.audit.advice.samples import samples_of
    from d1ops.core.audit.advice.terms import Recorder

    recorder = Recorder(engine, schema, frozenset(schema.users("d1_migrations").tables()))
    with closing(recorder):
        return [
            samples_of(
                engine, query.sql, len(query.parameters), recorder.terms_of(query.sql).parameters, recorder.columns
            )
            for query in queries
        ]


def _expert(file: Path, queries: Sequence[Query]) -> tuple[str, ...]:
    """Return every index that `.expert` proposes for any of the queries, each once."""
    found: dict[str, None] = {}
    for query in queries:
        text = f".expert\n{' '.join(query.sql.split())};\n"
        done = subprocess.run(["sqlite3", "-batch", str(file)], input=text, capture_output=True, text=True, check=True)
        assert not done.stderr, done.stderr
        for line in done.stdout.splitlines():
            if line.startswith("CREATE INDEX"):
                found.setdefault(line.split(" -- ")[0].strip())
    return tuple(found)


def _rows_read(
    database: WorkerdDatabase,
    queries: Sequence[Query],
    samples: Sequence[tuple[tuple[Value, ...], ...]],
    indexes: Sequence[str],
) -> list[float]:
    """Measure every query with indexes; the database is then as it was."""
    _drop_all(database)
    if indexes:
        database.batch([Statement(sql) for sql in indexes])
    meter = DatabaseMeter(database)
    figures: list[float] = []
    for query, values in zip(queries, samples, strict=True):
        cost = meter.measure([Statement(query.sql, each) for each in values])
        assert cost is not None, query.sql
        figures.append(cost.rows_read)
    _drop_all(database)
    return figures


def _drop_all(database: WorkerdDatabase) -> None:
    rows = database.query("SELECT name FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL").rows
    if rows:
        database.batch([Statement(f"DROP INDEX {quote_identifier(str(name))}") for (name,) in rows])
