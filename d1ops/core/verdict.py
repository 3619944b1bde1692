"""The verdicts about rollbacks, and what they rest on."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.catalog import Migration
    from d1ops.core.made import Made
    from d1ops.core.rehearsal import TableLoss


class Verdict(StrEnum):
    """What a rollback can promise."""

    SAFE = "safe"
    """No data is at stake."""
    REVERSIBLE = "reversible"
    """The structure returns; rows that the migration made room for, or inserted, are lost."""
    LOSSY = "lossy"
    """The structure returns; the values of columns that the migration added to tables of others are lost."""
    IRREVERSIBLE = "irreversible"
    """The migration itself destroyed or overwrote rows or values, or its author says so."""
    UNPROVEN = "unproven"
    """No script, a script that fails, or one that does not bring structure and rows back."""

    @property
    def is_proved(self) -> bool:
        """Whether the rollback script was seen to bring everything back but what the verdict names."""
        return self in (Verdict.SAFE, Verdict.REVERSIBLE, Verdict.LOSSY)


@dataclass(frozen=True, slots=True)
class Reversibility:
    """The verdict about one migration, and what it rests on.

    `evidence` says it in sentences. `destroyed` is what the migration itself took from rows that were there, `losses`
    what its rollback took from the rows of the trial, and `lost` what it takes from any rows, in words; the latter two
    are empty where the rollback is not proved. `alone` says whether the script holds with all later migrations applied;
    False means only in cascade, `obstacles` say why, and None means that it is not proved at all. `needed_by` are the
    later migrations that do not stand without this one. `reordered` are tables whose columns come back in another
    order. `warnings` speak of what did not refuse.
    """

    migration: Migration
    verdict: Verdict
    made: Made
    evidence: tuple[str, ...] = ()
    destroyed: tuple[TableLoss, ...] = ()
    losses: tuple[TableLoss, ...] = ()
    lost: tuple[str, ...] = ()
    alone: bool | None = None
    obstacles: tuple[str, ...] = ()
    needed_by: tuple[Migration, ...] = ()
    reordered: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


REACH = {True: "alone", False: "cascade only", None: "-"}
"""How `Reversibility.alone` is shown."""


def joined(lost: Sequence[str], *, most: int = 1000) -> str:
    """Say what is lost, each beginning once, and only how many where it is more than `most` of a kind."""
    found: list[str] = []
    for beginning, kind in (("all rows of ", "tables"), ("the values of ", "columns"), ("the ", "inserts")):
        names = [text.removeprefix(beginning) for text in lost if text.startswith(beginning)]
        lost = [text for text in lost if not text.startswith(beginning)]
        if len(names) > most:
            names = [f"{len(names)} {kind}"]
        found += [beginning + ", ".join(names)] if names else []
    return ", ".join(found) or "nothing"
