"""Generated schemas with one foreign key, and indexes that serve it or look as if they did."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.engine import Engine
from d1ops.core.sql import quote_identifier

if TYPE_CHECKING:
    from collections.abc import Sequence
    from random import Random

TYPES = ("TEXT", "TEXT", "INTEGER", "", "BLOB", "REAL")
COLLATIONS = ("", "", "", " COLLATE NOCASE", " COLLATE RTRIM", " COLLATE BINARY")
NAMES = ("c", "Child Rows", 'odd "name', "order", "c (a=?)", "p", "näme")


@dataclass(frozen=True)
class Drawn:
    """A schema with one foreign key of `child`; `has_parent` when the other table exists."""

    child: str
    statements: tuple[str, ...]
    has_parent: bool

    def build(self) -> Engine:
        engine = Engine.memory()
        for statement in self.statements:
            engine.ask(statement)
        return engine


def draw_schema(random: Random) -> Drawn:
    child = random.choice(NAMES)
    is_self = random.random() < 0.15
    parent = child if is_self else random.choice(("parent", "Par ent", "x"))
    key = random.sample("abcd", random.choice((1, 1, 2, 2, 3)))
    types = {column: random.choice(TYPES) for column in "abcd"}
    columns, options = _child_columns(random, types, key)
    names = ", ".join(f"k{number}" for number in range(len(key)))
    referenced, is_implicit = _parent_columns(random, types, key), not is_self and random.random() < 0.3
    unique = f"{'PRIMARY KEY' if is_implicit else 'UNIQUE'} ({names})"
    if not is_self and len(key) == 1 and random.random() < 0.25:
        referenced, unique = ["k0 INTEGER PRIMARY KEY"], "CHECK (1)"
    target = quote_identifier(parent) + ("" if is_implicit else f" ({names})")
    foreign_key = f"FOREIGN KEY ({', '.join(key)}) REFERENCES {target}"
    if is_self:
        parts = [*columns[:4], *referenced, *columns[4:], unique, foreign_key]
        tables = [f"CREATE TABLE {quote_identifier(child)} ({', '.join(parts)}){options}"]
    else:
        tables = [
            f"CREATE TABLE {quote_identifier(parent)} ({', '.join([*referenced, unique])})",
            f"CREATE TABLE {quote_identifier(child)} ({', '.join([*columns, foreign_key])}){options}",
        ]
    has_parent = is_self or random.random() < 0.9
    indexes = [_index(random, quote_identifier(child), number, key) for number in range(random.randrange(4))]
    return Drawn(child, (*tables[0 if has_parent else 1 :], *indexes), has_parent)


def _parent_columns(random: Random, types: dict[str, str], key: Sequence[str]) -> list[str]:
    has_same_types = random.random() < 0.6
    return [
        f"k{number} {types[column] if has_same_types else random.choice(TYPES)}{random.choice(COLLATIONS)}"
        for number, column in enumerate(key)
    ]


def _child_columns(random: Random, types: dict[str, str], key: Sequence[str]) -> tuple[list[str], str]:
    """Four columns and perhaps a primary key: the rowid, a part of the foreign key, all of it, or another."""
    columns = [f"{column} {types[column]}{random.choice(COLLATIONS)}" for column in "abcd"]
    primary_key = random.choice(("none", "none", "rowid", "part", "all", "other"))
    if primary_key == "none":
        return columns, ""
    if primary_key == "rowid":
        place = random.randrange(4)
        columns[place] = f"{'abcd'[place]} INTEGER PRIMARY KEY"
        return columns, ""
    chosen = {"part": key[:1], "all": random.sample(key, len(key)), "other": random.sample("abcd", 2)}[primary_key]
    return [*columns, f"PRIMARY KEY ({', '.join(chosen)})"], random.choice((" WITHOUT ROWID", ""))


def _index(random: Random, table: str, number: int, key: Sequence[str]) -> str:
    columns = [*random.sample(key, len(key)), *random.sample("abcd", random.randrange(3))]
    if random.random() < 0.4:
        columns = random.sample("abcd", random.randrange(1, 4))
    terms = [f"{column}{random.choice(COLLATIONS)}{random.choice(('', '', ' DESC'))}" for column in columns]
    if random.random() < 0.15:
        terms.insert(random.randrange(len(terms) + 1), f"lower({random.choice(key)})")
    where = random.choice(("", "", "", " WHERE {} IS NOT NULL", " WHERE {} > 5", " WHERE {} = 'x'")).format(
        random.choice("abcd")
    )
    unique = random.choice(("", "", "", "UNIQUE "))
    name = quote_identifier(random.choice((f"i{number}", f"i{number} (a=?", f"INDEX {number}")))
    return f"CREATE {unique}INDEX {name} ON {table} ({', '.join(terms)}){where}"


def _hand(*statements: str, child: str = "c") -> Drawn:
    return Drawn(child, statements, has_parent=True)


_PARENT = "CREATE TABLE p (id INTEGER PRIMARY KEY, k TEXT UNIQUE, n TEXT COLLATE NOCASE UNIQUE, a, b, UNIQUE (a, b))"
_PAIR = "FOREIGN KEY (x, y) REFERENCES p (a, b)"

HAND_MADE = (
    _hand(_PARENT, "CREATE TABLE c (x INTEGER REFERENCES p)"),
    _hand(_PARENT, "CREATE TABLE c (x INTEGER REFERENCES p)", "CREATE INDEX i ON c (x)"),
    _hand(_PARENT, "CREATE TABLE c (x INTEGER PRIMARY KEY REFERENCES p)"),
    _hand(_PARENT, "CREATE TABLE c (x TEXT PRIMARY KEY REFERENCES p (k))"),
    _hand(_PARENT, "CREATE TABLE c (x TEXT PRIMARY KEY REFERENCES p (k)) WITHOUT ROWID"),
    _hand(_PARENT, "CREATE TABLE c (y, x TEXT REFERENCES p (k), PRIMARY KEY (y, x)) WITHOUT ROWID"),
    _hand(_PARENT, "CREATE TABLE c (x TEXT REFERENCES p (k), y, PRIMARY KEY (x, y)) WITHOUT ROWID"),
    _hand(_PARENT, "CREATE TABLE c (x TEXT UNIQUE REFERENCES p (k))"),
    _hand(_PARENT, "CREATE TABLE c (x TEXT REFERENCES p (n))", "CREATE INDEX i ON c (x)"),
    _hand(_PARENT, "CREATE TABLE c (x TEXT REFERENCES p (n))", "CREATE INDEX i ON c (x COLLATE NOCASE)"),
    _hand(_PARENT, "CREATE TABLE c (x TEXT COLLATE NOCASE REFERENCES p (k))", "CREATE INDEX i ON c (x)"),
    _hand(_PARENT, "CREATE TABLE c (x TEXT COLLATE NOCASE REFERENCES p (n))", "CREATE INDEX i ON c (x)"),
    _hand(_PARENT, "CREATE TABLE c (x TEXT REFERENCES p (k))", "CREATE INDEX i ON c (x) WHERE x IS NOT NULL"),
    _hand(_PARENT, "CREATE TABLE c (x TEXT REFERENCES p (k), y)", "CREATE INDEX i ON c (x) WHERE y = 1"),
    _hand(_PARENT, "CREATE TABLE c (x TEXT REFERENCES p (k))", "CREATE INDEX i ON c (lower(x))"),
    _hand(_PARENT, "CREATE TABLE c (x TEXT REFERENCES p (k))", "CREATE INDEX i ON c (x DESC)"),
    _hand(_PARENT, "CREATE TABLE c (x TEXT REFERENCES p (k), y)", "CREATE INDEX i ON c (y, x)"),
    _hand(_PARENT, f"CREATE TABLE c (x, y, {_PAIR})"),
    _hand(_PARENT, f"CREATE TABLE c (x, y, {_PAIR})", "CREATE INDEX i ON c (x, y)"),
    _hand(_PARENT, f"CREATE TABLE c (x, y, {_PAIR})", "CREATE INDEX i ON c (y, x)"),
    _hand(_PARENT, f"CREATE TABLE c (x, y, {_PAIR})", "CREATE INDEX i ON c (x)"),
    _hand(_PARENT, f"CREATE TABLE c (x, y, {_PAIR})", "CREATE UNIQUE INDEX i ON c (x)"),
    _hand(_PARENT, f"CREATE TABLE c (x, y, z, {_PAIR})", "CREATE INDEX i ON c (x, z, y)"),
    _hand(_PARENT, f"CREATE TABLE c (x, y, {_PAIR})", "CREATE INDEX i ON c (x)", "CREATE INDEX j ON c (y)"),
    _hand(_PARENT, "CREATE TABLE c (x TEXT REFERENCES p (id))", "CREATE INDEX i ON c (x)"),
    _hand(_PARENT, "CREATE TABLE c (x REFERENCES p (id))", "CREATE INDEX i ON c (x)"),
    _hand(_PARENT, "CREATE TABLE c (x REAL REFERENCES p (id))", "CREATE INDEX i ON c (x)"),
    _hand(_PARENT, "CREATE TABLE c (x INTEGER REFERENCES p (k))", "CREATE INDEX i ON c (x)"),
    _hand("CREATE TABLE c (id INTEGER PRIMARY KEY, up INTEGER REFERENCES c)"),
    _hand("CREATE TABLE c (id INTEGER PRIMARY KEY, up INTEGER REFERENCES c)", "CREATE INDEX i ON c (up)"),
    _hand("CREATE TABLE c (id TEXT PRIMARY KEY, up TEXT REFERENCES c) WITHOUT ROWID", "CREATE INDEX i ON c (up)"),
    _hand("CREATE TABLE c (x INTEGER REFERENCES gone (id))"),
    _hand("CREATE TABLE c (x INTEGER REFERENCES gone (id))", "CREATE INDEX i ON c (x)"),
    _hand("CREATE TABLE p (a, b)", "CREATE TABLE c (x REFERENCES p (a))", "CREATE INDEX i ON c (x)"),
    _hand("CREATE TABLE p (a, b)", "CREATE TABLE c (x REFERENCES p (a))"),
    _hand("CREATE TABLE p (a, b, PRIMARY KEY (a, b))", "CREATE TABLE c (x REFERENCES p)", "CREATE INDEX i ON c (x)"),
    _hand(_PARENT, "CREATE TABLE c (x INTEGER REFERENCES p ON DELETE CASCADE)"),
    _hand(_PARENT, "CREATE TABLE c (x INTEGER REFERENCES p ON DELETE SET NULL)", "CREATE INDEX i ON c (x)"),
    _hand('CREATE TABLE "P p" ("k k" TEXT PRIMARY KEY)', 'CREATE TABLE c (x TEXT REFERENCES "P p" ("k k"))'),
    _hand(_PARENT, "CREATE TABLE c (x TEXT REFERENCES P (K))", "CREATE INDEX i ON C (X)"),
)
"""Schemas with one foreign key each, for what a generator seldom makes."""
