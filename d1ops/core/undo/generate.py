"""A rollback script for a migration, from what the migration does to a schema and to generated rows."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from d1ops.core.catalog import Catalog, Script
from d1ops.core.replay import replay, run_script
from d1ops.core.reversibility import ROWS, SEED, Verdict, judge
from d1ops.core.round_trip import STOPPED_BY_NEW_ROWS
from d1ops.core.sql import decode, split
from d1ops.core.trial import filled, opened
from d1ops.core.undo.draft import draft
from d1ops.core.undo.inserted import deletions
from d1ops.core.undo.lineage import trace
from d1ops.core.undo.proof import Outcome, outcome, renumbered
from d1ops.errors import ScriptError, StatementRejected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.catalog import Migration
    from d1ops.core.reversibility import Reversibility
    from d1ops.core.undo.draft import Draft


class Standing(StrEnum):
    """What was found out about a rollback script."""

    PROVED = "proved"
    """There and back, every object and every row was as before."""
    CONDITIONAL = "conditional"
    """The same; but rows that the migration newly allows stop it, whole and with nothing lost, until they are gone."""
    IRREVERSIBLE = "irreversible"
    """The migration destroyed or overwrote what no script can bring back."""
    UNPROVEN = "unproven"
    """It was not seen to bring everything back."""

    @property
    def is_proved(self) -> bool:
        """Whether the script may be relied on."""
        return self in (Standing.PROVED, Standing.CONDITIONAL)


@dataclass(frozen=True, slots=True)
class Rollback:
    """A rollback script and its proof.

    `judged` is the verdict that `d1ops check` would give with this script. `reasons` say what stands in the way, or
    what the condition is. `rebuilt` are tables that are dropped and made again, `moved` those whose rows are kept aside
    meanwhile, `empty` what comes back without what it held. `changes` are the rows of the trial that it inserted,
    updated or deleted on the way.
    """

    migration: Migration
    script: Script
    standing: Standing
    judged: Reversibility
    reasons: tuple[str, ...] = ()
    rebuilt: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    empty: tuple[str, ...] = ()
    changes: int = 0


@dataclass(frozen=True, slots=True)
class Comparison:
    """An existing rollback script beside the generated one. `is_equal` tells that both are proved and take the same;
    `gentler` is `generated`, `existing` or None where both change as many rows."""

    existing: Rollback
    generated: Rollback
    is_equal: bool
    gentler: str | None


def write_rollback(
    catalog: Catalog, migration: Migration, path: str, *, rows: int = ROWS, seed: int = SEED
) -> Rollback:
    """Write the rollback script of a migration, and prove it by a round trip on generated rows.

    The answer has a script in any case, also one that could not be proved; `standing` tells. Raises what `judge`
    raises.
    """
    trial = _Trial(catalog, migration, rows, seed)
    made, found = trial.best()
    statements = Script(path, made.text(()).encode())
    rollback = replace(trial.prove(statements, found), rebuilt=made.rebuilt, moved=made.moved, empty=tuple(made.empty))
    return replace(rollback, script=Script(path, made.text(heading(rollback)).encode()))


def compare(
    catalog: Catalog, migration: Migration, generated: Rollback, *, rows: int = ROWS, seed: int = SEED
) -> Comparison | None:
    """Put the rollback script that is there beside the generated one; None where there is none with a statement."""
    if migration.rollback is None or not has_statements(migration.rollback):
        return None
    trial = _Trial(catalog, migration, rows, seed)
    existing = trial.prove(migration.rollback, trial.outcome(migration.rollback))
    is_equal = (
        existing.standing is generated.standing
        and existing.standing.is_proved
        and sorted(existing.judged.lost) == sorted(generated.judged.lost)
        and existing.judged.warnings == generated.judged.warnings
    )
    gentler = None
    if is_equal and existing.changes != generated.changes:
        gentler = "generated" if generated.changes < existing.changes else "existing"
    return Comparison(existing, generated, is_equal, gentler)


def has_statements(script: Script) -> bool:
    """Return whether a script is more than comments; one that cannot be read counts as more."""
    try:
        return bool(split(decode(script.data, script.path), script.path))
    except ScriptError:
        return True


def heading(rollback: Rollback) -> tuple[str, ...]:
    """Return the comment that a generated script begins with."""
    migration = rollback.migration
    lines = [f"Undoes {migration.file}. Written by d1ops rollback-script {migration.label}."]
    match rollback.standing:
        case Standing.PROVED:
            taken = "; ".join(rollback.judged.lost) or "nothing"
            lines.append(f"Proved on generated rows: {rollback.judged.verdict.value}. It takes: {taken}.")
        case Standing.CONDITIONAL:
            lines.append("Proved on generated rows. Rows that the older form refuses stop it whole, with nothing lost:")
            lines += rollback.reasons
        case Standing.IRREVERSIBLE:
            lines.append("The structure returns, the data does not:")
            lines += rollback.reasons
        case Standing.UNPROVEN:
            lines.append("NOT PROVED:")
            lines += rollback.reasons
    return tuple(" ".join(line.split()) for line in lines)


class _Trial:
    """A migration on a database of generated rows: the images before and after it."""

    def __init__(self, catalog: Catalog, migration: Migration, rows: int, seed: int) -> None:
        self.catalog, self.migration, self.rows, self.seed = catalog, migration, rows, seed
        index = catalog.migrations.index(migration)
        with closing(replay(catalog.migrations[:index])) as engine:
            before = engine.serialize()
            run_script(engine, migration.script.statements)
            self.bare = before, engine.serialize()
        self.start, self.applied = self.bare
        self.loose: frozenset[str] = frozenset()
        # A new UNIQUE or CHECK may be what several generated rows break and one does not.
        for count in dict.fromkeys((rows, 1)):
            start, _ = filled(self.bare[0], count, seed)
            with closing(opened(start)) as engine:
                try:
                    run_script(engine, migration.script.statements)
                except StatementRejected:
                    continue
                self.start, self.applied = start, engine.serialize()
                self.loose = renumbered(start, engine)
                return

    def best(self) -> tuple[Draft, Outcome]:
        """Return the draft that brings back most, and of those the one that rebuilds least."""
        found: list[tuple[bool, int, int, Draft, Outcome]] = []
        for made in self.drafts():
            tried = self.outcome(Script("the draft", made.text(()).encode()))
            found.append((bool(tried.problems), len(made.rebuilt), len(found), made, tried))
            if not tried.problems and not made.rebuilt:
                break
        *_, made, tried = min(found)
        return made, tried

    def drafts(self) -> Iterator[Draft]:
        """Yield every draft that is worth a trial, the plainest first."""
        lineage = trace(self.start, self.applied)
        seen: set[tuple[str, ...]] = set()
        for clear in (False, True):
            for numbered in (True, False):
                first = deletions(*self.bare, lineage, numbered=numbered)
                made = draft(self.applied, self.start, lineage, first=first, clear=clear)
                if not made.blocks:
                    made.add(
                        "The schema is as it was before the migration: there is nothing to take back.", ["SELECT 1"]
                    )
                key = tuple(made.statements)
                if key not in seen:
                    seen.add(key)
                    yield made

    def outcome(self, script: Script) -> Outcome:
        """Run a rollback script on the image after the migration and compare with the one before."""
        try:
            return outcome(self.applied, script.statements, self.start, loose=self.loose)
        except ScriptError as error:
            return Outcome((str(error),), failed=True)

    def prove(self, script: Script, tried: Outcome) -> Rollback:
        """Judge a script that was tried."""
        replaced = replace(self.migration, rollback=script)
        catalog = Catalog(tuple(replaced if m is self.migration else m for m in self.catalog.migrations))
        (judged,) = judge(catalog, only={replaced.number}, rows=self.rows, seed=self.seed)
        standing, reasons = _standing(judged, tried)
        return Rollback(self.migration, script, standing, judged, reasons, changes=tried.changes)


def _standing(judged: Reversibility, tried: Outcome) -> tuple[Standing, tuple[str, ...]]:
    if judged.verdict is Verdict.IRREVERSIBLE:
        return Standing.IRREVERSIBLE, judged.evidence
    if not tried.problems:
        if judged.verdict.is_proved:
            return Standing.PROVED, ()
        if judged.evidence[0].startswith(STOPPED_BY_NEW_ROWS):
            return Standing.CONDITIONAL, judged.evidence
        return Standing.UNPROVEN, judged.evidence
    if judged.verdict.is_proved:
        return Standing.UNPROVEN, tried.problems
    return Standing.UNPROVEN, tuple(dict.fromkeys((*judged.evidence, *tried.problems)))
