"""By which way a guarded batch reaches the target.

* `batch`: one request, one statement an element. The way of every step where the target is known to execute a batch all
  or nothing.
* `import`: one file. The way of a step that the service's own splitter breaks (`incomplete input` for a statement that
  SQLite calls complete), and of every step where the target was found to keep part of a batch.

Where neither is possible the change is refused, with the reason.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.importing import file_of
from d1ops.database.base import Atomicity
from d1ops.errors import NotAtomic, StatementRejected
from d1ops.ops import probe

if TYPE_CHECKING:
    from d1ops.core.plan import Step
    from d1ops.core.values import Result
    from d1ops.ops.guard import Batch
    from d1ops.ops.workspace import Workspace

_INCOMPLETE = "incomplete input"


def require(workspace: Workspace) -> None:
    """Raise NotAtomic unless there is a way on which a change of this target is all or nothing."""
    if probe.known(workspace) is Atomicity.REFUTED and _may_ingest(workspace):
        return
    probe.require_atomic(workspace)


def send(workspace: Workspace, batch: Batch, step: Step) -> tuple[Result, ...]:
    """Send a batch and return its results; none where it went as a file.

    Raises StatementRejected with nothing changed, NotAtomic, and OutcomeUnknown.
    """
    if probe.known(workspace) is Atomicity.REFUTED:
        return _ingest(workspace, batch, step, "this target keeps part of a batch that fails")
    try:
        # A number that D1's JSON rounds must not look like a failure after the batch was committed.
        return workspace.database.batch(batch.statements(), lossy=True)
    except StatementRejected as error:
        if _INCOMPLETE not in error.text:
            raise
        reason = "the service cuts a statement of the script in two"
        if not _may_ingest(workspace):
            raise StatementRejected(
                f"{error.text}: {reason}, though SQLite takes it as a whole",
                hint="write the trigger on one line, in upper case, without CASE ... END; or allow the import",
            ) from None
        return _ingest(workspace, batch, step, reason)


def _ingest(workspace: Workspace, batch: Batch, step: Step, reason: str) -> tuple[Result, ...]:
    if not _may_ingest(workspace):
        raise NotAtomic(f"{reason}, and it takes no import", hint="d1ops doctor --probe repeats the probe")
    probe.require_ingest(workspace)
    workspace.tell(f"{step.label}: sent as a file through the import, since {reason}; others wait while it runs")
    workspace.database.ingest(file_of(batch.before, batch.script, batch.after))
    return ()


def _may_ingest(workspace: Workspace) -> bool:
    return workspace.allows_ingest and workspace.database.capabilities.ingest
