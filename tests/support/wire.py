"""The JSON of D1's REST API, read and written as the service does."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from d1ops.core.sql import split
from d1ops.core.values import Param, Result, Statement
from d1ops.errors import ScriptError

if TYPE_CHECKING:
    from collections.abc import Mapping


@dataclass(frozen=True)
class Reply:
    """An answer."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Refused(Exception):
    """An answer that is an error."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


def read_json(body: bytes) -> Any:
    try:
        return json.loads(body) if body else {}
    except ValueError:
        raise Refused(400, 7400, "Malformed JSON") from None


def read_statements(body: Any) -> list[Statement]:
    match body:
        case {"sql": str(sql), **rest}:
            params = _params({str(name): value for name, value in rest.items()})
            try:
                pieces = [statement.sql for statement in split(f"{sql}\n;")]
            except ScriptError:
                pieces = []  # The engine says in D1's words what is wrong with it.
            *before, last = pieces if len(pieces) > 1 else [sql]
            return [*(Statement(piece) for piece in before), Statement(last, params)]
        case {"batch": list(elements)} if elements and all(isinstance(each.get("sql"), str) for each in elements):
            return [Statement(each["sql"], _params(each)) for each in elements]
    raise Refused(400, 7400, "Invalid property: sql => Required | Invalid property: batch => Required")


def _params(body: Mapping[str, Any]) -> tuple[Param, ...]:
    params = body.get("params", [])
    if not isinstance(params, list):
        kind = "null" if params is None else type(params).__name__
        raise Refused(400, 7400, f"Invalid property: params => Expected array, received {kind}")
    return tuple(_param(number, value) for number, value in enumerate(params))


def _param(number: int, value: Any) -> Param:
    """Bind a number as REAL, which D1's binding does and which its API may do."""
    match value:
        case None | str():
            return value
        case bool():
            pass
        case int() | float():
            return float(value)
        case list() if all(type(byte) is int and 0 <= byte < 256 for byte in value):
            return bytes(value)
    raise Refused(400, 7400, f"Invalid property: params.{number} => Invalid input")


def write_entry(result: Result, form: str) -> dict[str, Any]:
    rows = [[list(cell) if isinstance(cell, bytes) else cell for cell in row] for row in result.rows]
    results: Any = {"columns": list(result.columns), "rows": rows}
    if form == "query":
        results = [dict(zip(result.columns, row, strict=True)) for row in rows]
    return {"results": results, "success": True, "meta": write_meta(result)}


def write_meta(result: Result) -> dict[str, Any]:
    """What D1 tells beside an answer. The rows read and written are those seen from here, not those billed."""
    meta = result.meta
    milliseconds = meta.duration_seconds * 1000
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
        "rows_read": meta.rows_read if meta.rows_read is not None else len(result.rows),
        "rows_written": meta.rows_written if meta.rows_written is not None else meta.changes,
        "total_attempts": 1,
    }


def success(result: Any, *, status: int = 200, **more: Any) -> Reply:
    return envelope(status, {"success": True, "errors": [], "messages": [], "result": result, **more})


def envelope(status: int, body: Mapping[str, Any]) -> Reply:
    return Reply(status, json.dumps(body).encode(), {"Content-Type": "application/json"})
