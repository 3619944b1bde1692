"""Requests per second of one statement through the emulator, beside the local explorer of `wrangler dev`."""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

import httpx

from d1ops.emulator import Emulator, EngineName, Settings
from tests.support.node import MODULES
from tests.support.wrangler_dev import API, ID, wrangler_dev

if TYPE_CHECKING:
    from pathlib import Path

BATCH = 100
STATEMENTS = (("select", "SELECT id, name FROM t WHERE id = 7"), ("insert", "INSERT INTO t (name) VALUES ('x')"))


def serving(folder: Path, rounds: int) -> None:
    """Print the medians; the servers take turns, a hundred requests each, over one connection that stays open."""
    with ExitStack() as stack:
        urls = {"explorer of wrangler dev": f"{stack.enter_context(wrangler_dev(folder))}{API}/d1/database/{ID}/raw"}
        for engine in EngineName:
            server = stack.enter_context(Emulator(Settings(engine=engine, modules=(MODULES,))))
            path = f"accounts/{server.settings.account_id}/d1/database/{server.create_database('bench')}/raw"
            urls[f"d1ops emulate --engine {engine.value}"] = f"{server.base_url}/{path}"
        client = stack.enter_context(httpx.Client(headers={"authorization": "Bearer bench"}, timeout=30))
        figures: dict[tuple[str, str], list[float]] = {}
        for url in urls.values():
            _ask(client, url, "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT)")
            _ask(client, url, "INSERT INTO t (name) SELECT value FROM json_each('[1,2,3,4,5,6,7,8,9]')")
        for _ in range(rounds + 1):
            for name, url in urls.items():
                for kind, sql in STATEMENTS:
                    started = time.perf_counter()
                    for _ in range(BATCH):
                        _ask(client, url, sql)
                    figures.setdefault((name, kind), []).append(BATCH / (time.perf_counter() - started))
    print("\nrequests per second, medians (goal: not slower than the explorer)")
    for name in urls:
        select, insert = (statistics.median(figures[name, kind][1:]) for kind, _ in STATEMENTS)
        print(f"  {name:<32}{select:>7.0f} select {insert:>7.0f} insert")


def _ask(client: httpx.Client, url: str, sql: str) -> None:
    answer = client.post(url, json={"sql": sql})
    assert answer.is_success, answer.text
