"""Generate the rollback script of a case and make the round trip by plain SQLite, beside the proof of d1ops itself."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.catalog import build_catalog
from d1ops.core.replay import run_script
from d1ops.core.sql import split
from d1ops.core.trial import filled, opened
from d1ops.core.undo.generate import write_rollback
from tests.mutations.oracle import Database, dump_of
from tests.mutations.oracle import after as after_script

if TYPE_CHECKING:
    from d1ops.core.undo.generate import Rollback
    from tests.mutations.oracle import Dump
    from tests.undo.kinds import Case


@dataclass(frozen=True)
class Result:
    """What became of a case. `differs` says what plain SQLite found to be otherwise after the round trip."""

    case: Case
    rollback: Rollback
    differs: tuple[str, ...]

    @property
    def is_right(self) -> bool:
        """Whether the answer is the expected one, and a script that is called proved brings everything back."""
        return self.rollback.standing.value in self.case.kind.standings and not (
            self.rollback.standing.is_proved and self.differs
        )


def generated(case: Case) -> Rollback:
    files = {"0001_base.sql": case.base.encode(), "0002_change.sql": case.forward.encode()}
    catalog = build_catalog(files, {})
    return write_rollback(catalog, catalog.migrations[1], "db/rollbacks/0002_rollback.sql")


def start_of(case: Case, rows: int) -> bytes:
    """The base, every table filled."""
    with closing(opened(b"")) as engine:
        run_script(engine, split(case.base))
        image, _ = filled(engine.serialize(), rows, 77)
    return image


def applied_to(case: Case) -> tuple[bytes, bytes]:
    """The base filled with as many rows as the migration stands, and the same after the migration."""
    forward = [statement.sql for statement in split(case.forward)]
    for rows in (4, 1, 0):
        start = start_of(case, rows)
        with closing(Database(start)) as database:
            if database.run(forward):
                return start, database.image()
    raise AssertionError(f"{case} does not run")


def run(case: Case) -> Result:
    rollback = generated(case)
    if not rollback.standing.is_proved:
        return Result(case, rollback, ())
    start, applied = applied_to(case)
    script = [statement.sql for statement in rollback.script.statements]
    before, between, after = dump_of(start), dump_of(applied), after_script(applied, script)
    if after is None:
        return Result(case, rollback, ("the script fails",))
    kept = _rowids(before) & _rowids(between)
    differs = [part for part in ("schema", "order") if before[part] != after[part]]
    for table, rows in before["rows"].items():
        if table in kept and rows != after["rows"][table]:
            differs.append(f"rows of {table}")
        elif _without_rowids(rows) != _without_rowids(after["rows"].get(table, {})):
            differs.append(f"values of {table}")
    return Result(case, rollback, tuple(differs))


def _rowids(dump: Dump) -> set[str]:
    """The tables that have rowids; one that the migration renamed or rebuilt without is not in both."""
    return {table for table, found in dump["rows"].items() if found and all(isinstance(row[0], int) for row in found)}


def _without_rowids(rows: object) -> list[object]:
    assert isinstance(rows, dict)
    cells = [row[1:] if isinstance(row[0], int) else row for row in rows for _ in range(rows[row])]
    return sorted(cells, key=repr)
