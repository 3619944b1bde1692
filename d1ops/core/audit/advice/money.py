"""What queries cost in money, where the query log says how often they ran."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from d1ops.core.audit.advice.advise import Effect

MONTH_DAYS = 30


@dataclass(frozen=True, slots=True)
class Prices:
    """A price list, without what a plan includes for nothing. Defaults: D1's published prices in US dollars."""

    currency: str = "USD"
    rows_read_per_million: float = 0.001
    rows_written_per_million: float = 1.0
    storage_gb_month: float = 0.75

    @property
    def write_price(self) -> float:
        """What a row written costs, in rows read."""
        if self.rows_read_per_million <= 0:
            return 0.0
        return self.rows_written_per_million / self.rows_read_per_million


@dataclass(frozen=True, slots=True)
class Bill:
    """What the known executions of a query come to in a month, before and after."""

    query: str
    executions: float
    rows_read_before: float
    rows_read_after: float
    rows_written_before: float
    rows_written_after: float
    cost_before: float
    cost_after: float


def bills(effects: Iterable[Effect], prices: Prices) -> tuple[Bill, ...]:
    """Return a bill for every query of the log, the dearest first.

    `before` is what the log counted. `after` is that, changed in the proportion that was measured: the scratch database
    has other rows than the target, but a plan reads them in the same way.
    """
    found: list[Bill] = []
    for effect in effects:
        seen = effect.observed
        if seen is None:
            continue
        share = MONTH_DAYS / seen.days
        read, written = seen.rows_read * share, seen.rows_written * share
        read_after = read * _ratio(effect.rows_read_before, effect.rows_read_after)
        written_after = written * _ratio(effect.rows_written_before, effect.rows_written_after)
        found.append(
            Bill(
                effect.query,
                seen.executions * share,
                read,
                read_after,
                written,
                written_after,
                _cost(read, written, prices),
                _cost(read_after, written_after, prices),
            )
        )
    return tuple(sorted(found, key=lambda bill: (-bill.cost_before, bill.query)))


def _ratio(before: float | None, after: float | None) -> float:
    return after / before if before and after is not None else 1.0


def _cost(read: float, written: float, prices: Prices) -> float:
    return (read * prices.rows_read_per_million + written * prices.rows_written_per_million) / 1_000_000
