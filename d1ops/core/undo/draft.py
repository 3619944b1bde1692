"""The statements that turn one schema into another without losing a row of any table.

What SQLite can change in place is changed in place: DROP COLUMN, RENAME, ADD COLUMN, each tried on a throw-away engine.
Where that does not give the wanted form exactly, columns in their order included, the table is rebuilt safely
(`core.undo.rebuild`).
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from d1ops.core.engine import Rejected
from d1ops.core.schema import Schema, difference_of
from d1ops.core.sql import ended, fold, quote_if_needed
from d1ops.core.tables import dependants, is_circular, parents_first, read_links, read_tables
from d1ops.core.trial import opened, user_schema
from d1ops.core.undo.definitions import column_texts
from d1ops.core.undo.rebuild import Move, stash, stay
from d1ops.core.values import Statement

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from d1ops.core.engine import Engine
    from d1ops.core.schema import SchemaObject
    from d1ops.core.tables import Table
    from d1ops.core.undo.lineage import Lineage

DEFER = "PRAGMA defer_foreign_keys = ON"


@dataclass(frozen=True, slots=True)
class Block:
    """Statements that belong together, and what to say about them; without semicolons."""

    comment: str
    statements: tuple[str, ...]


@dataclass(slots=True)
class Draft:
    """A script in the making. `rebuilt` are tables that are dropped and made again, `moved` others whose rows leave and
    return, `empty` tables and columns (`table.column`) that come back without what they held."""

    blocks: list[Block] = field(default_factory=list)
    rebuilt: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()
    empty: list[str] = field(default_factory=list)

    def add(self, comment: str, statements: Iterable[str]) -> None:
        """Add statements, if there are any."""
        if found := tuple(statements):
            self.blocks.append(Block(comment, found))

    @property
    def statements(self) -> list[str]:
        """All statements, in order."""
        return [sql for block in self.blocks for sql in block.statements]

    def text(self, heading: Sequence[str]) -> str:
        """Return the script as a file holds it. `heading` are lines of comment."""
        parts = ["".join(f"-- {line}\n" for line in heading)] if heading else []
        for block in self.blocks:
            comment = "".join(f"-- {line}\n" for line in block.comment.splitlines())
            parts.append(comment + "\n\n".join(map(ended, block.statements)) + "\n")
        return "\n".join(parts)


def draft(now: bytes, wanted: bytes, lineage: Lineage, *, first: Sequence[str] = (), clear: bool = False) -> Draft:
    """Return the statements that give a database like the image `now` the schema of the image `wanted`.

    `lineage` says for every table and column of `wanted` where its rows are now. `first` are statements that come
    before everything else. With `clear` all views and triggers are dropped before and made again after, for schemas
    that hold one that does not compile, at which ALTER TABLE stops. Whether the draft keeps every row is for a proof
    to say.
    """
    with closing(opened(now)) as engine, closing(opened(wanted)) as goal:
        return _Drafting(engine, goal, lineage).run(first, clear=clear)


class _Drafting:
    """The steps, in the order of the script. `engine` is a throw-away database on which each is tried."""

    def __init__(self, engine: Engine, goal: Engine, lineage: Lineage) -> None:
        self.engine = engine
        self.wanted, self.targets = user_schema(goal), read_tables(goal)
        self.sources = {name: dict(columns) for name, columns in lineage.columns.items()}
        self.moved_to = {fold(source): self.targets[name].name for name, source in lineage.tables.items()}
        self.draft = Draft()
        self.look()

    def look(self) -> None:
        """See what the throw-away database holds by now."""
        self.schema, self.there, self.links = (
            user_schema(self.engine),
            read_tables(self.engine),
            read_links(self.engine),
        )

    def run(self, first: Sequence[str], *, clear: bool) -> Draft:
        self.do("", first)
        if clear:
            self.do("", self.followers(lambda o: True))
        self.rename()
        self.do("", self.followers(self.is_changed))
        leaving = [name for name in self.there if name not in self.sources]
        rebuilt = self.alter()
        self.do("", [_drop(o) for o in self.schema.objects if self.is_stale_index(o, {*leaving, *rebuilt})])
        self.rebuild(rebuilt, leaving)
        self.leave(leaving)
        self.create()
        return self.draft

    def do(self, comment: str, statements: Iterable[str]) -> bool:
        """Add statements to the script, unless the throw-away database rejects them."""
        found = tuple(statements)
        if not found:
            return True
        try:
            self.engine.run([Statement(DEFER), *map(Statement, found)])
        except Rejected:
            return False
        self.draft.add(comment, found)
        self.look()
        return True

    # -- names ---------------------------------------------------------------------------------------------

    def rename(self) -> None:
        """Give tables and columns their names back."""
        for name, table in list(self.there.items()):
            wanted = self.moved_to.get(name)
            if wanted is not None and fold(wanted) != name:
                self.do("", [f"ALTER TABLE {quote_if_needed(table.name)} RENAME TO {quote_if_needed(wanted)}"])
        for name, columns in self.sources.items():
            for column, source in columns.items():
                if fold(column) != fold(source):
                    parts = map(quote_if_needed, (self.targets[name].name, source, column))
                    if self.do("", ["ALTER TABLE {} RENAME COLUMN {} TO {}".format(*parts)]):
                        columns[column] = column

    # -- what stands on tables -------------------------------------------------------------------------------

    def is_changed(self, o: SchemaObject) -> bool:
        """Whether an object has another form than it is to have, or is not to be there."""
        return bool(difference_of(o, self.wanted.by_key().get(o.key)))

    def followers(self, chosen: Callable[[SchemaObject], bool]) -> list[str]:
        """Drop the chosen views, and the chosen triggers with those of the chosen views; those on a table that goes
        leave with it."""
        views = {fold(o.name) for o in self.schema.objects if o.type == "view" and chosen(o)}
        triggers = [
            o
            for o in self.schema.objects
            if o.type == "trigger" and (fold(o.table) in views or (chosen(o) and not self.is_leaving(o.table)))
        ]
        return [*map(_drop, triggers), *(_drop(o) for o in self.schema.objects if fold(o.name) in views)]

    def is_leaving(self, table: str) -> bool:
        """Whether a table, under its name of before or after the renames, is not to be there."""
        name = fold(table)
        return name in self.there and name not in self.sources and name not in self.moved_to

    def is_stale_index(self, o: SchemaObject, gone: Iterable[str]) -> bool:
        return o.type == "index" and o.sql is not None and fold(o.table) not in gone and self.is_changed(o)

    # -- in place --------------------------------------------------------------------------------------------

    def alter(self) -> list[str]:
        """Change every table in place that allows it; return the folded names of the others."""
        forms = self.wanted.by_key()
        now = self.schema.by_key()
        rebuilt = []
        for name in self.sources:
            key = ("table", name)
            if key not in now or not difference_of(now[key], forms[key]):
                continue
            statements = [_drop(o) for o in self.schema.objects if fold(o.table) == name and self.is_stale_index(o, ())]
            statements += self.alterations(name)
            if self.targets[name].is_virtual or not self.gives(statements, forms[key]):
                rebuilt.append(name)
            else:
                self.do("", statements)
                self.draft.empty += self.unfilled(name)
        return rebuilt

    def unfilled(self, name: str) -> list[str]:
        """Say which columns come back without what they held."""
        target, sources = self.targets[name], self.sources[name]
        return [f"the values of {target.name}.{column}" for column in target.columns if column not in sources]

    def alterations(self, name: str) -> list[str]:
        """Drop the columns that are too many, the newest first, and add those that are missing, in order."""
        sources = {fold(source) for source in self.sources[name].values()}
        target, table = self.targets[name], self.there[name]
        wanted = {fold(column) for column in target.all_columns}
        alter = f"ALTER TABLE {quote_if_needed(target.name)}"
        extra = [c for c in reversed(table.all_columns) if fold(c) not in sources | wanted]
        missing = [c for c in target.all_columns if fold(c) not in {fold(x) for x in table.all_columns}]
        texts = column_texts(target.sql)
        return [
            *(f"{alter} DROP COLUMN {quote_if_needed(column)}" for column in extra),
            *(f"{alter} ADD COLUMN {texts[fold(column)]}" for column in missing),
        ]

    def gives(self, statements: Sequence[str], form: SchemaObject) -> bool:
        """Whether statements give a table exactly the wanted form, columns in their order included."""
        with closing(opened(self.engine.serialize())) as engine:
            try:
                engine.run([Statement(DEFER), *map(Statement, statements)])
            except Rejected:
                return False
            found = user_schema(engine).by_key().get(form.key)
            return found is not None and not difference_of(found, form)

    # -- by a rebuild ----------------------------------------------------------------------------------------

    def rebuild(self, rebuilt: Sequence[str], leaving: Sequence[str]) -> None:
        """Drop tables and make them again, the rows of all that depend on them kept aside."""
        if not rebuilt:
            return
        moved = sorted(dependants(rebuilt, self.links) - set(leaving) - set(rebuilt))
        touched = {*rebuilt, *moved, *(dependants(rebuilt, self.links) & set(leaving))}
        self.draft.rebuilt = tuple(self.targets[name].name for name in rebuilt)
        self.draft.moved = tuple(self.there[name].name for name in moved)
        indexed = [name for name in rebuilt if self.there[name].content is not None]
        moves = [self.move(name) for name in rebuilt if name not in indexed] + [
            stay(self.there[name]) for name in moved
        ]
        taken = {fold(o.name) for schema in (self.schema, self.wanted) for o in schema.objects}
        rows = stash(moves, self.links, taken)
        needs_defer = any(link.parent in {*rebuilt, *moved} for link in self.links)
        self.draft.add("", [DEFER] if needs_defer else [])
        self.draft.add("", [_drop(o) for o in self.schema.objects if o.type == "trigger" and fold(o.table) in touched])
        self.draft.add(_ASIDE.format(tables=" and ".join(self.draft.rebuilt)), rows.aside)
        self.draft.add(_AWAY, [*rows.away, *(f"DROP TABLE {quote_if_needed(self.there[n].name)}" for n in indexed)])
        self.draft.add("", [self.targets[name].sql for name in parents_first(rebuilt, self.links)])
        self.draft.add(_BACK, [*rows.back, *_indexed_again(self.targets[name] for name in indexed)])
        self.draft.add("", rows.cleared)
        gone = {o.key for o in self.schema.objects if o.type != "table" and fold(o.table) in rebuilt} | {
            o.key for o in self.schema.objects if o.type == "trigger" and fold(o.table) in touched
        }
        self.schema = Schema(
            tuple(
                self.wanted.by_key()[o.key] if o.type == "table" and fold(o.name) in rebuilt else o
                for o in self.schema.objects
                if o.key not in gone
            )
        )

    def move(self, name: str) -> Move:
        table, target, sources = self.there[name], self.targets[name], self.sources[name]
        self.draft.empty += self.unfilled(name)
        if target.is_counted and not table.is_counted:
            self.draft.empty.append(f"the AUTOINCREMENT counter of {target.name}, which goes on from its largest id")
        return Move(table, target, sources)

    # -- tables that go, and those that return -----------------------------------------------------------------

    def leave(self, leaving: Sequence[str]) -> None:
        """Drop the tables that are too many, children first."""
        restricts = any(x.child == x.parent and x.child in leaving and x.on_delete == "RESTRICT" for x in self.links)
        if restricts or is_circular(leaving, self.links):
            self.draft.add("", [DEFER] if DEFER not in self.draft.statements else [])
        ordered = reversed(parents_first(leaving, self.links))
        self.draft.add("", [f"DROP TABLE {quote_if_needed(self.there[name].name)}" for name in ordered])

    def create(self) -> None:
        """Make what is not there, in the order in which it was made first."""
        there = self.schema.by_key()
        missing = [o for o in self.wanted.objects if o.sql is not None and o.key not in there]
        for name, table in self.targets.items():
            if name in self.sources:
                continue
            statements = [table.sql, *_indexed_again([table])]
            is_full = bool(table.content) or "fts5vocab" in table.sql.lower()
            self.draft.add("" if is_full else f"The rows that {table.name} held cannot return.", statements)
            self.draft.empty += [] if is_full else [f"all rows of {table.name}"]
        for kind in ("index", "view", "trigger"):
            self.draft.add("", [o.sql or "" for o in missing if o.type == kind])


_ASIDE = """\
{tables} cannot take this form in place, so it is dropped and made again. D1 keeps foreign keys on, and DROP TABLE
deletes every row first: ON DELETE actions would reach the tables that refer to it. So the rows of all of them are kept
aside, and put back afterwards."""
_AWAY = "No action finds a row: the children are empty before their parents."
_BACK = "Every row returns, parents first."


def _drop(o: SchemaObject) -> str:
    return f"DROP {o.type.upper()} {quote_if_needed(o.name)}"


def _indexed_again(tables: Iterable[Table]) -> list[str]:
    """Build the full-text indexes again that keep no text of their own, from the tables that hold it."""
    names = [quote_if_needed(table.name) for table in tables if table.content]
    return [f"INSERT INTO {name} ({name}) VALUES ('rebuild')" for name in names]
