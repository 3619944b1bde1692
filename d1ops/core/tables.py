"""What a table is to a script that takes its rows out and puts them back, and which foreign keys act on it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core import rules
from d1ops.core.fulltext import content_of
from d1ops.core.sql import fold, quote_if_needed, significant

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from d1ops.core.engine import Engine

_ROWID_NAMES = ("rowid", "_rowid_", "oid")


@dataclass(frozen=True, slots=True)
class Table:
    """An ordinary or virtual table. `columns` hold values of their own: generated and hidden ones are left out, which
    `all_columns` has as well (the hidden ones of a virtual table excepted).

    `rowid` is a name for the row's number where the table has one that no column holds and that is in reach; `key` are
    the columns of the primary key. `is_numbered` tells that the key is the row's number (INTEGER PRIMARY KEY),
    `is_counted` that it is AUTOINCREMENT.
    """

    name: str
    sql: str
    is_virtual: bool
    columns: tuple[str, ...]
    all_columns: tuple[str, ...]
    key: tuple[str, ...]
    rowid: str | None
    is_numbered: bool
    is_counted: bool

    @property
    def content(self) -> str | None:
        """For an FTS5 table the table whose rows it indexes, empty where it keeps no text at all; None where it keeps
        the text itself, or is no FTS5 table."""
        return content_of(self.sql)


@dataclass(frozen=True, slots=True)
class Link:
    """A foreign key: both tables folded, and what happens to the child when a row of the parent is deleted."""

    child: str
    parent: str
    on_delete: str

    @property
    def is_acting(self) -> bool:
        """Whether deleting from the parent changes the child. RESTRICT only checks, and while foreign keys are
        deferred it checks as late as NO ACTION (SQLite's source, `fkActionTrigger`; seen on workerd)."""
        return self.on_delete in ("CASCADE", "SET NULL", "SET DEFAULT")


def read_tables(engine: Engine) -> dict[str, Table]:
    """Return the tables of an engine by their folded names: neither SQLite's own nor the shadow tables."""
    return {
        fold(str(name)): _read(engine, str(name), str(kind), bool(without_rowid))
        for name, kind, without_rowid in engine.ask(
            "SELECT l.name, l.type, l.wr FROM pragma_table_list l JOIN sqlite_master m"
            " ON m.name = l.name AND m.type = 'table'"
            " WHERE l.schema = 'main' AND l.type IN ('table', 'virtual') ORDER BY m.rowid"
        )
        if not rules.is_reserved(str(name))
    }


def _read(engine: Engine, name: str, kind: str, without_rowid: bool) -> Table:
    rows = engine.ask("SELECT name, type, pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid", (name,))
    sql = str(engine.ask_one("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (name,)))
    columns = tuple(str(row[0]) for row in rows if not row[3])
    key = [(int(str(pk)), str(column), str(declared)) for column, declared, pk, _ in rows if pk]
    taken = {str(row[0]).lower() for row in rows}
    free = [alias for alias in _ROWID_NAMES if alias not in taken]
    # An INTEGER PRIMARY KEY is the rowid, unless SQLite keeps an index for it (DESC).
    is_alias = (
        len(key) == 1
        and key[0][2].upper() == "INTEGER"
        and not engine.ask("SELECT 1 FROM pragma_index_list(?) WHERE origin = 'pk'", (name,))
    )
    is_alias = is_alias and not without_rowid
    has_own = not without_rowid and not is_alias and bool(free) and len(columns) < rules.MAX_COLUMNS
    return Table(
        name,
        sql,
        kind == "virtual",
        columns,
        tuple(str(row[0]) for row in rows if row[3] != 1),
        tuple(column for _, column, _ in sorted(key)),
        free[0] if has_own else None,
        is_alias,
        any(token.kind == "word" and token.upper == "AUTOINCREMENT" for token in significant(sql)),
    )


def clock_columns(engine: Engine, table: str) -> set[str]:
    """Return the columns, folded, whose DEFAULT is more than a literal: CURRENT_TIMESTAMP, an expression. What they
    hold differs from one run of a script to the next."""
    rows = engine.ask("SELECT name, dflt_value FROM pragma_table_xinfo(?) WHERE dflt_value NOT NULL", (table,))
    return {
        fold(str(name))
        for name, default in rows
        if any(t.kind == "word" and t.upper not in _LITERALS for t in significant(str(default)))
    }


_LITERALS = frozenset(("NULL", "TRUE", "FALSE"))


def read_links(engine: Engine) -> tuple[Link, ...]:
    """Return every foreign key of an engine, one for each pair of tables and action."""
    rows = engine.ask(
        'SELECT m.name, f."table", f.on_delete FROM sqlite_master m, pragma_foreign_key_list(m.name) f'
        " WHERE m.type = 'table' AND m.rootpage > 0 ORDER BY m.rowid, f.id"
    )
    return tuple(
        dict.fromkeys(Link(fold(str(child)), fold(str(parent)), str(action)) for child, parent, action in rows)
    )


def dependants(tables: Iterable[str], links: Iterable[Link]) -> set[str]:
    """Return the tables beside `tables` that lose rows or values when these are emptied, transitively."""
    found = set(tables)
    links = [link for link in links if link.is_acting]
    while more := {link.child for link in links if link.parent in found} - found:
        found |= more
    return found - set(tables)


def parents_first(tables: Iterable[str], links: Iterable[Link]) -> list[str]:
    """Order tables so that a parent comes before its children; where they refer to each other in a circle, in the
    order given."""
    left = list(tables)
    links = [link for link in links if link.child != link.parent]
    ordered: list[str] = []
    while left:
        waiting = set(left)
        ready = [t for t in left if not any(link.child == t and link.parent in waiting for link in links)] or left[:1]
        ordered += ready
        left = [table for table in left if table not in ready]
    return ordered


def is_circular(tables: Iterable[str], links: Iterable[Link]) -> bool:
    """Return whether some of the tables refer to each other in a circle; a table that refers to itself does not
    count."""
    left = set(tables)
    links = [link for link in links if link.child != link.parent]
    while ready := {t for t in left if not any(link.child == t and link.parent in left for link in links)}:
        left -= ready
    return bool(left)


def listed(names: Iterable[str]) -> str:
    """Return names as a person would write a list of columns."""
    return ", ".join(quote_if_needed(name) for name in names)


def free_name(wanted: str, taken: Mapping[str, object] | set[str]) -> str:
    """Return `wanted`, with a number behind it where an object of that folded name is there."""
    name, number = wanted, 1
    while fold(name) in taken:
        number += 1
        name = f"{wanted}_{number}"
    return name
