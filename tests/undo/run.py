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
from tests.mutations.oracle import Database

if TYPE_CHECKING:
    from d1ops.core.undo.generate import Rollback
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


def start_of(case: Case, seed: int = 77) -> bytes:
    """The base, filled."""
    with closing(opened(b"")) as engine:
        run_script(engine, split(case.base))
        image, _ = filled(engine.serialize(), 4, seed)
    return image


def run(case: Case) -> Result:
    rollback = generated(case)
    if not rollback.standing.is_proved:
        return Result(case, rollback, ())
    with closing(Database(start_of(case))) as database:
        before = database.dump()
        forward = [statement.sql for statement in split(case.forward)]
        assert database.run(forward), case
        kept = _rowids(before) & _rowids(database.dump())
        if not database.run([statement.sql for statement in rollback.script.statements]):
            return Result(case, rollback, ("the script fails",))
        after = database.dump()
    differs = [part for part in ("schema", "order") if before[part] != after[part]]
    for table, rows in before["rows"].items():
        if table in kept and rows != after["rows"][table]:
            differs.append(f"rows of {table}")
        elif _without_rowids(rows) != _without_rowids(after["rows"].get(table, {})):
            differs.append(f"values of {table}")
    return Result(case, rollback, tuple(differs))


def _rowids(dump: dict[str, object]) -> set[str]:
    """The tables under their names; those that the migration renamed or rebuilt without rowid are not in both."""
    rows = dump["rows"]
    assert isinstance(rows, dict)
    return {table for table, found in rows.items() if found and all(isinstance(row[0], int) for row in found)}


def _without_rowids(rows: object) -> list[object]:
    assert isinstance(rows, dict)
    cells = [row[1:] if isinstance(row[0], int) else row for row in rows for _ in range(rows[row])]
    return sorted(cells, key=repr)
