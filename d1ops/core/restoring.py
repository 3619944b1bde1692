"""A whole database as requests that write it into an empty target, the same ones for the same copy.

Every request is one batch; a crash leaves a number of them done, and the rest follows. Rows are written in any order:
`PRAGMA defer_foreign_keys = ON` before and `OFF` after them lets a batch commit whatever its foreign keys say, rows
that had no parent on the source included (seen on workerd and SQLite alike: OFF forgets what was deferred). CHECK
constraints are let be in the same way. Indexes, views and triggers follow the rows, so no trigger fires.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import apsw

from d1ops.core import rules
from d1ops.core.loading import Cell, batches, insertions
from d1ops.core.lossless import Reader, decode, reader_of
from d1ops.core.sql import fold, quote_identifier, significant
from d1ops.core.values import Statement
from d1ops.errors import BackupRefused

if TYPE_CHECKING:
    from d1ops.core.engine import Engine
    from d1ops.core.schema import Schema, SchemaObject

MARK = "d1ops_restore"
"""The table that says, while it is there, that a restore is under way: it is no part of what is restored."""


@dataclass(frozen=True, slots=True)
class Part:
    """One request. `says` is what it does, in words; `rows` how many rows it writes, `drops` the objects it removes."""

    says: str
    statements: tuple[Statement, ...]
    rows: int = 0
    drops: tuple[str, ...] = ()


Parts: TypeAlias = Iterator[Part]

CHECKS_ON = Statement("PRAGMA ignore_check_constraints = OFF")
_BEFORE_ROWS = (Statement("PRAGMA defer_foreign_keys = ON"), Statement("PRAGMA ignore_check_constraints = ON"))
_AFTER_ROWS = (Statement("PRAGMA defer_foreign_keys = OFF"), CHECKS_ON)
"""The engine keeps its connection, and what is off for one request is off for all later ones (seen on workerd)."""
_AT_ONCE = 50
"""So many objects are made by one request."""


def parts(copy: Engine, schema: Schema, *, max_bytes: int = rules.MAX_SCRIPT_BYTES) -> Parts:
    """Yield the requests that write the copy of a database into an empty one. `schema` is the copy's, with everything.

    Raises BackupRefused for what cannot be written through D1: a contentless full-text index that is not empty, and
    rows of a table that refers to itself by columns that are not unique.
    """
    objects = [o for o in schema.objects if o.sql is not None and _is_restored(copy, o)]
    tables = [o for o in objects if o.type == "table"]
    blocked = {o.name: parents for o in tables if (parents := _blocked_by(copy, o))}
    for name, parents in blocked.items():
        yield from _among_stand_ins(copy, next(o for o in tables if o.name == name), parents, max_bytes)
    yield from _made("tables", [o for o in tables if o.name not in blocked])
    mismatched = {fold(parent) for parents in blocked.values() for parent, _ in parents}
    for o in tables:
        if o.name not in blocked:
            yield from _rows(copy, o.name, max_bytes, plainly=fold(o.name) in mismatched)
    yield from _counters(copy, schema)
    for kind in ("index", "view", "trigger"):
        yield from _made({"index": "indexes"}.get(kind, f"{kind}s"), [o for o in objects if o.type == kind])
    yield from _statistics(copy, schema)


def removals(schema: Schema, links: dict[str, set[str]]) -> Parts:
    """Yield the requests that empty a target for a restore: triggers and views, then tables, children first.

    `links` has for each table (folded) the tables it refers to. Virtual tables take their shadow tables along.
    """
    objects = [o for o in schema.objects if o.sql is not None and not _is_kept(o)]
    for kind in ("trigger", "view"):
        names = tuple(o.name for o in objects if o.type == kind)
        if names:
            drops = tuple(Statement(f"DROP {kind.upper()} {quote_identifier(name)}") for name in names)
            yield Part(f"drop {len(names)} {kind}s", drops, drops=names)
    tables = {fold(o.name): o for o in objects if o.type == "table"}
    virtual = [name for name, o in tables.items() if (o.sql or "").upper().startswith("CREATE VIRTUAL")]
    shadows = {n for n in tables for owner in virtual if n.startswith(f"{owner}_") and n not in virtual}
    left = [name for name in tables if name not in shadows]
    while left:
        free = [n for n in left if not any(n in links.get(o, ()) for o in left if o != n)] or left[:1]
        for name in free:
            table = tables[name].name
            drop = Statement(f"DROP TABLE {quote_identifier(table)}")
            yield Part(f"drop table {table}", (_BEFORE_ROWS[0], drop, _AFTER_ROWS[0]), drops=(table,))
        left = [name for name in left if name not in free]


def _is_kept(o: SchemaObject) -> bool:
    return rules.is_reserved(o.name) or rules.is_reserved(o.table) or fold(o.table) == MARK


def _is_restored(copy: Engine, o: SchemaObject) -> bool:
    if _is_kept(o):
        return False
    return o.type != "table" or not copy.ask(
        "SELECT 1 FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow' AND name = ?", (o.name,)
    )


def _made(what: str, objects: list[SchemaObject]) -> Parts:
    for start in range(0, len(objects), _AT_ONCE):
        some = objects[start : start + _AT_ONCE]
        yield Part(f"create {len(some)} {what}", tuple(Statement(o.sql or "") for o in some))


# -- rows ----------------------------------------------------------------------------------------------


def _rows(copy: Engine, table: str, max_bytes: int, *, plainly: bool = False) -> Parts:
    if not _is_virtual(copy, table):
        yield from _inserted(reader_of(copy, table), copy, max_bytes, plainly=plainly)
    elif _can_rebuild(copy, table):
        if copy.ask("SELECT 1 FROM sqlite_master WHERE lower(name) = lower(?)", (f"{table}_content",)):
            yield from _inserted(_virtual_reader(copy, table), copy, max_bytes)
        else:
            name = quote_identifier(table)
            yield Part(f"rebuild {table}", (Statement(f"INSERT INTO {name}({name}) VALUES ('rebuild')"),))
    elif _module(copy, table) in ("rtree", "rtree_i32"):
        yield from _inserted(_virtual_reader(copy, table, has_rowid=False), copy, max_bytes)
    elif _module(copy, table) == "fts5" and copy.ask(f"SELECT 1 FROM {quote_identifier(table)} LIMIT 1"):
        raise BackupRefused(
            f"{table} is a full-text index without contents: nothing can fill it again from its own rows",
            hint="rewind to the backup's bookmark instead, or drop the index, restore, and fill it from its source",
        )


def _inserted(reader: Reader, copy: Engine, max_bytes: int, *, plainly: bool = False) -> Parts:
    """Write the rows of a table; `plainly` one by one and not deferred, since SQLite would otherwise look for the rows
    that refer to a new one, and fail at columns that are not unique."""

    def cells() -> Iterator[list[Cell]]:
        with copy.free():
            for row in copy.connection.execute(reader.select(hexadecimal=True)):
                yield [decode(cell) for cell in row]

    before, after = (_BEFORE_ROWS[1:], _AFTER_ROWS[1:]) if plainly else (_BEFORE_ROWS, _AFTER_ROWS)
    counted = 0
    found = insertions(reader.table, reader.columns, cells(), one_by_one=plainly)
    for request in batches(found, max_bytes=max_bytes):
        says = f"{reader.table}: rows {counted + 1:,} to {counted + request.rows:,}"
        counted += request.rows
        yield Part(says, (*before, *request.statements, *after), request.rows)


def _is_virtual(copy: Engine, table: str) -> bool:
    listed = "SELECT 1 FROM pragma_table_list WHERE schema = 'main' AND name = ? AND type = 'virtual'"
    return bool(copy.ask(listed, (table,)))


def _module(copy: Engine, table: str) -> str:
    sql = str(copy.ask_one("SELECT sql FROM sqlite_master WHERE name = ?", (table,)))
    words = [token.text.lower() for token in significant(sql)]
    return words[words.index("using") + 1]


def _can_rebuild(copy: Engine, table: str) -> bool:
    """Return whether SQLite can build the index from rows it can read: asked of SQLite, and taken back."""
    if _module(copy, table) != "fts5":
        return False
    name = quote_identifier(table)
    with copy.unlimited():
        copy.connection.execute("SAVEPOINT d1ops_rebuild")
        try:
            copy.connection.execute(f"INSERT INTO {name}({name}) VALUES ('rebuild')")
        except apsw.Error:
            return False
        else:
            return True
        finally:
            copy.connection.execute("ROLLBACK TO d1ops_rebuild; RELEASE d1ops_rebuild")


def _virtual_reader(copy: Engine, table: str, *, has_rowid: bool = True) -> Reader:
    rows = copy.ask("SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0 ORDER BY cid", (table,))
    columns = [str(name) for (name,) in rows]
    return Reader(table, ("rowid", *columns) if has_rowid else tuple(columns), has_rowid)


# -- tables that take no row while their parents are as they are ------------------------------------------


def _blocked_by(copy: Engine, o: SchemaObject) -> list[tuple[str, tuple[str, ...]]]:
    """The parents (with the columns referred to) of a table into which SQLite lets no row: a parent is missing, or its
    columns are not unique. Empty where rows go in, or there are none."""
    name = quote_identifier(o.name)
    if _is_virtual(copy, o.name) or not copy.ask(f"SELECT 1 FROM {name} LIMIT 1"):
        return []
    try:
        with copy.free():
            copy.connection.execute(f"EXPLAIN INSERT INTO {name} DEFAULT VALUES").fetchall()
    except apsw.SQLError:
        pass
    else:
        return []
    found: dict[tuple[str, int], list[str]] = {}
    for number, parent, column, child_column in copy.ask(
        'SELECT id, "table", "to", "from" FROM pragma_foreign_key_list(?) ORDER BY id, seq', (o.name,)
    ):
        names = found.setdefault((str(parent), int(str(number))), [])
        names.append(str(column) if column is not None else f"{child_column!s} of {o.name}")
    if any(fold(parent) == fold(o.name) for parent, _ in found):
        raise BackupRefused(
            f"{o.name} refers to itself by columns that are not unique, so no row can be written into it",
            hint="rewind to the backup's bookmark instead",
        )
    return [(parent, tuple(columns)) for (parent, _), columns in found.items()]


def _among_stand_ins(
    copy: Engine, o: SchemaObject, parents: list[tuple[str, tuple[str, ...]]], max_bytes: int
) -> Parts:
    """Load a table beside empty stand-ins for its parents, which go again before the real ones come."""
    by_name: dict[str, list[tuple[str, ...]]] = {}
    for parent, columns in parents:
        by_name.setdefault(fold(parent), []).append(columns)
    makes, drops = [], []
    for parent, keys in by_name.items():
        names = dict.fromkeys(column for key in keys for column in key)
        implied = [key for key in keys if any(" of " in column for column in key)]
        definitions = [quote_identifier(column) for column in names]
        for key in keys:
            kind = "PRIMARY KEY" if key in implied[:1] else "UNIQUE"
            definitions.append(f"{kind} ({', '.join(map(quote_identifier, key))})")
        makes.append(Statement(f"CREATE TABLE {quote_identifier(parent)} ({', '.join(definitions)})"))
        drops.append(Statement(f"DROP TABLE {quote_identifier(parent)}"))
    yield Part(f"create table {o.name} beside stand-ins for its parents", (*makes, Statement(o.sql or "")))
    yield from _rows(copy, o.name, max_bytes)
    yield Part(f"drop the stand-ins for the parents of {o.name}", (_BEFORE_ROWS[0], *drops, _AFTER_ROWS[0]))


# -- what SQLite keeps for itself --------------------------------------------------------------------------


def _counters(copy: Engine, schema: Schema) -> Parts:
    """The counters of AUTOINCREMENT tables. SQLite keeps them in a table that it lets be written."""
    if not schema.has_table("sqlite_sequence"):
        return
    rows = [row for row in copy.ask("SELECT name, seq FROM sqlite_sequence") if fold(str(row[0])) != MARK]
    yield Part(
        "the AUTOINCREMENT counters",
        (
            Statement("DELETE FROM sqlite_sequence"),
            *(Statement("INSERT INTO sqlite_sequence (name, seq) VALUES (?1, ?2)", row) for row in rows),
        ),
    )


def _statistics(copy: Engine, schema: Schema) -> Parts:
    if not schema.has_table("sqlite_stat1"):
        return
    rows = copy.ask("SELECT tbl, idx, stat FROM sqlite_stat1")
    yield Part(
        "the planner's statistics",
        (
            Statement("ANALYZE sqlite_schema"),
            Statement("DELETE FROM sqlite_stat1"),
            *(Statement("INSERT INTO sqlite_stat1 (tbl, idx, stat) VALUES (?1, ?2, ?3)", row) for row in rows),
        ),
    )
