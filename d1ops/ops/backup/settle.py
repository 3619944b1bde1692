"""Tables read while others write, until they are one snapshot.

Why what this returns is the state of one moment. Tables are of two kinds.

* *Small* ones are read as one batch, which is one transaction: their rows are those of its moment m.
* *Large* ones are read by key ranges into the copy, all of them before m, and read once more after m, where only the
  digest of the rows is taken. Take a row of a table whose digests agree: it was seen before m and again after m, and
  was the same. So it was the same at m, and no other row was there at m, for that would have been read as well. A row
  that changed after the first reading and had changed back to every bit before the second is the only thing that could
  hide, and then the copy may show it as it was just before.

So all tables that agree, and all small ones, are as they were at m. Those that do not agree are read into the copy
again, and the small ones anew: m moves on. While the second reading runs, the copy is finished, looked at and packed
(`seal`), which counts if nothing moved. What still moves after `Limits.rounds` is left out and named. The same
bookmark before and after, `data_version` or `total_changes()` would prove none of this. That the ranges miss nothing
is not left to the readings, which would miss it twice: the target's own count of rows and bytes, taken behind the
second reading over the whole table, must be that of the copy.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from d1ops.core.reader import read_totals
from d1ops.core.rowtext import digestible, is_suspect, without_hexadecimal
from d1ops.core.sql import fold
from d1ops.errors import BackupRefused, StatementRejected
from d1ops.ops.backup.manifest import KEY_RANGES, ONE_BATCH, TableFacts
from d1ops.ops.backup.reading import ahead
from d1ops.ops.look import look

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.paging import Limits
    from d1ops.core.reader import TableReader, Totals
    from d1ops.core.values import Bookmark
    from d1ops.ops.backup.copy import Copy
    from d1ops.ops.backup.progress import Progress
    from d1ops.ops.backup.reading import Source
    from d1ops.ops.backup.seal import Seal, Sealed
    from d1ops.ops.look import Look
    from d1ops.ops.workspace import Workspace


class TooLarge(Exception):
    """The batch of small tables was refused. `text` says why."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.text = text


@dataclass(frozen=True, slots=True)
class Small:
    """The small tables at one moment, with the figures that the target gave of them in the same transaction."""

    look: Look
    tables: tuple[tuple[TableReader, Totals, list[str]], ...]


@dataclass(frozen=True, slots=True)
class Settled:
    """What was read. `bookmark` is the point before the moment, `after` one behind it; `unsettled` are not held.

    `sealed` is the copy's end, None where some tables are to be taken out of it first.
    """

    look: Look
    bookmark: Bookmark
    after: Bookmark | None
    facts: tuple[TableFacts, ...]
    rounds: int
    sealed: Sealed | None
    unsettled: tuple[str, ...] = ()


@dataclass
class Large:
    """The large tables, and what the target said of them last. Where `needed` names tables (folded), others that move
    are read twice and no more."""

    readers: list[TableReader]
    totals: dict[str, Totals] = field(default_factory=dict)
    needed: frozenset[str] | None = None

    def is_hopeless(self, moved: Sequence[TableReader], rounds: int) -> bool:
        """Whether what still moves after so many rounds is left out rather than read again."""
        return (
            bool(self.needed) and rounds > 1 and not any(fold(reader.table) in (self.needed or ()) for reader in moved)
        )


def divide(readers: Sequence[TableReader], totals: dict[str, Totals], limits: Limits) -> list[TableReader]:
    """Return the tables that are small: the smallest, as long as one answer holds them all. SQLite's own always are,
    for they follow the others."""

    def weight(reader: TableReader) -> int:
        own = totals[reader.table]
        return own.size_bytes + 16 * own.rows

    found: list[TableReader] = []
    room = limits.small_bytes
    for reader in sorted(readers, key=lambda reader: (not _is_sqlites(reader), weight(reader))):
        fits = weight(reader) <= min(room, limits.small_table_bytes)
        if _is_sqlites(reader) or (fits and totals[reader.table].largest <= limits.inline_bytes):
            found.append(reader)
            room -= weight(reader)
    return [reader for reader in readers if reader in found]


def _is_sqlites(reader: TableReader) -> bool:
    return reader.table.lower().startswith("sqlite_")


def read_small(workspace: Workspace, source: Source, seen: Look, readers: Sequence[TableReader]) -> Small:
    """Read look, figures and rows as one transaction; once more the tables whose text is not all UTF-8.

    Raises BackupRefused when the schema is another than the one seen, TooLarge when the answer does not fit.
    """
    suspect: frozenset[str] = frozenset()
    while True:
        asked = [reader.totals() for reader in readers]
        asked += [reader.page(hexadecimal=reader.table in suspect) for reader in readers]
        try:
            snapshot = look(workspace, asked, lossy=True)
        except StatementRejected as error:
            if "no such" in error.text:
                raise _schema_changed() from None
            raise TooLarge(error.text) from None
        source.count(snapshot.extra)
        if snapshot.everything != seen.everything:
            raise _schema_changed()
        figures, pages = snapshot.extra[: len(readers)], snapshot.extra[len(readers) :]
        rows = [[str(row[0]) for row in page.rows] for page in pages]
        found = {reader.table for reader, each in zip(readers, rows, strict=True) if is_suspect(each)}
        if found <= suspect:
            break
        suspect |= found
    return Small(
        snapshot,
        tuple(
            (reader, read_totals(own.one()), without_hexadecimal(each) if reader.table in suspect else each)
            for reader, own, each in zip(readers, figures, rows, strict=True)
        ),
    )


def settle(
    workspace: Workspace,
    source: Source,
    seal: Seal,
    seen: Look,
    small: Sequence[TableReader],
    large: Large,
    progress: Progress,
) -> Settled:
    """Read everything into the copy and prove that it is of one moment. Raises BackupRefused and TooLarge."""
    digests = {reader.table: load(source, seal.copy, reader, large, progress) for reader in large.readers}
    moved: list[TableReader] = []
    after: Bookmark | None = None
    number = 0
    while True:
        number += 1
        bookmark = workspace.database.bookmark()
        taken = read_small(workspace, source, seen, small)
        for reader, _, rows in taken.tables:
            seal.copy.clear(reader)
            seal.copy.add(reader, rows)
        if not large.readers:
            sealed = seal.now()
            break
        with seal.in_a_thread() as coming:
            seen_again = {reader.table: wire_digest(source, reader, large, progress) for reader in large.readers}
            large.totals = source.totals(large.readers)
            after = workspace.database.bookmark()
            progress.done()
        moved = [reader for reader in large.readers if seen_again[reader.table] != digests[reader.table]]
        if not moved:
            sealed = coming.result()
            moved = [r for r in large.readers if sealed.inspected.totals(r.table) != large.totals[r.table]]
        if not moved or number == source.limits.rounds or large.is_hopeless(moved, number):
            break
        workspace.tell(f"{_listed(moved)} changed while they were read: once more")
        copy = seal.reopen()
        for reader in moved:
            copy.clear(reader)
            digests[reader.table] = load(source, copy, reader, large, progress)
    progress.done()
    unsettled = {reader.table for reader in moved}
    facts = [_facts(reader, totals, _hash(rows), ONE_BATCH) for reader, totals, rows in taken.tables]
    facts += [
        _facts(reader, large.totals[reader.table], digests[reader.table], KEY_RANGES)
        for reader in large.readers
        if reader.table not in unsettled
    ]
    order = {reader.table: at for at, reader in enumerate([*large.readers, *small])}
    return Settled(
        taken.look,
        bookmark,
        after,
        tuple(sorted(facts, key=lambda each: order[each.table])),
        number,
        None if unsettled else sealed,
        tuple(sorted(unsettled)),
    )


def load(source: Source, copy: Copy, reader: TableReader, large: Large, progress: Progress) -> str:
    """Read a table into the copy, behind the rows that are there already. Returns the digest of all its rows as they
    came; that of the copy, which is compared with it before the backup counts, where some were there."""
    place, totals = copy.place(reader), large.totals[reader.table]
    progress.table(reader.table, totals.rows, place.rows if place else 0)
    digest = hashlib.sha256()
    with ahead(source.pages(reader, totals, place)) as pages:
        for page in pages:
            copy.add(reader, page.rows, moving=True)
            digest.update(digestible(page.rows))
            progress.rows(len(page.rows))
    return copy.digest(reader) if place else digest.hexdigest()


def wire_digest(source: Source, reader: TableReader, large: Large, progress: Progress) -> str:
    """Read a table again and return the digest of its rows; none of them is kept."""
    digest, totals = hashlib.sha256(), large.totals[reader.table]
    progress.table(f"{reader.table} (proof)", totals.rows, 0)
    with ahead(source.pages(reader, totals)) as pages:
        for page in pages:
            digest.update(digestible(page.rows))
            progress.rows(len(page.rows))
    return digest.hexdigest()


def _hash(rows: Sequence[str]) -> str:
    return hashlib.sha256(digestible(rows)).hexdigest()


def _facts(reader: TableReader, totals: Totals, digest: str, method: str) -> TableFacts:
    return TableFacts(reader.table, totals.rows, tuple(float(figure) for figure in totals.columns), digest, method)


def _listed(readers: Sequence[TableReader]) -> str:
    return ", ".join(reader.table for reader in readers)


def _schema_changed() -> BackupRefused:
    return BackupRefused("the target's schema changed while the backup was read", hint="run the command again")
