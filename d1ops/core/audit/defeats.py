"""What keeps a query from using an index: a function around a column, a collation, a LIKE.

Nothing is concluded from the text. It only yields what to try: the same query with the column bare, or with a prefix
bound to its LIKE, and the planner says whether the table is then searched; the index that would serve the query as it
stands is made on a mirror, and the planner says whether it does.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import apsw

from d1ops.core.audit.plans import PlanRefused, plan_of, trees_of, with_pattern
from d1ops.core.audit.proposals import Draft, trial_names
from d1ops.core.engine import Engine
from d1ops.core.mirror import build_mirror, load_statistics
from d1ops.core.schema import structure
from d1ops.core.sql import fold, quote_identifier, quote_if_needed, significant, unquote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from d1ops.core.audit.plans import Plan, Tree
    from d1ops.core.audit.subject import PlannedQuery
    from d1ops.core.audit.tables import Table
    from d1ops.core.queries import Query
    from d1ops.core.schema import Schema
    from d1ops.core.sql import Token
    from d1ops.core.values import Row


@dataclass(frozen=True, slots=True)
class Defeat:
    """A table that a query reads whole because of `culprit`, a piece of its text.

    `index` is the index that the bare column would use, None where a LIKE has none yet. `fix` is the index that serves
    the query as it stands, where one was found.
    """

    query: Query
    table: str
    column: str
    culprit: str
    index: str | None
    fix: Draft | None
    plan: tuple[str, ...]
    is_like: bool


@dataclass(frozen=True, slots=True, eq=False)
class _Attempt:
    """A column of a table in a piece of a query, the query without what is around it, and the index for the piece."""

    planned: PlannedQuery
    table: Table
    column: str
    culprit: str
    bare: str
    draft: Draft
    is_like: bool


def find_defeats(
    engine: Engine,
    schema: Schema,
    tables: Mapping[str, Table],
    queries: Sequence[PlannedQuery],
    statistics: Sequence[Row],
    trees: Mapping[int, Tree],
) -> tuple[Defeat, ...]:
    """Return what keeps the queries from searching the tables that they read whole.

    `engine` is their mirror and `trees` are its b-trees.
    """
    proved: list[tuple[_Attempt, str | None]] = []
    for planned in queries:
        for attempt in _attempts(planned, tables):
            index = _served_when_bare(engine, trees, attempt)
            if index is not None or attempt.is_like:
                proved.append((attempt, index))
    if not proved:
        return ()
    fixes = _fixes(schema, statistics, [attempt for attempt, _ in proved], frozenset(tables))
    found: dict[tuple[int, str, str], Defeat] = {}
    for attempt, index in proved:
        fix = fixes.get(attempt)
        # A LIKE is only known to be in the way of an index when there is one that serves it.
        if index is None and fix is None:
            continue
        plan = attempt.planned.plan
        assert plan is not None
        found.setdefault(
            (id(attempt.planned), attempt.table.name, attempt.column),
            Defeat(
                attempt.planned.query,
                attempt.table.name,
                attempt.column,
                attempt.culprit,
                index,
                fix,
                plan.lines,
                attempt.is_like,
            ),
        )
    return tuple(found.values())


# -- what to try ---------------------------------------------------------------------------------------


def _attempts(planned: PlannedQuery, tables: Mapping[str, Table]) -> Iterator[_Attempt]:
    if planned.plan is None:
        return
    whole = dict.fromkeys(r.tree.table for r in planned.plan.whole_reads if not r.counts and r.tree.table in tables)
    if not whole:
        return
    tokens = list(significant(planned.query.sql))
    for name in whole:
        table = tables[name]
        for position, token in enumerate(tokens):
            match token.upper:
                case "COLLATE":
                    yield from _collation(planned, table, tokens, position)
                case "LIKE":
                    yield from _like(planned, table, tokens, position)
                case _ if token.kind == "word" and position + 1 < len(tokens) and tokens[position + 1].text == "(":
                    yield from _call(planned, table, tokens, position)
                case _:
                    pass


def _call(planned: PlannedQuery, table: Table, tokens: Sequence[Token], start: int) -> Iterator[_Attempt]:
    """Try `f(column, ...)` without the call, where it names one column."""
    end = _closing(tokens, start + 1)
    if end is None:
        return
    inside = tokens[start + 2 : end]
    columns = [position for position, token in enumerate(inside) if _column(table, token)]
    if len(columns) != 1 or any(token.upper in ("SELECT", "OVER", "*") for token in inside):
        return
    sql = planned.query.sql
    column = _column(table, inside[columns[0]])
    assert column is not None
    first, last = tokens[start], tokens[end]
    qualified = _with_qualifier(inside, columns[0])
    text = sql[first.start : last.start + 1]
    term = text.replace(sql[qualified.start : inside[columns[0]].start], "", 1)
    bare = sql[: first.start] + sql[qualified.start : _end(inside[columns[0]])] + sql[last.start + 1 :]
    draft = Draft(table.name, (column, first.text.lower()), (term,))
    yield _Attempt(planned, table, column, text, bare, draft, is_like=False)


def _collation(planned: PlannedQuery, table: Table, tokens: Sequence[Token], position: int) -> Iterator[_Attempt]:
    """Try a comparison without `COLLATE name`, which may stand on either side of the column's operator."""
    if position + 1 >= len(tokens):
        return
    sql, name = planned.query.sql, tokens[position + 1]
    near = (position - 1, position - 3)
    column = next((c for p in near if p >= 0 for c in (_column(table, tokens[p]),) if c), None)
    if column is None:
        return
    bare = sql[: tokens[position].start] + sql[_end(name) :]
    draft = Draft(table.name, (column,), (f"{quote_if_needed(column)} COLLATE {name.text}",))
    yield _Attempt(planned, table, column, f"COLLATE {name.text}", bare, draft, is_like=False)


def _like(planned: PlannedQuery, table: Table, tokens: Sequence[Token], position: int) -> Iterator[_Attempt]:
    """Try `column LIKE pattern` as `column GLOB pattern`, which compares as an ordinary index sorts."""
    if position < 1 or position + 1 >= len(tokens):
        return
    column, pattern = _column(table, tokens[position - 1]), tokens[position + 1]
    if column is None or pattern.kind not in ("string", "parameter") or pattern.text[1:2] in ("%", "_"):
        return
    sql = planned.query.sql
    word = tokens[position]
    literal = pattern.text.replace("%", "*") if pattern.kind == "string" else pattern.text
    bare = sql[: word.start] + "GLOB " + literal + sql[_end(pattern) :]
    culprit = sql[tokens[position - 1].start : _end(pattern)]
    draft = Draft(table.name, (column, "nocase"), (f"{quote_if_needed(column)} COLLATE NOCASE",))
    yield _Attempt(planned, table, column, culprit, bare, draft, is_like=True)


def _column(table: Table, token: Token) -> str | None:
    if token.kind not in ("word", "quoted"):
        return None
    column = table.column(unquote(token.text) if token.kind == "quoted" else token.text)
    return column.name if column else None


def _with_qualifier(tokens: Sequence[Token], position: int) -> Token:
    """Return the first token of `alias.column`."""
    return tokens[position - 2] if position >= 2 and tokens[position - 1].text == "." else tokens[position]


def _closing(tokens: Sequence[Token], opening: int) -> int | None:
    depth = 0
    for position in range(opening, len(tokens)):
        depth += {"(": 1, ")": -1}.get(tokens[position].text, 0)
        if depth == 0:
            return position
    return None


def _end(token: Token) -> int:
    return token.start + len(token.text)


# -- what the planner says -----------------------------------------------------------------------------


def _served_when_bare(engine: Engine, trees: Mapping[int, Tree], attempt: _Attempt) -> str | None:
    """Return the index that the bare column uses, where the table is then not read whole."""
    before = attempt.planned.plan
    assert before is not None
    try:
        after = _plan(engine, attempt.bare, attempt, trees)
    except PlanRefused:
        return None
    if _whole_reads(after, attempt.table.name) >= _whole_reads(before, attempt.table.name):
        return None
    gained = {tree.index for tree in after.reads if tree.table == attempt.table.name}
    named = [i.name for i in attempt.table.indexes if i.name in gained and _begins_with(i.terms[0].name, attempt)]
    return named[0] if named else None


def _plan(engine: Engine, sql: str, attempt: _Attempt, trees: Mapping[int, Tree]) -> Plan:
    parameters = len(attempt.planned.query.parameters)
    return plan_of(engine, *(with_pattern(sql) if attempt.is_like else (sql, parameters)), trees)


def _holds_a_row(draft: Draft, table: Table, name: str) -> bool:
    """Return whether an index can be made where there is a row.

    That a date is computed from the present time or place SQLite notices only when it computes one.
    """
    scratch = Engine.memory()
    try:
        columns = ", ".join(quote_identifier(column.name) for column in table.columns)
        scratch.ask(f"CREATE TABLE {quote_identifier(table.name)} ({columns})")
        values = ", ".join("'2000-01-01'" for _ in table.columns)
        scratch.ask(f"INSERT INTO {quote_identifier(table.name)} VALUES ({values})")
        scratch.ask(draft.sql(name))
    except apsw.Error:
        return False
    else:
        return True
    finally:
        scratch.close()


def _begins_with(name: str, attempt: _Attempt) -> bool:
    return fold(name) == fold(attempt.column)


def _whole_reads(plan: Plan, table: str) -> int:
    return sum(read.tree.table == table for read in plan.whole_reads)


def _fixes(
    schema: Schema, statistics: Sequence[Row], attempts: Sequence[_Attempt], names: frozenset[str]
) -> dict[_Attempt, Draft]:
    """Return for each attempt its index, where the planner uses it for the query as it stands."""
    mirror = build_mirror(schema.objects)
    drafts = _one_for_each_order(attempts)
    made: dict[Draft, str] = {}
    shapes = {drafts[attempt]: attempt.table for attempt in attempts}
    for draft, name in trial_names(schema, list(shapes)).items():
        if _holds_a_row(draft, shapes[draft], name):
            mirror.ask(draft.sql(name))
            made[draft] = name
    if statistics:
        load_statistics(mirror, statistics)
    trees = trees_of(mirror, names)
    found: dict[_Attempt, Draft] = {}
    for attempt in attempts:
        before, made_as = attempt.planned.plan, made.get(drafts[attempt])
        if before is None or made_as is None:
            continue
        after = _plan(mirror, attempt.planned.query.sql, attempt, trees)
        uses = any(tree.index == made_as for tree in after.reads)
        if uses and _whole_reads(after, attempt.table.name) < _whole_reads(before, attempt.table.name):
            found[attempt] = drafts[attempt]
    mirror.close()
    return found


def _one_for_each_order(attempts: Sequence[_Attempt]) -> dict[_Attempt, Draft]:
    """Return the draft of each attempt, the same one for all that sort by the same: the planner uses one of twins."""
    first: dict[str, Draft] = {}
    return {attempt: first.setdefault(structure(attempt.draft.object("")), attempt.draft) for attempt in attempts}
