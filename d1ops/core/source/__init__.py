"""Queries in source code: the SQL texts that TypeScript, JavaScript and Python give to a database.

`ecma` and `python` find the calls and put constant texts together; `text` makes queries of the texts. What cannot be
put together without running the program is an `Unresolved`, with its place and the reason.
"""

from __future__ import annotations

from d1ops.core.source.text import Extracted, Unresolved
from d1ops.core.sql import decode

__all__ = ["SUFFIXES", "Extracted", "Unresolved", "extract"]

_ECMA = {".ts": "typescript", ".mts": "typescript", ".cts": "typescript", ".tsx": "tsx"}
_ECMA |= {".js": "javascript", ".mjs": "javascript", ".cjs": "javascript", ".jsx": "javascript"}
_FRAMED = (".vue", ".svelte", ".astro")

SUFFIXES = frozenset((*_ECMA, *_FRAMED, ".py"))
"""The files that are read, by how their names end."""


def extract(data: bytes, path: str) -> Extracted:
    """Find the queries in a file; its suffix is one of `SUFFIXES`.

    Raises ConfigError when tree-sitter is not installed, and ScriptError, with the place, for a Python file that is not
    Python and any other that is not UTF-8.
    """
    suffix = path[path.rfind(".") :].lower()
    if suffix == ".py":
        from d1ops.core.source.python import extract_python

        return extract_python(data, path)
    decode(data, path)
    from d1ops.core.source.ecma import extract_ecma, script_blocks

    if suffix in _FRAMED:
        return extract_ecma(script_blocks(data), path, "tsx")
    return extract_ecma(data, path, _ECMA[suffix])
