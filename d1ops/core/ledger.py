"""The ledger (what is applied now), the history (what happened), and the states that follow from both.

The ledger is wrangler's own table in wrangler's exact shape, so that both tools can be used in turn. The history is
d1ops's table, append-only; a ledger row without a history event of its own was written by wrangler and is called
unverified, since nobody recorded what the file held.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING

from d1ops.core import rules
from d1ops.core.sql import fold, quote_identifier
from d1ops.core.values import Statement
from d1ops.errors import LedgerRefused

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from d1ops.core.catalog import Catalog, Migration
    from d1ops.core.schema import Schema
    from d1ops.core.values import Row

HISTORY = "d1ops_history"

HISTORY_DDL = f"""CREATE TABLE IF NOT EXISTS {HISTORY} (
  id INTEGER PRIMARY KEY AUTOINCREMENT,
  at TEXT NOT NULL,
  kind TEXT NOT NULL,
  migration TEXT,
  ledger_id INTEGER,
  checksum TEXT,
  schema_before TEXT,
  schema_after TEXT,
  bookmark TEXT,
  backup TEXT,
  actor TEXT NOT NULL,
  tool TEXT NOT NULL,
  nonce TEXT NOT NULL UNIQUE,
  rewound_by TEXT
)"""

HISTORY_COLUMNS = (
    "id, at, kind, migration, ledger_id, checksum, schema_before, schema_after, bookmark, backup, actor, tool, nonce,"
    " rewound_by"
)

SELECT_HISTORY = f"SELECT {HISTORY_COLUMNS} FROM {HISTORY} ORDER BY id"


CHUNKED = "d1ops_chunked"
"""How far a chunked migration is that is under way; made by its first piece and dropped by its last."""

CHUNKED_DDL = f"""CREATE TABLE IF NOT EXISTS {CHUNKED} (
  migration TEXT PRIMARY KEY,
  checksum TEXT NOT NULL,
  done_to TEXT NOT NULL,
  pieces INTEGER NOT NULL,
  at TEXT NOT NULL,
  actor TEXT NOT NULL,
  nonce TEXT NOT NULL
)"""

SELECT_CHUNKED = f"SELECT migration, checksum, done_to, pieces, at, actor, nonce FROM {CHUNKED}"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a chunked migration is. `done_to` is the last key that is done (`core.chunked.Key`), `at` UTC RFC 3339,
    `nonce` that of the newest piece."""

    migration: str
    checksum: str
    done_to: str
    pieces: int
    at: str
    actor: str
    nonce: str


def progress_from_rows(rows: Iterable[Row]) -> tuple[Progress, ...]:
    """Make progress of the rows that `SELECT_CHUNKED` returns."""
    return tuple(
        Progress(str(migration), str(checksum), str(done_to), _integer(pieces), str(at), str(actor), str(nonce))
        for migration, checksum, done_to, pieces, at, actor, nonce in rows
    )


def ledger_ddl(ledger: str) -> str:
    """Return the statement that makes the ledger, in wrangler's shape (seen with wrangler 4.164)."""
    return (
        f"CREATE TABLE IF NOT EXISTS {quote_identifier(ledger)}(\n"
        "\t\tid         INTEGER PRIMARY KEY AUTOINCREMENT,\n"
        "\t\tname       TEXT UNIQUE,\n"
        "\t\tapplied_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP NOT NULL\n"
        ")"
    )


def select_ledger(ledger: str) -> str:
    """Return the query that reads the ledger."""
    return f"SELECT id, name, applied_at FROM {quote_identifier(ledger)} ORDER BY id"


def ledger_change(ledger: str, kind: EventKind, file: str) -> Statement:
    """Return the statement that records a migration as applied, or takes it off."""
    table = quote_identifier(ledger)
    if kind == EventKind.MIGRATE:
        return Statement(f"INSERT INTO {table} (name) VALUES (?1)", (file,))
    return Statement(f"DELETE FROM {table} WHERE name = ?1", (file,))


def require_untouched(path: str, written: Iterable[str], before: Schema, after: Schema, ledger: str) -> None:
    """Raise LedgerRefused when a script writes to the ledger or to a table of d1ops (`written`), or changes them.

    What these hold decides what is run and undone, so no script may have a hand in it. A script that makes the ledger
    where there is none is left to the target, which then has one already. Indexes do no harm.
    """

    def is_ours(name: str) -> bool:
        return name.lower().startswith(rules.OWN_PREFIX) or fold(name) == fold(ledger)

    one, other = (
        {o.label: o for o in schema.objects if o.type != "index" and is_ours(o.table)} for schema in (before, after)
    )
    changed = [
        label
        for label in {*one, *other}
        if one.get(label) != other.get(label) and (label in one or fold(label) != fold(f"table {ledger}"))
    ]
    found = sorted({*filter(is_ours, written), *changed})
    if found:
        raise LedgerRefused(
            f"{path} changes {', '.join(found)}, which d1ops alone writes: the record of what is applied would be lost",
            hint=f"take it out of the script; {ledger} and all names in {rules.OWN_PREFIX} are not for scripts",
        )


class EventKind(StrEnum):
    """What happened."""

    MIGRATE = "migrate"
    ROLLBACK = "rollback"
    RESTORE = "restore"
    BASELINE = "baseline"
    """A migration that was there already: proved by the schema, and its file's checksum recorded."""
    REWINDING = "rewinding"
    """A rewind is about to be asked for. The rewind itself takes this row away, so one that is still the newest is of
    a rewind that did not happen."""
    WITHDRAWN = "withdrawn"
    """An attempt whose answer was lost and that was not there. The row holds its nonce, so that the attempt, should it
    still be under way, fails as a whole."""


_SET_STATE = frozenset((EventKind.MIGRATE, EventKind.ROLLBACK, EventKind.BASELINE))
_CHANGES = _SET_STATE | {EventKind.RESTORE}
_MARK = ":begin"


def is_change(event: Event) -> bool:
    """Whether an event changed the target, and not only the record."""
    return event.kind in _CHANGES


def mark_of(event: Event, kind: EventKind) -> Event:
    """Return the mark that goes before an event: a row of its own (`rewinding`) whose nonce names it."""
    return replace(event, kind=kind.value, nonce=f"{event.nonce}{_MARK}")


def open_mark(history: Sequence[Event], kind: EventKind) -> Event | None:
    """Return the newest mark of a kind whose event did not follow: what it announces has begun and not ended."""
    closed = {event.nonce for event in history}
    marks = [event for event in history if event.kind == kind and event.rewound_by is None]
    return next((mark for mark in reversed(marks) if mark.nonce.removesuffix(_MARK) not in closed), None)


@dataclass(frozen=True, slots=True)
class LedgerRow:
    """A migration that is applied. `applied_at` is UTC, `YYYY-MM-DD HH:MM:SS`, as wrangler writes it."""

    id: int
    name: str
    applied_at: str


@dataclass(frozen=True, slots=True)
class Event:
    """One row of the history. `at` is UTC RFC 3339; `schema_*` are fingerprints; `nonce` names the attempt.

    `rewound_by` is the nonce of the restore that took the event's effect away, or None.
    """

    at: str
    kind: str
    migration: str | None
    checksum: str | None
    schema_before: str | None
    schema_after: str | None
    bookmark: str | None
    backup: str | None
    actor: str
    tool: str
    nonce: str
    ledger_id: int | None = None
    rewound_by: str | None = None
    id: int = 0


def record(event: Event, ledger: str | None = None) -> Statement:
    """Return the statement that appends an event; with `ledger` one without a ledger id takes that of the row beside
    it."""
    values = (
        event.at,
        event.kind,
        event.migration,
        event.ledger_id,
        event.checksum,
        event.schema_before,
        event.schema_after,
        event.bookmark,
        event.backup,
        event.actor,
        event.tool,
        event.nonce,
        event.rewound_by,
    )
    cells = [f"?{number}" for number, _ in enumerate(values, 1)]
    if ledger is not None:
        cells[3] = f"ifnull(?4, (SELECT id FROM {quote_identifier(ledger)} WHERE name = ?3))"
    columns = HISTORY_COLUMNS.removeprefix("id, ")
    return Statement(f"INSERT INTO {HISTORY} ({columns}) VALUES ({', '.join(cells)})", values)


def ledger_from_rows(rows: Iterable[Row]) -> tuple[LedgerRow, ...]:
    """Make ledger rows of the rows that `select_ledger` returns."""
    return tuple(LedgerRow(_integer(id_), str(name), str(applied_at)) for id_, name, applied_at in rows)


def history_from_rows(rows: Iterable[Row]) -> tuple[Event, ...]:
    """Make events of the rows that `SELECT_HISTORY` returns."""
    events: list[Event] = []
    for row in rows:
        id_, at, kind, migration, ledger_id, checksum, before, after, bookmark, backup, actor, tool, nonce, rewound = (
            row
        )
        events.append(
            Event(
                at=str(at),
                kind=str(kind),
                migration=_text(migration),
                checksum=_text(checksum),
                schema_before=_text(before),
                schema_after=_text(after),
                bookmark=_text(bookmark),
                backup=_text(backup),
                actor=str(actor),
                tool=str(tool),
                nonce=str(nonce),
                ledger_id=None if ledger_id is None else _integer(ledger_id),
                rewound_by=_text(rewound),
                id=_integer(id_),
            )
        )
    return tuple(events)


def _text(value: object) -> str | None:
    return None if value is None else str(value)


def _integer(value: object) -> int:
    try:
        return int(str(value))
    except ValueError:
        raise LedgerRefused(
            f"the ledger or the history has the id {value!r}, which is no number",
            hint="another tool wrote it; d1ops reads wrangler's ledger (id, name, applied_at) and its own history",
        ) from None


# -- states --------------------------------------------------------------------------------------------


class State(StrEnum):
    """What a migration is on the target."""

    APPLIED = "applied"
    """In the ledger, and the file is the one that d1ops applied."""
    UNVERIFIED = "unverified"
    """In the ledger, applied by another tool: nobody recorded the file's checksum."""
    CHANGED = "changed"
    """In the ledger, and the file is not the one that was applied."""
    MISSING = "missing"
    """In the ledger, and there is no such file."""
    PENDING = "pending"
    """Not in the ledger; sorts after everything applied."""
    ROLLED_BACK = "rolled back"
    """Not in the ledger; its rollback is the last event. `migrate` applies it again."""
    OUT_OF_ORDER = "out of order"
    """Not in the ledger, never rolled back, and sorts before the newest applied."""

    @property
    def is_applied(self) -> bool:
        """Whether the ledger holds it."""
        return self in (State.APPLIED, State.UNVERIFIED, State.CHANGED, State.MISSING)


ADVICE = {
    State.CHANGED: "put the applied text back, and write the change as a new migration; where the new text makes"
    " the same schema, d1ops baseline takes it",
    State.MISSING: "bring the file back from version control; d1ops never guesses what an applied file held",
    State.OUT_OF_ORDER: "rename the file so that its number is the newest, or name it: d1ops migrate --only NUMBER",
    State.ROLLED_BACK: "d1ops migrate applies it again; remove or rename the file to keep it away",
    State.UNVERIFIED: "applied by another tool, so the file is taken at its word; d1ops baseline proves and records it",
}
"""One line on what to do, for every state that asks for something."""


@dataclass(frozen=True, slots=True)
class MigrationStatus:
    """A migration and where it stands. `migration` is None when the file is missing."""

    file: str
    state: State
    migration: Migration | None
    ledger: LedgerRow | None
    last_event: Event | None

    @property
    def label(self) -> str:
        """The number as the file writes it, or the leading digits of a missing file's name."""
        if self.migration:
            return self.migration.label
        digits = self.file[: len(self.file) - len(self.file.lstrip("0123456789"))]
        return digits or self.file


def states(catalog: Catalog, ledger: Sequence[LedgerRow], history: Sequence[Event]) -> tuple[MigrationStatus, ...]:
    """Tell the state of every migration of the catalog and of the ledger, in catalog order, missing ones last."""
    rows = {row.name: row for row in ledger}
    last: dict[str, Event] = {}
    for event in history:
        if event.migration is not None and event.rewound_by is None and event.kind in _SET_STATE:
            last[event.migration] = event
    applied_numbers = [m.number for m in catalog.migrations if m.file in rows]
    newest = max(applied_numbers, default=-1)
    found: list[MigrationStatus] = []
    for migration in catalog.migrations:
        row, latest = rows.get(migration.file), last.get(migration.file)
        state = _applied_state(migration, row, latest) if row else _open_state(migration, latest, newest)
        found.append(MigrationStatus(migration.file, state, migration, row, latest))
    known = catalog.by_file()
    found += [
        MigrationStatus(row.name, State.MISSING, None, row, last.get(row.name))
        for row in ledger
        if row.name not in known
    ]
    return tuple(found)


def _applied_state(migration: Migration, row: LedgerRow, event: Event | None) -> State:
    if event is None or event.kind == EventKind.ROLLBACK or event.ledger_id != row.id:
        return State.UNVERIFIED
    return State.APPLIED if event.checksum == migration.script.checksum else State.CHANGED


def _open_state(migration: Migration, event: Event | None, newest: int) -> State:
    if event is not None and event.kind == EventKind.ROLLBACK:
        return State.ROLLED_BACK
    return State.PENDING if migration.number > newest else State.OUT_OF_ORDER
