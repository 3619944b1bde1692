"""How the time of index advice grows with the number of queries, beside the sqlite3 shell's `.expert`.

    python -m bench advice [--sizes 50 200 800]

A table to five queries, each table referring to an earlier one: filters, ranges, sorting, grouping, joins of two and
three tables, an OR and an UPDATE. Both look at the same generated rows; ours counts on SQLite in memory. `.expert`
advises every query by itself and measures nothing. The exponent is the slope between two sizes on double logarithmic
scales, 1 for linear growth.
"""

from __future__ import annotations

import argparse
import math
import subprocess
import tempfile
import time
from contextlib import closing
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

from d1ops.core.audit.advice.advise import advise
from d1ops.core.engine import Engine
from d1ops.core.mirror import schema_of
from d1ops.core.queries import parse_queries
from d1ops.core.workload import merge
from d1ops.ops.scratch import scratch_of

if TYPE_CHECKING:
    from collections.abc import Sequence

SIZES = (50, 200, 800)
QUERIES_A_TABLE = 5
LEDGER = "d1_migrations"

_TEMPLATES = (
    "SELECT id, name FROM {t} WHERE owner = ? ORDER BY created_at DESC LIMIT 20",
    "SELECT count(*) FROM {t} WHERE status = 'open' AND created_at > ?",
    "SELECT c.id, p.name FROM {t} AS c JOIN {p} AS p ON p.id = c.owner WHERE p.name = ? AND c.status = ?",
    "UPDATE {t} SET amount = amount + 1 WHERE name = ? AND status = ?",
    "SELECT status, sum(amount) FROM {t} WHERE created_at BETWEEN ? AND ? GROUP BY status",
    "SELECT id FROM {t} WHERE name = ? OR amount = ?",
    "SELECT g.id FROM {g} AS g JOIN {p} AS p ON p.owner = g.id JOIN {t} AS t ON t.owner = p.id WHERE t.amount > ?",
    "SELECT DISTINCT owner FROM {t} WHERE status = ? AND amount < ? ORDER BY owner",
)


def workload(size: int) -> tuple[list[str], list[str]]:
    """The CREATE TABLE statements and the queries of a workload of `size` queries."""
    random = Random(size)
    tables = max(3, size // QUERIES_A_TABLE)
    parents = [0] + [random.randrange(max(1, number - 20), number + 1) - 1 for number in range(1, tables)]
    create = [
        f"CREATE TABLE t{number} (id INTEGER PRIMARY KEY, owner INTEGER REFERENCES t{max(parent, 0)} (id), name TEXT,"
        " status TEXT, amount INTEGER, created_at TEXT)"
        for number, parent in enumerate(parents)
    ]
    queries = []
    for number in range(size):
        at = number % tables
        up = max(parents[at], 0)
        names = {"t": f"t{at}", "p": f"t{up}", "g": f"t{max(parents[up], 0)}"}
        queries.append(_TEMPLATES[(number // tables + at) % len(_TEMPLATES)].format(**names))
    return create, queries


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench advice", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of queries")
    before: tuple[int, float] | None = None
    for size in parser.parse_args(arguments).sizes:
        create, queries = workload(size)
        with closing(Engine.memory()) as engine:
            for statement in create:
                engine.ask(statement)
            schema = schema_of(engine)
        known = merge(parse_queries("".join(f"-- name: q{n}\n{q};\n" for n, q in enumerate(queries)).encode(), "q.sql"))
        with scratch_of(schema, [], LEDGER, ()) as scratch, tempfile.TemporaryDirectory() as folder:
            file = Path(folder) / "shell.sqlite"
            file.write_bytes(scratch.engine.serialize())
            cpu = time.process_time()
            advice = advise(schema, [], known, [], scratch, ledger=LEDGER)
            cpu = time.process_time() - cpu
            theirs = time.perf_counter()
            lines = "".join(f".expert\n{' '.join(query.split())};\n" for query in queries)
            subprocess.run(["sqlite3", "-batch", str(file)], input=lines, text=True, check=True, capture_output=True)
            theirs = time.perf_counter() - theirs
        growth = "" if before is None else f", growth n^{math.log(cpu / before[1]) / math.log(size / before[0]):.2f}"
        mended = sum(effect.is_mended for effect in advice.effects)
        print(
            f"{size} queries on {len(create)} tables: {cpu:.1f} s of processor, {1000 * cpu / size:.0f} ms each"
            f"{growth}; {len(advice.indexes)} indexes, {mended} queries read less,"
            f" {advice.measurements:,} measurements; .expert {theirs:.1f} s by the clock"
        )
        before = size, cpu
