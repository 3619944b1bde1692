"""The guarded batch: one script with all that must hold before and after it, as one transaction.

In this order: schema and ledger are those that were seen; what is about to go is as it is in the backup; the figures of
everything the script can reach are recorded; the script, one statement an element; the same figures again; no figure
moved further than in the rehearsal; the ledger change; the history row with its nonce. A false assertion is a statement
that fails, and so undoes all of it.

A script that defers foreign keys leaves SQLite's counter of violations too high even where nothing dangles; the figures
are checked first, then the deferral is ended so that a correct rebuild commits.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from d1ops.core import assertions, figures
from d1ops.core.assertions import GUARD, GUARD_DDL, Assertion
from d1ops.core.deferral import END_OF_DEFERRAL, defers
from d1ops.core.ledger import HISTORY_DDL, ledger_change, ledger_ddl, record
from d1ops.core.schema import SCHEMA_TEXT_SQL
from d1ops.core.values import Statement
from d1ops.ops import probe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.chunked import Key
    from d1ops.core.contents import Content
    from d1ops.core.figures import Bound
    from d1ops.core.ledger import Event
    from d1ops.core.sql import ScriptStatement
    from d1ops.ops.change import Prepared
    from d1ops.ops.workspace import Workspace

__all__ = ["GUARD", "Batch", "StepGuard", "batch_of"]


@dataclass(frozen=True, slots=True)
class StepGuard:
    """What the rehearsal of a step found out, for the batch to hold the target to.

    `contents` must be as in the backup, no figure of `bounds` may move further, and the script changes `changes` rows
    (None where chance, time or a virtual table decides), up to `times` more or less for every row that came or went.
    `seconds` is how long script and fingerprints took on the clone, for a chunked one the longest piece.
    """

    contents: tuple[Content, ...] = ()
    bounds: tuple[Bound, ...] = ()
    changes: int | None = None
    times: int = 1
    seconds: float = 0.0
    chunks: tuple[Chunk, ...] = ()
    """The pieces that a chunked migration is sent in; its own batch is none."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a chunked migration, by the keys it begins and ends with."""

    first: Key
    last: Key
    script: tuple[ScriptStatement, ...]
    guard: StepGuard


@dataclass(frozen=True, slots=True)
class Batch:
    """A guarded batch in its three parts. `guard` is what the failure of an assertion is explained with."""

    before: tuple[Statement | Assertion, ...]
    script: tuple[ScriptStatement, ...]
    after: tuple[Statement | Assertion, ...]

    def statements(self) -> list[Statement]:
        """Return the batch as statements with parameters."""
        parts = (*self.before, *(Statement(each.sql) for each in self.script), *self.after)
        return [part.select() if isinstance(part, Assertion) else part for part in parts]

    def assertions(self) -> list[Assertion]:
        """Return what it asserts, in order."""
        return [part for part in (*self.before, *self.after) if isinstance(part, Assertion)]

    def place_in_script(self, index: int | None) -> int | None:
        """Return which statement of the script an element is; None for a guard, the commit, or an unknown one."""
        place = -1 if index is None else index - len(self.before)
        return place if 0 <= place < len(self.script) else None


def batch_of(
    workspace: Workspace, prepared: Prepared, index: int, event: Event, names: Sequence[str], schema_text: str
) -> Batch:
    """Build the batch of a step. `names` is the ledger and `schema_text` the user's schema as they must be before it.

    The batch of a step that is not the last one answers with the schema text after it, as its last result.
    """
    step = prepared.plan.steps[index]
    held = prepared.guards[index] if prepared.guards else StepGuard()
    if not probe.counts_changes(workspace):
        held = replace(held, changes=None)
    is_last = index == len(prepared.plan.steps) - 1
    before: list[Statement | Assertion] = []
    if index == 0:
        before += [] if prepared.look.has_ledger else [Statement(ledger_ddl(workspace.ledger))]
        before += [] if prepared.look.has_history else [Statement(HISTORY_DDL)]
    before += assertions.schema_is(schema_text, workspace.ledger)
    before.append(assertions.ledger_is(names, workspace.ledger))
    before += [assertions.content_is(content) for content in held.contents]
    before += opening(held)
    after = [*closing(held), ledger_change(workspace.ledger, step.kind, step.migration.file)]
    after.append(record(event, workspace.ledger))
    if defers(step.script.statements):
        after.append(Statement(END_OF_DEFERRAL))
    if not is_last:
        after.append(Statement(f"SELECT {SCHEMA_TEXT_SQL}", (None, workspace.ledger.lower())))
    return Batch(tuple(before), step.script.statements, tuple(after))


def opening(held: StepGuard) -> list[Statement | Assertion]:
    """Return what records the figures, as the last thing before a script."""
    if not held.bounds and held.changes is None:
        return []
    found: list[Statement | Assertion] = [Statement(f"DROP TABLE IF EXISTS {GUARD}"), Statement(GUARD_DDL)]
    found += figures.record(held.bounds)
    if held.changes is not None:
        found.append(figures.record_changes(len(held.bounds), held.changes))
    return found


def closing(held: StepGuard) -> list[Statement | Assertion]:
    """Return what compares the figures, as the first thing after a script."""
    if not held.bounds and held.changes is None:
        return []
    found: list[Statement | Assertion] = []
    if held.changes is not None:
        found.append(figures.record_changes_again(len(held.bounds)))
    found += figures.record_again((place, bound.figure) for place, bound in enumerate(held.bounds))
    if held.bounds:
        found.append(figures.moved_no_further(held.bounds))
    if held.changes is not None:
        place = len(held.bounds)
        found.append(figures.changed_as_rehearsed(place, held.changes, held.bounds, held.times))
    return [*found, Statement(f"DROP TABLE {GUARD}")]
