"""Time, memory and requests of the audit as a schema grows.

    python -m bench audit

Each run is a process of its own, so that its peak memory is its own, and collects garbage as seldom as the program
`d1ops`; what is printed is the quickest of three. A tenth of the tables lacks the index of a foreign key or has one
twice, and the queries are lookups, joins and pages; see `schema` and `queries`.
"""

from __future__ import annotations

import gc
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

from d1ops.__main__ import OBJECTS_BEFORE_COLLECTION
from d1ops.core.mirror import build_mirror
from d1ops.core.queries import parse_queries
from d1ops.core.schema import SchemaObject
from d1ops.database.sqlite import SqliteDatabase
from d1ops.ops.audit import audit

if TYPE_CHECKING:
    from d1ops.core.queries import Query

SIZES = (100, 1_000, 10_000)
RUNS = 3
KEYS = ("owner_id", "parent_id", "place_id")
_PROCESSOR = 6
"""Where `measure` prints the seconds of processor time."""

GOAL = "goal at 10,000 tables: under 5 s and 500 MB, 2 requests, growth linear"


def main(arguments: list[str]) -> None:
    if arguments:
        measure(int(arguments[0]))
        return
    print("tables  foreign keys  queries  findings  requests  seconds  of processor  growth  ms/table  peak MB")
    before = 0.0
    for size in SIZES:
        command = [sys.executable, "-m", "bench", "audit", str(size)]
        runs = [subprocess.run(command, check=True, capture_output=True, text=True).stdout.split() for _ in range(RUNS)]
        quickest = min(runs, key=lambda words: float(words[_PROCESSOR]))
        tables, keys, queries, findings, requests, seconds, processor, megabytes = quickest
        taken = float(processor)
        growth = f"{taken / before:5.1f}x" if before else "      "
        print(
            f"{int(tables):>6}  {int(keys):>12}  {int(queries):>7}  {int(findings):>8}  {requests:>8}"
            f"  {float(seconds):>7.2f}  {taken:>12.2f}  {growth}  {taken / size * 1000:>8.3f}  {megabytes:>7}"
        )
        before = taken
    print(GOAL)


def measure(size: int) -> None:
    """Audit one schema and print its figures, for `main`."""
    gc.set_threshold(OBJECTS_BEFORE_COLLECTION)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "target.sqlite"
        mirror = build_mirror(schema(size))
        path.write_bytes(mirror.serialize())
        mirror.close()
        asked = queries(size)
        database = SqliteDatabase(path)
        # The target reads its own schema when it is first asked, as any server has done before.
        database.query("SELECT count(*) FROM sqlite_master")
        started, processor = time.perf_counter(), time.process_time()
        audited = audit(database, asked, "d1_migrations")
        taken, used = time.perf_counter() - started, time.process_time() - processor
        database.close()
    summary, findings = audited.report.summary, audited.report.findings
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    figures = (summary.tables, summary.foreign_keys, summary.queries, len(findings), audited.requests)
    print(*figures, f"{taken:.3f}", f"{used:.3f}", peak)


def schema(size: int) -> list[SchemaObject]:
    """`size` tables with three foreign keys each, a tenth of them with something to find."""
    found: list[SchemaObject] = []
    for number in range(size):
        table = f"table_{number}"
        parents = [f"table_{(number * step + 1) % size}" for step in (7, 13, 31)]
        keys = ", ".join(
            f"{key} TEXT REFERENCES {parent} (id) ON DELETE CASCADE" for key, parent in zip(KEYS, parents, strict=True)
        )
        columns = f"id TEXT PRIMARY KEY NOT NULL, {keys}, name TEXT NOT NULL DEFAULT '', created_at INTEGER NOT NULL"
        found.append(SchemaObject("table", table, table, f"CREATE TABLE {table} ({columns})"))
        found.append(SchemaObject("index", f"sqlite_autoindex_{table}_1", table, None))
        found += [_index(f"idx_{number}_{key}", table, key) for key in KEYS[number % 20 == 0 :]]
        if number % 20 == 1:
            found.append(_index(f"idx_{number}_again", table, KEYS[1]))
    return found


def _index(name: str, table: str, columns: str) -> SchemaObject:
    return SchemaObject("index", name, table, f"CREATE INDEX {name} ON {table} ({columns})")


def queries(size: int) -> tuple[Query, ...]:
    """A query for every fifth table."""
    texts: list[str] = []
    for number in range(0, size, 5):
        table, other = f"table_{number}", f"table_{(number + 1) % size}"
        texts.append(
            (
                f"SELECT * FROM {table} WHERE id = ?1",
                f"SELECT id, name FROM {table} WHERE place_id = ?1 ORDER BY created_at DESC LIMIT 20",
                f"SELECT a.id, b.name FROM {table} AS a JOIN {other} AS b ON b.parent_id = a.id WHERE a.place_id = ?1",
                f"UPDATE {table} SET name = ?1 WHERE parent_id = ?2",
                f"SELECT id FROM {table} WHERE name = ?1",
            )[number // 5 % 5]
        )
    return parse_queries("".join(f"{text};\n" for text in texts).encode(), "queries.sql")
