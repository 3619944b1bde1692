"""Plans and measures queries under sets of indexes, each question once.

SQLite plans each query with the indexes in question on a mirror that has the target's statistics, and runs it on a
scratch database when the plan is new. Only indexes on the tables that a query names matter to its plan, so what is kept
of a question, and what is made and dropped for it, are those.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import apsw

from d1ops.core.audit.advice.scratch import Cost, NotRun, drop_index
from d1ops.core.audit.plans import lines_that_run
from d1ops.core.sql import fold
from d1ops.core.values import Statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from d1ops.core.audit.advice.candidates import Candidate
    from d1ops.core.audit.advice.scratch import Meter
    from d1ops.core.engine import Engine
    from d1ops.core.values import Value

LEAST_ESTIMATED_ROWS = 10.0
"""An estimate is not better than that."""

UNFINISHED_ROWS = 1e9
"""What a query is taken to read under indexes with which it does not run, and without which it does: more than any that
ends."""

_NAME = "d1ops_candidate_"
_NAMED = re.compile(rf" INDEX ({_NAME}\d+_)")


class Indexes:
    """A set of indexes, by table, so that those of a few tables are found without a look at the others."""

    __slots__ = ("_by_table",)

    def __init__(self, by_table: Mapping[str, frozenset[Candidate]] | None = None) -> None:
        self._by_table = by_table or {}

    @classmethod
    def of(cls, candidates: Iterable[Candidate]) -> Indexes:
        """Return the set of these."""
        return cls().having(candidates)

    def __iter__(self) -> Iterator[Candidate]:
        return (one for there in self._by_table.values() for one in there)

    def __contains__(self, candidate: Candidate) -> bool:
        return candidate in self._by_table.get(fold(candidate.table), ())

    def on(self, tables: Iterable[str]) -> frozenset[Candidate]:
        """Return those on some tables (folded)."""
        return frozenset().union(*(self._by_table[table] for table in tables if table in self._by_table))

    def having(self, more: Iterable[Candidate]) -> Indexes:
        """Return the set with more."""
        found = dict(self._by_table)
        for one in more:
            table = fold(one.table)
            found[table] = found.get(table, frozenset()) | {one}
        return Indexes(found)

    def without(self, some: Iterable[Candidate]) -> Indexes:
        """Return the set without some."""
        found = dict(self._by_table)
        for one in some:
            table = fold(one.table)
            found[table] = found.get(table, frozenset()) - {one}
        return Indexes(found)


NONE = Indexes()


@dataclass(frozen=True, slots=True)
class Task:
    """A query to be served. `tables` are those that it reads or writes, in lower case, `written` those that it writes.

    `weight` is how often it runs, 1 where nobody knows; `counts_writes` whether what it writes is weighed too.
    """

    sql: str
    samples: tuple[tuple[Value, ...], ...]
    candidates: tuple[Candidate, ...]
    tables: frozenset[str]
    written: frozenset[str] = frozenset()
    weight: float = 1.0
    counts_writes: bool = False


@dataclass(frozen=True, slots=True)
class Budget:
    """What an index may cost and must bring.

    An index is kept when it saves some query `least_rows` and `least_share` of what it reads; a query that reads no
    more than `served_rows` without any is served well enough. A table gets no more than `max_indexes` in all, those
    that it has included, but those that foreign keys need. A row written costs `write_price` times a row read.
    """

    max_indexes: int = 10
    least_rows: float = 1.0
    least_share: float = 0.05
    served_rows: float = 20.0
    write_price: float = 1000.0


@dataclass(frozen=True, slots=True)
class _Planned:
    """The lines of a plan (none where the query does not compile), the indexes that it uses, and what it comes to: two
    plans of one shape cost the same."""

    lines: tuple[str, ...] = ()
    used: frozenset[Candidate] = frozenset()
    shape: tuple[object, ...] = ()


@dataclass
class Lab:
    """Plans and measures tasks under sets of indexes, each question once."""

    planner: Engine
    meter: Meter
    tasks: Sequence[Task]
    budget: Budget = field(default_factory=Budget)
    measurements: int = 0
    _names: dict[Candidate, str] = field(default_factory=dict)
    _named: dict[str, Candidate] = field(default_factory=dict)
    _refused: set[Candidate] = field(default_factory=set)
    _planned: dict[str, list[Candidate]] = field(default_factory=dict)
    _made: dict[str, frozenset[Candidate]] = field(default_factory=dict)
    _plans: dict[tuple[int, frozenset[Candidate]], _Planned] = field(default_factory=dict)
    _costs: dict[tuple[int, tuple[object, ...], frozenset[Candidate]], Cost | None] = field(default_factory=dict)
    _by_table: dict[str, list[int]] = field(default_factory=dict)
    _reasons: dict[int, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number, task in enumerate(self.tasks):
            for table in task.tables:
                self._by_table.setdefault(table, []).append(number)

    def near(self, indexes: Iterable[Candidate]) -> list[int]:
        """Return the numbers of the tasks whose tables have one of the indexes."""
        tables = {fold(one.table) for one in indexes}
        return sorted({number for table in tables for number in self._by_table.get(table, ())})

    def name_of(self, candidate: Candidate) -> str:
        """Return the name that an index has here."""
        name = self._names.get(candidate)
        if name is None:
            name = self._names[candidate] = f"{_NAME}{len(self._names)}_"
            self._named[name] = candidate
        return name

    def plan(self, number: int, indexes: Indexes) -> tuple[str, ...]:
        """Return the lines of a task's plan, empty where it does not compile."""
        return self._plan(number, indexes).lines

    def used(self, number: int, indexes: Indexes) -> frozenset[Candidate]:
        """Return the indexes that a task's plan uses."""
        return self._plan(number, indexes).used

    def cost(self, number: int, indexes: Indexes) -> Cost | None:
        """Return what a task costs, None where it cannot run. One that cannot run without any index is not run again:
        nobody could say what it gains."""
        if number in self._reasons and indexes is not NONE and self.cost(number, NONE) is None:
            return None
        task, planned = self.tasks[number], self._plan(number, indexes)
        written = indexes.on(task.written) if task.counts_writes else frozenset()
        key = (number, planned.shape, written)
        if key not in self._costs:
            self._set_meter(planned.used | written, task.tables)
            self.measurements += 1
            cost = self._measured(number)
            if cost is not None and not self.meter.is_exact:
                # What is counted from outside are rows; every index takes an entry more.
                cost = replace(cost, rows_written=cost.rows_written * (1 + len(written)))
            self._costs[key] = cost
        return self._costs[key]

    def reason(self, number: int) -> str | None:
        """Return why a task could not be run, None where it could."""
        return self._reasons.get(number)

    def _measured(self, number: int) -> Cost | None:
        task = self.tasks[number]
        try:
            return self.meter.measure([Statement(task.sql, values) for values in task.samples])
        except NotRun as error:
            self._reasons[number] = str(error)
            return None

    def clear(self) -> None:
        """Take the indexes off the scratch database."""
        self._set_meter(frozenset(), list(self._made))

    def least(self, rows_read: float) -> float:
        """Return how many rows must be saved of so many to be worth an index."""
        rows = self.budget.least_rows if self.meter.is_exact else max(self.budget.least_rows, LEAST_ESTIMATED_ROWS)
        return max(rows, self.budget.least_share * rows_read)

    def price(self, number: int, indexes: Indexes) -> float:
        """Return what all executions of a task cost, in rows read."""
        task, cost = self.tasks[number], self.cost(number, indexes)
        if cost is None:
            return 0.0 if self.cost(number, NONE) is None else task.weight * UNFINISHED_ROWS
        writes = cost.rows_written * self.budget.write_price if task.counts_writes else 0.0
        return task.weight * (cost.rows_read + writes)

    def total(self, numbers: Iterable[int], indexes: Indexes) -> float:
        """Return the price of several tasks."""
        return sum(self.price(number, indexes) for number in numbers)

    def is_served(self, number: int, start: Indexes) -> bool:
        """Return whether a task reads so little that no index is made for it, or cannot run."""
        cost = self.cost(number, start)
        return cost is None or cost.rows_read <= self.budget.served_rows

    def exists(self, candidate: Candidate) -> bool:
        """Return whether SQLite takes an index."""
        if candidate not in self._refused:
            table = fold(candidate.table)
            self._set_planner(frozenset((candidate, *self._planned.get(table, ()))), (table,))
        return candidate not in self._refused

    def _plan(self, number: int, indexes: Indexes) -> _Planned:
        task = self.tasks[number]
        near = indexes.on(task.tables)
        key = (number, near)
        found = self._plans.get(key)
        if found is None:
            self._set_planner(near, task.tables)
            try:
                values = task.samples[0] or None
                rows = self.planner.connection.execute(task.sql, values, can_cache=False, explain=2)
                with self.planner.free():
                    lines = tuple(str(row[3]) for row in rows)
                # Only a write checks foreign keys.
                read = lines_that_run(self.planner, task.sql, values) if task.written else lines
                found = self._read(lines, read)
            except apsw.Error:
                found = _Planned()
            self._plans[key] = found
        return found

    def _read(self, lines: tuple[str, ...], running: tuple[str, ...]) -> _Planned:
        """Tell the shape of a plan by its `running` lines. It has no names: in which order columns are compared for
        equality costs nothing."""
        shape: list[object] = []
        used: set[Candidate] = set()
        for line in running:
            match = _NAMED.search(line)
            if match is None:
                shape.append(line)
                continue
            index = self._named[match[1]]
            used.add(index)
            fixed = line.count("=?")
            shape.append((line[: match.start()], line.count(">?"), line.count("<?"), index.table, index.where))
            shape.append((frozenset(index.keys[:fixed]), index.keys[fixed:]))
        return _Planned(lines, frozenset(used), tuple(shape))

    def _set_planner(self, wanted: frozenset[Candidate], tables: Iterable[str]) -> None:
        """Make the planner's indexes on some tables these, made in the order in which they would be made on a target:
        among indexes that look equally good to it, SQLite takes one by their order."""
        for table in tables:
            there = self._planned.get(table, [])
            here = (one for one in wanted if fold(one.table) == table and one not in self._refused)
            ordered = sorted(here, key=candidate_order)
            kept = [one for one in there if one in wanted]
            if kept != ordered[: len(kept)]:
                kept = []
            for one in there:
                if one not in kept:
                    self.planner.ask(drop_index(self.name_of(one)))
            for one in ordered[len(kept) :]:
                try:
                    self.planner.ask(one.sql(self.name_of(one)))
                except apsw.Error:
                    self._refused.add(one)
                else:
                    kept.append(one)
            self._planned[table] = kept

    def _set_meter(self, wanted: frozenset[Candidate], tables: Iterable[str]) -> None:
        statements: list[str] = []
        for table in tables:
            there = self._made.get(table, frozenset())
            here = frozenset(one for one in wanted if fold(one.table) == table)
            statements += [drop_index(self.name_of(one)) for one in sorted(there - here, key=self.name_of)]
            statements += [one.sql(self.name_of(one)) for one in sorted(here - there, key=self.name_of)]
            self._made[table] = here
        if statements:
            self.meter.change(statements)


def candidate_order(one: Candidate) -> tuple[str, bool, int, tuple[str, ...], str]:
    """The order in which indexes are made: by table, whole ones before partial ones, narrow ones first."""
    return (one.table, bool(one.where), len(one.keys), one.keys, one.where)
