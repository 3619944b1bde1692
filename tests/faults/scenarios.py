"""The commands of the matrix, each with the moment it starts from and the way there step by step.

To add one: a function that leaves the world at its start and returns the command lines. The requests are found by
recording an undisturbed run, so a command that sends others, or more, is covered as it is.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.faults.world import World

MIGRATIONS = {
    "0001_base.sql": (
        "CREATE TABLE users (id TEXT PRIMARY KEY, email TEXT, score INTEGER);\n"
        "CREATE TABLE artists (id TEXT PRIMARY KEY, user_id TEXT REFERENCES users (id) ON DELETE CASCADE, data BLOB);\n"
        "CREATE TABLE reviews (id INTEGER PRIMARY KEY, user_id TEXT REFERENCES users (id) ON DELETE SET NULL);\n"
    ),
    "0002_clerk.sql": (
        "ALTER TABLE users ADD COLUMN clerk_id TEXT;\n"
        "CREATE UNIQUE INDEX users_clerk ON users (clerk_id) WHERE clerk_id IS NOT NULL;\n"
    ),
    "0003_index.sql": "CREATE INDEX artists_user ON artists (user_id);\n",
    "0004_handles.sql": (
        "ALTER TABLE users ADD COLUMN handle TEXT;\nUPDATE users SET handle = 'h-' || id WHERE handle IS NULL;\n"
    ),
    "0005_tags.sql": (
        "CREATE TABLE tags (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE);\n"
        "INSERT INTO tags (name) VALUES ('rock'), ('jazz');\n"
    ),
}
ROLLBACKS = {
    "0001_rollback.sql": "DROP TABLE reviews;\nDROP TABLE artists;\nDROP TABLE users;\n",
    "0002_rollback.sql": "DROP INDEX users_clerk;\nALTER TABLE users DROP COLUMN clerk_id;\n",
    "0003_rollback.sql": "DROP INDEX artists_user;\n",
    "0004_rollback.sql": "ALTER TABLE users DROP COLUMN handle;\n",
    "0005_rollback.sql": "DROP TABLE tags;\n",
}
YES = ("--yes",)


@dataclass(frozen=True)
class Way:
    """`command` is what is disturbed; `steps` do the same one after the other, so that every whole state on the way is
    known. With no steps there is none between before and after."""

    command: tuple[str, ...]
    steps: tuple[tuple[str, ...], ...] = ()


def fill(world: World, rows: int) -> None:
    """So many users, with linked rows whose values are easily lost."""
    world.ask(
        f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})"
        " INSERT INTO users (id, email, score) SELECT 'u' || i, CASE i % 3 WHEN 0 THEN NULL ELSE i || '@x.y' END,"
        " CASE i % 4 WHEN 0 THEN 9007199254740993 + i ELSE i END FROM n",
        "INSERT INTO artists SELECT 'a' || id, id, randomblob(20) FROM users",
        "INSERT INTO reviews (user_id) SELECT CASE WHEN rowid % 5 THEN id END FROM users",
    )


def _applied(world: World, rows: int, *to: str) -> None:
    world.ok("doctor", "--probe")
    world.ok("migrate", "--to", "1", *YES)
    fill(world, rows)
    world.ok("migrate", *to, *YES)


def migrate_first(world: World, rows: int) -> Way:
    """The first change of an empty database that nobody has probed."""
    del rows
    return Way(("migrate", *YES), tuple(("migrate", "--to", str(n), *YES) for n in range(1, 6)))


def migrate(world: World, rows: int) -> Way:
    """A run of three, one of which touches rows."""
    _applied(world, rows, "--to", "2")
    return Way(("migrate", *YES), tuple(("migrate", "--to", str(n), *YES) for n in (3, 4, 5)))


def rollback_cascade(world: World, rows: int) -> Way:
    """Three back, the newest first."""
    _applied(world, rows)
    return Way(("rollback", "3", "--cascade", *YES), tuple(("rollback", str(n), *YES) for n in (5, 4, 3)))


def backup_create(world: World, rows: int) -> Way:
    """The target stays what it is, whatever happens."""
    _applied(world, rows)
    return Way(("backup", "create"))


def backup_in_ranges(world: World, rows: int) -> Way:
    """Too large for one batch: counted, read in ranges, read again while the copy is finished, counted again."""
    _applied(world, rows)
    world.ask(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40)"
        " INSERT INTO artists SELECT 'large' || i, 'u1', randomblob(230000) FROM n"
    )
    return Way(("backup", "create"))


def restore(world: World, rows: int) -> Way:
    """Back to a moment before a migration, a rollback, and rows written and deleted since."""
    _applied(world, rows, "--to", "3")
    world.ok("backup", "create")
    (backup,) = [path.name for path in (world.local / "backups" / "far").glob("2*")]
    world.ok("migrate", *YES)
    world.ok("rollback", "5", *YES)
    world.ask("DELETE FROM users WHERE id = 'u2'", "INSERT INTO users (id) VALUES ('new')")
    return Way(("restore", backup, *YES))


def restore_load(world: World, rows: int) -> Way:
    """The same moment, written row by row in the place of what is there: many requests, and a mark while they last."""
    _, backup, *_ = restore(world, rows).command
    return Way(("restore", backup, "--load", *YES))


def baseline(world: World, rows: int) -> Way:
    """A database with its tables, and an empty ledger."""
    _applied(world, rows)
    world.ask("DROP TABLE d1_migrations", "DROP TABLE d1ops_history")
    return Way(("baseline", "--to", "5", *YES))


SCENARIOS: dict[str, Callable[[World, int], Way]] = {
    "migrate (first)": migrate_first,
    "migrate": migrate,
    "rollback --cascade": rollback_cascade,
    "backup create": backup_create,
    "backup create (ranges)": backup_in_ranges,
    "restore": restore,
    "restore --load": restore_load,
    "baseline": baseline,
}
