"""Requests that no client would send: none ends in an error of the emulator's own, whatever it holds."""

from __future__ import annotations

import json
import socket
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from d1ops.emulator import Emulator, Splitter
from d1ops.emulator.routes import BASE, answer
from d1ops.emulator.settings import ACCOUNT_ID
from d1ops.emulator.state import State
from d1ops.emulator.wire import Request
from tests.emulator.conftest import TOKEN, client, settings

if TYPE_CHECKING:
    from collections.abc import Iterator

D1 = f"{BASE}/accounts/{ACCOUNT_ID}/d1/database"
WORDS = [
    *(
        "SELECT",
        "*",
        "FROM",
        "t",
        "a",
        ",",
        "(",
        ")",
        ";",
        "'x'",
        '"a"',
        "?",
        "?1",
        ":a",
        "?0",
        "?101",
        "@",
        "1",
        "9e999",
    ),
    *(
        "CREATE",
        "TABLE",
        "TRIGGER",
        "BEGIN",
        "END",
        "CASE",
        "WHEN",
        "INSERT",
        "INTO",
        "VALUES",
        "DROP",
        "UPDATE",
        "SET",
    ),
    *(
        "WITH",
        "AS",
        "x'00'",
        "--",
        "/*",
        "*/",
        "\n",
        "\r\n",
        "'",
        '"',
        "[",
        "\0",
        "\ufeff",
        "PRAGMA",
        "EXPLAIN",
        "=",
        "NULL",
    ),
    *(
        "DELETE",
        "ALTER",
        "RENAME",
        "TO",
        "RETURNING",
        "fts5",
        "USING",
        "VIRTUAL",
        "json('{')",
        "randomblob(9)",
        "\ud800",
    ),
]
sql = st.one_of(st.lists(st.sampled_from(WORDS), max_size=12).map(" ".join), st.text(max_size=20))
json_values: st.SearchStrategy[Any] = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.just(10**400)),
    lambda inner: st.one_of(st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=5), inner, max_size=3)),
    max_leaves=6,
)
statement = st.fixed_dictionaries({"sql": sql}, optional={"params": st.lists(json_values, max_size=3)})
bodies = st.one_of(
    json_values,
    statement,
    st.fixed_dictionaries({"batch": st.lists(statement, max_size=3)}),
    st.fixed_dictionaries({"query": st.text("{}()[]:$,.\"'aAd1 \n", max_size=30), "variables": json_values}),
    st.fixed_dictionaries(
        {},
        optional={
            "name": json_values,
            "action": st.sampled_from(["init", "ingest", "poll", 1]),
            "etag": st.one_of(st.just("0" * 32), json_values),
            "filename": json_values,
            "current_bookmark": json_values,
            "output_format": st.sampled_from(["polling", 1]),
            "dump_options": json_values,
            "read_replication": json_values,
            "jurisdiction": json_values,
        },
    ),
)
paths = st.sampled_from(
    [
        *("", "/{id}", "/{id}/query", "/{id}/raw", "/{id}/export", "/{id}/import", "/{id}/time_travel/bookmark"),
        *("/{id}/time_travel/restore", "/{id}/nope", "/x/raw", "//", "/fuzzed"),
    ]
).map(lambda path: D1 + path) | st.sampled_from(
    [f"{BASE}/graphql", f"{BASE}/user", f"{BASE}/openapi.json", "/", "/r2/x", f"/r2/{'0' * 36}/a.sql", f"{BASE}//"]
)
queries = st.dictionaries(
    st.sampled_from(
        ["name", "page", "per_page", "fields", "timestamp", "bookmark", "X-Amz-Expires", "X-Amz-Signature"]
    ),
    st.one_of(
        st.text(max_size=12), st.sampled_from(["1", "99999999999", "٣", "2026-11-22T00:00:00Z", "0001-01-01", "uuid"])
    ),
    max_size=3,
)


@pytest.fixture(scope="module", params=list(Splitter))
def state(request: pytest.FixtureRequest) -> Iterator[tuple[State, str]]:
    state = State(settings(splitter=request.param, active_polls=0))
    made = state.registry.create("fuzzed", jurisdiction=None, location=None, replication="auto")
    made.database.query("CREATE TABLE t(a INTEGER PRIMARY KEY, b)")
    yield state, made.record.uuid
    state.close()


@hypothesis_settings(
    max_examples=150, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture]
)
@given(
    method=st.sampled_from(["GET", "POST", "PUT", "PATCH", "HEAD", "NOPE"]),
    path=paths,
    query=queries,
    body=st.one_of(bodies.map(lambda body: json.dumps(body).encode()), st.binary(max_size=20)),
)
def test_no_request_is_the_emulators_fault(
    state: tuple[State, str], method: str, path: str, query: dict[str, str], body: bytes
) -> None:
    emulated, id_ = state
    headers = {"authorization": f"Bearer {TOKEN}"} if path.startswith(BASE) else {}
    reply = answer(emulated, Request(method, path.replace("{id}", id_), query, headers, body))
    assert reply.status < 500, (reply, path)
    if path.startswith(BASE) and not path.endswith(("graphql", "openapi.json")):
        told = json.loads(reply.body)
        assert told["success"] is (reply.status < 400)
        assert bool(told["errors"]) is not told["success"]


@pytest.fixture(scope="module")
def served() -> Iterator[Emulator]:
    with Emulator(settings()) as server:
        yield server


@hypothesis_settings(max_examples=150)
@given(
    method=st.sampled_from([b"GET", b"POST", b"PUT", b"\xff"]),
    path=st.lists(st.sampled_from([b"/", b"%", b"%ff", b".", b"?", b"#", b"&", b"=", b"a", b"\xe9", b" "]), max_size=9),
    header=st.binary(max_size=20),
    body=st.binary(max_size=50),
)
def test_no_bytes_on_the_wire_are_either(
    served: Emulator, method: bytes, path: list[bytes], header: bytes, body: bytes
) -> None:
    target = BASE.encode() + b"/" + b"".join(path)
    head = b"\r\n".join((method + b" " + target + b" HTTP/1.1", b"host: localhost", b"authorization: " + header))
    sent = head + b"\r\ncontent-length: %d\r\nconnection: close\r\n\r\n" % len(body) + body
    with socket.create_connection(("127.0.0.1", int(served.url.rpartition(":")[2]))) as connection:
        connection.sendall(sent)
        connection.shutdown(socket.SHUT_WR)
        received = connection.recv(64)
    assert received == b"" or received.startswith(b"HTTP/1.1 4"), received


def test_an_emulator_that_was_sent_anything_still_works(served: Emulator) -> None:
    with client(served) as api:
        assert api.query(served.create_database("after"), "SELECT 1").scalar() == 1
