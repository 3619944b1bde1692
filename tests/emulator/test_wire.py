"""The shapes of the wire that clients may rely on: envelope, codes, statuses, types, headers and limits."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from d1ops.emulator import Emulator, Splitter
from d1ops.emulator.meter import TIMEOUT_TEXT
from d1ops.emulator.statements import refusal
from d1ops.errors import OutcomeUnknown, StatementRejected, Unreachable, UsageError
from tests.emulator.conftest import READ_TOKEN, TOKEN, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.errors import D1opsError

BEARER = {"authorization": f"Bearer {TOKEN}"}
TRIGGER = """CREATE TRIGGER tr AFTER INSERT ON t BEGIN{line}
  UPDATE t SET a = CASE WHEN new.a > 1 THEN 1 END;{line}
END;"""


@pytest.fixture(scope="module")
def api() -> Iterator[httpx.Client]:
    with Emulator(settings()) as server, connect(server) as api:
        yield api


def connect(server: Emulator, **changes: Any) -> httpx.Client:
    root = f"{server.base_url}/accounts/{server.settings.account_id}/d1/database"
    return httpx.Client(**{"base_url": root, "headers": BEARER, **changes})


def create(api: httpx.Client, name: str) -> str:
    made: str = api.post("", json={"name": name}).json()["result"]["uuid"]
    return made


def problem(answer: httpx.Response) -> tuple[int, int, str]:
    body = answer.json()
    assert (body["success"], body["result"], body["messages"]) == (False, None, [])
    (error,) = body["errors"]
    return answer.status_code, error["code"], error["message"]


def test_the_envelope_and_the_fields_of_a_database(api: httpx.Client) -> None:
    body = api.post("", json={"name": "fields", "primary_location_hint": "apac"}).json()
    assert body.keys() == {"success", "errors", "messages", "result"}
    assert (body["success"], body["errors"], body["messages"]) == (True, [], [])
    made = body["result"]
    assert made["created_in_region"] == made["running_in_region"] == "APAC"
    assert datetime.fromisoformat(made["created_at"]).tzinfo is not None
    assert api.get("/fields").json()["result"].keys() == {
        *("uuid", "name", "created_at", "version", "num_tables", "file_size", "running_in_region"),
        *("read_replication", "jurisdiction"),
    }
    assert api.get("/fields?fields=uuid%2Cname").json()["result"] == {"uuid": made["uuid"], "name": "fields"}
    assert api.delete(f"/{made['uuid']}").json()["result"] is None


def test_a_list_has_pages_and_a_filter(api: httpx.Client) -> None:
    for number in range(11):
        create(api, f"listed-{number:02}")
    first = api.get("", params={"name": "listed"}).json()
    assert (len(first["result"]), first["result_info"]) == (
        10,
        {"page": 1, "per_page": 10, "count": 10, "total_count": 11},
    )
    last = api.get("", params={"name": "listed", "per_page": 10, "page": 2}).json()
    assert [each["name"] for each in last["result"]] == ["listed-10"]
    assert problem(api.get("", params={"page": "0"})) == (
        400,
        7400,
        "Invalid property: page => Expected a positive number",
    )


def test_query_has_objects_and_raw_has_columns(api: httpx.Client) -> None:
    id_ = create(api, "forms")
    sql = "SELECT 1 AS a, 2 AS a, x'00ff' AS b; SELECT 1 AS n WHERE 0; CREATE TABLE t(a)"
    objects = api.post(f"/{id_}/query", json={"sql": sql}).json()["result"]
    assert [each["results"] for each in objects] == [[{"a": 2, "b": [0, 255]}], [], []]
    tables = api.post(f"/{id_}/raw", json={"sql": sql.replace("TABLE t", "TABLE u")}).json()["result"]
    assert [each["results"] for each in tables] == [
        {"columns": ["a", "a", "b"], "rows": [[1, 2, [0, 255]]]},
        {"columns": ["n"], "rows": []},
        {"columns": [], "rows": []},
    ]
    assert (
        objects[2]["meta"].items()
        >= {
            "served_by": "v3-prod",
            "served_by_primary": True,
            "changed_db": True,
            "rows_written": 2,
            "total_attempts": 1,
        }.items()
    )


def test_parameters_bind_as_the_binding_binds_them(api: httpx.Client) -> None:
    id_ = create(api, "params")
    sql = "SELECT typeof(?1), typeof(?2), typeof(?3), typeof(?4), typeof(?5), ?4"
    body = {"sql": sql, "params": ["1", 1, None, [0, 255], 1.5]}
    answer = api.post(f"/{id_}/raw", json=body).json()["result"][0]["results"]["rows"]
    assert answer == [["text", "real", "null", "blob", "real", [0, 255]]]
    several = {"sql": "SELECT 1 AS a; SELECT ? AS a", "params": ["x"]}
    results = api.post(f"/{id_}/query", json=several).json()["result"]
    assert [each["results"] for each in results] == [[{"a": 1}], [{"a": "x"}]]


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({}, "Invalid property: sql => Required | Invalid property: batch => Required"),
        ({"sql": 1}, "Invalid property: sql => Expected string, received number"),
        ({"sql": "SELECT 1", "params": None}, "Invalid property: params => Expected array, received null"),
        ({"sql": "SELECT ?", "params": [True]}, "Invalid property: params.0 => Invalid input"),
        ({"sql": "SELECT ?", "params": [[256]]}, "Invalid property: params.0 => Invalid input"),
        ({"batch": [{"sql": "SELECT 1"}, {}]}, "Invalid property: batch.1.sql => Required"),
        ({"batch": []}, "Invalid property: batch => Array must contain at least 1 element(s)"),
        ([], "Invalid property:  => Expected object, received array"),
        ({"batch": 1}, "Invalid property: batch => Expected array, received number"),
        ({"batch": ["SELECT 1"]}, "Invalid property: batch.0 => Expected object, received string"),
        ({"sql": "\ud800"}, "Invalid property: sql => Invalid unicode"),
        ({"sql": "SELECT ?", "params": ["\ud800"]}, "Invalid property: params.0 => Invalid input"),
        ({"sql": "SELECT ?", "params": [10**400]}, "Invalid property: params.0 => Invalid input"),
    ],
)
def test_a_body_of_the_wrong_shape(api: httpx.Client, body: object, message: str) -> None:
    answer = api.post(f"/{create_once(api)}/query", content=json.dumps(body).encode())
    assert problem(answer) == (400, 7400, message)


def create_once(api: httpx.Client) -> str:
    found = api.get("", params={"name": "shapes"}).json()["result"]
    return str(found[0]["uuid"]) if found else create(api, "shapes")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"sql": "SELECT * FROM nope"}, "no such table: nope: SQLITE_ERROR"),
        ({"sql": "selec"}, 'near "selec": syntax error at offset 0: SQLITE_ERROR'),
        ({"sql": "SELECT ?", "params": []}, "Wrong number of parameter bindings for SQL query."),
        ({"sql": "SELECT ?", "params": ["1", "2"]}, "Wrong number of parameter bindings for SQL query."),
        ({"sql": "PRAGMA journal_mode"}, "not authorized: SQLITE_AUTH"),
        ({"sql": ""}, "No SQL statements detected."),
        ({"sql": "SELECT '"}, 'unrecognized token: "\'" at offset 7: SQLITE_ERROR'),
    ],
)
def test_what_the_engine_refuses(api: httpx.Client, body: object, message: str) -> None:
    assert problem(api.post(f"/{create_once(api)}/raw", json=body)) == (400, 7500, message)


def test_paths_methods_and_bodies_that_are_nothing(api: httpx.Client) -> None:
    id_ = create_once(api)
    assert problem(api.get("/nope")) == (404, 7404, "The database nope could not be found")
    assert problem(api.post("/shapes/query", json={"sql": "SELECT 1"}))[1:] == (
        7400,
        "Invalid property: databaseId => Invalid uuid",
    )
    assert problem(api.get(f"/{id_}/nope"))[:2] == (404, 7000)
    refused = api.get(f"/{id_}/query")
    assert (problem(refused)[:2], refused.headers["allow"]) == ((405, 7001), "POST")
    assert problem(api.post(f"/{id_}/query", content=b"{"))[:2] == (400, 7400)
    assert problem(api.post(f"/{id_}/query", content=b'{"sql": NaN}'))[:2] == (400, 7400)
    assert problem(api.post("", json={"name": "shapes"}))[:2] == (400, 7502)
    assert problem(api.post("", json={"name": "-no"}))[:2] == (400, 7400)
    assert problem(api.get(f"/{id_}/time_travel/bookmark?timestamp=soon"))[:2] == (400, 7400)


def test_who_may_ask(api: httpx.Client) -> None:
    for headers in ({"authorization": ""}, {"authorization": "Bearer wrong"}, {"authorization": f"Basic {TOKEN}"}):
        assert problem(api.get("", headers=headers)) == (401, 10000, "Authentication error")
    legacy = {"authorization": "", "x-auth-email": "a@example.com", "x-auth-key": TOKEN}
    assert api.get("", headers=legacy).status_code == 200
    reader = {"authorization": f"Bearer {READ_TOKEN}"}
    assert problem(api.post("", json={"name": "no"}, headers=reader))[:2] == (403, 10000)
    other = str(api.base_url).replace("accounts/d10", "accounts/000")
    assert problem(api.get(other))[:2] == (403, 7403)
    base = str(api.base_url).partition("/accounts/")[0]
    for path in ("/user/tokens/verify", "/user", "/accounts", "/memberships"):
        assert api.get(base + path).json()["success"], path
        assert api.get(base + path, headers={"authorization": "Bearer wrong"}).status_code == 401


def test_too_many_requests_are_refused_for_a_whole_window() -> None:
    clock = [datetime(2026, 11, 22, 12, tzinfo=UTC)]
    with Emulator(settings(rate_limit=3, now=lambda: clock[0])) as server, connect(server) as api:
        assert [api.get("").status_code for _ in range(4)] == [200, 200, 200, 429]
        clock[0] += timedelta(seconds=200)
        refused = api.get("")
        assert (refused.status_code, refused.headers["retry-after"]) == (429, "100")
        assert api.get("", headers={"authorization": f"Bearer {READ_TOKEN}"}).status_code == 200
        clock[0] += timedelta(seconds=100)
        assert api.get("").status_code == 200


def test_a_body_that_is_too_large_is_not_read() -> None:
    with Emulator(settings(max_body_bytes=1000)) as server, connect(server) as api:
        assert problem(api.post("", content=b" " * 1001))[:2] == (413, 7400)
        assert problem(api.post("", content=b" " * 1000))[:2] == (400, 7400)


def test_other_host_names_are_refused_and_too_many_parameters_are_none(api: httpx.Client) -> None:
    assert problem(api.get("", headers={"host": "example.com"}))[0] == 403
    assert api.get("", headers={"host": "localhost"}).status_code == 200
    assert api.get("?" + "&".join(f"page=0&x{number}" for number in range(60))).status_code == 200


def test_a_request_that_works_too_long_is_ended() -> None:
    endless = "WITH RECURSIVE n(i) AS (VALUES(1) UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n"
    with Emulator(settings(max_request_seconds=0.1)) as server, connect(server) as api:
        assert problem(api.post(f"/{create(api, 'long')}/query", json={"sql": endless})) == (429, 7429, TIMEOUT_TEXT)


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (StatementRejected("x: SQLITE_ERROR"), 400, "x: SQLITE_ERROR"),
        (UsageError("1 parameters for a statement that takes 2"), 400, "Wrong number of parameter bindings"),
        (OutcomeUnknown("internal error; reference = abc"), 500, "internal error; reference = abc"),
        (OutcomeUnknown("the connection was lost"), 500, "internal error; reference = "),
        (Unreachable("the file is locked"), 500, "internal error; reference = "),
    ],
)
def test_what_a_database_raises_is_told_as_the_service_tells_it(error: D1opsError, status: int, message: str) -> None:
    refused = refusal(error)
    assert (refused.status, refused.code, message in refused.message) == (status, 7500, True)


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        (b"CREATE TABLE t(a);\nINSERT INTO nope VALUES(1);", "no such table: nope: SQLITE_ERROR"),
        (b"CREATE TABLE t(a);\nSELECT '\xff';", "The file is not UTF-8."),
        (b"CREATE TABLE t(a);\nSELECT 'x", "incomplete input: SQLITE_ERROR"),
        (b"-- nothing", "No SQL statements detected."),
    ],
)
def test_an_import_that_fails_leaves_the_database_as_it_was(script: bytes, problem: str) -> None:
    with Emulator(settings(active_polls=0)) as server, connect(server) as api:
        id_ = create(api, "failing")
        told = imported(api, id_, script)
        assert (told["status"], told["success"], told["error"]) == ("error", False, problem)
        assert api.get(f"/{id_}").json()["result"]["num_tables"] == 0


def test_signed_urls_expire_and_take_no_token() -> None:
    clock = [datetime(2026, 11, 22, 12, tzinfo=UTC)]
    with Emulator(settings(active_polls=0, now=lambda: clock[0])) as server, connect(server) as api:
        id_ = create(api, "signed")
        url = api.post(f"/{id_}/export", json={"output_format": "polling"}).json()["result"]["result"]["signed_url"]
        assert httpx.get(url).text == "PRAGMA defer_foreign_keys=TRUE;"
        assert httpx.get(url, headers=BEARER).status_code == 400
        assert httpx.put(url, content=b"DROP").status_code == 403
        assert httpx.get(url.replace("Expires=1", "Expires=2")).status_code == 403
        assert httpx.get(url.replace(id_, "0" * 36)).status_code == 403
        clock[0] += timedelta(seconds=3601)
        late = httpx.get(url)
        assert (late.status_code, "Request has expired" in late.text) == (403, True)


def test_an_upload_that_is_not_what_was_announced_is_not_imported(api: httpx.Client) -> None:
    id_ = create(api, "uploads")
    etag = "0" * 32
    asked = api.post(f"/{id_}/import", json={"action": "init", "etag": etag}).json()["result"]
    stored = httpx.put(asked["upload_url"], content=b"CREATE TABLE t(a);")
    assert (stored.status_code, stored.headers["etag"] == f'"{etag}"') == (200, False)
    body = {"action": "ingest", "etag": etag, "filename": asked["filename"]}
    done = api.post(f"/{id_}/import", json=body).json()
    assert (done["success"], done["result"]["success"]) == (True, False)
    assert "upload_url" in api.post(f"/{id_}/import", json={"action": "init", "etag": etag}).json()["result"]
    assert api.get(f"/{id_}").json()["result"]["num_tables"] == 0


@pytest.mark.parametrize(
    ("text", "breaks"),
    [
        (TRIGGER.format(line="").replace("CASE WHEN new.a > 1 THEN 1 END", "1"), False),
        (TRIGGER.format(line=""), True),
        (TRIGGER.format(line="\r").replace("CASE WHEN new.a > 1 THEN 1 END", "1"), True),
        (TRIGGER.format(line="").replace("CASE WHEN new.a > 1 THEN 1 END", "1").replace("BEGIN", "begin"), True),
        ("SELECT 'BEGIN;' AS a; -- END;\nSELECT 1 AS a", False),
    ],
)
def test_the_splitter_of_the_service_breaks_some_triggers(text: str, breaks: bool) -> None:
    found = {}
    for splitter in Splitter:
        with Emulator(settings(splitter=splitter, active_polls=0)) as server, connect(server) as api:
            id_ = create(api, "split")
            server.database(id_).query("CREATE TABLE t(a)")
            found[splitter] = api.post(f"/{id_}/query", json={"sql": text})
            if breaks and splitter is Splitter.D1:
                assert imported(api, id_, text.encode())["result"]["num_queries"] == 1
    exact, d1 = found[Splitter.EXACT], found[Splitter.D1]
    assert exact.status_code == 200
    if breaks:
        assert problem(d1) == (400, 7500, "incomplete input: SQLITE_ERROR")
    else:
        assert [each["results"] for each in d1.json()["result"]] == [each["results"] for each in exact.json()["result"]]


def imported(api: httpx.Client, id_: str, script: bytes) -> Any:
    etag = hashlib.md5(script).hexdigest()
    asked = api.post(f"/{id_}/import", json={"action": "init", "etag": etag}).json()["result"]
    httpx.put(asked["upload_url"], content=script)
    body = {"action": "ingest", "etag": etag, "filename": asked["filename"]}
    return api.post(f"/{id_}/import", json=body).json()["result"]


def graph(api: httpx.Client, query: str, **variables: Any) -> Any:
    base = str(api.base_url).partition("/accounts/")[0]
    answer = api.post(f"{base}/graphql", json={"query": query, "variables": variables})
    assert answer.status_code == 200
    return answer.json()


def test_analytics_group_filter_order_and_refuse(api: httpx.Client) -> None:
    id_ = create(api, "analytics")
    for sql in ("CREATE TABLE t(a)", "INSERT INTO t VALUES(1), (2)", "SELECT * FROM t", "SELECT * FROM t"):
        api.post(f"/{id_}/query", json={"sql": sql})
    account = str(api.base_url).partition("/accounts/")[2].partition("/")[0]

    def ask(selection: str, **variables: Any) -> Any:
        query = f'{{ viewer {{ accounts(filter: {{accountTag: "{account}"}}) {{ {selection} }} }} }}'
        return graph(api, query, **variables)

    of_this = {"AND": [{"databaseId": id_, "datetimeHour_leq": datetime.now(UTC).isoformat()}]}
    found = ask(
        "q: d1QueriesAdaptiveGroups(limit: 2, filter: $f, orderBy: [count_DESC, sum_rowsWritten_DESC])"
        " { count sum { rowsRead rowsWritten } avg { rowsReturned } dimensions { query } }"
        " d1AnalyticsAdaptiveGroups(limit: 9, filter: $f) { sum { readQueries writeQueries } dimensions { date } }"
        " d1StorageAdaptiveGroups(limit: 9, filter: $f) { max { databaseSizeBytes } }",
        f=of_this,
    )["data"]["viewer"]["accounts"][0]
    assert [each["dimensions"]["query"] for each in found["q"]] == ["SELECT * FROM t", "CREATE TABLE t(a)"]
    assert found["q"][0] == {
        "count": 2,
        "sum": {"rowsRead": 4, "rowsWritten": 0},
        "avg": {"rowsReturned": 2},
        "dimensions": {"query": "SELECT * FROM t"},
    }
    assert [each["sum"] for each in found["d1AnalyticsAdaptiveGroups"]] == [{"readQueries": 2, "writeQueries": 2}]
    assert found["d1StorageAdaptiveGroups"][0]["max"]["databaseSizeBytes"] > 0
    later = {"datetimeHour_gt": datetime.now(UTC).isoformat()}
    assert ask("d1QueriesAdaptiveGroups(limit: 1, filter: $f) { count }", f=later)["data"]["viewer"]["accounts"] == [
        {"d1QueriesAdaptiveGroups": []}
    ]
    either = {"OR": [{"databaseId": "none"}, {"databaseId_in": [id_]}], "query_neq": "SELECT * FROM t"}
    counted = ask(
        "d1QueriesAdaptiveGroups(limit: 9, filter: $f, orderBy: query_ASC) { dimensions { query } }", f=either
    )
    assert [each["dimensions"]["query"] for each in counted["data"]["viewer"]["accounts"][0].popitem()[1]] == [
        "CREATE TABLE t(a)",
        "INSERT INTO t VALUES(?), (?)",
    ]
    for wrong in (
        "d1QueriesAdaptiveGroups(limit: 1) { sum }",
        "d1QueriesAdaptiveGroups(limit: 1) { ...x }",
        "d1QueriesAdaptiveGroups(limit: 1) { max { rowsRead } }",
        "d1QueriesAdaptiveGroups(limit: 1, filter: 1) { count }",
        'd1QueriesAdaptiveGroups(limit: 1, filter: {datetimeHour_geq: "soon"}) { count }',
        "d1QueriesAdaptiveGroups(limit: 1, filter: {datetimeHour_like: 1}) { count }",
        "d1QueriesAdaptiveGroups(limit: 0) { count }",
        "d1QueriesAdaptiveGroups(limit: 1) { nope }",
        "d1QueriesAdaptiveGroups(limit: 1) { sum { nope } }",
        "d1QueriesAdaptiveGroups(limit: 1, orderBy: [nope]) { count }",
        "d1QueriesAdaptiveGroups(limit: 1, filter: {nope: 1}) { count }",
        "nope { count }",
        "{",
    ):
        answer = ask(wrong)
        assert (answer["data"], len(answer["errors"])) == (None, 1), wrong
    stranger = graph(
        api, '{ viewer { accounts(filter: {accountTag: "other"}) { d1QueriesAdaptiveGroups { count } } } }'
    )
    assert "not authorized" in json.dumps(stranger["errors"])
