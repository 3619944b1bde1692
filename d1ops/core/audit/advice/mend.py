"""The migration that mends findings, and its rollback, both tried before anybody sees them.

On a mirror of the target the advised indexes are made and the schema audited again: what findings propose is only done
for those that are still there. In the end they must be gone, and no query may have got a warning that it did not have:
no index is dropped then. Afterwards the rollback must bring back the schema that was there.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.audit.advice.changes import Change, apply
from d1ops.core.audit.advice.heal import Healed
from d1ops.core.audit.finding import Severity
from d1ops.core.audit.report import audit
from d1ops.core.mirror import build_mirror, schema_of
from d1ops.core.replay import run_script
from d1ops.core.schema import diff
from d1ops.core.sql import ended, quote_if_needed, read_script
from d1ops.errors import HumanNeeded, StatementRejected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.audit.finding import Finding
    from d1ops.core.engine import Engine
    from d1ops.core.queries import Query
    from d1ops.core.schema import Schema
    from d1ops.core.values import Row

MOST_ROUNDS = 5


@dataclass(frozen=True, slots=True)
class Mended:
    """A migration and its rollback as text, the keys of the findings that it mends, and what it does not mend.

    `unmended` are proposals that need a person: they do more than make or drop an index, or drop one that no migration
    makes, or with them a query reads more; where nothing else is, there are no texts. `new` are the keys of warnings
    that are there afterwards and were not before.
    """

    migration: str
    rollback: str
    statements: tuple[str, ...]
    mended: tuple[str, ...]
    unmended: tuple[str, ...] = ()
    new: tuple[str, ...] = ()


def mend(
    schema: Schema,
    statistics: Sequence[Row],
    queries: Sequence[Query],
    ledger: str,
    findings: Sequence[Finding],
    advised: Sequence[Change],
    *,
    healed: Healed | None = None,
) -> Mended | None:
    """Make a migration of the advised indexes and of what findings propose; None when there is nothing to do.

    `schema` is that of `healed` where the target's own differs from what its migrations make.

    Raises HumanNeeded when a finding is still there afterwards, or the rollback does not bring the schema back.
    """
    healed = healed or Healed(schema, schema)
    before = audit(healed.start, statistics, queries, ledger).findings
    trial = _Trial(healed, statistics, queries, ledger, before)
    mended = trial.run(findings, advised)
    if mended is None or not mended.new:
        return mended
    kept = trial.run(findings, advised, may_drop=False)
    return kept if kept is not None and kept.statements and len(kept.new) < len(mended.new) else mended


@dataclass(frozen=True, slots=True)
class _Trial:
    healed: Healed
    statistics: Sequence[Row]
    queries: Sequence[Query]
    ledger: str
    before: Sequence[Finding]

    def run(self, findings: Sequence[Finding], advised: Sequence[Change], *, may_drop: bool = True) -> Mended | None:
        engine = build_mirror(self.healed.schema.objects, statistics=self.statistics)
        try:
            return self._run(engine, findings, advised, may_drop=may_drop)
        finally:
            engine.close()

    def _run(
        self, engine: Engine, findings: Sequence[Finding], advised: Sequence[Change], *, may_drop: bool
    ) -> Mended | None:
        start = schema_of(engine)
        known = {finding.key for finding in self.before}
        done: list[Change] = []
        unmended: list[str] = list(self.healed.left)
        asked = {finding.key for finding in findings}
        wanted = list(advised)
        for _ in range(MOST_ROUNDS):
            for change in wanted:
                if change.sql in (one.sql for one in done):
                    continue
                applied = (
                    apply(engine, change.sql, kept=self.healed.foreign) if may_drop or not _drops(change.sql) else False
                )
                if applied:
                    done.append(change)
                elif applied is False and change.sql not in unmended:
                    unmended.append(change.sql)
            after = audit(schema_of(engine), self.statistics, self.queries, self.ledger).findings
            # What the new indexes make superfluous is new, and goes too.
            wanted = _changes([one for one in after if one.key in asked or (one.key not in known and _weighs(one))])
            if all(change.sql in unmended for change in wanted):
                break
        if not done and not self.healed.changes:
            return Mended("", "", (), (), tuple(unmended)) if unmended else None
        still = {finding.key for finding in after}
        left = [one.key for one in findings if one.fix_sql and one.fix_sql not in unmended and one.key in still]
        if left:
            raise HumanNeeded(
                f"the migration would not mend {left[0]}", hint="write it by hand; d1ops audit shows the finding"
            )
        undo = _undo(start, schema_of(engine))
        changes = [*self.healed.changes, *done]
        texts = _text(changes), _rollback_text(undo)
        for schema in dict.fromkeys((self.healed.start, self.healed.schema)):
            _prove(schema, self.statistics, texts, schema_of(engine), start)
        return Mended(
            *texts,
            tuple(one.sql for one in changes),
            tuple(dict.fromkeys([*self.healed.mended, *(one.key for one in self.before if one.key not in still)])),
            tuple(unmended),
            tuple(one.key for one in self._new(after)),
        )

    def _new(self, after: Sequence[Finding]) -> list[Finding]:
        """Return the warnings about what had none."""
        warned = {(one.query, one.path) if one.query else one.key for one in self.before if _weighs(one)}
        return [
            one for one in after if _weighs(one) and ((one.query, one.path) if one.query else one.key) not in warned
        ]


def _weighs(finding: Finding) -> bool:
    return finding.severity is not Severity.INFO


def _drops(sql: str) -> bool:
    return sql.upper().startswith("DROP INDEX")


def _changes(findings: Sequence[Finding]) -> list[Change]:
    """Return what findings propose, equal proposals once, with all their reasons."""
    found: dict[str, list[str]] = {}
    for finding in findings:
        if finding.fix_sql is not None:
            found.setdefault(finding.fix_sql, []).append(finding.message)
    return [Change(sql, tuple(reasons)) for sql, reasons in found.items()]


def _undo(before: Schema, after: Schema) -> list[str]:
    """Return the statements that bring the indexes back, those that were made last first."""
    had, has = before.by_key(), after.by_key()
    drops = [f"DROP INDEX IF EXISTS {quote_if_needed(o.name)};" for key, o in has.items() if key not in had]
    makes = [ended(o.sql) for key, o in had.items() if key not in has and o.sql is not None]
    return [*reversed(drops), *makes]


def _text(changes: Sequence[Change]) -> str:
    parts = ["-- Indexes that d1ops audit proposed; each was tried out.\n"]
    for change in changes:
        reasons = "".join(f"-- {_line(reason)}\n" for reason in change.reasons)
        parts.append(f"{reasons}{ended(change.sql)}\n")
    return "\n".join(parts)


def _rollback_text(statements: Sequence[str]) -> str:
    if not statements:
        return "-- What the migration makes an older one makes too: there is nothing to take back.\nSELECT 1;\n"
    return "-- Takes the indexes back; no row changes.\n\n" + "\n".join(statements) + "\n"


def _line(text: str) -> str:
    return " ".join(text.split())


def _prove(schema: Schema, statistics: Sequence[Row], texts: tuple[str, str], wanted: Schema, before: Schema) -> None:
    """Run both texts as the files that they will be: they make `wanted`, then `before`. Raises HumanNeeded when one
    does not do what it should."""
    engine = build_mirror(schema.objects, statistics=statistics)
    migration, rollback = texts
    try:
        run_script(engine, read_script(migration.encode(), "the migration"))
        made = diff(wanted, schema_of(engine))
        run_script(engine, read_script(rollback.encode(), "the rollback"))
        left = diff(before, schema_of(engine))
    except StatementRejected as error:
        raise HumanNeeded(f"the migration does not run on a mirror of the target: {error}") from None
    finally:
        engine.close()
    if made or left:
        raise HumanNeeded("the migration and its rollback do not fit together", hint="write them by hand")
