"""What scripts really do, by plain SQLite: no judgement of d1ops has a part in it."""

from __future__ import annotations

import re
from collections import Counter
from contextlib import closing
from typing import Any, TypeAlias

import apsw

Dump: TypeAlias = dict[str, Any]


class Database:
    """A database in memory under D1's one rule that matters here: foreign keys are on, a script is a transaction."""

    def __init__(self, image: bytes) -> None:
        self.connection = apsw.Connection(":memory:")
        self.connection.deserialize("main", image)
        self.connection.pragma("foreign_keys", 1)

    def close(self) -> None:
        self.connection.close()

    def run(self, statements: list[str]) -> bool:
        """Run a script; False when it failed and nothing happened."""
        try:
            self.connection.execute("BEGIN")
            for sql in statements:
                if not re.match(r"(?i)\s*PRAGMA\s+foreign_keys", sql):
                    self.connection.execute(sql)
            self.connection.execute("COMMIT")
        except apsw.Error:
            if self.connection.in_transaction:
                self.connection.execute("ROLLBACK")
            return False
        return True

    def ask(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        return list(self.connection.execute(sql, parameters))

    def image(self) -> bytes:
        return self.connection.serialize("main")

    def dump(self) -> Dump:
        """Everything that can be read: `schema` without regard to the order of columns, `order`, and `rows`."""
        tables = self.ask("SELECT name, type, wr, strict FROM pragma_table_list WHERE schema = 'main' ORDER BY name")
        kept = [row for row in tables if row[1] in ("table", "virtual", "view") and not row[0].startswith("sqlite_")]
        schema: list[Any] = [
            (kind, name.lower(), sorted(_words(sql))) for kind, name, sql in self.ask(
                "SELECT type, name, sql FROM sqlite_master WHERE sql NOT NULL ORDER BY type, name"
            ) if not name.startswith("sqlite_")
        ]  # fmt: skip
        order = {}
        rows = {}
        for name, kind, without_rowid, strict in kept:
            try:
                columns = self.ask(
                    'SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo(?)', name
                )
            except apsw.Error:
                columns = []
            order[name.lower()] = [str(column[0]).lower() for column in columns]
            schema.append((name.lower(), kind, without_rowid, strict, sorted(map(repr, columns))))
            schema.append(
                sorted(map(repr, (row[2:] for row in self.ask("SELECT * FROM pragma_foreign_key_list(?)", name))))
            )
            for (index,) in self.ask("SELECT name FROM pragma_index_list(?) WHERE origin = 'c' ORDER BY name", name):
                schema.append((index, self.ask('SELECT name, "desc", coll, key FROM pragma_index_xinfo(?)', index)))
            if kind != "view":
                rows[name.lower()] = self._rows(name, [c[0] for c in columns if c[5] != 1], without_rowid)
        sequence = self.ask("SELECT 1 FROM sqlite_master WHERE name = 'sqlite_sequence'")
        counters = sorted(self.ask("SELECT name, seq FROM sqlite_sequence")) if sequence else []
        return {"schema": sorted(map(repr, schema)), "order": order, "rows": rows, "counters": counters}

    def _rows(self, table: str, columns: list[str], without_rowid: int) -> Counter[Any]:
        quoted = [f'"{column}"' for column in sorted(columns, key=str.lower)]
        cells = ", ".join(f"typeof({c}), iif(typeof({c}) = 'text', hex({c}), quote({c}))" for c in quoted)
        number = "" if without_rowid else "rowid, "
        return Counter(self.ask(f'SELECT {number}{cells} FROM "{table}"'))


def _words(sql: str) -> list[str]:
    """The words and marks of a text without comments, quotes around names, and case outside of strings."""
    parts = re.findall(r"--[^\n]*|/\*.*?\*/|'(?:[^']|'')*'|\"[^\"]*\"|`[^`]*`|\[[^\]]*\]|\w+|\S", sql, re.DOTALL)
    return [p if p.startswith("'") else p.strip('"`[]').lower() for p in parts if not p.startswith(("--", "/*"))]


def dump_of(image: bytes) -> Dump:
    with closing(Database(image)) as database:
        return database.dump()


def after(image: bytes, statements: list[str]) -> Dump | None:
    """What is there when a script has run on an image; None when it failed."""
    with closing(Database(image)) as database:
        return database.dump() if database.run(statements) else None
