"""The indexes that a target should have by its migrations, before a migration is written for it.

A migration runs on every database. One that is written for a target whose index was lost by hand would make that index
a second time, under another name, on all others; so first comes what gives the target its own back, which does nothing
elsewhere. Its rollback leaves that there: an older migration makes it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.audit.advice.changes import Change, apply
from d1ops.core.mirror import build_mirror, schema_of
from d1ops.core.sql import significant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.audit.finding import Finding
    from d1ops.core.schema import Schema


@dataclass(frozen=True, slots=True)
class Healed:
    """A schema with the indexes that its migrations make, and the changes that make them, with the findings' keys.

    `start` is the target's schema, `left` what a person must do: a UNIQUE index, which rows may not allow, and an index
    that only the target has. `start` has the former, since all other databases have it. `foreign` are the labels of the
    latter: no rollback is right after they are dropped, as it would make them where they never were.
    """

    start: Schema
    schema: Schema
    changes: tuple[Change, ...] = ()
    mended: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    foreign: frozenset[str] = frozenset()


def heal(schema: Schema, expected: Schema | None, findings: Sequence[Finding]) -> Healed:
    """Mend the drift of indexes that `findings` are about. `expected` is the schema that the applied migrations build,
    None where nobody can say. Raises HumanNeeded when an object of the schema cannot be rebuilt."""
    if expected is None:
        return Healed(schema, schema)
    made = expected.by_key()
    foreign = frozenset(o.label for o in schema.objects if o.type == "index" and o.sql and o.key not in made)
    fixes = {one.fix_sql: one for one in findings if one.fix_sql}
    left = [sql for sql, one in fixes.items() if one.facts["change"] == "extra"]
    if len(left) == len(fixes):
        return Healed(schema, schema, left=tuple(left), foreign=foreign)
    done: list[str] = []
    start = schema
    engine = build_mirror(schema.objects)
    try:
        for sql in sorted((sql for sql in fixes if sql not in left), key=lambda sql: not _is_unique(sql)):
            if apply(engine, sql) and not _is_unique(sql):
                done.append(sql)
                continue
            left.append(sql)
            start = start if done else schema_of(engine)
        changes = tuple(Change(sql, (fixes[sql].message,)) for sql in done)
        keys = tuple(fixes[sql].key for sql in done)
        return Healed(start, schema_of(engine), changes, keys, tuple(left), foreign)
    finally:
        engine.close()


def _is_unique(sql: str) -> bool:
    return any(word.upper == "UNIQUE" for word in significant(sql))
