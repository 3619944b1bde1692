"""Findings with a place in a script."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Finding

if TYPE_CHECKING:
    from d1ops.core.audit.finding import Severity
    from d1ops.core.lint.subject import Run, Step
    from d1ops.errors import ScriptError


def at_step(
    rule: str,
    severity: Severity,
    step: Step,
    message: str,
    remedy: str,
    *,
    table: str | None = None,
    columns: tuple[str, ...] = (),
) -> Finding:
    """Return a finding about one statement."""
    return Finding(rule, severity, table, columns, message, remedy, path=step.statement.path, line=step.statement.line)


def at_script(rule: str, severity: Severity, run: Run, message: str, remedy: str) -> Finding:
    """Return a finding about a whole script."""
    return Finding(rule, severity, None, (), message, remedy, path=run.script.path, line=1)


def at_error(rule: str, severity: Severity, error: ScriptError) -> Finding:
    """Return a finding about a script that cannot be read."""
    return Finding(
        rule, severity, None, (), error.problem, error.hint or "mend the script", path=error.path, line=error.line or 1
    )
