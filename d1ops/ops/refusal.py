"""What a batch that did not commit says: which assertion failed, what it expected and found; or the place in a
script."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.assertions import Failure, Kind, failure_in
from d1ops.core.figures import Counted
from d1ops.errors import StatementRejected, TargetMoved

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.assertions import Assertion
    from d1ops.core.figures import Bound
    from d1ops.errors import D1opsError
    from d1ops.ops.guard import Batch

AGAIN = "run the command again; it looks, backs up and rehearses anew"


def explain(error: StatementRejected, batch: Batch, path: str, ledger: str) -> D1opsError:
    """Say which guard refused, or which place of the script. `path` is the script's."""
    failure = failure_in(error.text)
    if failure is not None:
        return _moved(failure, batch, path)
    if f"UNIQUE constraint failed: {ledger}.name" in error.text:
        return _refused(Kind.LEDGER, "another runner applied the same migration since the ledger was looked at", [])
    place = batch.place_in_script(error.index)
    if place is None:
        return StatementRejected(
            f"{path}: {error.text}; the batch was rolled back",
            code=error.code,
            status=error.status,
            ray=error.ray,
            hint=error.hint,
        )
    statement = batch.script[place]
    line, column = statement.place(error.offset or 0)
    return StatementRejected(
        f"{statement.path}:{line}:{column}: {error.text}; the batch was rolled back",
        index=place,
        sql=statement.sql,
        code=error.code,
        status=error.status,
        ray=error.ray,
    )


def _refused(
    kind: Kind,
    message: str,
    subjects: Sequence[str],
    *,
    expected: object = None,
    found: object = None,
    hint: str = AGAIN,
) -> TargetMoved:
    return TargetMoved(
        f"{message}; nothing was done",
        assertion=kind.value,
        subjects=subjects,
        expected=expected,
        found=found,
        hint=hint,
    )


def _moved(failure: Failure, batch: Batch, path: str) -> TargetMoved:
    held = [assertion for assertion in batch.assertions() if assertion.kind is failure.kind]
    match failure.kind:
        case Kind.SCHEMA:
            labels = _texts(failure.found)
            named = f": {', '.join(labels)}" if labels else ""
            message = f"the schema of the target changed since it was looked at{named}"
            return _refused(failure.kind, message, labels)
        case Kind.LEDGER:
            return _ledger(failure, held)
        case Kind.CONTENT:
            name = str(failure.found)
            return _refused(
                failure.kind,
                f"{name} is not what it was in the backup, and the change is about to take or overwrite it: rows were"
                " inserted, updated or deleted since",
                [name],
            )
        case Kind.CHANGES:
            return _changes(failure, held, path)
        case Kind.PROGRESS:
            return _refused(failure.kind, "another runner took this chunked migration further", [])
        case _:
            return _figures(failure, held, path)


def _ledger(failure: Failure, held: Sequence[Assertion]) -> TargetMoved:
    now = _texts(failure.found)
    expected = _texts(held[0].about) if held else []
    differing = [*(f"{name} is new" for name in now if name not in expected)]
    differing += [f"{name} is gone" for name in expected if name not in now]
    named = f": {', '.join(differing)}" if differing and failure.found is not None else ""
    message = f"another runner changed the ledger since it was looked at{named}"
    return _refused(failure.kind, message, differing, expected=tuple(expected), found=tuple(now))


def _changes(failure: Failure, held: Sequence[Assertion], path: str) -> TargetMoved:
    expected = held[0].about if held else None
    found = failure.found[0] if isinstance(failure.found, list) and failure.found else "another number of"
    return _refused(
        failure.kind,
        f"{path} would change {found} rows, {expected} in the rehearsal: rows were written since",
        [],
        expected=expected,
        found=found,
    )


def _figures(failure: Failure, held: Sequence[Assertion], path: str) -> TargetMoved:
    """Name the figures that moved too far: the first in words, all of them as facts."""
    about = held[0].about if held else ()
    known: Sequence[Bound] = about if isinstance(about, tuple) else ()
    rows = [row for row in failure.found if isinstance(row, list)] if isinstance(failure.found, list) else []
    taken: dict[str, str] = {}
    orphaned: dict[str, str] = {}
    fewer = {known[int(what)].figure.table for what, *_ in rows if known[int(what)].figure.counted is Counted.ROWS}
    for what, before, after in rows:
        bound = known[int(what)]
        if bound.figure.counted is Counted.VALUES and bound.figure.table in fewer:
            continue  # They went with their rows.
        is_dangling = bound.figure.counted is Counted.DANGLING
        rehearsed = f"{bound.rehearsed} -> {bound.rehearsed + (bound.highest if is_dangling else bound.lowest)}"
        (orphaned if is_dangling else taken)[bound.figure.name] = f"{before} -> {after}, {rehearsed} in the rehearsal"
    facts = [f"would take more of {name} than in the rehearsal ({figures})" for name, figures in taken.items()]
    facts += [f"would leave rows of {name} without a parent ({figures})" for name, figures in orphaned.items()]
    return _refused(
        failure.kind,
        f"{path} {'; it '.join(facts) or 'would take more than in the rehearsal'}: rows were written since, or the"
        " script depends on the time or on chance",
        [*taken, *orphaned],
        expected=tuple(known[int(row[0])].lowest for row in rows),
        found=tuple(row[2] - row[1] if isinstance(row[2], int) else None for row in rows),
    )


def _texts(found: object) -> list[str]:
    return [str(each) for each in found] if isinstance(found, list | tuple) else []
