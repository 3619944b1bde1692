"""Sample rows for a development database: any number, the same for the same seed, schema and rows already there.

The rows are made on a mirror of the target that holds the target's own rows too, so that a second run with another seed
adds rows, refers to those that are there, and collides with none of them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.lossless import bindings, is_suspect, reader_of
from d1ops.core.mirror import build_mirror, build_schema
from d1ops.core.rows import Filled, generate
from d1ops.core.schema import SELECT_OBJECTS, Schema
from d1ops.core.values import Statement
from d1ops.errors import DatabaseError, HumanNeeded, UsageError

if TYPE_CHECKING:
    from d1ops.core.engine import Engine
    from d1ops.database.base import Database

BATCH_STATEMENTS = 500
"""So many statements are sent as one transaction."""

MAX_ROWS_READ = 50_000
"""A table with more rows is not filled further: all of its rows would have to be read first."""


@dataclass(frozen=True, slots=True)
class Sampled:
    """What was sent: for every table the rows it got and why they are fewer than asked for, where they are."""

    tables: tuple[Filled, ...]
    statements: int
    batches: int

    @property
    def rows(self) -> int:
        """All rows that were made, those that triggers added not counted."""
        return sum(filled.rows for filled in self.tables)


def sample(database: Database, *, rows: int, seed: int, ledger: str = "d1_migrations") -> Sampled:
    """Insert `rows` rows into every table of the target but the ledger and those of d1ops, SQLite and Cloudflare.

    Sends one query for the schema, one batch that reads the rows that are there, and the inserts, BATCH_STATEMENTS a
    batch. Raises UsageError for less than one row and for a table of more than MAX_ROWS_READ rows; HumanNeeded when a
    batch fails after others went in (each batch is whole, so the rows that are in satisfy every constraint).
    """
    if rows < 1:
        raise UsageError(f"{rows} rows cannot be made", hint="ask for at least 1")
    schema = Schema.from_rows(database.query(SELECT_OBJECTS).rows).users(ledger)
    mirror = build_mirror(o for o in schema.objects if o.type != "trigger")
    try:
        _copy_rows(database, mirror, schema)
        # Triggers come last, so that they fire on the new rows alone.
        build_schema(mirror, (o for o in schema.objects if o.type == "trigger"))
        generated = generate(mirror, rows=rows, seed=seed, ledger=ledger)
    finally:
        mirror.close()
    starts = range(0, len(generated.statements), BATCH_STATEMENTS)
    for start in starts:
        try:
            database.batch(generated.statements[start : start + BATCH_STATEMENTS])
        except DatabaseError as error:
            if start == 0:
                raise
            raise HumanNeeded(
                f"{start:,} of {len(generated.statements):,} inserts are in, then: {error}",
                hint="the rows that are in are whole; run it again with another seed for more",
            ) from error
    return Sampled(generated.tables, len(generated.statements), len(starts))


def _copy_rows(database: Database, mirror: Engine, schema: Schema) -> None:
    """Copy the rows of the ordinary tables into the mirror."""
    ordinary = {
        name for (name,) in mirror.ask("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'")
    }
    readers = [reader_of(mirror, table) for table in schema.tables() if table in ordinary]
    if not readers:
        return
    limit = f" LIMIT {MAX_ROWS_READ + 1}"
    pages = database.batch([Statement(reader.select() + limit) for reader in readers], reads_only=True, lossy=True)
    for reader, page in zip(readers, pages, strict=True):
        found = page.rows
        if len(found) > MAX_ROWS_READ:
            raise UsageError(
                f"table {reader.table} has more than {MAX_ROWS_READ:,} rows, which would all be read first",
                hint="sample a fresh database",
            )
        if any(map(is_suspect, found)):
            again = Statement(reader.select(hexadecimal=True) + limit)
            found = database.batch((again,), reads_only=True, lossy=True)[0].rows
        with mirror.unlimited():
            mirror.ask("PRAGMA ignore_check_constraints = ON")
            mirror.ask_many(reader.insert(), (bindings(row) for row in found))
            mirror.ask("PRAGMA ignore_check_constraints = OFF")
