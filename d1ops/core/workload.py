"""The workload: every known query once, wherever it was found, and how often it runs.

A query comes from a file of queries, from source code, or from the query log, which knows how often it ran and what it
cost, but not its literals: D1 replaces them by `?`. Two texts are one query when they differ in nothing but white
space, comments, case of words and the form of parameters; a query of the log is also one with those that differ from it
by literals alone, and its figures are shared evenly among them.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from d1ops.core.sql import significant

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from d1ops.core.queries import Query


@dataclass(frozen=True, slots=True)
class Observed:
    """What the query log says of a query, over `days`."""

    executions: float
    rows_read: float
    rows_written: float
    duration_seconds: float
    days: int

    def __add__(self, other: Observed) -> Observed:
        return Observed(
            self.executions + other.executions,
            self.rows_read + other.rows_read,
            self.rows_written + other.rows_written,
            self.duration_seconds + other.duration_seconds,
            max(self.days, other.days),
        )

    def share(self, parts: int) -> Observed:
        """Return one of `parts` equal parts."""
        return Observed(
            self.executions / parts,
            self.rows_read / parts,
            self.rows_written / parts,
            self.duration_seconds / parts,
            self.days,
        )


LOG_NAME = "query log "
"""How the name of a query of the log begins; a hash of its text follows."""


@dataclass(frozen=True, slots=True)
class Entry:
    """A query of the workload. `places` are `path:line`, all where it was found; `observed` is None where no log
    knows it."""

    query: Query
    places: tuple[str, ...]
    observed: Observed | None = None


@dataclass(frozen=True, slots=True)
class Logged:
    """A query of the log."""

    query: Query
    observed: Observed


@dataclass(frozen=True, slots=True)
class Workload:
    """All queries, those of files first, in the order in which they were found."""

    entries: tuple[Entry, ...] = ()
    days: int | None = field(default=None)
    """The days of the query log, where there was one."""

    @property
    def queries(self) -> tuple[Query, ...]:
        """The queries alone."""
        return tuple(entry.query for entry in self.entries)


def normalised(sql: str, *, literals: bool = True) -> str:
    """Return a statement by which equal ones are known; without `literals` they and parameters are all `?`.

    A list of parameters or of literals counts as one of any length, as in `IN (?, ?, ?)`.
    """
    words: list[str] = []
    for token in significant(sql):
        match token.kind:
            case "semicolon":
                continue
            case "parameter":
                text = "?"
            case "string" | "number" if not literals:
                text = "?"
            case "word":
                text = token.upper
            case _:
                text = token.text
        # To the log, a literal that a program put together is one.
        if text == "?" and (words[-2:] == ["?", ","] or (words[-2:] == ["?", "||"] and not literals)):
            words.pop()
            continue
        words.append(text)
    return " ".join(words)


def names(base: str, statements: Sequence[str]) -> list[str]:
    """Return names for the statements of a function or a file that nobody named, in their order.

    One alone is called by `base`; several by it and a short hash of their text, so that none takes another's name when
    one is put in front of it. The same statement has the same name each time.
    """
    texts = [normalised(sql) for sql in statements]
    if len(set(texts)) == 1:
        return [base] * len(texts)
    return [f"{base} {hashlib.sha256(text.encode()).hexdigest()[:6]}" for text in texts]


def merge(found: Iterable[Query], logged: Sequence[Logged] = (), *, days: int | None = None) -> Workload:
    """Make a workload of the queries that were found in files, and of those of the query log."""
    entries: dict[str, Entry] = {}
    for query in found:
        key = normalised(query.sql)
        place = f"{query.path}:{query.line}"
        known = entries.get(key)
        if known is None:
            entries[key] = Entry(query, (place,))
        elif place not in known.places:
            entries[key] = replace(known, places=(*known.places, place))
    by_form: dict[str, list[str]] = {}
    for key, entry in entries.items():
        by_form.setdefault(normalised(entry.query.sql, literals=False), []).append(key)
    for one in logged:
        form = normalised(one.query.sql, literals=False)
        keys = by_form.get(form)
        if keys is None:
            keys = by_form[form] = [form]
            entries[form] = Entry(one.query, ())
        for key in keys:
            known = entries[key]
            share = one.observed.share(len(keys))
            entries[key] = replace(known, observed=known.observed + share if known.observed else share)
    return Workload(tuple(entries.values()), days)
