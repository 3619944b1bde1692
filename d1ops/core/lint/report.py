"""The lint as one pure function."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.lint import ignores
from d1ops.core.lint.rules import RULES
from d1ops.core.lint.subject import examine

if TYPE_CHECKING:
    from d1ops.core.audit.finding import Finding
    from d1ops.core.catalog import Catalog, Script


@dataclass(frozen=True, slots=True)
class LintReport:
    """The findings in the order of the scripts, and how many a comment excuses."""

    findings: tuple[Finding, ...]
    ignored: int


def lint(catalog: Catalog) -> LintReport:
    """Lint all scripts of a catalog. Never raises for what is wrong with one: that is a finding."""
    subject = examine(catalog)
    found = [finding for rule in RULES.values() for finding in rule.find(subject)]
    kept, ignored = ignores.apply(catalog, found, RULES)
    order = {script.path: place for place, script in enumerate(_scripts(catalog))}
    kept.sort(key=lambda f: (order.get(f.path or "", -1), f.line or 0, -f.severity.rank, f.rule, f.message))
    return LintReport(tuple(kept), ignored)


def _scripts(catalog: Catalog) -> list[Script]:
    return [s for m in catalog.migrations for s in (m.script, m.rollback) if s is not None]
