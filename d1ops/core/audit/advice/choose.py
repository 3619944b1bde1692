"""The smallest set of indexes that serves the whole workload.

Every figure is found by doing (`advice.lab`). A query costs the same under two sets of indexes if its plan is the same,
so most answers are remembered. The set grows by what saves most (lazily re-evaluated, as gains shrink when the set
grows), then shrinks: pairs give way to one index that serves both, and what changes nothing when it is left out is left
out. An index can serve a query without need: only because another one steers it to read more than without any. Such an
index stays where all of them together are worth it, and else goes with the one that it makes good for.
"""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING

from d1ops.core.audit.advice.lab import NONE, Indexes, candidate_order
from d1ops.core.sql import fold

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from d1ops.core.audit.advice.candidates import Candidate
    from d1ops.core.audit.advice.lab import Lab

Bundle = frozenset["Candidate"]

ESTIMATE_NOISE = 0.05
"""By so much two estimates of the same rows may differ."""

PARTIAL = 0.95
"""A partial index serves only queries that repeat its condition as a literal, so it has to save a little more."""


@dataclass(frozen=True, slots=True)
class Chosen:
    """A set of indexes, and the candidates that would pay but for the budget."""

    indexes: tuple[Candidate, ...]
    refused: tuple[Candidate, ...] = ()


def choose(lab: Lab, needed: Sequence[Candidate], existing: Mapping[str, int]) -> Chosen:
    """Choose indexes. `needed` are those that foreign keys need: they, or wider ones, are in the set.

    `existing` is the number of indexes that each table (in lower case) has. Only a query that is not served well
    enough yet is a reason for an index; all are looked at before one goes.
    """
    start = Indexes.of(needed)
    bundles = sorted(
        {bundle for number in range(len(lab.tasks)) for bundle in _bundles(lab, number, start)}, key=_order
    )
    wanting = frozenset(number for number in range(len(lab.tasks)) if not lab.is_served(number, start))
    chosen, refused = _grow(lab, bundles, wanting, start, existing)
    pool = Indexes.of(
        [*(one for bundle in bundles for one in bundle), *(one for task in lab.tasks for one in task.candidates)]
    )
    chosen = _merge(lab, chosen, start, pool)
    chosen = _shrink(lab, chosen, wanting, start)
    return Chosen(tuple(sorted(chosen, key=candidate_order)), tuple(sorted(refused, key=candidate_order)))


def _bundles(lab: Lab, number: int, start: Indexes) -> list[Bundle]:
    """Return the sets of indexes that serve one task noticeably: single ones, what the planner takes when it has all
    to choose from, and what single ones gain from a second."""
    task = lab.tasks[number]
    before = lab.cost(number, start)
    if before is None or lab.is_served(number, start):
        return []
    known = [one for one in task.candidates if lab.exists(one)]
    found: dict[Bundle, float] = {}

    def look(bundle: Iterable[Candidate]) -> None:
        used = frozenset(one for one in lab.used(number, start.having(bundle)) if one not in start)
        if used and used not in found:
            cost = lab.cost(number, start.having(used))
            if cost is not None:
                found[used] = cost.rows_read

    for one in known:
        look((one,))
    look(known)
    best = sorted(found, key=lambda bundle: (found[bundle], _order(bundle)))[:3]
    others = {one.table for one in known}
    if len(others) > 1 or any("MULTI-INDEX OR" in line for line in lab.plan(number, start.having(known))):
        for bundle in best:
            for one in known:
                look(bundle | {one})
    most = before.rows_read - lab.least(before.rows_read)
    return [bundle for bundle, rows in found.items() if rows <= most]


def _grow(
    lab: Lab, bundles: Sequence[Bundle], wanting: frozenset[int], start: Indexes, existing: Mapping[str, int]
) -> tuple[Indexes, list[Candidate]]:
    chosen, refused = start, Indexes()

    def gain(bundle: Bundle) -> float:
        new = [one for one in bundle if one not in chosen]
        if not new:
            return 0.0
        numbers = lab.near(new)
        saved = (lab.total(numbers, chosen) - lab.total(numbers, chosen.having(new))) / len(new)
        return saved * (PARTIAL if any(one.where for one in new) else 1.0)

    queue = [(-gain(bundle), place) for place, bundle in enumerate(bundles)]
    heapq.heapify(queue)
    while queue:
        _, place = heapq.heappop(queue)
        bundle = bundles[place]
        now = gain(bundle)
        new = [one for one in bundle if one not in chosen]
        if now <= 0 or not _pays(lab, wanting.intersection(lab.near(new)), chosen.having(bundle), chosen):
            continue
        if queue and now < -queue[0][0]:
            heapq.heappush(queue, (-now, place))
            continue
        if _fits(lab, chosen.having(bundle), new, start, existing):
            chosen = chosen.having(bundle)
        else:
            refused = refused.having(new)
    return chosen, [one for one in refused if one not in chosen]


def _fits(lab: Lab, indexes: Indexes, new: Iterable[Candidate], needed: Indexes, existing: Mapping[str, int]) -> bool:
    tables = {fold(one.table) for one in new if one not in needed}
    return all(
        existing.get(table, 0) + sum(one not in needed for one in indexes.on((table,))) <= lab.budget.max_indexes
        for table in tables
    )


def _pays(lab: Lab, numbers: Iterable[int], having: Indexes, *without: Indexes) -> bool:
    """Return whether some task reads noticeably less, as the budget says, than with any of the others."""
    for number in numbers:
        costs = [lab.cost(number, indexes) for indexes in (having, *without)]
        after, *before = (cost.rows_read for cost in costs if cost is not None)
        if len(before) == len(without) and min(before) - after >= lab.least(min(before)):
            return True
    return False


def _merge(lab: Lab, chosen: Indexes, needed: Indexes, pool: Indexes) -> Indexes:
    """Let one index do the work of two on a table, where it does."""
    waiting = sorted({fold(one.table) for one in chosen}, reverse=True)
    while waiting:
        table = waiting.pop()
        merged = _merge_on(lab, table, chosen, needed, pool)
        if merged is not None:
            chosen = merged
            waiting.append(table)
    return chosen


def _merge_on(lab: Lab, table: str, chosen: Indexes, needed: Indexes, pool: Indexes) -> Indexes | None:
    """Return the set with two indexes of a table made one, None where no two can be."""
    whole = sorted((one for one in chosen.on((table,)) if not one.where), key=candidate_order)
    wider = [each for each in pool.on((table,)) if each not in chosen and not each.where]
    for one, other in combinations(whole, 2):
        rest = chosen.without((one, other))
        for single in sorted({*_joint(one, other), *wider, one, other}, key=candidate_order):
            if not _serves(rest.having((single,)), (one, other), needed) or not lab.exists(single):
                continue
            if not _loses(lab, lab.near((one,)), chosen, rest.having((single,))):
                return rest.having((single,))
    return None


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


def _shrink(lab: Lab, chosen: Indexes, wanting: frozenset[int], needed: Indexes) -> Indexes:
    """Leave out what changes too little: whole indexes first, then last columns that change nothing."""
    for one in sorted(chosen, key=candidate_order, reverse=True):
        rest, numbers = chosen.without((one,)), wanting.intersection(lab.near((one,)))
        if one not in chosen or not _serves(rest, (one,), needed):
            continue
        if not _pays(lab, numbers, chosen, rest):
            chosen = rest
        elif not _pays(lab, numbers, chosen, rest, NONE):
            chosen = _without_repair(lab, one, chosen, needed)
    for one in sorted(chosen, key=candidate_order):
        for length in range(1, len(one.keys)):
            short = type(one)(one.table, one.keys[:length], one.where)
            rest = chosen.without((one,)).having((short,))
            if (
                short not in chosen
                and _serves(rest, (one,), needed)
                and not _loses(lab, lab.near((one,)), chosen, rest)
            ):
                chosen = rest
                break
    return chosen


def _without_repair(lab: Lab, one: Candidate, chosen: Indexes, needed: Indexes) -> Indexes:
    """Leave out an index that only makes good for others, alone or with one of those, unless they pay together."""
    numbers = lab.near((one,))
    smaller = (chosen.without((one, other)) for other in sorted(chosen.on((fold(one.table),)), key=candidate_order))
    kept = (rest for rest in smaller if _serves(rest, (one,), needed))
    best = min(kept, key=lambda rest: lab.total(numbers, rest))
    return best if lab.total(numbers, best) <= lab.total(numbers, chosen) else chosen


def _serves(indexes: Indexes, gone: Iterable[Candidate], needed: Indexes) -> bool:
    """Return whether what foreign keys need is still there where some indexes went."""
    tables = {fold(one.table) for one in gone}
    return all(any(one.starts_with(must) for one in indexes.on(tables)) for must in needed.on(tables))


def _order(bundle: Bundle) -> list[tuple[str, bool, int, tuple[str, ...], str]]:
    return sorted(map(candidate_order, bundle))
