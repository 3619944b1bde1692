"""JSON of many megabytes: what the standard library reads and writes, in about a third of its time.

The parser and the writer are those of pydantic's core, which the command line loads anyway. What they do not take, half
of a surrogate pair for one, is left to the standard library, which decides.
"""

from __future__ import annotations

import json
from typing import Any


def loads(text: str | bytes | bytearray) -> Any:
    """Return the value of a JSON text, numbers without a fraction as int of any size.

    Raises ValueError for what is no JSON (NaN and Infinity are none), RecursionError for endless nesting.
    """
    from pydantic_core import from_json

    try:
        # Keys repeat, values of a database seldom do: to remember them takes longer than to make them.
        return from_json(text, allow_inf_nan=False, cache_strings="keys")
    except ValueError:
        return json.loads(text, parse_constant=_no_constant)


def dumps(value: Any) -> bytes:
    """Return a value as JSON in UTF-8, without spaces; half of a surrogate pair is escaped.

    Raises TypeError for what JSON has no form for.
    """
    from pydantic_core import to_json

    try:
        return to_json(value)
    except ValueError:
        return json.dumps(value, separators=(",", ":")).encode()


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")
