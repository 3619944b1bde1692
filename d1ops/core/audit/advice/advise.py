"""Advice: the indexes that a workload wants, with what each query reads before and after, measured on a scratch
database."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from itertools import chain, count
from typing import TYPE_CHECKING

import apsw

from d1ops.core.audit.advice.candidates import Candidate, candidates_of, expressions_of
from d1ops.core.audit.advice.choose import choose
from d1ops.core.audit.advice.lab import NONE, Budget, Indexes, Lab, Task
from d1ops.core.audit.advice.samples import distinct_in, samples_of
from d1ops.core.audit.advice.terms import Recorder
from d1ops.core.mirror import build_mirror, schema_of
from d1ops.core.sql import fold, quote_identifier, quote_if_needed

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from d1ops.core.audit.advice.candidates import Distinct
    from d1ops.core.audit.advice.choose import Chosen
    from d1ops.core.audit.advice.scratch import Cost, Meter
    from d1ops.core.engine import Engine
    from d1ops.core.schema import Schema
    from d1ops.core.values import Row
    from d1ops.core.workload import Entry, Observed, Workload


@dataclass(frozen=True, slots=True)
class Effect:
    """What the advised indexes do to one query. Rows are those of one execution, a mean over several parameters.

    `rows_read_before` and what goes with it are None for a query that could not be run, and `not_run` says why;
    `indexes` are the names of the advised ones that its plan uses.
    """

    query: str
    places: tuple[str, ...]
    sql: str
    plan_before: tuple[str, ...]
    plan_after: tuple[str, ...]
    rows_read_before: float | None
    rows_read_after: float | None
    rows_written_before: float | None
    rows_written_after: float | None
    seconds_before: float | None
    seconds_after: float | None
    indexes: tuple[str, ...]
    observed: Observed | None = None
    not_run: str | None = None

    @property
    def is_mended(self) -> bool:
        """Whether it reads less than before."""
        before, after = self.rows_read_before, self.rows_read_after
        return before is not None and after is not None and after < before

    @property
    def is_worse(self) -> bool:
        """Whether it reads at least a row more than before."""
        before, after = self.rows_read_before, self.rows_read_after
        return before is not None and after is not None and after >= before + 1


@dataclass(frozen=True, slots=True)
class IndexAdvice:
    """An index that should be made, with its reasons: foreign keys as text, queries by name.

    `queries` read less with it. `queries_kept` would read more than now without it, because of the other indexes.
    """

    name: str
    table: str
    keys: tuple[str, ...]
    where: str
    create_sql: str
    drop_sql: str
    foreign_keys: tuple[str, ...]
    queries: tuple[str, ...]
    queries_kept: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Advice:
    """The indexes, what they do to every query, and how that was found out.

    `measured_by` is `workerd`, which counts as D1 bills, or `sqlite`, which estimates. `over_budget` are indexes that
    would pay on tables that have their number already. `rows` is the size of each table of the scratch database.
    """

    indexes: tuple[IndexAdvice, ...]
    effects: tuple[Effect, ...]
    over_budget: tuple[str, ...]
    measured_by: str
    is_estimate: bool
    rows_from: str
    rows: Mapping[str, int]
    measurements: int


@dataclass(frozen=True, slots=True)
class Need:
    """An index that a foreign key needs: the statement that a finding proposes for it, and the foreign key as text."""

    create_sql: str
    foreign_key: str


@dataclass(frozen=True, slots=True)
class Scratch:
    """A scratch database: `engine` holds its rows for looking up parameters, `meter` runs the queries.

    `rows_from` says whose rows they are: `backup <id>` or `generated`.
    """

    engine: Engine
    meter: Meter
    rows_from: str


def advise(
    schema: Schema,
    statistics: Sequence[Row],
    workload: Workload,
    needs: Sequence[Need],
    scratch: Scratch,
    *,
    ledger: str,
    budget: Budget | None = None,
) -> Advice:
    """Choose the indexes for a workload on a schema with all its objects, and say what each query gains.

    Raises HumanNeeded when an object of the schema cannot be rebuilt.
    """
    planner = build_mirror(schema.objects, statistics=statistics)
    try:
        users = frozenset(schema.users(ledger).tables())
        recorder = Recorder(planner, schema, users)
        distinct = distinct_in(scratch.engine)
        try:
            tasks = [_task(planner, recorder, entry, scratch.engine, distinct) for entry in workload.entries]
        finally:
            recorder.close()
        lab = Lab(planner, scratch.meter, tasks, budget or Budget())
        wanted = {need: _candidate(planner, need.create_sql) for need in needs}
        needed = dict(wanted.values())
        chosen = choose(lab, _widest(needed), _existing(planner))
        told = _told(schema, workload, wanted, chosen, lab, scratch, users)
        lab.clear()
        return told
    finally:
        planner.close()


def workload_tables(schema: Schema, workload: Workload) -> frozenset[str]:
    """Return the tables that the workload reads or writes, folded."""
    planner = build_mirror(schema.objects)
    try:
        found = [_tables(planner, entry.query.sql, len(entry.query.parameters)) for entry in workload.entries]
    finally:
        planner.close()
    return frozenset(table for read, written in found for table in read | written)


# -- tasks -----------------------------------------------------------------------------------------------------------


def _task(planner: Engine, recorder: Recorder, entry: Entry, rows: Engine, distinct: Distinct) -> Task:
    query = entry.query
    terms = recorder.terms_of(query.sql)
    read, written = _tables(planner, query.sql, len(query.parameters))
    columns = {table: known for table, known in recorder.columns.items() if fold(table) in read | written}
    accesses = [access for access in terms.accesses if access.table in columns]
    tried = dict.fromkeys(chain(candidates_of(accesses, columns, distinct), expressions_of(query.sql, columns)))
    return Task(
        sql=query.sql,
        samples=samples_of(rows, query.sql, len(query.parameters), terms.parameters, columns),
        candidates=tuple(tried),
        tables=read | written,
        written=written,
        weight=entry.observed.executions if entry.observed else 1.0,
        counts_writes=bool(entry.observed and written),
    )


def _tables(planner: Engine, sql: str, parameters: int) -> tuple[frozenset[str], frozenset[str]]:
    """Return the tables that a query reads and those that it writes, folded, as the authorizer tells them."""
    read: set[str] = set()
    written: set[str] = set()

    def note(action: int, first: str | None, *_: str | None) -> None:
        if first and action == apsw.SQLITE_READ:
            read.add(fold(first))
        elif first and action in (apsw.SQLITE_INSERT, apsw.SQLITE_UPDATE, apsw.SQLITE_DELETE):
            written.add(fold(first))

    planner.on_action = note
    try:
        list(planner.connection.execute(sql, (None,) * parameters or None, can_cache=False, explain=2))
    except apsw.Error:
        return frozenset(), frozenset()
    finally:
        planner.on_action = None
    return frozenset(read), frozenset(written)


def _candidate(planner: Engine, create_sql: str) -> tuple[Candidate, str]:
    """Return the index that a statement makes, and its name, by making it."""
    before = schema_of(planner).by_key()
    planner.ask(create_sql)
    made = next(o for key, o in schema_of(planner).by_key().items() if key not in before)
    rows = planner.ask('SELECT name, "desc", coll FROM pragma_index_xinfo(?) WHERE key ORDER BY seqno', (made.name,))
    keys: list[str] = []
    for name, descends, collation in rows:
        own = planner.connection.column_metadata("main", made.table, str(name))[1]
        other = f" COLLATE {quote_if_needed(str(collation))}" if fold(str(collation)) != fold(own) else ""
        keys.append(f"{quote_if_needed(str(name))}{other}{' DESC' if descends else ''}")
    planner.ask(f"DROP INDEX {quote_identifier(made.name)}")
    return Candidate(made.table, tuple(keys)), made.name


def _widest(needed: Iterable[Candidate]) -> list[Candidate]:
    """Leave out what is the beginning of another."""
    every = list(dict.fromkeys(needed))
    return [one for one in every if not any(other != one and other.starts_with(one) for other in every)]


def _existing(planner: Engine) -> dict[str, int]:
    rows = planner.ask("SELECT tbl_name, count(*) FROM sqlite_master WHERE type = 'index' GROUP BY tbl_name")
    return {fold(str(table)): int(str(number)) for table, number in rows}


# -- what is told ----------------------------------------------------------------------------------------------------


def _told(
    schema: Schema,
    workload: Workload,
    wanted: Mapping[Need, tuple[Candidate, str]],
    chosen: Chosen,
    lab: Lab,
    scratch: Scratch,
    tables: frozenset[str],
) -> Advice:
    names = _names(schema, chosen.indexes, dict(wanted.values()))
    everything = Indexes.of(chosen.indexes)
    effects = tuple(_effect(lab, number, entry, everything, names) for number, entry in enumerate(workload.entries))
    indexes = tuple(_index(one, names, wanted, effects, _kept(lab, one, everything)) for one in chosen.indexes)
    return Advice(
        indexes=indexes,
        effects=effects,
        over_budget=tuple(f"{one.table} ({', '.join(one.keys)})" for one in chosen.refused),
        measured_by=scratch.meter.name,
        is_estimate=not scratch.meter.is_exact,
        rows_from=scratch.rows_from,
        rows={table: scratch.engine.count(table) for table in sorted(tables) if _is_ordinary(scratch.engine, table)},
        measurements=lab.measurements,
    )


def _is_ordinary(engine: Engine, table: str) -> bool:
    return (
        engine.ask("SELECT 1 FROM pragma_table_list WHERE schema = 'main' AND name = ? AND type = 'table'", (table,))
        != []
    )


def _effect(lab: Lab, number: int, entry: Entry, indexes: Indexes, names: Mapping[Candidate, str]) -> Effect:
    before, after = lab.cost(number, NONE), lab.cost(number, indexes)
    known = before is not None and after is not None

    def shown(cost: Cost | None) -> tuple[float | None, float | None, float | None]:
        return (cost.rows_read, cost.rows_written, cost.seconds) if cost is not None and known else (None, None, None)

    (read, written, seconds), (read_after, written_after, seconds_after) = shown(before), shown(after)
    return Effect(
        query=entry.query.name,
        places=entry.places,
        sql=entry.query.sql,
        plan_before=lab.plan(number, NONE),
        plan_after=tuple(_renamed(lab, line, names) for line in lab.plan(number, indexes)),
        rows_read_before=read,
        rows_read_after=read_after,
        rows_written_before=written,
        rows_written_after=written_after,
        seconds_before=seconds,
        seconds_after=seconds_after,
        indexes=tuple(names[one] for one in sorted(lab.used(number, indexes), key=lambda one: names[one])),
        observed=entry.observed,
        not_run=None if known else lab.reason(number),
    )


def _renamed(lab: Lab, line: str, names: Mapping[Candidate, str]) -> str:
    for candidate, name in names.items():
        line = line.replace(lab.name_of(candidate), name)
    return line


def _index(
    one: Candidate,
    names: Mapping[Candidate, str],
    wanted: Mapping[Need, tuple[Candidate, str]],
    effects: Sequence[Effect],
    kept: Sequence[int],
) -> IndexAdvice:
    return IndexAdvice(
        name=names[one],
        table=one.table,
        keys=one.keys,
        where=one.where,
        create_sql=f"{one.sql(names[one])};",
        drop_sql=f"DROP INDEX IF EXISTS {quote_if_needed(names[one])};",
        foreign_keys=tuple(need.foreign_key for need, (least, _) in wanted.items() if one.starts_with(least)),
        queries=tuple(effect.query for effect in effects if effect.is_mended and names[one] in effect.indexes),
        queries_kept=tuple(effects[number].query for number in kept),
    )


def _kept(lab: Lab, one: Candidate, indexes: Indexes) -> list[int]:
    """Return the numbers of the tasks that only the other indexes would make read more."""
    found: list[int] = []
    for number in lab.near((one,)):
        costs = [lab.cost(number, each) for each in (NONE, indexes, indexes.without((one,)))]
        before, after, without = (cost.rows_read if cost is not None else 0.0 for cost in costs)
        if after >= before and without - max(before, after) >= lab.least(without):
            found.append(number)
    return found


def _names(schema: Schema, indexes: Iterable[Candidate], given: Mapping[Candidate, str]) -> dict[Candidate, str]:
    """Name every index after its table and columns, as findings do, where the name is free."""
    taken = {fold(o.name) for o in schema.objects}
    names: dict[Candidate, str] = {}
    repeated = Counter(one.words for one in indexes)
    for one in indexes:
        plain = "_".join(("idx", *one.words)) + ("_partial" if one.where and repeated[one.words] > 1 else "")
        options = chain((given[one],) if one in given else (), (plain,), (f"{plain}_{n}" for n in count(2)))
        names[one] = next(name for name in options if fold(name) not in taken)
        taken.add(fold(names[one]))
    return names
