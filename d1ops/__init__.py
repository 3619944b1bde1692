"""Change Cloudflare D1 databases without losing anything.

`from d1ops import D1Client, AsyncD1Client` gives the typed client alone; importing this package loads neither.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from d1ops.client import AsyncD1Client, D1Client
    from d1ops.errors import D1opsError

__all__ = ["AsyncD1Client", "D1Client", "D1opsError", "__version__"]


def __getattr__(name: str) -> object:
    if name in ("AsyncD1Client", "D1Client"):
        import d1ops.client

        return getattr(d1ops.client, name)
    if name == "D1opsError":
        from d1ops.errors import D1opsError

        return D1opsError
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
