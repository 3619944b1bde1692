"""Parameters as every transport of D1 carries them exactly.

A JSON number may arrive as REAL (seen on workerd: `typeof(?)` of 1 is real, and 1 stored in a TEXT column
becomes '1.0') and is rounded beyond 2^53. So an integer travels as text inside `+CAST(?n AS INTEGER)`; the
unary plus takes the affinity of the CAST away again, so that the expression compares and stores as a bound
integer does (SQLite documentation, "Datatypes", section 3.2). A float travels as a JSON number, which is exact
for a double, inside `+CAST(?n AS REAL)`; infinities as `9e999`. Bytes travel as hexadecimal text inside
`unhex(?n)`.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from d1ops.core.sql import tokens

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.values import Param

WireParam: TypeAlias = str | float | None
"""What a JSON body holds: null, a string, or a number that is a double."""


def bind(sql: str, params: Sequence[Param]) -> tuple[str, tuple[WireParam, ...]]:
    """Rewrite `?` and `?NNN` placeholders so that `params` arrive exactly.

    Returns the SQL text and the wire parameters, one for each of `params`. Raises ValueError for a named
    parameter (D1 knows none), for a placeholder beyond the parameters, for parameters without a placeholder, for
    an integer beyond 64 bits and for a text that is not Unicode.
    """
    if not params:
        return sql, ()
    texts, marks = _taken_apart(sql)
    pieces = [texts[0]]
    highest = 0
    for mark, text in zip(marks, texts[1:], strict=True):
        if not mark.startswith("?"):
            raise ValueError(f"D1 has no named parameters: {mark}")
        number = int(mark[1:]) if len(mark) > 1 else highest + 1
        highest = max(highest, number)
        if not 1 <= number <= len(params):
            raise ValueError(f"{mark} is parameter {number} of {len(params)}")
        pieces += (_placeholder(number, params[number - 1]), text)
    if highest != len(params):
        raise ValueError(f"{len(params)} parameters for a statement that takes {highest}")
    return "".join(pieces), tuple(_wire(param) for param in params)


@lru_cache(maxsize=16)
def _taken_apart(sql: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return the texts around the placeholders, and the placeholders; a statement often comes again with others."""
    texts: list[str] = []
    marks: list[str] = []
    end = 0
    for token in tokens(sql):
        if token.kind == "parameter":
            texts.append(sql[end : token.start])
            marks.append(token.text)
            end = token.start + len(token.text)
    return (*texts, sql[end:]), tuple(marks)


def _placeholder(number: int, param: Param) -> str:
    match param:
        case bool() | int():
            return f"+CAST(?{number} AS INTEGER)"
        case float() if math.isinf(param):
            # The parameter stays mentioned so that the count of parameters is as given.
            return f"(CASE WHEN ?{number} IS NULL THEN {'-' if param < 0 else ''}9e999 END)"
        case float():
            return f"+CAST(?{number} AS REAL)"
        case bytes():
            return f"unhex(?{number})"
        case _:
            return f"?{number}"


def _wire(param: Param) -> WireParam:
    match param:
        case bool() | int():
            if not -(2**63) <= param < 2**63:
                raise ValueError(f"{param} does not fit into 64 bits")
            return str(int(param))
        case float():
            return param if math.isfinite(param) else None
        case bytes():
            return param.hex()
        case str():
            param.encode()
            return param
        case None:
            return None
