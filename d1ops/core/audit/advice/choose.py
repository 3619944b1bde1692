"""The smallest set of indexes that serves the whole workload.

Every figure is found by doing: SQLite plans each query with the indexes in question on a mirror that has the target's
statistics, and runs it on a scratch database when the plan is new. A query costs the same under two sets of indexes if
its plan is the same, so most answers are remembered. The set grows by what saves most (lazily re-evaluated, as gains
shrink when the set grows), then shrinks: pairs give way to one index that serves both, and what changes nothing when it
is left out is left out.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import TYPE_CHECKING, TypeAlias

import apsw

from d1ops.core.audit.advice.scratch import Cost, drop_index
from d1ops.core.sql import fold
from d1ops.core.values import Statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from d1ops.core.audit.advice.candidates import Candidate
    from d1ops.core.audit.advice.scratch import Meter
    from d1ops.core.engine import Engine
    from d1ops.core.values import Value

Indexes: TypeAlias = "frozenset[Candidate]"
NONE: Indexes = frozenset()

LEAST_ESTIMATED_ROWS = 10.0
"""An estimate is not better than that."""

ESTIMATE_NOISE = 0.05
"""By so much two estimates of the same rows may differ."""

PARTIAL = 0.95
"""A partial index serves only queries that repeat its condition as a literal, so it has to save a little more."""


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

    An index is kept when it saves some query `least_rows` and `least_share` of what it reads. A table gets no more than
    `max_indexes` in all, those that it has included, but those that foreign keys need. A row written costs
    `write_price` times a row read.
    """

    max_indexes: int = 10
    least_rows: float = 10.0
    least_share: float = 0.05
    write_price: float = 1000.0


@dataclass
class Lab:
    """Plans and measures tasks under sets of indexes, each question once."""

    planner: Engine
    meter: Meter
    tasks: Sequence[Task]
    budget: Budget = field(default_factory=Budget)
    measurements: int = 0
    _names: dict[Candidate, str] = field(default_factory=dict)
    _refused: set[Candidate] = field(default_factory=set)
    _planned: list[Candidate] = field(default_factory=list)
    _made: set[Candidate] = field(default_factory=set)
    _plans: dict[tuple[int, Indexes], tuple[str, ...]] = field(default_factory=dict)
    _costs: dict[tuple[int, tuple[object, ...], Indexes], Cost | None] = field(default_factory=dict)
    _by_table: dict[str, list[int]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for number, task in enumerate(self.tasks):
            for table in task.tables:
                self._by_table.setdefault(table, []).append(number)

    def near(self, indexes: Iterable[Candidate]) -> list[int]:
        """Return the numbers of the tasks whose tables have one of the indexes."""
        return sorted({number for one in indexes for number in self._by_table.get(fold(one.table), ())})

    def name_of(self, candidate: Candidate) -> str:
        """Return the name that an index has here."""
        return self._names.setdefault(candidate, f"d1ops_candidate_{len(self._names)}_")

    def plan(self, number: int, indexes: Indexes) -> tuple[str, ...]:
        """Return the lines of a task's plan, empty where it does not compile."""
        task = self.tasks[number]
        near = frozenset(one for one in indexes if fold(one.table) in task.tables)
        key = (number, near)
        if key not in self._plans:
            self._set_planner(near)
            try:
                rows = self.planner.connection.execute(task.sql, task.samples[0] or None, can_cache=False, explain=2)
                with self.planner.free():
                    self._plans[key] = tuple(str(row[3]) for row in rows)
            except apsw.Error:
                self._plans[key] = ()
        return self._plans[key]

    def used(self, number: int, indexes: Indexes) -> Indexes:
        """Return the indexes that a task's plan uses."""
        lines = self.plan(number, indexes)
        return frozenset(one for one in indexes if any(f"INDEX {self.name_of(one)}" in line for line in lines))

    def cost(self, number: int, indexes: Indexes) -> Cost | None:
        """Return what a task costs, None where it cannot run."""
        task = self.tasks[number]
        written = frozenset(one for one in indexes if task.counts_writes and fold(one.table) in task.written)
        key = (number, self._shape(number, indexes), written)
        if key not in self._costs:
            self._set_meter(self.used(number, indexes) | written)
            self.measurements += 1
            cost = self.meter.measure([Statement(task.sql, values) for values in task.samples])
            if cost is not None and not self.meter.is_exact:
                # What is counted from outside are rows; every index takes an entry more.
                cost = replace(cost, rows_written=cost.rows_written * (1 + len(written)))
            self._costs[key] = cost
        return self._costs[key]

    def clear(self) -> None:
        """Take the indexes off the scratch database."""
        self._set_meter(NONE)

    def least(self, rows_read: float) -> float:
        """Return how many rows must be saved of so many to be worth an index."""
        rows = self.budget.least_rows if self.meter.is_exact else max(self.budget.least_rows, LEAST_ESTIMATED_ROWS)
        return max(rows, self.budget.least_share * rows_read)

    def _shape(self, number: int, indexes: Indexes) -> tuple[object, ...]:
        """Return a plan without names: in which order columns are compared for equality costs nothing."""
        shape: list[object] = []
        for line in self.plan(number, indexes):
            index = next((one for one in indexes if f"INDEX {self.name_of(one)}" in line), None)
            if index is None:
                shape.append(line)
            else:
                fixed = line.count("=?")
                start = line[: line.index(" INDEX ")]
                shape.append((start, line.count(">?"), line.count("<?"), index.table, index.where))
                shape.append((frozenset(index.keys[:fixed]), index.keys[fixed:]))
        return tuple(shape)

    def price(self, number: int, indexes: Indexes) -> float:
        """Return what all executions of a task cost, in rows read."""
        cost = self.cost(number, indexes)
        if cost is None:
            return 0.0
        task = self.tasks[number]
        writes = cost.rows_written * self.budget.write_price if task.counts_writes else 0.0
        return task.weight * (cost.rows_read + writes)

    def total(self, numbers: Iterable[int], indexes: Indexes) -> float:
        """Return the price of several tasks."""
        return sum(self.price(number, indexes) for number in numbers)

    def exists(self, candidate: Candidate) -> bool:
        """Return whether SQLite takes an index."""
        self._set_planner(frozenset((candidate, *self._planned)))
        return candidate not in self._refused

    def _set_planner(self, wanted: Indexes) -> None:
        """Make the planner's indexes these, made in the order in which they would be made on a target: among indexes
        that look equally good to it, SQLite takes one by their order."""
        ordered = sorted(wanted - self._refused, key=_candidate_order)
        there = [one for one in self._planned if one in wanted]
        kept = {
            table
            for table in {one.table for one in ordered}
            if (had := [one for one in there if one.table == table])
            == [o for o in ordered if o.table == table][: len(had)]
        }
        for candidate in [one for one in self._planned if one not in wanted or one.table not in kept]:
            self.planner.ask(drop_index(self.name_of(candidate)))
            self._planned.remove(candidate)
        for candidate in ordered:
            if candidate in self._planned:
                continue
            try:
                self.planner.ask(candidate.sql(self.name_of(candidate)))
            except apsw.Error:
                self._refused.add(candidate)
            else:
                self._planned.append(candidate)

    def _set_meter(self, wanted: Indexes) -> None:
        drops = [drop_index(self.name_of(one)) for one in sorted(self._made - wanted, key=self.name_of)]
        makes = [one.sql(self.name_of(one)) for one in sorted(wanted - self._made, key=self.name_of)]
        if drops or makes:
            self.meter.change([*drops, *makes])
        self._made = set(wanted)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A set of indexes, and the candidates that would pay but for the budget."""

    indexes: tuple[Candidate, ...]
    refused: tuple[Candidate, ...] = ()


def choose(lab: Lab, needed: Sequence[Candidate], existing: Mapping[str, int]) -> Chosen:
    """Choose indexes. `needed` are those that foreign keys need: they, or wider ones, are in the set.

    `existing` is the number of indexes that each table (in lower case) has.
    """
    start = frozenset(needed)
    bundles = sorted(
        {bundle for number in range(len(lab.tasks)) for bundle in _bundles(lab, number, start)}, key=_order
    )
    chosen, refused = _grow(lab, bundles, start, existing)
    pool = {one for bundle in bundles for one in bundle} | {one for task in lab.tasks for one in task.candidates}
    chosen = _merge(lab, chosen, frozenset(needed), pool)
    chosen = _shrink(lab, chosen, frozenset(needed))
    return Chosen(tuple(sorted(chosen, key=_candidate_order)), tuple(sorted(refused, key=_candidate_order)))


def _bundles(lab: Lab, number: int, start: Indexes) -> list[Indexes]:
    """Return the sets of indexes that serve one task noticeably: single ones, what the planner takes when it has all
    to choose from, and what single ones gain from a second."""
    task = lab.tasks[number]
    known = [one for one in task.candidates if lab.exists(one)]
    before = lab.cost(number, start)
    if not known or before is None:
        return []
    found: dict[Indexes, float] = {}

    def look(bundle: Indexes) -> None:
        used = lab.used(number, start | bundle) - start
        if used and used not in found:
            cost = lab.cost(number, start | used)
            if cost is not None:
                found[used] = cost.rows_read

    for one in known:
        look(frozenset((one,)))
    look(frozenset(known))
    best = sorted(found, key=lambda bundle: (found[bundle], _order(bundle)))[:3]
    others = {one.table for one in known}
    if len(others) > 1 or "MULTI-INDEX OR" in lab.plan(number, start | frozenset(known)):
        for bundle in best:
            for one in known:
                look(bundle | {one})
    most = before.rows_read - lab.least(before.rows_read)
    return [bundle for bundle, rows in found.items() if rows <= most]


def _grow(
    lab: Lab,
    bundles: Sequence[Indexes],
    start: Indexes,
    existing: Mapping[str, int],
) -> tuple[Indexes, Indexes]:
    chosen, refused = start, NONE

    def gain(bundle: Indexes) -> float:
        new = bundle - chosen
        if not new:
            return 0.0
        numbers = lab.near(new)
        saved = (lab.total(numbers, chosen) - lab.total(numbers, chosen | new)) / len(new)
        return saved * (PARTIAL if any(one.where for one in new) else 1.0)

    queue = [(-gain(bundle), place) for place, bundle in enumerate(bundles)]
    heapq.heapify(queue)
    while queue:
        _, place = heapq.heappop(queue)
        bundle = bundles[place]
        now = gain(bundle)
        if now <= 0 or not _pays(lab, lab.near(bundle - chosen), chosen, chosen | bundle):
            continue
        if queue and now < -queue[0][0]:
            heapq.heappush(queue, (-now, place))
            continue
        if not _fits(lab, chosen | bundle, start, existing):
            refused |= bundle - chosen
            continue
        chosen |= bundle
    return chosen, refused - chosen


def _fits(lab: Lab, indexes: Indexes, needed: Indexes, existing: Mapping[str, int]) -> bool:
    counts = dict(existing)
    for one in indexes - needed:
        counts[fold(one.table)] = counts.get(fold(one.table), 0) + 1
    return all(counts[fold(one.table)] <= lab.budget.max_indexes for one in indexes - needed)


def _pays(lab: Lab, numbers: Iterable[int], without: Indexes, having: Indexes) -> bool:
    """Return whether some task reads noticeably less, as the budget says."""
    for number in numbers:
        before, after = lab.cost(number, without), lab.cost(number, having)
        if before is None or after is None:
            continue
        if before.rows_read - after.rows_read >= lab.least(before.rows_read):
            return True
    return False


def _merge(lab: Lab, chosen: Indexes, needed: Indexes, pool: Iterable[Candidate]) -> Indexes:
    """Let one index do the work of two on a table, where it does."""
    again = True
    while again:
        again = False
        for one, other in combinations(sorted(chosen, key=_candidate_order), 2):
            if one.table != other.table or one.where or other.where:
                continue
            rest = chosen - {one, other}
            wider = [each for each in pool if each.table == one.table and each not in chosen and not each.where]
            for single in sorted({*_joint(one, other), *wider, one, other}, key=_candidate_order):
                if not _serves(rest | {single}, needed) or not lab.exists(single):
                    continue
                numbers = lab.near((one, other, single))
                if not _loses(lab, numbers, chosen, rest | {single}):
                    chosen, again = rest | {single}, True
                    break
            if again:
                break
    return chosen


def _loses(lab: Lab, numbers: Iterable[int], before: Indexes, after: Indexes) -> bool:
    """Return whether some task reads more than before; where rows are estimated, noticeably more."""
    noise = 0.0 if lab.meter.is_exact else ESTIMATE_NOISE
    for number in numbers:
        one, other = lab.price(number, before), lab.price(number, after)
        if other > one * (1 + noise) + noise:
            return True
    return False


def _joint(one: Candidate, other: Candidate) -> Iterable[Candidate]:
    for first, second in ((one, other), (other, one)):
        rest = tuple(key for key in second.keys if key not in first.keys)
        if rest:
            yield type(one)(first.table, (*first.keys, *rest))


def _shrink(lab: Lab, chosen: Indexes, needed: Indexes) -> Indexes:
    """Leave out what changes too little: whole indexes first, then last columns that change nothing."""
    for one in sorted(chosen, key=_candidate_order, reverse=True):
        rest = chosen - {one}
        if _serves(rest, needed) and not _pays(lab, lab.near((one,)), rest, chosen):
            chosen = rest
    for one in sorted(chosen, key=_candidate_order):
        for length in range(1, len(one.keys)):
            short = type(one)(one.table, one.keys[:length], one.where)
            rest = (chosen - {one}) | {short}
            if short not in chosen and _serves(rest, needed) and not _loses(lab, lab.near((one,)), chosen, rest):
                chosen = rest
                break
    return chosen


def _serves(indexes: Indexes, needed: Indexes) -> bool:
    return all(any(one.starts_with(must) for one in indexes) for must in needed)


def _candidate_order(one: Candidate) -> tuple[str, bool, int, tuple[str, ...], str]:
    return (one.table, bool(one.where), len(one.keys), one.keys, one.where)


def _order(bundle: Indexes) -> list[tuple[str, bool, int, tuple[str, ...], str]]:
    return sorted(map(_candidate_order, bundle))
