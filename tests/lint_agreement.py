"""The judge of foreign keys beside `.lint fkey-indexes` of the real sqlite3 shell.

    python -m tests.lint_agreement [--schemas N] [--seed N]

prints how often both agree, and every difference with which side is right and why. What is right is what SQLite does:
the plan of the lookup that a DELETE from the parent compiles for its foreign keys. Where a DELETE does not compile (no
such parent, or one that is no key) there is no such lookup, and the plan of `child.key = ?` stands for it. Exits 1
when the audit is wrong where `.lint` is right. Both are wrong where an index serves the whole key and SQLite, knowing
nothing of the rows, prefers one that serves a part of it.
"""

from __future__ import annotations

import argparse
import shutil
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

import apsw

from d1ops.core.audit.foreign_keys import read_foreign_keys
from d1ops.core.sql import fold, quote_identifier
from tests.support.schemas import HAND_MADE, Drawn, draw_schema

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from d1ops.core.audit.foreign_keys import ForeignKey
    from d1ops.core.engine import Engine

LACKING = "the sqlite3 shell is not installed: apt-get install sqlite3"


@dataclass(frozen=True)
class Compared:
    """One schema, what both sides say of its foreign key, and what SQLite does."""

    drawn: Drawn
    ours: bool
    lint: bool
    truth: bool
    lookup: str

    @property
    def outcome(self) -> str:
        """Who is right, in words."""
        match self.ours == self.truth, self.lint == self.truth:
            case True, True:
                return f"both right: {'indexed' if self.truth else 'not indexed'}"
            case True, False:
                return "only the audit is right"
            case False, True:
                return "only .lint is right"
            case _:
                return "both wrong"


def shell() -> str:
    """Return the path of the sqlite3 shell. Raises RuntimeError when the machine has none."""
    found = shutil.which("sqlite3")
    if found is None:
        raise RuntimeError(LACKING)
    return found


def schemas(number: int, seed: int) -> Iterator[Drawn]:
    """Yield all that are made by hand, then so many generated ones."""
    yield from HAND_MADE
    random = Random(seed)
    for _ in range(number):
        yield draw_schema(random)


def compare(drawn: Drawn) -> Compared:
    """Ask all three about the only foreign key of a schema."""
    engine = drawn.build()
    (key,) = read_foreign_keys(engine, frozenset((drawn.child,)))
    truth, line = lookup(engine, key)
    engine.close()
    return Compared(drawn, key.is_indexed, is_silent(drawn.statements), truth, line)


def is_silent(statements: Sequence[str]) -> bool:
    """Return whether `.lint fkey-indexes` finds nothing. Raises RuntimeError when the shell refuses the schema."""
    script = "".join(f"{statement};\n" for statement in statements) + ".lint fkey-indexes\n"
    done = subprocess.run([shell(), "-batch", ":memory:"], input=script, capture_output=True, text=True, timeout=60)
    if done.returncode or done.stderr:
        raise RuntimeError(f"the shell refuses {script}: {done.stderr}")
    return "CREATE INDEX" not in done.stdout


def lookup(engine: Engine, key: ForeignKey) -> tuple[bool, str]:
    """Return whether SQLite's own lookup of the child rows searches the whole key, and its line of the plan."""
    reference = key.reference
    child = quote_identifier(reference.table)
    try:
        # The first line is the DELETE's own loop.
        rows = engine.ask(f"EXPLAIN QUERY PLAN DELETE FROM {quote_identifier(reference.parent)}")[1:]
    except apsw.Error:
        condition = " AND ".join(f"{quote_identifier(column)} = ?" for column in reference.columns)
        values = [None] * len(reference.columns)
        rows = engine.ask(f"EXPLAIN QUERY PLAN SELECT 1 FROM {child} WHERE {condition}", values)
    lines = [str(row[3]) for row in rows]
    line = next(one for one in lines if one.startswith((f"SEARCH {reference.table}", f"SCAN {reference.table}")))
    return line.startswith("SEARCH") and _is_whole(engine, line, reference.table, reference.columns), line


def _is_whole(engine: Engine, line: str, table: str, columns: Sequence[str]) -> bool:
    """Return whether a search compares every column of the key, or every column of something unique."""
    if line.endswith("INTEGER PRIMARY KEY (rowid=?)"):
        return True
    indexes = engine.ask('SELECT name, "unique", origin FROM pragma_index_list(?)', (table,))
    for name, unique, origin in indexes:
        terms = engine.ask(
            "SELECT CASE cid WHEN -1 THEN 'rowid' WHEN -2 THEN '<expr>' ELSE name END, key"
            " FROM pragma_index_xinfo(?) ORDER BY seqno",
            (name,),
        )
        titles = [f"INDEX {name!s}", *(["PRIMARY KEY"] if origin == "pk" else [])]
        for bound in range(1, len(terms) + 1):
            text = " AND ".join(f"{term!s}=?" for term, _ in terms[:bound])
            if any(line.endswith(f"{title} ({text})") for title in titles):
                compared = {fold(str(term)) for term, _ in terms[:bound]}
                is_single = bool(unique) and bound >= sum(bool(is_key) for _, is_key in terms)
                return is_single or {fold(column) for column in columns} <= compared
    return False


def explain(one: Compared) -> list[str]:
    """Return a difference in words."""
    says = {True: "indexed", False: "not indexed"}
    return [
        f"{one.outcome}: SQLite looks up by {one.lookup!r}",
        f"  .lint says {says[one.lint]}, the audit says {says[one.ours]}",
        *(f"    {statement}" for statement in one.drawn.statements),
    ]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lint_agreement", description=__doc__)
    parser.add_argument("--schemas", type=int, default=400, help="generated schemas, beside those made by hand")
    parser.add_argument("--seed", type=int, default=20)
    asked = parser.parse_args()
    version = subprocess.run([shell(), "--version"], check=True, capture_output=True, text=True).stdout.split()[0]
    print(f"sqlite3 shell {version}, SQLite of the audit {apsw.sqlite_lib_version()}, seed {asked.seed}")
    seen: Counter[str] = Counter()
    for drawn in schemas(asked.schemas, asked.seed):
        one = compare(drawn)
        seen[one.outcome] += 1
        if one.ours != one.lint or one.ours != one.truth:
            print("\n".join(explain(one)))
    print(f"\n{sum(seen.values())} schemas, {len(HAND_MADE)} of them made by hand")
    for outcome, count in sorted(seen.items()):
        print(f"{count:>6}  {outcome}")
    return 1 if seen["only .lint is right"] else 0


if __name__ == "__main__":
    sys.exit(main())
