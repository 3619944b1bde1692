"""What the audit has to know of a target, in two requests however many tables it has.

The first reads `sqlite_master`. The second, one batch, reads statistics, the largest rowid of each table (one row read
a table) and the ledger, as far as they are there.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.audit.plans import indented
from d1ops.core.audit.report import SELECT_STATISTICS, STATISTICS
from d1ops.core.audit.rows import ask_counts, ask_largest_rowids, counts, largest_rowids, statistics_rows
from d1ops.core.audit.subject import RemotePlan, rebuild
from d1ops.core.ledger import HISTORY, SELECT_HISTORY, State, history_from_rows, ledger_from_rows, select_ledger, states
from d1ops.core.mirror import schema_of
from d1ops.core.replay import replay_without_rows
from d1ops.core.schema import SELECT_OBJECTS, Schema
from d1ops.core.values import Statement
from d1ops.errors import D1opsError, StatementRejected

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from d1ops.core.audit.rows import Question, RowCount
    from d1ops.core.audit.subject import Mirrored
    from d1ops.core.catalog import Catalog
    from d1ops.core.ledger import Event, LedgerRow
    from d1ops.core.queries import Query
    from d1ops.core.values import Result, Row
    from d1ops.database.base import Database


@dataclass(frozen=True, slots=True)
class Survey:
    """A target as the audit sees it."""

    mirrored: Mirrored
    statistics: tuple[Row, ...]
    known_rows: Mapping[str, RowCount]
    ledger: tuple[LedgerRow, ...]
    history: tuple[Event, ...]


def survey(database: Database, ledger: str, *, count: bool, tell: Callable[[str], None]) -> Survey:
    """Look at a target. With `count` every row of every table is counted and billed, which `tell` hears first.

    Raises what `Database.batch` raises, and HumanNeeded when an object of the schema cannot be rebuilt.
    """
    first = database.query(SELECT_OBJECTS)
    mirrored = rebuild(Schema.from_rows(first.rows), ledger)
    schema = mirrored.schema
    wanted = {
        name: sql
        for name, sql in ((STATISTICS, SELECT_STATISTICS), (ledger, select_ledger(ledger)), (HISTORY, SELECT_HISTORY))
        if schema.has_table(name)
    }
    rowids = list(ask_largest_rowids(mirrored.shapes))
    answers = _ask(database, [*wanted.values(), *(question.sql for question in rowids)])
    found = dict(zip(wanted, answers, strict=False))
    statistics = found[STATISTICS].rows if STATISTICS in found else ()
    largest = [answer.rows[0] for answer in answers[len(wanted) :]]
    known = largest_rowids(rowids, largest, first.meta.size_after_bytes)
    if count:
        known |= _count(database, list(ask_counts(mirrored.shapes)), {**known, **statistics_rows(statistics)}, tell)
    return Survey(
        mirrored=mirrored,
        statistics=tuple(statistics),
        known_rows=known,
        ledger=ledger_from_rows(found[ledger].rows) if ledger in found else (),
        history=history_from_rows(found[HISTORY].rows) if HISTORY in found else (),
    )


def _ask(database: Database, sql: Sequence[str]) -> tuple[Result, ...]:
    if not sql:
        return ()
    return database.batch([Statement(text) for text in sql], reads_only=True, lossy=True)


def _count(
    database: Database, questions: Sequence[Question], known: Mapping[str, RowCount], tell: Callable[[str], None]
) -> dict[str, RowCount]:
    tables = [name for question in questions for name in question.tables]
    rows = sum(known[name].number for name in tables if name in known)
    tell(f"counting {len(tables)} tables: each row is read and billed, about {rows:,} in all by what is known")
    answers = _ask(database, [question.sql for question in questions])
    return counts(questions, [answer.rows[0] for answer in answers])


def expected_schema(seen: Survey, read: Callable[[], Catalog], tell: Callable[[str], None]) -> Schema | None:
    """Return what the target's applied migrations build, None where nobody can say; `tell` hears why."""
    if not seen.ledger:
        return None
    try:
        found = [status for status in states(read(), seen.ledger, seen.history) if status.ledger is not None]
        unsure = [status for status in found if status.migration is None or status.state is State.CHANGED]
        if unsure:
            tell(f"drift is not looked for: {unsure[0].file} is {unsure[0].state.value}")
            return None
        found.sort(key=lambda status: status.ledger.id if status.ledger else 0)
        engine, _ = replay_without_rows(status.migration for status in found if status.migration)
        with closing(engine):
            return schema_of(engine)
    except D1opsError as error:
        tell(f"drift is not looked for: {error}")
        return None


def remote_plans(database: Database, queries: Sequence[Query]) -> tuple[RemotePlan, ...]:
    """Ask the target for its own plan of each query: one batch, and one more for each query that it refuses.

    EXPLAIN QUERY PLAN executes nothing.
    """
    refused: dict[int, str] = {}
    while True:
        asked = [number for number in range(len(queries)) if number not in refused]
        statements = [
            Statement(f"EXPLAIN QUERY PLAN {queries[number].sql}", (None,) * len(queries[number].parameters))
            for number in asked
        ]
        try:
            answers = database.batch(statements, reads_only=True) if statements else ()
            break
        except StatementRejected as error:
            if error.index is None or not 0 <= error.index < len(asked):
                raise
            refused[asked[error.index]] = error.text
    lines = {number: indented(answer.rows) for number, answer in zip(asked, answers, strict=True)}
    return tuple(RemotePlan(query, lines.get(number, ()), refused.get(number)) for number, query in enumerate(queries))
