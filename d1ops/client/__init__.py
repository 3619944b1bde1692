"""A typed client for Cloudflare D1's REST API, usable alone.

    from d1ops import D1Client

    with D1Client.from_environment() as client:
        result = client.query(database_id, "SELECT id, name FROM artists WHERE id = ?", ["a1"])

`AsyncD1Client` has the same operations as coroutines. Importing this package loads nothing; names come when used.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from d1ops.client.analytics import QueryGroup, QueryLog
    from d1ops.client.budget import Budget
    from d1ops.client.call import Answer, Call, Download, Fault, Safety, Steps, Upload, send
    from d1ops.client.clients import AsyncD1Client, D1Client
    from d1ops.client.models import DatabaseInfo
    from d1ops.client.protocols import DumpOptions, Exported, Ingested
    from d1ops.client.results import TypedResult
    from d1ops.client.secret import Secret
    from d1ops.client.session import Settings

_HOMES = {
    "analytics": ("QueryGroup", "QueryLog"),
    "budget": ("Budget",),
    "call": ("Answer", "Call", "Download", "Fault", "Safety", "Steps", "Upload", "send"),
    "clients": ("AsyncD1Client", "D1Client"),
    "models": ("DatabaseInfo",),
    "protocols": ("DumpOptions", "Exported", "Ingested"),
    "results": ("TypedResult",),
    "secret": ("Secret",),
    "session": ("Settings",),
}
_MODULE_OF = {name: module for module, names in _HOMES.items() for name in names}

__all__ = [
    "Answer",
    "AsyncD1Client",
    "Budget",
    "Call",
    "D1Client",
    "DatabaseInfo",
    "Download",
    "DumpOptions",
    "Exported",
    "Fault",
    "Ingested",
    "QueryGroup",
    "QueryLog",
    "Safety",
    "Secret",
    "Settings",
    "Steps",
    "TypedResult",
    "Upload",
    "send",
]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"d1ops.client.{_MODULE_OF[name]}"), name)
