"""Drift: where the target's schema is not what the migrations in its ledger make."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.mirror import schema_of
from d1ops.core.replay import replay
from d1ops.core.schema import diff
from d1ops.errors import StatementRejected, StructureRefused
from d1ops.ops.rollback import require_files

if TYPE_CHECKING:
    from d1ops.core.schema import Difference, Schema
    from d1ops.ops.look import Look
    from d1ops.ops.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Drift:
    """What a replay of the ledger and the target do not share. In every difference `before` is the text that the
    migrations make and `after` the target's: `missing` means that the target lacks the object, `extra` that no
    migration makes it. `reordered` are tables whose columns stand in another order, which nobody but `SELECT *` and
    `INSERT` without names sees."""

    expected: Schema
    differences: tuple[Difference, ...]
    reordered: tuple[Difference, ...]

    @property
    def is_clean(self) -> bool:
        """Whether the target is what its migrations make, the order of columns aside."""
        return not self.differences


def find(workspace: Workspace, seen: Look) -> Drift:
    """Replay the ledger's migrations, in the order in which they were applied, and compare with a look at the target.

    Raises LedgerRefused when an applied file is missing or changed, ScriptError for one that cannot be read, and
    StructureRefused when they do not run one after the other.
    """
    require_files(seen.statuses(workspace), "what the migrations make cannot be known")
    known = workspace.catalog.by_file()
    try:
        engine = replay(known[row.name] for row in seen.ledger)
    except StatementRejected as error:
        raise StructureRefused(
            f"the applied migrations do not run one after the other: {error.text}",
            hint="compare the order in d1ops status with the one in which they were written",
        ) from None
    with closing(engine):
        expected = schema_of(engine).users(workspace.ledger)
    found = diff(expected, seen.schema)
    return Drift(
        expected,
        tuple(difference for difference in found if difference.change != "reordered"),
        tuple(difference for difference in found if difference.change == "reordered"),
    )
