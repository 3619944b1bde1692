"""A SQLite connection that behaves as D1 does: the same refusals, limits and transactions.

`Engine.memory()` is the throw-away engine that the pure core runs SQL on to learn what it does. The SQLite
adapter and the backup open the same class over a file. Foreign keys are always on; every `run` is one
transaction; what D1 refuses is refused with the text that workerd gives.

Sources: `d1ops.core.rules`, `d1ops.core.authorizer`; SQLite documentation (authorizer, limits, "PRAGMA foreign_keys is
a no-op within a transaction").
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

import apsw

from d1ops.core import rules
from d1ops.core.authorizer import TRANSACTION_ACTIONS, action_allowed, refusal_of_text, takes_reserved_name
from d1ops.core.sql import is_about_rows, is_read, quote_identifier, significant
from d1ops.core.values import Meta, Result, Statement

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Sequence

    from d1ops.core.values import Param, Row, Value


class Rejected(Exception):
    """The engine rejected a statement; the transaction was rolled back.

    `str()` is workerd's text: `<message>[ at offset N]: SQLITE_X[ (extended: SQLITE_X_Y)]`. `index` is the
    statement's position in the run; `len(statements)` stands for the commit itself. `offset` counts bytes.
    `code` is SQLite's extended result name (`SQLITE_BUSY`), empty where a rule of D1 refused. `on_rows` says that the
    rows decided: a constraint did not hold, or what reads and writes rows compiled and then failed.
    """

    def __init__(
        self, text: str, *, index: int = 0, offset: int | None = None, code: str = "", on_rows: bool = False
    ) -> None:
        super().__init__(text)
        self.text = text
        self.index = index
        self.offset = offset
        self.code = code
        self.on_rows = on_rows


class Engine:
    """One connection under D1's rules."""

    def __init__(self, connection: apsw.Connection) -> None:
        self.connection = connection
        self._free = False
        self._refused_action: int | None = None
        self._takes_reserved_name = False
        self._has_compiled = self._compiles_only = False
        self.clock: Callable[[], float] = lambda: 0.0
        """Seconds that only differences are taken of; whoever opens the engine may give it a clock."""
        self.on_action: Callable[[int, str | None, str | None, str | None, str | None], None] | None = None
        """Called with every authorizer action of a script's statement while it is prepared."""
        connection.set_busy_timeout(5_000)
        connection.config(apsw.SQLITE_DBCONFIG_ENABLE_FKEY, 1)
        connection.config(apsw.SQLITE_DBCONFIG_DEFENSIVE, 1)
        for limit, value in _LIMITS:
            connection.limit(limit, value)
        connection.drop_modules((*rules.MODULES, "json_each", "json_tree"))
        connection.authorizer = self._authorize

    @classmethod
    def memory(cls) -> Engine:
        """Return an empty engine in memory."""
        return cls(apsw.Connection(":memory:"))

    def close(self) -> None:
        """Close the connection; the engine is then unusable."""
        self.connection.close(force=True)

    # -- running scripts -------------------------------------------------------------------------------

    def run(
        self,
        statements: Sequence[Statement],
        *,
        after: Callable[[int], None] | None = None,
        compile_only: Collection[int] = (),
    ) -> tuple[Result, ...]:
        """Run statements as one transaction under D1's rules: all of them, or Rejected and nothing.

        `after` is called with the index of every statement once it has run, inside the transaction. Those whose index
        is in `compile_only` are compiled, with all that is refused then, and not run.
        """
        reads = all(is_read(statement.sql) for statement in statements)
        results: list[Result] = []
        with self.free():
            self._begin(immediate=not reads)
        index = 0
        try:
            for index, statement in enumerate(statements):
                self._compiles_only = index in compile_only
                results.append(self._run_one(statement))
                if after is not None:
                    after(index)
            index = len(statements)
            with self.free():
                self.connection.execute("COMMIT")
        except apsw.Error as error:
            self._roll_back()
            if isinstance(error, apsw.AuthError) and self._refused_action in TRANSACTION_ACTIONS:
                raise Rejected(rules.TRANSACTION_TEXT, index=index) from None
            rejected = _rejected(error, index)
            is_of_rows = self._has_compiled and index < len(statements) and is_about_rows(statements[index].sql)
            rejected.on_rows = is_of_rows or isinstance(error, apsw.ConstraintError)
            raise rejected from None
        except Rejected as error:
            self._roll_back()
            error.index = index
            raise
        except BaseException:
            self._roll_back()
            raise
        finally:
            self._reset_pragmas(statements)
        return tuple(results)

    def execute(self, sql: str, params: Sequence[Param] = ()) -> Result:
        """Run one statement as one transaction under D1's rules."""
        (result,) = self.run((Statement(sql, tuple(params)),))
        return result

    def _begin(self, *, immediate: bool) -> None:
        try:
            self.connection.execute("BEGIN IMMEDIATE" if immediate else "BEGIN")
            # A schema that another connection changed is noticed by the first statement that runs, after its columns
            # were described; this one is it.
            self.connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchall()
        except apsw.Error as error:
            self._roll_back()
            raise _rejected(error, 0) from None

    def _run_one(self, statement: Statement) -> Result:
        self._has_compiled = False
        refusal = refusal_of_text(statement.sql)
        if refusal is not None:
            raise Rejected(refusal)
        self._refused_action = None
        self._takes_reserved_name = takes_reserved_name(statement.sql)
        before = self.connection.total_changes()
        started = self.clock()
        cursor = self.connection.cursor()
        columns: tuple[str, ...] = ()
        rows: list[Row] = []
        parameters = 0

        def describe(cursor: apsw.Cursor, sql: str, bindings: object) -> bool:
            # Of several statements in one text the answer is the last one's, as through D1's binding.
            nonlocal columns, parameters
            if parameters:
                raise Rejected(
                    "When executing multiple SQL statements in a single call, only the last statement can have "
                    "parameters."
                )
            columns = tuple(column[0] for column in cursor.get_description())
            parameters = cursor.bindings_count
            rows.clear()
            self._has_compiled = True
            return not self._compiles_only

        cursor.exec_trace = describe
        try:
            # A cached statement would not pass the authorizer, which decides while a statement is prepared.
            for row in cursor.execute(statement.sql, statement.params or None, can_cache=False):
                rows.append(row)  # noqa: PERF402 - `describe` empties the list while this loop runs
        except apsw.ExecTraceAbort:
            pass  # compiled, as was asked
        except apsw.BindingsError:
            raise Rejected("Wrong number of parameter bindings for SQL query.") from None
        except OverflowError:
            raise ValueError("an integer parameter does not fit into 64 bits") from None
        except UnicodeDecodeError:
            cursor.close(force=True)
            rows = self._rows_with_replacements(statement, columns)
        changes = self.connection.total_changes() - before
        self._drop_samples(statement)
        return Result(
            columns,
            tuple(rows),
            Meta(
                changes=changes,
                last_row_id=self.connection.last_insert_rowid(),
                changed_db=changes > 0 or not is_read(statement.sql),
                duration_seconds=self.clock() - started,
            ),
        )

    def _rows_with_replacements(self, statement: Statement, columns: tuple[str, ...]) -> list[Row]:
        """Read a SELECT again whose text is not all UTF-8, with U+FFFD for what is not, as D1 answers.

        apsw raises at such a text, so the text is asked for as bytes, and its type beside it.
        """
        words = list(significant(statement.sql))
        if words[0].upper not in ("SELECT", "VALUES", "WITH") or not is_read(statement.sql):
            raise Rejected("the answer holds text that is not UTF-8, which only a SELECT can carry")
        body = statement.sql[: words[-1].start] if words[-1].kind == "semicolon" else statement.sql
        cells = [f"c{index}" for index, _ in enumerate(columns)]
        picked = ", ".join(
            f"CASE typeof({cell}) WHEN 'text' THEN CAST({cell} AS BLOB) ELSE {cell} END" for cell in cells
        )
        kinds = ", ".join(f"substr(typeof({cell}), 1, 1)" for cell in cells)
        sql = (
            f'WITH "d1ops bytes"({", ".join(cells)}) AS ({body}\n) SELECT {picked}, concat({kinds}) FROM "d1ops bytes"'
        )
        with self.free(), self._without_limits():
            return [
                tuple(
                    cell.decode(errors="replace") if kind == "t" else cell
                    for cell, kind in zip(row[:-1], row[-1], strict=True)
                )
                for row in self.connection.execute(sql, statement.params or None)
            ]

    def _drop_samples(self, statement: Statement) -> None:
        """Drop what ANALYZE collects here and not on D1, whose SQLite is built without STAT4.

        The planner then judges by `sqlite_stat1` alone, as D1's does.
        """
        if not any(word in statement.sql.upper() for word in ("ANALYZE", "OPTIMIZE")):
            return
        with self.free():
            if self.connection.execute("SELECT 1 FROM sqlite_schema WHERE name = 'sqlite_stat4'").fetchall():
                # ANALYZE of the schema reads the statistics again, and would make the table again.
                self.connection.execute("DELETE FROM sqlite_stat4; ANALYZE sqlite_schema; DROP TABLE sqlite_stat4")

    def _roll_back(self) -> None:
        if self.connection.in_transaction:
            with self.free():
                self.connection.execute("ROLLBACK")

    def _reset_pragmas(self, statements: Sequence[Statement]) -> None:
        """Pragma settings last for one request on D1.

        Only those that were mentioned are reset: `case_sensitive_like` in any form makes LIKE a function that SQLite
        takes for non-deterministic, and refuses in an index, on this connection.
        """
        texts = [statement.sql.lower() for statement in statements]
        mentioned = [name for name in _SETTINGS if any(name in text for text in texts)]
        if mentioned:
            with self.free():
                for pragma in mentioned:
                    self.connection.pragma(pragma, 0)

    # -- asking freely ---------------------------------------------------------------------------------

    @contextmanager
    def free(self) -> Iterator[None]:
        """Lift the authorizer for statements of d1ops itself (transactions, pragmas, ATTACH)."""
        before, self._free = self._free, True
        try:
            yield
        finally:
            self._free = before

    @contextmanager
    def trusted(self) -> Iterator[None]:
        """Take the authorizer out for many statements of d1ops itself: SQLite calls it for all that each one names."""
        before, self.connection.authorizer = self.connection.authorizer, None
        try:
            yield
        finally:
            self.connection.authorizer = before

    @contextmanager
    def unlimited(self) -> Iterator[None]:
        """Lift authorizer, limits, foreign keys and the defensive mode while d1ops loads or measures."""
        settings = (apsw.SQLITE_DBCONFIG_DEFENSIVE, apsw.SQLITE_DBCONFIG_ENABLE_FKEY)
        before = [self.connection.config(setting, -1) for setting in settings]
        with self.trusted(), self._without_limits():
            for setting in settings:
                self.connection.config(setting, 0)
            try:
                yield
            finally:
                for setting, value in zip(settings, before, strict=True):
                    self.connection.config(setting, value)

    @contextmanager
    def _without_limits(self) -> Iterator[None]:
        before = [(limit, self.connection.limit(limit, 0x7FFFFFFF)) for limit, _ in _LIMITS]
        try:
            yield
        finally:
            for limit, value in before:
                self.connection.limit(limit, value)

    def ask(self, sql: str, params: Sequence[Param] = ()) -> list[Row]:
        """Run one statement of d1ops itself, without D1's refusals, and return its rows."""
        with self.free():
            return list(self.connection.execute(sql, tuple(params) or None))

    def ask_one(self, sql: str, params: Sequence[Param] = ()) -> Value:
        """Return the only value of the only row."""
        ((value,),) = self.ask(sql, params)
        return value

    def ask_many(self, sql: str, rows: Iterable[Sequence[Param]]) -> None:
        """Run one statement of d1ops itself for every row of parameters."""
        with self.free():
            self.connection.executemany(sql, (tuple(row) for row in rows))

    def count(self, table: str) -> int:
        """Return the number of rows of a table."""
        value = self.ask_one(f"SELECT count(*) FROM {quote_identifier(table)}")
        assert isinstance(value, int)
        return value

    def serialize(self) -> bytes:
        """Return the database as the bytes of a SQLite file."""
        with self.free():  # SQLite asks for `PRAGMA page_count` to do it
            return self.connection.serialize("main")

    # -- the rules -------------------------------------------------------------------------------------

    def _authorize(
        self, action: int, first: str | None, second: str | None, database: str | None, trigger: str | None
    ) -> int:
        if self._free:
            return apsw.SQLITE_OK
        if self.on_action is not None:
            self.on_action(action, first, second, database, trigger)
        is_refused_rename = action == apsw.SQLITE_ALTER_TABLE and self._takes_reserved_name
        if not is_refused_rename and action_allowed(action, first or "", second, database):
            return apsw.SQLITE_OK
        self._refused_action = action
        return apsw.SQLITE_DENY


_SETTINGS = (
    "ignore_check_constraints",
    "legacy_alter_table",
    "recursive_triggers",
    "reverse_unordered_selects",
    "case_sensitive_like",
    "defer_foreign_keys",
)

_LIMITS = (
    (apsw.SQLITE_LIMIT_SQL_LENGTH, rules.MAX_STATEMENT_BYTES),
    (apsw.SQLITE_LIMIT_LENGTH, rules.MAX_VALUE_BYTES),
    (apsw.SQLITE_LIMIT_COLUMN, rules.MAX_COLUMNS),
    (apsw.SQLITE_LIMIT_EXPR_DEPTH, rules.MAX_EXPRESSION_DEPTH),
    (apsw.SQLITE_LIMIT_COMPOUND_SELECT, rules.MAX_COMPOUND_TERMS),
    (apsw.SQLITE_LIMIT_VDBE_OP, rules.MAX_VDBE_OPS),
    (apsw.SQLITE_LIMIT_FUNCTION_ARG, rules.MAX_FUNCTION_ARGUMENTS),
    (apsw.SQLITE_LIMIT_LIKE_PATTERN_LENGTH, rules.MAX_PATTERN_BYTES),
    (apsw.SQLITE_LIMIT_VARIABLE_NUMBER, rules.MAX_PARAMETERS),
    (apsw.SQLITE_LIMIT_TRIGGER_DEPTH, rules.MAX_TRIGGER_DEPTH),
)


_LACKING_FUNCTION = re.compile(
    r"(?:not authorized to use|wrong number of arguments to) function:? "
    rf"({'|'.join(sorted(rules.LACKING_FUNCTIONS, reverse=True))})\b(?:\(\))?",
    re.IGNORECASE,
)


def _rejected(error: apsw.Error, index: int) -> Rejected:
    """Phrase SQLite's error as workerd does."""
    result = getattr(error, "result", apsw.SQLITE_ERROR)
    extended = getattr(error, "extendedresult", result)
    offset = getattr(error, "error_offset", -1)
    text = _LACKING_FUNCTION.sub(r"no such function: \1", str(error))
    if offset >= 0:
        text += f" at offset {offset}"
    text += f": {apsw.mapping_result_codes[result]}"
    name = apsw.mapping_extended_result_codes.get(extended)
    if extended != result and isinstance(name, str):
        text += f" (extended: {name})"
    code = name if isinstance(name, str) else apsw.mapping_result_codes[result]
    return Rejected(text, index=index, offset=offset if offset >= 0 else None, code=str(code))
