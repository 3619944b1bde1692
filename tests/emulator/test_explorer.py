"""Our client against the local explorer API of real `wrangler dev`: an independent server over workerd.

It offers the list of databases and `/raw`, knows no accounts and no tokens, takes no parameters but strings, and has
errors of its own. A relay takes the account out of the paths; bodies and answers go through untouched.
"""

from __future__ import annotations

import re
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import httpx
import pytest

from d1ops.client import Budget, D1Client, Settings
from d1ops.core.values import Statement
from d1ops.errors import NotFound, PrecisionLost, StatementRejected, UnexpectedResponse
from tests.support.wrangler_dev import API, ID, wrangler_dev

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def relay(url: str) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            target = re.sub(r"^/accounts/[^/]+", API, self.path)
            sent = {"content-type": "application/json"} if body else {}
            answer = httpx.request(self.command, url + target, content=body, headers=sent)
            self.send_response(answer.status_code)
            self.send_header("content-length", str(len(answer.content)))
            self.end_headers()
            self.wfile.write(answer.content)

        do_GET = do_POST = answer  # noqa: N815 - the names are the base class's

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[D1Client]:
    settings = Settings(budget=Budget(10**6), sleep=lambda seconds: None)
    with (
        wrangler_dev(tmp_path_factory.mktemp("explorer")) as url,
        relay(url) as base_url,
        D1Client("local", "none", base_url=base_url, settings=settings) as api,
    ):
        yield api


def test_databases_are_listed(api: D1Client) -> None:
    assert [(each.uuid, each.name) for each in api.list_databases()] == [(ID, "DB")]


def test_statements_batches_and_what_they_cost(api: D1Client) -> None:
    made = api.batch(
        ID,
        [
            Statement("CREATE TABLE t(a INTEGER PRIMARY KEY, b, c)"),
            Statement("INSERT INTO t VALUES(?, ?, ?), (?, NULL, ?)", (1, "x", b"\x00\xff", 2**62, "it's")),
            Statement("SELECT a FROM t WHERE b = ?", ("x",)),
        ],
    )
    assert [result.meta.changes for result in made] == [0, 2, 0]
    assert made[2].rows == ((1,),)
    found = api.query(ID, "SELECT CAST(a AS TEXT) AS a, b, b, c FROM t ORDER BY 1")
    assert found.columns == ("a", "b", "b", "c")
    assert found.rows == (("1", "x", "x", b"\x00\xff"), (str(2**62), None, None, "it's"))
    assert (found.meta.rows_read or 0) >= 2
    with pytest.raises(PrecisionLost):
        api.query(ID, "SELECT a FROM t")


def test_a_failing_batch_leaves_nothing(api: D1Client) -> None:
    with pytest.raises(StatementRejected, match=r"UNIQUE constraint failed: u\.a"):
        api.batch(
            ID,
            [
                Statement("CREATE TABLE u(a UNIQUE)"),
                Statement("INSERT INTO u VALUES('1')"),
                Statement("INSERT INTO u VALUES('1')"),
            ],
        )
    assert api.query(ID, "SELECT count(*) FROM sqlite_schema WHERE name = 'u'").scalar() == 0


@pytest.mark.parametrize(
    ("sql", "text"),
    [
        ("SELECT * FROM nope", "no such table: nope: SQLITE_ERROR"),
        ("PRAGMA journal_mode", "not authorized: SQLITE_AUTH"),
        ("selec", "syntax error at offset 0: SQLITE_ERROR"),
    ],
)
def test_refusals_are_understood_though_their_status_and_code_differ(api: D1Client, sql: str, text: str) -> None:
    with pytest.raises(StatementRejected, match=text) as caught:
        api.query(ID, sql)
    assert (caught.value.status, caught.value.code) == (500, 10001)


def test_what_it_does_not_offer_is_an_error_of_ours(api: D1Client) -> None:
    for refused in (lambda: api.get_database(ID), lambda: api.bookmark(ID), lambda: api.create_database("no")):
        with pytest.raises((NotFound, UnexpectedResponse)):
            refused()
