"""Scratch databases for measuring: a copy of a verified backup, or generated rows; workerd counts where it is there.

Nothing here reaches a target.
"""

from __future__ import annotations

import shutil
import tempfile
import time
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from d1ops.core.audit.advice.advise import Scratch
from d1ops.core.audit.advice.scratch import Cost, EngineMeter, NotRun
from d1ops.core.mirror import build_mirror
from d1ops.core.rows import generate
from d1ops.core.rules import MAX_REQUEST_SECONDS
from d1ops.core.sql import fold
from d1ops.core.values import Statement
from d1ops.database.sqlite import open_copy
from d1ops.errors import ConfigError, DatabaseError, StatementRejected, UnexpectedResponse, Unreachable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from d1ops.core.engine import Engine
    from d1ops.core.schema import Schema
    from d1ops.core.values import Row
    from d1ops.database.workerd import WorkerdDatabase
    from d1ops.ops.backup import VerifiedBackup

SEED = 1
MOST_ROWS = 5_000
"""The largest table gets so many rows, and the others in proportion."""
FEWEST_KNOWN_ROWS = 1_000
"""A target whose largest table has fewer is no measure for the others."""
FEW_ROWS = 20
EQUAL_ROWS = 100
"""Where a smaller table has fewer rows of a value than the target, it still has so many, if the target has."""
ROWS_BY_DEPTH = (40, 240, 1_200)
"""Rows without statistics: of a table that others refer to, of one that refers to it, of one below that. So a parent
has several children, which is what an index is for."""


DEFER = Statement("PRAGMA defer_foreign_keys = ON")


class DatabaseMeter:
    """Counts by a database that says what it bills: workerd."""

    name = "workerd"
    is_exact = True

    def __init__(self, database: WorkerdDatabase) -> None:
        self._database = database

    def change(self, statements: Sequence[str]) -> None:
        """Create and drop indexes."""
        self._database.batch([Statement(sql) for sql in statements])

    def measure(self, statements: Sequence[Statement]) -> Cost:
        """Run one query with several sets of parameters; what it writes is undone. Raises NotRun."""
        runs: list[tuple[int, int, float]] = []
        for statement in statements:
            try:
                _, result = self._database.trial((DEFER, statement), lossy=True)
            except StatementRejected as error:
                raise NotRun(error.text) from None
            except UnexpectedResponse as error:  # It took too long, or more memory than a Worker has.
                raise NotRun(str(error)) from None
            meta = result.meta
            runs.append((meta.rows_read or 0, meta.rows_written or 0, meta.duration_seconds))
        return Cost.of(runs)


@contextmanager
def scratch_of(
    schema: Schema,
    statistics: Sequence[Row],
    ledger: str,
    modules: Sequence[Path],
    *,
    backup: VerifiedBackup | None = None,
    known: Mapping[str, int] | None = None,
    wanted: frozenset[str] | None = None,
) -> Iterator[Scratch]:
    """Open a scratch database with a backup's rows, else with generated ones in the target's proportions.

    `known` are the rows of the target's tables, `wanted` the tables of the workload, folded. workerd is used where one
    of `modules` leads to it (see `WorkerdDatabase`); otherwise costs are estimated. Raises HumanNeeded when an object
    of the schema cannot be rebuilt.
    """
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="d1ops-")))
        if backup is not None:
            with backup.unpacked() as source:
                shutil.copyfile(source, folder / "rows.sqlite")
            engine = open_copy(folder / "rows.sqlite")
        else:
            engine = generated(schema, statistics, ledger, known=known, wanted=wanted)
        stack.callback(engine.close)
        rows_from = f"backup {backup.id}" if backup is not None else "generated"
        database = _workerd(engine, folder / "workerd", modules)
        if database is None:
            yield Scratch(engine, EngineMeter(engine, time.perf_counter), rows_from)
        else:
            stack.callback(database.close)
            yield Scratch(engine, DatabaseMeter(database), rows_from)


def generated(
    schema: Schema,
    statistics: Sequence[Row],
    ledger: str,
    *,
    known: Mapping[str, int] | None = None,
    wanted: frozenset[str] | None = None,
) -> Engine:
    """Return an engine in memory with the schema, the statistics and generated rows.

    `known` are the rows of the target's tables, which the generated ones follow in proportion. Columns of indexes have
    equal values as often as the target's statistics say.

    Tables that are neither `wanted` (folded; None for all) nor referred to by those get few rows.
    """
    engine = build_mirror((o for o in schema.objects if o.type != "trigger"), statistics=statistics)
    sizes = scaled(known or {}, _depths(engine, schema.users(ledger).tables()))
    sizes |= {
        table: FEW_ROWS for table in sizes if wanted is not None and fold(table) not in _with_parents(engine, wanted)
    }
    is_telling = max((known or {}).values(), default=0) >= FEWEST_KNOWN_ROWS
    values = _values(engine, statistics if is_telling else (), sizes)
    generate(engine, rows=ROWS_BY_DEPTH[0], seed=SEED, ledger=ledger, rows_of=sizes, values_of=values)
    return engine


def scaled(known: Mapping[str, int], depths: Mapping[str, int]) -> dict[str, int]:
    """Return how many rows each table gets: as the target has, all in proportion, else by its depth.

    A target that is small all over, such as a new one, says nothing of what it will be.
    """
    largest = max(known.values(), default=0)
    if largest < FEWEST_KNOWN_ROWS:
        known = {}
    share = min(1.0, MOST_ROWS / largest) if largest else 1.0
    return {
        table: max(FEW_ROWS, round(known[table] * share)) if table in known else ROWS_BY_DEPTH[min(depth, 2)]
        for table, depth in depths.items()
    }


def _values(engine: Engine, statistics: Sequence[Row], sizes: Mapping[str, int]) -> dict[str, dict[str, int]]:
    """Return how many values each column of an index gets, by table and column in lower case.

    A row of `sqlite_stat1` has the rows of an index, and how many of them agree in its first column, in its first two
    and so on (SQLite documentation, "The Database File Format", section 2.6.3).
    """
    found: list[tuple[int, str, str, int]] = []
    for table, index, stat in statistics:
        columns = engine.ask(
            "SELECT x.name FROM pragma_index_list(?) AS l, pragma_index_xinfo(l.name) AS x"
            " WHERE l.name = ? AND NOT l.partial AND x.key ORDER BY x.seqno",
            (table, index),
        )
        numbers = [int(word) for word in str(stat).split() if word.isdecimal()]
        rows: float = sizes.get(str(table), 0)
        for place, ((column,), before, equal) in enumerate(zip(columns, numbers, numbers[1:], strict=False)):
            if place and equal < FEW_ROWS:
                break  # That few rows agree by all columns together says little of one of them.
            agreeing = max(1, rows * equal / max(before, 1), min(equal, EQUAL_ROWS))
            number = max(1, round(rows / agreeing))
            rows /= number
            found.append((place, str(table), fold(str(column)), number))
    values: dict[str, dict[str, int]] = {}
    # What the first columns of indexes have is known best.
    for _, table, column, number in sorted(found):
        values.setdefault(table, {}).setdefault(column, number)
    return values


def _with_parents(engine: Engine, tables: frozenset[str]) -> frozenset[str]:
    found = tables
    links = _links(engine)
    while True:
        more = found | {parent for child, parent in links if child in found}
        if more == found:
            return found
        found = more


def _links(engine: Engine) -> list[tuple[str, str]]:
    """Return the foreign keys as pairs of child and parent, folded, without those to the table itself."""
    rows = engine.ask(
        'SELECT m.name, f."table" FROM sqlite_master AS m CROSS JOIN pragma_foreign_key_list(m.name) AS f'
        " WHERE m.type = 'table'"
    )
    pairs = ((fold(str(child)), fold(str(parent))) for child, parent in rows)
    return [(child, parent) for child, parent in pairs if child != parent]


def _depths(engine: Engine, tables: Sequence[str]) -> dict[str, int]:
    """Return how many tables each hangs below; one that is in no relation counts as the lowest."""
    parents: dict[str, set[str]] = {}
    for child, parent in _links(engine):
        parents.setdefault(child, set()).add(parent)
    referred = {parent for found in parents.values() for parent in found}
    depth = {fold(table): 0 if fold(table) in referred or fold(table) in parents else 2 for table in tables}
    for _ in ROWS_BY_DEPTH:
        depth |= {
            child: 1 + max(depth.get(parent, 0) for parent in found)
            for child, found in parents.items()
            if any(depth.get(parent, 0) < len(ROWS_BY_DEPTH) - 1 for parent in found)
        }
    return {table: min(depth[fold(table)], len(ROWS_BY_DEPTH) - 1) for table in tables}


def _workerd(engine: Engine, state: Path, modules: Sequence[Path]) -> WorkerdDatabase | None:
    from d1ops.database.workerd import WorkerdDatabase, database_file

    if not modules:
        return None
    file = database_file(state, "scratch")
    file.parent.mkdir(parents=True, mode=0o700)
    file.write_bytes(engine.serialize())
    try:
        database = WorkerdDatabase("scratch", state, modules, timeout_seconds=MAX_REQUEST_SECONDS)
        database.query("SELECT 1")
    except (ConfigError, Unreachable, DatabaseError):
        return None
    return database
