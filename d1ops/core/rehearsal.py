"""Scripts run on a clone of the target's rows, and what they would take away, measured.

Loss is judged by identity and content, never by counts: a row is lost when its key was there before and is not
after (as a multiset where there is no key); a value is lost when the cell held something and does not hold it any
more. Which statement took it, and over which foreign keys, comes from SQLite's preupdate hook, which reports foreign
key actions and the implicit DELETE of DROP TABLE too.
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import apsw

from d1ops.core import rules
from d1ops.core.engine import Rejected
from d1ops.core.replay import rejected_in_script
from d1ops.core.sql import quote_identifier, significant
from d1ops.core.values import Statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from d1ops.core.engine import Engine
    from d1ops.core.sql import ScriptStatement
    from d1ops.core.values import Row

BEFORE = "before"
"""The schema name under which the untouched copy is attached to the clone while losses are measured."""


@dataclass(frozen=True, slots=True)
class Cause:
    """A statement that took rows or values of a table, and the cascade path it took them by.

    `path` starts with the table that the statement names; each further part reads
    `child by column ON DELETE CASCADE`. `deleted` and `updated` count rows.
    """

    place: str
    statement: str
    path: tuple[str, ...]
    deleted: int
    updated: int

    def __str__(self) -> str:
        return f"{self.statement} ({self.place}): {' -> '.join(self.path)}"


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

    @property
    def losses(self) -> tuple[str, ...]:
        """What is lost, as it is named for consent: `table`, or `table.column`."""
        if self.rows_lost:
            return (self.table,)
        return tuple(f"{self.table}.{c.column}" for c in self.columns if c.values_lost)


@dataclass
class Watch:
    """Counts of rows deleted and updated, by statement and table, while a script runs on a clone."""

    touched: dict[int, dict[str, Counter[str]]] = field(default_factory=dict)
    direct: dict[int, set[str]] = field(default_factory=dict)
    altered: dict[int, set[str]] = field(default_factory=dict)
    """Tables that lost a column by a statement."""


def rehearse(engine: Engine, statements: Sequence[ScriptStatement]) -> dict[str, list[Cause]]:
    """Run a script on a clone as one transaction under D1's rules and tell what it touched, by table (lower case).

    Raises StatementRejected, with the place in the file, when the script fails; the clone is then as before.
    """
    watch = Watch()
    position = 0
    links: dict[int, list[_Link]] = {0: _links(engine)}
    columns = _all_columns(engine)

    def hook(update: object) -> None:
        kind: str = getattr(update, "op", "")
        table: str = getattr(update, "table_name", "")
        if kind not in ("DELETE", "UPDATE") or rules.is_reserved(table):
            return
        watch.touched.setdefault(position, {}).setdefault(table, Counter())[kind] += 1
        if getattr(update, "depth", 0) == 0:
            watch.direct.setdefault(position, set()).add(table)

    def advance(index: int) -> None:
        nonlocal position, columns
        if statements[index].verb in ("ALTER", "DROP", "CREATE"):
            now = _all_columns(engine)
            for table, names in columns.items():
                if table in now and names - now[table]:
                    watch.altered.setdefault(index, set()).add(table)
            columns = now
        position = index + 1
        links[position] = _links(engine)

    engine.connection.preupdate_hook(hook)
    try:
        engine.run([Statement(s.sql) for s in statements], after=advance)
    except Rejected as error:
        raise rejected_in_script(error, statements) from None
    finally:
        engine.connection.preupdate_hook(None)
    return _causes(statements, watch, links)


def _causes(
    statements: Sequence[ScriptStatement], watch: Watch, links: dict[int, list[_Link]]
) -> dict[str, list[Cause]]:
    found: dict[str, list[Cause]] = {}
    for index in sorted({*watch.touched, *watch.altered}):
        statement = statements[min(index, len(statements) - 1)]
        direct = watch.direct.get(index, set())
        deleting = _paths(direct, [link for link in links[index] if link.action == "CASCADE"])
        any_path = _paths(direct, links[index])
        touched = dict(watch.touched.get(index, {}))
        for table in watch.altered.get(index, set()):
            if table not in {name.lower() for name in touched}:
                touched[table] = Counter()
        for table, counts in touched.items():
            paths = deleting if counts["DELETE"] else any_path
            found.setdefault(table.lower(), []).append(
                Cause(
                    place=f"{statement.path}:{statement.line}",
                    statement=_shorten(statement.sql),
                    path=paths.get(table.lower(), (table,)),
                    deleted=counts["DELETE"],
                    updated=counts["UPDATE"],
                )
            )
    return found


def _all_columns(engine: Engine) -> dict[str, set[str]]:
    """The column names of every table, all in lower case."""
    found: dict[str, set[str]] = {}
    for table, column in engine.ask(
        "SELECT lower(m.name), lower(x.name) FROM sqlite_master m, pragma_table_xinfo(m.name) x WHERE m.type = 'table'"
    ):
        found.setdefault(str(table), set()).add(str(column))
    return found


def _shorten(sql: str, most: int = 60) -> str:
    text = " ".join(token.text for token in significant(sql)).replace(" (", "(").replace(" ,", ",")
    return text if len(text) <= most else text[: most - 3] + "..."


@dataclass(frozen=True, slots=True)
class _Link:
    parent: str
    child: str
    columns: str
    action: str


def _links(engine: Engine) -> list[_Link]:
    """The foreign keys whose action on a delete changes the child."""
    rows = engine.ask(
        'SELECT m.name, f."table", group_concat(f."from", \', \'), f.on_delete'
        " FROM sqlite_master m, pragma_foreign_key_list(m.name) f"
        " WHERE m.type = 'table' AND f.on_delete IN ('CASCADE', 'SET NULL', 'SET DEFAULT')"
        " GROUP BY m.name, f.id ORDER BY m.rowid, f.id"
    )
    return [
        _Link(str(parent).lower(), str(child), str(columns), str(action)) for child, parent, columns, action in rows
    ]


def _paths(direct: Iterable[str], links: Sequence[_Link]) -> dict[str, tuple[str, ...]]:
    """The shortest cascade path from a directly touched table to every table it can reach."""
    found: dict[str, tuple[str, ...]] = {table.lower(): (table,) for table in sorted(direct)}
    waiting = deque(found)
    while waiting:
        parent = waiting.popleft()
        for link in links:
            child = link.child.lower()
            if link.parent == parent and child not in found:
                found[child] = (*found[parent], f"{link.child} by {link.columns} ON DELETE {link.action}")
                if link.action == "CASCADE":
                    waiting.append(child)
    return found


# -- measuring -----------------------------------------------------------------------------------------


def measure(
    engine: Engine, tables: Sequence[str], causes: dict[str, list[Cause]], *, before: str = BEFORE
) -> tuple[TableLoss, ...]:
    """Compare every table of the attached copy with the clone as it is now, by identity and content.

    `tables` are the tables to compare, as the copy has them. Tables with nothing to say are left out.
    """
    with engine.unlimited():
        now = {str(name).lower(): str(name) for (name,) in engine.ask(_TABLES.format(schema="main"))}
        then = {name.lower() for name in tables}
        fresh = [name for lowered, name in now.items() if lowered not in then]
        found = []
        for table in tables:
            if table.lower() in now:
                loss = _compare(engine, before, table, now[table.lower()])
            else:
                loss = _gone(engine, before, table, fresh)
            if loss is not None:
                found.append(
                    TableLoss(
                        table=loss.table,
                        rows_before=loss.rows_before,
                        rows_after=loss.rows_after,
                        rows_lost=loss.rows_lost,
                        columns=loss.columns,
                        exists_after=loss.exists_after,
                        renamed_to=loss.renamed_to,
                        causes=tuple(causes.get(table.lower(), ())),
                    )
                )
    return tuple(found)


_TABLES = "SELECT name FROM {schema}.sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'"


def _count(engine: Engine, schema: str, table: str) -> int:
    value = engine.ask_one(f"SELECT count(*) FROM {schema}.{quote_identifier(table)}")
    return int(str(value))


def _columns(engine: Engine, schema: str, table: str) -> dict[str, int]:
    """Column names (generated ones left out: their value follows from others) with their place in the key."""
    rows = engine.ask("SELECT name, pk FROM pragma_table_xinfo(?, ?) WHERE hidden = 0", (table, schema))
    return {str(name): int(str(pk)) for name, pk in rows}


def _gone(engine: Engine, before: str, table: str, fresh: Sequence[str]) -> TableLoss | None:
    """A table that is not there any more: renamed if a new one holds all its rows, else lost."""
    rows = _count(engine, before, table)
    columns = set(_columns(engine, before, table))
    for name in fresh:
        if set(_columns(engine, "main", name)) >= columns:
            loss = _compare(engine, before, table, name)
            if loss is None:
                return TableLoss(table, rows, rows, 0, exists_after=False, renamed_to=name)
    return TableLoss(table, rows, 0, rows, exists_after=False)


def _compare(engine: Engine, before: str, table: str, now: str) -> TableLoss | None:
    old, new = _columns(engine, before, table), _columns(engine, "main", now)
    known = {name.lower(): name for name in new}
    shared = [(name, known[name.lower()]) for name in old if name.lower() in known]
    dropped = [name for name in old if name.lower() not in known]
    rows_before, rows_after = _count(engine, before, table), _count(engine, "main", now)
    b, a = f"{before}.{quote_identifier(table)}", f"main.{quote_identifier(now)}"
    key = _key(engine, before, table, now, old, shared)
    if key:
        match = " AND ".join(f"a.{y} IS b.{x} COLLATE BINARY" for x, y in key)
        lost = engine.ask_one(f"SELECT count(*) FROM {b} b WHERE NOT EXISTS (SELECT 1 FROM {a} a WHERE {match})")
        columns = _changed_cells(engine, f"{b} b JOIN {a} a ON {match}", shared, key)
    else:
        lost = _lost_of_multiset(engine, b, a, shared)
        columns = []
        match = ""
    rows_lost = int(str(lost))
    extra = [name for name in new if name.lower() not in {x.lower() for x in old}]
    for name in dropped:
        column = quote_identifier(name)
        values = int(str(engine.ask_one(f"SELECT count({column}) FROM {b}")))
        renamed = _renamed(engine, f"{b} b JOIN {a} a ON {match}", name, extra) if match and values else None
        columns.append(ColumnLoss(name, 0 if renamed else values, dropped=True, renamed_to=renamed))
    if not rows_lost and not columns and rows_before == rows_after:
        return None
    return TableLoss(table, rows_before, rows_after, rows_lost, tuple(columns))


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
    if primary:
        if not all(name in names for _, name in primary):
            return []
        nulls = " OR ".join(f"{quote_identifier(name)} IS NULL" for _, name in primary)
        if engine.ask(f"SELECT 1 FROM {before}.{quote_identifier(table)} WHERE {nulls} LIMIT 1"):
            return []
        return [(quote_identifier(name), quote_identifier(names[name])) for _, name in primary]
    same_text = engine.ask_one(
        f"SELECT (SELECT rootpage FROM {before}.sqlite_master WHERE type = 'table' AND name = ?1)"
        " IS (SELECT rootpage FROM main.sqlite_master WHERE type = 'table' AND name = ?2)",
        (table, now),
    )
    taken = {name.lower() for name in old}
    free = [alias for alias in ("rowid", "_rowid_", "oid") if alias not in taken]
    return [(free[0], free[0])] if same_text and free else []


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


def _lost_of_multiset(engine: Engine, b: str, a: str, shared: Sequence[tuple[str, str]]) -> int:
    """How many rows, counted with their repeats, have no equal left among the shared columns."""
    if not shared:
        return 0

    def side(source: str, names: Sequence[str]) -> str:
        cells = ", ".join(f"typeof({quote_identifier(n)}), {quote_identifier(n)} COLLATE BINARY" for n in names)
        over = ", ".join(f"{quote_identifier(n)} COLLATE BINARY" for n in names)
        return f"SELECT {cells}, row_number() OVER (PARTITION BY {over}) FROM {source}"

    left, right = side(b, [x for x, _ in shared]), side(a, [y for _, y in shared])
    return int(str(engine.ask_one(f"SELECT count(*) FROM ({left} EXCEPT {right})")))


def _renamed(engine: Engine, joined: str, name: str, extra: Sequence[str]) -> str | None:
    """The new column that holds every value of the gone one, or None."""
    x = quote_identifier(name)
    for candidate in extra:
        y = quote_identifier(candidate)
        if not engine.ask(f"SELECT 1 FROM {joined} WHERE a.{y} IS NOT b.{x} COLLATE BINARY LIMIT 1"):
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


def lost_rows(engine: Engine, table: str, columns: Sequence[str], *, most: int, before: str = BEFORE) -> list[Row]:
    """Return at most `most` rows (with the typeof of every cell before it) of the attached copy that the clone has
    no equal of, compared by all `columns`."""
    with engine.unlimited():
        cells = ", ".join(f"typeof({quote_identifier(c)}), {quote_identifier(c)} COLLATE BINARY" for c in columns)
        name = quote_identifier(table)
        now = engine.ask("SELECT 1 FROM main.sqlite_master WHERE type = 'table' AND lower(name) = lower(?)", (table,))
        rest = f" EXCEPT SELECT {cells} FROM main.{name}" if now else ""
        return engine.ask(f"SELECT {cells} FROM {before}.{name}{rest} LIMIT {most}")


def rows_of(engine: Engine, table: str, columns: Sequence[str]) -> list[Row]:
    """Return all rows of a table in the form of `lost_rows`."""
    cells = ", ".join(f"typeof({quote_identifier(c)}), {quote_identifier(c)}" for c in columns)
    return engine.ask(f"SELECT {cells} FROM {quote_identifier(table)}")
