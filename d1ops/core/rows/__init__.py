"""Sample rows for any schema, the same for the same schema and seed."""

from __future__ import annotations

from d1ops.core.rows.generate import Filled, Generated, generate

__all__ = ["Filled", "Generated", "generate"]
