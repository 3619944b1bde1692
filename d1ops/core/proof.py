"""The proof of a rollback: afterwards the schema is as if the migrations had never been applied.

W is the schema from replaying every applied migration in ledger order, O the same without those that are rolled back.
Object by object: where O differs from W, the target had W's form before and has O's form after; everywhere else, after
equals before. Drift in other objects is reported and survives.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.schema import diff, difference_of

if TYPE_CHECKING:
    from d1ops.core.engine import Engine
    from d1ops.core.rehearsal import TableLoss
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
        if found.change != "reordered" and found.label.lower() not in drift
    )
    return StructureProof(tuple(drift), tuple(wrong), tuple(warnings))


def expected_losses(
    losses: tuple[TableLoss, ...], clone: Engine, with_all: Engine, without: Engine
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Divide what a rollback loses into expected and collateral.

    Expected is what the rolled-back migrations themselves made: tables and columns that the replay without them does
    not have, and rows that they inserted, where these still equal those of a replay.
    """
    expected: list[str] = []
    collateral: list[str] = []
    for loss in losses:
        columns = _columns(without, loss.table)
        for name in loss.losses:
            _, _, column = name.partition(".") if name != loss.table else ("", "", "")
            if column:
                mine = column.lower() not in columns and column.lower() in _columns(with_all, loss.table)
            else:
                mine = _made_by(loss, clone, with_all, without)
            (expected if mine else collateral).append(name)
    return tuple(expected), tuple(collateral)


def _columns(engine: Engine, table: str) -> set[str]:
    return {str(name).lower() for (name,) in engine.ask("SELECT name FROM pragma_table_xinfo(?)", (table,))}


def _made_by(loss: TableLoss, clone: Engine, with_all: Engine, without: Engine) -> bool:
    from d1ops.core.rehearsal import lost_rows, rows_of

    if not _columns(with_all, loss.table):
        return False
    kept = _columns(without, loss.table)
    if not kept:
        return True
    columns = [
        str(name)
        for (name,) in clone.ask("SELECT name FROM pragma_table_xinfo(?, 'before') WHERE hidden = 0", (loss.table,))
    ]
    if any(c.lower() not in _columns(with_all, loss.table) for c in columns):
        return False
    shared = [c for c in columns if c.lower() in kept]
    inserted = set(rows_of(with_all, loss.table, shared)) - set(rows_of(without, loss.table, shared))
    lost = lost_rows(clone, loss.table, shared, most=len(inserted) + 1)
    return (
        0 < len(lost) <= len(inserted)
        and set(lost) <= inserted
        and not any(c.values_lost for c in loss.columns if c.column.lower() in kept)
    )
