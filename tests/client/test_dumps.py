"""Export and import: their polling protocols, their files, and every way in which they can stop."""

from __future__ import annotations

import hashlib
import io
from typing import TYPE_CHECKING, Any

import pytest

from d1ops.client import DumpOptions, Exported, Ingested, protocols
from d1ops.client.call import Pace
from d1ops.client.models import Progress
from d1ops.core.values import Bookmark, Meta
from d1ops.errors import (
    DatabaseError,
    Denied,
    OutcomeUnknown,
    StatementRejected,
    UnexpectedResponse,
    Unreachable,
    UsageError,
)
from tests.client.scripted import DATABASE, UUID, Caller, Drop, Reply, Script, envelope, failure

if TYPE_CHECKING:
    from pathlib import Path

    from d1ops.client import Steps

SCRIPT = "CREATE TABLE t (a);\nINSERT INTO t VALUES ('é');\n"
MD5 = hashlib.md5(SCRIPT.encode()).hexdigest()
DUMP = SCRIPT.encode() * 5_000


def task(kind: str, status: str = "active", http: int = 200, **more: Any) -> Reply:
    state = {"success": True, "type": kind, "at_bookmark": "BK", "status": status, "messages": [], **more}
    return envelope(state, http)


def exported(caller: Caller, **more: Any) -> Reply:
    result = {"filename": "app.sql", "signed_url": f"{caller.server.url}/dump?X-Amz-Signature=sig"}
    return task("export", "complete", result=result, **more)


def download(caller: Caller, sink: Any = None, **more: Any) -> Any:
    into = io.BytesIO() if sink is None else sink
    done = caller(lambda client: client.export(UUID, into, **more))
    return done, into


# -- export ----------------------------------------------------------------------------------------------


def test_export_polls_and_fetches_without_the_token(caller: Caller) -> None:
    active = task("export", http=202, messages=["Uploaded part 1"])
    caller.server.answers(active, active, exported(caller), Reply(200, DUMP))
    done, sink = download(caller)
    assert done == Exported(len(DUMP), "app.sql")
    assert sink.getvalue() == DUMP
    start, first, second, fetch = caller.server.seen
    options = {"no_schema": False, "no_data": False, "tables": []}
    assert (start.method, start.path) == ("POST", f"{DATABASE}/export")
    assert start.json == {"output_format": "polling", "dump_options": options}
    assert first.json == second.json == {**start.json, "current_bookmark": "BK"}
    assert (fetch.method, fetch.path, fetch.query) == ("GET", "/dump", (("X-Amz-Signature", "sig"),))
    assert "authorization" not in fetch.headers
    assert caller.time.sleeps == [1.0, 1.0]


def test_a_server_that_holds_its_answer_is_not_waited_for_twice(caller: Caller) -> None:
    def slow(seen: Any) -> Reply:
        caller.time.now += 0.75
        return task("export")

    caller.server.answers(slow, slow, exported(caller), Reply(200, DUMP))
    download(caller)
    assert caller.time.sleeps == [0.25, 0.25]


def test_export_options(caller: Caller) -> None:
    caller.server.answers(exported(caller), Reply(200, b""))
    options = DumpOptions(no_data=True, tables=("a", "b"), compatibility="sqlite3_cli_only")
    done, _ = download(caller, options=options)
    assert done.bytes_written == 0
    assert caller.server.seen[0].json["dump_options"] == {
        "no_schema": False,
        "no_data": True,
        "tables": ["a", "b"],
        "compatibility": "sqlite3_cli_only",
    }


def test_the_url_may_be_nested_or_not(caller: Caller) -> None:
    flat = envelope({"success": True, "signed_url": f"{caller.server.url}/dump", "filename": "flat.sql"})
    caller.server.answers(flat, Reply(200, DUMP))
    assert download(caller)[0] == Exported(len(DUMP), "flat.sql")


NOT_EXPORTING = {"success": False, "error": "Not currently exporting anything."}


def test_a_dump_that_was_gone_before_the_first_poll_is_started_once_more(caller: Caller) -> None:
    caller.server.answers(task("export"), envelope(NOT_EXPORTING), exported(caller), Reply(200, DUMP))
    assert download(caller)[1].getvalue() == DUMP
    assert "current_bookmark" not in caller.server.seen[2].json


def test_a_dump_that_is_gone_twice_is_given_up(caller: Caller) -> None:
    caller.server.answers(*[task("export"), envelope(NOT_EXPORTING)] * 2)
    with pytest.raises(Unreachable, match="Not currently exporting"):
        download(caller)


@pytest.mark.parametrize(
    ("state", "kind", "text"),
    [
        ({"success": False, "error": "cannot export databases with Virtual Tables (fts5)"}, DatabaseError, "fts5"),
        ({"success": True, "status": "error", "errors": ["a", {"message": "b"}]}, DatabaseError, "a; b"),
        ({"success": False}, DatabaseError, "without saying why"),
        ({"success": False, "error": "Currently processing a long-running import."}, Unreachable, "import"),
        ({"success": True, "status": "active"}, UnexpectedResponse, "bookmark"),
        ({"success": True, "status": "complete"}, UnexpectedResponse, "not told"),
        ({"success": True, "signed_url": "http://example.com/dump"}, UnexpectedResponse, "https"),
        ({"success": True, "signed_url": "http://[::1/dump"}, UnexpectedResponse, "https"),
    ],
)
def test_an_export_that_fails_inside_a_successful_envelope(
    caller: Caller, state: dict[str, Any], kind: type[DatabaseError], text: str
) -> None:
    caller.server.answers(envelope(state))
    with pytest.raises(kind, match=text):
        download(caller)


@pytest.mark.parametrize("fault", [Drop.READ, Reply(200, DUMP, cut=150_000), Reply(503, b"busy")], ids=repr)
def test_a_torn_download_begins_anew(caller: Caller, fault: Script, tmp_path: Path) -> None:
    caller.server.answers(exported(caller), fault, Reply(200, DUMP))
    with (tmp_path / "dump.sql").open("w+b") as sink:
        sink.write(b"kept\n")
        done, _ = download(caller, sink)
    assert done.bytes_written == len(DUMP)
    assert (tmp_path / "dump.sql").read_bytes() == b"kept\n" + DUMP


class Pipe(io.BytesIO):
    """A sink that cannot go back."""

    def seekable(self) -> bool:
        return False


def test_a_torn_download_into_a_pipe_is_said_and_not_repeated(caller: Caller) -> None:
    caller.server.answers(exported(caller), Reply(200, DUMP, cut=150_000))
    with pytest.raises(Unreachable):
        download(caller, Pipe())
    caller.server.answers(exported(caller), Reply(200, DUMP))
    assert download(caller, Pipe())[1].getvalue() == DUMP


def test_a_dump_is_bounded(caller: Caller) -> None:
    caller.server.answers(*[exported(caller), Reply(200, DUMP)] * 2)
    assert download(caller, max_bytes=len(DUMP))[0].bytes_written == len(DUMP)
    with pytest.raises(UnexpectedResponse, match="more than"):
        download(caller, max_bytes=len(DUMP) - 1)


def test_a_dump_larger_than_an_answer_may_be_passes(caller: Caller) -> None:
    caller.server.answers(exported(caller), Reply(200, DUMP))
    into = io.BytesIO()
    caller(lambda client: client.export(UUID, into), max_answer_bytes=1_000)
    assert into.getvalue() == DUMP


@pytest.mark.parametrize("answer", [Reply(403, b"<Error/>"), Reply(302, b"", {"Location": "/else"})])
def test_an_expired_url_is_no_matter_of_the_token(caller: Caller, answer: Reply) -> None:
    caller.server.answers(exported(caller), answer)
    with pytest.raises(UnexpectedResponse, match="download"):
        download(caller)


def test_a_full_disk_is_the_sinks_own_error(caller: Caller) -> None:
    class Full(io.BytesIO):
        def write(self, data: Any) -> int:
            raise OSError(28, "No space left on device")

    caller.server.answers(exported(caller), Reply(200, DUMP))
    with pytest.raises(OSError, match="No space left"):
        download(caller, Full())


# -- import ----------------------------------------------------------------------------------------------


def test_a_task_that_never_ends_is_given_up() -> None:
    """The protocols are programs over values, so an hour of polls takes no time."""
    going = Progress.model_validate({"status": "active", "at_bookmark": "BK"})
    for steps, kind in (
        (protocols.export("a", UUID, io.BytesIO(), DumpOptions(), None), Unreachable),
        (protocols.ingest("a", UUID, SCRIPT), OutcomeUnknown),
    ):
        asked = [next(steps)]

        def go_on(steps: Steps[Any] = steps, asked: list[Any] = asked) -> None:
            while True:
                asked.append(steps.send(None if isinstance(asked[-1], Pace) else going))

        with pytest.raises(kind, match="polls"):
            go_on()
        assert len(asked) == 1 + 2 * protocols.MAX_POLLS


def upload_url(caller: Caller) -> Reply:
    return envelope({"success": True, "filename": "F", "upload_url": f"{caller.server.url}/up?X-Amz-Signature=s"})


STORED = Reply(200, b"", {"ETag": f'"{MD5}"'})
DONE = task(
    "import",
    "complete",
    result={"num_queries": 2, "final_bookmark": "B2", "meta": {"rows_written": 5, "duration": 1.5}},
)


def test_import_uploads_starts_and_polls(caller: Caller) -> None:
    caller.server.answers(upload_url(caller), STORED, task("import"), task("import"), DONE)
    done = caller(lambda client: client.ingest(UUID, SCRIPT))
    assert done == Ingested(2, Bookmark("B2"), Meta(rows_written=5, duration_seconds=0.0015))
    init, put, start, poll, _ = caller.server.seen
    assert init.path == start.path == poll.path == f"{DATABASE}/import"
    assert init.json == {"action": "init", "etag": MD5}
    assert (put.method, put.path, put.body) == ("PUT", "/up", SCRIPT.encode())
    assert "authorization" not in put.headers
    assert (put.headers["content-length"], put.headers.get("transfer-encoding")) == (str(len(put.body)), None)
    assert start.json == {"action": "ingest", "filename": "F", "etag": MD5}
    assert poll.json == {"action": "poll", "current_bookmark": "BK"}
    assert caller.time.sleeps == [1.0, 1.0]


def test_a_file_that_is_there_already_is_not_uploaded(caller: Caller) -> None:
    caller.server.answers(task("import"), DONE)
    assert caller(lambda client: client.ingest(UUID, SCRIPT.encode())).num_queries == 2
    assert [seen.method for seen in caller.server.seen] == ["POST", "POST"]


def test_a_file_is_sent_from_where_it_stands(caller: Caller, tmp_path: Path) -> None:
    path = tmp_path / "script.sql"
    path.write_bytes(b"-- head\n" + SCRIPT.encode())
    caller.server.answers(upload_url(caller), STORED, DONE)
    with path.open("rb") as file:
        file.seek(len(b"-- head\n"))
        caller(lambda client: client.ingest(UUID, file))
    assert caller.server.seen[0].json["etag"] == MD5
    assert caller.server.seen[1].body == SCRIPT.encode()


def test_a_large_file_passes_in_pieces(caller: Caller) -> None:
    large = SCRIPT.encode() * 20_000
    md5 = hashlib.md5(large).hexdigest()
    caller.server.answers(upload_url(caller), Reply(200, b"", {"ETag": f'"{md5}"'}), DONE)
    caller(lambda client: client.ingest(UUID, io.BytesIO(large)))
    assert caller.server.seen[1].body == large


@pytest.mark.parametrize(
    ("script", "message"), [(Pipe(b"x"), "read twice"), ("SELECT '\ud800'", "surrogate")], ids=["pipe", "surrogate"]
)
def test_a_script_that_cannot_be_sent(caller: Caller, script: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        caller(lambda client: client.ingest(UUID, script))
    assert caller.requests == 0


@pytest.mark.parametrize(
    "fault",
    [Drop.READ, Reply(500, b""), Reply(200, b""), Reply(200, b"", {"ETag": MD5}), Reply(200, b"", {"ETag": '"0"'})],
    ids=repr,
)
def test_an_upload_is_repeated_until_it_arrives_whole(caller: Caller, fault: Script) -> None:
    caller.server.answers(upload_url(caller), fault, STORED, DONE)
    caller(lambda client: client.ingest(UUID, SCRIPT))
    assert [seen.body for seen in caller.server.seen[1:3]] == [SCRIPT.encode()] * 2


def test_an_upload_that_never_arrives_has_changed_nothing(caller: Caller) -> None:
    caller.server.answers(upload_url(caller), *[Reply(200, b"", {"ETag": '"0"'})] * 4)
    with pytest.raises(UnexpectedResponse, match="did not arrive"):
        caller(lambda client: client.ingest(UUID, SCRIPT))
    caller.server.answers(upload_url(caller), Reply(403, b"<Error/>"))
    with pytest.raises(UnexpectedResponse, match="upload"):
        caller(lambda client: client.ingest(UUID, SCRIPT))


@pytest.mark.parametrize("state", [{"upload_url": "https://example.com"}, {"upload_url": "http://a/", "filename": "F"}])
def test_an_upload_needs_a_name_and_a_private_url(caller: Caller, state: dict[str, Any]) -> None:
    caller.server.answers(envelope(state))
    with pytest.raises(UnexpectedResponse):
        caller(lambda client: client.ingest(UUID, SCRIPT))


FAILED = 'near "x": syntax error at offset 3: SQLITE_ERROR'


@pytest.mark.parametrize(
    "state",
    [
        {"success": False, "error": FAILED},
        {"success": True, "status": "error", "error": FAILED, "at_bookmark": "BK"},
        {"success": True, "status": "error", "errors": [FAILED]},
        {"success": False, "errors": ["The import failed and was rolled back."]},
    ],
)
@pytest.mark.parametrize("polls", [0, 1])
def test_a_failed_import_has_changed_nothing(caller: Caller, state: dict[str, Any], polls: int) -> None:
    caller.server.answers(upload_url(caller), STORED, *[task("import")] * polls, envelope(state))
    with pytest.raises(StatementRejected):
        caller(lambda client: client.ingest(UUID, SCRIPT))


def test_an_engines_answer_to_a_poll_is_a_rejection(caller: Caller) -> None:
    caller.server.answers(task("import"), failure(400, 7500, FAILED))
    with pytest.raises(StatementRejected):
        caller(lambda client: client.ingest(UUID, SCRIPT))


@pytest.mark.parametrize(
    "end",
    [
        [envelope({"success": False, "error": "Not currently importing anything."})],
        [envelope({"success": False, "error": "D1_RESET_DO"})],
        [envelope({"success": False, "error": "internal error; reference = abc"})],
        [envelope({"success": True, "status": "active"})],
        [Drop.READ] * 4,
        [Reply(200, b"garbage")] * 4,
        [failure(429, 971, "slow down")] * 4,
        [failure(401, 10000, "Authentication error")],
        [failure(404, 7404, "gone")],
    ],
    ids=repr,
)
def test_an_import_whose_end_was_not_seen_is_unknown(caller: Caller, end: list[Script]) -> None:
    caller.server.answers(upload_url(caller), STORED, task("import"), *end)
    with pytest.raises(OutcomeUnknown):
        caller(lambda client: client.ingest(UUID, SCRIPT))


def test_a_lost_poll_is_asked_again(caller: Caller) -> None:
    caller.server.answers(task("import"), Drop.READ, failure(503, 7009, "upstream"), DONE)
    assert caller(lambda client: client.ingest(UUID, SCRIPT)).num_queries == 2


@pytest.mark.parametrize("before", [0, 2])
def test_an_import_is_started_once(caller: Caller, before: int) -> None:
    caller.server.answers(*[upload_url(caller), STORED][:before], Drop.READ)
    with pytest.raises(OutcomeUnknown):
        caller(lambda client: client.ingest(UUID, SCRIPT))


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (failure(403, 7403, "not authorized"), Denied),
        (envelope({"success": False, "error": "Currently processing a long-running export."}), Unreachable),
    ],
)
def test_an_import_refused_at_its_start_has_changed_nothing(
    caller: Caller, answer: Reply, kind: type[DatabaseError]
) -> None:
    caller.server.answers(answer)
    with pytest.raises(kind):
        caller(lambda client: client.ingest(UUID, SCRIPT))
