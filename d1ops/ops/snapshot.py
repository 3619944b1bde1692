"""All rows of a target, read as one batch of SELECTs: one transaction, and so one snapshot."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core import rules
from d1ops.core.lossless import is_suspect, reader_of
from d1ops.core.mirror import build_mirror
from d1ops.core.values import Statement
from d1ops.errors import BackupRefused, StatementRejected
from d1ops.ops.look import look

if TYPE_CHECKING:
    from d1ops.core.engine import Engine
    from d1ops.core.lossless import Reader
    from d1ops.core.schema import Schema
    from d1ops.core.values import Row
    from d1ops.ops.look import Look
    from d1ops.ops.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Page:
    """All rows of one table, with the figures that the target gave of them in the same transaction."""

    reader: Reader
    totals: Row
    rows: tuple[Row, ...]


def read(workspace: Workspace, seen: Look) -> tuple[Look, list[Page]]:
    """Read look, totals and rows as one transaction; once more, as hexadecimal, the tables whose text is suspect.

    `seen` says which tables there are. Raises BackupRefused when the target is larger than `backup_max_bytes`, holds a
    value that fits into no answer, or has another schema by then.
    """
    if seen.size_bytes > workspace.backup_max_bytes:
        raise BackupRefused(
            f"the target has {seen.size_bytes:,} bytes, more than the {workspace.backup_max_bytes:,} that a backup"
            " may read at once",
            hint="raise backup.max_bytes in config/<env>.toml; every row read is billed",
        )
    mirror = build_mirror(seen.everything.objects)
    readers = [reader_of(mirror, table) for table in _stored_tables(mirror, seen.everything)]
    suspect: frozenset[str] = frozenset()
    while True:
        asked = [Statement(reader.totals()) for reader in readers]
        asked += [Statement(reader.select(hexadecimal=reader.table in suspect)) for reader in readers]
        try:
            snapshot = look(workspace, asked, lossy=True)
        except StatementRejected as error:
            if "too big" not in error.text:
                raise
            raise BackupRefused(
                f"a value of the target is too large to be read: {error.text}",
                hint=f"blobs and broken text over {rules.MAX_VALUE_BYTES // 2:,} bytes do not fit into an answer;"
                " the bookmark of d1ops restore covers them",
            ) from None
        if snapshot.everything != seen.everything:
            raise BackupRefused("the target's schema changed while the backup was read", hint="run the command again")
        pages = [
            Page(reader, totals.one(), page.rows)
            for reader, totals, page in zip(
                readers, snapshot.extra[: len(readers)], snapshot.extra[len(readers) :], strict=True
            )
        ]
        found = {page.reader.table for page in pages if any(map(is_suspect, page.rows))}
        if found <= suspect:
            return snapshot, pages
        suspect |= found


def _stored_tables(mirror: Engine, schema: Schema) -> list[str]:
    """The tables whose rows are read: all but virtual ones (their shadow tables hold the rows) and Cloudflare's."""
    virtual = {str(name) for (name,) in mirror.ask("SELECT name FROM pragma_table_list WHERE type = 'virtual'")}
    return [
        name
        for name in schema.tables()
        if name not in virtual
        and not name.lower().startswith(rules.RESERVED_PREFIX)
        and (not rules.is_reserved(name) or name.lower() in ("sqlite_sequence", "sqlite_stat1"))
    ]
