"""The proof of a rollback: afterwards the schema is as if the migrations had never been applied.

W is the schema from replaying every applied migration in ledger order, O the same without those that are rolled back.
Object by object: where O differs from W, the target had W's form before and has O's form after; everywhere else, after
equals before. Drift in other objects is reported and survives.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.measure import BEFORE, loss_name, lost_rows, rows_of
from d1ops.core.mirror import schema_of
from d1ops.core.schema import diff, difference_of
from d1ops.core.sql import fold, quote_identifier
from d1ops.core.tables import clock_columns

if TYPE_CHECKING:
    from collections.abc import Collection

    from d1ops.core.engine import Engine
    from d1ops.core.measure import Part, TableLoss
    from d1ops.core.schema import Schema


@dataclass(frozen=True, slots=True)
class StructureProof:
    """What speaks against a rollback. Empty `drift` and `wrong` are the proof; `warnings` do not refuse."""

    drift: tuple[str, ...]
    """Objects that the migrations changed and that the target has in another form."""
    wrong: tuple[str, ...]
    """Objects that are not as they should be after the script."""
    warnings: tuple[str, ...]


def prove(before: Schema, after: Schema, with_all: Schema, without: Schema) -> StructureProof:
    """Compare target before (`before`) and after (`after`) with both replays, object by object."""
    b, a, w, o = before.by_key(), after.by_key(), with_all.by_key(), without.by_key()
    drift: list[str] = []
    wrong: list[str] = []
    warnings: list[str] = []
    for key in sorted({*b, *a, *w, *o}):
        label = " ".join(key)
        if difference_of(w.get(key), o.get(key)):
            if difference_of(b.get(key), w.get(key)) == "different":
                drift.append(label)
            expected, what = o.get(key), "what it was without the migration"
        else:
            expected, what = b.get(key), "what it was before the rollback"
        match difference_of(a.get(key), expected):
            case "different" if expected is None:
                wrong.append(f"{label} is left over")
            case "different" if a.get(key) is None:
                wrong.append(f"{label} is gone")
            case "different":
                wrong.append(f"{label} is not {what}")
            case "reordered":
                warnings.append(
                    f"{label} has its columns in another order: INSERT INTO {key[1]} VALUES (...) without column names"
                    f" and SELECT * FROM {key[1]} would read them wrongly"
                )
            case _:
                pass
    warnings.extend(
        f"drift that survives: {found.label} is {found.change} on the target"
        for found in diff(with_all, before)
        if found.change != "reordered" and fold(found.label) not in drift
    )
    return StructureProof(tuple(drift), tuple(wrong), tuple(warnings))


def expected_losses(
    losses: tuple[TableLoss, ...],
    clone: Engine,
    with_all: Engine,
    without: Engine,
    *,
    sources: Collection[Part] = (),
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Divide what a rollback loses into expected and collateral.

    Expected is what the rolled-back migrations themselves made: tables and columns that the replay without them does
    not have, and rows that they inserted, where these still equal those of a replay.

    A migration that renamed, dropped or emptied something older may have put its data into what it made. That is
    expected to go only where as much is back in its old place. `sources` are those older tables and columns.
    """
    expected: list[str] = []
    collateral: list[str] = []
    for loss in losses:
        made, kept = _columns(with_all, loss.table), _columns(without, loss.table)
        if loss.rows_lost:
            if made and not kept:
                mine = _is_back(clone, sources, loss.rows_lost)
            else:
                mine = bool(made) and _are_inserted(loss, clone, with_all, without)
            (expected if mine else collateral).extend(loss.losses)
            continue
        for column in loss.columns:
            if column.values_lost:
                mine = fold(column.column) in made - kept and _is_back(clone, sources, column.values_lost)
                (expected if mine else collateral).append(loss_name(loss.table, column.column))
    return tuple(expected), tuple(collateral)


def removed(with_all: Engine, without: Engine) -> set[Part]:
    """The tables and columns that the replay with the migrations lacks and the one without them has."""
    found: set[Part] = set()
    for table in schema_of(without).tables():
        there, still = _columns(without, table), _columns(with_all, table)
        found |= {(table, column) for column in there - still} if still else {(table, None)}
    return found


def _is_back(clone: Engine, sources: Collection[Part], lost: int) -> bool:
    """Whether every source holds as much more than before as is lost elsewhere, or is full.

    A column that was overwritten, and that no row lacks a value of, was not emptied.
    """
    for table, column in sources:
        then, now = (_amount(clone, schema, table, column) for schema in (BEFORE, "main"))
        room = lost
        if column is not None:
            rows = _amount(clone, "main", table, None)
            room = min(lost, max(0, rows - then))
        if now - then < room:
            return False
    return True


def _amount(clone: Engine, schema: str, table: str, column: str | None) -> int:
    """How many rows a table has, or how many values other than '' a column; 0 where it is not there."""
    found = {fold(str(name)) for (name,) in clone.ask("SELECT name FROM pragma_table_xinfo(?, ?)", (table, schema))}
    if not found or (column is not None and fold(column) not in found):
        return 0
    counted = "*" if column is None else f"nullif({quote_identifier(column)}, '')"
    return int(str(clone.ask_one(f"SELECT count({counted}) FROM {schema}.{quote_identifier(table)}")))


def _columns(engine: Engine, table: str) -> set[str]:
    return {fold(str(name)) for (name,) in engine.ask("SELECT name FROM pragma_table_xinfo(?)", (table,))}


def _are_inserted(loss: TableLoss, clone: Engine, with_all: Engine, without: Engine) -> bool:
    """Whether the lost rows of an older table are rows that the migrations inserted, repeats counted."""
    kept = _columns(without, loss.table)
    columns = [
        str(name)
        for (name,) in clone.ask("SELECT name FROM pragma_table_xinfo(?, 'before') WHERE hidden = 0", (loss.table,))
    ]
    if any(fold(c) not in _columns(with_all, loss.table) for c in columns):
        return False
    # What the clock gave differs between a replay and the target; it tells no row from another.
    shared = [c for c in columns if fold(c) in kept - clock_columns(without, loss.table)]
    if not shared:
        return False
    inserted = Counter(rows_of(with_all, loss.table, shared)) - Counter(rows_of(without, loss.table, shared))
    lost = Counter(lost_rows(clone, loss.table, shared, most=inserted.total() + 1))
    return bool(lost) and lost <= inserted and not any(c.values_lost for c in loss.columns)
