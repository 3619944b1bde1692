"""Wrangler's own file: the databases it names, per environment.

Sources: wrangler 4.164 and its documentation of `d1_databases`. Only what d1ops needs is read; everything else
in the file is wrangler's business and is ignored.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pydantic import BaseModel, ConfigDict, Field

from d1ops.config.document import Document, dotted, nearest
from d1ops.config.model import DEFAULT_LEDGER, AccountId, LedgerName, Line, Text

if TYPE_CHECKING:
    from pathlib import Path

FILES = ("wrangler.json", "wrangler.jsonc", "wrangler.toml")
"""In the order in which wrangler looks for them."""

DEFAULT_MIGRATIONS = "migrations"


class _Table(BaseModel):
    model_config = ConfigDict(extra="ignore", frozen=True)


class Entry(_Table):
    """One of `d1_databases`."""

    binding: Text
    database_name: Line | None = None
    database_id: Line | None = None
    preview_database_id: Line | None = None
    migrations_dir: Text | None = None
    migrations_table: LedgerName = DEFAULT_LEDGER
    migrations_pattern: Line | None = None

    @property
    def local_id(self) -> str:
        """The id that `wrangler dev` and `--local` name the database's file by.

        Seen on wrangler 4.164: `preview_database_id ?? database_id ?? binding`.
        """
        for given in (self.preview_database_id, self.database_id):
            if given is not None:
                return given
        return self.binding


class Environment(_Table):
    """The top level of the file, or one of `env`. `d1_databases` is not inherited, `account_id` is."""

    account_id: AccountId | None = None
    d1_databases: tuple[Entry, ...] = ()


class WranglerTable(Environment):
    """The whole file."""

    env: dict[str, Environment] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Chosen:
    """A database of wrangler's file, and where it stands there (`env.staging.d1_databases[0]`)."""

    entry: Entry
    env: str | None
    """None is the top level."""
    key: str


@dataclass(frozen=True, slots=True)
class WranglerFile:
    """A parsed file of wrangler's."""

    document: Document
    table: WranglerTable

    @property
    def name(self) -> str:
        """How messages call it."""
        return self.document.name

    @property
    def envs(self) -> tuple[str, ...]:
        """The names of the environments, in the file's order."""
        return tuple(self.table.env)

    def account_id(self, env: str | None) -> str | None:
        """Return the account of an environment, which inherits the top level's; of the top level for any other."""
        section = self.table.env.get(env) if env is not None else None
        return (section and section.account_id) or self.table.account_id

    def named(self, env: str | None, database: str) -> tuple[Chosen, ...]:
        """Return the databases of an environment with this binding, or else with this database_name."""
        found = self._databases(env)
        by_binding = tuple(chosen for chosen in found if chosen.entry.binding == database)
        return by_binding or tuple(chosen for chosen in found if chosen.entry.database_name == database)

    def choose(self, env: str | None, database: str | None) -> Chosen:
        """Return the database of an environment (None: the top level): the named one, or the only one.

        Raises ConfigError, with the bindings to choose from, when the answer is not exactly one.
        """
        present = self._databases(env)
        found = present if database is None else self.named(env, database)
        if len(found) == 1:
            return found[0]
        key = _section(env)
        if not present:
            missing = "; wrangler does not inherit those of its top level" if self._databases(None) else ""
            raise self.document.problem(f"{key} names no database{missing}", key=key)
        bindings = {chosen.entry.binding: chosen.entry.binding for chosen in present}
        listed = ", ".join(_shown(chosen.entry) for chosen in present)
        if database is None:
            hint = f"--database {next(iter(bindings))}"
            raise self.document.problem(f"{key} names {len(present)} databases: {listed}", key=key, hint=hint)
        if found:
            hint = f"choose by binding: {', '.join(bindings)}"
            raise self.document.problem(f"{key} names {len(found)} databases {database!r}", key=key, hint=hint)
        hint = f"--database {nearest(database, bindings) or next(iter(bindings))}"
        raise self.document.problem(f"{key} has no database {database!r}; it has {listed}", key=key, hint=hint)

    def _databases(self, env: str | None) -> tuple[Chosen, ...]:
        section = self.table if env is None else self.table.env[env]
        return tuple(
            Chosen(entry, env, f"{_section(env)}[{position}]") for position, entry in enumerate(section.d1_databases)
        )


def find_wrangler_file(folder: Path) -> Path | None:
    """Return the file of a folder that wrangler would read first, or None."""
    return next((folder / name for name in FILES if (folder / name).is_file()), None)


def read_wrangler_file(folder: Path) -> WranglerFile | None:
    """Read the file of a folder. Raises ConfigError when it is there and cannot be understood."""
    path = find_wrangler_file(folder)
    if path is None:
        return None
    document = Document(path, path.name)
    return WranglerFile(document, document.read(WranglerTable))


def _section(env: str | None) -> str:
    return "d1_databases" if env is None else dotted(("env", env, "d1_databases"))


def _shown(entry: Entry) -> str:
    return f"{entry.binding} ({entry.database_name})" if entry.database_name else entry.binding
