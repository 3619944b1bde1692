"""How a rollback script goes about it, and what that costs: seen while it runs on empty tables, not read off it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.lint.subject import Role, examine, table_columns, vanished
from d1ops.core.sql import fold

if TYPE_CHECKING:
    from d1ops.core.catalog import Catalog
    from d1ops.core.lint.subject import Run
    from d1ops.core.schema import Schema


@dataclass(frozen=True, slots=True)
class Manner:
    """What a rollback does, in words, and which rows D1 bills for it.

    Seen on workerd 1.20261117.1 with 1,000 rows: DROP COLUMN reads and writes every row of its table once; DROP TABLE,
    DROP INDEX and ADD COLUMN read and write a handful; CREATE INDEX reads every row twice and writes it once.
    """

    how: str
    cost: str


def manners(catalog: Catalog) -> dict[int, Manner]:
    """Return how each rollback script of a catalog goes about it, by the migration's number. Scripts that do not run
    are left out."""
    return {
        run.migration.number: _manner(run, run.before, run.after)
        for run in examine(catalog).runs
        if run.role is Role.ROLLBACK and run.before is not None and run.after is not None
    }


def _manner(run: Run, before: Schema, after: Schema) -> Manner:
    dropped = [step.dropped for step in run.steps if step.dropped is not None and before.has_table(step.dropped)]
    rebuilt = [table for table in dropped if after.has_table(table)]
    gone = [table for table in dropped if table not in rebuilt]
    then, now = table_columns(before), table_columns(after)
    columns = {
        table: len(then[table] - now[table])
        for table in then
        if table in now and then[table] - now[table] and table not in map(fold, rebuilt)
    }
    lost = {fold(table) for table in gone}
    of = {o.label: fold(o.table) for o in before.objects}
    others = [x for x in vanished(before, after) if not x.startswith("table ") and of[x] not in lost]
    writes = [s for s in run.steps if s.words[0] in ("DELETE", "UPDATE", "INSERT", "REPLACE")] if not rebuilt else []
    how = [f"rebuilds {table}" for table in rebuilt]
    how += [f"drops {_number(len(gone), 'table')}"] if gone else []
    how += [f"drops {_number(count, 'column')} of {table}" for table, count in columns.items()]
    how += [f"drops {_number(len(others), 'index' if _are_indexes(others) else 'object')}"] if others else []
    how += ["changes rows"] if writes else []
    cost = [f"every row of {table}, twice" for table in rebuilt]
    cost += [f"every row of {table}{f', {count} times' if count > 1 else ''}" for table, count in columns.items()]
    cost += ["the rows that it changes"] if writes else []
    return Manner("; ".join(how) or "nothing", "; ".join(cost) or "a few rows")


def _are_indexes(labels: list[str]) -> bool:
    return all(label.startswith("index ") for label in labels)


def _number(count: int, noun: str) -> str:
    plural = f"{noun}es" if noun == "index" else f"{noun}s"
    return f"{count} {noun if count == 1 else plural}"
