"""The program itself: version, help, usage errors, streams, and the last resort."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

import d1ops
from d1ops.cli.call import Call, Format
from d1ops.cli.failure import guarded
from tests.cli.conftest import TOKEN
from tests.cli.shell import REPOSITORY

if TYPE_CHECKING:
    from d1ops.errors import ExitCode
    from tests.cli.shell import Shell

HEAVY = ("typer", "click", "rich", "pydantic", "httpx", "apsw", "tenacity", "json5", "jinja2")


def test_version_is_answered_without_importing_anything_heavy(empty: Shell) -> None:
    probe = (
        "import sys; sys.argv = ['d1ops', '--version']\n"
        "from d1ops.__main__ import main\n"
        "try: main()\n"
        "except SystemExit as end: code = end.code\n"
        f"print(code, sorted(set(sys.modules) & set({HEAVY!r})))"
    )
    done = subprocess.run([sys.executable, "-c", probe], cwd=REPOSITORY, capture_output=True, text=True, check=True)
    assert done.stdout == f"d1ops {d1ops.__version__}\n0 []\n"
    assert empty.ok("--version").out == f"d1ops {d1ops.__version__}\n"


def test_help_goes_to_standard_output_and_nothing_at_all_is_a_usage_error(empty: Shell) -> None:
    for words in (["-h"], ["--help"]):
        ended = empty.ok(*words)
        assert "rollback" in ended.out
        assert "Examples:" in ended.out
        assert ended.err == ""
    nothing = empty()
    assert nothing.code == 2
    assert nothing.out == empty.ok("-h").out


@pytest.mark.parametrize(
    ("argv", "fact", "hint"),
    [
        (["stauts"], "'status'", "d1ops --help"),
        (["status", "--nope"], "--nope", "d1ops status --help"),
        (["--env", "dev", "status"], "--env", "put the options behind the command: d1ops status --env NAME"),
        (["status", "extra"], "extra", "d1ops status --help"),
        (["rollback"], "NUMBER", "d1ops rollback --help"),
        (["status", "--env"], "--env", "d1ops --help"),
        (["status", "--format", "yaml"], "--format", "d1ops status --help"),
        (["status", "--project", "/does/not/exist"], "--project", "d1ops status --help"),
        (["backup"], "command", "d1ops backup --help"),
        (["backup", "prune"], "nothing says what stays", "d1ops backup prune --keep-last 10 --dry-run"),
        (["backup", "prune", "--leftovers", "--keep-last", "1"], "--leftovers removes no backup", "give one of both"),
        (["history", "--limit", "0"], "--limit", "d1ops history --help"),
        (["plan", "--to", "1", "--only", "2"], "--to and --only", "leave one of them out"),
    ],
)
def test_a_usage_error_is_two_lines_and_exit_code_2(project: Shell, argv: list[str], fact: str, hint: str) -> None:
    ended = project(*argv)
    assert ended.code == 2
    assert ended.out == ""
    first, second = ended.err.rstrip("\n").rsplit("\ntry: ", 1)
    assert first.startswith("error: ")
    assert fact in first
    assert second == hint
    for form in (["--format", "json"], ["--format=json"]):
        if argv[-1] not in ("--env", "yaml"):
            answer = project(*argv, *form)
            assert answer.code == 2
            assert answer.json["error"]["type"] == "UsageError"
            assert answer.json["error"]["exit_code"] == 2


def test_a_reader_that_goes_away_ends_the_output_and_not_the_command(project: Shell) -> None:
    read, write = os.pipe()
    os.close(read)
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    for stderr in (subprocess.PIPE, subprocess.STDOUT):
        process = subprocess.Popen(
            [sys.executable, "-m", "d1ops", "migrate", "--yes"],
            cwd=project.root,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=write,
            stderr=stderr,
            text=True,
        )
        _, err = process.communicate()
        assert process.returncode == 0
        assert "Traceback" not in (err or "")
        assert "Exception" not in (err or "")
    os.close(write)
    assert {row["state"] for row in project.ok("status", "--format", "json").json["migrations"]} == {"applied"}


@pytest.mark.parametrize(
    ("argv", "code"),
    [
        (["--version"], 2),
        (["status", "--format", "json"], 2),
        (["migrate", "--yes"], 6),
        (["status", "--env", "no", "--format", "json"], 2),
    ],
)
def test_an_answer_that_cannot_be_written_is_no_success(project: Shell, argv: list[str], code: int) -> None:
    ended = project.shell('exec python -m d1ops "$@" >/dev/full', *argv)
    itself = 2 if "no" in argv else 0
    assert ended.code == code
    assert f"could not be written: No space left on device; the command itself ended with {itself}\n" in ended.err
    states = {row["state"] for row in project.ok("status", "--format", "json").json["migrations"]}
    assert states == {"applied" if argv[0] == "migrate" else "pending"}


@pytest.mark.parametrize("closed", [">&-", "2>&-", "<&-", "<&- >&- 2>&-"])
def test_a_stream_that_the_caller_closed_is_no_obstacle(project: Shell, closed: str) -> None:
    for argv in (["--version"], ["migrate", "--yes"], ["rollback", "3", "--yes"]):
        ended = project.shell(f'exec python -m d1ops "$@" {closed}', *argv)
        assert ended.code == 0, ended
        assert "unexpected" not in ended.err
    assert project.read("SELECT count(*) FROM d1_migrations") == ((2,),)


def test_any_text_can_be_written_whatever_the_encoding(filled: Shell) -> None:
    filled.write("INSERT INTO users (id, email) VALUES ('ü€', 'naïve')")
    ended = filled.process(
        "query", "SELECT id FROM users WHERE email = ?1", "naïve", environment={"PYTHONIOENCODING": "ascii"}
    )
    assert ended.code == 0
    assert r"\xfc\u20ac" in ended.out


def test_control_characters_of_the_database_do_not_reach_the_terminal(filled: Shell) -> None:
    filled.write("INSERT INTO users (id, email) VALUES ('evil', char(27) || '[31m' || char(10) || 'x')")
    text = filled.ok("query", "SELECT email FROM users WHERE id = 'evil'").out
    assert text == "email\n\\x1b[31m\\nx\n"
    rows = filled.ok("query", "SELECT email FROM users WHERE id = 'evil'", "--format", "json").json["rows"]
    assert rows == [["\x1b[31m\nx"]]
    filled.write('CREATE TABLE "bad\x1b[2J" (x)')
    answer = filled("audit")
    assert "\x1b" not in answer.out + answer.err
    refused = filled("query", 'SELECT * FROM "no\x1b[2J"')
    assert refused.code == 4
    assert "\x1b" not in refused.err


@pytest.mark.parametrize("form", list(Format))
def test_an_unexpected_error_is_reported_as_a_bug_without_the_token(empty: Shell, form: Format) -> None:
    def broken() -> ExitCode:
        raise RuntimeError(f"Authorization: Bearer {TOKEN}")

    empty.capture.readouterr()
    assert guarded(Call(format=form), broken) == 6
    out, err = empty.capture.readouterr()
    assert "this is a bug of d1ops" in err
    assert "RuntimeError" in err
    assert "cli/failure.py:" in err
    assert "D1OPS_TRACEBACK=1" in err
    assert "Traceback" not in out + err
    assert TOKEN not in out + err
    if form is Format.JSON:
        assert json.loads(out)["error"]["type"] == "RuntimeError"
    else:
        assert out == ""


def test_what_the_system_refuses_is_no_bug_of_ours(filled: Shell) -> None:
    import shutil

    shutil.rmtree(filled.root / ".d1ops", ignore_errors=True)
    (filled.root / ".d1ops").write_text("a file in the way")
    for argv in (("backup", "create"), ("rollback", "2", "--yes")):
        ended = filled(*argv)
        assert ended.code == 2
        assert ".d1ops" in ended.err
        assert "nothing was sent to change the target" in ended.err
        assert "bug" not in ended.err
    # Before a change is sent its intent goes into the journal.
    filled.migration("0004_more.sql", "CREATE TABLE more (x);\n")
    late = filled("migrate", "--yes", "--format", "json")
    assert late.code == 2
    assert "nothing was sent to change the target" in late.json["error"]["message"]
    assert filled.read("SELECT count(*) FROM sqlite_master WHERE name = 'more'") == ((0,),)


def test_the_whole_traceback_is_there_for_whoever_asks(empty: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("D1OPS_TRACEBACK", "1")
    ended = empty("status")
    assert ended.code == 2
    assert "Traceback (most recent call last)" in ended.err
    assert "config/load.py" in ended.err


def test_options_are_the_same_for_every_command(empty: Shell) -> None:
    import typer

    from d1ops.cli.app import build

    def commands(group: object, path: list[str]) -> list[list[str]]:
        found: list[list[str]] = []
        for name, inner in getattr(group, "commands").items():  # noqa: B009 - typer's own class is not public
            found += commands(inner, [*path, name]) if hasattr(inner, "commands") else [[*path, name]]
        return found

    listed = commands(typer.main.get_command(build()), [])
    assert ["backup", "prune"] in listed
    for words in listed:
        text = empty.ok(*words, "-h").out
        for option in ("--env", "--format", "--project", "--database", "--help"):
            assert option in text, words
        assert f"Examples:\n    d1ops {' '.join(words)}" in text, words
