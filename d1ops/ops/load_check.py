"""What a load wrote, read again and compared with the backup."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.fulltext import check, content_of, is_index, is_readable, is_whole, settings
from d1ops.core.mirror import schema_of
from d1ops.core.restoring import MARK
from d1ops.core.schema import Schema
from d1ops.core.sql import fold
from d1ops.errors import StatementRejected
from d1ops.ops import backup as backups
from d1ops.ops.rehearse import clone_of

if TYPE_CHECKING:
    from d1ops.core.engine import Engine
    from d1ops.ops.backup import VerifiedBackup
    from d1ops.ops.workspace import Workspace


def differences(workspace: Workspace, backup: VerifiedBackup, copy: Engine, everything: Schema) -> list[str]:
    """Read the target again and say where it is not what the backup's manifest knows of the source. `copy` holds the
    backup, `everything` is its schema."""
    there, _ = backups.create(workspace)
    shadows = {fold(str(name)) for (name,) in copy.ask("SELECT name FROM pragma_table_list WHERE type = 'shadow'")}
    problems = []
    ledger = backup.manifest.ledger
    if _schema_of_backup(there).users(ledger).fingerprint() != everything.users(ledger).fingerprint():
        problems.append("the schema is not the backup's")
    now = {fold(facts.table): facts for facts in there.manifest.tables}
    for facts in backup.manifest.tables:
        name = fold(facts.table)
        if name in shadows or name == MARK or name.startswith("sqlite_"):
            continue
        found = now.get(name)
        if found is None or (found.rows, found.digest) != (facts.rows, facts.digest):
            problems.append(f"{facts.table} does not hold the backup's rows")
    return [*problems, *_own_tables(workspace, copy, everything), *_indexes(workspace, copy, everything)]


def _own_tables(workspace: Workspace, copy: Engine, everything: Schema) -> list[str]:
    """Compare what SQLite keeps in tables of its own, whose rowids mean nothing."""
    found = []
    for table, columns in (("sqlite_sequence", "name, seq"), ("sqlite_stat1", "tbl, idx, stat")):
        if everything.has_table(table):
            sql = f"SELECT {columns} FROM {table} ORDER BY {columns}"
            if list(workspace.database.query(sql).rows) != copy.ask(sql):
                found.append(f"{table} does not hold the backup's rows")
    return found


def _indexes(workspace: Workspace, copy: Engine, everything: Schema) -> list[str]:
    """Ask FTS5 whether the indexes of other tables fit these, since reading one reads its table. One that did not in
    the backup is not asked about."""
    found = []
    for o in everything.objects:
        if o.type != "table" or not is_index(o.sql or ""):
            continue
        if list(workspace.database.query(settings(o.name)).rows) != copy.ask(settings(o.name)):
            found.append(f"{o.name} does not have the backup's settings")
        if not content_of(o.sql or "") or not is_readable(copy, o.name):
            continue
        if not is_whole(copy, o.name):
            workspace.tell(
                f"the full-text index {o.name} did not fit its rows in the backup: a search finds the rows that"
                " it found there, by what they say now"
            )
            continue
        try:
            workspace.database.batch([check(o.name)])
        except StatementRejected as error:
            if "SQLITE_CORRUPT" not in error.text:
                raise
            found.append(f"the full-text index {o.name} does not fit its rows")
    return found


def _schema_of_backup(backup: VerifiedBackup) -> Schema:
    """Return the schema that a backup holds, with everything but the mark of a load."""
    with clone_of(backup) as copy:
        return Schema(tuple(o for o in schema_of(copy).objects if fold(o.table) != MARK))
