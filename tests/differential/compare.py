"""Run a case on the embedded engine and on D1's own, and compare all that can be seen."""

from __future__ import annotations

from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import apsw

from d1ops.core.values import Statement
from d1ops.database.sqlite import SqliteDatabase, copy_database
from d1ops.database.workerd import WorkerdDatabase, database_file
from d1ops.errors import D1opsError, StatementRejected
from tests.support.node import MODULES

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.differential.cases import Case, Request, Section

ID = "33333333-3333-3333-3333-333333333333"

Seen: TypeAlias = list[object]
"""What a case comes to: the answer to every request, then what was committed."""

SETTINGS = (
    "ignore_check_constraints",
    "legacy_alter_table",
    "recursive_triggers",
    "reverse_unordered_selects",
)


@dataclass(frozen=True)
class Difference:
    """A case that the two engines judge differently."""

    section: str
    case: Case
    embedded: Seen
    d1: Seen

    @property
    def key(self) -> str:
        """How docs/differences.md calls the case."""
        return f"{self.section}: {self.case.name}"

    def __str__(self) -> str:
        lines = [self.key]
        for embedded, d1 in zip(self.embedded, self.d1, strict=True):
            if embedded != d1:
                lines += [f"  embedded: {_shorter(embedded, d1)}", f"  workerd:  {_shorter(d1, embedded)}"]
        return "\n".join(lines)


def _shorter(seen: object, other: object) -> str:
    """Leave out the tables that are equal."""
    if isinstance(seen, dict) and isinstance(other, dict):
        seen = {name: rows for name, rows in seen.items() if other.get(name) != rows}
    return str(seen)[:1500]


class Side:
    """One engine and the file it works on."""

    def __init__(self, home: Path, open_database: Callable[[], SqliteDatabase | WorkerdDatabase], file: Path) -> None:
        self.file = file
        self.template = home / "template.sqlite"
        self.empty = home / "empty.sqlite"
        self._open = open_database
        self.database = open_database()
        self.database.query("SELECT 1")
        copy_database(file, self.empty)

    def close(self) -> None:
        """End the engine."""
        self.database.close()

    def see(self, case: Case) -> Seen:
        """Run a case on the state of the template."""
        copy_database(self.template, self.file)
        seen: Seen = [self._answer(request) for request in case.requests]
        seen.append(committed(self.file))
        self._clean(case, seen)
        return seen

    def _clean(self, case: Case, seen: Seen) -> None:
        """Undo what a connection, which outlives the request, would show the next case."""
        text = "".join(statement.sql for request in case.requests for statement in request).lower()
        if "case_sensitive_like" in text or "SQLITE_LOCKED" in str(seen):
            # The setting leaves a LIKE that SQLite takes for non-deterministic; a statement that was left open keeps
            # its view of the file.
            self.database.close()
            self.database = self._open()
        mentioned = [Statement(f"PRAGMA {name} = OFF") for name in SETTINGS if name in text]
        if mentioned and isinstance(self.database, WorkerdDatabase):
            self.database.batch(mentioned)

    def _answer(self, request: Request) -> object:
        try:
            results = self.database.batch(request, lossy=True)
        except StatementRejected as error:
            return (error.text, error.index)
        except D1opsError as error:
            return type(error).__name__
        return [
            (result.columns, [tuple((type(cell), cell) for cell in row) for row in result.rows], result.meta.changes)
            for result in results
        ]


class Pair:
    """Both engines, over files of their own."""

    def __init__(self, embedded: Side, d1: Side) -> None:
        self.embedded = embedded
        self.d1 = d1
        self._prepared: Request | None = None

    def prepare(self, setup: Request) -> None:
        """Make every case from here on begin with what `setup` makes. Both engines must take it."""
        if setup == self._prepared:
            return
        for side in (self.embedded, self.d1):
            side.template.unlink(missing_ok=True)
            copy_database(side.empty, side.file)
            if setup:
                side.database.batch(setup, lossy=True)
            copy_database(side.file, side.template)
        assert committed(self.embedded.file) == committed(self.d1.file)
        self._prepared = setup

    def compare(self, section: str, case: Case) -> Difference | None:
        """Return how the engines differ over a case, or None."""
        embedded, d1 = self.embedded.see(case), self.d1.see(case)
        return None if embedded == d1 else Difference(section, case, embedded, d1)

    def differences(self, section: Section) -> list[Difference]:
        """Return every difference over a section."""
        self.prepare(section.setup)
        found = (self.compare(section.name, case) for case in section.cases)
        return [difference for difference in found if difference is not None]


@contextmanager
def open_pair(folder: Path) -> Iterator[Pair]:
    """Open both engines in an empty folder, and end them."""
    embedded, d1 = folder / "embedded", folder / "d1"
    embedded.mkdir()
    d1.mkdir()
    file = embedded / "data.sqlite"
    with (
        closing(Side(embedded, lambda: SqliteDatabase(file), file)) as left,
        closing(Side(d1, lambda: WorkerdDatabase(ID, d1, [MODULES]), database_file(d1, ID))) as right,
    ):
        yield Pair(left, right)


def committed(file: Path) -> dict[str, object]:
    """Return the schema and every cell of every table of a file, read by plain SQLite without any rule."""
    with closing(apsw.Connection(str(file), flags=apsw.SQLITE_OPEN_READWRITE)) as connection:
        connection.config(apsw.SQLITE_DBCONFIG_DQS_DML, 1)
        schema = list(connection.execute("SELECT type, name, tbl_name, sql FROM sqlite_schema ORDER BY 1, 2, 3"))
        found: dict[str, object] = {"schema": schema}
        for kind, name, _, sql in schema:
            if kind == "table" and not str(sql).upper().startswith("CREATE VIRTUAL"):
                found[str(name)] = _rows(connection, str(name))
        return found


def _rows(connection: apsw.Connection, table: str) -> list[object]:
    quoted = '"' + table.replace('"', '""') + '"'
    columns = [
        '"' + str(name).replace('"', '""') + '"'
        for (name,) in connection.execute("SELECT name FROM pragma_table_xinfo(?) WHERE hidden <> 1", (table,))
    ]
    cells = ", ".join(f"typeof({c}), CASE typeof({c}) WHEN 'text' THEN CAST({c} AS BLOB) ELSE {c} END" for c in columns)
    # NaN never comes out of SQLite and -0.0 equals 0.0, so cells compare as they are.
    return sorted(connection.execute(f"SELECT {cells} FROM {quoted}"), key=repr)
