"""Random databases with every kind of table and value, and what a backup of them must hold.

What is expected does not come from d1ops: the same statements and values go into a SQLite file through apsw alone, and
every cell is compared by its type and its bits.
"""

from __future__ import annotations

import random
import struct
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import apsw

from d1ops.core.paging import Limits
from d1ops.core.values import Statement
from d1ops.ops import backup as backups
from tests.support.project import Project

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from d1ops.core.values import Param
    from d1ops.database.base import Database

Cell: TypeAlias = "Param | RawText"
Contents: TypeAlias = dict[str, list[tuple[object, ...]]]

SMALL = Limits(
    one_batch_bytes=0,
    small_table_bytes=0,
    page_bytes=4_000,
    most_page_bytes=8_000,
    inline_bytes=600,
    piece_bytes=700,
    walk_rows=3,
)
"""Everything in ranges, many of them, and by pieces what is not short."""


@dataclass(frozen=True)
class RawText:
    """A text whose bytes are not UTF-8."""

    data: bytes


@dataclass
class Made:
    """Statements that make a schema, and rows by the columns that they are for."""

    before: list[str] = field(default_factory=list)
    rows: list[tuple[str, tuple[str, ...], list[Cell]]] = field(default_factory=list)
    after: list[str] = field(default_factory=list)

    @property
    def values(self) -> int:
        return sum(len(cells) for _, _, cells in self.rows)

    def expected(self) -> Contents:
        connection = apsw.Connection(":memory:")
        for sql in self.before:
            connection.execute(sql)
        for statement in self.inserts():
            connection.execute(statement.sql, statement.params)
        for sql in self.after:
            connection.execute(sql)
        return contents(connection)

    def inserts(self) -> Iterator[Statement]:
        for table, columns, cells in self.rows:
            marks = ", ".join("+CAST(? AS TEXT)" if isinstance(cell, RawText) else "?" for cell in cells)
            params = tuple(cell.data if isinstance(cell, RawText) else cell for cell in cells)
            yield Statement(f"INSERT OR IGNORE INTO {table} ({', '.join(columns)}) VALUES ({marks})", params)


# -- random values and schemas -----------------------------------------------------------------------------


def value(source: random.Random) -> Cell:
    """Return a value of a class drawn at random."""
    match source.randrange(16):
        case 0:
            return None
        case 1:
            return source.choice((0, 1, -1, 2**53, 2**53 + 1, -(2**53) - 1, 2**63 - 1, -(2**63)))
        case 2:
            return source.randint(-(2**63), 2**63 - 1)
        case 3:
            return source.choice((float("inf"), float("-inf"), 0.0, -0.0, 5e-324, 1.7976931348623157e308, 2.0**-1022))
        case 4 | 5:
            found = struct.unpack("<d", source.randbytes(8))[0]
            return found if found == found else 0.1
        case 6:
            return source.choice((1.0, 1e20, 1e22, 0.1 + 0.2, 12.34, 123456789012345680.0)) * source.choice((1, -1))
        case 7:
            return source.choice(
                ("", "\0", "a\0b", "\ufeffx", "\ufffd", "line\nand \\n", "i1", "t", "x00", "[1]", "null")
            )
        case 8:
            return "".join(
                chr(source.choice((source.randrange(32), 34, 39, 92, 127, 0x2028, 0x1F600))) for _ in range(9)
            )
        case 9:
            return RawText(source.choice((b"\xff", b"\xc3(", b"\xed\xa0\x80", b"a\xffb\0c", b"\xf4\x90\x80\x80")))
        case 10:
            return source.randbytes(source.choice((0, 1, 5, 300)))
        case 11:
            return b"" if source.random() < 0.5 else b"\0"
        case 12:
            return source.choice(("x", "\u00e4\0", '"', "\\")) * source.choice((10, 400, 2_000))
        case 13:
            return source.randbytes(source.choice((600, 3_000)))
        case _:
            return "".join(source.choice("abcdefghij \u00fc\u4e2d") for _ in range(source.randrange(30)))


_TYPES = ("", "INTEGER", "REAL", "TEXT", "BLOB", "NUMERIC", "VARCHAR(9)", "DECIMAL(10,2)")
_KEYS = ("", " COLLATE NOCASE", " COLLATE RTRIM", " DESC", " COLLATE NOCASE DESC")


def random_database(seed: int, *, rows: int) -> Made:
    """Return a database with a table of every kind, `rows` rows each."""
    source = random.Random(seed)
    made = Made()
    tables: list[tuple[str, tuple[str, ...], str]] = []
    for number in range(3):
        columns = tuple(f"c{n}" for n in range(source.randint(1, 6)))
        typed = ", ".join(f"{column} {source.choice(_TYPES)}" for column in columns)
        tables.append((f"plain_{number}", columns, f"({typed})"))
    for number in range(3):
        keys = tuple(f"k{n}" for n in range(source.randint(1, 3)))
        own = ", ".join(f"{key} {source.choice(_TYPES)}{source.choice(('', ' COLLATE NOCASE'))}" for key in keys)
        order = ", ".join(key + source.choice(_KEYS) for key in keys)
        tables.append((f"keyed_{number}", (*keys, "v"), f"({own}, v, PRIMARY KEY ({order})) WITHOUT ROWID"))
    tables += [
        ("ids", ("id", "v"), "(id INTEGER PRIMARY KEY, v, twice AS (id * 2), again AS (v) STORED)"),
        ("counted", ("v",), "(id INTEGER PRIMARY KEY AUTOINCREMENT, v)"),
        ("text_key", ("k", "v"), "(k TEXT PRIMARY KEY, v REFERENCES text_key (k))"),
        ("shadowed", ("rowid", "_rowid_", "oid"), "(rowid, _rowid_, oid)"),
        ("shadowed_twice", ("rowid", "_rowid_"), "(rowid TEXT, _rowid_ INT PRIMARY KEY DESC)"),
        ("strict_any", ("k", "v"), "(k ANY PRIMARY KEY, v ANY) STRICT, WITHOUT ROWID"),
        ('"a ""quoted"" name"', ('"b ""c"', '"select"'), '("b ""c" REAL, "select" NUMERIC)'),
        ("hundred", tuple(f"c{n}" for n in range(100)), f"({', '.join(f'c{n}' for n in range(100))})"),
    ]
    for table, columns, body in tables:
        made.before.append(f"CREATE TABLE {table} {body}")
        count = 2 if table == "hundred" else rows
        for number in range(count):
            cells = [value(source) for _ in columns]
            if table == "ids":
                cells[0] = source.choice((number, -number, 2**60 + number))
            if table == "text_key":
                cells[1] = None
            made.rows.append((table, columns, cells))
    made.before += [
        "CREATE VIRTUAL TABLE searched USING fts5(title, body)",
        "CREATE VIRTUAL TABLE outside USING fts5(c0, content='plain_0')",
        "CREATE VIRTUAL TABLE contentless USING fts5(body, content='')",
        "CREATE VIEW seen AS SELECT id, v FROM ids WHERE v IS NOT NULL",
    ]
    for number in range(rows):
        made.rows.append(("searched", ("title", "body"), [f"title {number}", source.choice(("hello world", "other"))]))
        made.rows.append(("contentless", ("rowid", "body"), [number + 1, source.choice(("hello world", "other"))]))
    made.after += [
        "DELETE FROM counted WHERE id = (SELECT max(id) FROM counted)",
        "INSERT INTO outside (outside) VALUES ('rebuild')",
        "CREATE INDEX some ON plain_0 (c0) WHERE c0 IS NOT NULL",
        "CREATE TRIGGER grows AFTER INSERT ON ids BEGIN DELETE FROM plain_0; END",
        "ANALYZE",
    ]
    return made


# -- through an engine and a backup ------------------------------------------------------------------------


def fill(database: Database, made: Made) -> None:
    """Make the schema and write the rows."""
    database.batch([Statement(sql) for sql in made.before])
    statements = list(made.inserts())
    for start in range(0, len(statements), 200):
        database.batch(statements[start : start + 200])
    for sql in made.after:
        database.query(sql)


@contextmanager
def backed_up(database: Database, root: Path, limits: Limits | None = None) -> Iterator[Path]:
    """Back a database up and yield the unpacked file."""
    root.mkdir(exist_ok=True)
    workspace = Project(root, database).workspace
    made, _ = backups.create(workspace, limits=limits)
    backups.verify(workspace, made.id)
    with made.unpacked() as path:
        yield path


def contents_of(path: Path) -> Contents:
    """Return every cell of a SQLite file by its type and bits."""
    connection = apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY)
    try:
        return contents(connection)
    finally:
        connection.close()


def contents(connection: apsw.Connection) -> Contents:
    """Return schema, cells and counters; of a full-text index what it finds, since its bytes are its engine's own."""
    tables = list(
        connection.execute(
            "SELECT name, type, wr FROM pragma_table_list WHERE schema = 'main' AND type IN ('table', 'virtual')"
            " AND name NOT IN ('sqlite_schema', 'sqlite_stat1', 'sqlite_stat4') ORDER BY name"
        )
    )
    found: Contents = {
        "": sorted(
            connection.execute(
                "SELECT type, name, tbl_name, sql FROM sqlite_schema"
                " WHERE name <> 'sqlite_stat4' AND substr(name, 1, 4) <> '_cf_'"
            )
        )
    }
    for table, kind, _ in tables:
        name = '"' + table.replace('"', '""') + '"'
        if kind == "virtual":
            rows = connection.execute(f"SELECT rowid FROM {name} WHERE {name} MATCH 'hello' ORDER BY rowid")
            found[table] = [("hello", rowid) for (rowid,) in rows]
            continue
        columns = [row[1] for row in connection.execute(f"PRAGMA table_info({name})")]
        cells = ", ".join(_typed('"' + column.replace('"', '""') + '"') for column in columns)
        found[table] = sorted((_bits(row) for row in connection.execute(f"SELECT {cells} FROM {name}")), key=repr)
        if not {"rowid", "_rowid_", "oid"}.issubset(columns) and not table.startswith(("keyed", "strict")):
            alias = next(alias for alias in ("rowid", "_rowid_", "oid") if alias not in columns)
            found[f"{table} by rowid"] = sorted(
                (_bits(row) for row in connection.execute(f"SELECT {alias}, {cells} FROM {name}")), key=repr
            )
    return found


def _typed(column: str) -> str:
    return f"typeof({column}), CASE typeof({column}) WHEN 'text' THEN CAST({column} AS BLOB) ELSE {column} END"


def _bits(row: tuple[object, ...]) -> tuple[object, ...]:
    return tuple(struct.pack("<d", cell) if isinstance(cell, float) else cell for cell in row)
