"""The runbook that an engineer reads at 3 a.m., rendered to Markdown from the proof of every rollback.

Nothing here depends on a clock, a machine or a version: the same catalog and notes give the same text. Lines fit a
terminal of 100 columns but for tables and names that cannot be broken.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.audit.foreign_keys import read_foreign_keys
from d1ops.core.runbook_text import (
    EMERGENCY,
    LEGEND,
    NO_WAY_BACK,
    OUTCOMES,
    PHILOSOPHY,
    QUESTIONS,
    SAFE_REBUILD,
    TRAP,
    WRONG_REBUILD,
)
from d1ops.core.sql import quote_identifier, quote_text
from d1ops.core.verdict import REACH, Verdict, joined

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from d1ops.core.engine import Engine
    from d1ops.core.manner import Manner
    from d1ops.core.verdict import Reversibility

WIDTH = 100


@dataclass(frozen=True, slots=True)
class KeyRow:
    """A foreign key and what serves it: an index, a constraint, or None. `since` is the migration that made it."""

    child: str
    parent: str
    on_delete: str
    served_by: str | None
    since: str | None


def key_rows(engine: Engine, judged: Iterable[Reversibility]) -> tuple[KeyRow, ...]:
    """Return the foreign keys of a replay of the catalog, in the order of their definition."""
    tables = frozenset(str(name) for (name,) in engine.ask("SELECT name FROM sqlite_master WHERE type = 'table'"))
    maker = {name.lower(): one.migration.label for one in judged for name in (*one.made.indexes, *one.made.tables)}
    found: list[KeyRow] = []
    for key in read_foreign_keys(engine, tables):
        reference = key.reference
        index = _index_in(engine, reference.table, key.plan) if key.is_indexed else None
        found.append(
            KeyRow(
                child=f"{reference.table}.{', '.join(reference.columns)}",
                parent=reference.parent,
                on_delete=reference.on_delete,
                served_by=index[0] if index else None,
                since=maker.get(index[1].lower()) if index else None,
            )
        )
    return tuple(found)


def _index_in(engine: Engine, table: str, plan: str) -> tuple[str, str]:
    """What a plan's line searches, and the object that made it: an index, or the table of a constraint."""
    for name, origin in engine.ask("SELECT name, origin FROM pragma_index_list(?)", (table,)):
        index = str(name)
        if f" INDEX {index} (" in plan or (origin == "pk" and " PRIMARY KEY (" in plan):
            if origin == "c":
                return index, index
            columns = engine.ask("SELECT name FROM pragma_index_info(?) ORDER BY seqno", (name,))
            listed = ", ".join(str(column) for (column,) in columns)
            return f"{'PRIMARY KEY' if origin == 'pk' else 'UNIQUE'} ({listed})", table
    return "PRIMARY KEY", table


def render(
    judged: Sequence[Reversibility],
    keys: Sequence[KeyRow],
    notes: Mapping[str, str],
    manners: Mapping[int, Manner],
) -> str:
    """Return the runbook. `notes` are hand-written passages by migration label (0007), `manners` how each script goes
    about it by the migration's number."""
    parts = [
        _opening(judged),
        PHILOSOPHY,
        _decision(),
        _matrix(judged, manners),
        _irreversible(judged),
        EMERGENCY,
        TRAP.format(wrong=WRONG_REBUILD, safe=SAFE_REBUILD),
        "## Each migration\n",
        *(_section(one, judged[index + 1 :], notes.get(one.migration.label, "")) for index, one in enumerate(judged)),
        _foreign_keys(keys),
    ]
    return "\n".join(part.rstrip() + "\n" for part in parts)


# -- words and layout ------------------------------------------------------------------------------------


def _wrapped(text: str, *, first: str = "", rest: str = "") -> str:
    return textwrap.fill(
        text, WIDTH, initial_indent=first, subsequent_indent=rest, break_long_words=False, break_on_hyphens=False
    )


def _item(text: str) -> str:
    return _wrapped(text, first="- ", rest="  ")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = [[cell.replace("|", "\\|") for cell in row] for row in (head, *rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(head))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |" for row in cells
    ]
    lines.insert(1, "|" + "|".join("-" * (width + 2) for width in widths) + "|")
    return "\n".join(lines) + "\n"


def _opening(judged: Sequence[Reversibility]) -> str:
    counts = [(verdict, sum(one.verdict is verdict for one in judged)) for verdict in Verdict]
    tally = ", ".join(f"{count} {verdict.value}" for verdict, count in counts if count) or "none yet"
    return (
        "# Migrations and their rollbacks\n\n"
        "<!-- Written by `d1ops docs`; edit docs/rollback_notes/NNNN.md instead and run it again. -->\n\n"
        + _wrapped(
            f"{len(judged)} migrations: {tally}. Each verdict was found out by doing it: on generated rows in every"
            " table the migration was applied, rolled back, applied again, filled and rolled back again, alone and"
            " with all later migrations applied."
        )
        + "\n\nIn an emergency start [here](#emergency-procedure).\n"
    )


def _decision() -> str:
    lines = ["## Which way back?\n", "```mermaid", "flowchart TD"]
    for name, text, answers in QUESTIONS:
        lines.append(f'  {name}{{"{text}"}}')
        lines += [f"  {name} -->|{answer}| {target}" for answer, target in answers]
    lines += [f'  {name}["{text}"]' for name, text in OUTCOMES.items()]
    lines += ["```\n", "The same in words:\n"]
    numbers = {name: number for number, (name, _, _) in enumerate(QUESTIONS, 1)}
    for name, text, answers in QUESTIONS:
        lines.append(f"{numbers[name]}. {text}")
        for answer, target in answers:
            then = f"go to {numbers[target]}" if target in numbers else OUTCOMES[target]
            lines.append(_wrapped(f"{answer}: {then}", first="   - ", rest="     "))
    return "\n".join(lines) + "\n"


def _matrix(judged: Sequence[Reversibility], manners: Mapping[int, Manner]) -> str:
    rows = []
    for one in judged:
        manner = manners.get(one.migration.number)
        is_proved = one.verdict.is_proved and manner is not None
        rows.append(
            (
                one.migration.label,
                one.migration.name,
                one.verdict.value,
                _briefly(one),
                manner.how if manner and is_proved else "-",
                manner.cost if manner and is_proved else "-",
                _reach(one),
            )
        )
    headings = ("No", "Name", "Verdict", "What is lost", "What it does", "Rows billed", "Holds")
    return "## Reversibility matrix\n\n" + _table(headings, rows) + LEGEND


def _briefly(one: Reversibility) -> str:
    if not one.verdict.is_proved:
        return "see its section"
    return joined(one.lost, most=3)


def _reach(one: Reversibility) -> str:
    return REACH[one.alone]


def _irreversible(judged: Sequence[Reversibility]) -> str:
    lines = [
        _item(f"{one.migration.label} {one.migration.name} ({one.verdict.value}): {'; '.join(one.evidence)}")
        for one in judged
        if not one.verdict.is_proved
    ]
    lines.append("\nIn general:" if lines else f"All {len(judged)} migrations can be rolled back. These would not be:")
    return "\n".join(("## What cannot be rolled back, and why\n", *lines)) + "\n" + NO_WAY_BACK


# -- a migration -----------------------------------------------------------------------------------------


def _section(one: Reversibility, later: Sequence[Reversibility], note: str) -> str:
    migration = one.migration
    lines = [f"### {migration.label} {migration.name}\n", _headline(one, later), ""]
    lines += [_item(text) for text in _makes(one)]
    if one.verdict.is_proved:
        lines.append(_item(f"its rollback destroys: {joined(one.lost)}"))
    else:
        lines += [_item(f"why not: {text}") for text in one.evidence]
    lines += [_item(f"warning: {text}") for text in one.warnings]
    depends = ", ".join(f"{m.label} {m.name}" for m in one.needed_by)
    lines.append(_item(f"depends on it: {depends or 'no later migration'}"))
    files = [migration.script.path, *([migration.rollback.path] if migration.rollback else [])]
    lines.append(_item(f"files: {', '.join(files)}"))
    lines += ["", *_commands(one)]
    if note.strip():
        lines += ["", note.strip()]
    return "\n".join(lines) + "\n"


def _headline(one: Reversibility, later: Sequence[Reversibility]) -> str:
    text = f"**{one.verdict.value}**"
    if one.alone:
        text += ", alone: it can be rolled back with every later migration applied."
    elif one.verdict is Verdict.IRREVERSIBLE:
        text += ": no script brings back what it took."
    elif one.alone is None:
        text += ": nothing shows that its rollback works."
    else:
        first = ", ".join(other.migration.label for other in reversed(later))
        text += f", cascade only: {first} are rolled back before it, and take what their sections name."
    return _wrapped(text)


def _makes(one: Reversibility) -> list[str]:
    made = one.made
    kinds = (
        ("tables that it makes", made.tables),
        ("columns that it adds", made.columns),
        ("indexes that it makes", made.indexes),
        ("views that it makes", made.views),
        ("triggers that it makes", made.triggers),
        ("rows that it inserts", tuple(f"{count} into {table}" for table, count in made.rows)),
        ("objects that it changes", made.changed),
        ("objects that it removes", made.removed),
    )
    return [f"{kind}: {', '.join(names)}" for kind, names in kinds if names] or ["it makes nothing"]


def _commands(one: Reversibility) -> list[str]:
    label = one.migration.label
    if not one.verdict.is_proved:
        return [
            "The ways back are a repair forward, or the whole database:\n",
            "```sh",
            "d1ops restore POINT --env dev",
            "```",
        ]
    number = label if one.alone else f"{label} --cascade"
    return [
        "```sh",
        f"d1ops rehearse {number} --env dev",
        f"d1ops rollback {number} --env dev",
        f"d1ops migrate --only {label} --env dev" if one.alone else "d1ops migrate --env dev",
        "```\n",
        f"The first line changes nothing, the last applies {'it' if one.alone else 'them'} again."
        " `d1ops query` finds no row with this\nwhen the rollback worked:\n",
        "```sql",
        verification_query(one),
        "```",
    ]


def verification_query(one: Reversibility, ledger: str = "d1_migrations") -> str:
    """Return the statement that finds what a rollback left over: no row when it worked."""
    made = one.made
    names = [*made.tables, *made.indexes, *made.views, *made.triggers]
    table = quote_identifier(ledger)
    terms = [f"SELECT 'ledger' AS left_over, name FROM {table}\nWHERE name = {quote_text(one.migration.file)}"]
    if names:
        terms.append(f"SELECT type, name FROM sqlite_master WHERE name IN {_quoted_list(names)}")
    if made.columns:
        tables = sorted({column.partition(".")[0] for column in made.columns})
        source = ", ".join(f"({quote_text(table)})" for table in tables)
        terms.append(
            "SELECT 'column', t.column1 || '.' || c.name\n"
            f"FROM (VALUES {source}) t, pragma_table_info(t.column1) c\n"
            f"WHERE t.column1 || '.' || c.name IN {_quoted_list(made.columns)}"
        )
    return "\nUNION ALL\n".join(terms) + ";"


def _quoted_list(names: Sequence[str]) -> str:
    if len(names) == 1:
        return f"({quote_text(names[0])})"
    return "(\n" + _wrapped(", ".join(quote_text(name) for name in names), first="  ", rest="  ") + "\n)"


def _foreign_keys(keys: Sequence[KeyRow]) -> str:
    served = sum(key.served_by is not None for key in keys)
    rows = [(k.child, k.parent, k.on_delete, k.served_by or "NOTHING", k.since or "-") for k in keys]
    return (
        "## Foreign keys and the indexes that serve them\n\n"
        + _wrapped(
            f"{served} of {len(keys)} foreign keys are served by an index, as SQLite's own planner says. Without one,"
            " every delete of a parent row reads the whole child table. `d1ops audit` asks the same of a target."
        )
        + "\n\n"
        + _table(("Child", "Parent", "On delete", "Served by", "Since"), rows)
    )
