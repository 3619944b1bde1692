"""From a check to what its renderings are made of: rollbacks that are not proved, and what the lint finds."""

from __future__ import annotations

from typing import TYPE_CHECKING

import d1ops
from d1ops.cli.reports.build import page
from d1ops.cli.reports.model import Findings, Item, RuleText, State
from d1ops.core.audit.finding import Severity
from d1ops.core.lint.files import FILE_RULES
from d1ops.core.lint.ignores import ID as IGNORE_COMMENT
from d1ops.core.lint.rules import RULES

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping

    from d1ops.core.audit.finding import Finding
    from d1ops.core.catalog import Catalog
    from d1ops.ops.check import Checked

UNPROVEN = "unproven-rollback"

_OTHERS = (
    (UNPROVEN, "A rollback script that is not proved, or none where one is needed.", Severity.ERROR),
    (IGNORE_COMMENT, "A comment that excuses nothing.", Severity.WARNING),
    *((rule, "A file name that keeps the folders from being a catalog.", Severity.ERROR) for rule in FILE_RULES),
)


def of_check(
    catalog: Catalog,
    done: Checked | None,
    problems: Mapping[int, tuple[str, ...]],
    found: Iterable[Finding],
    *,
    excused: Collection[str],
    fails_from: Severity | None,
    made_at: str,
    folder: str,
) -> Findings:
    """Return the findings of a check. `problems` are those of the proof, by the migration's number; what is found in
    the scripts `excused` (paths) is shown and makes no answer no."""
    return Findings(
        name="check",
        category="check",
        title="Check of the migrations and their rollbacks",
        items=(*_unproven(catalog, problems), *_way(catalog, done), *(_item(each, excused) for each in found)),
        rules=rule_texts(),
        facts=(("migrations", str(len(catalog.migrations))), ("at", made_at)),
        figures=_figures(done),
        fails_from=fails_from,
        made_at=made_at,
        tool_version=d1ops.__version__,
        folder=folder,
    )


def rule_texts() -> tuple[RuleText, ...]:
    """Return the rules of the check with their pages."""
    rules = [(rule.id, rule.title, rule.severity) for rule in RULES.values()]
    return tuple(RuleText(id_, title, severity, page(id_)) for id_, title, severity in (*rules, *_OTHERS))


def _unproven(catalog: Catalog, problems: Mapping[int, tuple[str, ...]]) -> Iterator[Item]:
    for migration in catalog.migrations:
        script = migration.rollback or migration.script
        for number, text in enumerate(problems.get(migration.number, ())):
            yield Item(
                key=f"{UNPROVEN} {migration.label} {number}",
                rule=UNPROVEN,
                severity=Severity.ERROR,
                message=f"{migration.label} {migration.name}: {text}",
                remedy="mend the rollback script, or say why there is none: -- d1ops: irreversible REASON",
                about=migration.label,
                path=script.path,
                line=1,
            )


def _way(catalog: Catalog, done: Checked | None) -> Iterator[Item]:
    if done is None or done.way is None or not catalog.migrations:
        return
    for number, text in enumerate(done.way.problems):
        yield Item(
            key=f"{UNPROVEN} whole way {number}",
            rule=UNPROVEN,
            severity=Severity.ERROR,
            message=f"the whole way up, down and up again: {text}",
            remedy="mend the script that is named",
            about="the whole way",
            path=catalog.migrations[-1].script.path,
            line=1,
        )


def _item(finding: Finding, excused: Collection[str]) -> Item:
    is_excused = finding.path in excused
    return Item(
        key=finding.key,
        rule=finding.rule,
        severity=finding.severity,
        message=finding.message,
        remedy=finding.remedy,
        about=(finding.path or "").rpartition("/")[2],
        table=finding.table,
        path=finding.path,
        line=finding.line,
        state=State.IGNORED if is_excused else State.NEW,
        reason="its migration is named by --allow" if is_excused else None,
    )


def _figures(done: Checked | None) -> tuple[tuple[str, str], ...]:
    if done is None:
        return ()
    proved = sum(one.verdict.is_proved for one in done.judged)
    return (
        ("rollbacks proved", f"{proved} of {len(done.judged)}"),
        ("hold alone", str(sum(one.alone is True for one in done.judged))),
    )
