"""The text of a dump, in the form that D1 gives it: tables with their rows, then indexes, triggers, views.

The form is the one seen with `wrangler d1 export --local` of wrangler 4.164.

Values are those of D1's JSON, so an integer beyond 2^53 is rounded, invalid UTF-8 is replaced and an infinity is NULL,
as in the dumps of the service: a dump of D1 is no faithful backup, and neither is this.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.sql import quote_identifier, quote_text
from d1ops.core.values import Statement
from d1ops.errors import StatementRejected

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from d1ops.core.values import Row, Value
    from d1ops.database.base import Database

REFUSAL = "D1 Export error: cannot export databases with Virtual Tables (fts5)"
_OBJECTS = """SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE sql IS NOT NULL
    AND lower(name) NOT LIKE '\\_cf\\_%' ESCAPE '\\'
    ORDER BY CASE type WHEN 'table' THEN 0 WHEN 'index' THEN 1 WHEN 'trigger' THEN 2 ELSE 3 END,
    name = 'sqlite_sequence', rowid"""


def dump(database: Database, *, schema: bool, data: bool, tables: Collection[str], any_module: bool) -> str:
    """Return a script that makes the objects again; `tables` empty means all of them.

    Raises StatementRejected for a database with virtual tables, unless `any_module`. The caller sees to it that nobody
    writes meanwhile.
    """
    (found,) = database.batch((Statement(_OBJECTS),), lossy=True)
    objects = [tuple(str(cell) for cell in row) for row in found.rows]
    if not any_module and any(_is_virtual(sql) for kind, _, _, sql in objects if kind == "table"):
        raise StatementRejected(REFUSAL)
    chosen = [each for each in objects if not tables or each[1] in tables]
    named = [name for kind, name, _, sql in chosen if kind == "table" and not _is_virtual(sql)]
    rows = _rows(database, [name for name in named if _is_kept(name)]) if data else {}
    lines = ["PRAGMA defer_foreign_keys=TRUE;"]
    for kind, name, _, sql in chosen:
        if kind == "table":
            lines += _table(name, sql, rows.get(name, ()), schema=schema, data=data)
        elif schema:
            lines.append(f"{sql};")
    return "\n".join(lines)


def _is_virtual(sql: str) -> bool:
    return sql.upper().startswith("CREATE VIRTUAL TABLE")


def _is_kept(name: str) -> bool:
    return name == "sqlite_sequence" or name.startswith("sqlite_stat") or not name.lower().startswith("sqlite_")


def _table(name: str, sql: str, inserts: Collection[str], *, schema: bool, data: bool) -> Iterator[str]:
    if name == "sqlite_sequence" or name.startswith("sqlite_stat"):
        if data:
            yield f"DELETE FROM {name};" if name == "sqlite_sequence" else "ANALYZE sqlite_schema;"
            yield from inserts
        return
    if schema:
        yield f"{sql};"
    yield from inserts


def _rows(database: Database, names: list[str]) -> dict[str, list[str]]:
    """Return the INSERT statements of each table, read in one transaction."""
    if not names:
        return {}
    listed = database.batch(
        [Statement(f"SELECT name FROM pragma_table_info({quote_text(name)})") for name in names], lossy=True
    )
    columns = [[quote_identifier(str(name)) for (name,) in result.rows] for result in listed]
    selects = [
        Statement(f"SELECT {', '.join(cells)} FROM {quote_identifier(name)}")
        for name, cells in zip(names, columns, strict=True)
    ]
    results = database.batch(selects, reads_only=True, lossy=True)
    return {
        name: [_insert(name, cells, row) for row in result.rows]
        for name, cells, result in zip(names, columns, results, strict=True)
    }


def _insert(table: str, columns: list[str], row: Row) -> str:
    values = ",".join(_literal(cell) for cell in row)
    return f"INSERT INTO {quote_identifier(table)} ({','.join(columns)}) VALUES({values});"


def _literal(cell: Value) -> str:
    match cell:
        case None:
            return "NULL"
        case bytes():
            return f"X'{cell.hex()}'"
        case str() if "\0" in cell:
            return f"CAST(X'{cell.encode().hex()}' AS TEXT)"
        case str():
            return quote_text(cell)
        case _:
            return repr(cell)
