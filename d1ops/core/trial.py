"""A trial of scripts on databases in memory: images of them, filled with generated rows, and compared.

An image is the bytes of a SQLite file; `b""` is an empty database. Images are cheap to open again and again, so every
script runs on a database of its own.
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

import apsw

from d1ops.core import rules
from d1ops.core.engine import Engine, Rejected
from d1ops.core.mirror import schema_of
from d1ops.core.rehearsal import BEFORE
from d1ops.core.replay import rejected_in_script
from d1ops.core.rows import generate
from d1ops.core.values import Statement

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from d1ops.core.catalog import Catalog
    from d1ops.core.schema import Schema
    from d1ops.core.sql import ScriptStatement


class Stages:
    """The database after each migration, as images: only what the migrations themselves make and insert.

    `overwrites` has for each migration what `overwritten_by` returns. Raises ScriptError for a migration that cannot be
    read, StatementRejected for one that does not run.
    """

    def __init__(self, catalog: Catalog) -> None:
        self._images = [b""]
        self.overwrites: list[tuple[str, ...]] = []
        with closing(Engine.memory()) as engine:
            for migration in catalog.migrations:
                self.overwrites.append(overwritten_by(engine, migration.script.statements))
                self._images.append(engine.serialize())

    def before(self, index: int) -> bytes:
        """The image without the migration at `index` and all later ones."""
        return self._images[index]

    def after(self, index: int) -> bytes:
        """The image with the migration at `index` as the newest."""
        return self._images[index + 1]

    @property
    def last(self) -> bytes:
        """The image with all migrations."""
        return self._images[-1]


def opened(image: bytes) -> Engine:
    """Return an engine that holds a copy of the image."""
    engine = Engine.memory()
    if image:
        with engine.free():
            engine.connection.deserialize("main", image)
    return engine


def fill(engine: Engine, rows: int, seed: int) -> dict[str, str]:
    """Insert rows into every table; return the tables that got none, with a sentence that says why."""
    tables = generate(engine, rows=rows, seed=seed).tables
    return {t.table: f"{t.table} got no rows for the trial: {t.shortfall}" for t in tables if not t.rows}


def filled(image: bytes, rows: int, seed: int) -> tuple[bytes, dict[str, str]]:
    """Return the image with every table filled, and what `fill` returns."""
    with closing(opened(image)) as engine:
        empty = fill(engine, rows, seed)
        return engine.serialize(), empty


@contextmanager
def beside(engine: Engine, image: bytes) -> Iterator[None]:
    """Attach an image as `before` while it is compared with. A script never runs meanwhile: it could reach into it."""
    with engine.free():
        engine.connection.execute(f"ATTACH ':memory:' AS {BEFORE}")
        if image:
            engine.connection.deserialize(BEFORE, image)
    try:
        yield
    finally:
        with engine.free():
            engine.connection.execute(f"DETACH {BEFORE}")


def user_schema(engine: Engine) -> Schema:
    """Return the schema that migrations make; a database without a target has no ledger."""
    return schema_of(engine).users("d1_migrations")


def data_tables(engine: Engine, schema: str = "main") -> list[str]:
    """Return the tables whose rows are compared: neither SQLite's own nor the shadow tables of virtual ones."""
    rows = engine.ask("SELECT name FROM pragma_table_list WHERE schema = ? AND type IN ('table', 'virtual')", (schema,))
    return sorted(str(name) for (name,) in rows if not rules.is_reserved(str(name)))


def data_columns(engine: Engine, table: str, schema: str = "main") -> list[str]:
    """Return the columns that hold values of their own; generated ones are left out."""
    rows = engine.ask("SELECT name FROM pragma_table_xinfo(?, ?) WHERE hidden = 0", (table, schema))
    return [str(name) for (name,) in rows]


def overwritten_by(engine: Engine, statements: Sequence[ScriptStatement]) -> tuple[str, ...]:
    """Run a migration and tell what its statements may overwrite or delete of what was there before: `table` or
    `table.column`, as SQLite's authorizer names them, triggers and foreign key actions included."""
    there = {table.lower(): {c.lower() for c in data_columns(engine, table)} for table in data_tables(engine)}
    found: set[str] = set()

    def note(action: int, first: str | None, second: str | None, database: str | None, trigger: str | None) -> None:
        del database, trigger
        table, column = (first or "").lower(), (second or "").lower()
        if action == apsw.SQLITE_DELETE and table in there:
            found.add(table)
        elif action == apsw.SQLITE_UPDATE and column in there.get(table, ()):
            found.add(f"{table}.{column}")

    writes = [note if s.verb in _WRITES else None for s in statements]

    def advance(index: int) -> None:
        engine.on_action = writes[index + 1] if index + 1 < len(writes) else None

    try:
        advance(-1)
        engine.run([Statement(s.sql) for s in statements], after=advance)
    except Rejected as error:
        raise rejected_in_script(error, statements) from None
    finally:
        engine.on_action = None
    return tuple(sorted(found))


_WRITES = frozenset(("INSERT", "REPLACE", "UPDATE", "DELETE", "WITH"))
