"""A project in a folder, opened as a workspace over any database, with time and nonces that tests decide."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from d1ops.core.lossless import RawText, decode, projection
from d1ops.core.sql import quote_identifier
from d1ops.core.values import Statement
from d1ops.ops import migrate, rollback
from d1ops.ops.change import Consent
from d1ops.ops.look import look
from d1ops.ops.workspace import Workspace, read_catalog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from d1ops.core.values import Value
    from d1ops.database.base import Database
    from d1ops.ops.change import Applied

REPOSITORY = Path(__file__).resolve().parents[2]
YES = Consent("the test")


@dataclass
class Project:
    """Folders `db/migrations` and `db/rollbacks` below `root`, and a workspace over `database`."""

    root: Path
    database: Database
    told: list[str] = field(default_factory=list)
    protected: bool = False
    first_nonce: int = 1

    def __post_init__(self) -> None:
        for folder in ("migrations", "rollbacks"):
            (self.root / "db" / folder).mkdir(parents=True, exist_ok=True)
        self._clock = itertools.count()
        self._nonces = itertools.count(self.first_nonce)

    def write(self, migrations: Mapping[str, str], rollbacks: Mapping[str, str] | None = None) -> Project:
        for folder, files in (("migrations", migrations), ("rollbacks", rollbacks or {})):
            for name, text in files.items():
                (self.root / "db" / folder / name).write_text(text)
        return self

    def use_sample(self) -> Project:
        for folder in ("migrations", "rollbacks"):
            for file in (REPOSITORY / "db" / folder).iterdir():
                (self.root / "db" / folder / file.name).write_bytes(file.read_bytes())
        return self

    def write_queries(self, text: str) -> Path:
        """Write a file of queries, in the folder `q` below `root`; return the root."""
        (self.root / "q").mkdir(exist_ok=True)
        (self.root / "q" / "queries.sql").write_text(text)
        return self.root

    @property
    def workspace(self) -> Workspace:
        """Opened anew, so that it sees the files as they are now."""
        start = datetime(2026, 11, 22, 12, tzinfo=UTC)
        return Workspace(
            env="dev",
            database=self.database,
            catalog=read_catalog(self.root, "db/migrations", "db/rollbacks"),
            state=self.root / ".d1ops",
            protected=self.protected,
            actor="tester",
            now=lambda: start + timedelta(seconds=next(self._clock)),
            nonce=lambda: f"{next(self._nonces):06x}" + "0" * 18,
            tell=self.told.append,
        )

    def migrate(self, *, to: str | None = None, only: str | None = None, accept: str = "") -> Applied:
        workspace = self.workspace
        return migrate.migrate(workspace, migrate.prepare(workspace, to=to, only=only), accepting(accept))

    def rollback(self, wanted: str, *, cascade: bool = False, accept: str = "") -> Applied:
        workspace = self.workspace
        prepared = rollback.prepare(workspace, wanted, cascade=cascade)
        assert not isinstance(prepared, rollback.NothingToRollBack)
        assert prepared.backup is not None
        return rollback.rollback(workspace, prepared, prepared.backup, accepting(accept))

    def run(self, *statements: str) -> None:
        self.database.batch([Statement(sql) for sql in statements])

    def states(self) -> dict[str, str]:
        workspace = self.workspace
        return {status.label: status.state.value for status in look(workspace).statuses(workspace)}

    def rows(self, *, without: tuple[str, ...] = ()) -> dict[str, list[tuple[Value | RawText, ...]]]:
        """Every row of every table of the user, ordered; columns named in `without` (`table.column`) left out."""
        seen = look(self.workspace)
        found: dict[str, list[tuple[Value | RawText, ...]]] = {}
        for table in seen.schema.tables():
            columns = [
                str(name)
                for (name,) in self.database.query("SELECT name FROM pragma_table_info(?1)", (table,)).rows
                if f"{table}.{name!s}" not in without
            ]
            listed = ", ".join(map(projection, columns))
            statement = Statement(f"SELECT {listed} FROM {quote_identifier(table)}")
            (result,) = self.database.batch([statement], reads_only=True, lossy=True)
            found[table] = sorted((tuple(map(decode, row)) for row in result.rows), key=repr)
        return found


def accepting(names: str) -> Consent:
    return replace(YES, accepted=frozenset(filter(None, names.split(","))))
