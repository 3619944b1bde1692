"""A trial of scripts on databases in memory: images of them, filled with generated rows, and compared.

An image is the bytes of a SQLite file; `b""` is an empty database. Images are cheap to open again and again, so every
script runs on a database of its own.
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, TypeAlias

import apsw

from d1ops.core import rules
from d1ops.core.engine import Engine
from d1ops.core.mirror import schema_of
from d1ops.core.rehearsal import BEFORE, rehearse
from d1ops.core.rows import generate
from d1ops.core.sql import fold
from d1ops.core.variation import vary

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from d1ops.core.rehearsal import Cause
    from d1ops.core.schema import Schema
    from d1ops.core.sql import ScriptStatement


Causes: TypeAlias = "dict[str, list[Cause]]"
"""Which statements took rows or values of which table (folded)."""

RunScript: TypeAlias = "Callable[[bytes, Sequence[ScriptStatement]], tuple[bytes, Causes]]"
"""Runs a script as one transaction on a database that holds what an image holds, and returns the image after it.
Raises StatementRejected. `run_in_memory` is one; `ops.check` has one for any database."""


def run_in_memory(image: bytes, statements: Sequence[ScriptStatement]) -> tuple[bytes, Causes]:
    """Run a script on a copy of an image. Raises StatementRejected, with the place."""
    with closing(opened(image)) as engine:
        causes = rehearse(engine, statements)
        return engine.serialize(), causes


def opened(image: bytes) -> Engine:
    """Return an engine that holds a copy of the image."""
    engine = Engine.memory()
    if image:
        with engine.free():
            engine.connection.deserialize("main", image)
    return engine


def fill(engine: Engine, rows: int, seed: int) -> dict[str, str]:
    """Insert rows into every table; return the tables that got none, with a sentence that says why.

    What a script may treat wrongly is among them where the schema allows it: NULL in every column, two equal rows, and
    rowids with gaps.
    """
    tables = generate(engine, rows=rows, seed=seed).tables
    vary(engine, {fold(t.table) for t in tables if t.rows > 1})
    empty = [t for t in tables if not t.rows and not _holds_rows(engine, t.table)]
    return {t.table: f"{t.table} got no rows for the trial: {t.shortfall}" for t in empty}


def _holds_rows(engine: Engine, table: str) -> bool:
    """Whether a table was filled by something else: by triggers, or as the index of a table that has rows."""
    try:
        return engine.count(table) > 0
    except apsw.Error:
        return False


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
