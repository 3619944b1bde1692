"""What is not there any more, by identity and content, never by counts.

A row is lost when its key was there before and is not after (as a multiset where there is no key); a value is lost
when the cell held something and does not hold it any more. Virtual tables are read as their users see them; one that
cannot be read (its content table is gone) holds nothing. What a search finds by a full-text index without a text of
its own is compared beside that.
"""

from __future__ import annotations

import re
from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeAlias

import apsw

from d1ops.core.fulltext import content_of, lost_documents, misfound_documents, sql_of
from d1ops.core.sql import fold, quote_identifier

if TYPE_CHECKING:
    from collections.abc import Sequence
    from collections.abc import Set as AbstractSet

    from d1ops.core.engine import Engine
    from d1ops.core.rehearsal import Cause
    from d1ops.core.values import Row

BEFORE = "before"
"""The schema name under which the untouched copy is attached to the clone while losses are measured."""


Part: TypeAlias = tuple[str, str | None]
"""A table, or a column of a table."""


def loss_name(table: str, column: str | None = None) -> str:
    """Return a loss as it is named for consent: `table` or `table.column`.

    A name that holds a dot, a comma or a double quote is quoted, so that no two losses share a name.
    """
    return ".".join(
        quote_identifier(name) if any(mark in name for mark in '.,"') else name
        for name in (table, column)
        if name is not None
    )


def table_of(loss: str) -> str:
    """Return the table that a loss (see `loss_name`) names, in the same form."""
    match = re.match(r'"(?:[^"]|"")*"|[^.]*', loss)
    return match.group() if match else loss


@dataclass(frozen=True, slots=True)
class ColumnLoss:
    """Values of one column that were there and are not any more. `dropped` says the column is gone."""

    column: str
    values_lost: int
    dropped: bool
    renamed_to: str | None = None


@dataclass(frozen=True, slots=True)
class TableLoss:
    """What a change does to one table. `exists_after` is False for a dropped one."""

    table: str
    rows_before: int
    rows_after: int
    rows_lost: int
    columns: tuple[ColumnLoss, ...] = ()
    exists_after: bool = True
    renamed_to: str | None = None
    causes: tuple[Cause, ...] = ()
    is_unfit: bool = False
    """Whether this is a full-text index that fitted the rows of another table and does not any more: the lost rows are
    those that a search finds wrongly, or not at all."""

    @property
    def losses(self) -> tuple[str, ...]:
        """What is lost, as it is named for consent: `table`, or `table.column`.

        Where rows are lost the table's name stands for all: a lost row takes its values along.
        """
        if self.rows_lost:
            return (loss_name(self.table),)
        return tuple(loss_name(self.table, c.column) for c in self.columns if c.values_lost)


def measure(
    engine: Engine,
    tables: Sequence[str],
    causes: dict[str, list[Cause]],
    *,
    before: str = BEFORE,
    reached: AbstractSet[str] | None = None,
) -> tuple[TableLoss, ...]:
    """Compare every table of the attached copy with the clone as it is now, by identity and content.

    `tables` are the tables to compare, as the copy has them. Tables with nothing to say are left out. `reached` are
    the only ones (folded) that can have changed, None where any can: the entries of a full-text index take long to
    compare.
    """
    with engine.unlimited():
        now = {fold(str(name)): str(name) for (name,) in engine.ask(_TABLES.format(schema="main"))}
        then = {fold(str(name)) for (name,) in engine.ask(_TABLES.format(schema=before))}
        fresh = [name for folded, name in now.items() if folded not in then]
        found = []
        for table in tables:
            if not _is_readable(engine, before, table) or _is_derived(engine, before, table):
                continue
            if fold(table) not in now:
                loss = _gone(engine, before, table, fresh)
            elif not _is_readable(engine, "main", now[fold(table)]):
                rows = _count(engine, before, table)
                loss = TableLoss(table, rows, 0, rows)
            else:
                loss = _compare(engine, before, table, now[fold(table)])
            loss = _with_entries(engine, before, table, now.get(fold(table)), loss, reached)
            if loss is not None:
                found.append(replace(loss, causes=tuple(causes.get(fold(table), ()))))
    return tuple(found)


_TABLES = "SELECT name FROM {schema}.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"


def _is_readable(engine: Engine, schema: str, table: str) -> bool:
    """Whether a table can be read: not a virtual one whose content table, or whose index, is missing."""
    if not _is_virtual(engine, schema, table):
        return True
    try:
        engine.ask(f"SELECT * FROM {schema}.{quote_identifier(table)} LIMIT 1")
    except apsw.SQLError:
        return False
    except UnicodeDecodeError:
        return True
    return True


def _is_derived(engine: Engine, schema: str, table: str) -> bool:
    """Whether a table holds nothing of its own: it counts the words of a full-text index."""
    return bool(
        engine.ask(
            f"SELECT 1 FROM {schema}.sqlite_master WHERE type = 'table' AND name = ? AND rootpage = 0"
            " AND sql LIKE '%using%fts5vocab%'",
            (table,),
        )
    )


def _count(engine: Engine, schema: str, table: str) -> int:
    value = engine.ask_one(f"SELECT count(*) FROM {schema}.{quote_identifier(table)}")
    return int(str(value))


def stored_columns(engine: Engine, schema: str, table: str) -> dict[str, int]:
    """Column names (generated ones left out: their value follows from others) with their place in the key."""
    rows = engine.ask("SELECT name, pk FROM pragma_table_xinfo(?, ?) WHERE hidden = 0", (table, schema))
    return {str(name): int(str(pk)) for name, pk in rows}


def _gone(engine: Engine, before: str, table: str, fresh: list[str]) -> TableLoss | None:
    """A table that is not there any more: renamed if a new one is the same in place or holds all its rows, else lost.

    A new table stands for one gone table alone, and is taken from `fresh`.
    """
    rows = _count(engine, before, table)
    columns = {fold(name) for name in stored_columns(engine, before, table)}
    for name in sorted(fresh, key=lambda name: not _is_in_place(engine, before, table, name)):
        is_same = _is_in_place(engine, before, table, name)
        if not is_same and not {fold(column) for column in stored_columns(engine, "main", name)} >= columns:
            continue
        loss = _compare(engine, before, table, name) or TableLoss(table, rows, rows, 0)
        if is_same or (not loss.losses and loss.rows_after == rows):
            if rows:
                fresh.remove(name)
            return replace(loss, exists_after=False, renamed_to=name)
    return TableLoss(table, rows, 0, rows, exists_after=False)


def _compare(engine: Engine, before: str, table: str, now: str) -> TableLoss | None:
    old, new = stored_columns(engine, before, table), stored_columns(engine, "main", now)
    known = {fold(name): name for name in new}
    shared = [(name, known[fold(name)]) for name in old if fold(name) in known]
    dropped = [name for name in old if fold(name) not in known]
    rows_before, rows_after = _count(engine, before, table), _count(engine, "main", now)
    b, a = f"{before}.{quote_identifier(table)}", f"main.{quote_identifier(now)}"
    key = _key(engine, before, table, now, old, shared)
    if key:
        # The types are compared too: affinity makes the text '007' equal to the number 7.
        match = " AND ".join(f"a.{y} IS b.{x} COLLATE BINARY AND typeof(a.{y}) = typeof(b.{x})" for x, y in key)
        if _is_virtual(engine, before, table) and not any(old.values()):
            # A virtual table finds a row by its number for `=` alone; for anything else it reads all of them.
            match = " AND ".join(f"a.{y} = b.{x}" for x, y in key)
        lost = engine.ask_one(f"SELECT count(*) FROM {b} b WHERE NOT EXISTS (SELECT 1 FROM {a} a WHERE {match})")
        columns = _changed_cells(engine, f"{b} b JOIN {a} a ON {match}", shared, key)
    else:
        lost = _lost_of_multiset(engine, b, a, shared) if shared else max(0, rows_before - rows_after)
        columns = []
        match = ""
    rows_lost = int(str(lost))
    if rows_lost and key and not any(old.values()) and not dropped and not _lost_of_multiset(engine, b, a, shared):
        # Rows that were taken out and put back have other rowids, and all that they held.
        rows_lost, columns = 0, []
    extra = [name for name in new if fold(name) not in {fold(x) for x in old}]
    for name in dropped:
        column = quote_identifier(name)
        values = int(str(engine.ask_one(f"SELECT count({column}) FROM {b}")))
        renamed = _renamed(engine, f"{b} b JOIN {a} a ON {match}", name, extra) if match and values else None
        columns.append(ColumnLoss(name, 0 if renamed else values, dropped=True, renamed_to=renamed))
    if not rows_lost and not columns and rows_before == rows_after:
        return None
    return TableLoss(table, rows_before, rows_after, rows_lost, tuple(columns))


def _with_entries(
    engine: Engine, before: str, table: str, now: str | None, loss: TableLoss | None, reached: AbstractSet[str] | None
) -> TableLoss | None:
    """Add what a search finds no longer, or wrongly, by an index that keeps no text: reading it shows none of that."""
    name = loss.renamed_to if loss is not None and loss.renamed_to else now
    content = content_of(sql_of(engine, table, before)) if _is_virtual(engine, before, table) else None
    if name is None or content is None:
        return loss
    is_in_reach = reached is None or not reached.isdisjoint((fold(table), fold(content)))
    if not is_in_reach and (not content or sql_of(engine, content, before)):
        return loss
    count = misfound_documents if content else lost_documents
    lost = count(engine, table, name, before=before)
    if not lost:
        return loss
    loss = loss or TableLoss(table, _count(engine, before, table), _count(engine, "main", name), 0)
    return replace(loss, rows_lost=max(loss.rows_lost, lost), is_unfit=bool(content))


def _key(
    engine: Engine,
    before: str,
    table: str,
    now: str,
    old: dict[str, int],
    shared: Sequence[tuple[str, str]],
) -> list[tuple[str, str]]:
    """The columns that identify a row in both tables, quoted: the primary key, else the rowid, else none.

    The rowid serves only while the table was not rebuilt: SQLite gives new ones to copied rows.
    """
    names = dict(shared)
    primary = sorted((pk, name) for name, pk in old.items() if pk)
    if primary and all(name in names for _, name in primary):
        nulls = " OR ".join(f"{quote_identifier(name)} IS NULL" for _, name in primary)
        if engine.ask(f"SELECT 1 FROM {before}.{quote_identifier(table)} WHERE {nulls} LIMIT 1"):
            return []
        return [(quote_identifier(name), quote_identifier(names[name])) for _, name in primary]
    taken = {fold(name) for name in (*old, *stored_columns(engine, "main", now))}
    free = [alias for alias in ("rowid", "_rowid_", "oid") if alias not in taken]
    is_same = _is_in_place(engine, before, table, now) or _is_virtual(engine, before, table)
    if not free or not is_same or not _has_rowid(engine, before, table) or not _has_rowid(engine, "main", now):
        return []
    return [(free[0], free[0])]


def _is_in_place(engine: Engine, before: str, table: str, now: str) -> bool:
    """Whether two tables begin at the same page, as one does that was altered and not rebuilt."""
    return bool(
        engine.ask_one(
            f"SELECT (SELECT rootpage FROM {before}.sqlite_master WHERE type = 'table' AND name = ?1)"
            " = (SELECT rootpage FROM main.sqlite_master WHERE type = 'table' AND name = ?2 AND rootpage > 0)",
            (table, now),
        )
    )


def _is_virtual(engine: Engine, schema: str, table: str) -> bool:
    # Only a virtual table has no page of its own; pragma_table_list would look at every table each time.
    listed = f"SELECT 1 FROM {schema}.sqlite_master WHERE type = 'table' AND name = ? AND rootpage = 0"
    return bool(engine.ask(listed, (table,)))


def _has_rowid(engine: Engine, schema: str, table: str) -> bool:
    return not engine.ask_one("SELECT wr FROM pragma_table_list WHERE schema = ? AND name = ?", (schema, table))


def _changed_cells(
    engine: Engine, joined: str, shared: Sequence[tuple[str, str]], key: Sequence[tuple[str, str]]
) -> list[ColumnLoss]:
    keys = {x for x, _ in key}
    cells = [(x, quote_identifier(x), quote_identifier(y)) for x, y in shared if quote_identifier(x) not in keys]
    if not cells:
        return []
    sums = ", ".join(
        f"sum(b.{x} IS NOT NULL AND (typeof(a.{y}) <> typeof(b.{x}) OR a.{y} IS NOT b.{x} COLLATE BINARY))"
        for _, x, y in cells
    )
    (row,) = engine.ask(f"SELECT {sums} FROM {joined}")
    return [
        ColumnLoss(name, int(str(lost)), dropped=False) for (name, _, _), lost in zip(cells, row, strict=True) if lost
    ]


def numbered(source: str, columns: Sequence[str]) -> str:
    """A SELECT of all rows in the form of `lost_rows`, ending with a number that tells equal rows apart."""
    names = [quote_identifier(column) for column in columns]
    cells = ", ".join(f"typeof({name}), {name} COLLATE BINARY" for name in names)
    return f"SELECT {cells}, row_number() OVER (PARTITION BY {cells}) FROM {source}"


def _lost_of_multiset(engine: Engine, b: str, a: str, shared: Sequence[tuple[str, str]]) -> int:
    """How many rows, counted with their repeats, have no equal left among the shared columns."""
    left, right = numbered(b, [x for x, _ in shared]), numbered(a, [y for _, y in shared])
    return int(str(engine.ask_one(f"SELECT count(*) FROM ({left} EXCEPT {right})")))


def _renamed(engine: Engine, joined: str, name: str, extra: list[str]) -> str | None:
    """The new column that holds every value of the gone one, or None. It stands for that one alone and is taken from
    `extra`."""
    x = quote_identifier(name)
    for candidate in extra:
        y = quote_identifier(candidate)
        differ = f"a.{y} IS NOT b.{x} COLLATE BINARY OR typeof(a.{y}) <> typeof(b.{x})"
        if not engine.ask(f"SELECT 1 FROM {joined} WHERE {differ} LIMIT 1"):
            extra.remove(candidate)
            return candidate
    return None


def dangling(engine: Engine) -> Counter[tuple[str, str]]:
    """Count the foreign key violations, by child and parent table. Tables with a mismatch are left out."""
    found: Counter[tuple[str, str]] = Counter()
    for (table,) in engine.ask(_TABLES.format(schema="main")):
        try:
            rows = engine.ask('SELECT "table", parent FROM pragma_foreign_key_check(?)', (table,))
        except apsw.SQLError:
            continue
        found.update((str(child), str(parent)) for child, parent in rows)
    return found


def mismatches(engine: Engine) -> set[str]:
    """Return the tables with a foreign key that matches no unique key of its parent, so that it cannot be checked."""
    found: set[str] = set()
    for (table,) in engine.ask(_TABLES.format(schema="main")):
        try:
            engine.ask("SELECT 1 FROM pragma_foreign_key_check(?) LIMIT 1", (table,))
        except apsw.SQLError:
            found.add(str(table))
    return found


def lowered_counters(engine: Engine, *, before: str = BEFORE) -> tuple[str, ...]:
    """Say for every AUTOINCREMENT table whose counter falls that ids of deleted rows are given again."""
    for schema in (before, "main"):
        if not engine.ask(f"SELECT 1 FROM {schema}.sqlite_master WHERE name = 'sqlite_sequence'"):
            return ()
    rows = engine.ask(
        "SELECT b.name, b.seq, coalesce(max(a.seq), 0) FROM main.sqlite_master m"
        f" JOIN {before}.sqlite_sequence b ON b.name = m.name COLLATE NOCASE"
        " LEFT JOIN main.sqlite_sequence a ON a.name = m.name COLLATE NOCASE"
        " WHERE m.type = 'table' GROUP BY b.name HAVING coalesce(max(a.seq), 0) < b.seq ORDER BY b.name"
    )
    return tuple(
        f"the AUTOINCREMENT counter of {name!s} falls from {then!s} to {now!s}: ids of deleted rows will be given again"
        for name, then, now in rows
    )


def lost_rows(engine: Engine, table: str, columns: Sequence[str], *, most: int, before: str = BEFORE) -> list[Row]:
    """Return at most `most` rows (with the typeof of every cell before it) of the attached copy that the clone has
    no equal of, compared by all `columns`, repeats counted."""
    with engine.unlimited():
        name = quote_identifier(table)
        now = engine.ask("SELECT 1 FROM main.sqlite_master WHERE type = 'table' AND lower(name) = lower(?)", (table,))
        rest = f" EXCEPT {numbered(f'main.{name}', columns)}" if now and _is_readable(engine, "main", table) else ""
        found = engine.ask(f"{numbered(f'{before}.{name}', columns)}{rest} LIMIT {most}")
        return [row[:-1] for row in found]


def rows_of(engine: Engine, table: str, columns: Sequence[str]) -> list[Row]:
    """Return all rows of a table in the form of `lost_rows`."""
    cells = ", ".join(f"typeof({quote_identifier(c)}), {quote_identifier(c)}" for c in columns)
    return engine.ask(f"SELECT {cells} FROM {quote_identifier(table)}")
