"""A whole database as requests that write it into an empty target, the same ones for the same copy.

Every request is one batch; a crash leaves a number of them done, and the rest follows. Rows are written in any order:
`PRAGMA defer_foreign_keys = ON` before and `OFF` after them lets a batch commit whatever its foreign keys say, rows
that had no parent on the source included (seen on workerd and SQLite alike: OFF forgets what was deferred). CHECK
constraints are let be in the same way. Indexes and views follow the rows, then what virtual tables hold, since a
full-text index may read a table or a view; triggers come last, so none fires.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import apsw

from d1ops.core import rules
from d1ops.core.fulltext import (
    content_of,
    documents,
    is_index,
    is_readable,
    is_whole,
    module_of,
    rebuild,
    setting,
    settings,
    sql_of,
)
from d1ops.core.loading import Cell, batches, insertions
from d1ops.core.lossless import Reader, decode, reader_of
from d1ops.core.sql import fold, quote_identifier
from d1ops.core.values import Statement, Value
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

Blocked: TypeAlias = dict[str, list[tuple[str, tuple[str, ...]]]]
"""By table the parents, with the columns referred to, that keep rows out of it (see `_blocked_by`)."""

CHECKS_ON = Statement("PRAGMA ignore_check_constraints = OFF")
_BEFORE_ROWS = (Statement("PRAGMA defer_foreign_keys = ON"), Statement("PRAGMA ignore_check_constraints = ON"))
_AFTER_ROWS = (Statement("PRAGMA defer_foreign_keys = OFF"), CHECKS_ON)
"""The engine keeps its connection, and what is off for one request is off for all later ones (seen on workerd)."""
_AT_ONCE = 50
"""So many objects are made by one request."""


def parts(copy: Engine, schema: Schema, *, max_bytes: int = rules.MAX_SCRIPT_BYTES) -> Parts:
    """Yield the requests that write the copy of a database into an empty one. `schema` is the copy's, with everything.

    Raises BackupRefused for what cannot be written through D1 (see `require_writable`).
    """
    objects = [o for o in schema.objects if o.sql is not None and _is_restored(copy, o)]
    tables = [o for o in objects if o.type == "table"]
    virtual = [o for o in tables if _is_virtual(copy, o.name)]
    blocked = require_writable(copy, schema)
    for name, parents in blocked.items():
        yield from _among_stand_ins(copy, next(o for o in tables if o.name == name), parents, max_bytes)
    yield from _made("tables", [o for o in tables if o.name not in blocked])
    mismatched = {fold(parent) for parents in blocked.values() for parent, _ in parents}
    for o in tables:
        if o.name not in blocked and o not in virtual:
            yield from _inserted(reader_of(copy, o.name), copy, max_bytes, plainly=fold(o.name) in mismatched)
    yield from _counters(copy, schema)
    yield from _made("indexes", [o for o in objects if o.type == "index"])
    yield from _made("views", [o for o in objects if o.type == "view"])
    for o in sorted(virtual, key=lambda o: bool(content_of(o.sql or ""))):
        yield from _virtual_rows(copy, o.name, max_bytes)
    yield from _made("triggers", [o for o in objects if o.type == "trigger"])
    yield from _statistics(copy, schema)


def require_writable(copy: Engine, schema: Schema) -> Blocked:
    """Return the tables that take rows only beside stand-ins for their parents.

    Raises BackupRefused for what cannot be written through D1 at all: a contentless full-text index that is not empty,
    and rows of a table that refers to itself by columns that are not unique.
    """
    tables = [o for o in schema.objects if o.sql is not None and o.type == "table" and _is_restored(copy, o)]
    for o in tables:
        if is_index(o.sql or "") and not is_readable(copy, o.name) and documents(copy, o.name) != set():
            raise BackupRefused(
                f"{o.name} is a full-text index without contents: nothing can fill it again from its own rows",
                hint="a restore without --load rewinds to the backup's moment; --into FILE writes it into a file",
            )
    return {o.name: parents for o in tables if (parents := _blocked_by(copy, o))}


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


def _virtual_rows(copy: Engine, table: str, max_bytes: int) -> Parts:
    sql = sql_of(copy, table)
    if module_of(sql) in ("rtree", "rtree_i32"):
        yield from _inserted(_virtual_reader(copy, table, has_rowid=False), copy, max_bytes)
    if not is_index(sql):
        return
    if content_of(sql) is None:
        yield from _inserted(_virtual_reader(copy, table), copy, max_bytes)
    elif is_readable(copy, table):
        # Where some rows were never indexed, or were changed since, a rebuild would let a search find them all.
        only = None if is_whole(copy, table) else documents(copy, table)
        if only is None:
            yield Part(f"rebuild {table}", (rebuild(table),))
        else:
            yield from _inserted(_virtual_reader(copy, table), copy, max_bytes, only=only)
    if found := copy.ask(settings(table)):
        yield Part(f"the settings of {table}", tuple(Statement(setting(table), row) for row in found))


def _inserted(
    reader: Reader, copy: Engine, max_bytes: int, *, plainly: bool = False, only: Container[Value] | None = None
) -> Parts:
    """Write the rows of a table; `plainly` one by one and not deferred, since SQLite would otherwise look for the rows
    that refer to a new one, and fail at columns that are not unique. `only` are the rowids of the rows to write."""

    def cells() -> Iterator[list[Cell]]:
        with copy.free():
            for row in copy.connection.execute(reader.select(hexadecimal=True)):
                if only is None or decode(row[0]) in only:
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
    yield from _inserted(reader_of(copy, o.name), copy, max_bytes)
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
