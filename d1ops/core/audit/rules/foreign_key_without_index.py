"""A foreign key whose child rows SQLite can find only by reading others."""

from __future__ import annotations

from itertools import chain, count
from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Finding, Rule, Severity
from d1ops.core.audit.foreign_keys import is_served
from d1ops.core.schema import SchemaObject
from d1ops.core.sql import quote_if_needed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.foreign_keys import ForeignKey, Reference
    from d1ops.core.audit.subject import Subject

ID = "foreign-key-without-index"

_CHANGES_CHILDREN = frozenset(("CASCADE", "SET NULL", "SET DEFAULT"))


def find(subject: Subject) -> Iterator[Finding]:
    """Find the foreign keys without a usable index. An `ON DELETE` action that changes child rows is an error."""
    proposals = _Proposals(subject)
    for key in subject.foreign_keys:
        if key.is_indexed:
            continue
        reference = key.reference
        fix = proposals.index_for(key)
        yield Finding(
            rule=ID,
            severity=Severity.ERROR if reference.on_delete in _CHANGES_CHILDREN else Severity.WARNING,
            table=reference.table,
            columns=reference.columns,
            others=(reference.parent, *reference.parent_columns),
            message=_message(key, subject.row_estimates.get(reference.table)),
            remedy=(
                "create the index: it reads and writes every row of the table once, then writes one row more an INSERT"
                if fix
                else "give the column the type of the column that it references: as they are, no index can serve both"
            ),
            fix_sql=fix,
        )


def _message(key: ForeignKey, rows: int | None) -> str:
    reference = key.reference
    parent = reference.parent
    if reference.parent_columns:
        parent += f" ({', '.join(reference.parent_columns)})"
    action = f" ON DELETE {reference.on_delete}" if reference.on_delete != "NO ACTION" else ""
    known = f" (about {rows:,})" if rows is not None else ""
    cost = f"every row of {reference.table}{known}"
    if key.plan.startswith("SEARCH"):
        cost = f"rows of {reference.table} that are not its own, because an index serves only a part of the key"
    return (
        f"{reference.table} ({', '.join(reference.columns)}) references {parent}{action} without an index:"
        f" each DELETE of a row of {reference.parent} reads {cost}"
    )


class _Proposals:
    """The indexes that are proposed; equal ones have one name, and no name is taken already."""

    def __init__(self, subject: Subject) -> None:
        self._objects: dict[str, list[SchemaObject]] = {}
        for o in subject.schema.objects:
            if o.type in ("table", "index"):
                self._objects.setdefault(o.table.lower(), []).append(o)
        self._taken = {o.name.lower() for o in subject.schema.objects}
        self._names: dict[tuple[str, tuple[str, ...]], str] = {}

    def index_for(self, key: ForeignKey) -> str | None:
        """Return the CREATE INDEX that serves the key, tried on a mirror of its tables; None when none does.

        The parent's collation decides, except that a rowid has none and the child's is right there.
        """
        reference = key.reference
        involved = dict.fromkeys((reference.table.lower(), reference.parent.lower()))
        objects = [o for table in involved for o in self._objects.get(table, ())]
        for collations in dict.fromkeys((key.collations, ("",) * len(key.collations))):
            terms = tuple(
                quote_if_needed(column) + (f" COLLATE {quote_if_needed(collation)}" if collation else "")
                for column, collation in zip(reference.columns, collations, strict=True)
            )
            name = self._names.get((reference.table, terms)) or self._free_name(reference)
            on = f"{quote_if_needed(reference.table)} ({', '.join(terms)})"
            sql = f"CREATE INDEX IF NOT EXISTS {quote_if_needed(name)} ON {on}"
            if is_served([*objects, SchemaObject("index", name, reference.table, sql)], reference):
                self._names[reference.table, terms] = name
                self._taken.add(name.lower())
                return f"{sql};"
        return None

    def _free_name(self, reference: Reference) -> str:
        name = "_".join(("idx", reference.table, *reference.columns))
        candidates = chain((name,), (f"{name}_{number}" for number in count(2)))
        return next(candidate for candidate in candidates if candidate.lower() not in self._taken)


RULE = Rule(ID, "A foreign key whose child rows SQLite can find only by reading others.", Severity.WARNING, find)
