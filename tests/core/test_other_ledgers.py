"""Ledgers of other tools: the tables that the tools make, named; what only looks like one, left alone."""

from __future__ import annotations

import pytest

from d1ops.core.engine import Engine
from d1ops.core.mirror import schema_of
from d1ops.core.other_ledgers import KNOWN, other_ledgers, without

SCHEMA_MIGRATIONS = "CREATE TABLE schema_migrations"

MADE = {
    "drizzle-kit": (
        "CREATE TABLE `__drizzle_migrations` (id SERIAL PRIMARY KEY, hash text NOT NULL, created_at numeric)",
    ),
    "Prisma": (
        'CREATE TABLE "_prisma_migrations" ("id" TEXT PRIMARY KEY NOT NULL, "checksum" TEXT NOT NULL, "finished_at"'
        ' DATETIME, "migration_name" TEXT NOT NULL, "logs" TEXT, "rolled_back_at" DATETIME, "started_at" DATETIME NOT'
        ' NULL DEFAULT current_timestamp, "applied_steps_count" INTEGER UNSIGNED NOT NULL DEFAULT 0)',
    ),
    "Knex": (
        "CREATE TABLE `knex_migrations` (`id` integer not null primary key autoincrement, `name` varchar(255),"
        " `batch` integer, `migration_time` datetime)",
        "CREATE TABLE `knex_migrations_lock` (`index` integer not null primary key autoincrement, `is_locked` integer)",
    ),
    "Kysely": (
        'CREATE TABLE "kysely_migration" ("name" varchar(255) not null primary key, "timestamp" varchar(255) not null)',
        'CREATE TABLE "kysely_migration_lock" ("id" varchar(255) not null primary key, "is_locked" integer)',
    ),
    "goose": (
        "CREATE TABLE goose_db_version (id INTEGER PRIMARY KEY AUTOINCREMENT, version_id INTEGER NOT NULL, is_applied"
        " INTEGER NOT NULL, tstamp TIMESTAMP DEFAULT (datetime('now')))",
    ),
    "dbmate": ('CREATE TABLE IF NOT EXISTS "schema_migrations" (version varchar(128) primary key)',),
    "golang-migrate": (f"{SCHEMA_MIGRATIONS} (version uint64, dirty bool)",),
    "Rails": (
        f'{SCHEMA_MIGRATIONS} ("version" varchar NOT NULL PRIMARY KEY)',
        'CREATE TABLE "ar_internal_metadata" ("key" varchar NOT NULL PRIMARY KEY, "value" varchar)',
    ),
    "Ecto": (f'{SCHEMA_MIGRATIONS} ("version" INTEGER PRIMARY KEY, "inserted_at" TEXT)',),
    "Atlas": (
        "CREATE TABLE `atlas_schema_revisions` (`version` text NOT NULL, `description` text NOT NULL, `executed_at`"
        " datetime NOT NULL, `hash` text NOT NULL, PRIMARY KEY (`version`))",
    ),
    "Flyway": (
        'CREATE TABLE "flyway_schema_history" ("installed_rank" INT NOT NULL PRIMARY KEY, "version" VARCHAR(50),'
        ' "script" VARCHAR(1000) NOT NULL, "checksum" INT)',
    ),
    "Sqitch": (
        "CREATE TABLE changes (change_id TEXT PRIMARY KEY, script_hash TEXT, change TEXT, planner_name TEXT)",
        "CREATE TABLE events (event TEXT, change_id TEXT)",
        "CREATE TABLE projects (project TEXT PRIMARY KEY)",
    ),
}  # fmt: skip


def made(*statements: str) -> Engine:
    engine = Engine.memory()
    for statement in statements:
        engine.ask(statement)
    return engine


@pytest.mark.parametrize("tool", MADE)
def test_a_ledger_is_named_by_its_tool_and_is_no_part_of_the_schema(tool: str) -> None:
    schema = schema_of(made("CREATE TABLE users (id TEXT)", *MADE[tool])).users("d1_migrations")
    (found,) = other_ledgers(schema, "d1_migrations")
    assert found.tool == tool
    assert found.files
    assert without(schema, (found,)).tables() == ("users",)


@pytest.mark.parametrize(
    ("ddl", "tool"),
    [
        ("CREATE TABLE changes (id INTEGER, what TEXT)", None),
        ("CREATE TABLE migrations (id INTEGER, from_country TEXT)", None),
        ("CREATE TABLE migrations (id INTEGER, migration TEXT, batch INTEGER)", "Laravel"),
        ("CREATE TABLE schema_migrations (id INTEGER)", "another migration tool"),
        ("CREATE TABLE __drizzle_migrations (id)", "drizzle-kit"),
    ],
)
def test_a_name_alone_is_not_enough_unless_it_is_nobody_elses(ddl: str, tool: str | None) -> None:
    found = other_ledgers(schema_of(made(ddl)), "d1_migrations")
    assert [ledger.tool.partition(" (")[0] for ledger in found] == ([tool] if tool else [])


def test_the_envs_own_ledger_is_no_other() -> None:
    schema = schema_of(made("CREATE TABLE d1_migrations (id, name, applied_at)"))
    assert other_ledgers(schema, "d1_migrations") == ()
    assert [other.tool for other in other_ledgers(schema, "ours")] == ["wrangler"]


def test_every_known_tool_says_where_its_files_go() -> None:
    assert all(known.columns and known.files and known.tool for known in KNOWN)
