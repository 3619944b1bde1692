"""SQLite that counts rows read and written as near to D1's billing as an unpatched SQLite tells.

D1 runs an SQLite patched to count in its virtual machine. Here `rows_written` follows the same rule from outside: one
row for every row that SQLite reports as changed (its pre-update hook), and one for every index entry that an INSERT, or
an UPDATE of an indexed column, makes. `rows_read` comes from SQLite's own counter of full-scan steps, which sees no
step of an index: a search counts the rows that it returned or changed. `docs/emulator.md` says where the two differ.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import apsw

from d1ops.core import rules
from d1ops.core.audit.plans import rows_counted
from d1ops.core.engine import Engine, Rejected
from d1ops.core.sql import quote_text, significant
from d1ops.database.sqlite import SqliteDatabase
from d1ops.errors import StatementRejected

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from d1ops.core.values import Result, Statement

_STEPS_BETWEEN_LOOKS = 100_000
TIMEOUT_TEXT = "D1 DB storage operation exceeded timeout which caused object to be reset."

SchemaRow = tuple[str, str, str, str | None]


class TimeLimitExceeded(StatementRejected):
    """A request that took longer than D1 gives it. It was rolled back."""


class MeteredSqlite(SqliteDatabase):
    """A `SqliteDatabase` with `rows_read` and `rows_written`, and D1's limit of time for one request.

    One that is not `is_durable` waits for no disk, and a crash of the machine may damage it.
    """

    def __init__(
        self, path: Path, *, name: str, max_seconds: float = rules.MAX_REQUEST_SECONDS, is_durable: bool = True
    ) -> None:
        super().__init__(path, name=name)
        if not is_durable:
            with self._engine.free():
                self._engine.connection.pragma("synchronous", 0)
        self._metered = MeteredEngine(self._engine.connection)
        self._engine = self._metered
        self._max_seconds = max_seconds

    def batch(
        self, statements: Sequence[Statement], *, reads_only: bool = False, lossy: bool = False
    ) -> tuple[Result, ...]:
        """Run statements in one transaction. Raises TimeLimitExceeded as well."""
        connection = self._engine.connection
        end = time.monotonic() + self._max_seconds
        connection.set_progress_handler(lambda: time.monotonic() > end, _STEPS_BETWEEN_LOOKS)
        try:
            return super().batch(statements, reads_only=reads_only, lossy=lossy)
        except StatementRejected as error:
            if "SQLITE_INTERRUPT" in error.text:
                raise TimeLimitExceeded(TIMEOUT_TEXT) from None
            raise
        finally:
            connection.set_progress_handler(None)


class MeteredEngine(Engine):
    """An `Engine` whose results say how many rows they took."""

    def __init__(self, connection: apsw.Connection) -> None:
        super().__init__(connection)
        self._changed: Counter[tuple[str, str]] = Counter()
        self._set: set[tuple[str, str]] = set()
        self._steps: Counter[str] = Counter()
        self._schema: tuple[int, frozenset[SchemaRow]] = (-1, frozenset())
        self._indexes: dict[str, list[frozenset[str]]] = {}
        connection.trace_v2(apsw.SQLITE_TRACE_PROFILE, self._note_profile)
        connection.preupdate_hook(self._note_change)

    def _run_one(self, statement: Statement) -> Result:
        verb = next((token.upper for token in significant(statement.sql)), "")
        may_write = verb not in ("SELECT", "VALUES", "EXPLAIN", "PRAGMA")
        before = self._read_schema() if may_write else frozenset()
        self._changed.clear()
        self._set.clear()
        self._steps.clear()
        result = super()._run_one(statement)
        rows_read = 0 if verb in ("EXPLAIN", "PRAGMA") else self._rows_read(verb, statement, result)
        rows_written = 0
        if may_write:
            # What this measures with statements of its own counts for nobody.
            rows_written = self._rows_written(verb)
            made = self._read_schema() - before
            counters = sum(self._has_counter(table) for action, table in self._changed if action == "INSERT")
            rows_read += counters + sum(row[0] in ("table", "view") for row in made if verb == "CREATE")
            built = sum(self._entries(row) for row in made if verb == "CREATE" and row[0] == "index" and row[3])
            rows_read += 2 * built
            rows_written += built + counters + sum(_COST.get(row[0], 1) if verb == "CREATE" else 1 for row in made)
        return replace(result, meta=replace(result.meta, rows_read=rows_read, rows_written=rows_written))

    # -- rows read ---------------------------------------------------------------------------------------------------

    def _rows_read(self, verb: str, statement: Statement, result: Result) -> int:
        sql = statement.sql
        scanned, sorts = (self._steps[f"SQLITE_STMTSTATUS_{name}"] for name in ("FULLSCAN_STEP", "SORT"))
        if verb == "DELETE" and not any(token.upper == "WHERE" for token in significant(sql)):
            return 0  # Without the hook SQLite empties the table without a look at its rows.
        counted = rows_counted(self, sql, statement.params)
        if scanned:
            # The first row of a scan is not a step; what goes through a sorter is read again.
            return (scanned + 1) * (2 if sorts else 1) + counted
        if verb in ("SELECT", "WITH"):
            return max(len(result.rows), counted) if self._reads_a_table(sql) else 0
        if verb in ("UPDATE", "DELETE"):
            return result.meta.changes + counted
        return counted

    def _reads_a_table(self, sql: str) -> bool:
        return any(token.upper == "FROM" for token in significant(sql))

    def _note_profile(self, event: dict[str, Any]) -> None:
        self._steps.update(event["stmt_status"])

    # -- rows written ------------------------------------------------------------------------------------------------

    def _rows_written(self, verb: str) -> int:
        changed, assigned = dict(self._changed), set(self._set)
        written = 0
        for (action, table), count in changed.items():
            if action == "DELETE" and verb in ("INSERT", "REPLACE"):
                continue  # A row that makes room for another one is not counted.
            columns = {column for name, column in assigned if name == table}
            touched = [
                index
                for index in self._indexes_of(table)
                if action == "INSERT" or (action == "UPDATE" and (index & columns or not index))
            ]
            written += count * (1 + len(touched))
        return written

    def _indexes_of(self, table: str) -> list[frozenset[str]]:
        """Return the columns of each index that is stored apart from its table; an expression has no columns."""
        if table not in self._indexes:
            name = quote_text(table)
            is_whole = "SELECT count(*) FROM pragma_table_list(" + name + ") WHERE wr"
            skip = "pk" if self.ask_one(is_whole) else ""
            self._indexes[table] = [
                frozenset(
                    str(column).lower()
                    for (column,) in self.ask(
                        f"SELECT name FROM pragma_index_xinfo({quote_text(str(index))}) WHERE key AND name NOT NULL"
                    )
                )
                for index, origin in self.ask(f"SELECT name, origin FROM pragma_index_list({name})")
                if origin != skip
            ]
        return self._indexes[table]

    def _has_counter(self, table: str) -> bool:
        """Return whether a table is AUTOINCREMENT, which reads and writes a row of sqlite_sequence."""
        return any(row[1] == table and "AUTOINCREMENT" in (row[3] or "").upper() for row in self._schema[1])

    def _note_change(self, change: Any) -> None:
        self._changed[change.op.removeprefix("SQLITE_"), change.table_name] += 1

    def _authorize(
        self, action: int, first: str | None, second: str | None, database: str | None, trigger: str | None
    ) -> int:
        if action == apsw.SQLITE_UPDATE and not self._free:
            self._set.add((first or "", (second or "").lower()))
        return super()._authorize(action, first, second, database, trigger)

    # -- the schema --------------------------------------------------------------------------------------------------

    def _read_schema(self) -> frozenset[SchemaRow]:
        version = self.ask_one("PRAGMA schema_version")
        if version != self._schema[0]:
            rows = self.ask("SELECT type, name, tbl_name, sql FROM sqlite_schema")
            self._schema = (int(str(version)), frozenset(rows))  # type: ignore[arg-type]  # the columns' types
            self._indexes.clear()
        return self._schema[1]

    def _entries(self, index: SchemaRow) -> int:
        try:
            return self.count(index[2])
        except (apsw.Error, Rejected):
            return 0


_COST = {"table": 2, "view": 2, "index": 1, "trigger": 1}
"""Rows of the schema table that D1 counts for a new object (seen on workerd 1.20261117.1)."""
