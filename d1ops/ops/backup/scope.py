"""Which tables a backup reads: all that store rows, or some and everything that they reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core import rules
from d1ops.core.ledger import HISTORY
from d1ops.core.reach import Closure
from d1ops.core.reader import reader_of
from d1ops.core.sql import fold
from d1ops.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from d1ops.core.engine import Engine
    from d1ops.core.reader import TableReader
    from d1ops.core.schema import Schema

_OWN = ("sqlite_sequence", "sqlite_stat1")


class Tables:
    """The tables of a target, by its mirror."""

    def __init__(self, mirror: Engine, schema: Schema) -> None:
        self._mirror = mirror
        kinds = {
            str(name): str(kind)
            for name, kind in mirror.ask("SELECT name, type FROM pragma_table_list WHERE schema = 'main'")
        }
        self.virtual = tuple(name for name in schema.tables() if kinds.get(name) == "virtual")
        self.shadows = {
            name: tuple(
                other for other in schema.tables() if kinds.get(other) == "shadow" and other.startswith(f"{name}_")
            )
            for name in self.virtual
        }
        self.stored = tuple(
            name
            for name in schema.tables()
            if name not in self.virtual
            and not name.lower().startswith(rules.RESERVED_PREFIX)
            and (not rules.is_reserved(name) or name.lower() in _OWN)
        )

    def readers(self, wanted: Iterable[str]) -> list[TableReader]:
        """Return how to read the tables that are wanted, SQLite's own last: rows of others move their rows."""
        chosen = {name.lower() for name in wanted}
        names = [name for name in self.stored if name.lower() in chosen]
        names.sort(key=lambda name: name.lower() in _OWN)
        return [reader_of(self._mirror, name) for name in names]

    def within(self, scope: Iterable[str], ledger: str) -> list[str]:
        """Return the tables of a scope: those named, all that they need (`core.reach.Closure`), and the bookkeeping.
        Raises UsageError for a name that no table has."""
        known = {fold(name) for name in (*self.stored, *self.virtual)}
        wanted = {fold(name) for name in scope}
        for name in sorted(wanted - known):
            raise UsageError(f"no table is named {name!r}", hint="d1ops query 'SELECT name FROM sqlite_master'")
        held = Closure.of(self._mirror).closed((*wanted, fold(ledger), HISTORY, *_OWN))
        return [name for name in self.stored if fold(name) in held]

    def held_virtual(self, held: Iterable[str]) -> tuple[str, ...]:
        """Return the virtual tables all of whose shadow tables are held."""
        names = set(held)
        return tuple(name for name in self.virtual if names.issuperset(self.shadows[name]))
