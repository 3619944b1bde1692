"""What every statement of a script reads and writes, as SQLite reports it while the statement runs.

Two statements whose footprints do not meet can change places: neither sees what the other did. So a script needs to
be tried again only among the later statements that meet it, not among all.

Names are folded names of objects. Names that no object has stand for the rest: `*views` for "every view and trigger
still holds", which ALTER TABLE checks unless it adds a column; `->users` for "a table begins to refer to users" and
`<-users` for "one ceases to", which matter where rows of users change.
Source: SQLite documentation, "Authorizer Action Codes" and "ALTER TABLE"; foreign key actions and triggers are
reported with the statement that sets them off.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING

import apsw

from d1ops.core import rules
from d1ops.core.engine import Rejected
from d1ops.core.excerpt import Links, adds_column, reads_catalogue
from d1ops.core.mirror import schema_of
from d1ops.core.replay import rejected_in_script
from d1ops.core.sql import fold, significant
from d1ops.core.values import Statement

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from d1ops.core.engine import Engine
    from d1ops.core.schema import Schema, SchemaObject
    from d1ops.core.sql import ScriptStatement

VIEWS = "*views"

BEGINS, CEASES = "->", "<-"

EVERYTHING = "*"
"""In `touches`: the statement may look at the whole schema."""


@dataclass(frozen=True, slots=True)
class Footprint:
    """What statements depend on (`touches`) and what they change (`writes`)."""

    touches: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()

    def meets(self, other: Footprint) -> bool:
        """Whether the two may depend on each other."""
        return not self.writes.isdisjoint(other.touches | other.writes) or not self.touches.isdisjoint(other.writes)

    @classmethod
    def of_all(cls, footprints: Iterable[Footprint]) -> Footprint:
        """Return the footprint of several statements as one."""
        found = list(footprints)
        return cls(
            frozenset().union(*(each.touches for each in found)), frozenset().union(*(each.writes for each in found))
        )


@dataclass(frozen=True, slots=True)
class Overwrite:
    """What a script may overwrite or delete: `table`, or `table.column` (folded). `is_whole` tells that a DELETE
    without a condition does it, so that the rows of a trial show what becomes of any row."""

    name: str
    is_whole: bool

    @property
    def table(self) -> str:
        """The table, folded."""
        return self.name.partition(".")[0]


@dataclass(frozen=True, slots=True)
class Observed:
    """A script that ran: a footprint for each statement, and what it may overwrite or delete of what was there
    before, as SQLite's authorizer names it, whether or not it finds a row."""

    footprints: tuple[Footprint, ...]
    overwrites: tuple[Overwrite, ...]


def observe(engine: Engine, statements: Sequence[ScriptStatement], links: Links, *, is_brief: bool = False) -> Observed:
    """Run a script and tell its footprints; `is_brief` leaves out what follows from the schema's own texts, and
    `overwrites`. Raises StatementRejected, with the place, when the script does not run."""
    if is_brief:
        return _observe_briefly(engine, statements, links)
    schema = schema_of(engine)
    there = _columns(engine, schema) if any(s.verb in _WRITING_VERBS for s in statements) else {}
    for o in schema.objects:
        if o.type == "table":
            links.parents(engine, o)  # asked while it is there
    notes = [_Notes(statement, links) for statement in statements]
    overwrites: dict[str, bool] = {}

    def advance(index: int) -> None:
        nonlocal schema
        if index >= 0:
            for name in notes[index].overwrites(there):
                overwrites[name] = notes[index].is_whole and overwrites.get(name, True)
            after = schema_of(engine) if notes[index].verb in ("CREATE", "DROP", "ALTER") else schema
            notes[index].close(engine, schema, after)
            schema = after
        engine.on_action = notes[index + 1].note if index + 1 < len(notes) else None

    try:
        advance(-1)
        engine.run([Statement(s.sql) for s in statements], after=advance)
    except Rejected as error:
        raise rejected_in_script(error, statements) from None
    finally:
        engine.on_action = None
    return Observed(
        tuple(each.footprint for each in notes), tuple(Overwrite(*each) for each in sorted(overwrites.items()))
    )


def _observe_briefly(engine: Engine, statements: Sequence[ScriptStatement], links: Links) -> Observed:
    notes = [_Notes(statement, links) for statement in statements]

    def advance(index: int) -> None:
        engine.on_action = notes[index + 1].note if index + 1 < len(notes) else None

    try:
        advance(-1)
        engine.run([Statement(s.sql) for s in statements], after=advance)
    except Rejected as error:
        raise rejected_in_script(error, statements) from None
    finally:
        engine.on_action = None
    return Observed(tuple(each.brief for each in notes), ())


def _columns(engine: Engine, schema: Schema) -> dict[str, set[str]]:
    rows = engine.ask(
        "SELECT m.name, x.name FROM sqlite_master m, pragma_table_xinfo(m.name) x"
        " WHERE m.type = 'table' AND x.hidden = 0"
    )
    # What a virtual table keeps in its shadow tables is its own affair.
    shadows = {str(n) for (n,) in engine.ask("SELECT name FROM pragma_table_list WHERE type = 'shadow'")}
    names = [name for name in schema.tables() if not rules.is_reserved(name) and name not in shadows]
    found: dict[str, set[str]] = {fold(name): set() for name in names}
    for table, column in rows:
        found.get(fold(str(table)), set()).add(fold(str(column)))
    return found


_WRITING_VERBS = frozenset(("INSERT", "REPLACE", "UPDATE", "DELETE", "WITH"))


class _Notes:
    """What is seen of one statement."""

    def __init__(self, statement: ScriptStatement, links: Links) -> None:
        self.verb = statement.verb
        self.is_whole = _is_bare_delete(statement.sql)
        self._asks_views = self.verb == "ALTER" and not adds_column(statement.sql)
        self.footprint = Footprint()
        self._links = links
        self._touches = set(_named(statement, links))
        self._writes: set[str] = set()
        self._rows: set[str] = set()
        self._made: set[str] = set()
        self._deleted: set[str] = set()
        self._updated: set[tuple[str, str]] = set()
        if reads_catalogue(links.words(statement.sql), self.verb):
            self._touches.add(EVERYTHING)

    def note(
        self, action: int, first: str | None, second: str | None, database: str | None, trigger: str | None
    ) -> None:
        del database, trigger
        if action in (apsw.SQLITE_FUNCTION, apsw.SQLITE_PRAGMA):
            return
        table = fold(first or "")
        if action == apsw.SQLITE_READ:
            self._touches.add(table)
            return
        self._touches.update(fold(name) for name in (first, second) if name)
        if action in _MAKING:
            self._made |= {fold(name) for name in (first, second) if name}
        elif action == apsw.SQLITE_ALTER_TABLE and second:
            self._made.add(fold(second))
        if rules.is_reserved(table):
            return
        if action in (apsw.SQLITE_INSERT, apsw.SQLITE_UPDATE, apsw.SQLITE_DELETE):
            self._writes.add(table)
            self._rows.add(table)
        if action == apsw.SQLITE_DELETE:
            self._deleted.add(table)
        elif action == apsw.SQLITE_UPDATE:
            self._updated.add((table, fold(second or "")))

    @property
    def brief(self) -> Footprint:
        """What the authorizer alone said."""
        return Footprint(frozenset(self._touches), frozenset(self._writes | self._made))

    def overwrites(self, there: dict[str, set[str]]) -> set[str]:
        """What the statement may take of the tables and columns that were `there` before the script. What DDL takes
        shows in the schema."""
        if self.verb not in _WRITING_VERBS:
            return set()
        found = {table for table in self._deleted if table in there}
        return found | {f"{table}.{column}" for table, column in self._updated if column in there.get(table, ())}

    def close(self, engine: Engine, before: Schema, after: Schema) -> None:
        """Take in what the statement did to the schema."""
        gone, fresh = set(before.objects) - set(after.objects), set(after.objects) - set(before.objects)
        for o in gone | fresh:
            self._writes |= {fold(o.name), fold(o.table)}
        then, now = self._references(engine, gone), self._references(engine, fresh)
        self._writes |= {f"{BEGINS}{parent}" for _, parent in now - then}
        self._writes |= {f"{CEASES}{parent}" for _, parent in then - now}
        if self._asks_views:
            self._touches.add(VIEWS)
        # An INSERT may replace rows, by its own words or by those of the table.
        changed = self._rows | (self._writes if self.verb == "DROP" else set())
        self._touches |= {f"{mark}{table}" for table in changed for mark in (BEGINS, CEASES)}
        self.footprint = Footprint(frozenset(self._touches), frozenset(self._writes))

    def _references(self, engine: Engine, objects: Iterable[SchemaObject]) -> set[tuple[str, str]]:
        """The pairs of child and parent that tables stand for."""
        return {(fold(o.name), p) for o in objects if o.type == "table" for p in self._links.parents(engine, o)}


def _is_bare_delete(sql: str) -> bool:
    """Whether a statement is DELETE FROM and the name of a table, and nothing else."""
    words = [token.upper for token in significant(sql) if token.kind != "semicolon"]
    return words[:2] == ["DELETE", "FROM"] and len(words) == 3


_MAKING = frozenset(
    (
        apsw.SQLITE_CREATE_TABLE,
        apsw.SQLITE_CREATE_INDEX,
        apsw.SQLITE_CREATE_VIEW,
        apsw.SQLITE_CREATE_TRIGGER,
        apsw.SQLITE_DROP_TABLE,
        apsw.SQLITE_DROP_INDEX,
        apsw.SQLITE_DROP_VIEW,
        apsw.SQLITE_DROP_TRIGGER,
    )
)


def _named(statement: ScriptStatement, links: Links) -> frozenset[str]:
    """The words of a statement. Of a new table's definition only its name: SQLite does not ask whether the tables that
    it refers to are there."""
    tokens = significant(statement.sql)
    if statement.verb == "CREATE":
        head = list(takewhile(lambda token: token.text != "(", tokens))
        heading = {fold(token.text) for token in head}
        if "table" in heading and not heading & {"as", "trigger", "view", "index"}:
            return links.words("".join(f"{token.text} " for token in head))
    return links.words(statement.sql)
