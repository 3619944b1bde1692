"""What an examination of a target finds, as values."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from d1ops.database.base import Target


class Health(StrEnum):
    """How a check came out, from best to worst."""

    OK = "ok"
    UNKNOWN = "unknown"
    """Nobody asked, or the target cannot say."""
    WARNING = "warning"
    PROBLEM = "problem"

    @property
    def rank(self) -> int:
        """The place in the order, from 0."""
        return list(Health).index(self)


@dataclass(frozen=True, slots=True)
class Check:
    """One fact. `remedy` is what to do about it, where something is to be done."""

    name: str
    state: Health
    fact: str
    remedy: str | None = None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """All checks, and how many requests they took."""

    target: Target
    checks: tuple[Check, ...]
    requests: int

    @property
    def worst(self) -> Health:
        """The worst state of all checks."""
        return max((check.state for check in self.checks), key=lambda state: state.rank, default=Health.OK)
