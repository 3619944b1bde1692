"""What a batch asserts of the target, inside its own transaction: statements that fail, and so undo the batch.

Before the script: schema and ledger are those that were seen, and every table about to lose something has as many rows
as the backup. Around it: no table that the script can reach, by a statement, a trigger or a foreign key, loses more
rows or links than in the rehearsal. So rows written since, a clock or a random number cannot make it take more.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.ledger import HISTORY_DDL, ledger_ddl
from d1ops.core.measure import loss_name
from d1ops.core.schema import SCHEMA_TEXT_SQL
from d1ops.core.sql import fold, quote_identifier, quote_text
from d1ops.core.values import Statement

if TYPE_CHECKING:
    from collections.abc import Collection, Sequence

    from d1ops.core.engine import Engine
    from d1ops.ops.change import Prepared
    from d1ops.ops.workspace import Workspace

GUARD = "d1ops_guard"
"""The table of figures from before the script; made and dropped inside the batch."""


@dataclass(frozen=True, slots=True)
class Kept:
    """A figure (rows of a table, or values of a foreign key column) that may not fall by more than `may_lose`."""

    name: str
    figure: str
    may_lose: int


def figures(engine: Engine, tables: Collection[str]) -> dict[str, tuple[str, int]]:
    """Read the figures of those of these tables (folded names) that hold rows of their own, by what they count."""
    found: dict[str, str] = {}
    for (cell,) in engine.ask("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'table'"):
        table = str(cell)
        if fold(table) not in tables:
            continue
        source = quote_identifier(table)
        found[loss_name(table)] = f"(SELECT count(*) FROM {source})"
        for (column,) in engine.ask('SELECT DISTINCT "from" FROM pragma_foreign_key_list(?)', (table,)):
            figure = f"(SELECT count({quote_identifier(str(column))}) FROM {source})"
            found[loss_name(table, str(column))] = figure
    return {name: (sql, int(str(engine.ask_one(f"SELECT {sql}")))) for name, sql in found.items()}


def kept(before: dict[str, tuple[str, int]], after: dict[str, tuple[str, int]]) -> tuple[Kept, ...]:
    """Return what a rehearsed step may take from the figures that are there before and after it."""
    return tuple(
        Kept(name, sql, max(0, count - after[name][1])) for name, (sql, count) in before.items() if name in after
    )


def before_script(workspace: Workspace, prepared: Prepared, index: int, names: Sequence[str]) -> list[Statement]:
    """Return what must hold before the script of a step runs. `names` is the ledger as it must be."""
    found: list[Statement] = []
    if index == 0:
        if not prepared.look.has_ledger:
            found.append(Statement(ledger_ddl(workspace.ledger)))
        if not prepared.look.has_history:
            found.append(Statement(HISTORY_DDL))
        found.append(
            Statement(
                _unless(f"{SCHEMA_TEXT_SQL} = ?1", "schema-changed"),
                (prepared.look.schema.text(), workspace.ledger.lower()),
            )
        )
        found += [
            Statement(
                _unless(f"(SELECT count(*) FROM {quote_identifier(loss.table)}) = ?1", f"rows-changed:{loss.table}"),
                (loss.rows_before,),
            )
            for loss in prepared.losses
            if loss.losses
        ]
    ledger = quote_identifier(workspace.ledger)
    applied = f"(SELECT json_group_array(name) FROM (SELECT name FROM {ledger} ORDER BY id))"
    expected = json.dumps(list(names), ensure_ascii=False, separators=(",", ":"))
    found.append(Statement(_unless(f"{applied} = ?1", "ledger-changed"), (expected,)))
    step = _of_step(prepared, index)
    if step:
        found.append(Statement(f"CREATE TABLE {GUARD} (what INTEGER PRIMARY KEY, n INTEGER NOT NULL)"))
    found += [Statement(f"INSERT INTO {GUARD} VALUES (?1, {k.figure})", (n,)) for n, k in enumerate(step)]
    return found


def after_script(prepared: Prepared, index: int) -> list[Statement]:
    """Return what must hold after the script of a step has run."""
    step = _of_step(prepared, index)
    found = [
        Statement(
            _unless(f"(SELECT n FROM {GUARD} WHERE what = ?1) - {k.figure} <= ?2", f"rows-lost:{k.name}"),
            (n, k.may_lose),
        )
        for n, k in enumerate(step)
    ]
    return [*found, Statement(f"DROP TABLE {GUARD}")] if step else []


def _of_step(prepared: Prepared, index: int) -> tuple[Kept, ...]:
    return prepared.kept[index] if prepared.kept else ()


def _unless(condition: str, message: str) -> str:
    """A SELECT that fails with `message` unless the condition holds: the only way to raise outside of a trigger that
    carries a text back (seen on workerd)."""
    return f"SELECT CASE WHEN {condition} THEN 1 ELSE json_extract('{{}}', {quote_text('d1ops:' + message)}) END"
