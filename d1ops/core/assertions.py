"""Assertions inside a transaction that has no IF: statements that fail, and carry back what they found.

`json_extract('{}', path)` fails with an error that repeats the path, the only way to raise outside of a trigger that
carries a text back (seen on workerd: quotes doubled, newlines, `%` and UTF-8 intact, up to 1.9 MB). So an assertion is
a CASE over a condition: what is not true, NULL included, fails with `d1ops:KIND:JSON`.

A batch asserts with SELECT. Whether D1's `/import` executes a SELECT is not known, so there the same assertion is an
INSERT into the guard table, which surely runs.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING

from d1ops.core.schema import SCHEMA_ROWS_SQL, SCHEMA_TEXT_SQL
from d1ops.core.sql import OWN, quote_identifier, quote_text
from d1ops.core.values import Statement

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.contents import Content
    from d1ops.core.values import Param

GUARD = "d1ops_guard"
"""The table of figures; made and dropped inside the batch."""

GUARD_DDL = (
    f"CREATE TABLE {GUARD} (what INTEGER PRIMARY KEY, rehearsed_n INTEGER, lowest INTEGER, highest INTEGER,"
    " before_n INTEGER, after_n INTEGER)"
)

_MARK = "d1ops:"
_MOST_NAMED = 20
"""How many things one failure names."""


class Kind(StrEnum):
    """What an assertion is about."""

    SCHEMA = "schema"
    """The schema is the one that was seen."""
    LEDGER = "ledger"
    """The ledger is the one that was seen."""
    CONTENT = "content"
    """What is about to go is as it is in the backup."""
    FIGURES = "figures"
    """No table loses more rows or links, and no foreign key dangles more, than in the rehearsal."""
    CHANGES = "changes"
    """As many rows were changed as in the rehearsal."""
    PROGRESS = "progress"
    """A chunked migration stands where it was seen."""
    MEASURED = "measured"
    """Never true: it ends a rehearsal in place and carries the figures."""


_FAILED = re.compile(rf"{_MARK}(?P<kind>{'|'.join(Kind)}):")


@dataclass(frozen=True, slots=True)
class Assertion:
    """A condition, and a scalar expression of JSON that says what was found where it does not hold."""

    kind: Kind
    condition: str
    found: str = "'null'"
    params: tuple[Param, ...] = ()
    about: object = None
    """What the assertion is about, for whoever explains its failure. It does not travel."""

    @property
    def _value(self) -> str:
        mark = quote_text(f"{_MARK}{self.kind}:")
        return f"CASE WHEN {self.condition} THEN 1 ELSE json_extract('{{}}',concat({mark},{self.found})) END"

    def select(self) -> Statement:
        """Return the assertion as a batch makes it."""
        return Statement(f"SELECT {self._value} AS {OWN}", self.params)

    def insert(self) -> Statement:
        """Return the assertion as a file makes it: nothing is left of it, since the row is no new one."""
        return Statement(f"INSERT OR IGNORE INTO {GUARD} (what) SELECT -1 WHERE {self._value} = 1", self.params)


@dataclass(frozen=True, slots=True)
class Failure:
    """What an assertion that failed carried back. `found` is its JSON, read."""

    kind: Kind
    found: object


def failure_in(text: str) -> Failure | None:
    """Read a failed assertion out of an error of the engine; None when the error is another one."""
    carried = _FAILED.search(text)
    if carried is None:
        return None
    try:
        found, _ = json.JSONDecoder().raw_decode(text[carried.end() :].replace("''", "'"))
    except ValueError:  # The target shortens long errors.
        found = None
    return Failure(Kind(carried["kind"]), found)


# -- schema and ledger ---------------------------------------------------------------------------------

_MOST_SCHEMA_BYTES = 1_500_000
"""How much of a schema one parameter holds; a value may have 2,000,000 bytes (D1 documentation, limits)."""


def schema_is(text: str, ledger: str) -> list[Assertion]:
    """Assert that the user's schema is exactly this one (`Schema.text`). The failure names the objects that differ."""
    labels = "SELECT type||' '||name AS label FROM (SELECT * FROM ({one}) EXCEPT SELECT * FROM ({other}))"
    now = f"SELECT type, name, tbl_name, sql FROM {SCHEMA_ROWS_SQL}"
    then = "SELECT value->>0 AS type, value->>1 AS name, value->>2 AS tbl_name, value->>3 AS sql FROM json_each(?1)"
    differing = (
        f"(SELECT json_group_array(label) FROM ({labels.format(one=now, other=then)}"
        f" UNION {labels.format(one=then, other=now)} LIMIT {_MOST_NAMED}))"
    )
    name = ledger.lower()
    if len(text.encode()) <= _MOST_SCHEMA_BYTES:
        return [Assertion(Kind.SCHEMA, f"{SCHEMA_TEXT_SQL} = ?1", differing, (text, name))]
    return [*_schema_in_ranges(json.loads(text), name)]


def _schema_in_ranges(rows: list[list[str | None]], ledger: str) -> list[Assertion]:
    """The same for a schema that no parameter holds: equal numbers of objects, and range by range equal texts."""
    found = [
        Assertion(
            Kind.SCHEMA,
            f"(SELECT count(*) FROM {SCHEMA_ROWS_SQL}) = ?1",
            f"(SELECT json_array(concat(count(*),' objects')) FROM {SCHEMA_ROWS_SQL})",
            (len(rows), ledger),
        )
    ]
    start = size = 0
    for index, row in enumerate(rows):
        size += len(json.dumps(row, ensure_ascii=False).encode())
        if size > _MOST_SCHEMA_BYTES // 2 or index == len(rows) - 1:
            piece, start, size = rows[start : index + 1], index + 1, 0
            text = json.dumps(piece, ensure_ascii=False, separators=(",", ":"))
            objects = "SELECT json_array(type, name, tbl_name, sql)"
            found.append(
                Assertion(
                    Kind.SCHEMA,
                    f"(SELECT count(*) FROM json_each(?1) WHERE value NOT IN ({objects} FROM {SCHEMA_ROWS_SQL})) = 0",
                    f"(SELECT json_group_array(concat(value->>0,' ',value->>1)) FROM (SELECT value FROM json_each(?1)"
                    f" WHERE value NOT IN ({objects} FROM {SCHEMA_ROWS_SQL}) LIMIT {_MOST_NAMED}))",
                    (text, ledger),
                )
            )
    return found


def ledger_is(names: Sequence[str], ledger: str) -> Assertion:
    """Assert that the ledger holds exactly these files, in this order. The failure carries what it holds."""
    rows = f"(SELECT json_group_array(name) FROM (SELECT name FROM {quote_identifier(ledger)} ORDER BY id))"
    expected = json.dumps(list(names), ensure_ascii=False, separators=(",", ":"))
    return Assertion(Kind.LEDGER, f"{rows} = ?1", rows, (expected,), about=tuple(names))


def progress_is(table: str, migration: str, done_to: str | None) -> Assertion:
    """Assert how far a chunked migration is: the last key that is done, or none."""
    found = f"(SELECT done_to FROM {table} WHERE migration = ?1)"
    return Assertion(Kind.PROGRESS, f"{found} IS ?2", f"json_quote({found})", (migration, done_to))


def content_is(content: Content) -> Assertion:
    """Assert that a doomed part is what it is in the backup."""
    place = len(content.params) + 1
    return Assertion(
        Kind.CONTENT,
        f"({content.select}) = ?{place}",
        f"json_quote({quote_text(content.doomed.name)})",
        (*content.params, content.expected),
        about=content.doomed,
    )
