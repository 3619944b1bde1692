"""Backups of format 1: the SQLite file as it is, and the sum of the rows' digests in the manifest. Read only."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.core.lossless import DIGEST_MODULUS, digest_row, read_totals, reader_of
from d1ops.errors import BackupRefused

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.engine import Engine
    from d1ops.core.lossless import Reader
    from d1ops.core.values import Row
    from d1ops.ops.backup.manifest import Manifest


def check(engine: Engine, manifest: Manifest) -> None:
    """Compare rows, figures and digests of an opened copy. Raises BackupRefused for a difference."""

    def refused(problem: str) -> BackupRefused:
        return BackupRefused(f"backup {manifest.id}: {problem}", hint="take a new one: d1ops backup create")

    for facts in manifest.tables:
        reader = reader_of(engine, facts.table)
        (row,) = engine.ask(reader.totals())
        rows, totals = read_totals(row)
        if rows != facts.rows:
            raise refused(f"{facts.table} has {rows!r} rows, the target had {facts.rows}")
        if totals != facts.totals:
            raise refused(f"the columns of {facts.table} hold other amounts of data than the target's")
        if f"{sum(map(digest_row, _projected(engine, reader))) % DIGEST_MODULUS:032x}" != facts.digest:
            raise refused(f"the rows of {facts.table} are not the rows that were read")


def _projected(engine: Engine, reader: Reader) -> Iterator[Row]:
    """The rows of the copy in the form they were read in; text as hexadecimal, which any bytes survive."""
    with engine.free():
        yield from engine.connection.execute(reader.select(hexadecimal=True))
