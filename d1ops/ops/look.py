"""One look at a target: schema, ledger and history in one request, never a write.

A target that lacks the ledger or the history answers with `no such table`; the look is then repeated without it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.ledger import (
    CHUNKED,
    HISTORY,
    SELECT_CHUNKED,
    SELECT_HISTORY,
    Event,
    LedgerRow,
    MigrationStatus,
    Progress,
    history_from_rows,
    ledger_from_rows,
    progress_from_rows,
    select_ledger,
    states,
)
from d1ops.core.restoring import MARK
from d1ops.core.schema import SELECT_OBJECTS, Schema
from d1ops.core.values import Statement
from d1ops.errors import HumanNeeded, StatementRejected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.values import Result
    from d1ops.ops.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Look:
    """What a target held at one moment. `everything` has all objects, `schema` only the user's own."""

    everything: Schema
    schema: Schema
    ledger: tuple[LedgerRow, ...]
    history: tuple[Event, ...]
    has_ledger: bool
    has_history: bool
    size_bytes: int
    extra: tuple[Result, ...] = ()
    """The answers to the statements that were asked along, in order."""
    progress: tuple[Progress, ...] = ()
    """Chunked migrations that are under way."""

    def statuses(self, workspace: Workspace) -> tuple[MigrationStatus, ...]:
        """The state of every migration."""
        return states(workspace.catalog, self.ledger, self.history)

    def find_nonce(self, nonce: str) -> Event | None:
        """The event of an attempt, if it is in the history: committed, or, as its kind says, withdrawn."""
        return next((event for event in self.history if event.nonce == nonce), None)


def look(workspace: Workspace, along: Sequence[Statement] = (), *, lossy: bool = False) -> Look:
    """Read schema, ledger and history, and the statements `along`, as one transaction; in a second request, where a
    chunked migration is under way, how far it is."""
    both = {workspace.ledger: select_ledger(workspace.ledger), HISTORY: SELECT_HISTORY}
    wanted = dict(both)
    while True:
        statements = [Statement(SELECT_OBJECTS), *(Statement(sql) for sql in wanted.values()), *along]
        try:
            results = workspace.database.batch(statements, reads_only=True, lossy=lossy)
        except StatementRejected as error:
            missing = next((name for name in wanted if f"no such table: {name}" in error.text), None)
            if missing is None:
                raise
            del wanted[missing]
            continue
        everything = Schema.from_rows(results[0].rows)
        if not any(everything.has_table(name) for name in both.keys() - wanted.keys()):
            break
        # Somebody made the table between two requests: a look that leaves it out would take its rows for none.
        wanted = dict(both)
    found = dict(zip(wanted, results[1:], strict=False))
    progress: tuple[Progress, ...] = ()
    if everything.has_table(CHUNKED):
        progress = progress_from_rows(workspace.database.query(SELECT_CHUNKED).rows)
    return Look(
        everything=everything,
        schema=everything.users(workspace.ledger),
        ledger=ledger_from_rows(found[workspace.ledger].rows) if workspace.ledger in found else (),
        history=history_from_rows(found[HISTORY].rows) if HISTORY in found else (),
        has_ledger=workspace.ledger in found,
        has_history=HISTORY in found,
        size_bytes=results[0].meta.size_after_bytes,
        extra=results[1 + len(wanted) :],
        progress=progress,
    )


def require_none_under_way(seen: Look, command: str) -> None:
    """Raise HumanNeeded while a load is unfinished: what is there is neither the one database nor the other."""
    if seen.everything.has_table(MARK):
        raise HumanNeeded(
            f"a restore is under way on this target; {command} would find half a database",
            hint="d1ops restore --resume goes on with it, d1ops status says how far it came",
        )
