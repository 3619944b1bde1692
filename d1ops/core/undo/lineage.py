"""Which table and column holds now what another one held before: renames, told by what happened to the rows."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.measure import BEFORE, measure
from d1ops.core.sql import fold, quote_identifier
from d1ops.core.tables import read_tables
from d1ops.core.trial import beside, opened

if TYPE_CHECKING:
    from d1ops.core.engine import Engine
    from d1ops.core.tables import Table


@dataclass(frozen=True, slots=True)
class Lineage:
    """For every table, folded, where its rows are in the other database, and for every column of it, as it is spelled,
    the column there. What the other one does not have is missing."""

    tables: dict[str, str]
    columns: dict[str, dict[str, str]]

    def reversed(self, there: dict[str, Table], here: dict[str, Table]) -> Lineage:
        """Return the same the other way round; `here` are the tables that this lineage speaks of, `there` those of the
        other database."""
        names = {fold(other): here[name].name for name, other in self.tables.items()}
        return Lineage(
            names,
            {
                name: {other: column for column, other in self.columns[fold(source)].items()}
                for name, source in names.items()
                if name in there
            },
        )


def trace(before: bytes, after: bytes) -> Lineage:
    """Find every table and column of the image `before` in the image `after`, which scripts made of it.

    A name that is still there stands for itself. What is gone is looked for where SQLite altered it in place, and where
    the same values are: rows of their own in every table are what tells one from another.
    """
    with closing(opened(before)) as old, closing(opened(after)) as engine:
        then, now = read_tables(old), read_tables(engine)
        with beside(engine, before):
            renamed = {fold(loss.table): loss for loss in measure(engine, [table.name for table in then.values()], {})}
            tables: dict[str, str] = {}
            columns: dict[str, dict[str, str]] = {}
            for name, table in then.items():
                loss = renamed.get(name)
                other = name if name in now else fold(loss.renamed_to) if loss and loss.renamed_to else None
                if other is None or other not in now:
                    continue
                tables[name] = now[other].name
                known = {c.column: c.renamed_to for c in loss.columns if c.renamed_to} if loss else {}
                columns[name] = _columns(engine, table, now[other], known)
    return Lineage(tables, columns)


def _columns(engine: Engine, then: Table, now: Table, known: dict[str, str]) -> dict[str, str]:
    there = {fold(column): column for column in now.columns}
    found = {column: there[fold(column)] for column in then.columns if fold(column) in there}
    found |= {column: other for column, other in known.items() if column in then.columns and column not in found}
    if len(then.columns) == len(now.columns):
        used = {fold(other) for other in found.values()}
        for old, new in zip(then.columns, now.columns, strict=True):
            if old not in found and fold(new) not in used and _holds_the_same(engine, then.name, old, now.name, new):
                found[old] = new
    return found


def _holds_the_same(engine: Engine, table: str, column: str, other: str, renamed: str) -> bool:
    """Whether two columns hold the same values, each as often."""
    one, two = (
        f"SELECT typeof({quote_identifier(name)}) AS t, {quote_identifier(name)} COLLATE BINARY AS v, count(*) AS n"
        f" FROM {schema}.{quote_identifier(of)} GROUP BY 1, 2"
        for schema, of, name in ((BEFORE, table, column), ("main", other, renamed))
    )
    return not engine.ask(f"SELECT 1 FROM ({one} EXCEPT {two}) LIMIT 1")
