"""Whether a rollback holds by itself, with every later migration applied, or only after those were undone.

Afterwards the database must be as if the migration had never been applied (`core.proof`). That needs a replay without
it, and a replay for every migration would grow with the square of their number. So only those later statements run
again that can tell the difference, by their footprints (`core.footprint`): a statement that meets nothing of what the
migration changed, nor of what such statements change in turn, does the same with it and without it. Where no later
statement meets the rollback script either, it does with all of them applied what it did in its own round trip.

Where footprints do not suffice (a script that looks at the schema as a whole, a trigger or view that was removed and
would still act) everything runs again, in the whole database: slower, and the same question.
"""

from __future__ import annotations

import re
from contextlib import ExitStack, closing, suppress
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby
from typing import TYPE_CHECKING

from d1ops.core.engine import Engine
from d1ops.core.excerpt import Reach, copy_rows, cut_out
from d1ops.core.footprint import BEGINS, CEASES, EVERYTHING, VIEWS, Footprint, observe
from d1ops.core.mirror import build_schema, schema_of
from d1ops.core.proof import expected_losses, prove
from d1ops.core.rehearsal import BEFORE, dangling, measure
from d1ops.core.round_trip import Unproven, attempt, require_parents
from d1ops.core.sql import fold
from d1ops.core.trial import beside, data_tables, fill, opened, user_schema
from d1ops.errors import StatementRejected

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from d1ops.core.catalog import Migration
    from d1ops.core.excerpt import Links
    from d1ops.core.made import Made
    from d1ops.core.schema import Schema
    from d1ops.core.sql import ScriptStatement
    from d1ops.core.trial import RunScript


@dataclass(frozen=True, slots=True)
class Step:
    """A migration that ran: the footprint of each of its statements, and that of its rollback script as a whole (None
    where that did not run). `followers` are the views and triggers that it makes, each by the words of its text, and
    `novel` the names of tables, views and columns that are there before it or after it but not both.
    `removes_followers`: it takes or changes a trigger or a view that was there."""

    migration: Migration
    footprints: tuple[Footprint, ...]
    rollback: Footprint | None
    made: Made
    followers: tuple[frozenset[str], ...]
    novel: frozenset[str]
    removes_followers: bool


@dataclass(frozen=True, slots=True)
class Unit:
    """Statements of a migration that cannot be tried apart; mostly one. `step` is the position of the migration."""

    step: int
    statements: tuple[ScriptStatement, ...]
    footprint: Footprint


@dataclass(frozen=True, slots=True)
class Standing:
    """What was found: why the script does not hold alone (empty: it does, as far as it is proved at all), and the
    positions of the later migrations that do not run without this one."""

    obstacles: tuple[str, ...]
    needed_by: frozenset[int]


class Units:
    """All statements of a catalog in order, found by what they touch and write."""

    def __init__(self, steps: Sequence[Step]) -> None:
        self.steps = steps
        self.all: list[Unit] = []
        self._of_step: list[range] = []
        defers = any("deferr" in s.sql.lower() for step in steps for s in step.migration.script.statements)
        for number, step in enumerate(steps):
            first = len(self.all)
            self.all += _units(number, step, is_bound=defers)
            self._of_step.append(range(first, len(self.all)))
        self._touching: dict[str, list[int]] = {}
        self._writing: dict[str, list[int]] = {}
        for number, unit in enumerate(self.all):
            for name in unit.footprint.touches | {
                n for n in unit.footprint.writes if not n.startswith((BEGINS, CEASES))
            }:
                self._touching.setdefault(name, []).append(number)
            for name in unit.footprint.writes:
                self._writing.setdefault(name, []).append(number)

    def after(self, step: int) -> int:
        """The position of the first unit of a later migration."""
        return self._of_step[step].stop

    def of(self, step: int) -> list[Unit]:
        """The units of a migration."""
        return [self.all[number] for number in self._of_step[step]]

    def looks_at_everything(self, step: int) -> bool:
        """Whether the migration or a later one may look at the schema as a whole."""
        return any(number >= self._of_step[step].start for number in self._touching.get(EVERYTHING, ()))

    def meets_later(self, step: int, footprint: Footprint) -> bool:
        """Whether a later statement meets a footprint."""
        start = self.after(step)
        return any(self._last(self._touching, name) >= start for name in footprint.writes) or any(
            self._last(self._writing, name) >= start for name in footprint.touches
        )

    @staticmethod
    def _last(index: dict[str, list[int]], name: str) -> int:
        return index.get(name, (-1,))[-1]

    def dependent(self, step: int, *, skipped: Collection[int] = ()) -> tuple[set[int], set[str]]:
        """Return the later units that do not see the same without the migration and those in `skipped`: units that
        meet what these changed or what such units change in turn. Second, the names of all that may differ."""
        absent = frozenset((step, *skipped))
        start = self.after(step)
        names: set[str] = set()
        found: set[int] = set()
        waiting = [name for number in absent for unit in self.of(number) for name in unit.footprint.writes]
        if self._breaks_a_follower(absent):
            waiting.append(VIEWS)
        while waiting:
            name = waiting.pop()
            if name in names or name.startswith(BEGINS):
                continue
            names.add(name)
            for number in reversed(self._touching.get(name, ())):
                if number < start:
                    break
                if number not in found and self.all[number].step not in absent:
                    found.add(number)
                    waiting += self.all[number].footprint.writes - names
        return found, names

    def _breaks_a_follower(self, absent: Collection[int]) -> bool:
        """Whether a view or trigger that stays may speak of something that is not there without these migrations, or
        is there only without them: ALTER TABLE then fails, whatever its table."""
        novel = frozenset[str]().union(*(self.steps[number].novel for number in absent))
        return any(
            not novel.isdisjoint(follower)
            for number, step in enumerate(self.steps)
            if number not in absent
            for follower in step.followers
        )

    def required(self, step: int, units: Iterable[int], *, skipped: Collection[int] = ()) -> set[int]:
        """Return the units with all between the migration and them that made what they touch."""
        start = self.after(step)
        found: set[int] = set()
        waiting = list(units)
        while waiting:
            number = waiting.pop()
            if number in found:
                continue
            found.add(number)
            touched = self.all[number].footprint
            for name in touched.touches | touched.writes:
                if name.startswith((BEGINS, CEASES)):
                    continue
                for earlier in self._writing.get(name, ()):
                    if earlier >= number:
                        break
                    if start <= earlier and earlier not in found and self.all[earlier].step not in skipped:
                        waiting.append(earlier)
        return found


def _units(number: int, step: Step, *, is_bound: bool) -> list[Unit]:
    """Cut a migration into statements, unless these depend on each other by more than names: where a foreign key may
    be deferred (`is_bound`), a row may wait for its parent until the last of them."""
    statements = step.migration.script.statements
    if is_bound or any(_is_bound(statement) for statement in statements):
        return [Unit(number, statements, Footprint.of_all(step.footprints))]
    return [Unit(number, (s,), f) for s, f in zip(statements, step.footprints, strict=True)]


def _is_bound(statement: ScriptStatement) -> bool:
    """Whether a statement counts what others did, or changes how they run."""
    text = statement.sql.lower()
    return statement.verb == "PRAGMA" or any(word in text for word in ("last_insert_rowid", "changes", "random"))


class Whole:
    """The database with all migrations: as they alone leave it, and, once it is needed, filled."""

    def __init__(self, image: bytes, links: Links, rows: int, seed: int) -> None:
        self.links = links
        self.image = image
        self.plain = opened(image)
        self.schema = schema_of(self.plain)
        self.reach = Reach(self.plain, self.schema, links)
        self.rows, self.seed = rows, seed

    def close(self) -> None:
        """Let go of the engines."""
        self.plain.close()
        if "full" in vars(self):
            self.full.close()

    @cached_property
    def full(self) -> Engine:
        """The same with rows in every table."""
        engine = opened(self.image)
        fill(engine, self.rows, self.seed)
        return engine

    @cached_property
    def followers_hold(self) -> bool:
        """Whether every view and trigger speaks of what is there."""
        return self.reach.followers_hold()


def stand(
    number: int,
    steps: Sequence[Step],
    units: Units,
    cursor: Engine,
    whole: Whole,
    run: RunScript,
    *,
    is_proved: bool,
    is_thorough: bool = False,
) -> Standing:
    """Find out whether the rollback of `steps[number]` holds alone. `cursor` holds the database before it.

    With `is_thorough` everything later runs again, whether or not it can tell the difference.
    """
    step = steps[number]
    trial = _Trial(number, steps, units, cursor, whole, run)
    if is_thorough:
        return trial.stand(is_proved=is_proved, is_small=False)
    dependent, _ = units.dependent(number)
    back = step.rollback.touches if step.rollback else frozenset()
    is_small = not (
        units.looks_at_everything(number)
        or (dependent and step.removes_followers)
        or EVERYTHING in back
        or (VIEWS in back and not whole.followers_hold)
    )
    # Others may refer to rows that it inserted among theirs, whatever the statements say.
    is_among_others = any(table not in step.made.tables for table, _ in step.made.rows)
    meets = is_proved and (step.rollback is None or units.meets_later(number, step.rollback))
    if is_small and not (dependent or meets or is_among_others):
        return Standing((), frozenset())
    if is_small:
        with suppress(UnicodeDecodeError, _Differs):
            return trial.stand(is_proved=is_proved, is_small=True)
    return trial.stand(is_proved=is_proved, is_small=False)


class _Differs(Exception):
    """Without the migration a statement does something that it does not do with it, or may."""


_OF_A_FOLLOWER = re.compile(
    r"error in (?:view|trigger) .*?: (?:no such (?:table|column): (?P<name>.*?): SQLITE|.*)", re.DOTALL
)


class _Trial:
    def __init__(
        self, number: int, steps: Sequence[Step], units: Units, cursor: Engine, whole: Whole, run: RunScript
    ) -> None:
        self._number, self._steps, self._units = number, steps, units
        self._cursor, self._whole, self._run = cursor, whole, run
        self._is_small = True

    def stand(self, *, is_proved: bool, is_small: bool) -> Standing:
        """Replay without the migration, and try its rollback with all later ones; `is_small` runs only what matters."""
        self._is_small = is_small
        failed: dict[int, str] = {}
        chosen, names = self._chosen(failed)
        while True:
            with closing(self._start(chosen, failed)) as without:
                news = self._replay(without, chosen, failed)
                if not news and not failed:
                    obstacles = self._obstacles(without, names) if is_proved else []
                    return Standing(tuple(obstacles), frozenset())
            failed |= news
            tried = set(chosen)
            chosen, names = self._chosen(failed)
            # What failed was rolled back where it stood, so what ran beside it need not run again.
            if tried.issuperset(chosen):
                return Standing(tuple(failed[number] for number in sorted(failed)), frozenset(failed))

    # -- the replay without it -------------------------------------------------------------------------

    def _chosen(self, failed: Collection[int]) -> tuple[list[Unit], set[str]]:
        if not self._is_small:
            start = self._units.after(self._number)
            return [unit for unit in self._units.all[start:] if unit.step not in failed], set()
        dependent, names = self._units.dependent(self._number, skipped=failed)
        needed = self._units.required(self._number, dependent, skipped=failed)
        return [self._units.all[number] for number in sorted(needed)], names

    def _start(self, chosen: Sequence[Unit], failed: Collection[int]) -> Engine:
        """The database before the migration, as much of it as the statements of the replay can reach."""
        if self._is_small:
            schema = schema_of(self._cursor)
            statements = [s for unit in chosen for s in unit.statements]
            for number in (self._number, *failed):
                statements += self._steps[number].migration.script.statements
            tables = Reach(self._cursor, schema, self._whole.links).tables(statements)
            if tables is not None:
                return cut_out(self._cursor, schema, tables)
        return opened(self._cursor.serialize())

    def _replay(self, without: Engine, chosen: Sequence[Unit], failed: Collection[int]) -> dict[int, str]:
        """Run what is to run without the migration; return which migrations failed, with the sentences that say so."""
        news: dict[int, str] = {}
        for step, units in groupby(chosen, key=lambda unit: unit.step):
            together = list(units)
            statements = [statement for unit in together for statement in unit.statements]
            try:
                seen = observe(without, statements, self._whole.links, is_brief=True)
            except StatementRejected as error:
                if self._is_small and self._may_be_mended(error.text, failed):
                    raise _Differs from None
                news[step] = f"without it {self._steps[step].migration.label} does not run: {error.text}"
                continue
            if self._is_small:
                with_it = Footprint.of_all(unit.footprint for unit in together)
                if not Footprint.of_all(seen.footprints).writes <= with_it.writes:
                    raise _Differs
        return news

    def _may_be_mended(self, text: str, failed: Collection[int]) -> bool:
        """Whether a view or trigger does not hold for another reason than that these migrations are not there. What
        mends it may be a statement that was left out."""
        found = _OF_A_FOLLOWER.search(text)
        if found is None:
            return False
        novel = {name for number in (self._number, *failed) for name in self._steps[number].novel}
        return fold((found["name"] or "").rpartition(".")[2]) not in novel

    # -- the rollback with all later ones applied --------------------------------------------------------

    def _obstacles(self, without: Engine, names: set[str]) -> list[str]:
        """What speaks against running the script of a proved migration with all later ones applied."""
        rollback = self._steps[self._number].migration.rollback
        script = rollback.statements if rollback else ()
        with ExitStack() as stack:
            plain, full, expected = self._states(script, without, names, stack)
            image = full.serialize()
            try:
                after, causes = attempt(self._run, image, script, "with later migrations applied its script fails")
                engine = stack.enter_context(closing(opened(after)))
                proof = prove(user_schema(full), user_schema(engine), user_schema(plain), user_schema(expected))
                with beside(engine, image):
                    losses = measure(engine, data_tables(engine, BEFORE), causes)
                    _, collateral = expected_losses(losses, engine, plain, expected)
                require_parents(engine, dangling(full))
            except Unproven as problem:
                return list(problem.evidence)
        return [*proof.wrong, *(f"it would take {name}" for name in collateral)]

    def _states(
        self, script: Sequence[ScriptStatement], without: Engine, names: set[str], stack: ExitStack
    ) -> tuple[Engine, Engine, Engine]:
        """The database with all migrations, the same filled, and as it would be without this one."""
        whole = self._whole
        tables = whole.reach.tables(script, also=names) if self._is_small else None
        if tables is None and self._is_small:
            tables = frozenset(fold(name) for name in (*whole.schema.tables(), *_views(whole.schema)))
        if tables is None:
            return whole.plain, whole.full, without
        plain = stack.enter_context(closing(cut_out(whole.plain, whole.schema, tables)))
        full = stack.enter_context(closing(cut_out(whole.full, whole.schema, tables)))
        return plain, full, stack.enter_context(closing(_merged(plain, without, names)))


def _views(schema: Schema) -> list[str]:
    return [o.name for o in schema.objects if o.type == "view"]


def _merged(plain: Engine, without: Engine, names: set[str]) -> Engine:
    """The replay without the migration: from `without` what differs, everything else as the migrations leave it."""
    here, there = schema_of(plain), schema_of(without)

    def differs(name: str, table: str) -> bool:
        return fold(name) in names or fold(table) in names

    kept = [o for o in here.objects if not differs(o.name, o.table)]
    other = [o for o in there.objects if differs(o.name, o.table)]
    found = Engine.memory()
    build_schema(found, (*kept, *other))
    copy_rows(plain, found, [o.name for o in kept if o.type == "table"])
    copy_rows(without, found, [o.name for o in other if o.type == "table"])
    return found
