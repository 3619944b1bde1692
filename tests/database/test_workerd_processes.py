"""The processes behind `WorkerdDatabase`: how they start, what they need, and that none of them stays."""

from __future__ import annotations

import http.client
import json
import os
import select
import signal
import subprocess
import sys
import threading
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from d1ops.core.values import Statement
from d1ops.database.workerd import WorkerdDatabase, module_roots
from d1ops.database.workerd.process import find_node
from d1ops.errors import ConfigError, OutcomeUnknown

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

NODE = Path(__file__).parents[1] / "node"
ID = "11111111-1111-1111-1111-111111111111"


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / ".wrangler" / "state"


@pytest.fixture
def database(state: Path) -> Iterator[WorkerdDatabase]:
    with closing(WorkerdDatabase(ID, state, [NODE])) as database:
        yield database


@contextmanager
def watched(*pids: int) -> Iterator[Callable[[], None]]:
    """Hold on to processes by descriptor, so that a reused id misleads nobody. The function waits for their end."""
    descriptors = [os.pidfd_open(pid) for pid in pids]

    def wait_until_gone() -> None:
        for descriptor in descriptors:
            assert select.select([descriptor], [], [], 20)[0], "a process is still there after 20 s"

    try:
        yield wait_until_gone
    finally:
        for descriptor in descriptors:
            os.close(descriptor)


# -- processes -------------------------------------------------------------------------------------------------------


def test_starts_with_the_first_request_and_close_leaves_no_process(database: WorkerdDatabase) -> None:
    assert not database.pids
    assert database.query("SELECT 1").scalar() == 1
    pids = database.pids
    assert len(pids) == 2
    with watched(*pids) as wait_until_gone:
        database.close()
        wait_until_gone()
    assert not database.pids
    database.close()
    assert database.query("SELECT 2").scalar() == 2


_PARENT = """
import sys
import threading
from pathlib import Path
from d1ops.database.workerd import WorkerdDatabase
database = WorkerdDatabase(sys.argv[1], Path(sys.argv[2]), [Path(sys.argv[3])])
database.query("CREATE TABLE kept(a)")
print(*database.pids, flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("end", ["exit", signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_ends_with_the_program_however_that_ends(end: signal.Signals | str, state: Path) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", _PARENT, ID, str(state), str(NODE)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert parent.stdin is not None
    assert parent.stdout is not None
    with parent, watched(*map(int, parent.stdout.readline().split())) as wait_until_gone:
        if isinstance(end, signal.Signals):
            parent.send_signal(end)
        else:
            parent.stdin.close()
        wait_until_gone()
    with closing(WorkerdDatabase(ID, state, [NODE])) as database:
        assert database.query("SELECT count(*) FROM kept").scalar() == 0


@pytest.mark.parametrize("victim", [0, 1], ids=["node", "workerd"])
def test_starts_again_when_a_process_was_killed_between_requests(victim: int, database: WorkerdDatabase) -> None:
    database.query("CREATE TABLE t(a)")
    pids = database.pids
    with watched(*pids) as wait_until_gone:
        with watched(pids[victim]) as wait_for_victim:
            os.kill(pids[victim], signal.SIGKILL)
            wait_for_victim()
        assert database.query("SELECT count(*) FROM t").scalar() == 0
        wait_until_gone()
    assert set(database.pids).isdisjoint(pids)


def test_a_write_without_an_answer_has_an_unknown_outcome_and_is_stopped(state: Path) -> None:
    with closing(WorkerdDatabase(ID, state, [NODE], timeout_seconds=1)) as database:
        database.query("CREATE TABLE t(a)")
        pids = database.pids
        with watched(*pids) as wait_until_gone:
            os.kill(pids[1], signal.SIGSTOP)
            with pytest.raises(OutcomeUnknown, match=r"no answer within 1 s"):
                database.query("INSERT INTO t VALUES(1)")
            wait_until_gone()
        assert database.query("SELECT count(*) FROM t").scalar() == 0


def test_a_read_without_an_answer_is_asked_again(state: Path) -> None:
    with closing(WorkerdDatabase(ID, state, [NODE], timeout_seconds=1)) as database:
        database.query("SELECT 1")
        sent = database.requests
        os.kill(database.pids[1], signal.SIGSTOP)
        (result,) = database.batch([Statement("SELECT 2")], reads_only=True)
        assert result.scalar() == 2
        assert database.requests == sent + 2


def test_an_interrupted_write_does_not_take_effect_later(database: WorkerdDatabase) -> None:
    database.query("CREATE TABLE t(a)")
    previous = signal.signal(signal.SIGUSR1, signal.default_int_handler)
    pids = database.pids
    timer = threading.Timer(0.3, os.kill, (os.getpid(), signal.SIGUSR1))
    try:
        with watched(*pids) as wait_until_gone:
            os.kill(pids[1], signal.SIGSTOP)
            timer.start()
            with pytest.raises(KeyboardInterrupt):
                database.query("INSERT INTO t VALUES(1)")
            wait_until_gone()
    finally:
        timer.join()
        signal.signal(signal.SIGUSR1, previous)
    assert database.query("SELECT count(*) FROM t").scalar() == 0


def test_nobody_without_the_secret_gets_an_answer(database: WorkerdDatabase) -> None:
    database.query("CREATE TABLE t(a)")
    port = next(
        int(line.split()[1].rpartition(":")[2], 16)
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]
        if _holds_socket(database.pids[1], line.split()[9])
    )
    body = json.dumps({"statements": [{"sql": "DROP TABLE t"}]})
    for headers in ({}, {"x-d1ops-secret": ""}, {"x-d1ops-secret": "guess"}, {"content-type": "text/plain"}):
        with closing(http.client.HTTPConnection("127.0.0.1", port)) as connection:
            connection.request("POST", "/batch", body, headers)
            assert connection.getresponse().status == 403
    assert database.query("SELECT count(*) FROM t").scalar() == 0


def _holds_socket(pid: int, inode: str) -> bool:
    found = set()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # It was closed since it was listed.
            found.add(str(link.readlink()))
    return f"socket:[{inode}]" in found


def test_neither_arguments_nor_environment_of_the_processes_hold_a_token(
    database: WorkerdDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", "not-for-children")
    database.query("SELECT 1")
    for pid in database.pids:
        seen = Path(f"/proc/{pid}/cmdline").read_bytes() + Path(f"/proc/{pid}/environ").read_bytes()
        assert b"not-for-children" not in seen
        assert b"secret" not in Path(f"/proc/{pid}/cmdline").read_bytes().lower()


# -- installation ----------------------------------------------------------------------------------------------------


def test_says_what_to_install_when_workerd_is_missing(state: Path, tmp_path: Path) -> None:
    with closing(WorkerdDatabase(ID, state, [tmp_path])) as database:
        with pytest.raises(ConfigError, match="workerd was not found") as caught:
            database.query("SELECT 1")
        assert caught.value.hint is not None
        assert "npm install wrangler" in caught.value.hint
        assert "D1OPS_NODE_MODULES" in caught.value.hint
        assert not database.pids


def _without_wheel(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(path))


def test_says_what_to_install_when_node_is_missing(
    database: WorkerdDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _without_wheel(monkeypatch, tmp_path)
    with pytest.raises(ConfigError, match=r"Node\.js, which was not found") as caught:
        database.query("SELECT 1")
    assert caught.value.hint is not None
    assert "d1ops[workerd]" in caught.value.hint
    assert "npm install wrangler" in caught.value.hint


@pytest.mark.parametrize(
    ("says", "message"),
    [
        ("""echo '{"error":"node-too-old","detail":"18.20.0"}'""", "Node.js 18.20.0 is too old"),
        ("echo 'SyntaxError: wat' >&2; exit 1", "workerd did not start: SyntaxError: wat"),
        ("exit 0", "workerd did not start: it said nothing"),
    ],
)
def test_takes_node_from_path_and_says_when_it_cannot_be_used(
    says: str, message: str, database: WorkerdDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    node = tmp_path / "node"
    node.write_text(f"#!/bin/sh\n{says}\n")
    node.chmod(0o755)
    _without_wheel(monkeypatch, tmp_path)
    assert find_node() == str(node)
    with pytest.raises(ConfigError) as caught:
        database.query("SELECT 1")
    assert caught.value.message.startswith(message)


def test_looks_for_modules_where_it_is_told_first_then_in_the_project(tmp_path: Path) -> None:
    assert module_roots(tmp_path, None, {}) == (tmp_path,)
    assert module_roots(tmp_path, Path("/a"), {"D1OPS_NODE_MODULES": "/b"}) == (Path("/a"), Path("/b"), tmp_path)


def test_names_the_versions_that_run(database: WorkerdDatabase) -> None:
    pinned = json.loads((NODE / "package-lock.json").read_text())["packages"]["node_modules/workerd"]["version"]
    assert database.versions.workerd == pinned
    assert int(database.versions.node.partition(".")[0]) >= 22
