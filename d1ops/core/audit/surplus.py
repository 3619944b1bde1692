"""Indexes that another b-tree already does the work of, and that may be dropped without harm.

An index is surplus when it sorts by the same as another, or by the first part of it. The proof is a mirror without
all of them at once: there every foreign key that was indexed is indexed, and no known query reads more.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Finding
from d1ops.core.audit.foreign_keys import judge_references
from d1ops.core.audit.plans import PlanRefused, best_plan_of, trees_of
from d1ops.core.mirror import build_mirror, load_statistics
from d1ops.core.schema import Schema
from d1ops.core.sql import ended, fold, is_read, quote_if_needed, significant, unquote

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from d1ops.core.audit.finding import Severity
    from d1ops.core.audit.foreign_keys import ForeignKey
    from d1ops.core.audit.plans import Plan
    from d1ops.core.audit.subject import PlannedQuery
    from d1ops.core.audit.tables import Index, Table, Term
    from d1ops.core.engine import Engine
    from d1ops.core.values import Row


class Kind(StrEnum):
    """How an index is contained in what stays."""

    DUPLICATE = "duplicate"
    PREFIX = "prefix"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Surplus:
    """An index that may go. `kept` is the index that does its work, None for the rowid or the table itself."""

    kind: Kind
    index: Index
    kept: str | None


def find_surplus(
    schema: Schema,
    tables: Mapping[str, Table],
    keys: Sequence[ForeignKey],
    queries: Sequence[PlannedQuery],
    statistics: Sequence[Row],
) -> tuple[Surplus, ...]:
    """Return the indexes that may be dropped together, in the order of the schema."""
    order = {o.name: position for position, o in enumerate(schema.objects)}
    candidates = [one for table in tables.values() for one in _candidates(table, order)]
    while candidates:
        needed = _needed({one.index.name for one in candidates}, schema, tables, keys, queries, statistics)
        if not needed:
            break
        # What a needed index made surplus in its turn is still done by the same one.
        candidates = [one for one in candidates if one.index.name not in needed]
    return tuple(candidates)


# -- what looks contained ------------------------------------------------------------------------------


def _candidates(table: Table, order: Mapping[str, int]) -> Iterator[Surplus]:
    rowid = table.rowid_column
    # What contains an index sorts first by what it sorts first by. Most indexes are alone in that.
    alike = Counter(index.terms[0] for index in table.indexes)
    own = [i for i in table.indexes if i.origin == "c" and (alike[i.terms[0]] > 1 or i.terms[0].name == rowid)]
    own.sort(key=lambda index: order.get(index.name, 0))
    constraints = [i for i in table.indexes if i.origin != "c"]
    for index in own:
        found = (
            _constraint(index, table, rowid, constraints)
            or _duplicate(index, own)
            or _longer(index, table.indexes, order)
        )
        if found is not None:
            yield found


def _constraint(index: Index, table: Table, rowid: str | None, constraints: Sequence[Index]) -> Surplus | None:
    if not index.where and [term.name for term in index.terms] == [rowid]:
        return Surplus(Kind.KEY, index, None)
    for other in constraints:
        if not index.where and index.terms == other.terms:
            return Surplus(Kind.KEY, index, None if _is_table(other, table) else other.name)
    return None


def _is_table(index: Index, table: Table) -> bool:
    return index.origin == "pk" and not table.has_rowid


def _duplicate(index: Index, own: Sequence[Index]) -> Surplus | None:
    """Of equal indexes the oldest stays, or the one that keeps rows unique."""
    for other in own:
        if other is index or (other.terms, other.where) != (index.terms, index.where):
            continue
        is_older = own.index(other) < own.index(index)
        if (other.is_unique and not index.is_unique) or (other.is_unique == index.is_unique and is_older):
            return Surplus(Kind.DUPLICATE, index, other.name)
    return None


def _longer(index: Index, indexes: Sequence[Index], order: Mapping[str, int]) -> Surplus | None:
    if index.is_unique:
        return None
    size = len(index.terms)
    longer = [i for i in indexes if len(i.terms) > size and i.terms[:size] == index.terms and i.where == index.where]
    # The longest is no prefix of another, and the one of a constraint, or the oldest, stays of those that are equal.
    kept = min(
        longer, key=lambda i: (-len(i.terms), i.origin == "c", not i.is_unique, order.get(i.name, 0)), default=None
    )
    return Surplus(Kind.PREFIX, index, kept.name) if kept is not None else None


# -- what would be worse without -----------------------------------------------------------------------


def _needed(
    dropped: set[str],
    schema: Schema,
    tables: Mapping[str, Table],
    keys: Sequence[ForeignKey],
    queries: Sequence[PlannedQuery],
    statistics: Sequence[Row],
) -> set[str]:
    """Return which of these indexes cannot go together with the others."""
    touched = {fold(o.table) for o in schema.objects if o.name in dropped}
    affected = [key for key in keys if touched & {fold(key.reference.table), fold(key.reference.parent)}]
    asked = [query for query in queries if _used(query.plan, dropped) or _used(query.plan_without_statistics, dropped)]
    rest = Schema(tuple(o for o in schema.objects if o.type != "index" or o.name not in dropped))
    if all(is_read(query.query.sql) for query in asked):
        # A foreign key needs no other tables than its own, and a query that only reads those that it reads. What
        # a write needs besides, for its triggers and for the foreign keys that point at it, is not seen in its plan.
        involved = touched | {fold(n) for key in affected for n in (key.reference.table, key.reference.parent)}
        involved |= {fold(name) for query in asked for name in _mentioned(query)}
        if asked and any(o.type == "view" for o in schema.objects):  # a view may name any table
            involved |= {fold(name) for name in schema.tables()}
        rest = Schema(
            tuple(o for o in rest.objects if o.type == "view" or (o.type != "trigger" and fold(o.table) in involved))
        )
    names = frozenset(schema.tables())
    needed: set[str] = set()
    mirror = build_mirror(rest.objects)
    try:
        left = {name: table.without(dropped) if fold(name) in touched else table for name, table in tables.items()}
        again = judge_references(mirror, [key.reference for key in affected], left)
        for key, other in zip(affected, again, strict=True):
            if key.is_indexed and not other.is_indexed and key.index is not None:
                needed.add(key.index)
            if other.breakage is not None and key.breakage is None:
                parent = fold(key.reference.parent)
                needed |= {o.name for o in schema.objects if o.name in dropped and fold(o.table) == parent}
        needed |= _needed_by_queries(mirror, dropped, names, [(q, q.plan_without_statistics) for q in asked])
        if statistics:
            load_statistics(mirror, statistics)
            needed |= _needed_by_queries(mirror, dropped, names, [(q, q.plan) for q in asked])
    finally:
        mirror.close()
    return needed


def _needed_by_queries(
    mirror: Engine, dropped: set[str], names: frozenset[str], planned: Sequence[tuple[PlannedQuery, Plan | None]]
) -> set[str]:
    trees = trees_of(mirror, names)
    needed: set[str] = set()
    for one, before in planned:
        used = _used(before, dropped)
        if before is None or not used:
            continue
        try:
            after = best_plan_of(mirror, one.query.sql, len(one.query.parameters), trees)
        except PlanRefused:  # INDEXED BY names it
            needed |= used
            continue
        if any(new > old for new, old in zip(_cost(after), _cost(before), strict=True)):
            needed |= used
    return needed


def _mentioned(query: PlannedQuery) -> Iterator[str]:
    """Yield the tables of a query: those of its plan, and all words in it, should SQLite leave a table out."""
    for plan in (query.plan, query.plan_without_statistics):
        yield from (tree.table for tree in plan.reads) if plan else ()
    yield from (unquote(t.text) if t.kind == "quoted" else t.text for t in significant(query.query.sql))


def _used(plan: Plan | None, dropped: set[str]) -> set[str]:
    return {tree.index for tree in plan.reads if tree.index is not None and tree.index in dropped} if plan else set()


def _cost(plan: Plan) -> tuple[int, ...]:
    """Return what can only be worse when it is larger: whole reads, sorts, those of more than the last terms, scans,
    and the comparisons and early ends that are not there."""
    lines = [line.strip() for line in plan.lines]
    return (
        len(plan.whole_reads),
        sum(line.startswith("USE TEMP B-TREE") for line in lines),
        sum(line.startswith("USE TEMP B-TREE") and " LAST " not in line for line in lines),
        sum(line.startswith("SCAN ") or " AUTOMATIC " in line for line in lines),
        -sum(line.count("?") for line in lines),
        -plan.early_ends,
    )


# -- as findings ---------------------------------------------------------------------------------------


def findings(surplus: Sequence[Surplus], kind: Kind, rule: str, severity: Severity) -> Iterator[Finding]:
    """Yield the findings of a rule about indexes of this kind."""
    for one in surplus:
        index = one.index
        if one.kind is not kind:
            continue
        yield Finding(
            rule=rule,
            severity=severity,
            table=index.table,
            columns=tuple(term.name for term in index.terms),
            index=index.name,
            others=(one.kept,) if one.kept else (),
            message=(
                f"index {index.name} on {index.table} ({_text(index.terms)}) {_why(one)}:"
                " each INSERT writes one row more for it"
            ),
            remedy="drop it: no foreign key and no known query reads more without it",
            fix_sql=f"DROP INDEX IF EXISTS {quote_if_needed(index.name)};",
            rollback_sql=ended(index.sql or ""),
            facts={"kept": one.kept, "is_unique": index.is_unique},
        )


def _why(one: Surplus) -> str:
    kept = one.kept
    match one.kind:
        case Kind.DUPLICATE:
            return f"sorts by the same as {kept}"
        case Kind.PREFIX:
            return f"sorts by what {kept} begins with"
        case Kind.KEY:
            return f"repeats the constraint that {kept} keeps" if kept else "repeats the primary key"


def _text(terms: Sequence[Term]) -> str:
    """Return terms as a person would write them."""
    return ", ".join(
        (term.text or term.name)
        + (f" COLLATE {term.collation}" if term.collation != "BINARY" and not term.text else "")
        + (" DESC" if term.is_descending else "")
        for term in terms
    )
