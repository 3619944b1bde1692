"""The ledgers of other migration tools, recognised by the tables they make and named; never read as if they were ours.

A name that several tools use is told apart by its columns. Where the columns are nobody's, the tool is not guessed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.sql import fold, significant

if TYPE_CHECKING:
    from d1ops.core.schema import Schema


@dataclass(frozen=True, slots=True)
class OtherLedger:
    """A ledger that is not ours. `tables` are all tables that the tool keeps for itself, as they are named there."""

    tool: str
    table: str
    tables: tuple[str, ...]
    files: str
    """Where the tool's migrations are and what they are, for whoever takes them over."""


@dataclass(frozen=True, slots=True)
class _Known:
    tool: str
    table: str
    columns: frozenset[str]
    beside: tuple[str, ...]
    needs: str
    files: str


_FILES = "bring its SQL, one file a migration, into the migrations folder as NNNN_name.sql"


def _of(tool: str, table: str, columns: str, *beside: str, needs: str = "", files: str = _FILES) -> _Known:
    return _Known(tool, table, frozenset(columns.split()), beside, needs, files)


_PRISMA = "copy each prisma/migrations/NAME/migration.sql into the migrations folder as NNNN_name.sql, in that order"
_TWO_WAYS = "split each file at its markers: the up part into the migrations folder, the down part into the rollbacks"

KNOWN = (
    _of(
        "drizzle-kit",
        "__drizzle_migrations",
        "hash created_at",
        files="drizzle/*.sql are numbered already: set catalog.migrations to that folder",
    ),
    _of("Prisma", "_prisma_migrations", "migration_name checksum finished_at", files=_PRISMA),
    _of("Knex", "knex_migrations", "name batch migration_time", "knex_migrations_lock"),
    _of("Kysely", "kysely_migration", "name timestamp", "kysely_migration_lock"),
    _of("goose", "goose_db_version", "version_id is_applied", files=_TWO_WAYS),
    _of("golang-migrate", "schema_migrations", "version dirty"),
    _of("Rails", "schema_migrations", "version", "ar_internal_metadata", needs="ar_internal_metadata"),
    _of("dbmate", "schema_migrations", "version", files=_TWO_WAYS),
    _of("Ecto", "schema_migrations", "version inserted_at"),
    _of("Atlas", "atlas_schema_revisions", "version hash executed_at"),
    _of("Flyway", "flyway_schema_history", "installed_rank script checksum"),
    _of("Liquibase", "databasechangelog", "id author md5sum", "databasechangeloglock"),
    _of(
        "Sqitch",
        "changes",
        "change_id script_hash planner_name",
        "projects",
        "releases",
        "tags",
        "dependencies",
        "events",
        needs="events",
        files="copy deploy/*.sql and revert/*.sql into the two folders, numbered in the order of sqitch.plan",
    ),
    _of("sqlx", "_sqlx_migrations", "version checksum success"),
    _of("Diesel", "__diesel_schema_migrations", "version run_on"),
    _of("refinery", "refinery_schema_history", "version applied_on checksum"),
    _of("Sequelize", "sequelizemeta", "name"),
    _of("TypeORM", "typeorm_migrations", "timestamp name"),
    _of("TypeORM", "migrations", "timestamp name"),
    _of("Laravel", "migrations", "migration batch"),
    _of("MikroORM", "mikro_orm_migrations", "name executed_at"),
    _of("Payload", "payload_migrations", "name batch"),
    _of("Django", "django_migrations", "app name applied"),
    _of("Alembic", "alembic_version", "version_num"),
    _of("wrangler", "d1_migrations", "name applied_at", files="set catalog.ledger to d1_migrations: the two are one"),
)
"""The tools, with columns that name them. Of those that fit, the one that asks for most is meant."""

_AMBIGUOUS = {
    "schema_migrations": "another migration tool (dbmate, golang-migrate, Rails and Ecto use this name)",
    "__drizzle_migrations": "drizzle-kit",
    "_prisma_migrations": "Prisma",
}
"""Names that are nobody's but a ledger's, whatever columns they have."""


def other_ledgers(schema: Schema, ledger: str) -> tuple[OtherLedger, ...]:
    """Return the ledgers of other tools in a schema, in its order. `ledger` is the env's own."""
    tables = {fold(name): name for name in schema.tables()}
    columns = {fold(o.name): _words(o.sql or "") for o in schema.objects if o.type == "table"}
    found: list[OtherLedger] = []
    for key, name in tables.items():
        if key == fold(ledger):
            continue
        fitting = [
            k for k in KNOWN if k.table == key and k.columns <= columns[key] and (not k.needs or k.needs in tables)
        ]
        best = max(fitting, key=lambda k: (bool(k.needs), len(k.columns)), default=None)
        if best is not None:
            beside = tuple(tables[other] for other in best.beside if other in tables)
            found.append(OtherLedger(best.tool, name, (name, *beside), best.files))
        elif key in _AMBIGUOUS:
            found.append(OtherLedger(_AMBIGUOUS[key], name, (name,), _FILES))
    return tuple(found)


def without(schema: Schema, others: tuple[OtherLedger, ...]) -> Schema:
    """Return a schema without what other tools keep for themselves."""
    from d1ops.core.schema import Schema as Made

    theirs = {fold(table) for other in others for table in other.tables}
    return Made(tuple(o for o in schema.objects if fold(o.name) not in theirs and fold(o.table) not in theirs))


def _words(sql: str) -> frozenset[str]:
    """The names in a definition, folded: enough to see whether columns of known names are among them."""
    return frozenset(fold(token.text.strip("\"'`[]")) for token in significant(sql))
