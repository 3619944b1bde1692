"""A target's rows and figures, page by page, with what that costs."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core import rules
from d1ops.core.paging import first_limit, inline_bytes, needs_bound, next_limit, shorter
from d1ops.core.reader import Place, Totals, read_totals
from d1ops.core.rowtext import cells_of, is_suspect, plain, row_text, without_hexadecimal
from d1ops.errors import BackupRefused, StatementRejected
from d1ops.ops.backup.background import Background

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from d1ops.core.paging import Limits
    from d1ops.core.reader import TableReader
    from d1ops.core.rowtext import Cell
    from d1ops.core.values import Result, Statement
    from d1ops.database.base import Database

_MOMENT_SECONDS = 0.5
_TABLES_AT_ONCE = 20
_PIECES_AT_ONCE = 40
_LONGEST_KEY_BYTES = 900_000
"""A parameter is a value of at most 2 MB, and bytes travel as hexadecimal."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some rows in their one form, and the place behind them."""

    rows: list[str]
    behind: Place


class Source:
    """A database that is read. `rows_read` counts what it bills for, where the engine counts."""

    def __init__(self, database: Database, limits: Limits) -> None:
        self.database = database
        self.limits = limits
        self.rows_read = 0

    def ask(self, statements: Sequence[Statement]) -> tuple[Result, ...]:
        """Run statements that only read, as one transaction."""
        results = self.database.batch(statements, reads_only=True, lossy=True)
        self.count(results)
        return results

    def count(self, results: Sequence[Result]) -> None:
        """Add what some results cost."""
        self.rows_read += sum(result.meta.rows_read or 0 for result in results)

    # -- figures ---------------------------------------------------------------------------------------

    def span(self, readers: Sequence[TableReader]) -> int:
        """Return how many rows there are at most, for next to nothing where the rowid tells."""
        if not readers:
            return 0
        return sum(int(float(str(result.scalar()))) for result in self.ask([reader.span() for reader in readers]))

    def totals(self, readers: Sequence[TableReader]) -> dict[str, Totals]:
        """Return the figures of every table; long tables are walked, so that no request takes too long."""
        found: dict[str, Totals] = {}
        for start in range(0, len(readers), _TABLES_AT_ONCE):
            group = readers[start : start + _TABLES_AT_ONCE]
            limit = self.limits.walk_rows
            asked = [each for reader in group for each in (reader.totals(None, limit), reader.boundary(None, limit))]
            try:
                results = self.ask(asked)
            except StatementRejected as error:
                _refuse_changed_schema(error)
                found |= {reader.table: self._walk(reader, None, shorter(limit)) for reader in group}
                continue
            for reader, figures, boundary in zip(group, results[::2], results[1::2], strict=True):
                first = read_totals(figures.one())
                found[reader.table] = self._walk(reader, (first, _place(boundary, limit)), limit)
        return found

    def _walk(self, reader: TableReader, first: tuple[Totals, Place | None] | None, limit: int) -> Totals:
        total, after = first if first is not None else (None, None)
        while total is None or after is not None:
            try:
                figures, boundary = self.ask([reader.totals(after, limit), reader.boundary(after, limit)])
            except StatementRejected as error:
                _refuse_changed_schema(error)
                if limit == 1:
                    raise _unreadable(reader, error) from None
                limit = shorter(limit)
                continue
            part = read_totals(figures.one())
            total = part if total is None else total + part
            after = _place(boundary, total.rows)
            if figures.meta.duration_seconds > self.limits.slow_seconds:
                limit = max(1, limit // 2)
        return total

    # -- rows ------------------------------------------------------------------------------------------

    def pages(self, reader: TableReader, totals: Totals, after: Place | None = None) -> Iterator[Page]:
        """Yield the rows behind a place, in the order of the key."""
        limits = self.limits
        inline = inline_bytes(reader, totals, limits)
        limit = first_limit(totals, limits)
        while True:
            bound = limits.page_bytes if needs_bound(limit, totals, limits) else None
            try:
                (result,) = self.ask([reader.page(after, limit, most_bytes=bound, inline_bytes=inline)])
            except StatementRejected as error:
                _refuse_changed_schema(error)
                if limit == 1:
                    raise _unreadable(reader, error) from None
                limit = shorter(limit)
                continue
            rows: list[str] = [row[0] for row in result.rows]  # type: ignore[misc]  # the statement makes texts
            weight = sum(map(len, rows))
            before = after.rows if after is not None else 0
            for group in self._whole(reader, rows, after, before, inline):
                after = reader.place(cells_of(group[-1]), before + len(group) - 1)
                before += len(group)
                yield Page(group, after)
            if not rows or (bound is None and len(result.rows) < limit):
                return
            _refuse_long_key(reader, after)
            limit = next_limit(limit, len(rows), weight, result.meta.duration_seconds, limits)

    def _whole(
        self, reader: TableReader, rows: list[str], after: Place | None, before: int, inline: int | None
    ) -> Iterator[list[str]]:
        """Read again what is no UTF-8, and by pieces what is long; in groups, so that no more than a page is held."""
        if is_suspect(rows):
            (result,) = self.ask([reader.page(after, len(rows), inline_bytes=inline, hexadecimal=True)])
            rows = without_hexadecimal(str(row[0]) for row in result.rows) or rows
        if inline is None:
            if rows:
                yield rows
            return
        group: list[str] = []
        found: list[_Long] = []
        weight = 0
        for at, row in enumerate(rows):
            own = _long_cells(reader, row, len(group), before + at)
            size = sum(each.size_bytes for each in own)
            if group and weight + size > self.limits.page_bytes and own:
                yield self._joined(reader, group, found)
                group, found, weight = [], [], 0
                own = _long_cells(reader, row, 0, before + at)
            group.append(row)
            found += own
            weight += size
        if group:
            yield self._joined(reader, group, found)

    def _joined(self, reader: TableReader, rows: list[str], found: list[_Long]) -> list[str]:
        """Return the rows with their long cells. One that changes meanwhile is found by its digest."""
        step, at_once = self.limits.piece_bytes, self.limits.pieces_at_once
        asked = [(number, start) for number, each in enumerate(found) for start in range(0, each.size_bytes, step)]
        digits: list[list[str]] = [[] for _ in found]
        while asked:
            room = step * at_once
            now: list[tuple[int, int]] = []
            while asked and len(now) < _PIECES_AT_ONCE and room > 0:
                number, start = asked.pop(0)
                now.append((number, start))
                room -= min(step, found[number].size_bytes - start)
            results = self.ask(
                [reader.piece(found[number].place, found[number].column, start, step) for number, start in now]
            )
            for (number, _), result in zip(now, results, strict=True):
                digits[number] += [str(result.scalar())] if result.rows else []
        whole: dict[int, list[Cell]] = {}
        for each, parts in zip(found, digits, strict=True):
            cells = whole.setdefault(each.row, cells_of(rows[each.row]))
            kind = "x" if each.is_text else "b"
            cells[each.column] = plain(f"{kind}{''.join(parts)}")
        return [row_text(whole[at]) if at in whole else row for at, row in enumerate(rows)]


@dataclass(frozen=True, slots=True)
class _Long:
    """A cell that came as its length, by its row in a group and the place of that row."""

    row: int
    column: int
    size_bytes: int
    is_text: bool
    place: Place


def _long_cells(reader: TableReader, text: str, row: int, before: int) -> list[_Long]:
    if '"T' not in text and '"B' not in text:
        return []
    cells = cells_of(text)
    place = Place(reader.place(cells, before).key, before)
    return [
        _Long(row, column, int(cell[1:]), cell.startswith("T"), place)
        for column, cell in enumerate(cells)
        if isinstance(cell, str) and cell[:1] in "TB"
    ]


@contextmanager
def ahead(pages: Iterator[Page]) -> Iterator[Iterator[Page]]:
    """Yield the pages, of which the next one is asked for in a thread of its own while one is looked at.

    The database is used by that thread alone until the end of the block, which waits for the request that is under
    way; after an interrupt for a moment only, for a server that hangs would keep the command.
    """

    def begin() -> Background[Page | None]:
        return Background("pages", lambda: next(pages, None))

    coming = begin()

    def taken() -> Iterator[Page]:
        nonlocal coming
        while (page := coming.result()) is not None:
            coming = begin()
            yield page

    try:
        yield taken()
    except Exception:
        coming.wait()
        raise
    except BaseException:
        coming.wait(_MOMENT_SECONDS)
        raise
    coming.wait()


def _place(boundary: Result, rows: int) -> Place | None:
    return Place(tuple(cells_of(str(boundary.scalar()))), rows) if boundary.rows else None


def _refuse_changed_schema(error: StatementRejected) -> None:
    if "no such" in error.text:
        raise BackupRefused(
            f"the target's schema changed while the backup was read: {error.text}", hint="run the command again"
        ) from None


def _refuse_long_key(reader: TableReader, place: Place | None) -> None:
    if place is not None and any(isinstance(cell, str) and len(cell) > 2 * _LONGEST_KEY_BYTES for cell in place.key):
        raise BackupRefused(
            f"{reader.table} has a key of more than {_LONGEST_KEY_BYTES:,} bytes, behind which D1's API cannot go on",
            hint="d1ops restore BOOKMARK rewinds without a backup",
        )


def _unreadable(reader: TableReader, error: StatementRejected) -> BackupRefused:
    return BackupRefused(
        f"{reader.table} cannot be read, not even row by row: {error.text}",
        hint=f"D1 gives an answer {rules.MAX_REQUEST_SECONDS} seconds; d1ops restore BOOKMARK rewinds without a backup",
    )
