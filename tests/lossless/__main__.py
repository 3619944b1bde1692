"""Back up random databases on every engine, and print what D1's own export loses of the same rows.

    python -m tests.lossless [--values 50000] [--seed 1]

Each seed is a database with a table of every kind; it goes into a target, from there into a backup (whole for odd
seeds, in ranges for even ones), from the backup into an empty target of the same kind, and from there into another
backup. Both unpacked files are compared with what was written, type by type and bit by bit.
Beside it the same rows go through `wrangler d1 export --local` (the code that D1's dump comes from) and the emulator's
export, each loaded with the `sqlite3` shell; virtual tables, which both refuse, are left out there. Ends with 1 when a
backup differs.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import ExitStack, closing
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING

from d1ops.client import Budget, D1Client, Settings
from d1ops.core.mirror import schema_of
from d1ops.core.restoring import parts
from d1ops.database.base import Atomicity
from d1ops.database.http import HttpDatabase
from d1ops.database.sqlite import SqliteDatabase, open_copy
from d1ops.database.workerd import WorkerdDatabase
from d1ops.emulator import Emulator, EngineName
from d1ops.emulator import Settings as ServerSettings
from d1ops.errors import D1opsError
from tests.lossless.sweep import SMALL, backed_up, contents_of, fill, random_database
from tests.support.node import MODULES, NODE, WRANGLER, node_environment

if TYPE_CHECKING:
    from d1ops.database.base import Database
    from tests.lossless.sweep import Contents, Made

ID = "11111111-1111-1111-1111-111111111111"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.lossless", description=__doc__)
    parser.add_argument("--values", type=int, default=50_000, help="on every engine")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rows", type=int, default=60, help="in a table")
    given = parser.parse_args()
    failed = 0
    for name in ("sqlite", "workerd", "http"):
        values = databases = 0
        started = time.monotonic()
        for seed in itertools.count(given.seed):
            if values >= given.values:
                break
            made = random_database(seed, rows=given.rows)
            with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
                database = _open(name, Path(folder), stack)
                fill(database, made)
                with backed_up(database, Path(folder) / "project", None if seed % 2 else SMALL) as copy:
                    wrong = _differences(made.expected(), contents_of(copy))
                    fresh = _open(name, Path(folder) / "fresh", stack)
                    _restore(copy, Path(folder) / "restored.sqlite", fresh)
                with backed_up(fresh, Path(folder) / "again", None) as copy:
                    wrong |= {
                        f"{table}, restored": number
                        for table, number in _differences(_restorable(made.expected()), contents_of(copy)).items()
                    }
            values += made.values
            databases += 1
            failed += bool(wrong)
            for table, number in wrong.items():
                print(f"  {name}, seed {seed}: {table} differs in {number} rows")
        took = time.monotonic() - started
        print(f"{name}: {values:,} values in {databases} databases, {failed} differ, {took:.0f} s")
    _exports(random_database(given.seed, rows=given.rows))
    return 1 if failed else 0


def _restore(copy: Path, aside: Path, fresh: Database) -> None:
    """Write an unpacked backup into an empty database, request by request."""
    shutil.copyfile(copy, aside)
    with closing(open_copy(aside)) as engine:
        with engine.unlimited():  # its words cannot be written again, and the restore says so
            engine.ask("DROP TABLE contentless")
        for part in parts(engine, schema_of(engine), max_bytes=200_000):
            fresh.batch(part.statements)


def _restorable(contents: Contents) -> Contents:
    """What is expected of a restore: all but the index that holds no text of its own."""
    schema = [row for row in contents[""] if "contentless" not in repr(row)]
    return {**{table: rows for table, rows in contents.items() if table != "contentless"}, "": schema}


def _open(name: str, folder: Path, stack: ExitStack) -> Database:
    if name == "sqlite":
        return stack.enter_context(closing(SqliteDatabase(folder / "data.sqlite")))
    if name == "workerd":
        return stack.enter_context(closing(WorkerdDatabase(ID, folder / "state", [MODULES])))
    server = stack.enter_context(Emulator(ServerSettings(engine=EngineName.SQLITE)))
    settings = Settings(budget=Budget(10**6))
    client = D1Client(server.settings.account_id, "t0ken", base_url=server.base_url, settings=settings)
    identifier = server.create_database("app")
    return stack.enter_context(closing(HttpDatabase(client, identifier, name="app", atomicity=Atomicity.PROVED)))


def _differences(expected: Contents, found: Contents) -> dict[str, int]:
    """Return, by table, how many rows are not there any more as they were."""
    wrong = {}
    for table, rows in expected.items():
        missing = Counter(map(repr, rows)) - Counter(map(repr, found.get(table, [])))
        if missing.total():
            wrong[table] = missing.total()
    return wrong


# -- the exports -------------------------------------------------------------------------------------------


def _exports(made: Made) -> None:
    virtual = [sql.split()[3] for sql in made.before if sql.startswith("CREATE VIRTUAL")]
    made.before = [sql for sql in made.before if not sql.startswith("CREATE VIRTUAL")]
    made.after = [sql for sql in made.after if not any(f"INTO {name} " in sql for name in virtual)]
    made.rows = [row for row in made.rows if row[0] not in virtual]
    expected = made.expected()
    print(f"\nof the same {made.values:,} values, virtual tables left out:")
    for label, export in (("wrangler d1 export --local", _wrangler), ("the emulator's export", _emulator)):
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            try:
                dump = export(root, made)
            except D1opsError as error:
                print(f"  {label}: refused: {error}")
                continue
            shell = shutil.which("sqlite3") or "sqlite3"
            loaded = root / "loaded.sqlite"
            done = subprocess.run([shell, str(loaded)], input=dump, capture_output=True)
            errors = done.stderr.decode(errors="replace").splitlines()
            wrong = _differences(expected, contents_of(loaded))
        rows = sum(number for table, number in wrong.items() if table and not table.endswith(" by rowid"))
        total = sum(len(rows) for table, rows in expected.items() if table and not table.endswith(" by rowid"))
        print(f"  {label}: {rows} of {total} rows are not what they were; {len(errors)} statements do not load")
        for table, number in sorted(wrong.items()):
            if table and not table.endswith(" by rowid"):
                print(f"    {table}: {number} of {len(expected[table])}")
        for text in errors[:3]:
            print(f"    {text[:150]}")


def _wrangler(root: Path, made: Made) -> bytes:
    with closing(WorkerdDatabase(ID, root / ".wrangler" / "state", [MODULES])) as database:
        fill(database, made)
    (root / "wrangler.toml").write_text(
        f'name = "x"\ncompatibility_date = "2026-11-01"\n[[d1_databases]]\nbinding = "DB"\n'
        f'database_name = "app"\ndatabase_id = "{ID}"\n'
    )
    command = [str(NODE), str(WRANGLER), "d1", "export", "app", "--local", "--output", "dump.sql"]
    subprocess.run(command, cwd=root, env=node_environment(), check=True, capture_output=True)
    return (root / "dump.sql").read_bytes()


def _emulator(root: Path, made: Made) -> bytes:
    with ExitStack() as stack:
        database = _open("http", root, stack)
        fill(database, made)
        sink = BytesIO()
        database.export(sink)
        return sink.getvalue()


if __name__ == "__main__":
    sys.exit(main())
