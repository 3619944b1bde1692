"""Nothing changes before somebody agreed; silence is a no, also on a terminal."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from d1ops.cli.consent import names
from d1ops.core.measure import loss_name
from tests.cli.conftest import DANGEROUS
from tests.cli.terminal import Terminal

if TYPE_CHECKING:
    from tests.cli.shell import Shell


@pytest.mark.parametrize(
    ("env", "flags", "code", "hint"),
    [
        ("dev", (), 5, "--yes"),
        ("dev", ("--yes",), 0, ""),
        ("dev", ("--confirm", "dev"), 0, ""),
        ("dev", ("--confirm", "live"), 5, "--confirm dev, if that is the one"),
        ("dev", ("--yes", "--confirm", "live"), 5, "--confirm dev, if that is the one"),
        ("live", (), 5, "--confirm live"),
        ("live", ("--yes",), 5, "--confirm live"),
        ("live", ("--confirm", "live"), 0, ""),
        ("live", ("--yes", "--confirm", "live"), 0, ""),
        ("live", ("--confirm", "dev"), 5, "--confirm live, if that is the one"),
        ("live", ("--confirm", "LIVE"), 5, "--confirm live, if that is the one"),
    ],
)
def test_where_nobody_can_answer(project: Shell, env: str, flags: tuple[str, ...], code: int, hint: str) -> None:
    for form in ("json", "text"):
        ended = project("migrate", "--env", env, *flags, "--format", form)
        assert ended.code == code
        if code:
            assert "nothing was changed" in ended.err
            assert ended.err.endswith(f"try: {hint}\n")
            assert not (project.root / "data").exists()
        if code and form == "json":
            assert ended.json["refused"]["type"] == "ConsentMissing"
            assert ended.json["applied"] is None


@pytest.mark.parametrize("verb", ["rollback", "restore", "prune"])
@pytest.mark.parametrize("flags", [(), ("--yes",), ("--confirm", "dev")])
def test_every_change_asks(filled: Shell, verb: str, flags: tuple[str, ...]) -> None:
    backup = filled.ok("backup", "create", "--format", "json").json["backup"]["id"]
    argv = {
        "rollback": ("rollback", "0003"),
        "restore": ("restore", backup),
        "prune": ("backup", "prune", "--keep-last", "0"),
    }[verb]
    before = filled.tree()
    ended = filled(*argv, *flags)
    if flags:
        assert ended.code == 0
    else:
        assert ended.code == 5
        assert "nobody is here to agree" in ended.err
        assert filled.tree() == before
        assert (filled.root / ".d1ops" / "backups" / "dev" / backup).is_dir()


@pytest.mark.parametrize(
    ("env", "flags", "question", "answer", "code"),
    [
        ("dev", (), "Run 3 migrations on data/dev.sqlite? [y/N]", "y", 0),
        ("dev", (), "[y/N]", "yes", 0),
        ("dev", (), "[y/N]", "n", 5),
        ("dev", (), "[y/N]", "", 5),
        ("dev", (), "[y/N]", "dev", 5),
        ("live", (), "Type the env's name to agree (live):", "live", 0),
        ("live", (), "(live):", "y", 5),
        ("live", ("--yes",), "(live):", "live", 0),
        ("live", ("--yes",), "(live):", "dev", 5),
    ],
)
def test_a_person_is_asked(
    project: Shell, env: str, flags: tuple[str, ...], question: str, answer: str, code: int
) -> None:
    with Terminal(project.root, "migrate", "--env", env, *flags) as terminal:
        shown = terminal.until(question)
        assert f"env {env}, " in shown
        assert "db/migrations/0001_base.sql" in shown
        assert not (project.root / "data").exists()
        terminal.type(answer)
        assert terminal.end() == code
    assert (project.root / "data").exists() is (code == 0)


def test_the_end_of_the_input_is_a_no(project: Shell) -> None:
    with Terminal(project.root, "migrate") as terminal:
        terminal.until("[y/N]")
        terminal.press("\x04")
        assert terminal.end() == 5


def test_with_json_a_person_still_sees_what_they_agree_to(filled: Shell) -> None:
    with Terminal(filled.root, "rollback", "0002", "--format", "json", separate=True) as terminal:
        shown = terminal.until("[y/N]")
        assert "clerk_id dropped, 1 value lost" in shown
        assert "db/rollbacks/0002_rollback.sql" in shown
        terminal.type("y")
        assert terminal.end() == 0
    assert terminal.document()["applied"]["events"][0]["kind"] == "rollback"


def test_collateral_losses_can_be_typed_on_a_terminal_and_only_by_name(filled: Shell) -> None:
    filled.rollback("0002_rollback.sql", DANGEROUS)
    before = filled.tree()
    for typed in ("", "yes", "artists"):
        with Terminal(filled.root, "rollback", "0002", "--yes") as terminal:
            shown = terminal.until("nothing stops here):")
            assert "this loses what nobody asked to lose: artists, reviews.user_id" in shown
            terminal.type(typed)
            assert terminal.end() == 5
        assert filled.tree() == before
    with Terminal(filled.root, "rollback", "0002") as terminal:
        terminal.until("nothing stops here):")
        terminal.type("artists, reviews.user_id")
        terminal.until("Roll back 0002 on data/dev.sqlite? [y/N]")
        terminal.type("y")
        assert terminal.end() == 0
    assert filled.read("SELECT count(*) FROM artists") == ((0,),)


def test_colour_is_for_terminals_that_want_it(empty: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b" not in empty("status").err
    for name, value, coloured in (("TERM", "xterm", True), ("NO_COLOR", "1", False), ("TERM", "dumb", False)):
        with monkeypatch.context() as changed:
            changed.setenv("TERM", "xterm")
            changed.setenv(name, value)
            with Terminal(empty.root, "status") as terminal:
                assert terminal.end() == 2
            assert ("\x1b[31merror:\x1b[0m " in terminal.text) is coloured
            assert ("\x1b" in terminal.text) is coloured


@given(st.lists(st.tuples(st.text("a,.\"' ", min_size=1), st.none() | st.text("b,.\"' ", min_size=1)), min_size=1))
def test_every_loss_can_be_accepted_by_its_name(losses: list[tuple[str, str | None]]) -> None:
    written = [loss_name(table, column) for table, column in losses]
    assume(all(name == name.strip() for name in written))
    assert names(", ".join(written)) == set(written)
