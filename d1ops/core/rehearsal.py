"""Scripts run on a clone of the target's rows, and which statement took what.

Which statement took rows, and over which foreign keys, comes from SQLite's preupdate hook, which reports foreign key
actions and the implicit DELETE of DROP TABLE too. What is lost in the end is measured apart (`core.measure`).
"""

from __future__ import annotations

from collections import Counter, deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from d1ops.core import rules
from d1ops.core.deferral import settling
from d1ops.core.engine import Rejected
from d1ops.core.measure import BEFORE, ColumnLoss, TableLoss, dangling, lost_rows, measure, rows_of
from d1ops.core.replay import rejected_in_script
from d1ops.core.sql import fold, significant
from d1ops.core.values import Statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    import apsw

    from d1ops.core.engine import Engine
    from d1ops.core.sql import ScriptStatement

__all__ = [
    "BEFORE", "Cause", "ColumnLoss", "TableLoss", "dangling", "lost_rows", "measure", "rehearse", "rows_of",
]  # fmt: skip


@dataclass(frozen=True, slots=True)
class Cause:
    """A statement that took rows or values of a table, and the cascade path it took them by.

    `path` starts with the table that the statement names; each further part reads
    `child by column ON DELETE CASCADE`. `deleted` and `updated` count rows.
    """

    place: str
    statement: str
    path: tuple[str, ...]
    deleted: int
    updated: int

    def __str__(self) -> str:
        return f"{self.statement} ({self.place}): {' -> '.join(self.path)}"


@dataclass
class Watch:
    """Counts of rows deleted and updated, by statement and table, while a script runs on a clone."""

    touched: dict[int, dict[str, Counter[str]]] = field(default_factory=dict)
    direct: dict[int, set[str]] = field(default_factory=dict)
    altered: dict[int, set[str]] = field(default_factory=dict)
    """Tables that a statement dropped, renamed, or took a column from."""


def rehearse(
    engine: Engine,
    statements: Sequence[ScriptStatement],
    *,
    also: Callable[[apsw.PreUpdate, int], None] | None = None,
) -> dict[str, list[Cause]]:
    """Run a script on a clone as one transaction under D1's rules and tell what it touched, by table (lower case).

    `also` is called with every row that is about to be changed, and with the place of the statement.

    Raises StatementRejected, with the place in the file, when the script fails; the clone is then as before.
    """
    watch = Watch()
    position = 0
    links: dict[int, list[_Link]] = {0: _links(engine)}
    columns = _all_columns(engine)

    def hook(update: apsw.PreUpdate) -> None:
        if also is not None:
            also(update, position)
        kind, table = update.op, update.table_name
        if kind not in ("DELETE", "UPDATE") or rules.is_reserved(table):
            return
        watch.touched.setdefault(position, {}).setdefault(table, Counter())[kind] += 1
        if update.depth == 0:
            watch.direct.setdefault(position, set()).add(table)

    def advance(index: int) -> None:
        nonlocal position, columns
        if statements[index].verb in ("ALTER", "DROP", "CREATE"):
            now = _all_columns(engine)
            for table, names in columns.items():
                if names - now.get(table, set()):
                    watch.altered.setdefault(index, set()).add(table)
            columns = now
        position = index + 1
        links[position] = _links(engine)
        settle(index)

    settle = settling(engine, statements)
    engine.connection.preupdate_hook(hook)
    try:
        engine.run([Statement(s.sql) for s in statements], after=advance)
    except Rejected as error:
        raise rejected_in_script(error, statements) from None
    finally:
        engine.connection.preupdate_hook(None)
    return _causes(statements, watch, links)


def _causes(
    statements: Sequence[ScriptStatement], watch: Watch, links: dict[int, list[_Link]]
) -> dict[str, list[Cause]]:
    found: dict[str, list[Cause]] = {}
    for index in sorted({*watch.touched, *watch.altered}):
        statement = statements[min(index, len(statements) - 1)]
        direct = watch.direct.get(index, set())
        deleting = _paths(direct, [link for link in links[index] if link.action == "CASCADE"])
        any_path = _paths(direct, links[index])
        touched = dict(watch.touched.get(index, {}))
        for table in watch.altered.get(index, set()):
            if table not in {fold(name) for name in touched}:
                touched[table] = Counter()
        for table, counts in touched.items():
            paths = deleting if counts["DELETE"] else any_path
            found.setdefault(fold(table), []).append(
                Cause(
                    place=f"{statement.path}:{statement.line}",
                    statement=_shorten(statement.sql),
                    path=paths.get(fold(table), (table,)),
                    deleted=counts["DELETE"],
                    updated=counts["UPDATE"],
                )
            )
    return found


def _all_columns(engine: Engine) -> dict[str, set[str]]:
    """The column names of every table, all in lower case."""
    found: dict[str, set[str]] = {}
    for table, column in engine.ask(
        "SELECT lower(m.name), lower(x.name) FROM sqlite_master m, pragma_table_xinfo(m.name) x WHERE m.type = 'table'"
    ):
        found.setdefault(str(table), set()).add(str(column))
    return found


def _shorten(sql: str, most: int = 60) -> str:
    text = " ".join(token.text for token in significant(sql)).replace(" (", "(").replace(" ,", ",")
    return text if len(text) <= most else text[: most - 3] + "..."


@dataclass(frozen=True, slots=True)
class _Link:
    parent: str
    child: str
    columns: str
    action: str


def _links(engine: Engine) -> list[_Link]:
    """The foreign keys whose action on a delete changes the child."""
    rows = engine.ask(
        'SELECT m.name, f."table", group_concat(f."from", \', \'), f.on_delete'
        " FROM sqlite_master m, pragma_foreign_key_list(m.name) f"
        " WHERE m.type = 'table' AND f.on_delete IN ('CASCADE', 'SET NULL', 'SET DEFAULT')"
        " GROUP BY m.name, f.id ORDER BY m.rowid, f.id"
    )
    return [_Link(fold(str(parent)), str(child), str(columns), str(action)) for child, parent, columns, action in rows]


def _paths(direct: Iterable[str], links: Sequence[_Link]) -> dict[str, tuple[str, ...]]:
    """The shortest cascade path from a directly touched table to every table it can reach."""
    found: dict[str, tuple[str, ...]] = {fold(table): (table,) for table in sorted(direct)}
    waiting = deque(found)
    while waiting:
        parent = waiting.popleft()
        for link in links:
            child = fold(link.child)
            if link.parent == parent and child not in found:
                found[child] = (*found[parent], f"{link.child} by {link.columns} ON DELETE {link.action}")
                if link.action == "CASCADE":
                    waiting.append(child)
    return found
