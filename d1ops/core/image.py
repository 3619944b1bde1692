"""A database image that holds a schema and no rows, written instead of being built statement by statement.

CREATE makes SQLite read `sqlite_master` once for every statement, so n statements cost n^2. Opening a database costs
n: SQLite parses each row of `sqlite_master` once. So the image gets its empty b-trees first, `sqlite_master` is filled
with the target's own rows, and SQLite reads them as it reads any file: it stays the judge of every definition.

Source: SQLite documentation, "The Database File Format" (sections 1.3, 1.6, 2.6), "PRAGMA writable_schema".
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

import apsw

from d1ops.core.engine import Engine
from d1ops.core.sql import fold

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from d1ops.core.schema import SchemaObject

_PAGE_BYTES = 512
"""The smallest page that SQLite knows: each empty table and index takes one."""

_PAGES_AT, _PAGES_END = 28, 32
"""Where the header holds the number of pages."""

_TABLE_LEAF, _INDEX_LEAF = 0x0D, 0x0A

_MANY_INDEXES = 2_000
"""From so many indexes on their order makes a difference to the time that SQLite takes to read them."""

SQLITES_OWN = frozenset(("sqlite_sequence", "sqlite_stat1", "sqlite_stat4"))
"""The tables that SQLite makes for itself and that a row of `sqlite_master` describes as any other."""


class Unreadable(Exception):
    """SQLite does not open the image; `str()` is its reason."""


class _Entry(NamedTuple):
    type: str
    name: str
    table: str
    sql: str | None
    leaf: int
    """The kind of its b-tree's first page, 0 when it has none: a table WITHOUT ROWID is kept as an index."""


def open_image(virtual_tables: Sequence[SchemaObject], objects: Sequence[SchemaObject]) -> Engine:
    """Return an engine in memory that holds the objects; each must follow what it is about, many indexes all tables.

    Virtual tables are created by their modules, which fill their shadow tables; an object that then exists is left
    out of the rest. The indexes of constraints are SQLite's own, whether or not `objects` has them. Raises Unreadable
    when SQLite does not accept a definition.
    """
    base = Engine.memory()
    try:
        with base.unlimited():
            base.ask(f"PRAGMA page_size = {_PAGE_BYTES}")
            # A database without a table has no page yet.
            base.ask("CREATE TABLE d1ops_once (x)")
            base.ask("DROP TABLE d1ops_once")
            for table in virtual_tables:
                base.ask(table.sql or "")
            there = {(str(kind), fold(str(name))) for kind, name in base.ask("SELECT type, name FROM sqlite_master")}
            image = base.serialize()
    except apsw.Error as error:
        raise Unreadable(str(error)) from None
    finally:
        base.close()
    made = [o for o in objects if o.key not in there] if there else objects
    entries = [_Entry(o.type, o.name, o.table, o.sql, _guess_leaf(o)) for o in _indexes_by_list(made)]
    engine = _open(image, entries)
    try:
        # How a table is kept, and by which indexes, only SQLite knows for sure, and only once it has read it.
        own, without_rowid = _constraint_indexes(engine, there), _without_rowid(engine, there)
        guessed = {e.name for e in entries if e.type == "table" and e.leaf == _INDEX_LEAF}
        if own != {entry.name for entry in entries if entry.sql is None} or guessed != without_rowid:
            engine.close()
            engine = _open(image, [*_corrected(entries, own, without_rowid)])
        _ensure_sequence(engine, entries)
    except apsw.Error as error:
        engine.close()
        raise Unreadable(str(error)) from None
    return engine


def _indexes_by_list(objects: Sequence[SchemaObject]) -> Sequence[SchemaObject]:
    """Return the objects with many indexes in an order that SQLite reads faster; those of one table keep theirs.

    SQLite keeps the names of all indexes in 64 lists, by a hash of the name (`strHash` in its source), and goes through
    a whole list for every index that it reads. Read list by list, each stays in the processor's cache: 10,000 tables
    with 40,000 indexes take about half the time. Any order is right.
    """
    indexes = [position for position, o in enumerate(objects) if o.type == "index"]
    if len(indexes) < _MANY_INDEXES:
        return objects
    before: Counter[str] = Counter()
    places: list[tuple[int, int, int]] = []
    for position in indexes:
        o = objects[position]
        places.append((before[o.table], _list_of(o.name), position))
        before[o.table] += 1
    found = list(objects)
    for position, (*_, other) in zip(indexes, sorted(places), strict=True):
        found[position] = objects[other]
    return found


def _list_of(name: str) -> int:
    found = 0
    for byte in fold(name).encode():
        found = (found + byte) * 0x9E3779B1 % 64
    return found


def _open(image: bytes, entries: Sequence[_Entry]) -> Engine:
    pages = int.from_bytes(image[_PAGES_AT:_PAGES_END], "big")
    roots: list[int] = []
    leaves: list[bytes] = []
    for entry in entries:
        roots.append(pages + len(leaves) + 1 if entry.leaf else 0)
        if entry.leaf:
            leaves.append(_EMPTY[entry.leaf])
    head = image[:_PAGES_AT] + (pages + len(leaves)).to_bytes(4, "big") + image[_PAGES_END:]
    engine = Engine.memory()
    try:
        with engine.unlimited():
            engine.connection.deserialize("main", head + b"".join(leaves))
            engine.ask("PRAGMA writable_schema = ON")
            engine.ask("BEGIN")
            engine.ask_many(
                "INSERT INTO sqlite_master (type, name, tbl_name, rootpage, sql) VALUES (?, ?, ?, ?, ?)",
                ((e.type, e.name, e.table, root, e.sql) for e, root in zip(entries, roots, strict=True)),
            )
            engine.ask("COMMIT")
            engine.ask("PRAGMA writable_schema = RESET")
            engine.ask("SELECT 1 FROM sqlite_master LIMIT 1")
    except apsw.Error as error:
        engine.close()
        raise Unreadable(str(error)) from None
    return engine


def _leaf(kind: int) -> bytes:
    """Return an empty leaf: its kind, no free block, no cell, contents that begin at the page's end."""
    return bytes((kind, 0, 0, 0, 0, *_PAGE_BYTES.to_bytes(2, "big"), 0)).ljust(_PAGE_BYTES, b"\0")


_EMPTY = {kind: _leaf(kind) for kind in (_TABLE_LEAF, _INDEX_LEAF)}


def _constraint_indexes(engine: Engine, there: set[tuple[str, str]]) -> set[str]:
    """Return the names of the indexes that SQLite wants for the constraints of the tables.

    The primary key of a WITHOUT ROWID table is the table itself.
    """
    with engine.unlimited():
        rows = engine.ask(
            "SELECT i.name FROM pragma_table_list AS t CROSS JOIN pragma_index_list(t.name) AS i"
            " WHERE t.schema = 'main' AND t.type IN ('table', 'shadow') AND i.origin <> 'c'"
            " AND NOT (t.wr AND i.origin = 'pk')"
        )
    return {str(name) for (name,) in rows if ("index", fold(str(name))) not in there}


def _without_rowid(engine: Engine, there: set[tuple[str, str]]) -> set[str]:
    with engine.unlimited():
        rows = engine.ask("SELECT name FROM pragma_table_list WHERE schema = 'main' AND wr AND type <> 'virtual'")
    return {str(name) for (name,) in rows if ("table", fold(str(name))) not in there}


def _guess_leaf(o: SchemaObject) -> int:
    match o.type:
        case "index":
            return _INDEX_LEAF
        case "table":
            options = (o.sql or "").upper().rpartition(")")[2].split()
            return _INDEX_LEAF if "ROWID" in options or "ROWID," in options else _TABLE_LEAF
        case _:
            return 0


def _corrected(entries: Sequence[_Entry], names: Iterable[str], without_rowid: set[str]) -> Iterable[_Entry]:
    """Yield the entries with exactly these indexes of constraints, each after its table, and each table as it is."""
    wanted: dict[str, list[str]] = {}
    for name in sorted(names):
        # SQLite calls them `sqlite_autoindex_TABLE_N`.
        wanted.setdefault(fold(name.removeprefix("sqlite_autoindex_").rpartition("_")[0]), []).append(name)
    for entry in entries:
        if entry.sql is None:
            continue
        if entry.type != "table":
            yield entry
            continue
        yield entry._replace(leaf=_INDEX_LEAF if entry.name in without_rowid else _TABLE_LEAF)
        yield from (_Entry("index", name, entry.table, None, _INDEX_LEAF) for name in wanted.get(fold(entry.name), ()))


def _ensure_sequence(engine: Engine, entries: Sequence[_Entry]) -> None:
    """Let SQLite make `sqlite_sequence` where a table needs it and the rows lack it."""
    if any(fold(entry.name) == "sqlite_sequence" for entry in entries):
        return
    candidates = [e for e in entries if e.type == "table" and "autoincrement" in (e.sql or "").lower()]
    if any(_numbers_itself(engine, entry.name) for entry in candidates):
        engine.ask("CREATE TABLE d1ops_once (id INTEGER PRIMARY KEY AUTOINCREMENT)")
        engine.ask("DROP TABLE d1ops_once")


def _numbers_itself(engine: Engine, table: str) -> bool:
    columns = engine.ask("SELECT name FROM pragma_table_info(?) WHERE pk = 1", (table,))
    return any(engine.connection.column_metadata("main", table, str(name))[4] for (name,) in columns)
