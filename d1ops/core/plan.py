"""What would be sent, in order."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from d1ops.core.catalog import Migration, Script
    from d1ops.core.ledger import EventKind


@dataclass(frozen=True, slots=True)
class Step:
    """One script that is run as one batch. `kind` is migrate or rollback."""

    kind: EventKind
    migration: Migration
    script: Script
    ledger_id: int | None = None
    """For a rollback, the id of the ledger row that it takes away."""

    @property
    def label(self) -> str:
        """The step in words: `migrate 0007 clerk_integration`."""
        return f"{self.kind.value} {self.migration.label} {self.migration.name}"


@dataclass(frozen=True, slots=True)
class Plan:
    """The steps of one command."""

    steps: tuple[Step, ...]

    @property
    def is_empty(self) -> bool:
        """Whether there is nothing to do."""
        return not self.steps
