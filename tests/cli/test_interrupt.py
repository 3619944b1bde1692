"""An interrupted command says whether something may have been sent, and ends with 130."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest

from d1ops.cli.call import Call, Format
from d1ops.cli.failure import guarded
from d1ops.cli.run import run
from d1ops.cli.watch import WatchedDatabase
from d1ops.core.values import Statement
from d1ops.database.sqlite import SqliteDatabase
from d1ops.errors import ExitCode, StatementRejected
from tests.cli.terminal import PATIENCE_SECONDS, Terminal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.cli.shell import Shell


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_at_the_question_nothing_was_sent(filled: Shell, number: signal.Signals) -> None:
    before = filled.tree()
    with Terminal(filled.root, "rollback", "0003") as terminal:
        terminal.until("[y/N]")
        terminal.process.send_signal(number)
        assert terminal.end() == 130
        assert "interrupted: nothing was sent to change the target" in terminal.text
        assert "Traceback" not in terminal.text
    assert filled.tree() == before


LATE = """
import ctypes, functools, signal, sys
from d1ops.cli import signals
from d1ops.cli.streams import wait_for_line

class Terminal:
    # select() asks for the descriptor as the last thing before it waits. C's raise() returns 0, standard input's, and
    # gives the interpreter no moment to run the handler in.
    fileno = functools.partial(ctypes.CDLL(None)["raise"], signal.SIGTERM)

with signals.handled():
    try:
        wait_for_line(Terminal())
    except KeyboardInterrupt:
        sys.exit(130)
"""


def test_a_signal_right_before_the_wait_for_an_answer_ends_it() -> None:
    with subprocess.Popen([sys.executable, "-c", LATE], stdin=subprocess.PIPE) as process:
        try:
            assert process.wait(PATIENCE_SECONDS) == 130
        finally:
            process.kill()


class Stopped(SqliteDatabase):
    """The embedded database in the hands of somebody who presses Ctrl-C while it answers."""

    def batch(self, *given: Any, **options: Any) -> Any:
        super().batch(*given, **options)
        signal.raise_signal(signal.SIGINT)

    restore = batch
    ingest = batch


def watched(file: Path, kind: type[SqliteDatabase]) -> WatchedDatabase:
    return WatchedDatabase(lambda create: kind(file, create=create))


def test_during_a_change_it_may_be_there(empty: Shell) -> None:
    call = Call(env="dev", format=Format.JSON, watched=watched(empty.file, Stopped))

    def change() -> ExitCode:
        assert call.watched is not None
        call.watched.create()
        call.watched.batch([Statement("CREATE TABLE t (x)")])
        return ExitCode.DONE

    empty.capture.readouterr()
    assert guarded(call, change) == 130
    out, err = empty.capture.readouterr()
    assert "a change was being sent, so the target may or may not have it" in err
    assert "try: d1ops status --env dev" in err
    assert json.loads(out)["error"]["type"] == "Interrupted"
    with closing(SqliteDatabase(empty.file)) as database:
        assert database.query("SELECT count(*) FROM t").scalar() == 0


def test_between_changes_it_says_that_some_are_there(empty: Shell) -> None:
    call = Call(env="dev", database="DB", watched=watched(empty.file, SqliteDatabase))

    def change() -> ExitCode:
        assert call.watched is not None
        call.watched.create()
        call.watched.query("CREATE TABLE t (x)")
        raise KeyboardInterrupt

    empty.capture.readouterr()
    assert guarded(call, change) == 130
    err = empty.capture.readouterr().err
    assert "changes were sent and answered, and the command was not at its end" in err
    assert "try: d1ops status --env dev --database DB" in err


def test_reads_and_rejected_changes_are_no_changes(filled: Shell) -> None:
    database = watched(filled.file, SqliteDatabase)
    with closing(database):
        database.query("SELECT 1")
        database.batch([Statement("SELECT 1")], reads_only=True)
        with pytest.raises(StatementRejected):
            database.query("CREATE TABLE users (x)")
        assert (database.changes, database.is_sending) == (0, False)
        database.ingest("CREATE TABLE fresh (x);")
        database.restore(database.bookmark())
        assert (database.changes, database.is_sending) == (2, False)
        assert database.requests > 0


def test_a_signal_that_the_caller_ignores_stays_ignored(empty: Shell) -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    try:
        assert run(["--version"]) == 0
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
    assert empty.ok("--version").err == ""
    assert signal.getsignal(signal.SIGTERM) is before
