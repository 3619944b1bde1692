"""What the shell offers while a command is typed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.cli import complete

if TYPE_CHECKING:
    from tests.cli.shell import Shell


def offered(shell: Shell, line: str) -> list[str]:
    """What bash would offer at the end of a line."""
    words = line.split(" ")
    environment = {
        "_D1OPS_COMPLETE": "complete_bash",
        "COMP_WORDS": line,
        "COMP_CWORD": str(len(words) - 1),
    }
    ended = shell.process(environment=environment)
    assert ended.code == 0, ended
    assert ended.err == ""
    return ended.out.split()


def test_commands_envs_and_numbers_are_offered(project: Shell) -> None:
    before = project.tree()
    assert {"rollback", "rehearse", "restore"} <= set(offered(project, "d1ops r"))
    assert offered(project, "d1ops status --env ") == ["dev", "live"]
    assert offered(project, "d1ops status --env l") == ["live"]
    assert offered(project, "d1ops rollback ") == ["0001", "0002", "0003"]
    assert offered(project, "d1ops migrate --to 0002") == ["0002"]
    assert project.tree() == before
    assert complete.migrations()[1] == ("0002", "clerk")


def test_nothing_is_offered_where_nothing_is_known(empty: Shell) -> None:
    assert offered(empty, "d1ops status --env ") == []
    assert offered(empty, "d1ops rollback ") == []
    (empty.root / "config").mkdir()
    (empty.root / "config" / "dev.toml").write_text("[database]\nkind = ")
    assert complete.envs() == ["dev"]
    assert complete.migrations() == []
