"""A foreign key that SQLite cannot check: every write to the child fails."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Finding, Rule, Severity
from d1ops.core.audit.foreign_keys import Breakage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.foreign_keys import Reference
    from d1ops.core.audit.subject import Subject

ID = "foreign-key-mismatch"


def find(subject: Subject) -> Iterator[Finding]:
    """Find the foreign keys whose parent is missing, or whose columns in the parent SQLite does not take for a key."""
    for key in subject.foreign_keys:
        if key.breakage is None:
            continue
        reference = key.reference
        is_missing = key.breakage is Breakage.NO_PARENT
        yield Finding(
            rule=ID,
            severity=Severity.ERROR,
            table=reference.table,
            columns=reference.columns,
            others=(reference.parent, *reference.named),
            message=(
                f"{reference.table} ({', '.join(reference.columns)}) references {_parent(reference)}, "
                + (
                    f"which does not exist: each INSERT into {reference.table} fails with 'no such table'"
                    if is_missing
                    else "which is no key that SQLite can look up: writes to both tables fail with "
                    "'foreign key mismatch'"
                )
            ),
            remedy=(
                "create the parent, or rebuild the table without the foreign key"
                if is_missing
                else "make the referenced columns the PRIMARY KEY or a UNIQUE index of the parent: all, with the"
                " columns' own collations and no WHERE"
            ),
            facts={"parent": reference.parent, "parent_columns": reference.named, "breakage": key.breakage.value},
        )


def _parent(reference: Reference) -> str:
    return f"{reference.parent} ({', '.join(reference.named)})" if reference.named else reference.parent


RULE = Rule(ID, "A foreign key whose parent is missing, or is no key", Severity.ERROR, find)
