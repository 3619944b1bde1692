"""A foreign key whose child rows SQLite can find only by reading others."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from d1ops.core.audit.finding import Finding, Rule, Severity
from d1ops.core.audit.foreign_keys import plan_by, with_child
from d1ops.core.audit.proposals import Draft, Names, trial_names
from d1ops.core.audit.whole_reads import rows_of
from d1ops.core.mirror import build_mirror
from d1ops.core.sql import fold, quote_if_needed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from d1ops.core.audit.foreign_keys import ForeignKey
    from d1ops.core.audit.rows import RowCount
    from d1ops.core.audit.subject import Subject
    from d1ops.core.schema import Schema

ID = "foreign-key-without-index"

_CHANGES_CHILDREN = frozenset(("CASCADE", "SET NULL", "SET DEFAULT"))


def find(subject: Subject) -> Iterator[Finding]:
    """Find the foreign keys without a usable index. An `ON DELETE` action that changes child rows is an error."""
    keys = [key for key in subject.foreign_keys if not key.is_indexed]
    fixes = _fixes(subject.schema, keys) if keys else {}
    for key in keys:
        reference = key.reference
        fix = fixes.get(id(key))
        yield Finding(
            rule=ID,
            severity=Severity.ERROR if reference.on_delete in _CHANGES_CHILDREN else Severity.WARNING,
            table=reference.table,
            columns=reference.columns,
            others=(reference.parent, *reference.parent_columns),
            message=_message(key, subject.rows.get(reference.table)),
            remedy=(
                "create the index: it reads and writes every row of the table once, then writes one row more an INSERT"
                if fix
                else "give the column the type of the column that it references: as they are, no index can serve both"
            ),
            fix_sql=f"{fix.draft.sql(fix.name)};" if fix else None,
            rollback_sql=fix.draft.drop(fix.name) if fix else None,
            plan=(with_child(key.plan, reference),),
            facts={
                "parent": reference.parent,
                "parent_columns": reference.parent_columns,
                "on_delete": reference.on_delete,
                "rows": rows_of(subject, reference.table),
                **({"plan_after": (fix.plan,)} if fix else {}),
            },
        )


def _message(key: ForeignKey, rows: RowCount | None) -> str:
    reference = key.reference
    parent = reference.parent
    if reference.parent_columns:
        parent += f" ({', '.join(reference.parent_columns)})"
    action = f" ON DELETE {reference.on_delete}" if reference.on_delete != "NO ACTION" else ""
    known = f" ({rows})" if rows is not None else ""
    cost = f"every row of {reference.table}{known}"
    if key.plan.startswith("SEARCH"):
        cost = f"rows of {reference.table} that are not its own, because an index serves only a part of the key"
    return (
        f"{reference.table} ({', '.join(reference.columns)}) references {parent}{action} without an index:"
        f" each DELETE of a row of {reference.parent} reads {cost}"
    )


# -- what would serve ----------------------------------------------------------------------------------


class _Fix(NamedTuple):
    """An index that serves a foreign key: its name, and the plan once it is there."""

    draft: Draft
    name: str
    plan: str


def _fixes(schema: Schema, keys: Sequence[ForeignKey]) -> Mapping[int, _Fix]:
    """Return the index that serves each key, by the key's identity, tried on a mirror of the tables that are involved.

    The parent's collation decides, except that a rowid has none and the child's is right there.
    """
    involved = {fold(name) for key in keys for name in (key.reference.table, key.reference.parent)}
    drafts = {id(key): _drafts(key) for key in keys}
    trials = trial_names(schema, [draft for some in drafts.values() for draft in some])
    objects = [o for o in schema.objects if o.type in ("table", "index") and fold(o.table) in involved]
    mirror = build_mirror([*objects, *(draft.object(name) for draft, name in trials.items())])
    try:
        names = Names(schema)
        found: dict[int, _Fix] = {}
        for key in keys:
            for draft in drafts[id(key)]:
                plan = plan_by(mirror, key.reference, draft.index(trials[draft]))
                if plan is not None:
                    name = names.name(draft)
                    shown = with_child(plan, key.reference).replace(trials[draft], name)
                    found[id(key)] = _Fix(draft, name, shown)
                    break
        return found
    finally:
        mirror.close()


def _drafts(key: ForeignKey) -> list[Draft]:
    reference = key.reference
    wanted = dict.fromkeys((reference.collations, ("",) * len(reference.columns)))
    return [
        Draft(
            reference.table,
            reference.columns,
            tuple(
                quote_if_needed(column) + (f" COLLATE {quote_if_needed(collation)}" if collation else "")
                for column, collation in zip(reference.columns, collations, strict=True)
            ),
        )
        for collations in wanted
    ]


RULE = Rule(ID, "A foreign key whose child rows SQLite can find only by reading others", Severity.WARNING, find)
