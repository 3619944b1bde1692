"""Print start-up times and served requests beside wrangler's, and the HTTP requests of every command.

    python -m bench [--runs N]
    python -m bench audit
    python -m bench check
    python -m bench advice
    python -m bench backup [--rows N ...]

Start-up: both tools in turn, as whole processes, on one sample project with the twelve migrations applied. Requests:
the commands against the D1 HTTP API on loopback, counted by the server. Needs what the tests need.
"""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import advice, audit, check
from bench.backups import SIZES, backups
from bench.serving import serving
from d1ops.database.sqlite import SqliteDatabase
from tests.support.cloudflare import ACCOUNT, EDIT_TOKEN, FakeCloudflare
from tests.support.node import NODE, WRANGLER

REPOSITORY = Path(__file__).resolve().parents[1]
GOAL = 8


def main() -> None:
    if sys.argv[1:2] == ["audit"]:
        audit.main(sys.argv[2:])
        return
    if sys.argv[1:2] == ["check"]:
        check.main(sys.argv[2:])
        return
    if sys.argv[1:2] == ["advice"]:
        advice.main(sys.argv[2:])
        return
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("name", nargs="?", choices=["backup"], help="one benchmark instead of the quick ones")
    parser.add_argument("--runs", type=int, default=7, help="counted runs of each command, after one warm-up")
    parser.add_argument("--rows", type=int, nargs="+", default=SIZES, help="backup: the sizes of the databases")
    given = parser.parse_args()
    runs = given.runs
    machine = f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores"
    if given.name == "backup":
        print(machine)
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            backups(Path(folder), given.rows)
        return
    print(f"{machine}, {runs} runs after a warm-up")
    with tempfile.TemporaryDirectory() as folder:
        project = sample_project(Path(folder))
        start_up(project, runs)
    with tempfile.TemporaryDirectory() as folder:
        requests(Path(folder))
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        serving(Path(folder), runs)


def sample_project(root: Path) -> Path:
    """A project that both tools read: wrangler's file, and a dev env of ours on the embedded database."""
    shutil.copytree(REPOSITORY / "db", root / "db")
    shutil.copytree(REPOSITORY / "config", root / "config")
    (root / "wrangler.jsonc").write_text(
        '{"name": "bench", "compatibility_date": "2026-11-01", "d1_databases": [{"binding": "DB",'
        ' "database_name": "umbrella", "database_id": "11111111-1111-1111-1111-111111111111",'
        ' "migrations_dir": "db/migrations"}]}\n'
    )
    return root


def start_up(project: Path, runs: int) -> None:
    d1ops, wrangler = [str(Path(sys.executable).parent / "d1ops")], [str(NODE), str(WRANGLER)]
    run(["--version"], d1ops, project)
    run(["migrate", "--env", "dev", "--yes"], d1ops, project)
    run(["d1", "migrations", "apply", "umbrella", "--local"], wrangler, project)
    print(f"\nstart-up, median of whole processes in seconds (goal: at least {GOAL} times faster)")
    print(f"  {'d1ops':<28}{'':>8}   {'wrangler':<38}{'':>8}   ratio")
    for ours, theirs in (
        (["--version"], ["--version"]),
        (["status", "--env", "dev"], ["d1", "migrations", "list", "umbrella", "--local"]),
    ):
        pairs = [(run(ours, d1ops, project), run(theirs, wrangler, project)) for _ in range(runs + 1)][1:]
        mine, other = (statistics.median(side) for side in zip(*pairs, strict=True))
        ratio = statistics.median(b / a for a, b in pairs)
        print(f"  {' '.join(ours):<28}{mine:>8.3f}   {' '.join(theirs):<38}{other:>8.3f}   {ratio:5.1f}x")


def run(arguments: list[str], command: list[str], project: Path) -> float:
    """Run a command to its end and return its wall time in seconds; a failure ends the benchmark."""
    environment = {**os.environ, "WRANGLER_SEND_METRICS": "false", "CI": "1", "NO_COLOR": "1"}
    environment["PATH"] = f"{NODE.parent}{os.pathsep}{environment.get('PATH', '')}"
    started = time.perf_counter()
    done = subprocess.run([*command, *arguments], cwd=project, env=environment, capture_output=True, text=True)
    took = time.perf_counter() - started
    if done.returncode:
        sys.exit(f"{' '.join([*command, *arguments])} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return took


def requests(root: Path) -> None:
    """Count what each command sends to the API, once the target has been probed."""
    shutil.copytree(REPOSITORY / "db", root / "db")
    (root / "config").mkdir()
    with FakeCloudflare(lambda name: SqliteDatabase(root / f"{name}.sqlite")) as server:
        identifier = server.add("umbrella").id
        (root / "config" / "staging.toml").write_text(
            f'protected = false\n[database]\nkind = "cloudflare"\ndatabase_id = "{identifier}"\n'
        )
        environment = {
            **os.environ,
            "CLOUDFLARE_API_BASE_URL": server.base_url,
            "CLOUDFLARE_API_TOKEN": EDIT_TOKEN,
            "CLOUDFLARE_ACCOUNT_ID": ACCOUNT,
        }

        def count(*arguments: str) -> int:
            before = len(server.requests)
            done = subprocess.run(
                [sys.executable, "-m", "d1ops", *arguments, "--env", "staging"],
                cwd=root,
                env=environment,
                capture_output=True,
                text=True,
            )
            if done.returncode not in (0, 1):
                sys.exit(f"d1ops {' '.join(arguments)} ended with {done.returncode}:\n{done.stdout}{done.stderr}")
            return len(server.requests) - before

        count("doctor", "--probe")
        count("migrate", "--to", "0003", "--yes")
        print("\nHTTP requests, counted by the server (goal in brackets)")
        for label, goal, arguments in (
            ("status", "1", ("status",)),
            ("plan", "1", ("plan",)),
            ("migrate of 9 pending", "12", ("migrate", "--yes")),
            ("audit", "2", ("audit",)),
            ("rollback 0007", "-", ("rollback", "0007", "--yes")),
            ("migrate of 1 pending", "4", ("migrate", "--yes")),
            ("backup create", "-", ("backup", "create")),
        ):
            print(f"  {label:<24}{count(*arguments):>4}   [{goal}]")


if __name__ == "__main__":
    main()
