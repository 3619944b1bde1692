"""An excerpt of a database: the tables that scripts can reach, with all that hangs on them, and nothing else.

A script has no dynamic SQL, so it reaches only what its text names, and from there what foreign keys, triggers and
views lead to. Names are taken from the tokens and too many are taken rather than too few: an excerpt that is too large
costs time, and one that were too small would show as `no such table`. What a trial in an excerpt proves is compared
with the whole database at its end (`core.whole_way`).
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import apsw

from d1ops.core import rules
from d1ops.core.engine import Engine
from d1ops.core.mirror import build_schema, schema_of
from d1ops.core.sql import fold, quote_identifier, significant

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from d1ops.core.schema import Key, Schema, SchemaObject
    from d1ops.core.sql import ScriptStatement

LARGEST_SHARE = 0.6
"""A larger share of the tables than this is not cut out: a copy of the whole database is cheaper."""


def words(sql: str) -> frozenset[str]:
    """Return everything in a text that may name an object, folded: words, quoted names, and strings, which SQLite
    takes for names in some places."""
    found = set()
    for token in significant(sql):
        if token.kind == "word":
            found.add(fold(token.text))
        elif token.kind in ("quoted", "string"):
            mark = token.text[0]
            inner = token.text[1:-1]
            found.add(fold(inner if mark == "[" else inner.replace(mark * 2, mark)))
    return frozenset(found)


def reads_catalogue(names: Iterable[str], verb: str) -> bool:
    """Whether a statement with these words may look at the schema as a whole, and so at everything."""
    return verb in ("ANALYZE", "REINDEX") or any(
        name.startswith(("sqlite_", "pragma_")) or name in ("optimize", "dbstat", "fts5vocab") for name in names
    )


class Links:
    """What the objects of a schema refer to, remembered by their text, so that each is read only once."""

    def __init__(self) -> None:
        self._words: dict[str, frozenset[str]] = {}
        self._parents: dict[SchemaObject, frozenset[str]] = {}

    def words(self, sql: str) -> frozenset[str]:
        """Return `words` of a text."""
        found = self._words.get(sql)
        if found is None:
            found = self._words[sql] = words(sql)
        return found

    def parents(self, engine: Engine, table: SchemaObject) -> frozenset[str]:
        """Return the tables that a table's foreign keys refer to, folded."""
        found = self._parents.get(table)
        if found is None:
            rows = engine.ask('SELECT "table" FROM pragma_foreign_key_list(?)', (table.name,))
            found = self._parents[table] = frozenset(fold(str(parent)) for (parent,) in rows)
        return found


class Reach:
    """What a script can reach in a schema. `tables` are folded names of tables and views; None is everything."""

    def __init__(self, engine: Engine, schema: Schema, links: Links) -> None:
        self._links = links
        self._objects: dict[str, list[SchemaObject]] = {}
        self._triggers: dict[str, list[SchemaObject]] = {}
        self._parents: dict[str, frozenset[str]] = {}
        self._children: dict[str, list[str]] = {}
        self._followers: list[SchemaObject] = []
        self._schema = schema
        for o in schema.objects:
            self._objects.setdefault(fold(o.name), []).append(o)
            if o.type in ("view", "trigger"):
                self._followers.append(o)
            if o.type == "trigger":
                self._triggers.setdefault(fold(o.table), []).append(o)
            if o.type == "table":
                self._parents[fold(o.name)] = parents = links.parents(engine, o)
                for parent in parents:
                    self._children.setdefault(parent, []).append(fold(o.name))

    def followers_hold(self) -> bool:
        """Whether every view and trigger speaks of what is there. ALTER TABLE asks them all, so one is tried on them
        and on the tables and views that they name."""
        if not self._followers:
            return True
        names = {name for o in self._followers for name in (fold(o.table), *self._links.words(o.sql or ""))}
        named = {o for name in names for o in self._objects.get(name, ()) if o.type in ("table", "view")}
        kept = [o for o in self._schema.objects if o in named or o.type in ("view", "trigger")]
        with closing(Engine.memory()) as engine, engine.unlimited():
            build_schema(engine, kept)
            engine.ask("CREATE TABLE d1ops_once (before)")
            try:
                engine.ask("ALTER TABLE d1ops_once RENAME COLUMN before TO after")
            except apsw.SQLError:
                return False
        return True

    def tables(self, statements: Collection[ScriptStatement], *, also: Iterable[str] = ()) -> frozenset[str] | None:
        """Return the tables and views that the statements can reach, and the objects in `also`; None for everything."""
        waiting: list[tuple[str, bool]] = [(name, False) for name in also]
        named = set(also)
        for statement in statements:
            found, verb = self._links.words(statement.sql), statement.verb
            if reads_catalogue(found, verb):
                return None
            is_strong = _changes_rows_that_are_there(statement.sql, found, verb)
            waiting += [(name, is_strong) for name in found if name in self._objects]
            if is_strong:
                # A table may be referred to before it is there.
                waiting += [(child, True) for name in found for child in self._children.get(name, ())]
            named |= found
        if any(statement.verb == "ALTER" for statement in statements):
            # ALTER TABLE reads every view and trigger again, and fails at one that does not hold. Those hold that
            # speak of nothing that the statements name.
            for o in self._followers:
                follower = self._links.words(o.sql or "")
                if not named.isdisjoint(follower):
                    waiting += [(name, False) for name in (fold(o.name), *follower)]
        seen: dict[Key, bool] = {}
        while waiting:
            name, is_strong = waiting.pop()
            for o in self._objects.get(name, ()):
                if o.key not in seen or (is_strong and not seen[o.key]):
                    seen[o.key] = is_strong
                    waiting += self._from(o, is_strong=is_strong)
        reached = frozenset(name for kind, name in seen if kind in ("table", "view"))
        if any(_is_virtual(o) for name in reached for o in self._objects[name]):
            return None
        return None if len(reached) > LARGEST_SHARE * max(len(self._parents), 1) else reached

    def _from(self, o: SchemaObject, *, is_strong: bool) -> Iterator[tuple[str, bool]]:
        """Yield what an object leads to. Strong is a change of rows that are there: it leads on to the children as
        well."""
        name = fold(o.name)
        if o.type in ("index", "trigger"):
            yield fold(o.table), is_strong
        if o.type in ("view", "trigger"):
            yield from ((word, is_strong) for word in self._links.words(o.sql or "") if word in self._objects)
        if o.type in ("table", "view"):
            yield from ((fold(trigger.name), is_strong) for trigger in self._triggers.get(name, ()))
        yield from ((parent, False) for parent in self._parents.get(name, ()) if o.type == "table")
        if is_strong and o.type == "table":
            yield from ((child, True) for child in self._children.get(name, ()))


def _is_virtual(o: SchemaObject) -> bool:
    return o.type == "table" and (o.sql or "").upper().startswith("CREATE VIRTUAL")


def adds_column(sql: str) -> bool:
    """Whether an ALTER TABLE adds a column: the only form that leaves other objects, and rows, as they are."""
    heading = [fold(token.text) for _, token in zip(range(6), significant(sql), strict=False)]
    return "add" in heading[3:4] or ("." in heading[3:4] and "add" in heading[5:6])


def _changes_rows_that_are_there(sql: str, named: frozenset[str], verb: str) -> bool:
    """Whether a statement may change or take rows, or names that others refer to; False only for certain."""
    match verb:
        case "SELECT" | "VALUES" | "PRAGMA":
            return False
        case "INSERT":
            return bool(named & {"replace", "update"})
        case "CREATE":
            return "trigger" in named
        case "DROP":
            return "table" in named
        case "ALTER":
            return not adds_column(sql)
        case _:
            return True


def cut_out(engine: Engine, schema: Schema, tables: frozenset[str]) -> Engine:
    """Return an engine of its own that holds these tables and views, what hangs on them, and their rows.

    Raises UnicodeDecodeError for a text that is not UTF-8.
    """
    kept = [o for o in schema.objects if fold(o.name) in tables or fold(o.table) in tables]
    found = Engine.memory()
    build_schema(found, kept)
    copy_rows(engine, found, [o.name for o in kept if o.type == "table"])
    return found


def copy_rows(source: Engine, target: Engine, tables: Iterable[str]) -> None:
    """Copy all rows of ordinary tables, rowids and AUTOINCREMENT counters included; no trigger fires.

    Raises UnicodeDecodeError for a text that is not UTF-8.
    """
    tables = [table for table in tables if not rules.is_reserved(table)]
    with target.unlimited():
        target.connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 0)
        try:
            for table in tables:
                _copy(source, target, table)
            if schema_of(target).has_table("sqlite_sequence") and schema_of(source).has_table("sqlite_sequence"):
                names = {fold(table) for table in tables}
                counters = source.ask("SELECT name, seq FROM sqlite_sequence")
                target.ask("DELETE FROM sqlite_sequence")
                chosen = [row for row in counters if fold(str(row[0])) in names]
                target.ask_many("INSERT INTO sqlite_sequence (name, seq) VALUES (?, ?)", chosen)
        finally:
            target.connection.config(apsw.SQLITE_DBCONFIG_ENABLE_TRIGGER, 1)


def _copy(source: Engine, target: Engine, table: str) -> None:
    quoted = quote_identifier(table)
    if not source.ask(f"SELECT 1 FROM {quoted} LIMIT 1"):
        return
    rows = source.ask("SELECT name FROM pragma_table_xinfo(?) WHERE hidden = 0", (table,))
    columns = [str(name) for (name,) in rows]
    taken = {fold(column) for column in columns}
    has_rowid = not source.ask_one("SELECT wr FROM pragma_table_list WHERE schema = 'main' AND name = ?", (table,))
    columns += [alias for alias in ("rowid", "_rowid_", "oid") if alias not in taken and has_rowid][:1]
    listed = ", ".join(map(quote_identifier, columns))
    found = source.ask(f"SELECT {listed} FROM {quoted}")
    target.ask_many(f"INSERT INTO {quoted} ({listed}) VALUES ({', '.join('?' for _ in columns)})", found)
