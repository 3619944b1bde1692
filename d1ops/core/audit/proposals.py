"""Indexes that are proposed: named so that no name is taken, and tried before they are."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain, count
from typing import TYPE_CHECKING

from d1ops.core.audit.tables import Index
from d1ops.core.schema import SchemaObject
from d1ops.core.sql import fold, quote_if_needed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.schema import Schema


@dataclass(frozen=True, slots=True)
class Draft:
    """An index that may serve. `columns` are those it is named after, `terms` what it sorts by, as SQL."""

    table: str
    columns: tuple[str, ...]
    terms: tuple[str, ...]

    def sql(self, name: str) -> str:
        """Return the statement that makes it, without a semicolon."""
        on = f"{quote_if_needed(self.table)} ({', '.join(self.terms)})"
        return f"CREATE INDEX IF NOT EXISTS {quote_if_needed(name)} ON {on}"

    def drop(self, name: str) -> str:
        """Return the statement that takes it back."""
        return f"DROP INDEX IF EXISTS {quote_if_needed(name)};"

    def object(self, name: str) -> SchemaObject:
        """Return it as an object of a schema."""
        return SchemaObject("index", name, self.table, self.sql(name))

    def index(self, name: str) -> Index:
        """Return it as an index of whole columns."""
        return Index(name, self.table, origin="c", is_unique=False, terms=(), columns=self.columns, where="", sql=None)


class Names:
    """The names of proposed indexes: equal drafts have one name, and no name is taken already."""

    def __init__(self, schema: Schema) -> None:
        self._taken = {fold(o.name) for o in schema.objects}
        self._names: dict[Draft, str] = {}

    def name(self, draft: Draft) -> str:
        """Return the name of a draft, the same whenever it is asked."""
        if draft not in self._names:
            stem = "_".join(("idx", draft.table, *draft.columns))
            candidates = chain((stem,), (f"{stem}_{number}" for number in count(2)))
            name = next(candidate for candidate in candidates if fold(candidate) not in self._taken)
            self._taken.add(fold(name))
            self._names[draft] = name
        return self._names[draft]


def trial_names(schema: Schema, drafts: Sequence[Draft]) -> dict[Draft, str]:
    """Return names for a trial, of which none is taken."""
    taken = {fold(o.name) for o in schema.objects}
    free = (name for name in (f"d1ops trial {number}" for number in count()) if name not in taken)
    return {draft: next(free) for draft in dict.fromkeys(drafts)}
