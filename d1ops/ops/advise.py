"""Advice for a target, and the migration that follows it. The target is only read."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from d1ops.core.audit.advice import advise as core
from d1ops.core.audit.advice.advise import Need, workload_tables
from d1ops.core.audit.advice.changes import Change
from d1ops.core.audit.advice.heal import Healed, heal
from d1ops.core.audit.advice.mend import mend
from d1ops.core.audit.finding import Severity
from d1ops.core.audit.report import audit
from d1ops.core.audit.rules import defeated_index, foreign_key_without_index, schema_drift
from d1ops.core.ledger import State
from d1ops.errors import UsageError
from d1ops.ops.look import look
from d1ops.ops.scratch import scratch_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from d1ops.core.audit.advice.advise import Advice, IndexAdvice
    from d1ops.core.audit.advice.lab import Budget
    from d1ops.core.audit.finding import Finding
    from d1ops.core.workload import Workload
    from d1ops.ops.audit import Audited
    from d1ops.ops.backup import VerifiedBackup
    from d1ops.ops.workspace import Workspace

NAME = "audit_indexes"
"""What a migration is called when nobody names it."""


@dataclass(frozen=True, slots=True)
class Written:
    """A migration and its rollback as they were written, None where all is left to a person, and the keys of the
    findings that they mend."""

    migration: str | None
    rollback: str | None
    statements: tuple[str, ...]
    mended: tuple[str, ...]
    unmended: tuple[str, ...]
    new: tuple[str, ...] = ()


def advise(
    workspace: Workspace,
    audited: Audited,
    workload: Workload,
    findings: Sequence[Finding],
    *,
    modules: Sequence[Path],
    backup: VerifiedBackup | None = None,
    budget: Budget | None = None,
) -> Advice:
    """Find the indexes that serve the workload and the foreign keys of `findings`, measured on a scratch database.

    Its rows are those of `backup`, else generated. Raises HumanNeeded when an object of the schema cannot be rebuilt.
    """
    needs = [
        Need(finding.fix_sql, finding.message)
        for finding in findings
        if finding.rule == foreign_key_without_index.ID and finding.fix_sql is not None
    ]
    schema, statistics, ledger = audited.schema, audited.statistics, workspace.ledger
    tables = workload_tables(schema, workload)
    with scratch_of(schema, statistics, ledger, modules, backup=backup, known=audited.rows, wanted=tables) as scratch:
        return core.advise(schema, statistics, workload, needs, scratch, ledger=ledger, budget=budget)


def without_drift(
    workspace: Workspace, audited: Audited, workload: Workload, findings: Sequence[Finding], least: Severity
) -> tuple[Audited, tuple[Finding, ...], Healed]:
    """Return what a migration is to be written for: the target with the indexes that its migrations make, and those of
    `findings` that are still there. Raises HumanNeeded when an object of the schema cannot be rebuilt."""
    drift = [one for one in findings if one.rule == schema_drift.ID and one.severity.rank >= least.rank]
    healed = heal(audited.schema, audited.expected, drift)
    if healed.schema == audited.schema:
        return audited, tuple(one for one in findings if one.rule != schema_drift.ID), healed
    report = audit(healed.schema, audited.statistics, workload.queries, workspace.ledger)
    still = {one.key for one in report.findings}
    return replace(audited, schema=healed.schema), tuple(one for one in findings if one.key in still), healed


def write_migration(
    workspace: Workspace,
    project: Path,
    migrations_folder: str,
    audited: Audited,
    workload: Workload,
    findings: Sequence[Finding],
    advice: Advice,
    name: str | None,
    *,
    healed: Healed | None = None,
    everything: bool = False,
    least: Severity = Severity.WARNING,
) -> Written | None:
    """Write the next migration and its rollback; None if nothing is to do.

    It mends `findings`: the advised indexes for the foreign keys and queries that they are about, or with `everything`
    all that is advised, and what else those of at least the severity `least` propose, within the budget of the advice.
    First comes what `healed` does; `audited` and `findings` are then those of `without_drift`.

    No file is overwritten. Raises UsageError while migrations are pending, because the audit does not know what they
    do, and for a name that is no file's; HumanNeeded when the migration does not mend what it should.
    """
    if name is not None and not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
        raise UsageError(f"{name!r} cannot be a part of a file's name", hint="letters, digits, _ and -")
    statuses = look(workspace).statuses(workspace)
    pending = [one.file for one in statuses if one.state is State.PENDING]
    if pending:
        raise UsageError(
            f"{pending[0]} is pending, and the audit does not know what it will change",
            hint=f"d1ops migrate --env {workspace.env}, then audit again",
        )
    about = {finding.query for finding in findings}
    taken = [one for one in advice.indexes if everything or one.foreign_keys or about.intersection(one.queries)]
    tables = {one.table for one in taken}
    # What keeps a query from reading more belongs to the indexes that it makes good for.
    advised = [
        Change(one.create_sql, _reasons(one))
        for one in advice.indexes
        if one in taken or (one.queries_kept and one.table in tables)
    ]
    # A table that has its number of indexes gets none by another way.
    full = {one.rpartition(" (")[0] for one in advice.over_budget}
    wanted = [
        finding
        for finding in findings
        if finding.rule != foreign_key_without_index.ID
        and finding.severity.rank >= least.rank
        and not (finding.rule == defeated_index.ID and finding.table in full)
    ]
    made = mend(audited.schema, audited.statistics, workload.queries, workspace.ledger, wanted, advised, healed=healed)
    if made is None:
        return None
    if not made.statements:
        return Written(None, None, (), (), made.unmended)
    numbers = [(migration.number, len(migration.label)) for migration in workspace.catalog.migrations]
    number = max((each for each, _ in numbers), default=0) + 1
    label = str(number).zfill(max((width for _, width in numbers), default=4))
    migration = f"{migrations_folder}/{label}_{name or NAME}.sql"
    rollback = f"{workspace.rollbacks_folder}/{label}_rollback.sql"
    _write_both(project / migration, made.migration, project / rollback, made.rollback)
    return Written(migration, rollback, made.statements, made.mended, made.unmended, made.new)


def _reasons(index: IndexAdvice) -> tuple[str, ...]:
    return (
        *index.foreign_keys,
        *(f"serves the query {query!r}" for query in index.queries),
        *(f"keeps the other indexes from making the query {query!r} read more" for query in index.queries_kept),
    )


def _write_both(migration: Path, text: str, rollback: Path, rollback_text: str) -> None:
    for path in (migration, rollback):
        if path.exists():
            raise UsageError(f"{path} is there already", hint="move it away, or commit it first")
        path.parent.mkdir(parents=True, exist_ok=True)
    with rollback.open("x", encoding="utf-8") as file:
        file.write(rollback_text)
    try:
        with migration.open("x", encoding="utf-8") as file:
            file.write(text)
    except BaseException:
        rollback.unlink()
        raise
