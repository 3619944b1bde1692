"""The safe form of a script that would lose rows of other tables by a rebuild.

What its author meant is the script run with foreign keys off, as SQLite's documentation describes a rebuild and as D1
does not allow. The safe form gives exactly that database under D1's rules, and is proved to: the schema, and every row
of every table.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import apsw

from d1ops.core.catalog import Script
from d1ops.core.engine import Rejected
from d1ops.core.measure import dangling
from d1ops.core.sql import fold, quote_if_needed
from d1ops.core.tables import read_links, read_tables
from d1ops.core.trial import opened, user_schema
from d1ops.core.undo.draft import DEFER, Draft, draft
from d1ops.core.undo.lineage import trace
from d1ops.core.undo.proof import outcome, renumbered
from d1ops.core.undo.rebuild import stash, stay
from d1ops.core.values import Statement
from d1ops.errors import GuardRefused, ScriptError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from d1ops.core.engine import Engine
    from d1ops.core.sql import ScriptStatement
    from d1ops.core.tables import Link


class NoSafeForm(GuardRefused):
    """No script was found that does what this one means without losing what it would lose."""


@dataclass(frozen=True, slots=True)
class SafeForm:
    """A script that does what another one means. `how` says in what way it differs; `rebuilt` are tables that are
    dropped and made again, `moved` others whose rows are kept aside meanwhile."""

    script: Script
    how: str
    rebuilt: tuple[str, ...]
    moved: tuple[str, ...]


def safe_form(before: bytes, script: Sequence[ScriptStatement], path: str) -> SafeForm:
    """Return a script that does what `script` means, and proof that it does: on a copy of the image `before` it gives
    the same schema and, bit for bit, the same rows of every table as the script without foreign keys.

    `before` is a clone of the target as a SQLite file (`Engine.serialize`), with its rows; `path` the name that the new
    script gets. Tried in this order: the difference between the schemas, in place where SQLite allows and else by a
    rebuild that keeps all rows aside; then the script itself, with the rows of all dependants kept aside meanwhile.
    Raises NoSafeForm with the reason.
    """
    meant = _without_foreign_keys(before, script)
    with closing(opened(meant)) as engine:
        loose = renumbered(before, engine)
    reasons: list[str] = []
    for how, made in _drafts(before, meant, script):
        heading = ("Written by d1ops in place of a script that would lose rows of other tables.", how)
        candidate = Script(path, made.text(heading).encode())
        try:
            tried = outcome(before, candidate.statements, meant, loose=loose)
        except ScriptError as error:
            reasons.append(error.problem)
            continue
        if not tried.problems:
            return SafeForm(candidate, how, made.rebuilt, made.moved)
        reasons += tried.problems
    raise NoSafeForm(
        "no safe form of this script was found: " + "; ".join(dict.fromkeys(reasons)),
        hint="write the script so that rows are copied aside before a table is dropped: docs/rollbacks.md",
    )


def _without_foreign_keys(before: bytes, script: Sequence[ScriptStatement]) -> bytes:
    """Return the image after the script as its author meant it. Raises NoSafeForm where that cannot be."""
    with closing(opened(before)) as engine:
        broken, tables, strays = dangling(engine), read_tables(engine), _strays(engine)
        with engine.unlimited():
            engine.ask("BEGIN")
            try:
                for statement in script:
                    engine.ask(statement.sql)
                engine.ask("COMMIT")
            except apsw.Error as error:
                raise NoSafeForm(f"the script fails with foreign keys off as well: {error}") from None
        for link in _strays(engine) - strays:
            if link.child in tables:
                raise NoSafeForm(
                    f"after the script {link.child} refers to {link.parent}, which is not there any more",
                    hint="rename the new table to the old one's name, not the old one out of the way",
                )
        for child, parent in sorted(dangling(engine) - broken):
            raise NoSafeForm(
                f"the script itself takes rows of {parent} that {child} refers to",
                hint="name the loss, or leave those rows",
            )
        return engine.serialize()


def _strays(engine: Engine) -> set[Link]:
    """The foreign keys that refer to a table that is not there."""
    tables = read_tables(engine)
    return {link for link in read_links(engine) if link.parent not in tables}


def _drafts(before: bytes, meant: bytes, script: Sequence[ScriptStatement]) -> Iterator[tuple[str, Draft]]:
    with closing(opened(before)) as engine, closing(opened(meant)) as goal:
        there, wanted = read_tables(engine), read_tables(goal)
    lineage = trace(before, meant).reversed(wanted, there)
    for clear in (False, True):
        made = draft(before, meant, lineage, clear=clear)
        how = "Every table is changed in place: no row moves."
        if made.rebuilt:
            how = f"Rebuilt with all rows kept aside: {', '.join(made.rebuilt)}."
        yield how, made
    yield from _wrapped(before, meant, script)


def _wrapped(before: bytes, meant: bytes, script: Sequence[ScriptStatement]) -> Iterator[tuple[str, Draft]]:
    """The script as it is, while the rows of all that refers to what it drops are aside."""
    with closing(opened(before)) as engine, closing(opened(meant)) as goal:
        tables, links, schema = read_tables(engine), read_links(engine), user_schema(engine)
        wanted = user_schema(goal)
        gone = _dropped_by(engine, script) & set(tables)
    reached = set(gone)
    while more := {link.child for link in links if link.parent in reached} - reached:
        reached |= more
    moved = [name for name in tables if name in reached - gone]
    if not moved:
        return
    taken = {fold(o.name) for o in (*schema.objects, *wanted.objects)}
    rows = stash([stay(tables[name]) for name in moved], links, taken)
    triggers = [o for o in schema.objects if o.type == "trigger" and fold(o.table) in moved]
    made = Draft(moved=tuple(tables[name].name for name in moved))
    made.add("", [DEFER, *(f"DROP TRIGGER {quote_if_needed(o.name)}" for o in triggers)])
    made.add("The rows that ON DELETE would reach are kept aside.", [*rows.aside, *rows.away])
    made.add("The script as it was.", [statement.sql for statement in script])
    made.add("They return, parents first.", [*rows.back, *rows.cleared])
    again = {o.key for o in triggers}
    made.add("", [o.sql or "" for o in wanted.objects if o.key in again])
    yield "The script as it was, while the rows that ON DELETE would reach are kept aside.", made


def _dropped_by(engine: Engine, script: Sequence[ScriptStatement]) -> set[str]:
    """Run a script under D1's rules and return the names, folded, of the tables that it drops."""
    found: set[str] = set()

    def note(action: int, first: str | None, second: str | None, database: str | None, trigger: str | None) -> None:
        del second, database, trigger
        if action == apsw.SQLITE_DROP_TABLE and first is not None:
            found.add(fold(first))

    engine.on_action = note
    try:
        engine.run([Statement(statement.sql) for statement in script])
    except Rejected:
        pass  # what it dropped until then is known
    finally:
        engine.on_action = None
    return found
