"""What an INSERT into a table must know: its columns, keys, foreign keys and CHECKs, as SQLite tells them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.rows.candidates import Column
from d1ops.core.rows.checks import mentioned, read_as_json, read_checks

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.engine import Engine
    from d1ops.core.rows.checks import Check


@dataclass(frozen=True, slots=True)
class ForeignKey:
    """A foreign key: the child's columns and, pair by pair, the parent's."""

    parent: str
    columns: tuple[str, ...]
    parent_columns: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Key:
    """What must be unique. `label` is how SQLite names it in its refusal.

    `columns` are all that have a say, those of a WHERE or an expression included; `is_whole`: there are none of these.
    """

    label: str
    columns: frozenset[str]
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Shape:
    """An ordinary table. `counted` are the columns of integers that are a key by themselves and so count up."""

    name: str
    columns: tuple[Column, ...]
    foreign_keys: tuple[ForeignKey, ...]
    keys: tuple[Key, ...]
    checks: tuple[Check, ...]
    counted: frozenset[str]
    has_triggers: bool

    @property
    def parents(self) -> frozenset[str]:
        """The other tables that it refers to, in lower case."""
        return frozenset(key.parent.lower() for key in self.foreign_keys) - {self.name.lower()}

    @property
    def required_parents(self) -> frozenset[str]:
        """Those of them that no row can do without."""
        required = {column.name.lower() for column in self.columns if column.required}
        return frozenset(
            key.parent.lower()
            for key in self.foreign_keys
            if required.issuperset(column.lower() for column in key.columns)
        ) - {self.name.lower()}


_STRICT = {"INT": (int,), "INTEGER": (int,), "REAL": (int, float), "TEXT": (str,), "BLOB": (bytes,)}
_EVERY = (int, float, str, bytes)


def read_shape(engine: Engine, table: str, *, without_rowid: bool, strict: bool) -> Shape:
    """Read the shape of an ordinary table that the engine holds."""
    rows = engine.ask(
        'SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(?) ORDER BY cid', (table,)
    )
    names = [str(row[0]) for row in rows]
    sql = str(engine.ask_one("SELECT sql FROM sqlite_master WHERE type = 'table' AND name = ?", (table,)))
    followers = engine.ask("SELECT sql FROM sqlite_master WHERE lower(tbl_name) = lower(?) AND sql NOT NULL", (table,))
    json = read_as_json("\n".join(str(follower) for (follower,) in followers), names)
    primary = [str(row[0]) for row in sorted(rows, key=lambda row: int(str(row[4]))) if row[4]]
    keys = _keys(engine, table, names)
    whole = [key.columns for key in keys if key.is_whole]
    alias = ""
    if len(primary) == 1 and not without_rowid and frozenset((primary[0].lower(),)) not in whole:
        alias = primary[0].lower()
        keys.append(Key(f"{table}.{primary[0]}", frozenset((alias,)), is_whole=True))
    columns: list[Column] = []
    for name, declared, required, default, pk, hidden in rows:
        accepts = _STRICT.get(str(declared).upper(), _EVERY) if strict else _EVERY
        if not hidden:
            columns.append(
                Column(
                    str(name),
                    str(declared),
                    bool(required or pk),
                    None if default is None else str(default),
                    (int,) if str(name).lower() == alias else accepts,
                    str(name).lower() in json,
                )
            )
    alone = {column for key in keys if key.is_whole and len(key.columns) == 1 for column in key.columns}
    counted = {c.name.lower() for c in columns if c.name.lower() in alone and "INT" in c.declared.upper()}
    return Shape(
        name=table,
        columns=tuple(columns),
        foreign_keys=_foreign_keys(engine, table),
        # In an order that does not depend on when the indexes were made.
        keys=tuple(sorted(keys, key=lambda key: key.label)),
        checks=read_checks(sql, names),
        counted=frozenset(counted),
        has_triggers=bool(
            engine.ask("SELECT 1 FROM sqlite_master WHERE type = 'trigger' AND lower(tbl_name) = lower(?)", (table,))
        ),
    )


def _keys(engine: Engine, table: str, names: Sequence[str]) -> list[Key]:
    keys: list[Key] = []
    for name, partial in engine.ask('SELECT name, partial FROM pragma_index_list(?) WHERE "unique"', (table,)):
        index = str(name)
        found = engine.ask("SELECT name FROM pragma_index_xinfo(?) WHERE key ORDER BY seqno", (index,))
        columns = [None if name is None else str(name) for (name,) in found]
        is_whole = not partial and None not in columns
        listed = [column for column in columns if column is not None]
        label = f"index '{index}'" if None in columns else ", ".join(f"{table}.{column}" for column in listed)
        if is_whole:
            has_say = frozenset(column.lower() for column in listed)
        else:
            sql = engine.ask_one("SELECT sql FROM sqlite_master WHERE type = 'index' AND name = ?", (index,))
            has_say = mentioned(str(sql), names)
        keys.append(Key(label, has_say, is_whole))
    return keys


def _foreign_keys(engine: Engine, table: str) -> tuple[ForeignKey, ...]:
    """Read the foreign keys, those of most columns first: they decide what the others may still choose."""
    found: dict[int, list[tuple[str, str, str | None]]] = {}
    for id_, parent, column, parent_column in engine.ask(
        'SELECT id, "table", "from", "to" FROM pragma_foreign_key_list(?) ORDER BY id, seq', (table,)
    ):
        part = (str(parent), str(column), None if parent_column is None else str(parent_column))
        found.setdefault(int(str(id_)), []).append(part)
    keys: list[ForeignKey] = []
    for parts in found.values():
        parent = parts[0][0]
        parent_columns = [column for _, _, column in parts if column is not None]
        if not parent_columns:
            primary = engine.ask("SELECT name FROM pragma_table_xinfo(?) WHERE pk ORDER BY pk", (parent,))
            parent_columns = [str(name) for (name,) in primary]
        keys.append(ForeignKey(parent, tuple(column for _, column, _ in parts), tuple(parent_columns)))
    return tuple(sorted(keys, key=lambda key: -len(key.columns)))
