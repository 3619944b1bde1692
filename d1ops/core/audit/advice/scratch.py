"""A scratch database: rows to run queries on, with indexes that come and go. Never a target.

What a query reads is counted by a `Meter`. workerd counts as D1 bills; the one here, over SQLite in memory, estimates:
SQLite tells the steps of full scans and how many instructions ran, but not the steps of an index.
"""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from statistics import median
from typing import TYPE_CHECKING, Any, Protocol

import apsw

from d1ops.core.audit.plans import rows_counted
from d1ops.core.sql import is_read, quote_identifier

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from d1ops.core.engine import Engine
    from d1ops.core.values import Statement

STEPS_A_ROW = 7
"""Instructions that SQLite runs for a row that it reads, about: 4 for a count, 8 for one that is returned."""
MOST_STEPS = 100_000_000
"""A query is stopped after so many instructions, which take SQLite one to four seconds; D1 stops it after 30. A number
of instructions is the same on every machine."""
STEPS_BETWEEN_LOOKS = 100_000
"""A signal waits for so many: Python handles it only while SQLite calls back."""


@dataclass(frozen=True, slots=True)
class Cost:
    """What one execution reads and writes, as a mean over several parameters, and the median of its seconds."""

    rows_read: float
    rows_written: float = 0.0
    seconds: float = 0.0

    @classmethod
    def of(cls, runs: Sequence[tuple[int, int, float]]) -> Cost:
        """Return the cost of several runs, each as rows read, rows written and seconds."""
        read, written, seconds = zip(*runs, strict=True)
        return cls(sum(read) / len(runs), sum(written) / len(runs), median(seconds))


class NotRun(Exception):
    """A query does not run on the scratch database, or does not end; the text says why, in the engine's words where it
    has some."""


class Meter(Protocol):
    """Runs queries on a scratch database and counts the rows."""

    @property
    def name(self) -> str:
        """What counts: `workerd` or `sqlite`."""

    @property
    def is_exact(self) -> bool:
        """Whether it counts as D1 bills."""

    def change(self, statements: Sequence[str]) -> None:
        """Create and drop indexes."""

    def measure(self, statements: Sequence[Statement]) -> Cost:
        """Run one query with several sets of parameters; what it writes is undone, so no foreign key that is broken
        afterwards stops it. Raises NotRun."""


class EngineMeter:
    """Counts on an engine in memory, approximately. A query that takes more than `most_steps` is stopped."""

    name = "sqlite"
    is_exact = False

    def __init__(self, engine: Engine, clock: Callable[[], float], *, most_steps: int = MOST_STEPS) -> None:
        self._engine = engine
        self._clock = clock
        self._most_steps = most_steps
        self._steps: Counter[str] = Counter()
        self._engine.connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, self._note)

    def _note(self, event: dict[str, Any]) -> None:
        self._steps.update(event["stmt_status"])

    def change(self, statements: Sequence[str]) -> None:
        """Create and drop indexes."""
        for sql in statements:
            self._engine.ask(sql)

    def measure(self, statements: Sequence[Statement]) -> Cost:
        """Run one query with several sets of parameters; what it writes is undone. Raises NotRun."""
        runs: list[tuple[int, int, float]] = []
        for statement in statements:
            with self._undone():
                self._steps.clear()
                before, started = self._engine.connection.total_changes(), self._clock()
                try:
                    rows = self._run(statement)
                except apsw.InterruptError:
                    raise NotRun(f"it takes more than {self._most_steps:,} instructions of SQLite") from None
                except (apsw.Error, UnicodeDecodeError) as error:
                    raise NotRun(str(error)) from None
                seconds = self._clock() - started
                changes = self._engine.connection.total_changes() - before
                runs.append((self._rows_read(statement, rows), changes, seconds))
        return Cost.of(runs)

    def _run(self, statement: Statement) -> int:
        """Run a query and return the number of its rows, of which none is kept."""
        connection = self._engine.connection
        looks = count(1)
        connection.set_progress_handler(
            lambda: next(looks) * STEPS_BETWEEN_LOOKS > self._most_steps, STEPS_BETWEEN_LOOKS
        )
        try:
            with self._engine.free():
                return sum(1 for _ in connection.execute(statement.sql, statement.params or None))
        finally:
            connection.set_progress_handler(None)

    def _rows_read(self, statement: Statement, rows: int) -> int:
        scanned = self._steps["SQLITE_STMTSTATUS_FULLSCAN_STEP"]
        sorts = self._steps["SQLITE_STMTSTATUS_SORT"]
        looked = self._steps["SQLITE_STMTSTATUS_VM_STEP"] // STEPS_A_ROW
        # What goes through a sorter is read again.
        scan = (scanned + 1 + (rows if sorts else 0)) if scanned else 0
        counted = rows_counted(self._engine, statement.sql, statement.params)
        return max(scan + counted, looked, rows if is_read(statement.sql) else 0)

    @contextmanager
    def _undone(self) -> Iterator[None]:
        self._engine.ask("SAVEPOINT d1ops_scratch")
        self._engine.ask("PRAGMA defer_foreign_keys = ON")
        try:
            yield
        finally:
            # SQLite itself has rolled back a write that was stopped, and an INSERT OR ROLLBACK that failed.
            if self._engine.connection.in_transaction:
                self._engine.ask("ROLLBACK TO d1ops_scratch")
                self._engine.ask("RELEASE d1ops_scratch")


def drop_index(name: str) -> str:
    """Return the statement that drops an index of the scratch database."""
    return f"DROP INDEX IF EXISTS {quote_identifier(name)}"
