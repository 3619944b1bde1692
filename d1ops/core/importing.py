"""A guarded batch as one file for D1's `/import`, which binds no parameters and may not run a SELECT.

Parameters become literals. What would make a statement longer than D1 takes (the schema that is expected) becomes rows
of a table of our own, put together again where it is used. Assertions become INSERTs into the guard table.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from d1ops.core import rules
from d1ops.core.assertions import GUARD, GUARD_DDL, Assertion
from d1ops.core.sql import is_read, quote_text, tokens
from d1ops.core.values import Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.sql import ScriptStatement
    from d1ops.core.values import Param

TEXTS = "d1ops_guard_texts"
"""The table of long parameters; made and dropped inside the file."""

_LONG_BYTES = 20_000
_PIECE_CHARACTERS = 10_000
"""Of a long parameter in one row: at most 80,000 bytes as a literal."""


def file_of(
    before: Sequence[Statement | Assertion],
    script: Sequence[ScriptStatement],
    after: Sequence[Statement | Assertion],
) -> str:
    """Return the file. Statements that only read are left out: nobody would see their answer.

    Raises ValueError for a statement that is too long with its literals.
    """
    texts: list[str] = []
    guarded = [Statement(f"DROP TABLE IF EXISTS {GUARD}"), Statement(GUARD_DDL)]
    ours = {GUARD_DDL, f"DROP TABLE IF EXISTS {GUARD}", f"DROP TABLE {GUARD}"}

    def rendered(parts: Sequence[Statement | Assertion]) -> list[str]:
        statements = [part.insert() if isinstance(part, Assertion) else part for part in parts]
        return [_inlined(each, texts) for each in statements if each.sql not in ours and not is_read(each.sql)]

    opening, closing = rendered(before), rendered(after)
    # The end of a deferral stays the last word: dropping a table looks at foreign keys too.
    last = [each for each in closing if each.startswith("PRAGMA")]
    closing = [each for each in closing if not each.startswith("PRAGMA")]
    pieces = [
        *(_inlined(statement, []) for statement in guarded),
        *_rows(texts),
        *opening,
        *(statement.sql for statement in script),
        *closing,
        *([f"DROP TABLE {TEXTS}"] if texts else []),
        f"DROP TABLE {GUARD}",
        *last,
    ]
    for piece in pieces:
        if len(piece.encode()) > rules.MAX_STATEMENT_BYTES:
            raise ValueError(f"a statement of the file has {len(piece.encode()):,} bytes")
    # A line comment at the end of a statement must not swallow the semicolon.
    return "".join(f"{piece}\n;\n" for piece in pieces)


def _inlined(statement: Statement, texts: list[str]) -> str:
    """Write the parameters into a statement; `texts` takes the long ones."""
    found: list[str] = []
    highest = 0
    known: dict[int, str] = {}
    for token in tokens(statement.sql) if statement.params else ():
        if token.kind != "parameter":
            found.append(token.text)
            continue
        number = int(token.text[1:]) if len(token.text) > 1 else highest + 1
        highest = max(highest, number)
        if number not in known:
            known[number] = _value(statement.params[number - 1], texts)
        found.append(known[number])
    return "".join(found) or statement.sql


def literal(param: Param) -> str:
    """Return a value as an SQL expression that gives it exactly."""
    match param:
        case None:
            return "NULL"
        case bool() | int():
            return str(int(param))
        case float() if math.isinf(param):
            return "-9e999" if param < 0 else "9e999"
        case float():
            # Decimal digits are not exact in every version of SQLite; two integers and a power of two are.
            mantissa, exponent = _scaled(param)
            return f"({mantissa}*pow(2.0,{exponent // 2})*pow(2.0,{exponent - exponent // 2}))"
        case bytes():
            return f"x'{param.hex()}'"
        case str() if "\0" in param:
            return f"CAST(x'{param.encode().hex()}' AS TEXT)"
        case str():
            return quote_text(param)


def _value(param: Param, texts: list[str]) -> str:
    """Return a parameter as an expression; a long one is put into `texts` and taken from their table."""
    if not isinstance(param, str) or len(param.encode()) <= _LONG_BYTES:
        return literal(param)
    texts.append(param)
    return f"(SELECT group_concat(piece, '' ORDER BY place) FROM {TEXTS} WHERE text = {len(texts) - 1})"


def _scaled(value: float) -> tuple[int, int]:
    numerator, denominator = value.as_integer_ratio()
    exponent = 1 - denominator.bit_length()
    while numerator and numerator % 2 == 0 and abs(numerator) >= 2**53:
        numerator, exponent = numerator // 2, exponent + 1
    return numerator, exponent


def _rows(texts: Sequence[str]) -> list[str]:
    if not texts:
        return []
    found = [f"DROP TABLE IF EXISTS {TEXTS}", f"CREATE TABLE {TEXTS} (text INTEGER, place INTEGER, piece TEXT)"]
    for number, text in enumerate(texts):
        for place in range(0, len(text), _PIECE_CHARACTERS):
            piece = quote_text(text[place : place + _PIECE_CHARACTERS])
            found.append(f"INSERT INTO {TEXTS} VALUES ({number}, {place}, {piece})")
    return found
