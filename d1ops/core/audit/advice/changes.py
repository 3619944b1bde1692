"""Changes of indexes, and the trial of one on a mirror."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.mirror import build_mirror, schema_of
from d1ops.core.replay import run_script
from d1ops.core.schema import diff
from d1ops.core.sql import ended, read_script
from d1ops.errors import D1opsError

if TYPE_CHECKING:
    from collections.abc import Collection

    from d1ops.core.engine import Engine


@dataclass(frozen=True, slots=True)
class Change:
    """One statement that makes or drops an index, and why, a line a reason."""

    sql: str
    reasons: tuple[str, ...]


def apply(engine: Engine, sql: str, *, kept: Collection[str] = ()) -> bool | None:
    """Run a proposal that does nothing but make or drop indexes; None for one that has nothing left to do, False for
    one that does more, or drops one that is `kept` (as a label)."""
    statements = read_script(ended(sql).encode(), "fix")
    before = schema_of(engine)
    trial = build_mirror(before.objects)
    try:
        run_script(trial, statements)
        differences = diff(before, schema_of(trial))
    except D1opsError:
        return False
    finally:
        trial.close()
    if not differences:
        return None
    if any(not one.label.startswith("index ") or one.label in kept for one in differences):
        return False
    run_script(engine, statements)
    return True
