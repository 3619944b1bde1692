"""Names that somebody agreed to lose, held against what there is: one that nothing has is a typing error."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from d1ops.core.measure import loss_name
from d1ops.core.mirror import build_mirror
from d1ops.core.sql import fold
from d1ops.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Collection

    from d1ops.core.schema import Schema
    from d1ops.ops.change import Prepared


def require_names(prepared: Prepared, accepted: Collection[str]) -> None:
    """Raise UsageError for an accepted name that is no table or column, of the target or of what the change makes.

    One that is there and loses nothing is fine: the same command may be meant for several targets.
    """
    if not accepted:
        return
    schemas = (prepared.look.everything, *prepared.schemas)
    known = {fold(name) for schema in schemas for name in _names(schema)}
    for name in sorted(accepted):
        if fold(name) not in known:
            # No name is proposed: what may be lost is never put into anybody's mouth.
            raise UsageError(
                f"--accept-loss names {name}, which is no table or column; nothing was changed",
                hint="name tables and columns as the refusal does",
            )


def _names(schema: Schema) -> list[str]:
    """All tables and columns, as a loss of theirs is named."""
    with closing(build_mirror(schema.objects)) as mirror:
        columns = mirror.ask(
            "SELECT m.name, x.name FROM sqlite_master m, pragma_table_xinfo(m.name) x WHERE m.type = 'table'"
        )
    return [*map(loss_name, schema.tables()), *(loss_name(str(table), str(column)) for table, column in columns)]
