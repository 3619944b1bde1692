"""Which backups stay: the newest, and the newest of each day and week."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from datetime import datetime


@dataclass(frozen=True, slots=True)
class Retention:
    """How many stay: of the newest, of the days and of the ISO weeks (both UTC) that have any."""

    last: int = 0
    daily: int = 0
    weekly: int = 0


def kept(backups: Sequence[tuple[str, datetime]], retention: Retention) -> frozenset[str]:
    """Return the ids that stay, of (id, time in UTC) from the oldest to the newest.

    A day that has several keeps its newest; days and weeks without any do not count.
    """
    newest_first = list(reversed(backups))
    found = {backup for backup, _ in newest_first[: retention.last]}
    found |= set(_newest_of(newest_first, lambda at: (at.year, at.month, at.day), retention.daily))
    found |= set(_newest_of(newest_first, lambda at: tuple(at.isocalendar())[:2], retention.weekly))
    return frozenset(found)


def _newest_of(
    newest_first: Iterable[tuple[str, datetime]], period: Callable[[datetime], tuple[int, ...]], count: int
) -> list[str]:
    found: dict[tuple[int, ...], str] = {}
    for backup, at in newest_first:
        found.setdefault(period(at), backup)
    return list(found.values())[:count]
