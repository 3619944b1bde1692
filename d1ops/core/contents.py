"""What a change is about to take away, as it is in the backup: what the target must still hold when the batch runs.

For a doomed table (dropped, or about to lose rows) the content of all its columns; for a doomed column the pairs of key
and value, so that a value that was updated, or that moved to another row, is noticed as well as one that came or went.
Rows that hold nothing in a doomed column do not count: nothing of theirs is lost.

A fingerprint takes about a second for 5 MB, and D1 gives a request 30 seconds. `CONTENT_BYTES` are compared by content,
the smallest parts first; what is larger by numbers and lengths of values in one pass (`Form.TOTALS`), which is said as
a warning; more than `TOTALS_BYTES` is too much for one batch at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from d1ops.core import rules
from d1ops.core.fingerprint import content
from d1ops.core.measure import BEFORE, loss_name
from d1ops.core.sql import fold, quote_identifier

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Sequence

    from d1ops.core.engine import Engine
    from d1ops.core.fingerprint import Salt
    from d1ops.core.measure import TableLoss
    from d1ops.core.values import Param

CONTENT_BYTES = 24_000_000
TOTALS_BYTES = 2_000_000_000
RANGE_BYTES = 4_000_000
"""How much one statement compares: a target keeps the digits, four times as much, while it works."""
_ROW_OVERHEAD_BYTES = 16


class Form(StrEnum):
    """How a part is compared."""

    CONTENT = "content"
    """By a fingerprint over every byte (of long values: length, beginning and end)."""
    TOTALS = "totals"
    """By the number of rows and sums over the sizes of their values."""
    TOO_LARGE = "too large"
    """Not at all: it does not fit into the time of a batch."""


@dataclass(frozen=True, slots=True)
class Doomed:
    """A table (`column` is None), or one of its columns, that a change takes something from."""

    table: str
    column: str | None = None

    @property
    def name(self) -> str:
        """As it is named for consent."""
        return loss_name(self.table, self.column)


@dataclass(frozen=True, slots=True)
class Content:
    """A question that the target must answer as the backup does: `select` is a scalar SELECT of one text."""

    doomed: Doomed
    form: Form
    select: str
    params: tuple[Param, ...]
    expected: str


@dataclass(frozen=True, slots=True)
class Part:
    """A doomed part with its size in the backup, in bytes, and the form that its size allows."""

    doomed: Doomed
    columns: tuple[str, ...]
    where: str
    bytes: int
    form: Form


def doomed(losses: Iterable[TableLoss], *, dropped: Collection[str] = ()) -> list[Doomed]:
    """Return what is about to go. A dropped table and a dropped column count though they are empty in the backup: a
    row may have come since. One that DROP TABLE named (`dropped`, folded) counts though another one holds all its rows
    in the rehearsal: not every row need be copied there."""
    found: list[Doomed] = []
    for loss in losses:
        is_kept = loss.exists_after or (loss.renamed_to and fold(loss.table) not in dropped)
        if loss.rows_lost or not is_kept:
            found.append(Doomed(loss.table))
            continue
        found += [
            Doomed(loss.table, column.column)
            for column in loss.columns
            if column.values_lost or (column.dropped and not column.renamed_to)
        ]
    return found


def overwritten(engine: Engine, columns: Iterable[tuple[str, str]], *, schema: str = BEFORE) -> list[Doomed]:
    """Return the columns that a script overwrites, of those that are there: what was written to them since the backup
    would be lost, though nothing is that the backup has."""
    found: list[Doomed] = []
    for table, column in sorted(set(columns)):
        sql = (
            "SELECT l.name, x.name FROM pragma_table_list l, pragma_table_xinfo(l.name, l.schema) x"
            " WHERE l.schema = ? AND lower(l.name) = lower(?) AND l.type = 'table' AND lower(x.name) = lower(?)"
            " AND x.hidden = 0"
        )
        found += [Doomed(str(name), str(own)) for name, own in engine.ask(sql, (schema, table, column))]
    return found


def replaced(engine: Engine, tables: Iterable[str], *, schema: str = BEFORE) -> list[Doomed]:
    """Return the tables that a script writes to with REPLACE, of those that are there: a row in its way goes whole."""
    sql = "SELECT name FROM pragma_table_list WHERE schema = ? AND lower(name) = lower(?) AND type = 'table'"
    return [Doomed(str(name)) for table in sorted(set(tables)) for (name,) in engine.ask(sql, (schema, table))]


def is_empty(engine: Engine, one: Doomed, *, schema: str = BEFORE) -> bool:
    """Whether nothing is there that could be lost."""
    where = f" WHERE {quote_identifier(one.column)} IS NOT NULL" if one.column is not None else ""
    return not engine.ask(f"SELECT 1 FROM {schema}.{quote_identifier(one.table)}{where} LIMIT 1")


def parts(engine: Engine, wanted: Iterable[Doomed], *, schema: str = BEFORE) -> list[Part]:
    """Measure the doomed parts in a schema of a clone, and choose for each how it is compared."""
    measured = [_measured(engine, each, schema) for each in wanted]
    found: list[Part] = []
    by_content, by_totals = CONTENT_BYTES, TOTALS_BYTES
    for part in sorted(measured, key=lambda part: part.bytes):
        if part.bytes <= by_content and _fits(part):
            by_content -= part.bytes
            form = Form.CONTENT
        elif part.bytes <= by_totals:
            by_totals -= part.bytes
            form = Form.TOTALS
        else:
            form = Form.TOO_LARGE
        found.append(Part(part.doomed, part.columns, part.where, part.bytes, form))
    return found


def contents(engine: Engine, of: Iterable[Part], salt: Salt, *, schema: str = BEFORE) -> list[Content]:
    """Ask a clone what the target must answer. Parts that are too large are left out."""
    found: list[Content] = []
    for part in of:
        for where, params in _ranges(engine, part, schema):
            local, remote = (_question(part, salt, where, place) for place in (schema, "main"))
            with engine.unlimited():
                expected = str(engine.ask_one(local, params))
            found.append(Content(part.doomed, part.form, remote, params, expected))
    return found


def _question(part: Part, salt: Salt, where: str, schema: str) -> str:
    if part.form is Form.CONTENT:
        return content(part.doomed.table, part.columns, salt, schema=schema, where=where)
    names = [f"c{index}" for index in range(len(part.columns))]
    picked = ", ".join(f"{quote_identifier(c)} AS {name}" for c, name in zip(part.columns, names, strict=True))
    weights = [f"{2 * place + 1}*({_weight(name)})" for place, name in enumerate(names)]
    sums = [f"sum({'+'.join(weights[at : at + 25])})" for at in range(0, len(weights), 25)]
    source = f"{schema}.{quote_identifier(part.doomed.table)}{f' WHERE {where}' if where else ''}"
    return f"SELECT concat_ws(':',count(*),{','.join(sums)}) FROM (SELECT {picked} FROM {source})"


def _weight(c: str) -> str:
    """A number that most changes of a value change; none for NULL."""
    return (
        f"CASE typeof({c}) WHEN 'integer' THEN {c}%1000003+2000003"
        f" WHEN 'real' THEN CAST({c} AS INTEGER)%1000003+5000003 WHEN 'null' THEN 0 ELSE octet_length({c})+1 END"
    )


def _fits(part: Part) -> bool:
    """Whether the names of the columns leave room for the fingerprint in a statement."""
    names = sum(len(quote_identifier(column).encode()) for column in part.columns) + 3 * len(part.where.encode())
    return names + 860 * len(part.columns) + 4_000 < rules.MAX_STATEMENT_BYTES


# -- what a part is made of ----------------------------------------------------------------------------


def _measured(engine: Engine, wanted: Doomed, schema: str) -> Part:
    columns = _columns(engine, wanted, schema)
    where = "" if wanted.column is None else f"{quote_identifier(wanted.column)} IS NOT NULL"
    sizes = "+".join(f"ifnull(octet_length({quote_identifier(c)}),0)" for c in columns[:50])
    rest = "+".join(f"ifnull(octet_length({quote_identifier(c)}),0)" for c in columns[50:]) or "0"
    source = f"{schema}.{quote_identifier(wanted.table)}{f' WHERE {where}' if where else ''}"
    sql = f"SELECT count(*)*{_ROW_OVERHEAD_BYTES}+ifnull(sum({sizes}),0)+ifnull(sum({rest}),0) FROM {source}"
    with engine.unlimited():
        size = int(str(engine.ask_one(sql)))
    return Part(wanted, columns, where, size, Form.CONTENT)


def _columns(engine: Engine, wanted: Doomed, schema: str) -> tuple[str, ...]:
    """The columns that count: all that are stored, or key and value. A table whose rows have no name counts whole."""
    rows = engine.ask(
        "SELECT name, pk FROM pragma_table_xinfo(?, ?) WHERE hidden = 0 ORDER BY cid", (wanted.table, schema)
    )
    stored = tuple(str(name) for name, _ in rows)
    if wanted.column is None:
        return stored
    key = tuple(str(name) for name, pk in sorted(rows, key=lambda row: int(str(row[1]))) if pk)
    if not key:
        rowid = _rowid(engine, wanted.table, schema)
        key = (rowid,) if rowid else tuple(column for column in stored if column != wanted.column)
    return (*(column for column in key if column != wanted.column), wanted.column)


def _rowid(engine: Engine, table: str, schema: str) -> str | None:
    """The name by which the rowid can be asked for, if there is one."""
    kind = engine.ask("SELECT type, wr FROM pragma_table_list WHERE schema = ? AND name = ?", (schema, table))
    if kind != [("table", 0)]:
        return None
    rows = engine.ask("SELECT lower(name) FROM pragma_table_xinfo(?, ?)", (table, schema))
    taken = {str(name) for (name,) in rows}
    return next((alias for alias in ("rowid", "_rowid_", "oid") if alias not in taken), None)


def _ranges(engine: Engine, part: Part, schema: str) -> Iterator[tuple[str, tuple[Param, ...]]]:
    """Cut a part that is compared by content into ranges of its rowid; together they are all of it.

    A table without a rowid that can be asked for is compared in one go.
    """
    rowid = _rowid(engine, part.doomed.table, schema)
    if part.form is not Form.CONTENT or part.bytes <= RANGE_BYTES or rowid is None:
        yield part.where, ()
        return
    also = f" AND {part.where}" if part.where else ""
    last: Param = None
    for end in _ends(engine, part, rowid, schema):
        if last is None:
            yield f"{rowid} <= ?1{also}", (end,)
        else:
            yield f"{rowid} > ?1 AND {rowid} <= ?2{also}", (last, end)
        last = end
    yield (f"{rowid} > ?1{also}", (last,)) if last is not None else (part.where, ())


def _ends(engine: Engine, part: Part, rowid: str, schema: str) -> list[int]:
    """The rowids at which another `RANGE_BYTES` are full."""
    sizes = "+".join(f"ifnull(octet_length({quote_identifier(c)}),0)" for c in part.columns)
    source = f"{schema}.{quote_identifier(part.doomed.table)}{f' WHERE {part.where}' if part.where else ''}"
    found: list[int] = []
    with engine.unlimited():
        full = 0
        for key, size in engine.connection.execute(f"SELECT {rowid}, {sizes} FROM {source} ORDER BY {rowid}"):
            full += size + _ROW_OVERHEAD_BYTES
            if full >= RANGE_BYTES:
                found.append(key)
                full = 0
    return found


def warnings(of: Sequence[Part]) -> tuple[str, ...]:
    """Say what is compared less closely than by content."""
    return tuple(
        f"{part.doomed.name} is too large to compare every byte of it within a batch ({part.bytes:,} bytes): rows that"
        " come or go after the backup are noticed, a value that is overwritten by one of the same size may not be"
        for part in of
        if part.form is Form.TOTALS
    )
