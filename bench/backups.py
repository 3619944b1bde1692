"""Backup and verification beside D1's own way: `wrangler d1 export`, loaded with the `sqlite3` shell.

Both read one database through one emulator, in turn, as whole processes. The shell loads in one transaction and waits
for no disk, which is the fastest that it can. d1ops reads everything twice, compares, packs, and unpacks to verify.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import apsw
import httpx

from tests.support.node import NODE, WRANGLER, node_environment

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

SIZES = (10_000, 100_000, 1_000_000)
MEBIBYTE = 1024 * 1024


@dataclass(frozen=True)
class Took:
    """What a process took."""

    seconds: float
    peak_bytes: int
    out: str


def backups(folder: Path, sizes: Sequence[int] = SIZES) -> None:
    print("\nbackup and verification through the emulator (goals: peak below 200 MB, not slower, linear)")
    print(f"  {'rows':>9} {'MB':>6} {'create':>8} {'verify':>8} {'peak':>8} {'export':>8} {'sqlite3':>8} {'ratio':>7}")
    for rows in sizes:
        root = folder / str(rows)
        root.mkdir()
        with emulator(root) as environment:
            megabytes = fill(root, environment, rows) / 1e6
            made = run([sys.executable, "-m", "d1ops", "backup", "create", "--format", "json"], root, environment)
            backup = json.loads(made.out)["backup"]
            checked = run([sys.executable, "-m", "d1ops", "backup", "verify", backup["id"]], root, environment)
            export = ["d1", "export", "bench", "--remote", "-y", "--output", "dump.sql"]
            dumped = run([str(NODE), str(WRANGLER), *export], root, environment)
            commands = "PRAGMA synchronous=OFF;\nBEGIN;\n.read dump.sql\nCOMMIT;\n"
            loaded = run([shutil.which("sqlite3") or "sqlite3", "loaded.sqlite"], root, environment, commands)
        peak = max(made.peak_bytes, checked.peak_bytes) / 1e6
        peer = dumped.seconds + loaded.seconds
        assert backup["rows"] >= rows
        print(
            f"  {rows:>9,} {megabytes:>6.0f} {made.seconds:>7.1f}s {checked.seconds:>7.1f}s {peak:>6.0f}MB"
            f" {dumped.seconds:>7.1f}s {loaded.seconds:>7.1f}s {peer / made.seconds:>6.2f}x"
        )


def run(command: list[str], cwd: Path, environment: dict[str, str], text: str = "") -> Took:
    """Run a command to its end; a failure ends the benchmark."""
    out, said = cwd / "out.txt", cwd / "err.txt"
    started = time.perf_counter()
    with out.open("w") as stdout, said.open("w") as stderr:
        process = subprocess.Popen(
            command, cwd=cwd, env=environment, stdin=subprocess.PIPE, stdout=stdout, stderr=stderr
        )
        assert process.stdin is not None
        process.stdin.write(text.encode())
        process.stdin.close()
        _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    seconds = time.perf_counter() - started
    if process.returncode:
        sys.exit(f"{' '.join(command)} ended with {process.returncode}:\n{out.read_text()}{said.read_text()}")
    # Kilobytes on Linux, bytes on macOS.
    peak = usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
    return Took(seconds, peak, out.read_text())


@contextmanager
def emulator(root: Path) -> Iterator[dict[str, str]]:
    """Serve an empty D1 as a process of its own, and write the configuration of both tools."""
    command = [sys.executable, "-m", "d1ops", "emulate", "--port", "0", "--format", "json", "--data", str(root / "d1")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    try:
        document = ""
        for line in process.stdout:
            document += line
            if line.startswith("}"):
                break
        told: dict[str, str] = json.loads(document)["environment"]
        yield {**node_environment(), **told, "PYTHONPATH": str(Path(__file__).resolve().parents[1])}
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def fill(root: Path, environment: dict[str, str], rows: int) -> int:
    """Make a database of about 200 bytes a row, of the values that most have; return its size."""
    url = f"{environment['CLOUDFLARE_API_BASE_URL']}/accounts/{environment['CLOUDFLARE_ACCOUNT_ID']}/d1/database"
    headers = {"authorization": f"Bearer {environment['CLOUDFLARE_API_TOKEN']}"}
    made = httpx.post(url, json={"name": "bench"}, headers=headers).json()["result"]["uuid"]
    schema = (
        "CREATE TABLE users (id INTEGER PRIMARY KEY, email TEXT NOT NULL UNIQUE, name TEXT, created_at TEXT);"
        "CREATE TABLE events (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users (id), kind TEXT, amount REAL,"
        " payload TEXT, created_at TEXT); CREATE INDEX events_user ON events (user_id)"
    )
    assert httpx.post(f"{url}/{made}/query", json={"sql": schema}, headers=headers).is_success
    (file,) = (root / "d1").rglob("data.sqlite")
    source = random.Random(7)
    words = ["click", "view", "purchase", "refund", "login"]
    with apsw.Connection(str(file)) as connection:
        users = rows // 10
        connection.executemany(
            "INSERT INTO users VALUES (?, ?, ?, ?)",
            ((n, f"user{n}@example.com", f"User {n}", "2026-11-22T10:00:00Z") for n in range(1, users + 1)),
        )
        connection.executemany(
            "INSERT INTO events VALUES (?, ?, ?, ?, ?, ?)",
            (
                (
                    n,
                    source.randint(1, users),
                    source.choice(words),
                    source.randint(1, 10**6) / 100,
                    json.dumps(
                        {"path": f"/p/{n}", "agent": "Mozilla/5.0 (X11; Linux)", "note": source.randbytes(25).hex()}
                    ),
                    "2026-11-22T10:00:00Z",
                )
                for n in range(1, rows - users + 1)
            ),
        )
    connection.close()
    # D1 keeps every moment without being asked; the emulator copies the file for the first one that asks.
    assert httpx.get(f"{url}/{made}/time_travel/bookmark", headers=headers).is_success
    (root / "config").mkdir()
    (root / "config" / "dev.toml").write_text(
        f'[database]\nkind = "cloudflare"\ndatabase_id = "{made}"\n[catalog]\nmigrations = "."\n'
    )
    (root / "wrangler.toml").write_text(
        f'name = "bench"\ncompatibility_date = "2026-11-01"\n[[d1_databases]]\nbinding = "DB"\n'
        f'database_name = "bench"\ndatabase_id = "{made}"\n'
    )
    return file.stat().st_size
