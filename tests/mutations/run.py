"""Run mutants: does the proof catch what plain SQLite says is wrong?"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import TYPE_CHECKING

from d1ops.core.catalog import Catalog, Script
from d1ops.core.replay import replay
from d1ops.core.reversibility import judge
from d1ops.core.tables import read_tables
from d1ops.core.trial import fill, filled, opened
from d1ops.ops.workspace import read_catalog
from tests.mutations.catalogue import rich
from tests.mutations.mutate import Mutant, Scene, mutants
from tests.mutations.oracle import Database, after
from tests.support.project import REPOSITORY

if TYPE_CHECKING:
    from d1ops.core.catalog import Migration
    from tests.mutations.oracle import Dump


@dataclass(frozen=True)
class Subject:
    """A migration with a rollback script that is right, and databases to try it on: `start` before the migration,
    `applied` after it, `since` with more rows, all filled."""

    name: str
    catalog: Catalog
    migration: Migration
    start: bytes
    applied: bytes
    since: bytes
    scene: Scene

    @property
    def script(self) -> list[str]:
        assert self.migration.rollback is not None
        return [statement.sql for statement in self.migration.rollback.statements]


@dataclass(frozen=True)
class Result:
    """What became of a mutant. `truth` is `equal`, `reordered` (columns alone) or `wrong`; `caught` says what the proof
    said, None when it saw nothing."""

    subject: str
    mutant: Mutant
    truth: str
    caught: str | None

    @property
    def survived(self) -> bool:
        return self.truth != "equal" and self.caught is None


@cache
def subjects() -> tuple[Subject, ...]:
    """The sample catalogue and the richer ones."""
    sample = read_catalog(REPOSITORY, "db/migrations", "db/rollbacks")
    named = [
        (f"sample {migration.label}", Catalog(sample.migrations[: index + 1]))
        for index, migration in enumerate(sample.migrations)
    ]
    named += [(f"rich {number:02}", catalog) for number, catalog in enumerate(rich(), 1)]
    return tuple(_subject(name, catalog) for name, catalog in named)


def _subject(name: str, catalog: Catalog) -> Subject:
    *earlier, migration = catalog.migrations
    with closing(replay(earlier)) as engine:
        start, _ = filled(engine.serialize(), 4, 77)
    with closing(Database(start)) as database:
        assert database.run([statement.sql for statement in migration.script.statements])
        applied = database.image()
    with closing(opened(applied)) as engine:
        fill(engine, 2, 78)
        since = engine.serialize()
        tables = read_tables(engine)
        indexes = engine.ask("SELECT name FROM sqlite_master WHERE type = 'index' AND sql NOT NULL ORDER BY name")
    with closing(opened(start)) as engine:
        before = read_tables(engine)
    scene = Scene(
        {table.name: table.columns for table in tables.values() if not table.is_virtual},
        {table.name: before[key].sql if key in before else "" for key, table in tables.items()},
        tuple(str(index) for (index,) in indexes),
    )
    return Subject(name, catalog, migration, start, applied, since, scene)


def truth(subject: Subject, mutant: Mutant) -> str:
    """Say by plain SQLite what the mutant does that the script does not."""
    worst = "equal"
    for image in (subject.applied, subject.since):
        right, found = after(image, subject.script), after(image, list(mutant.statements))
        if right is not None or found is not None:
            worst = max(worst, _difference(right, found), key=("equal", "reordered", "wrong").index)
    return worst


def _difference(right: Dump | None, found: Dump | None) -> str:
    if right == found:
        return "equal"
    if right is None or found is None:
        return "wrong"
    same = all(right[part] == found[part] for part in ("schema", "rows", "counters"))
    return "reordered" if same else "wrong"


def run(subject: Subject, mutant: Mutant) -> Result:
    """Ask the proof about a mutant, and plain SQLite."""
    text = "".join(f"{sql}\n;\n" for sql in mutant.statements)
    assert subject.migration.rollback is not None
    changed = replace(subject.migration, rollback=Script(subject.migration.rollback.path, text.encode()))
    (judged,) = judge(Catalog((*subject.catalog.migrations[:-1], changed)), only={changed.number})
    caught: str | None = judged.evidence[0]
    if judged.verdict.is_proved:
        caught = next((text for text in judged.warnings if "another order" in text or "rowid" in text), None)
    return Result(subject.name, mutant, truth(subject, mutant), caught)


def sampled(seed: int, number: int) -> list[tuple[Subject, Mutant]]:
    """A sample of mutants, as many of every kind of defect as can be."""
    everything = [(subject, mutant) for subject in subjects() for mutant in unique(subject)]
    Random(seed).shuffle(everything)
    chosen: list[tuple[Subject, Mutant]] = []
    kinds: dict[str, list[tuple[Subject, Mutant]]] = {}
    for subject, mutant in everything:
        kinds.setdefault(mutant.kind, []).append((subject, mutant))
    while len(chosen) < number and any(kinds.values()):
        chosen += [found.pop() for found in kinds.values() if found]
    return chosen[:number]


def unique(subject: Subject) -> list[Mutant]:
    """Every mutant of a subject once, without those that are the script itself."""
    found = {mutant.statements: mutant for mutant in mutants(subject.script, subject.scene)}
    return [mutant for statements, mutant in found.items() if list(statements) != subject.script]
