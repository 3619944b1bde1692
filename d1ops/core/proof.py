"""The proof of a rollback: afterwards the schema is as if the migrations had never been applied.

W is the schema from replaying every applied migration in ledger order, O the same without those that are rolled back.
Object by object: where O differs from W, the target had W's form before and has O's form after; everywhere else, after
equals before. Drift in other objects is reported and survives.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.measure import loss_name, lost_rows, rows_of
from d1ops.core.returned import are_back
from d1ops.core.schema import diff, difference_of
from d1ops.core.sql import fold
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
    expected to go only where it is back in its old place (`core.returned`). `sources` are those older tables and
    columns.
    """
    made = {loss.table: _columns(with_all, loss.table) for loss in losses}
    kept = {loss.table: _columns(without, loss.table) for loss in losses}
    own: list[Part] = []
    for loss in losses:
        if loss.rows_lost:
            own += [(loss.table, None)] if made[loss.table] and not kept[loss.table] else []
        else:
            fresh = made[loss.table] - kept[loss.table]
            own += [
                (loss.table, each.column) for each in loss.columns if each.values_lost and fold(each.column) in fresh
            ]
    is_back = are_back(clone, sources, own)
    expected: list[str] = []
    collateral: list[str] = []
    for loss in losses:
        if loss.rows_lost:
            is_own = (loss.table, None) in own and is_back
            is_own = is_own or (
                bool(made[loss.table] and kept[loss.table]) and _are_inserted(loss, clone, with_all, without)
            )
            (expected if is_own else collateral).extend(loss.losses)
            continue
        for column in loss.columns:
            if column.values_lost:
                is_own = (loss.table, column.column) in own and is_back
                (expected if is_own else collateral).append(loss_name(loss.table, column.column))
    return tuple(expected), tuple(collateral)


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
