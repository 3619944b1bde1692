"""A chunked migration: rehearsed piece by piece on the clone, then sent so, each piece a guarded batch of its own.

A piece asserts schema, ledger, and how far the migration is; what it takes away is as in the backup; it changes as many
rows as in the rehearsal. It records its last key in the same batch, so a crash or a lost answer leaves the table done
up to a key that the target knows, and the next run goes on behind it. The last piece carries the ledger row and the
history row, and takes the record away.
"""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from d1ops.core import assertions, figures
from d1ops.core.chunked import Key, Strays, ranges, require_fitting, written_by
from d1ops.core.contents import Form, contents
from d1ops.core.figures import Counted, Figure
from d1ops.core.ledger import CHUNKED, CHUNKED_DDL, HISTORY_DDL, ledger_change, ledger_ddl, record
from d1ops.core.rehearsal import rehearse
from d1ops.core.schema import SCHEMA_TEXT_SQL
from d1ops.core.sql import fold, quote_identifier
from d1ops.core.values import Statement
from d1ops.errors import D1opsError, LedgerRefused, OutcomeUnknown, PiecesLeft, ScriptError, StatementRejected
from d1ops.ops import probe
from d1ops.ops.guard import Batch, Chunk, StepGuard, closing, opening
from d1ops.ops.look import look
from d1ops.ops.refusal import explain

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from d1ops.core.assertions import Assertion
    from d1ops.core.catalog import Script
    from d1ops.core.chunked import Chunked
    from d1ops.core.contents import Part
    from d1ops.core.engine import Engine
    from d1ops.core.fingerprint import Salt
    from d1ops.core.ledger import Event, Progress
    from d1ops.core.plan import Step
    from d1ops.core.rehearsal import Cause
    from d1ops.core.values import Result
    from d1ops.ops.change import Prepared
    from d1ops.ops.look import Look
    from d1ops.ops.workspace import Workspace


# -- rehearsing ----------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """What the pieces did on the clone. `reached` are the tables (folded) that a piece can write to."""

    chunks: tuple[Chunk, ...]
    causes: dict[str, list[Cause]]
    reached: frozenset[str]


def progress_of(seen: Look, step: Step) -> Progress | None:
    """Return how far a migration is, where it is under way. Raises LedgerRefused when its file was changed since."""
    found = next((each for each in seen.progress if each.migration == step.migration.file), None)
    if found and found.checksum != step.script.checksum:
        raise LedgerRefused(
            f"{step.script.path} was changed while it is under way: it is done up to the key {Key(found.done_to)}",
            hint="put the text back, run d1ops migrate to the end, and write the change as a new migration",
        )
    return found


def rehearse_pieces(engine: Engine, chunked: Chunked, after: Key | None, times: int) -> Rehearsal:
    """Run a chunked migration on a clone, from behind a key where it is under way.

    Raises ScriptError, with the place, for a statement that does not go by pieces, StatementRejected for a failing one.
    """
    require_fitting(engine, chunked)
    own = fold(chunked.table)
    reached = frozenset(
        fold(name) for each in chunked.between(Key("i1"), Key("i2")) for name in written_by(engine, each)
    )
    others = [f for f in figures.figures(engine, reached - {own}) if f.counted is not Counted.DANGLING]
    links = [f for f in figures.figures(engine, {own}) if f.counted is Counted.LINKS]
    found: list[Chunk] = []
    causes: dict[str, list[Cause]] = {}
    for first, last in ranges(engine, chunked, after):
        source = f"{quote_identifier(chunked.table)} WHERE {chunked.range_sql(first, last)}"
        counted = [Figure(Counted.ROWS, chunked.table, None, f"(SELECT count(*) FROM {source})")]
        counted += [
            replace(link, sql=f"(SELECT count({quote_identifier(str(link.column))}) FROM {source})") for link in links
        ]
        counted += others
        before = figures.count(engine, counted)
        strays = Strays(engine, chunked, first, last)
        script = chunked.between(first, last)
        started, changed = engine.clock(), engine.connection.total_changes()
        for table, new in rehearse(engine, script, also=strays.note).items():
            _add(causes.setdefault(table, []), new)
        strays.refuse()
        bounds = figures.bounds(before, figures.count(engine, counted))
        for bound in bounds:
            if bound.lowest < 0 and fold(bound.figure.table) != own:
                raise takes_elsewhere(chunked, bound.figure.name)
        changes = engine.connection.total_changes() - changed
        held = StepGuard(bounds=bounds, changes=changes, times=times, seconds=engine.clock() - started)
        found.append(Chunk(first, last, script, held))
    return Rehearsal(tuple(found), causes, reached)


def takes_elsewhere(chunked: Chunked, name: str) -> ScriptError:
    """What a piece takes from another table is not compared with the backup, so it may take nothing there."""
    statement = chunked.statements[0]
    return ScriptError(
        f"the pieces also take something from {name}, by a foreign key or a trigger",
        path=statement.path,
        line=statement.line,
        column=statement.column,
        hint=f"take it from there first, with a migration of its own for {name}",
    )


def _add(known: list[Cause], new: Iterable[Cause]) -> None:
    """Add up what the pieces did at one place of the script by one path."""
    for cause in new:
        for at, each in enumerate(known):
            if (each.place, each.path) == (cause.place, cause.path):
                known[at] = replace(each, deleted=each.deleted + cause.deleted, updated=each.updated + cause.updated)
                break
        else:
            known.append(cause)


def with_contents(
    engine: Engine, chunks: Sequence[Chunk], chunked: Chunked, of: Sequence[Part], salt: Salt
) -> list[Chunk]:
    """Add to every piece what it is about to take away, as the copy from before the rehearsal has it."""
    found: list[Chunk] = []
    for chunk in chunks:
        within = chunked.range_sql(chunk.first, chunk.last)
        narrowed = [
            replace(part, where=f"{within} AND {part.where}" if part.where else within, bytes=0, form=Form.CONTENT)
            for part in of
        ]
        held = contents(engine, narrowed, salt)
        found.append(replace(chunk, guard=replace(chunk.guard, contents=tuple(held))))
    return found


# -- sending -------------------------------------------------------------------------------------------


def send(
    workspace: Workspace, prepared: Prepared, index: int, event: Event, names: Sequence[str], schema_text: str
) -> tuple[Result, ...]:
    """Send the pieces of a step. The last result is the schema text, as of any step; none where that answer was lost.

    Raises what the batch of a step raises while nothing is done, and PiecesLeft after that.
    """
    probe.require_atomic(workspace)
    step, chunks = prepared.plan.steps[index], prepared.guards[index].chunks
    progress = progress_of(prepared.look, step)
    run = _Run(workspace, prepared, index, names, schema_text)
    done_to = Key(progress.done_to) if progress else None
    for number, chunk in enumerate(chunks[:-1]):
        nonce = workspace.nonce()
        with run.leaving(number, done_to):
            run.send(run.piece(chunk, done_to, nonce), nonce)
        done_to = chunk.last
        workspace.tell(f"{step.label}: {number + 1} of {len(chunks)} pieces, up to the key {chunk.last}")
    last = chunks[-1] if chunks else None
    with run.leaving(max(0, len(chunks) - 1), done_to):
        return run.send(run.last_piece(last, done_to, event), event.nonce)


@dataclass(frozen=True, slots=True)
class _Run:
    """One step that is sent in pieces. `names` is the ledger and `schema_text` the schema as every piece must find
    them."""

    workspace: Workspace
    prepared: Prepared
    index: int
    names: Sequence[str]
    schema_text: str

    @property
    def step(self) -> Step:
        return self.prepared.plan.steps[self.index]

    @contextmanager
    def leaving(self, number: int, done_to: Key | None) -> Iterator[None]:
        """Say of an error how far the migration is, where it is under way."""
        try:
            yield
        except OutcomeUnknown:
            raise
        except D1opsError as error:
            if done_to is None:
                raise
            total = len(self.prepared.guards[self.index].chunks)
            raise PiecesLeft(self.step.migration.file, number, total, str(done_to), error) from None

    def send(self, batch: Batch, nonce: str) -> tuple[Result, ...]:
        """Send a batch; where its answer is lost the target is asked for the nonce, and there are no results."""
        try:
            return self.workspace.database.batch(batch.statements(), lossy=True)
        except StatementRejected as error:
            raise explain(error, batch, self.step.script.path, self.workspace.ledger) from None
        except OutcomeUnknown as error:
            seen = look(self.workspace)
            if nonce not in {each.nonce for each in seen.progress} and seen.find_nonce(nonce) is None:
                raise OutcomeUnknown(
                    f"{self.step.label}: the answer was lost ({error.text}); the target does not show the piece now",
                    hint="wait 30 seconds, then: d1ops status; d1ops migrate goes on behind the last piece there",
                ) from None
            self.workspace.tell(
                f"{self.step.label}: the answer was lost; the target shows that the piece was committed"
            )
            return ()

    def piece(self, chunk: Chunk, done_to: Key | None, nonce: str) -> Batch:
        """Return the batch of a piece that others follow: it records its last key."""
        facts = (self.workspace.timestamp(), self.workspace.actor, nonce)
        recorded = Statement(
            f"INSERT INTO {CHUNKED} (migration, checksum, done_to, pieces, at, actor, nonce)"
            " VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6) ON CONFLICT (migration) DO UPDATE SET done_to = excluded.done_to,"
            " pieces = pieces + 1, at = excluded.at, actor = excluded.actor, nonce = excluded.nonce",
            (self.step.migration.file, self.step.script.checksum, chunk.last.text, *facts),
        )
        return Batch(self._before(chunk, done_to), chunk.script, (*closing(self._guard(chunk)), recorded))

    def last_piece(self, chunk: Chunk | None, done_to: Key | None, event: Event) -> Batch:
        """Return the batch that ends the migration; an empty table has no piece."""
        ledger = self.workspace.ledger
        after = closing(self._guard(chunk))
        after += [Statement(f"DROP TABLE {CHUNKED}"), ledger_change(ledger, self.step.kind, self.step.migration.file)]
        after.append(record(event, ledger))
        if self.index < len(self.prepared.plan.steps) - 1:
            after.append(Statement(f"SELECT {SCHEMA_TEXT_SQL}", (None, ledger.lower())))
        return Batch(self._before(chunk, done_to), chunk.script if chunk else (), tuple(after))

    def _guard(self, chunk: Chunk | None) -> StepGuard:
        held = chunk.guard if chunk else StepGuard()
        return held if probe.counts_changes(self.workspace) else replace(held, changes=None)

    def _before(self, chunk: Chunk | None, done_to: Key | None) -> tuple[Statement | Assertion, ...]:
        ledger, held = self.workspace.ledger, self._guard(chunk)
        return (
            *(Statement(ddl) for ddl in (ledger_ddl(ledger), HISTORY_DDL, CHUNKED_DDL)),
            *assertions.schema_is(self.schema_text, ledger),
            assertions.ledger_is(self.names, ledger),
            assertions.progress_is(CHUNKED, self.step.migration.file, done_to.text if done_to else None),
            *(assertions.content_is(content) for content in held.contents),
            *opening(held),
        )


def refuse_rollback(script: Script) -> None:
    """Raise ScriptError for a rollback script that asks to be run in pieces: undoing is one transaction or none."""
    if script.chunked is not None:
        statement = script.chunked.statements[0]
        raise ScriptError(
            "a rollback script does not go by pieces: it is all or nothing",
            path=script.path,
            line=statement.line,
            column=statement.column,
            hint="write a migration that changes the rows back",
        )
