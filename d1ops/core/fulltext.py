"""FTS5 indexes: where their text is, whether they fit it, and what they hold.

An index of its own content keeps the text; an external one (`content='posts'`) reads it from another table or a view;
a contentless one (`content=''`) keeps none, so what it holds is nowhere else. A SELECT shows the text and never the
entries that a search finds: those are asked of `fts5vocab` and of FTS5's own check.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import apsw

from d1ops.core.rows.checks import unquoted
from d1ops.core.sql import quote_identifier, quote_if_needed, quote_text, significant
from d1ops.core.values import Statement

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.engine import Engine
    from d1ops.core.values import Value


def content_of(sql: str) -> str | None:
    """Return the table whose rows an FTS5 table indexes, empty where it keeps no text at all; None where it keeps the
    text itself, or is no FTS5 table."""
    if not is_index(sql):
        return None
    words = [token.text for token in significant(sql)]
    for option, equals, value in zip(words, words[1:], words[2:], strict=False):
        if (option.lower(), equals) == ("content", "="):
            return unquoted(value)
    return None


def is_index(sql: str) -> bool:
    """Return whether this makes an FTS5 table."""
    return module_of(sql) == "fts5"


def module_of(sql: str) -> str | None:
    """Return the module of a virtual table, in lower case; None for what makes none."""
    words = [token.text.lower() for token in significant(sql)]
    return words[words.index("using") + 1] if words[:2] == ["create", "virtual"] else None


def sql_of(engine: Engine, table: str, schema: str = "main") -> str:
    """Return the statement that makes a table, empty where there is none."""
    rows = engine.ask(
        f"SELECT sql FROM {schema}.sqlite_master WHERE type = 'table' AND lower(name) = lower(?)", (table,)
    )
    return str(rows[0][0]) if rows else ""


def check(table: str, schema: str | None = None) -> Statement:
    """Return FTS5's own check of an index against its text; it changes nothing, and fails where they do not fit."""
    name = quote_identifier(table)
    return Statement(f"INSERT INTO {f'{schema}.' if schema else ''}{name} ({name}, rank) VALUES ('integrity-check', 1)")


def is_whole(engine: Engine, table: str, schema: str = "main") -> bool:
    """Return whether an index fits the text that it indexes; True for what is no such index."""
    try:
        engine.ask(check(table, schema).sql)
    except apsw.CorruptError:
        return False
    except apsw.Error:
        return True
    return True


def rebuild(table: str) -> Statement:
    """Return the statement that builds an index again from its text."""
    name = quote_if_needed(table)
    return Statement(f"INSERT INTO {name} ({name}) VALUES ('rebuild')")


def is_readable(engine: Engine, table: str) -> bool:
    """Return whether the text of an index is in reach: a contentless one has none, another may miss its table, or be
    damaged."""
    if content_of(sql_of(engine, table)) == "":
        return False
    try:
        engine.ask(f"SELECT 1 FROM {quote_identifier(table)} LIMIT 1")
    except apsw.Error:
        return False
    return True


@contextmanager
def entries(engine: Engine, table: str, schema: str = "main", name: str = "d1ops_words") -> Iterator[str]:
    """Yield the SELECT of what an index holds: term, doc, col and offset of every word, and the number of every
    document, which may have no word, where the index keeps their sizes. `name` is a name for it that is free."""
    engine.ask(f"CREATE VIRTUAL TABLE temp.{name} USING fts5vocab({schema}, {quote_identifier(table)}, instance)")
    sizes = f"{table}_docsize"
    listed = f"SELECT NULL, id, NULL, NULL FROM {schema}.{quote_identifier(sizes)}"
    try:
        found = f"SELECT term, doc, col, offset FROM temp.{name}"
        yield f"{found} UNION ALL {listed}" if sql_of(engine, sizes, schema) else found
    finally:
        engine.ask(f"DROP TABLE temp.{name}")


def documents(engine: Engine, table: str) -> set[Value] | None:
    """Return the numbers of the documents that an index holds; None where it is damaged and cannot tell."""
    try:
        with entries(engine, table) as held:
            return {doc for (doc,) in engine.ask(f"SELECT DISTINCT doc FROM ({held})")}
    except apsw.CorruptError:
        return None


def settings(table: str) -> str:
    """Return the SELECT of what was set on an index: `rank`, `automerge` and the like."""
    return f"SELECT k, v FROM {quote_identifier(f'{table}_config')} WHERE k <> {quote_text('version')} ORDER BY k"


def setting(table: str) -> str:
    """Return the statement that sets a name (?1) to a value (?2)."""
    name = quote_identifier(table)
    return f"INSERT INTO {name} ({name}, rank) VALUES (?1, ?2)"


def lost_documents(engine: Engine, table: str, now: str, *, before: str) -> int:
    """Return of how many documents of a contentless index entries are missing in the one that is there `now`. One that
    is damaged tells nothing."""
    with suppress(apsw.CorruptError), entries(engine, table, before, "d1ops_then") as then:
        if not is_index(sql_of(engine, now)):
            return int(str(engine.ask_one(f"SELECT count(DISTINCT doc) FROM ({then})")))
        with entries(engine, now) as here:
            lost = f"SELECT * FROM ({then}) EXCEPT SELECT * FROM ({here})"
            return int(str(engine.ask_one(f"SELECT count(DISTINCT doc) FROM ({lost})")))
    return 0


def misfound_documents(engine: Engine, table: str, now: str, *, before: str) -> int:
    """Return how many documents an external index that fitted its rows before holds now with words that they do not
    hold, or without those that they do. Rows that are new and were never indexed do not count."""
    if not is_index(sql_of(engine, now)) or not is_whole(engine, table, before) or is_whole(engine, now):
        return 0
    engine.ask("SAVEPOINT d1ops_misfound")
    try:
        with entries(engine, table, before) as then:
            engine.ask(f"CREATE TEMP TABLE d1ops_then AS SELECT DISTINCT doc FROM ({then})")
        try:
            with entries(engine, now) as found:
                engine.ask(f"CREATE TEMP TABLE d1ops_here AS SELECT * FROM ({found})")
            engine.ask(rebuild(now).sql)
        except apsw.Error:  # it is damaged, or cannot read its rows any more
            return int(str(engine.ask_one("SELECT count(*) FROM temp.d1ops_then")))
        with entries(engine, now) as right:
            here, known = "SELECT * FROM temp.d1ops_here", "SELECT doc FROM temp.d1ops_then"
            wrong = f"SELECT doc FROM ({here} EXCEPT SELECT * FROM ({right}))"
            missing = f"SELECT doc FROM (SELECT * FROM ({right}) EXCEPT {here}) WHERE doc IN ({known})"
            return len(engine.ask(f"{wrong} UNION {missing}"))
    finally:
        engine.ask("ROLLBACK TO d1ops_misfound")
        engine.ask("RELEASE d1ops_misfound")
