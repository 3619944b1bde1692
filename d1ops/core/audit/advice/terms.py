"""What a query compares, orders and groups, as SQLite's planner tells the one who asks: a virtual table.

Every table of the schema is stood in for by a virtual table of the same columns, and the query is prepared. The planner
then describes to `xBestIndex` each condition that an index could serve, with its collation and, where it is a constant,
its value, and the order that it wants (SQLite documentation, "The Virtual Table Mechanism Of SQLite", section 2.3).
That is how the sqlite3 shell's `.expert` does it, too. A parameter is replaced by a text of our own before, so that the
planner also says which column each parameter is compared with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import apsw

from d1ops.core.engine import Engine
from d1ops.core.sql import fold, quote_identifier, quote_text, significant, tokens

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from d1ops.core.schema import Schema
    from d1ops.core.values import Value


class Column(NamedTuple):
    """A column of a table. `key` is its place in the primary key, from 1, or 0."""

    name: str
    type: str
    collation: str
    key: int


class Term(NamedTuple):
    """A column as an index could hold it. `collation` is "" where it is the column's own."""

    column: str
    collation: str = ""
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Access:
    """One way in which the planner thought of reading a table.

    `equals` are compared for equality, `ranges` with an inequality, `order` is what it wants sorted. In `groups` the
    order of the columns of `order` does not matter. `constants` are columns that are compared with a literal, NULL
    included, and `present` those that may not be NULL.
    """

    table: str
    equals: tuple[Term, ...] = ()
    ranges: tuple[Term, ...] = ()
    order: tuple[Term, ...] = ()
    groups: bool = False
    constants: tuple[tuple[str, Value], ...] = ()
    present: tuple[str, ...] = ()


class Comparison(NamedTuple):
    """What a parameter is compared with. `how` is `=`, `<` (`<`, `<=`), `>` (`>`, `>=`), or `limit`, `offset`."""

    table: str
    column: str
    how: str


@dataclass(frozen=True, slots=True)
class Terms:
    """What is known of a query. `parameters` has the comparisons of each parameter that the planner told of, by its
    number from 1."""

    accesses: tuple[Access, ...]
    parameters: Mapping[int, Comparison]


_EQUALS = (apsw.SQLITE_INDEX_CONSTRAINT_EQ, apsw.SQLITE_INDEX_CONSTRAINT_IS)
_HOW = {
    apsw.SQLITE_INDEX_CONSTRAINT_EQ: "=",
    apsw.SQLITE_INDEX_CONSTRAINT_IS: "=",
    apsw.SQLITE_INDEX_CONSTRAINT_GT: ">",
    apsw.SQLITE_INDEX_CONSTRAINT_GE: ">",
    apsw.SQLITE_INDEX_CONSTRAINT_LT: "<",
    apsw.SQLITE_INDEX_CONSTRAINT_LE: "<",
}
_LIMITS = (apsw.SQLITE_INDEX_CONSTRAINT_LIMIT, apsw.SQLITE_INDEX_CONSTRAINT_OFFSET)
_MARK = "d1ops parameter "


class Recorder:
    """Stand-ins for the ordinary tables of a schema, with its views over them."""

    def __init__(self, mirror: Engine, schema: Schema, tables: frozenset[str]) -> None:
        """`mirror` holds `schema`; `tables` are the tables to stand in for, the others are left out."""
        self._engine = Engine.memory()
        self._notes: list[Access] = []
        self._parameters: dict[int, Comparison] = {}
        ordinary = {str(name) for (name,) in mirror.ask("SELECT name FROM pragma_table_list WHERE type = 'table'")}
        self.columns: Mapping[str, tuple[Column, ...]] = {
            table: columns_of(mirror, table) for table in sorted(tables & ordinary)
        }
        with self._engine.unlimited():
            module: Any = _Module(self)  # apsw's protocol names methods that it does not need
            self._engine.connection.create_module("d1ops_recorder", module, use_bestindex_object=True)
            for table in self.columns:
                self._engine.ask(f"CREATE VIRTUAL TABLE {quote_identifier(table)} USING d1ops_recorder")
            for o in schema.objects:
                if o.type == "view" or (o.name in tables and o.name not in ordinary):
                    _try(self._engine, o.sql or "")

    def close(self) -> None:
        """Close the engine behind it."""
        self._engine.close()

    def terms_of(self, sql: str) -> Terms:
        """Return what the planner tells of a query; nothing for one that cannot be prepared over virtual tables.

        RETURNING and ON CONFLICT, which those do not have, are cut off: they read no other row.
        """
        self._notes, self._parameters = [], {}
        marked = with_parameters(_without_tail(sql), lambda number: quote_text(f"{_MARK}{number}"))
        with self._engine.unlimited():
            _try(self._engine, f"EXPLAIN QUERY PLAN {marked}")
        return Terms(tuple(dict.fromkeys(self._notes)), dict(self._parameters))

    def note(self, table: str, asked: Any) -> None:
        """Note one question of the planner (an `apsw.IndexInfo`)."""
        columns = self.columns[table]
        equals: list[Term] = []
        ranges: list[Term] = []
        constants: list[tuple[str, Value]] = []
        present: list[str] = []
        for number in range(asked.nConstraint):
            kind = asked.get_aConstraint_op(number)
            value, known = _right_side(asked, number)
            marked = value[len(_MARK) :] if isinstance(value, str) and value.startswith(_MARK) else None
            position = asked.get_aConstraint_iColumn(number)
            if kind in _LIMITS:
                continue
            if not 0 <= position < len(columns):
                continue
            column = columns[position]
            if marked and kind in _HOW:
                self._parameters.setdefault(int(marked), Comparison(table, column.name, _HOW[kind]))
            if not asked.get_aConstraint_usable(number):
                continue
            collation = asked.get_aConstraint_collation(number)
            term = Term(column.name, "" if fold(collation) == fold(column.collation) else collation)
            if kind in _EQUALS or kind == apsw.SQLITE_INDEX_CONSTRAINT_ISNULL:
                equals.append(term)
                if kind == apsw.SQLITE_INDEX_CONSTRAINT_ISNULL:
                    constants.append((column.name, None))
                elif known and marked is None:
                    constants.append((column.name, value))
            elif kind == apsw.SQLITE_INDEX_CONSTRAINT_ISNOTNULL:
                present.append(column.name)
            elif kind in _HOW:
                ranges.append(term)
        order = [
            Term(columns[position].name, "", bool(asked.get_aOrderBy_desc(number)))
            for number in range(asked.nOrderBy)
            if 0 <= (position := asked.get_aOrderBy_iColumn(number)) < len(columns)
        ]
        self._notes.append(
            Access(
                table,
                _distinct(equals),
                _distinct(ranges),
                tuple(order) if len(order) == asked.nOrderBy else (),
                asked.distinct in (1, 2, 3) and bool(order),
                tuple(dict.fromkeys(constants)),
                tuple(dict.fromkeys(present)),
            )
        )


def columns_of(mirror: Engine, table: str) -> tuple[Column, ...]:
    """Return the columns of an ordinary table, generated ones included."""
    rows = mirror.ask("SELECT name, type, pk FROM pragma_table_xinfo(?) ORDER BY cid", (table,))
    return tuple(
        Column(str(name), str(kind), mirror.connection.column_metadata("main", table, str(name))[1], int(str(key)))
        for name, kind, key in rows
    )


def with_parameters(sql: str, write: Callable[[int], str]) -> str:
    """Return a text whose parameters are replaced. SQLite numbers a `?` one beyond the largest before it."""
    parts: list[str] = []
    highest = 0
    for token in tokens(sql):
        if token.kind == "parameter" and token.text.startswith("?"):
            number = int(token.text[1:]) if len(token.text) > 1 else highest + 1
            highest = max(highest, number)
            parts.append(write(number))
        else:
            parts.append(token.text)
    return "".join(parts)


def _without_tail(sql: str) -> str:
    words = list(significant(sql))
    depth = 0
    if not words or words[0].upper not in ("WITH", "INSERT", "REPLACE", "UPDATE", "DELETE"):
        return sql
    for word, after in zip(words, [*words[1:], None], strict=True):
        depth += {"(": 1, ")": -1}.get(word.text, 0)
        is_conflict = word.upper == "ON" and after is not None and after.upper == "CONFLICT"
        if depth == 0 and word.kind == "word" and (word.upper == "RETURNING" or is_conflict):
            return sql[: word.start]
    return sql


def _right_side(asked: Any, number: int) -> tuple[Value, bool]:
    try:
        value = asked.get_aConstraint_rhs(number)
    except apsw.Error:
        return None, False
    return value, value is not None


def _distinct(terms: Sequence[Term]) -> tuple[Term, ...]:
    return tuple({fold(term.column): term for term in reversed(terms)}.values())[::-1]


def _try(engine: Engine, sql: str) -> None:
    try:
        engine.ask(sql)
    except apsw.Error:
        return


class _Module:
    """The virtual tables' module, as apsw calls it."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def Create(self, connection: Any, module: str, database: str, table: str) -> tuple[str, _Table]:  # noqa: N802 - apsw
        columns = ", ".join(
            f"{quote_identifier(column.name)} {quote_identifier(column.type) if column.type else ''}"
            f" COLLATE {quote_identifier(column.collation)}"
            for column in self._recorder.columns[table]
        )
        return f"CREATE TABLE x({columns})", _Table(self._recorder, table)

    Connect = Create


class _Table:
    """A stand-in. It looks cheap to search and dear to read whole, so that the planner asks for searches."""

    def __init__(self, recorder: Recorder, name: str) -> None:
        self._recorder = recorder
        self._name = name

    def BestIndexObject(self, asked: Any) -> bool:  # noqa: N802 - apsw
        self._recorder.note(self._name, asked)
        used = 0
        for number in range(asked.nConstraint):
            if asked.get_aConstraint_usable(number) and asked.get_aConstraint_op(number) not in _LIMITS:
                used += 1
                asked.set_aConstraintUsage_argvIndex(number, used)
        asked.estimatedRows = max(1, 1_000_000 // 20 ** min(used, 4))
        asked.estimatedCost = float(asked.estimatedRows)
        return True

    def Disconnect(self) -> None:  # noqa: N802 - apsw
        return None

    def Destroy(self) -> None:  # noqa: N802 - apsw
        return None

    def UpdateDeleteRow(self, row: int) -> None:  # noqa: N802 - apsw asks whether there is one
        raise NotImplementedError

    def UpdateInsertRow(self, row: int | None, values: tuple[Value, ...]) -> int | None:  # noqa: N802 - as above
        raise NotImplementedError

    def UpdateChangeRow(self, row: int, new: int, values: tuple[Value, ...]) -> None:  # noqa: N802 - as above
        raise NotImplementedError
