"""The tables that a script depends on: on a copy of these it does what it does on the whole.

SQLite's authorizer names every table that a statement reads or writes, its triggers, views, foreign key actions and
checks included, when the statement is prepared (SQLite documentation, "Compile-Time Authorization Callbacks"). Two
things are only known when it runs: what `pragma_quick_check` looks at inside a SELECT, and that a full-text index reads
the table which holds its text. So whoever runs a script on a part of the rows watches it again there.
"""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import apsw

from d1ops.core import rules
from d1ops.core.replay import run_on_mirror
from d1ops.core.sql import fold, significant, unquote
from d1ops.errors import StatementRejected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from d1ops.core.engine import Engine
    from d1ops.core.sql import ScriptStatement

EVERYTHING = "*"
"""Stands for all tables."""


@contextmanager
def watching_reach(engine: Engine) -> Iterator[set[str]]:
    """Collect what the statements inside read and write (folded): tables, among other names, and `EVERYTHING` where
    one looks at all of them. Whoever watches the engine already keeps watching."""
    found: set[str] = set()
    before = engine.on_action

    def note(action: int, first: str | None, second: str | None, database: str | None, trigger: str | None) -> None:
        if before is not None:
            before(action, first, second, database, trigger)
        name = fold((second if action in _SECOND else first) or "")
        if action == apsw.SQLITE_PRAGMA:
            # Alone in a statement its rows go nowhere.
            if name == "quick_check" and _QUICK_CHECK in found:
                found.add(fold(second) if second else EVERYTHING)
        elif action in _NAMING and not rules.is_reserved(name):
            found.add(EVERYTHING if name == "pragma_foreign_key_check" else name)

    engine.on_action = note
    try:
        yield found
    finally:
        engine.on_action = before


_QUICK_CHECK = "pragma_quick_check"
"""SQLite's own ALTER TABLE ADD COLUMN asks it about the one table, which shows only when it runs."""
_SECOND = (apsw.SQLITE_ALTER_TABLE, apsw.SQLITE_CREATE_TRIGGER, apsw.SQLITE_CREATE_INDEX)
_NAMING = frozenset(
    (
        apsw.SQLITE_READ,
        apsw.SQLITE_INSERT,
        apsw.SQLITE_UPDATE,
        apsw.SQLITE_DELETE,
        apsw.SQLITE_DROP_TABLE,
        apsw.SQLITE_DROP_VTABLE,
        apsw.SQLITE_ALTER_TABLE,
        apsw.SQLITE_CREATE_TRIGGER,
        apsw.SQLITE_CREATE_INDEX,
        apsw.SQLITE_ANALYZE,
    )
)


def reach(
    mirror: Engine, scripts: Iterable[Sequence[ScriptStatement]], *, also: Iterable[str] = ()
) -> frozenset[str] | None:
    """Run scripts on a mirror, which is used up by it, and return the tables (folded) of its schema that they depend
    on, those of `also`, and all that either reference.

    None where that cannot be told: a script looks at all tables, or does not run.
    """
    tables = Closure.of(mirror)
    try:
        with watching_reach(mirror) as found:
            have_run = [run_on_mirror(mirror, statements) for statements in scripts]
    except StatementRejected:
        return None
    is_hidden = _QUICK_CHECK in found and not all(have_run)
    return None if EVERYTHING in found or is_hidden else tables.closed({*found, *map(fold, also)})


class Closure:
    """What belongs together in a schema: children and their parents, virtual tables and those that hold their rows."""

    def __init__(self, names: Sequence[str], needs: dict[str, frozenset[str]]) -> None:
        self._names = frozenset(map(fold, names))
        self._needs = needs

    @classmethod
    def of(cls, mirror: Engine) -> Closure:
        """Read them from a mirror."""
        kinds = {
            fold(str(name)): (str(kind), str(sql or ""))
            for name, kind, sql in mirror.ask(
                "SELECT l.name, l.type, m.sql FROM pragma_table_list l JOIN sqlite_master m ON m.name = l.name"
                " WHERE l.schema = 'main' AND l.type <> 'view'"
            )
        }
        needs: dict[str, frozenset[str]] = {}
        for child, parent in mirror.ask(
            "SELECT m.name, f.\"table\" FROM sqlite_master m, pragma_foreign_key_list(m.name) f WHERE m.type = 'table'"
        ):
            name = fold(str(child))
            needs[name] = needs.get(name, frozenset()) | {fold(str(parent))}
        shadows = [name for name, (kind, _) in kinds.items() if kind == "shadow"]
        for name, (kind, sql) in kinds.items():
            if kind == "virtual":
                # The table of its text, or the index whose words it lists, is named among its arguments.
                words = {_name(token.text) for token in significant(sql)}
                needs[name] = frozenset(
                    (*(each for each in shadows if each.startswith(f"{name}_")), *(words & kinds.keys() - {name}))
                )
        return cls(tuple(kinds), needs)

    def closed(self, names: Iterable[str]) -> frozenset[str]:
        """Return those of the names (folded) that tables have, with all that they need, directly or not."""
        found: set[str] = set()
        waiting = [name for name in names if name in self._names]
        while waiting:
            name = waiting.pop()
            if name not in found:
                found.add(name)
                waiting += self._needs.get(name, frozenset()) & self._names
        return frozenset(found)


def _name(text: str) -> str:
    return fold(unquote(text) if text[0] in "\"'`[" else text)
