"""What fits into one batch, judged before it is sent: D1 gives a request 30 seconds, and one that takes longer is
undone and makes everybody else wait meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.contents import Form
from d1ops.errors import TooLong

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.contents import Part
    from d1ops.core.plan import Plan
    from d1ops.ops.guard import StepGuard
    from d1ops.ops.workspace import Workspace

SAFETY = 2.0
"""How many times longer the target may take than this machine."""

WAYS_OUT = (
    "split the script into several migrations; write an UPDATE or DELETE of many rows as a chunked migration"
    " (docs/chunked-migrations.md); load rows with wrangler d1 execute --file"
)


def require_time(workspace: Workspace, plan: Plan, guards: Sequence[StepGuard]) -> None:
    """Raise TooLong for a step that took too long on the clone to be sure to end in time on the target."""
    for step, guard in zip(plan.steps, guards, strict=True):
        expected = guard.seconds * SAFETY
        if expected > workspace.batch_max_seconds:
            raise TooLong(
                f"{step.script.path} took {guard.seconds:.1f} seconds on the copy, and the target gives a batch"
                f" {workspace.batch_max_seconds:g}: it may not end in time",
                hint=WAYS_OUT,
            )


def require_comparable(parts: Sequence[Part]) -> Sequence[Part]:
    """Raise TooLong where more is about to go than can be compared with the backup inside of the batch."""
    over = [part for part in parts if part.form is Form.TOO_LARGE]
    if over:
        listed = ", ".join(f"{part.doomed.name} ({part.bytes:,} bytes)" for part in over)
        raise TooLong(
            f"the change takes more than a batch can compare with the backup in time: {listed}",
            hint="delete the rows first with a chunked migration (docs/chunked-migrations.md), then drop what is empty",
        )
    return parts
