"""Scripts that take back what a migration did, and safe forms of scripts that would lose rows."""

from __future__ import annotations

from d1ops.core.undo.generate import Comparison, Rollback, Standing, compare, write_rollback
from d1ops.core.undo.safe import NoSafeForm, SafeForm, safe_form

__all__ = ["Comparison", "NoSafeForm", "Rollback", "SafeForm", "Standing", "compare", "safe_form", "write_rollback"]
