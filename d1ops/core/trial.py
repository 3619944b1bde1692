"""A trial of scripts on databases in memory: images of them, filled with generated rows, and compared.

An image is the bytes of a SQLite file; `b""` is an empty database. Images are cheap to open again and again, so every
script runs on a database of its own.
"""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import apsw

from d1ops.core import rules
from d1ops.core.engine import Engine, Rejected
from d1ops.core.mirror import schema_of
from d1ops.core.rehearsal import BEFORE
from d1ops.core.replay import rejected_in_script
from d1ops.core.rows import generate
from d1ops.core.sql import fold, significant
from d1ops.core.values import Statement
from d1ops.core.variation import vary

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
        self.overwrites: list[tuple[Overwrite, ...]] = []
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


@dataclass(frozen=True, slots=True)
class Overwrite:
    """What a migration may overwrite or delete: `table`, or `table.column`. `is_whole` tells that a DELETE without a
    condition does it, so that rows of a trial show what becomes of any row."""

    name: str
    is_whole: bool

    @property
    def table(self) -> str:
        """The table, in lower case."""
        return self.name.partition(".")[0]


def overwritten_by(engine: Engine, statements: Sequence[ScriptStatement]) -> tuple[Overwrite, ...]:
    """Run a migration and tell what its statements may overwrite or delete of what was there before, as SQLite's
    authorizer names it, triggers and foreign key actions included."""
    there = {table.lower(): {c.lower() for c in data_columns(engine, table)} for table in data_tables(engine)}
    found: dict[str, bool] = {}
    is_whole = False

    def note(action: int, first: str | None, second: str | None, database: str | None, trigger: str | None) -> None:
        del database, trigger
        table, column = (first or "").lower(), (second or "").lower()
        if action == apsw.SQLITE_DELETE and table in there:
            found[table] = is_whole and found.get(table, True)
        elif action == apsw.SQLITE_UPDATE and column in there.get(table, ()):
            found[f"{table}.{column}"] = is_whole and found.get(f"{table}.{column}", True)

    writes = [note if s.verb in _WRITES else None for s in statements]

    def advance(index: int) -> None:
        nonlocal is_whole
        following = statements[index + 1].sql if index + 1 < len(statements) else ""
        is_whole = _is_bare_delete(following)
        engine.on_action = writes[index + 1] if index + 1 < len(writes) else None

    try:
        advance(-1)
        engine.run([Statement(s.sql) for s in statements], after=advance)
    except Rejected as error:
        raise rejected_in_script(error, statements) from None
    finally:
        engine.on_action = None
    return tuple(Overwrite(name, whole) for name, whole in sorted(found.items()))


def _is_bare_delete(sql: str) -> bool:
    """Whether a statement is DELETE FROM and the name of a table, and nothing else."""
    words = [token.upper for token in significant(sql) if token.kind != "semicolon"]
    return words[:2] == ["DELETE", "FROM"] and len(words) == 3


_WRITES = frozenset(("INSERT", "REPLACE", "UPDATE", "DELETE", "WITH"))
