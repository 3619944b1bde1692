"""`/query` and `/raw`: from the body of a request to the results of its statements."""

from __future__ import annotations

import secrets
from itertools import chain
from typing import TYPE_CHECKING, Any

from d1ops.core.binding import bind
from d1ops.core.sql import is_read
from d1ops.core.values import Statement
from d1ops.emulator.identity import refuse_readers
from d1ops.emulator.meter import TimeLimitExceeded
from d1ops.emulator.splitter import cut
from d1ops.emulator.wire import Refused, Reply, invalid, kind_of, success
from d1ops.errors import D1opsError, OutcomeUnknown, StatementRejected, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.values import Meta, Param, Result
    from d1ops.emulator.registry import Hosted
    from d1ops.emulator.settings import Splitter
    from d1ops.emulator.state import State

SQL_ERROR = 7500
OVERLOAD = 7429
WRONG_BINDINGS = "Wrong number of parameter bindings for SQL query."


def read(body: object, splitter: Splitter) -> list[Statement]:
    """Return the statements of a body. Raises Refused for one that is of neither form.

    Parameters that come with several statements in one text belong to the last: the engine takes them nowhere else.
    """
    if not isinstance(body, dict):
        raise invalid([("", f"Expected object, received {kind_of(body)}")])
    if "sql" in body:
        return _statements(body, "", splitter)
    batch = body.get("batch")
    if batch is None:
        raise invalid([("sql", "Required"), ("batch", "Required")])
    if not isinstance(batch, list):
        raise invalid([("batch", f"Expected array, received {kind_of(batch)}")])
    if not batch:
        raise invalid([("batch", "Array must contain at least 1 element(s)")])
    return [statement for number, each in enumerate(batch) for statement in _element(number, each, splitter)]


def _element(number: int, element: object, splitter: Splitter) -> list[Statement]:
    if not isinstance(element, dict):
        raise invalid([(f"batch.{number}", f"Expected object, received {kind_of(element)}")])
    return _statements(element, f"batch.{number}.", splitter)


def _statements(body: dict[str, Any], prefix: str, splitter: Splitter) -> list[Statement]:
    sql = body.get("sql")
    if "sql" not in body:
        raise invalid([(f"{prefix}sql", "Required")])
    if not isinstance(sql, str):
        raise invalid([(f"{prefix}sql", f"Expected string, received {kind_of(sql)}")])
    if not _is_unicode(sql):
        raise invalid([(f"{prefix}sql", "Invalid unicode")])
    params = body.get("params", [])
    if not isinstance(params, list):
        raise invalid([(f"{prefix}params", f"Expected array, received {kind_of(params)}")])
    values = tuple(_param(f"{prefix}params.{number}", value) for number, value in enumerate(params))
    *before, last = cut(sql, splitter)
    return [*(Statement(each) for each in before), Statement(last, values)]


def _param(name: str, value: object) -> Param:
    """Read a parameter. A number binds as REAL, as D1's binding has it; true and false are not in its API."""
    match value:
        case None:
            return None
        case str() if _is_unicode(value):
            return value
        case bool():
            pass
        case int() | float():
            try:
                return float(value)
            except OverflowError:
                pass
        case list() if all(type(byte) is int and 0 <= byte < 256 for byte in value):
            return bytes(value)
    raise invalid([(name, "Invalid input")])


def _is_unicode(text: str) -> bool:
    """Return whether a text can be sent: JSON may also hold half of a surrogate pair."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def run(state: State, hosted: Hosted, statements: Sequence[Statement], *, may_edit: bool) -> tuple[Result, ...]:
    """Execute statements as one transaction. Raises Refused with D1's words where that fails."""
    writes = not all(is_read(statement.sql) for statement in statements)
    if writes:
        refuse_readers(may_edit=may_edit)
    _refuse_wrong_bindings(statements)
    with hosted.held():
        state.refuse_while_busy(hosted)
        if writes:
            hosted.travel.before_write()
        try:
            results = _executed(hosted, statements, as_one=state.settings.atomic_batch)
        except D1opsError as error:
            if writes and not isinstance(error, StatementRejected):  # No answer came: nobody knows.
                hosted.travel.after_write()
            raise refusal(error) from None
        if writes:
            hosted.travel.after_write()
    state.queries.note(hosted.record.uuid, statements, results, state.settings.now())
    return results


def _executed(hosted: Hosted, statements: Sequence[Statement], *, as_one: bool) -> tuple[Result, ...]:
    if as_one:
        return hosted.database.batch(statements, lossy=True)
    return tuple(result for statement in statements for result in hosted.database.batch((statement,), lossy=True))


def _refuse_wrong_bindings(statements: Sequence[Statement]) -> None:
    for statement in statements:
        try:
            bind(statement.sql, statement.params)
        except ValueError:
            raise Refused(400, SQL_ERROR, WRONG_BINDINGS) from None


def refusal(error: D1opsError) -> Refused:
    """Return the API's error for what a database raised."""
    match error:
        case TimeLimitExceeded():
            return Refused(429, OVERLOAD, error.text)
        case StatementRejected():
            return Refused(400, SQL_ERROR, error.text)
        case UsageError():  # The one thing that JSON can have wrong.
            return Refused(400, SQL_ERROR, WRONG_BINDINGS)
        case OutcomeUnknown() if "internal error" in error.text:
            return Refused(500, SQL_ERROR, error.text)
    return Refused(500, SQL_ERROR, f"internal error; reference = {secrets.token_hex(12)}")


def answer(results: Sequence[Result], form: str) -> Reply:
    """Return the results in the form of `/query` (rows are objects) or `/raw` (columns and rows)."""
    return success([_entry(result, form) for result in results])


def _entry(result: Result, form: str) -> dict[str, Any]:
    rows: Sequence[Any] = result.rows
    if bytes in map(type, chain.from_iterable(rows)):
        rows = [[list(cell) if isinstance(cell, bytes) else cell for cell in row] for row in rows]
    results: Any = {"columns": list(result.columns), "rows": rows}
    if form == "query":  # Of columns with one name the last one wins.
        results = [dict(zip(result.columns, row, strict=True)) for row in rows]
    return {"results": results, "success": True, "meta": meta_json(result.meta)}


def meta_json(meta: Meta) -> dict[str, Any]:
    """Return `meta` as D1 sends it, in milliseconds and bytes."""
    milliseconds = round(meta.duration_seconds * 1000, 4)
    return {
        "served_by": "v3-prod",
        "served_by_region": "WEUR",
        "served_by_colo": "AMS",
        "served_by_primary": True,
        "timings": {"sql_duration_ms": milliseconds},
        "duration": milliseconds,
        "changes": meta.changes,
        "last_row_id": meta.last_row_id,
        "changed_db": meta.changed_db,
        "size_after": meta.size_after_bytes,
        "rows_read": meta.rows_read or 0,
        "rows_written": meta.rows_written or 0,
        "total_attempts": 1,
    }
