"""Where the databases rightly differ. Everything that is not here is the same on all of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Generic, TypeVar

T = TypeVar("T")


class Leg(Enum):
    """A database that keeps the contract."""

    SQLITE = "sqlite"
    WORKERD = "workerd"
    HTTP = "http, over the emulator over SQLite"
    HTTP_WORKERD = "http, over the emulator over workerd"


@dataclass(frozen=True)
class Difference(Generic[T]):
    """What `legs` do instead of what the others do, and why that is no fault."""

    legs: frozenset[Leg]
    instead: T
    usual: T
    reason: str

    def on(self, leg: Leg) -> T:
        """Return what to expect of a leg."""
        return self.instead if leg in self.legs else self.usual


INDEX_IN_BATCH = Difference(
    frozenset({Leg.HTTP, Leg.HTTP_WORKERD}),
    instead=False,
    usual=True,
    reason="D1's API names no statement of a batch",
)

OFFSET_AFTER_PARAMETERS = Difference(
    frozenset({Leg.SQLITE}),
    instead=True,
    usual=False,
    reason="over the wire a statement is rewritten for its parameters, so an offset in it is none in its own text",
)

COLUMN_OF_A_PARAMETER = Difference(
    frozenset({Leg.SQLITE}),
    instead="?",
    usual="+CAST(?1 AS INTEGER)",
    reason="SQLite names a column without AS after its text, and over the wire the text is rewritten",
)

LARGEST_VALUE_BYTES = Difference(
    frozenset({Leg.WORKERD, Leg.HTTP_WORKERD}),
    instead=6_000_000,
    usual=4 * 1024 * 1024,
    reason="this build of workerd allows more than the model of D1's limits (rules.MAX_VALUE_BYTES)",
)

REPLACES_IN_RETURNING = Difference(
    frozenset({Leg.WORKERD, Leg.HTTP_WORKERD}),
    instead=True,
    usual=False,
    reason="apsw raises at text that is not UTF-8; a SELECT is read again as bytes, a write is not run twice",
)

LIMITS_WRITES = Difference(
    frozenset({Leg.WORKERD, Leg.HTTP_WORKERD}),
    instead=True,
    usual=False,
    reason="UPDATE and DELETE with LIMIT need SQLITE_ENABLE_UPDATE_DELETE_LIMIT, which apsw is not built with",
)

COMPARES_BLOBS_WITH_LIKE = Difference(
    frozenset({Leg.WORKERD, Leg.HTTP_WORKERD}),
    instead=1,
    usual=0,
    reason="apsw is built with SQLITE_LIKE_DOESNT_MATCH_BLOBS",
)

KEEPS_PRAGMAS = Difference(
    frozenset({Leg.WORKERD, Leg.HTTP_WORKERD}),
    instead=True,
    usual=False,
    reason="the settings of workerd's connection live as long as the object; on D1 nothing may rely on either",
)

CUTS_TEXTS = Difference(
    frozenset({Leg.HTTP, Leg.HTTP_WORKERD}),
    instead=True,
    usual=False,
    reason="D1's API takes a text of several statements and drops what is empty between its semicolons",
)

EXPORTED_VALUES = Difference(
    frozenset({Leg.HTTP, Leg.HTTP_WORKERD}),
    instead="(9007199254740992)",
    usual="(-9e999), (9007199254740993)",
    reason="D1's own export rounds integers beyond 2^53 and has no infinities, so it is never the only backup",
)
