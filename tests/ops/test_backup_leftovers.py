"""Backups that are not done: other programs that look at them and remove them at every moment, and what clears them."""

from __future__ import annotations

import os
import subprocess
import sys
from threading import Event
from typing import TYPE_CHECKING

import apsw
import pytest

from d1ops.core.schema import Schema
from d1ops.ops import backup as backups
from d1ops.ops.backup import partial
from d1ops.ops.backup.background import Background
from d1ops.ops.backup.lock import Busy, Lock, is_held
from tests.lossless.sweep import contents_of
from tests.support.project import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.project import Project

CREATE = """
import subprocess, sys, threading
from pathlib import Path
from d1ops.database.sqlite import SqliteDatabase
from d1ops.ops import backup as backups
from tests.ops.test_backup_ranges import RANGES
from tests.support.project import Project

root, limits = Path(sys.argv[1]), RANGES if sys.argv[2] == "ranges" else None
project = Project(root, SqliteDatabase(root / "state" / "dev.sqlite"))
project.workspace.state_folder("backups", "dev")
other = subprocess.Popen(
    [sys.executable, "-c", sys.argv[3], str(root)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
)
other.stdout.readline()

def let_the_other_in(event, arguments):
    if event in EVENTS and ".d1ops" in str(arguments[0]):
        with turn:
            other.stdin.write("go\\n")
            other.stdin.flush()
            print(event, other.stdout.readline().strip())

turn = threading.Lock()
EVENTS = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "open", "shutil.rmtree", "apsw.Connection"}
sys.addaudithook(let_the_other_in)
backups.create(project.workspace, limits=limits)
"""
"""Before each of its steps in the folder of backups, another program does what it does."""

PRUNE = """
import sys
from pathlib import Path
from d1ops.database.sqlite import SqliteDatabase
from d1ops.ops import backup as backups
from tests.support.project import Project

root = Path(sys.argv[1])
workspace = Project(root, SqliteDatabase(root / "state" / "dev.sqlite")).workspace
print("ready", flush=True)
for line in sys.stdin:
    busy = [backups.is_in_use(path) for path in backups.leftovers(workspace)]
    print(busy, *backups.prune(workspace, keep_last=99, include_referenced=True).leftovers, flush=True)
"""


KILL = """
import os, signal, sys
from pathlib import Path
from d1ops.database.sqlite import SqliteDatabase
from d1ops.ops import backup as backups
from tests.ops.test_backup_ranges import RANGES
from tests.support.project import Project

root, limits = Path(sys.argv[1]), RANGES if sys.argv[2] == "ranges" else None
EVENTS = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "open", "shutil.rmtree"}

def create(nonce, steps=None):
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    left = iter(range(steps or 0))
    def die(event, arguments):
        if event in EVENTS and "backups" in str(arguments[0]) and next(left, None) is None:
            # Two threads may get here; each writes its words at once.
            os.write(1, f"{event} {str(arguments[0]).rpartition('/')[2]}: ".encode())
            os.kill(os.getpid(), signal.SIGKILL)
    if steps is not None:
        sys.addaudithook(die)
    project = Project(root, SqliteDatabase(root / "state" / "dev.sqlite"), first_nonce=nonce)
    backups.create(project.workspace, limits=limits)
    if steps is None:
        kept = [path.name for path in backups.leftovers(project.workspace) if not backups.is_in_use(path)]
        print(any("going on" in line for line in project.told), *kept, flush=True)
    os._exit(0)

step = 0
while create(2 * step + 1, step) == -signal.SIGKILL:
    assert create(2 * step + 2) == 0
    step += 1
"""
"""Kill a backup before each of its steps in the folder of backups, and make another one every time."""


def python(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code, *arguments],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
        timeout=100,
    )


@pytest.mark.parametrize("way", ["batch", "ranges"])
def test_another_program_prunes_before_every_step_of_a_backup(filled: Project, way: str) -> None:
    done = python(CREATE, str(filled.root), way, PRUNE)
    assert done.returncode == 0, done.stderr
    looks = done.stdout.splitlines()
    assert any("[True" in look for look in looks), "the other one came while the backup was under way"
    assert "partial" not in done.stdout
    (manifest,) = backups.listed(filled.workspace)
    backup = backups.verify(filled.workspace, manifest.id)
    assert {path.name for path in backup.folder.iterdir()} == {"data.sqlite.zst", "manifest.json"}
    with backup.unpacked() as path:
        assert contents_of(path) == contents_of(filled.root / "state" / "dev.sqlite")
    backup.forget()
    assert backups.leftovers(filled.workspace) == []


@pytest.mark.parametrize("way", ["batch", "ranges"])
def test_a_backup_is_killed_before_every_step_and_the_next_one_leaves_nothing(filled: Project, way: str) -> None:
    done = python(KILL, str(filled.root), way)
    assert done.returncode == 0, done.stderr
    steps = [line.rpartition(": ")[0] for line in done.stdout.splitlines()]
    ends = [line.rpartition(": ")[2] for line in done.stdout.splitlines()]
    assert "os.mkdir" in steps[0]
    assert set(ends) <= {"False", "True"}, "what is left"
    if way == "ranges":
        gone_on_with = steps[ends.index("True") : len(ends) - ends[::-1].index("True")]
        assert ends.count("True") == len(gone_on_with)
        assert gone_on_with[-1] == "os.rename data.sqlite", "the last step before the folder is renamed"


def test_a_look_makes_nothing_and_keeps_nobody_from_the_lock(tmp_path: Path) -> None:
    folder = tmp_path / ".x.partial"
    assert not partial.is_busy(folder)
    assert not folder.exists()
    folder.mkdir()
    assert not partial.is_busy(folder)
    assert list(folder.iterdir()) == []
    lock = Lock(folder)
    assert is_held(folder)
    lock.close()
    assert not is_held(folder)


def test_a_lock_of_a_folder_that_was_renamed_meanwhile_opens_nothing(tmp_path: Path) -> None:
    folder = tmp_path / ".x.partial"
    folder.mkdir()
    lock = Lock(folder)
    with pytest.raises(Busy):
        Lock(folder)
    assert not partial.remove(folder)
    folder.rename(tmp_path / "x")
    lock.close()
    assert partial.remove(folder)
    assert (tmp_path / "x" / "lock").exists()
    assert not folder.exists()


def test_what_a_removal_left_that_was_cut_off_is_removed_by_the_next(filled: Project) -> None:
    folder = backups.backups_folder(filled.workspace)
    left = folder / ".20261122T120000Z-aaaaaa.removed"
    left.mkdir(parents=True)
    (left / "data.sqlite").touch()
    assert backups.leftovers(filled.workspace) == [left]
    assert backups.prune(filled.workspace, keep_last=9).leftovers == (left.name,)
    assert backups.leftovers(filled.workspace) == []


def test_a_copy_that_a_thread_is_still_at_work_on_goes_with_the_process(tmp_path: Path) -> None:
    aside = partial.begin(tmp_path, "x", Schema.from_rows([]), [])
    started, stop = Event(), Event()

    def look() -> bool:
        started.set()
        return stop.is_set()

    aside.copy.engine.connection.set_progress_handler(look, 1000)
    endless = "WITH n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT max(x) FROM n"
    aside.at_work = work = Background("test", lambda: aside.copy.engine.ask(endless))
    assert started.wait(60)
    aside.close()
    assert partial.is_busy(aside.folder)
    stop.set()
    with pytest.raises(apsw.InterruptError):
        work.result()
    aside.close()
    assert not partial.is_busy(aside.folder)
