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
    HTTP = "http"


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
    frozenset({Leg.HTTP}),
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
    frozenset({Leg.WORKERD}),
    instead=6_000_000,
    usual=4 * 1024 * 1024,
    reason="this build of workerd allows more than the model of D1's limits (rules.MAX_VALUE_BYTES)",
)

REPLACES_IN_RETURNING = Difference(
    frozenset({Leg.WORKERD}),
    instead=True,
    usual=False,
    reason="apsw raises at text that is not UTF-8; a SELECT is read again as bytes, a write is not run twice",
)

LIMITS_WRITES = Difference(
    frozenset({Leg.WORKERD}),
    instead=True,
    usual=False,
    reason="UPDATE and DELETE with LIMIT need SQLITE_ENABLE_UPDATE_DELETE_LIMIT, which apsw is not built with",
)

COMPARES_BLOBS_WITH_LIKE = Difference(
    frozenset({Leg.WORKERD}),
    instead=1,
    usual=0,
    reason="apsw is built with SQLITE_LIKE_DOESNT_MATCH_BLOBS",
)

KEEPS_PRAGMAS = Difference(
    frozenset({Leg.WORKERD}),
    instead=True,
    usual=False,
    reason="the settings of workerd's connection live as long as the object; on D1 nothing may rely on either",
)
