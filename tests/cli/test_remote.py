"""The same commands against the D1 HTTP API: the probe, the requests, and the token that nobody ever sees."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from d1ops.database.sqlite import SqliteDatabase
from tests.cli.conftest import ROWS
from tests.cli.terminal import Terminal
from tests.support.cloudflare import ACCOUNT, EDIT_TOKEN, READ_TOKEN, Drop, FakeCloudflare, Hosted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cli.shell import Shell

YES = ("--env", "far", "--confirm", "far")


@pytest.fixture
def server(project: Shell, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeCloudflare]:
    folder = project.root.parent / "server"
    folder.mkdir()
    with FakeCloudflare(lambda id_: SqliteDatabase(folder / f"{id_}.sqlite")) as server:
        hosted = server.add("umbrella")
        (project.root / "config" / "far.toml").write_text(
            f'[database]\nkind = "cloudflare"\naccount_id = "{ACCOUNT}"\ndatabase_id = "{hosted.id}"\n'
        )
        monkeypatch.setenv("CLOUDFLARE_API_BASE_URL", server.base_url)
        monkeypatch.setenv("CLOUDFLARE_API_TOKEN", EDIT_TOKEN)
        yield server


def only(server: FakeCloudflare) -> Hosted:
    (hosted,) = server.databases.values()
    return hosted


def sent(server: FakeCloudflare, shell: Shell, *argv: str) -> int:
    before = len(server.requests)
    assert shell(*argv).code in (0, 1)
    return len(server.requests) - before


def test_requests_of_each_command(server: FakeCloudflare, project: Shell) -> None:
    project.ok("migrate", "--to", "1", *YES)
    assert sent(server, project, "status", "--env", "far") == 1
    assert sent(server, project, "plan", "--env", "far") == 1
    assert sent(server, project, "history", "--env", "far") == 1
    assert sent(server, project, "query", "SELECT 1", "--env", "far") == 1
    assert sent(server, project, "audit", "--env", "far") <= 2
    assert sent(server, project, "backup", "list", "--env", "far") == 0
    assert sent(server, project, "migrate", *YES) <= 2 + 4
    assert project.ok("status", "--env", "far", "--format", "json").json["requests"] == 1


def test_the_first_change_runs_the_probe_and_says_so(server: FakeCloudflare, project: Shell) -> None:
    ended = project.ok("migrate", *YES)
    assert ended.err.splitlines()[0] == (
        f"target: cloudflare umbrella ({only(server).id}), account {ACCOUNT}, empty, env far, PROTECTED"
    )
    assert "nobody has proved yet" in ended.err
    assert "makes a table d1ops_probe" in ended.err
    assert "leaves nothing behind" in ended.err
    project.migration("0004_more.sql", "CREATE TABLE more (x);\n")
    assert "probe" not in project.ok("migrate", *YES).err
    assert "a batch is all or nothing" in project.ok("doctor", "--env", "far").out


def test_the_probe_is_asked_for(server: FakeCloudflare, project: Shell) -> None:
    writes = len([r for r in server.requests if b"d1ops_probe" in r.body])
    for answer, code in (("n", 5), ("y", 0)):
        with Terminal(project.root, "migrate", "--env", "far") as terminal:
            terminal.until("(far):")
            terminal.type("far")
            terminal.until("Run the probe? [y/N]")
            assert not any(b"d1ops_probe" in r.body for r in server.requests)
            terminal.type(answer)
            assert terminal.end() == code
    assert writes == 0
    assert only(server).database.query("SELECT count(*) FROM d1_migrations").scalar() == 3


def test_doctor_runs_the_probe_when_asked_by_name(server: FakeCloudflare, project: Shell) -> None:
    assert "nobody has proved yet" in project("doctor", "--env", "far").out
    asked = project("doctor", "--probe", "--env", "far")
    assert "env far, PROTECTED" in asked.err
    assert "makes a table d1ops_probe" in asked.err
    assert "a batch is all or nothing" in asked.out
    assert "probe" not in project.ok("migrate", *YES).err
    assert len(server.requests) > 0


def test_a_token_that_may_only_read_suffices_to_look(
    server: FakeCloudflare, project: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    project.ok("migrate", *YES)
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", READ_TOKEN)
    looks = (
        ("status",),
        ("plan",),
        ("history",),
        ("audit", "--fail-on", "never"),
        ("backup", "create"),
        ("rehearse", "2"),
    )
    for argv in looks:
        assert project(*argv, "--env", "far").code == 0, argv
    before = [r for r in server.requests if r.status == 200]
    denied = project("rollback", "0002", *YES, "--format", "json")
    assert denied.code == 3
    assert denied.json["error"]["type"] == "Denied"
    assert denied.json["blast_radius"]
    assert len([r for r in server.requests if r.status == 403 and not r.path.endswith("/graphql")]) == 1
    assert len(before) < len(server.requests)


def test_a_lost_answer_is_looked_up_and_not_sent_again(server: FakeCloudflare, project: Shell) -> None:
    project.ok("migrate", "--to", "2", *YES)
    # Look, query log and bookmark come before the batch.
    server.inject(Drop.AFTER, nth=4)
    ended = project.ok("migrate", *YES)
    assert "the answer was lost; the history shows that it was committed" in ended.err
    assert only(server).database.query("SELECT count(*) FROM d1_migrations").scalar() == 3


def test_a_lost_change_that_is_not_there_is_withdrawn_so_that_it_cannot_come_late(
    server: FakeCloudflare, project: Shell
) -> None:
    project.ok("migrate", "--to", "2", *YES)
    server.inject(Drop.BEFORE, nth=4)
    ended = project("migrate", *YES)
    assert ended.code == 3
    assert "the attempt was withdrawn, so that it cannot come late" in ended.err
    (batch,) = [r.body for r in server.requests if b"artists_user" in r.body]
    known = only(server).database.query("SELECT nonce FROM d1ops_history").rows
    (nonce,) = [str(n) for (n,) in known if str(n) in batch.decode()]
    late = only(server).database.query("SELECT kind FROM d1ops_history WHERE nonce = ?1", (nonce,)).scalar()
    assert late == "withdrawn"
    project.ok("migrate", *YES)
    assert project.ok("status", "--env", "far", "--format", "json").json["conditions"] == []


def test_an_answer_that_nobody_can_find_out_needs_a_person_who_is_told_the_way_back(
    server: FakeCloudflare, project: Shell
) -> None:
    project.ok("migrate", *YES)
    # Look, bookmark, the rows of the backup and the query log come before the batch.
    for nth in range(5, 40):
        server.inject(Drop.BEFORE, nth=nth)
    ended = project("rollback", "0002", *YES, "--format", "json")
    assert ended.code == 6
    document = ended.json
    assert document["error"]["type"] == "OutcomeUnknown"
    backup = document["backup"]["id"]
    assert f"the backup from before the run is {backup}; d1ops restore {backup} --env far rewinds to it" in ended.err
    assert document["applied"] is None


@pytest.mark.parametrize(
    ("token", "code", "fact"),
    [("wrong-token-of-somebody", 3, "Authentication error"), ("two words", 2, "holds characters that no token has")],
)
def test_a_wrong_token(
    server: FakeCloudflare, project: Shell, monkeypatch: pytest.MonkeyPatch, token: str, code: int, fact: str
) -> None:
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", token)
    for form in ("text", "json"):
        ended = project("status", "--env", "far", "--format", form)
        assert ended.code == code
        assert fact in ended.err
        assert token not in ended.out + ended.err
    assert not any(r.status == 200 for r in server.requests)


def test_a_database_that_is_not_there(server: FakeCloudflare, project: Shell) -> None:
    server.databases.clear()
    missing = project("status", "--env", "far", "--format", "json")
    assert missing.code == 3
    assert (missing.json["error"]["type"], missing.json["error"]["status"]) == ("NotFound", 404)


def test_the_token_is_in_no_output_and_no_file(
    server: FakeCloudflare, project: Shell, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("D1OPS_TRACEBACK", "1")
    project("migrate", *YES)
    for sql in ROWS:
        only(server).database.query(sql)
    for argv in (
        ("status",),
        ("plan",),
        ("doctor", "--probe"),
        ("backup", "create"),
        ("rollback", "0002", "--confirm", "far"),
        ("migrate", "--only", "2", "--confirm", "far"),
        ("history",),
        ("query", "SELECT nope"),
        ("query", "DELETE FROM users"),
        ("audit",),
        ("rollback", "0001", "--confirm", "far"),
        ("restore", "20260101T000000Z-000000"),
    ):
        for form in ("text", "json"):
            project(*argv, "--env", "far", "--format", form)
    server.inject(Drop.BEFORE)
    project("status", "--env", "far")
    server.databases.clear()
    project("status", "--env", "far")
    assert len(server.requests) > 30
    assert not any(EDIT_TOKEN in text for text in project.seen)
    files = [path for path in project.root.parent.rglob("*") if path.is_file()]
    assert any(path.name == "manifest.json" for path in files)
    assert not any(EDIT_TOKEN.encode() in path.read_bytes() for path in files)
