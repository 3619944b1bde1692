"""Findings that count, those that somebody decided to ignore, and those that were known before."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.audit.finding import Severity
from d1ops.core.audit.rules import unused_ignore
from d1ops.core.sql import fold
from d1ops.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from d1ops.core.audit.finding import Finding

BASELINE_VERSION = 1


@dataclass(frozen=True, slots=True)
class Ignore:
    """A decision not to hear of a rule, with its reason.

    Without a table, index, query or columns it is about every finding of the rule; each one given narrows it. Names
    compare without case, columns whatever their order. `path` and `line` are where the decision is written.
    """

    rule: str
    reason: str
    table: str | None = None
    index: str | None = None
    query: str | None = None
    columns: tuple[str, ...] = ()
    path: str | None = None
    line: int | None = None

    def fits(self, finding: Finding) -> bool:
        """Return whether the finding is one that the decision is about."""
        return (
            finding.rule == self.rule
            and _agrees(self.table, finding.table)
            and _agrees(self.index, finding.index)
            and _agrees(self.query, finding.query)
            and (not self.columns or set(map(fold, self.columns)) == set(map(fold, finding.columns)))
        )

    @property
    def described(self) -> str:
        """The rule and what narrows it: `full-scan of table users, query inbox`."""
        narrowed = [
            f"{kind} {name}" for kind in ("table", "index", "query") if (name := getattr(self, kind)) is not None
        ]
        if self.columns:
            narrowed.append(f"columns {', '.join(self.columns)}")
        return self.rule + (f" of {', '.join(narrowed)}" if narrowed else "")


@dataclass(frozen=True, slots=True)
class Sifted:
    """All findings of an audit, each in one place, in the order of the audit.

    `outdated` are the keys of the baseline that no finding has any more.
    """

    new: tuple[Finding, ...]
    known: tuple[Finding, ...] = ()
    ignored: tuple[tuple[Finding, Ignore], ...] = ()
    outdated: tuple[str, ...] = ()

    @property
    def worst(self) -> Severity | None:
        """The severity of the weightiest finding that counts, or None when none does."""
        return max((finding.severity for finding in self.new), key=lambda severity: severity.rank, default=None)


def sift(
    findings: Sequence[Finding],
    ignores: Sequence[Ignore] = (),
    baseline: Mapping[str, Severity] | None = None,
    in_sight: Callable[[Ignore], bool] = lambda _: True,
) -> Sifted:
    """Take out what is ignored, then what the baseline knows.

    A finding is known when its key is in the baseline with the same severity or a weightier one. An ignore that fits
    no finding is a finding of its own, where what it is about was `in_sight`.
    """
    baseline = baseline or {}
    needed: set[int] = set()
    ignored: list[tuple[Finding, Ignore]] = []
    rest: list[Finding] = []
    for finding in findings:
        fitting = [number for number, ignore in enumerate(ignores) if ignore.fits(finding)]
        needed.update(fitting)
        if fitting:
            ignored.append((finding, ignores[fitting[0]]))
        else:
            rest.append(finding)
    rest += [
        unused_ignore.finding(ignore)
        for number, ignore in enumerate(ignores)
        if number not in needed and in_sight(ignore)
    ]
    rest.sort(key=lambda finding: -finding.severity.rank)
    known = [finding for finding in rest if _is_known(finding, baseline)]
    seen = {finding.key for finding in (*findings, *rest)}
    return Sifted(
        new=tuple(finding for finding in rest if not _is_known(finding, baseline)),
        known=tuple(known),
        ignored=tuple(ignored),
        outdated=tuple(key for key in baseline if key not in seen),
    )


def _agrees(wanted: str | None, name: str | None) -> bool:
    return wanted is None or (name is not None and fold(wanted) == fold(name))


def _is_known(finding: Finding, baseline: Mapping[str, Severity]) -> bool:
    severity = baseline.get(finding.key)
    return severity is not None and finding.severity.rank <= severity.rank


# -- the baseline as a file ------------------------------------------------------------------------------


def baseline_text(findings: Iterable[Finding]) -> str:
    """Return a baseline: JSON, one finding a line, ordered by key, so that a change of it reads well in a diff."""
    known: dict[str, Severity] = {}
    for finding in findings:
        known[finding.key] = max(known.get(finding.key, finding.severity), finding.severity, key=lambda s: s.rank)
    document = {"version": BASELINE_VERSION, "findings": {key: known[key].value for key in sorted(known)}}
    return json.dumps(document, ensure_ascii=False, indent=2) + "\n"


def read_baseline(data: bytes, path: str) -> dict[str, Severity]:
    """Read what `baseline_text` wrote. Raises UsageError, naming `path`, for anything else."""
    try:
        document = json.loads(data)
        version, findings = document["version"], document["findings"]
        if version == BASELINE_VERSION:
            return {str(key): Severity(severity) for key, severity in findings.items()}
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise UsageError(f"{path} is not a baseline", hint=f"d1ops audit --write-baseline {path}") from None
    raise UsageError(
        f"{path} is a baseline of version {version!r}, and this d1ops reads version {BASELINE_VERSION}",
        hint=f"d1ops audit --write-baseline {path}",
    )
