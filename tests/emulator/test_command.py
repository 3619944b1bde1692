"""`d1ops emulate` as a person runs it, and `d1ops` beside real wrangler on one database behind it."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from d1ops.emulator import Fault
from d1ops.emulator.faults import IS_CARRIED_OUT
from tests.support.project import REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.emulator import Emulator
    from tests.emulator.conftest import Wrangler


@dataclass
class Running:
    process: subprocess.Popen[str]
    told: dict[str, Any]

    def get(self, path: str) -> httpx.Response:
        environment = self.told["environment"]
        return httpx.get(
            f"{environment['CLOUDFLARE_API_BASE_URL']}/accounts/{environment['CLOUDFLARE_ACCOUNT_ID']}{path}",
            headers={"authorization": f"Bearer {environment['CLOUDFLARE_API_TOKEN']}"},
        )


@contextmanager
def emulate(*options: str) -> Iterator[Running]:
    process = subprocess.Popen(
        [sys.executable, "-m", "d1ops", "emulate", "--port", "0", "--format", "json", *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stderr is not None
    with process.stdout, process.stderr:
        try:
            document = ""
            for line in process.stdout:
                document += line
                if line.startswith("}"):
                    break
            yield Running(process, json.loads(document))
        finally:
            process.kill()
            process.wait()


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGTERM])
def test_it_serves_until_it_is_interrupted_and_leaves_nothing_behind(how: signal.Signals) -> None:
    with emulate() as running:
        assert running.get("/d1/database").json()["result"] == []
        folder = Path(running.told["data"])
        assert folder.is_dir()
        running.process.send_signal(how)
        assert running.process.wait(20) == 0
        assert running.process.stderr is not None
        assert running.process.stderr.read() == ""
        assert not folder.exists()


def test_what_it_keeps_is_there_the_next_time(tmp_path: Path) -> None:
    for wanted in ([], ["kept"]):
        with emulate("--data", str(tmp_path / "data"), "--token", "secret") as running:
            assert [each["name"] for each in running.get("/d1/database").json()["result"]] == wanted
            if not wanted:
                environment = running.told["environment"]
                url = f"{environment['CLOUDFLARE_API_BASE_URL']}/accounts/{environment['CLOUDFLARE_ACCOUNT_ID']}"
                bearer = {"authorization": "Bearer secret"}
                httpx.post(f"{url}/d1/database", json={"name": "kept"}, headers=bearer).raise_for_status()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--engine", "mysql"], "--engine is sqlite or workerd"),
        (["--splitter", "x"], "--splitter is exact or d1"),
        (["--faults", "rate=7"], "--faults: rate=7 is more than 1"),
        (["--port", "taken"], "port"),
        (["--data", "registry"], "is not an emulator's registry"),
    ],
)
def test_what_cannot_be_done_is_said_with_exit_code_2(options: list[str], problem: str, tmp_path: Path) -> None:
    (tmp_path / "registry.json").write_text("[]")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        places = {"taken": str(taken.getsockname()[1]), "registry": str(tmp_path)}
        words = [places.get(word, word) for word in options]
        done = subprocess.run(
            [sys.executable, "-m", "d1ops", "emulate", *words], capture_output=True, text=True, timeout=60
        )
    assert (done.returncode, problem in done.stderr, "try: " in done.stderr) == (2, True, True), done.stderr


def d1ops(wrangler: Wrangler, *arguments: str, expect: int = 0) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "d1ops", *arguments, "--format", "json"],
        cwd=wrangler.root,
        env={**os.environ, **wrangler.server.environment()},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return json.loads(done.stdout)


def test_d1ops_and_wrangler_take_turns_on_one_database(wrangler: Wrangler, server: Emulator) -> None:
    id_ = server.create_database("turns")
    wrangler.configure("turns", id_)
    (wrangler.root / "wrangler.json").write_text(
        json.dumps(
            {
                "name": "app",
                "compatibility_date": "2026-11-01",
                "env": {"remote": {"d1_databases": [{"binding": "DB", "database_name": "turns", "database_id": id_}]}},
            }
        )
    )
    for source in ("migrations", "rollbacks"):
        (wrangler.root / source).mkdir()
        for file in (REPOSITORY / "db" / source).iterdir():
            (wrangler.root / source / file.name).write_bytes(file.read_bytes())

    def states() -> dict[str, str]:
        found = d1ops(wrangler, "status", "--env", "remote")["migrations"]
        return {each["label"]: each["state"] for each in found}

    wrangler.run("migrations", "apply", "turns", "--remote", "--env", "remote")
    assert set(states().values()) == {"unverified"}
    server.database(id_).query("INSERT INTO users (id, email, display_name, clerk_id) VALUES ('u', 'a@b.c', 'A', 'k')")
    consent = ("--yes", "--confirm", "remote")
    d1ops(wrangler, "rollback", "0007", "--env", "remote", *consent)
    assert states()["0007"] == "rolled back"
    assert "0007_clerk_integration.sql" in wrangler.run("migrations", "list", "turns", "--remote", "--env", "remote")
    assert server.database(id_).query("SELECT email FROM users").scalar() == "a@b.c"
    d1ops(wrangler, "migrate", "--only", "0007", "--env", "remote", *consent)
    assert states()["0007"] == "applied"
    said = wrangler.run("migrations", "list", "turns", "--remote", "--env", "remote")
    assert "No migrations to apply" in said


def test_the_page_names_every_option_and_every_fault() -> None:
    page = (REPOSITORY / "docs" / "emulator.md").read_text()
    told = subprocess.run(
        [sys.executable, "-m", "d1ops", "emulate", "--help"], capture_output=True, text=True, check=True
    ).stdout
    options = set(re.findall(r"^  (--[a-z-]+)", told, re.MULTILINE)) - {"--format", "--project", "--database"}
    assert {option for option in options if f"`{option}" not in page} == set()
    assert len(options) >= 9
    assert {
        fault for fault in Fault if f"| `{fault}` | {'yes' if fault in IS_CARRIED_OUT else 'no'} |" not in page
    } == set()
