"""What D1's authorizer lets pass: the decisions of workerd, action by action.

Sources: workerd's `src/workerd/util/sqlite.c++` (the authorizer), SQLite documentation ("Authorizer Action Codes"), and
what was seen on workerd 1.20261117.1; `tests/contract/test_differential.py` compares the verdicts.
"""

from __future__ import annotations

import re

import apsw

from d1ops.core import rules
from d1ops.core.sql import semicolon_after, significant


def refusal_of_text(sql: str) -> str | None:
    """Return the text with which workerd refuses a statement before or beside SQLite, or None.

    Seen on workerd 1.20261117.1: its length counts as a whole, and nothing but white space may follow the last
    semicolon.
    """
    first = next((token for token in significant(sql) if token.kind != "semicolon"), None)
    if len(sql.encode()) > rules.MAX_STATEMENT_BYTES:
        return "statement too long: SQLITE_TOOBIG"
    if first is None and "/*" not in sql and ";" not in sql:
        return "No SQL statements detected."
    if first is None or (";" in sql and not _ends_with_a_statement(sql)):
        return "SQL code did not contain a statement."
    return None


def takes_reserved_name(sql: str) -> bool:
    """Return whether a text renames a table to a name of Cloudflare's: SQLite does not tell the authorizer the name."""
    if rules.RESERVED_PREFIX not in sql.lower():
        return False
    words = list(significant(sql))
    return any(
        (rename.upper, to.upper) == ("RENAME", "TO")
        and name.text.strip("\"'`[]").lower().startswith(rules.RESERVED_PREFIX)
        for rename, to, name in zip(words, words[1:], words[2:], strict=False)
    )


def _ends_with_a_statement(sql: str) -> bool:
    """Return whether the last semicolon closes a statement with only white space after it, or comes before one."""
    before, end = 0, 0
    while (after := semicolon_after(sql, end)) >= 0:
        before, end = end, after
    last = sql[end:] if sql[end:].strip() else sql[before : max(end - 1, 0)]
    return next(significant(last), None) is not None


def action_allowed(action: int, first: str, second: str | None, database: str | None) -> bool:
    """Return whether D1's authorizer lets an action pass."""
    match action:
        case apsw.SQLITE_PRAGMA:
            return database != "temp" and pragma_allowed(first, second)
        case apsw.SQLITE_FUNCTION:
            return (second or "").lower() in rules.FUNCTIONS
        case _ if database == "temp" and action in _ADDING_ACTIONS:
            return False
        case apsw.SQLITE_CREATE_VTABLE | apsw.SQLITE_DROP_VTABLE:
            return (second or "").lower() in rules.MODULES and not first.lower().startswith(rules.RESERVED_PREFIX)
        case apsw.SQLITE_ALTER_TABLE:
            # The table, and where a column is dropped the column in the place of the database.
            return not any((name or "").lower().startswith(rules.RESERVED_PREFIX) for name in (second, database))
        case _ if action in _DENIED_ACTIONS:
            return False
        case _ if action in _ACTIONS_OF_A_TABLE:
            return not first.lower().startswith(rules.RESERVED_PREFIX)
        case _:
            return True


def pragma_allowed(name: str, argument: str | None) -> bool:
    """Return whether D1 accepts a pragma in this form (workerd's allow-list)."""
    name = name.lower()
    if name in rules.PRAGMAS_WITHOUT_ARGUMENT:
        return argument is None
    if name in rules.PRAGMAS_BOOLEAN:
        return argument is None or argument.lower().startswith(_BOOLEANS)
    if name in rules.PRAGMAS_OF_A_NAME:
        return argument is not None and not argument.lower().startswith(rules.RESERVED_PREFIX)
    if name in rules.PRAGMAS_OPTIONAL_NAME:
        return name == "table_list" or argument is None or not argument.lower().startswith(rules.RESERVED_PREFIX)
    if name in rules.PRAGMAS_OPTIONAL_NUMBER:
        return argument is None or re.fullmatch(r"-?(0x[0-9a-fA-F]+|\d+)", argument) is not None
    return False


_BOOLEANS = ("on", "off", "true", "false", "yes", "no", "0", "1")

TRANSACTION_ACTIONS = frozenset((apsw.SQLITE_TRANSACTION, apsw.SQLITE_SAVEPOINT))

_ADDING_ACTIONS = frozenset(
    (
        apsw.SQLITE_INSERT,
        apsw.SQLITE_CREATE_TABLE,
        apsw.SQLITE_CREATE_INDEX,
        apsw.SQLITE_CREATE_VIEW,
        apsw.SQLITE_CREATE_TRIGGER,
        apsw.SQLITE_CREATE_VTABLE,
    )
)

_DENIED_ACTIONS = frozenset(
    (
        apsw.SQLITE_TRANSACTION,
        apsw.SQLITE_SAVEPOINT,
        apsw.SQLITE_ATTACH,
        apsw.SQLITE_DETACH,
        apsw.SQLITE_CREATE_TEMP_INDEX,
        apsw.SQLITE_CREATE_TEMP_TABLE,
        apsw.SQLITE_CREATE_TEMP_TRIGGER,
        apsw.SQLITE_CREATE_TEMP_VIEW,
        apsw.SQLITE_DROP_TEMP_INDEX,
        apsw.SQLITE_DROP_TEMP_TABLE,
        apsw.SQLITE_DROP_TEMP_TRIGGER,
        apsw.SQLITE_DROP_TEMP_VIEW,
    )
)

_ACTIONS_OF_A_TABLE = frozenset(
    (
        apsw.SQLITE_READ,
        apsw.SQLITE_INSERT,
        apsw.SQLITE_UPDATE,
        apsw.SQLITE_DELETE,
        apsw.SQLITE_CREATE_TABLE,
        apsw.SQLITE_CREATE_INDEX,
        apsw.SQLITE_CREATE_VIEW,
        apsw.SQLITE_CREATE_TRIGGER,
        apsw.SQLITE_DROP_TABLE,
    )
)
