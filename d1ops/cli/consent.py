"""Somebody must agree before anything changes; silence is a no.

An env that is not protected asks y/N on a terminal and takes `--yes` where nobody can answer. A protected one wants its
name: typed, or `--confirm NAME` where nobody can type. What a change would lose beside the expected is agreed to by
name alone: `--accept-loss artists,tracks.plays`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated

import typer

from d1ops.cli import diagnostics
from d1ops.errors import ConsentMissing

if TYPE_CHECKING:
    from d1ops.ops.change import Consent, Prepared
    from d1ops.ops.workspace import Workspace

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Agree beforehand. Not enough on a protected env.")]
Confirm = Annotated[
    str | None,
    typer.Option(
        "--confirm",
        metavar="NAME",
        show_default=False,
        help="Agree beforehand by naming the env; what a protected env asks for where nobody can type.",
    ),
]
AcceptLoss = Annotated[
    str | None,
    typer.Option(
        "--accept-loss",
        metavar="NAMES",
        show_default=False,
        help="Collateral losses to accept, by name: artists,tracks.plays",
    ),
]


@dataclass(frozen=True, slots=True)
class Agreement:
    """What the options of a command say before anybody is asked."""

    yes: bool = False
    confirm: str | None = None
    accepted: frozenset[str] = frozenset()

    def is_given(self, workspace: Workspace) -> bool:
        """Whether nobody needs to be asked."""
        return self.confirm == workspace.env or (self.yes and not workspace.protected)


def names(text: str | None) -> frozenset[str]:
    """Return the names of `--accept-loss`, as `core.measure.loss_name` gives them: it quotes one with a comma."""
    found = (match.strip() for match in re.findall(r'(?:"(?:[^"]|"")*"|[^,"]|")+', text or ""))
    return frozenset(name for name in found if name)


def obtain(workspace: Workspace, agreement: Agreement, question: str) -> Consent:
    """Return the consent to a change that was shown. Raises ConsentMissing when nobody gives it."""
    from d1ops.ops.change import Consent

    require_right_name(workspace, agreement)
    if not agreement.is_given(workspace):
        _ask(workspace, question)
    return Consent(by=workspace.actor, accepted=agreement.accepted)


def require_right_name(workspace: Workspace, agreement: Agreement) -> None:
    """Raise ConsentMissing when `--confirm` names another env: somebody believes to be elsewhere."""
    if agreement.confirm is not None and agreement.confirm != workspace.env:
        raise ConsentMissing(
            f"--confirm names {agreement.confirm!r}, and the env is {workspace.env!r}; nothing was changed",
            hint=f"--confirm {workspace.env}, if that is the one",
        )


def _ask(workspace: Workspace, question: str) -> None:
    name = workspace.env
    if not diagnostics.is_interactive():
        if workspace.protected:
            fact = f"{name} is protected and nobody is here to type its name; nothing was changed"
            raise ConsentMissing(fact, hint=f"--confirm {name}")
        raise ConsentMissing("nobody is here to agree; nothing was changed", hint="--yes")
    if workspace.protected:
        if diagnostics.ask(f"{question} Type the env's name to agree ({name}):") != name:
            raise ConsentMissing("the env's name was not typed; nothing was changed")
    elif diagnostics.ask(f"{question} [y/N]").lower() not in ("y", "yes"):
        raise ConsentMissing("the answer was no; nothing was changed")


def with_typed_losses(prepared: Prepared, agreement: Agreement) -> Agreement:
    """Let a person on a terminal name the collateral losses that no option names; elsewhere nothing is asked."""
    from d1ops.ops.change import Consent

    consent = Consent(by="", accepted=agreement.accepted)
    missing = [loss for loss in prepared.collateral if not consent.covers(loss)]
    if not missing or not diagnostics.is_interactive():
        return agreement
    diagnostics.warn(f"this loses what nobody asked to lose: {', '.join(missing)}")
    typed = diagnostics.ask("To lose it knowingly, type these names, separated by commas (nothing stops here):")
    return replace(agreement, accepted=agreement.accepted | names(typed))
