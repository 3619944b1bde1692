"""Generated rows made harder to copy: what a rebuild may lose is there to be lost.

Rows that count up from 1, differ in every cell and lack nothing come through a wrong copy unharmed: one with DISTINCT,
one without its rowid, one with `WHERE name IS NOT NULL`.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING

import apsw

from d1ops.core.sql import quote_identifier
from d1ops.core.tables import read_tables

if TYPE_CHECKING:
    from d1ops.core.engine import Engine
    from d1ops.core.tables import Table


def vary(engine: Engine, fresh: set[str]) -> None:
    """Change the newest row of every table that got several (`fresh`, folded), as far as SQLite allows it: NULL in
    every column, an equal row beside it, and a gap in the rowids before it. Triggers are away meanwhile, so full-text
    indexes are built again; where one keeps no text to build it from, nothing is changed."""
    tables = read_tables(engine)
    if any(table.content == "" for table in tables.values()):
        return
    again = [quote_identifier(table.name) for table in tables.values() if table.content]
    with engine.free():
        engine.connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
        try:
            for name in sorted(fresh & tables.keys()):
                for sql in _variations(tables[name]):
                    with suppress(apsw.Error):
                        engine.ask(sql)
            for name in again:
                with suppress(apsw.Error):
                    engine.ask(f"INSERT INTO {name} ({name}) VALUES ('rebuild')")
        finally:
            engine.connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 1)


def _variations(table: Table) -> list[str]:
    number = table.rowid or (quote_identifier(table.key[0]) if table.is_numbered else None)
    if number is None or table.is_virtual:
        return []
    name, columns = quote_identifier(table.name), [quote_identifier(column) for column in table.columns]
    newest = f"{number} = (SELECT max({number}) FROM {name})"
    loose = [quote_identifier(column) for column in table.columns if column not in table.key]
    changes = [f"UPDATE {name} SET {column} = NULL WHERE {newest}" for column in loose]
    if table.rowid:
        listed = ", ".join(columns)
        changes.append(f"INSERT INTO {name} ({listed}) SELECT {listed} FROM {name} WHERE {newest}")
        changes.append(f"UPDATE {name} SET {number} = {number} + 1000 WHERE {newest}")
    return changes
