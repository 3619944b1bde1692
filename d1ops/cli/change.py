"""What `migrate` and `rollback` share once a change is rehearsed: show it, refuse or ask, prove the target, send it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from d1ops.cli import consent as consents
from d1ops.cli import diagnostics
from d1ops.cli.documents import applied_document, prepared_document
from d1ops.cli.words import PROBE, prepared_lines, undo_command
from d1ops.errors import ConsentMissing, HumanNeeded, OutcomeUnknown, PartialRun, PiecesLeft

if TYPE_CHECKING:
    from collections.abc import Callable

    from d1ops.cli.call import Call
    from d1ops.cli.consent import Agreement
    from d1ops.ops.change import Applied, Consent, Prepared
    from d1ops.ops.workspace import Workspace

EMPTY: dict[str, Any] = {"plan": [], "blast_radius": [], "refused": None, "backup": None, "applied": None}
"""What the document of a change holds from the beginning."""


def show(call: Call, prepared: Prepared) -> None:
    """Show what was found out about a change."""
    call.note(**prepared_document(prepared))
    lines = prepared_lines(prepared)
    if lines:
        call.preview(lines)


def carry_out(
    call: Call,
    workspace: Workspace,
    prepared: Prepared,
    agreement: Agreement,
    question: str,
    act: Callable[[Consent], Applied],
) -> Applied:
    """Refuse what a guard refuses, ask, prove that the target is atomic where nobody knows, and act.

    Raises what `ops.change.apply` raises, ConsentMissing, and UsageError for a loss that nothing can have.
    """
    from d1ops.ops.acceptance import require_names
    from d1ops.ops.change import Consent, refuse

    # What is typed on a terminal is held against the losses that were just shown.
    require_names(prepared, agreement.accepted)
    if not (prepared.drift or prepared.wrong or prepared.dangling):
        agreement = consents.with_typed_losses(prepared, agreement)
    refuse(prepared, Consent(by=workspace.actor, accepted=agreement.accepted))
    consent = consents.obtain(workspace, agreement, question)
    prove_atomic(workspace, agreement)
    if call.watched is not None and not prepared.look.everything.objects:
        call.watched.create()
    try:
        applied = act(consent)
    except (HumanNeeded, OutcomeUnknown, PartialRun, PiecesLeft):
        if prepared.backup is not None:
            undo = call.command("restore", prepared.backup.id)
            diagnostics.tell(f"the backup from before the run is {prepared.backup.id}; {undo} rewinds to it")
        raise
    call.note(applied=applied_document(applied, workspace.database.requests), undo=undo_command(call, applied))
    return applied


def prove_atomic(workspace: Workspace, agreement: Agreement) -> None:
    """Run the atomicity probe on a target about which nobody knows, once somebody who agreed to the change agrees to
    it too. Raises ConsentMissing."""
    from d1ops.database.base import Atomicity
    from d1ops.ops import probe

    if probe.known(workspace) is not Atomicity.UNKNOWN:
        return
    diagnostics.tell(f"nobody has proved yet that this target executes a batch all or nothing. {PROBE}")
    # Whoever did not agree by an option has just agreed on a terminal.
    if not agreement.is_given(workspace) and diagnostics.ask("Run the probe? [y/N]").lower() not in ("y", "yes"):
        raise ConsentMissing(
            "without the probe nothing is changed on this target", hint="d1ops doctor --probe runs it alone"
        )
    probe.run(workspace)
