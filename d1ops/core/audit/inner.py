"""What asks for rows out of the schema itself: its views, and what its triggers do.

No file of queries knows them. An index that only they use, or that they name with INDEXED BY, is in use all the same.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.queries import Query
from d1ops.core.sql import ScriptStatement, quote_identifier, significant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from d1ops.core.audit.tables import Table
    from d1ops.core.engine import Engine
    from d1ops.core.schema import Schema


def inner_queries(engine: Engine, schema: Schema, tables: Mapping[str, Table]) -> list[Query]:
    """Return a query of every view, and for the triggers of a table or a view a statement that fires them; its plan
    holds what they do."""
    found = {o.name: f"SELECT * FROM {quote_identifier(o.name)}" for o in schema.objects if o.type == "view"}
    for o in schema.objects:
        if o.type == "trigger":
            verb = next(t.upper for t in significant(o.sql or "") if t.kind == "word" and t.upper in _FIRE)
            found[f"{verb} {o.table}"] = _FIRE[verb].format(
                table=quote_identifier(o.table),
                sets=", ".join(_sets(engine, o.table, tables)) if verb == "UPDATE" else "",
            )
    return [Query(name, ScriptStatement(sql, "", 0, 0), ()) for name, sql in found.items()]


_FIRE = {
    "DELETE": "DELETE FROM {table}",
    "UPDATE": "UPDATE {table} SET {sets}",
    "INSERT": "INSERT INTO {table} DEFAULT VALUES",
}


def _sets(engine: Engine, name: str, tables: Mapping[str, Table]) -> Iterator[str]:
    if name in tables:
        columns = [column.name for column in tables[name].columns if not column.is_generated]
    else:
        columns = [str(column) for (column,) in engine.ask("SELECT name FROM pragma_table_info(?)", (name,))]
    yield from (f"{column} = {column}" for column in map(quote_identifier, columns))
