"""A foreign key whose column has another affinity than the column that it references."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Finding, Rule, Severity
from d1ops.core.rows.words import Affinity
from d1ops.core.sql import fold

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.audit.subject import Subject

ID = "foreign-key-affinity"

_NUMBERS = frozenset((Affinity.INTEGER, Affinity.REAL, Affinity.NUMERIC))
_AS_GIVEN = frozenset((Affinity.BLOB, Affinity.ANY))


def find(subject: Subject) -> Iterator[Finding]:
    """Find pairs of columns that store the same value differently; two kinds of numbers are info.

    What SQLite finds equal when it checks the key, a join may not, or only without an index.
    """
    tables = {fold(name): table for name, table in subject.shapes.items()}
    for key in subject.foreign_keys:
        reference = key.reference
        child, parent = tables.get(fold(reference.table)), tables.get(fold(reference.parent))
        if child is None or parent is None or not reference.parent_columns:
            continue
        for mine, other in zip(reference.columns, reference.parent_columns, strict=True):
            here, there = child.column(mine), parent.column(other)
            if here is None or there is None or here.affinity is there.affinity:
                continue
            if _class(here.affinity) == _class(there.affinity) == _AS_GIVEN:
                continue
            is_number = _class(here.affinity) == _class(there.affinity)
            yield Finding(
                rule=ID,
                severity=Severity.INFO if is_number else Severity.WARNING,
                table=reference.table,
                columns=(mine,),
                others=(parent.name, there.name),
                message=(
                    f"{reference.table}.{mine} has {_words(here.affinity)} and references {parent.name}.{there.name},"
                    f" which has {_words(there.affinity)}: equal values may be stored differently"
                ),
                remedy=f"rebuild the column with the type of {parent.name}.{there.name}",
                facts={"affinity": here.affinity.value, "parent_affinity": there.affinity.value},
            )


def _class(affinity: Affinity) -> frozenset[Affinity]:
    return next((one for one in (_NUMBERS, _AS_GIVEN) if affinity in one), frozenset((affinity,)))


def _words(affinity: Affinity) -> str:
    return "no type" if affinity is Affinity.ANY else f"{affinity.value.upper()} affinity"


RULE = Rule(ID, "A foreign key between columns of different affinity", Severity.WARNING, find)
