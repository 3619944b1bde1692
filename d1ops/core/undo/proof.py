"""Whether a script gives back the very database that an image holds: every object and every row of every table."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import apsw

from d1ops.core.fulltext import is_whole
from d1ops.core.measure import BEFORE, dangling, lost_rows, lowered_counters
from d1ops.core.replay import run_script
from d1ops.core.schema import diff
from d1ops.core.sql import fold, quote_identifier
from d1ops.core.tables import read_tables
from d1ops.core.trial import beside, opened, user_schema
from d1ops.errors import StatementRejected

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from d1ops.core.engine import Engine
    from d1ops.core.sql import ScriptStatement
    from d1ops.core.tables import Table


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a script did. Empty `problems` are the proof that all is as it should be; `failed` says that they are one
    statement that was rejected. `changes` are the rows of the trial that were inserted, updated or deleted on the way,
    as SQLite counts them: ALTER TABLE and DROP INDEX change none."""

    problems: tuple[str, ...]
    failed: bool = False
    changes: int = 0


def outcome(
    start: bytes, script: Sequence[ScriptStatement], expected: bytes, *, loose: Collection[str] = ()
) -> Outcome:
    """Run a script under D1's rules on a copy of the image `start` and compare with the image `expected`.

    Rows are compared with type, value and rowid, repeats counted; of the tables `loose` (folded) without the rowid.
    """
    with closing(opened(start)) as engine:
        earlier = engine.connection.total_changes()
        try:
            run_script(engine, script)
        except StatementRejected as error:
            return Outcome((error.text,), failed=True)
        changes = engine.connection.total_changes() - earlier
        return Outcome(differences(engine, expected, loose=loose), changes=changes)


def differences(engine: Engine, expected: bytes, *, loose: Collection[str] = ()) -> tuple[str, ...]:
    """Say how an engine's database differs from the image `expected`."""
    with closing(opened(expected)) as other:
        says = {"missing": "is not there", "extra": "is left over", "different": "has another form"}
        found = [
            f"{d.label} {says.get(d.change, 'has its columns in another order')}"
            for d in diff(user_schema(other), user_schema(engine))
        ]
        if found:
            return tuple(found)
        tables, broken = read_tables(other), dangling(other)
        whole = {name: is_whole(other, table.name) for name, table in tables.items() if table.is_virtual}
    with beside(engine, expected):
        for name, table in tables.items():
            rowid = [table.rowid] if table.rowid and name not in loose else []
            if not _are_equal(engine, table.name, [*rowid, *table.columns]):
                found.append(f"{table.name} does not hold the same rows")
        found += lowered_counters(engine)
    found += [
        f"the full-text index {tables[name].name} does not fit its rows"
        for name, was_whole in whole.items()
        if was_whole and not is_whole(engine, tables[name].name)
    ]
    found += [
        f"{count} rows of {child} are without their row in {parent}"
        for (child, parent), count in sorted((dangling(engine) - broken).items())
    ]
    return tuple(found)


def renumbered(before: bytes, engine: Engine) -> frozenset[str]:
    """Return the tables of the image `before`, folded, whose rows have other rowids on the engine, or none any more:
    who relied on those lost them then."""
    with closing(opened(before)) as other:
        tables = read_tables(other)
    now = read_tables(engine)
    with beside(engine, before):
        return frozenset(
            name
            for name, table in tables.items()
            if table.rowid
            and name in now
            and (now[name].rowid is None or not _are_equal(engine, table.name, _shared(table, now[name])))
        )


def _shared(then: Table, now: Table) -> list[str]:
    there = {fold(column) for column in now.columns}
    return [now.rowid or "", *(column for column in then.columns if fold(column) in there)]


def _are_equal(engine: Engine, table: str, columns: Sequence[str]) -> bool:
    name = quote_identifier(table)
    try:
        (counts,) = engine.ask(f"SELECT (SELECT count(*) FROM {BEFORE}.{name}), (SELECT count(*) FROM main.{name})")
    except apsw.SQLError:  # a virtual table whose content table is missing holds nothing to compare
        return True
    return counts[0] == counts[1] and not lost_rows(engine, table, columns, most=1)
