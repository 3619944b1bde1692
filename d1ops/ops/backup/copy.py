"""The copy of a target: a SQLite file that rows are written into, page by page, and read from again."""

from __future__ import annotations

import hashlib
from contextlib import ExitStack
from itertools import chain, groupby, islice
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import apsw

from d1ops.core.mirror import build_schema, schema_of
from d1ops.core.reader import Place, read_totals
from d1ops.core.rowtext import cells_of, digestible, digestible_lines, values_of, without_hexadecimal
from d1ops.core.sql import quote_identifier
from d1ops.database.sqlite import open_copy
from d1ops.errors import BackupRefused, HumanNeeded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path
    from threading import Event

    from d1ops.core.engine import Engine
    from d1ops.core.reader import TableReader, Totals
    from d1ops.core.schema import SchemaObject

_ROWS_AT_ONCE = 2_000
_MOST_LINES_BYTES = 8 * 1024 * 1024
_PARAMETERS_AT_ONCE = 250
_CACHE_KIBIBYTES = 32 * 1024
_STEPS_BETWEEN_LOOKS = 1_000_000
"""Of SQLite's virtual machine; some milliseconds."""


class Copy:
    """A copy that is being written.

    Tables come first, indexes and triggers last (`finish`): they would slow the rows down, and a trigger must not fire.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.engine: Engine = open_copy(path)
        self._stack = ExitStack()
        self._stack.callback(self.engine.close)
        self._stack.enter_context(self.engine.unlimited())
        try:
            # A crash of this program leaves a whole transaction; one of the machine may not, which the digests find.
            for pragma in ("locking_mode = EXCLUSIVE", "synchronous = OFF", f"cache_size = -{_CACHE_KIBIBYTES}"):
                self.engine.ask(f"PRAGMA {pragma}")
            self.engine.ask("PRAGMA ignore_check_constraints = ON")
            # Rows that are taken out again, because their table moves, are not to be found in free pages.
            self.engine.ask("PRAGMA secure_delete = ON")
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Let go of the file."""
        self._stack.close()

    # -- schema ----------------------------------------------------------------------------------------

    def build(self, objects: Iterable[SchemaObject], readers: Iterable[TableReader]) -> None:
        """Make the tables in a new file. A virtual table puts rows into its own, which are not the target's: all that
        is read is empty."""
        build_schema(self.engine, [o for o in objects if o.type == "table"])
        for reader in readers:
            self.clear(reader)

    def holds(self, readers: Iterable[TableReader]) -> bool:
        """Return whether all these tables are there."""
        schema = schema_of(self.engine)
        return all(schema.has_table(reader.table) for reader in readers)

    def drop_triggers(self) -> None:
        """Remove the triggers of a copy that was nearly done, so that rows can be written again."""
        for each in schema_of(self.engine).objects:
            if each.type == "trigger":
                self.engine.ask(f"DROP TRIGGER {quote_identifier(each.name)}")

    def empty(self, virtual: SchemaObject) -> None:
        """Make a virtual table anew, without rows."""
        self.engine.ask(f"DROP TABLE {quote_identifier(virtual.name)}")
        build_schema(self.engine, [virtual])

    def finish(self, objects: Iterable[SchemaObject], stop: Event) -> None:
        """Make indexes, views and triggers. Raises BackupRefused where the rows do not allow a unique index, and soon
        after somebody says `stop`."""
        stop_with(self.engine, stop)
        present = schema_of(self.engine).by_key()
        later = [o for o in objects if o.type != "table" and (o.type, o.name.lower()) not in present]
        try:
            build_schema(self.engine, later)
        except HumanNeeded as error:
            raise BackupRefused(str(error), hint="run the command again; rows may have moved meanwhile") from None

    # -- rows ------------------------------------------------------------------------------------------

    def place(self, reader: TableReader) -> Place | None:
        """Return the place behind the last row, None in an empty table."""
        rows = self.engine.count(reader.table)
        if not rows:
            return None
        last = reader.boundary(None, rows)
        return Place(tuple(cells_of(str(self.engine.ask_one(last.sql, last.params)))), rows)

    def clear(self, reader: TableReader) -> None:
        """Remove all rows of a table."""
        self.engine.ask(f"DELETE FROM {quote_identifier(reader.table)}")

    def add(self, reader: TableReader, rows: Sequence[str], *, moving: bool = False) -> None:
        """Write rows as one transaction.

        In a target that is written meanwhile (`moving`), a row may come twice, or with a value that another row had:
        the later one stays, and the digest finds what is not right. Raises BackupRefused otherwise.
        """
        self.engine.ask("BEGIN")
        try:
            self._insert(reader, rows, replace=moving)
        except apsw.Error as error:
            if self.engine.connection.in_transaction:  # A full disk ends it.
                self.engine.ask("ROLLBACK")
            if isinstance(error, apsw.FullError | apsw.IOError | apsw.CorruptError | apsw.NotADBError):
                raise
            raise BackupRefused(
                f"{reader.table} holds a row that its own schema refuses: {error}",
                hint="mend the row, or rewind without a backup: d1ops restore BOOKMARK",
            ) from None
        self.engine.ask("COMMIT")

    def _insert(self, reader: TableReader, rows: Sequence[str], *, replace: bool) -> None:
        values, raw = values_of(rows)
        connection = self.engine.connection
        done = 0
        for at, columns in groupby(raw, key=itemgetter(0)):
            self._insert_plain(reader, values[done:at], replace=replace)
            connection.execute(reader.insert((column for _, column in columns), replace=replace), values[at])
            done = at + 1
        self._insert_plain(reader, values[done:], replace=replace)

    def _insert_plain(self, reader: TableReader, values: Sequence[tuple[Any, ...]], *, replace: bool) -> None:
        """Write some rows with every statement: a step of SQLite that Python waits for costs as much as a row."""
        several = max(1, _PARAMETERS_AT_ONCE // len(reader.columns))
        end = len(values) - len(values) % several
        connection = self.engine.connection
        groups = (tuple(chain.from_iterable(values[at : at + several])) for at in range(0, end, several))
        connection.executemany(reader.insert(replace=replace, rows=several), groups)
        connection.executemany(reader.insert(replace=replace), values[end:])

    def digest(self, reader: TableReader) -> str:
        """Return the digest of a table as it is in the copy."""
        return digest_of(self.engine, reader, totals_of(self.engine, reader))


def stop_with(engine: Engine, stop: Event) -> None:
    """Have an engine give up soon after somebody says `stop`."""
    engine.connection.set_progress_handler(stop.is_set, _STEPS_BETWEEN_LOOKS)


def totals_of(engine: Engine, reader: TableReader) -> Totals:
    """Return the figures of a table of a copy."""
    (row,) = engine.ask(reader.totals().sql)
    return read_totals(row)


def digest_of(engine: Engine, reader: TableReader, totals: Totals, *, lines_bytes: int = 256 * 1024) -> str:
    """Return the digest of a table of a copy (`core.rowtext`), whose figures are these; so many bytes are read at once
    where no row is large."""
    try:
        return _digest_of_lines(engine, reader, totals, lines_bytes)
    except UnicodeDecodeError:
        rows = _texts(engine, reader.page(hexadecimal=True).sql)
        return _hash(without_hexadecimal(each) for each in rows)


def _digest_of_lines(engine: Engine, reader: TableReader, totals: Totals, lines_bytes: int) -> str:
    """Take many rows at once where none is large: every step of SQLite that Python waits for costs both of them."""
    limit = max(1, min(_ROWS_AT_ONCE, lines_bytes * totals.rows // (totals.size_bytes + 1)))
    if not reader.key or limit * totals.largest > _MOST_LINES_BYTES:
        return _hash(_texts(engine, reader.page().sql))
    digest = hashlib.sha256()
    place: Place | None = None
    read = 0
    while read < totals.rows:
        statement = reader.lines(place, limit)
        lines = engine.ask_one(statement.sql, statement.params)
        if lines is None:
            break
        joined = str(lines)
        digest.update(digestible_lines(joined))
        read += joined.count("\n") + 1
        place = reader.place(cells_of(joined[joined.rfind("\n") + 1 :]), read - 1)
    return digest.hexdigest()


def _hash(pages: Iterable[Sequence[str]]) -> str:
    digest = hashlib.sha256()
    for rows in pages:
        digest.update(digestible(rows))
    return digest.hexdigest()


def _texts(engine: Engine, sql: str) -> Iterator[list[str]]:
    with engine.free():
        cursor = engine.connection.execute(sql)
        while rows := [row[0] for row in islice(cursor, _ROWS_AT_ONCE)]:
            yield rows
