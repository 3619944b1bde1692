"""The columns of a CREATE TABLE text, each as it is written."""

from __future__ import annotations

from d1ops.core.rows.checks import unquoted
from d1ops.core.sql import fold, significant


def column_texts(sql: str) -> dict[str, str]:
    """Return the definitions between the outer parentheses by their first word, folded and without quotes.

    A table constraint is among them under its keyword; it stands behind all columns, so a column of that name (quoted,
    then) is found first.
    """
    found: dict[str, str] = {}
    depth, start, first = 0, 0, ""
    for token in significant(sql):
        if depth == 1 and not first and token.text not in "(),":
            first, start = token.text, token.start
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if first and ((depth == 1 and token.text == ",") or depth == 0):
            found.setdefault(fold(unquoted(first)), sql[start : token.start].rstrip())
            first = ""
        if depth == 0 and found:
            break
    return found
