"""The audit as one pure function, and its JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Finding, Severity
from d1ops.core.audit.rules import RULES, automatic_index, correlated_scan, defeated_index, full_scan
from d1ops.core.audit.scope import Scope, scope_of
from d1ops.core.audit.subject import examine, rebuild

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from d1ops.core.audit.foreign_keys import ForeignKey
    from d1ops.core.audit.rows import RowCount
    from d1ops.core.audit.subject import Subject
    from d1ops.core.queries import Query
    from d1ops.core.schema import Schema
    from d1ops.core.values import Row

SELECT_STATISTICS = "SELECT tbl, idx, stat FROM sqlite_stat1"
"""Reads the statistics of a target whose schema has the table `STATISTICS`."""

STATISTICS = "sqlite_stat1"

_WHOLE_READS = frozenset((full_scan.ID, automatic_index.ID, correlated_scan.ID, defeated_index.ID))


_NOTHING = Scope()


@dataclass(frozen=True, slots=True)
class Summary:
    """What was looked at. `queries_with_full_scan` counts those with a warning about a table that is read whole.
    `drift_checked` says whether the target was compared with a replay of its ledger.
    """

    tables: int
    foreign_keys: int
    indexed_foreign_keys: int
    queries: int
    queries_with_full_scan: int
    has_statistics: bool
    drift_checked: bool


@dataclass(frozen=True, slots=True)
class Report:
    """The findings, the weightiest first, and what was looked at; the tables and foreign keys for a diagram. `scope`
    says which findings could have been made."""

    findings: tuple[Finding, ...]
    summary: Summary
    tables: tuple[str, ...] = ()
    foreign_keys: tuple[ForeignKey, ...] = ()
    scope: Scope = _NOTHING

    @property
    def worst(self) -> Severity | None:
        """The severity of the weightiest finding, or None when there is none."""
        return max((finding.severity for finding in self.findings), key=lambda severity: severity.rank, default=None)


def audit(
    schema: Schema,
    statistics: Sequence[Row],
    queries: Sequence[Query],
    ledger: str,
    *,
    known_rows: Mapping[str, RowCount] | None = None,
    expected: Schema | None = None,
) -> Report:
    """Audit a schema with all its objects, as the rows of `SELECT_OBJECTS` and `SELECT_STATISTICS` hold it.

    What belongs to SQLite, Cloudflare, d1ops or the table `ledger` is not audited. `known_rows` are the rows of tables
    from elsewhere than statistics, `expected` the schema that the applied migrations build. Raises HumanNeeded when an
    object cannot be rebuilt from its own definition.
    """
    return judge(examine(rebuild(schema, ledger), statistics, queries, known_rows=known_rows, expected=expected))


def judge(subject: Subject) -> Report:
    """Apply every rule to the facts."""
    findings = sorted((finding for rule in RULES.values() for finding in rule.find(subject)), key=_order)
    tables = tuple(table for table in subject.schema.tables() if table in subject.tables)
    return Report(tuple(findings), _summary(subject, findings), tables, subject.foreign_keys, scope_of(subject))


def _order(finding: Finding) -> tuple[int, str, str, str, int, tuple[str, ...], str]:
    return (
        -finding.severity.rank,
        finding.rule,
        finding.table or "",
        finding.path or "",
        finding.line or 0,
        finding.columns,
        finding.message,
    )


def _summary(subject: Subject, findings: Sequence[Finding]) -> Summary:
    scanning = {
        (finding.path, finding.query)
        for finding in findings
        if finding.rule in _WHOLE_READS and finding.severity is not Severity.INFO
    }
    return Summary(
        tables=len(subject.tables),
        foreign_keys=len(subject.foreign_keys),
        indexed_foreign_keys=sum(key.is_indexed for key in subject.foreign_keys),
        queries=len(subject.queries),
        queries_with_full_scan=len(scanning),
        has_statistics=bool(subject.statistics),
        drift_checked=subject.expected is not None,
    )


def to_json(report: Report) -> dict[str, object]:
    """Return the report as the JSON document of `d1ops audit`: `{findings: [...], summary: {...}}`."""
    findings = [{"key": finding.key, **asdict(finding)} for finding in report.findings]
    return {"findings": findings, "summary": asdict(report.summary)}
