"""Scripts that put the check of foreign keys off until the end.

`PRAGMA defer_foreign_keys=ON` delays the check to the commit, and a rebuild that drops a parent and renames its
successor leaves SQLite's counter of violations too high though nothing dangles: the commit fails. Turning the pragma
off before the end clears the counter, and checks nothing (SQLite documentation, "PRAGMA defer_foreign_keys"; seen on
workerd). So whoever turns it off looks first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.measure import dangling
from d1ops.core.sql import fold, significant

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from d1ops.core.engine import Engine
    from d1ops.core.sql import ScriptStatement

PRAGMA = "defer_foreign_keys"
END_OF_DEFERRAL = f"PRAGMA {PRAGMA}=OFF"


def defers(statements: Iterable[ScriptStatement]) -> bool:
    """Whether a script puts the check off."""
    return any(
        statement.verb == "PRAGMA"
        and any(fold(token.text.strip("\"'`[]")) == PRAGMA for token in significant(statement.sql))
        for statement in statements
    )


def settling(engine: Engine, statements: Sequence[ScriptStatement]) -> Callable[[int], None]:
    """Return what is to be called after every statement of a script on a throw-away engine (with its index).

    It ends the deferral after the last one where nothing dangles that did not before; else the commit fails as it
    would on the target.
    """
    if not defers(statements):
        return lambda index: None
    before = dangling(engine)

    def after(index: int) -> None:
        if index == len(statements) - 1 and not dangling(engine) - before:
            engine.ask(END_OF_DEFERRAL)

    return after
