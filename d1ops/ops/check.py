"""The proof of all rollbacks as one answer: what each can undo, whether it holds alone, and the whole way there and
back. No target is needed; `run_on` lets any empty database run the scripts that are judged."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core import rules
from d1ops.core.catalog import Catalog
from d1ops.core.engine import Engine
from d1ops.core.lint.files import lint_files
from d1ops.core.lossless import bindings, reader_of
from d1ops.core.mirror import build_schema, schema_of
from d1ops.core.replay import run_script
from d1ops.core.reversibility import ROWS, SEED, judge
from d1ops.core.schema import SELECT_OBJECTS, Schema
from d1ops.core.sql import quote_identifier
from d1ops.core.trial import data_tables, opened, run_in_memory
from d1ops.core.values import Statement
from d1ops.core.verdict import Verdict
from d1ops.core.whole_way import go_whole_way
from d1ops.errors import ScriptError, StatementRejected

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence
    from pathlib import Path

    from d1ops.core.audit.finding import Finding
    from d1ops.core.catalog import Migration
    from d1ops.core.queries import Query
    from d1ops.core.sql import ScriptStatement
    from d1ops.core.trial import Causes, RunScript
    from d1ops.core.verdict import Reversibility
    from d1ops.core.whole_way import WholeWay
    from d1ops.database.base import Database


@dataclass(frozen=True, slots=True)
class Checked:
    """The verdicts, in order. `stopped` says which migration does not run after the earlier ones, and why; what comes
    later is not judged. `way` is None where only some were asked for. `seconds` has the time that the trials of a
    migration took, by its number."""

    judged: tuple[Reversibility, ...]
    stopped: tuple[Migration, str] | None
    way: WholeWay | None
    seconds: dict[int, float]

    def problems(self, *, allowed: Collection[int] = (), strict: bool = False) -> dict[int, tuple[str, ...]]:
        """Return, by the migration's number, what is wrong; a migration in `allowed` may be what it is.

        Wrong is a rollback that is not proved and that nobody marked irreversible. With `strict`, warnings are too.
        """
        found: dict[int, tuple[str, ...]] = {}
        for one in self.judged:
            texts = _problems(one) + (one.warnings if strict else ())
            if texts and one.migration.number not in allowed:
                found[one.migration.number] = texts
        if self.stopped is not None:
            migration, text = self.stopped
            found[migration.number] = (f"it does not run after the earlier ones: {text}",)
        return found


def _problems(one: Reversibility) -> tuple[str, ...]:
    if one.verdict.is_proved:
        return ()
    if one.verdict is Verdict.UNPROVEN:
        return one.evidence
    migration = one.migration
    if migration.script.irreversible or (migration.rollback and migration.rollback.irreversible):
        return ()
    return (*one.evidence, "no script brings that back, and nobody marked it so")


def check(
    catalog: Catalog,
    *,
    only: Collection[int] | None = None,
    queries: Sequence[Query] = (),
    rows: int = ROWS,
    seed: int = SEED,
    run: RunScript = run_in_memory,
    clock: Callable[[], float] = lambda: 0.0,
    progress: Callable[[str, Migration], None] | None = None,
) -> Checked:
    """Prove every rollback, or those of the migrations whose numbers are in `only`, and then the whole way.

    `clock` gives seconds; only differences are taken of it. `progress` is called with what is about to be tried.
    """
    watch = _Watch(clock, progress)
    runnable, stopped = _runnable(catalog)
    judged = judge(runnable, rows=rows, seed=seed, only=only, queries=queries, run=run, progress=watch)
    watch.stop()
    way = None
    if only is None and stopped is None and judged:
        way = go_whole_way(runnable, judged, rows=rows, seed=seed, progress=progress)
    return Checked(judged, stopped, way, watch.seconds)


class _Watch:
    """Adds up the time between one call of `progress` and the next for the migration that it named."""

    def __init__(self, clock: Callable[[], float], progress: Callable[[str, Migration], None] | None) -> None:
        self._clock, self._progress = clock, progress
        self._present: tuple[int, float] | None = None
        self.seconds: dict[int, float] = {}

    def __call__(self, stage: str, migration: Migration) -> None:
        self.stop()
        self._present = migration.number, self._clock()
        if self._progress is not None:
            self._progress(stage, migration)

    def stop(self) -> None:
        if self._present is not None:
            number, since = self._present
            self.seconds[number] = self.seconds.get(number, 0.0) + self._clock() - since
        self._present = None


def _runnable(catalog: Catalog) -> tuple[Catalog, tuple[Migration, str] | None]:
    """The migrations up to the first that does not run, and that one with the reason."""
    with closing(Engine.memory()) as engine:
        for index, migration in enumerate(catalog.migrations):
            try:
                run_script(engine, migration.script.statements)
            except (ScriptError, StatementRejected) as error:
                text = error.text if isinstance(error, StatementRejected) else str(error)
                return Catalog(catalog.migrations[:index]), (migration, text)
    return catalog, None


# -- the same proof on another engine ------------------------------------------------------------------------


def run_on(database: Database) -> RunScript:
    """Return what runs judged scripts on `database`, which must be empty and is empty again afterwards.

    Rows travel losslessly there and back; what is compared is what the database held. Raises, when called, what
    `Database.batch` raises; a rejected statement raises StatementRejected with the place in the file.
    """
    empty = database.bookmark()

    def run(image: bytes, statements: Sequence[ScriptStatement]) -> tuple[bytes, Causes]:
        nonlocal empty
        try:
            with closing(opened(image)) as engine:
                database.batch(_loading(engine))
            try:
                database.batch([Statement(s.sql) for s in statements])
            except StatementRejected as error:
                raise _placed(error, statements) from None
            return _read(database), {}
        finally:
            empty = database.restore(empty).bookmark

    return run


def _placed(error: StatementRejected, statements: Sequence[ScriptStatement]) -> StatementRejected:
    index = error.index if error.index is not None and 0 <= error.index < len(statements) else None
    if index is None:
        return StatementRejected(f"the script fails when its transaction commits: {error.text}", index=len(statements))
    line, column = statements[index].place(error.offset or 0)
    text = f"{statements[index].path}:{line}:{column}: {error.text}"
    return StatementRejected(text, index=index, sql=statements[index].sql, offset=error.offset)


def _loading(engine: Engine) -> list[Statement]:
    """The statements that make what an engine holds: tables, rows, then what watches or constrains them."""
    rows = engine.ask("SELECT name FROM pragma_table_list WHERE schema = 'main' AND type = 'shadow'")
    made_by_others = {str(name) for (name,) in rows}
    objects = [
        o
        for o in schema_of(engine).objects
        if o.sql is not None and not rules.is_reserved(o.name) and o.name not in made_by_others
    ]
    found = [Statement("PRAGMA defer_foreign_keys = ON")]
    found += [Statement(o.sql or "") for o in objects if o.type == "table"]
    for table in data_tables(engine):
        reader = reader_of(engine, table)
        names = ", ".join(map(quote_identifier, reader.columns))
        marks = ", ".join("?" for _ in reader.columns)
        for row in engine.ask(f"SELECT {names} FROM {quote_identifier(table)}"):
            found.append(Statement(f"INSERT INTO {quote_identifier(table)} ({names}) VALUES ({marks})", row))
    for kind in ("index", "view", "trigger"):
        found += [Statement(o.sql or "") for o in objects if o.type == kind]
    return found


def _read(database: Database) -> bytes:
    """What the database holds, as an image."""
    schema = Schema.from_rows(database.query(SELECT_OBJECTS).rows)
    with closing(Engine.memory()) as engine:
        build_schema(engine, [o for o in schema.objects if o.type != "trigger"])
        readers = [reader_of(engine, table) for table in data_tables(engine)]
        pages = database.batch([Statement(r.select()) for r in readers], reads_only=True, lossy=True) if readers else ()
        with engine.unlimited():
            engine.ask("PRAGMA ignore_check_constraints = ON")
            for reader, page in zip(readers, pages, strict=True):
                engine.ask_many(reader.insert(), (bindings(row) for row in page.rows))
            engine.ask("PRAGMA ignore_check_constraints = OFF")
        build_schema(engine, [o for o in schema.objects if o.type == "trigger"])
        return engine.serialize()


def lint_names(project: Path, migrations: str, rollbacks: str) -> list[Finding]:
    """Find what in the names of the files keeps two folders from being a catalog."""

    def names(folder: Path) -> list[str]:
        return [path.name for path in folder.glob("*.sql")] if folder.is_dir() else []

    return lint_files(
        names(project / migrations),
        names(project / rollbacks),
        migrations_folder=migrations,
        rollbacks_folder=rollbacks,
    )
