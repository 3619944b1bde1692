"""A difference between what the applied migrations build and what the target has."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Finding, Rule, Severity
from d1ops.core.schema import diff, if_not_exists
from d1ops.core.sql import ended, quote_if_needed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.subject import Subject
    from d1ops.core.schema import SchemaObject

ID = "schema-drift"


def find(subject: Subject) -> Iterator[Finding]:
    """Find the objects that a replay of the target's ledger does not share, where there is one.

    An index that only the target has is info: somebody made it by hand, and it harms nobody.
    """
    if subject.expected is None:
        return
    expected, real = subject.expected.users(subject.ledger), subject.schema.users(subject.ledger)
    wanted, there = expected.by_key(), real.by_key()
    keys = {o.label: key for key, o in (*there.items(), *wanted.items())}
    for one in diff(expected, real):
        key = keys[one.label]
        yield _finding(one.change, wanted.get(key), there.get(key))


def _finding(change: str, wanted: SchemaObject | None, there: SchemaObject | None) -> Finding:
    o = wanted or there
    assert o is not None
    is_index = o.type == "index"
    fix, rollback = _fix(change, wanted, there) if is_index else (None, None)
    return Finding(
        rule=ID,
        severity=Severity.INFO if is_index and change == "extra" else Severity.WARNING,
        table=o.table,
        columns=(),
        index=o.name if is_index else None,
        others=() if o.type in ("index", "table") else (o.name,),
        message=f"{o.label} {_WHAT[change]}",
        remedy=_REMEDY["index" if is_index else "other"],
        fix_sql=fix,
        rollback_sql=rollback,
        facts={"change": change, "expected": wanted.sql if wanted else None, "found": there.sql if there else None},
    )


def _fix(change: str, wanted: SchemaObject | None, there: SchemaObject | None) -> tuple[str | None, str | None]:
    """Return what gives the target the index of its migrations, and what takes that back."""
    drop = [f"DROP INDEX IF EXISTS {quote_if_needed(o.name)};" for o in (there or wanted,) if o]
    make, restore = (ended(o.sql) if o and o.sql else None for o in (wanted, there))
    match change:
        case "missing" if wanted is not None:
            # In a migration it then does nothing where the index is.
            return ended(if_not_exists(wanted)), drop[0]
        case "different":
            return f"{drop[0]}\n{make}", f"{drop[0]}\n{restore}"
        case _:
            return drop[0], restore


_WHAT = {
    "missing": "is made by the applied migrations and is not there",
    "extra": "is there and no applied migration makes it",
    "different": "is not what the applied migrations make",
    "reordered": "has its columns in another order than the applied migrations make",
}
_REMEDY = {
    "index": "give the target the index of its migrations, or write a migration that makes what it has",
    "other": "find out who changed the target, and write a migration that leads from the one to the other",
}

RULE = Rule(
    ID, "A difference between what the applied migrations build and what the target has", Severity.WARNING, find
)
