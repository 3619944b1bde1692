"""How an emulator behaves: everything that `d1ops emulate` can be told."""

from __future__ import annotations

from collections.abc import Callable, Mapping  # noqa: TC003 - small, and the dataclass below is public API
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path  # noqa: TC003 - see above

from d1ops.core import rules
from d1ops.emulator.faults import Faults

ACCOUNT_ID = "d10d10d10d10d10d10d10d10d10d10d1"
MAX_BODY_BYTES = 10_000_000
"""D1's own limit of a request body is not documented; 1 MB is claimed by one third party."""


class EngineName(StrEnum):
    """What runs the statements."""

    SQLITE = "sqlite"
    """SQLite under D1's rules, in this process: quick, needs nothing else."""
    WORKERD = "workerd"
    """The engine that Cloudflare runs; needs Node.js and wrangler."""


class Splitter(StrEnum):
    """How a text of several statements is cut."""

    EXACT = "exact"
    """As SQLite cuts it."""
    D1 = "d1"
    """As the service was seen to cut it, with its defects in trigger bodies."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


@dataclass(frozen=True, slots=True)
class Settings:
    """One emulator. `folder` None is a temporary one, removed at the end.

    `token` may change databases and `read_token` only read them; with neither, any token may do everything.
    `rate_limit` counts requests in `rate_window_seconds` for one token. `active_polls` is how often a task of export or
    import answers that it is still running; one that nobody polls for `task_seconds` is given up. `now` is the clock.
    """

    folder: Path | None = None
    engine: EngineName = EngineName.SQLITE
    token: str | None = field(default=None, repr=False)
    read_token: str | None = field(default=None, repr=False)
    analytics_token: str | None = field(default=None, repr=False)
    """The only token that may ask the GraphQL analytics, where there is one; it may read databases, too."""
    account_id: str = ACCOUNT_ID
    latency_seconds: float = 0.0
    faults: Faults = field(default_factory=Faults)
    splitter: Splitter = Splitter.EXACT
    atomic_batch: bool = True
    """False keeps what a batch did before the statement that failed, as one report says of the service."""
    atomic_import: bool = True
    """False keeps what an import did before the statement that failed."""
    rate_limit: int | None = None
    rate_window_seconds: float = 300.0
    max_body_bytes: int = MAX_BODY_BYTES
    max_request_seconds: float = rules.MAX_REQUEST_SECONDS
    """How long a request may work, where the engine is SQLite."""
    active_polls: int = 1
    task_seconds: float = 30.0
    url_seconds: float = 3600.0
    """How long a signed URL is valid; Cloudflare documents one hour for exports."""
    environ: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Where `D1OPS_NODE_MODULES` is looked for when the engine is workerd."""
    modules: tuple[Path, ...] = ()
    """Folders from which workerd is looked for, before the current one."""
    now: Callable[[], datetime] = _utc_now
