"""The stand-in itself: what the tests that rely on it may rely on."""

from __future__ import annotations

import hashlib
import json
from contextlib import closing
from http.client import HTTPConnection, RemoteDisconnected
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from d1ops.database.sqlite import SqliteDatabase
from tests.support.cloudflare import ACCOUNT, EDIT_TOKEN, READ_TOKEN, Drop, FakeCloudflare, paths
from tests.support.wire import Reply

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def server(tmp_path: Path) -> Iterator[FakeCloudflare]:
    with FakeCloudflare(lambda name: SqliteDatabase(tmp_path / f"{name}.sqlite")) as server:
        yield server


class Answer:
    """An answer as it came over the wire."""

    def __init__(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.status = status
        self.headers = headers
        self.body = body
        self.json: Any = json.loads(body) if body[:1] == b"{" else None

    @property
    def error(self) -> tuple[int, int, str]:
        """Status, code and message of a failure."""
        assert self.json["success"] is False
        assert self.json["result"] is None
        return self.status, self.json["errors"][0]["code"], self.json["errors"][0]["message"]


def ask(server: FakeCloudflare, method: str, path: str, body: object = None, token: str | None = EDIT_TOKEN) -> Answer:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    data = body if isinstance(body, bytes) else None if body is None else json.dumps(body).encode()
    url = path if path.startswith("/") else f"/client/v4/accounts/{ACCOUNT}/d1/database/{path}".rstrip("/")
    with closing(HTTPConnection(urlsplit(server.url).netloc)) as connection:
        connection.request(method, url, data, headers)
        response = connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read())


def test_databases_are_listed_found_made_changed_and_deleted(server: FakeCloudflare) -> None:
    ids = [server.add(f"app{number}").id for number in range(12)]
    first = ask(server, "GET", "")
    assert [item["uuid"] for item in first.json["result"]] == ids[:10]
    assert first.json["result_info"] == {"page": 1, "per_page": 10, "count": 10, "total_count": 12}
    assert [item["name"] for item in ask(server, "GET", "?page=2&per_page=10").json["result"]] == ["app10", "app11"]
    assert [item["name"] for item in ask(server, "GET", "?name=app1").json["result"]] == ["app1", "app10", "app11"]
    for key in (ids[3], "app3"):
        assert ask(server, "GET", f"{key}?fields=uuid,name").json["result"] == {"uuid": ids[3], "name": "app3"}
    made = ask(server, "POST", "", {"name": "new", "jurisdiction": "eu"}).json["result"]
    assert (made["name"], made["jurisdiction"], made["num_tables"]) == ("new", "eu", 0)
    changed = ask(server, "PATCH", made["uuid"], {"read_replication": {"mode": "auto"}})
    assert changed.json["result"]["read_replication"] == {"mode": "auto"}
    assert ask(server, "DELETE", made["uuid"]).json["result"] is None
    assert ask(server, "GET", "new").error == (404, 7404, "The database new could not be found")


def test_statements_answer_in_both_forms(server: FakeCloudflare) -> None:
    key = server.add("app").id
    body = {"sql": "SELECT 1 AS a, 2 AS a; SELECT x'00ff' AS b, NULL AS n, 9007199254740993 AS big, 1.0 AS r"}
    rows = [entry["results"] for entry in ask(server, "POST", f"{key}/query", body).json["result"]]
    assert rows == [[{"a": 2}], [{"b": [0, 255], "n": None, "big": 9007199254740992, "r": 1}]]
    answer = ask(server, "POST", f"{key}/raw", {"sql": "SELECT 1 AS a, typeof(?) AS a", "params": [7]})
    (entry,) = answer.json["result"]
    assert entry["results"] == {"columns": ["a", "a"], "rows": [[1, "real"]]}
    assert entry["success"] is True
    assert entry["meta"]["served_by"] == "v3-prod"
    assert answer.headers["cf-ray"].endswith("-AMS")
    batch = {"batch": [{"sql": "SELECT ?", "params": [[1, 2]]}, {"sql": "SELECT ?", "params": [None]}]}
    results = ask(server, "POST", f"{key}/raw", batch).json["result"]
    assert [entry["results"]["rows"] for entry in results] == [[[[1, 2]]], [[None]]]


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({"sql": "SELECT * FROM t"}, (400, 7500, "no such table: t: SQLITE_ERROR")),
        ({"sql": "SELECT 'a"}, (400, 7500, 'unrecognized token: "\'a" at offset 7: SQLITE_ERROR')),
        ({"sql": "SELECT ?"}, (400, 7500, "Wrong number of parameter bindings for SQL query.")),
        ({"sql": "SELECT ?", "params": ["1", "2"]}, (400, 7500, "Wrong number of parameter bindings for SQL query.")),
        ({"sql": "SELECT 1", "params": None}, (400, 7400, "Invalid property: params => Expected array, received null")),
        ({"sql": "SELECT ?", "params": [True]}, (400, 7400, "Invalid property: params.0 => Invalid input")),
        ({}, (400, 7400, "Invalid property: sql => Required | Invalid property: batch => Required")),
        (b"{", (400, 7400, "Malformed JSON")),
    ],
)
def test_what_is_wrong_with_a_statement(server: FakeCloudflare, body: object, error: tuple[int, int, str]) -> None:
    assert ask(server, "POST", f"{server.add('app').id}/raw", body).error == error


def test_who_may_do_what(server: FakeCloudflare) -> None:
    key = server.add("app").id
    read, write = {"sql": "SELECT 1"}, {"batch": [{"sql": "SELECT 1"}, {"sql": "CREATE TABLE t(a)"}]}
    for token in (None, "unknown"):
        assert ask(server, "POST", f"{key}/raw", read, token).error[:2] == (401, 10000)
    assert ask(server, "POST", f"{key}/raw", read, READ_TOKEN).status == 200
    assert ask(server, "POST", f"{key}/raw", write, READ_TOKEN).error[:2] == (403, 10000)
    assert ask(server, "DELETE", key, None, READ_TOKEN).error[:2] == (403, 10000)
    assert ask(server, "GET", "/client/v4/accounts/other/d1/database").error[:2] == (403, 7403)
    assert ask(server, "POST", "app/raw", read).error == (400, 7400, "Invalid property: databaseId => Invalid uuid")
    assert ask(server, "GET", f"{key}/nowhere").error[:2] == (404, 7000)


def test_an_export_and_an_import(server: FakeCloudflare) -> None:
    key = server.add("app").id
    script = b"CREATE TABLE t(a); INSERT INTO t VALUES (1);"
    etag = hashlib.md5(script).hexdigest()
    start = ask(server, "POST", f"{key}/import", {"action": "init", "etag": etag}).json["result"]
    upload = start["upload_url"].removeprefix(server.url)
    assert ask(server, "PUT", upload, script).status == 400
    assert ask(server, "PUT", upload, script, token=None).headers["ETag"] == f'"{etag}"'
    ingest = {"action": "ingest", "filename": start["filename"], "etag": etag}
    running = ask(server, "POST", f"{key}/import", ingest)
    assert (running.status, running.json["result"]["status"]) == (202, "active")
    poll = {"action": "poll", "current_bookmark": running.json["result"]["at_bookmark"]}
    done = ask(server, "POST", f"{key}/import", poll)
    assert (done.status, done.json["result"]["result"]["num_queries"]) == (200, 2)
    gone = ask(server, "POST", f"{key}/import", poll).json["result"]
    assert (gone["success"], gone["error"]) == (False, "Not currently importing anything.")

    running = ask(server, "POST", f"{key}/export", {"output_format": "polling"})
    again = {"output_format": "polling", "current_bookmark": running.json["result"]["at_bookmark"]}
    url = ask(server, "POST", f"{key}/export", again).json["result"]["result"]["signed_url"]
    dump = ask(server, "GET", url.removeprefix(server.url), token=None)
    assert b"CREATE TABLE t(a);" in dump.body


def test_any_request_can_be_spoiled(server: FakeCloudflare) -> None:
    key = server.add("app").id
    create, count = ({"sql": f"CREATE TABLE t{n}(a)"} for n in (1, 2)), {"sql": "SELECT count(*) FROM sqlite_schema"}
    server.inject(Drop.BEFORE)
    server.inject(Drop.AFTER, nth=2)
    for body in create:
        with pytest.raises(RemoteDisconnected):
            ask(server, "POST", f"{key}/raw", body)
    server.inject(Reply(429, b"{}", {"Retry-After": "7"}), nth=2)
    assert ask(server, "POST", f"{key}/raw", count).json["result"][0]["results"]["rows"] == [[1]]
    spoiled = ask(server, "POST", f"{key}/raw", count)
    assert (spoiled.status, spoiled.headers["Retry-After"]) == (429, "7")
    assert [request.status for request in server.requests] == [0, 0, 200, 429]
    assert paths(server.requests) == [f"POST {key}/raw"] * 4
    assert server.requests[0].json == {"sql": "CREATE TABLE t1(a)"}
