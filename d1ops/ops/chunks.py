"""A chunked migration: rehearsed piece by piece on the clone, then sent so, each piece a guarded batch of its own.

A piece asserts schema, ledger, and how far the migration is; what it takes away is as in the backup; it changes as many
rows as in the rehearsal. It records its last key in the same batch, so a crash or a lost answer leaves the table done
up to a key that the target knows, and the next run goes on behind it. The last piece carries the ledger row and the
history row, and takes the record away.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from d1ops.core import assertions, figures
from d1ops.core.chunked import Key, Strays, ranges, require_fitting, written_by
from d1ops.core.contents import Form, contents
from d1ops.core.figures import Counted, Figure
from d1ops.core.ledger import CHUNKED, CHUNKED_DDL, HISTORY_DDL, ledger_change, ledger_ddl
from d1ops.core.rehearsal import rehearse
from d1ops.core.schema import SCHEMA_TEXT_SQL
from d1ops.core.sql import fold, quote_identifier
from d1ops.core.values import Statement
from d1ops.errors import D1opsError, LedgerRefused, OutcomeUnknown, PiecesLeft, ScriptError, StatementRejected
from d1ops.ops import probe
from d1ops.ops.guard import Batch, Chunk, StepGuard, closing, insert_event, opening
from d1ops.ops.look import look
from d1ops.ops.refusal import explain

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

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
    step = prepared.plan.steps[index]
    chunks = prepared.guards[index].chunks
    progress = progress_of(prepared.look, step)
    done_to = progress.done_to if progress else None
    results: tuple[Result, ...] = ()
    for number, chunk in enumerate(chunks or (None,)):
        is_last = number >= len(chunks) - 1
        nonce = event.nonce if is_last else workspace.nonce()
        opened = index > 0 or number > 0
        batch = _batch(workspace, prepared, index, event, names, schema_text, chunk, done_to, nonce, is_last, opened)
        try:
            answers = _send_piece(workspace, batch, step, event if is_last else None, nonce)
        except D1opsError as error:
            if done_to is None or isinstance(error, OutcomeUnknown):
                raise
            raise PiecesLeft(step.migration.file, number, len(chunks), str(Key(done_to)), error) from None
        results = (*results, *answers) if answers else ()
        if chunk is not None:
            done_to = chunk.last.text
            workspace.tell(f"{step.label}: {number + 1} of {len(chunks)} pieces, up to the key {chunk.last}")
    return results


def _send_piece(workspace: Workspace, batch: Batch, step: Step, event: Event | None, nonce: str) -> tuple[Result, ...]:
    try:
        return workspace.database.batch(batch.statements(), lossy=True)
    except StatementRejected as error:
        raise explain(error, batch, step.script.path, workspace.ledger) from None
    except OutcomeUnknown as error:
        seen = look(workspace)
        is_there = seen.find_nonce(nonce) if event else any(each.nonce == nonce for each in seen.progress)
        if not is_there:
            raise OutcomeUnknown(
                f"{step.label}: the answer was lost ({error.text}), and the target does not show the piece now",
                hint="wait 30 seconds, then: d1ops status; d1ops migrate goes on behind the last piece that is there",
            ) from None
        workspace.tell(f"{step.label}: the answer was lost; the target shows that the piece was committed")
        return ()


def _batch(
    workspace: Workspace,
    prepared: Prepared,
    index: int,
    event: Event,
    names: Sequence[str],
    schema_text: str,
    chunk: Chunk | None,
    done_to: str | None,
    nonce: str,
    is_last: bool,
    opened: bool,
) -> Batch:
    step = prepared.plan.steps[index]
    file = step.migration.file
    held = chunk.guard if chunk else StepGuard()
    before: list[Statement | Assertion] = []
    if not opened:
        before += [] if prepared.look.has_ledger else [Statement(ledger_ddl(workspace.ledger))]
        before += [] if prepared.look.has_history else [Statement(HISTORY_DDL)]
    before.append(Statement(CHUNKED_DDL))
    before += assertions.schema_is(schema_text, workspace.ledger)
    before.append(assertions.ledger_is(names, workspace.ledger))
    before.append(assertions.progress_is(CHUNKED, file, done_to))
    before += [assertions.content_is(content) for content in held.contents]
    before += opening(held)
    after: list[Statement | Assertion] = closing(held)
    if not is_last and chunk is not None:
        values = (file, step.script.checksum, chunk.last.text, workspace.timestamp(), workspace.actor, nonce)
        after.append(
            Statement(
                f"INSERT INTO {CHUNKED} (migration, checksum, done_to, pieces, at, actor, nonce)"
                " VALUES (?1, ?2, ?3, 1, ?4, ?5, ?6) ON CONFLICT (migration) DO UPDATE SET done_to = excluded.done_to,"
                " pieces = pieces + 1, at = excluded.at, actor = excluded.actor, nonce = excluded.nonce",
                values,
            )
        )
        return Batch(tuple(before), chunk.script, tuple(after))
    after += [Statement(f"DROP TABLE {CHUNKED}"), ledger_change(workspace.ledger, step.kind, file)]
    after.append(insert_event(event, workspace.ledger))
    if index < len(prepared.plan.steps) - 1:
        after.append(Statement(f"SELECT {SCHEMA_TEXT_SQL}", (None, workspace.ledger.lower())))
    return Batch(tuple(before), chunk.script if chunk else (), tuple(after))


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
