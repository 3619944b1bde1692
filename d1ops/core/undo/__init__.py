"""Scripts that take back what a migration did, and safe forms of scripts that would lose rows."""

from __future__ import annotations

from d1ops.core.undo.generate import Comparison, Rollback, Standing, compare, write_rollback

__all__ = ["Comparison", "Rollback", "Standing", "compare", "write_rollback"]
