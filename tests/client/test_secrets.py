"""The token appears in no repr, log, error, pickle or traceback, whatever goes wrong; and over no open wire."""

from __future__ import annotations

import copy
import io
import logging
import pickle
import socket
import sys
import traceback
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from d1ops import AsyncD1Client, D1Client
from d1ops.client import Secret
from d1ops.client.address import DEFAULT_BASE_URL, check_base_url
from d1ops.errors import ConfigError, D1opsError
from tests.client.scripted import ACCOUNT, TOKEN, UUID, Caller, Drop, Reply, Script, envelope, failure

if TYPE_CHECKING:
    from types import FrameType


def texts_of(error: BaseException) -> str:
    """Everything that an error shows: itself, its chain, its attributes, and the variables of d1ops's own frames and
    of whatever they called.
    """
    found: list[str] = []
    todo: list[BaseException | None] = [error]
    known: set[int] = set()
    while todo:
        current = todo.pop()
        if current is None or id(current) in known:
            continue
        known.add(id(current))
        found += [str(current), repr(current), repr(current.args), repr(vars(current))]
        lines = traceback.TracebackException.from_exception(current, capture_locals=True)
        for frame in lines.stack:
            if "/tests/" not in frame.filename:
                found.append(f"{frame.filename} {frame.locals}")
        todo += [current.__cause__, current.__context__]
    return "\n".join(found)


FAULTS: list[Script] = [
    Drop.UNREAD,
    Drop.READ,
    Reply(200, b'{"success": true', cut=5),
    Reply(200, f"you sent {TOKEN}".encode()),
    Reply(500, b"<html>"),
    failure(400, 7500, f"near {TOKEN!r}: syntax error: SQLITE_ERROR"),
    failure(401, 10000, f"Authentication error for Bearer {TOKEN}"),
    envelope([{"success": False, "error": f"Bearer {TOKEN}"}]),
    envelope([{"success": True, "results": {"columns": ["a"], "rows": [[2**60]]}}]),
]


@pytest.mark.parametrize("fault", FAULTS, ids=repr)
@pytest.mark.parametrize("sql", ["SELECT 1", "DELETE FROM t"])
def test_no_error_shows_the_token(caller: Caller, fault: Script, sql: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    caller.server.answers(*[fault] * (4 if sql == "SELECT 1" else 1))
    caught: D1opsError | None = None
    try:
        caller(lambda client: client.query(UUID, sql))
    except D1opsError as error:
        caught = error
    caller.server.script.clear()
    assert caught is not None
    assert TOKEN not in texts_of(caught)
    assert TOKEN not in caplog.text
    assert "d1ops" in texts_of(caught), "the hunt looks at the frames it means to"


def test_no_failed_connection_shows_the_token(caller: Caller) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        with pytest.raises(D1opsError) as caught:
            caller.at(f"http://127.0.0.1:{unused.getsockname()[1]}", lambda client: client.query(UUID, "SELECT 1"))
    assert TOKEN not in texts_of(caught.value)


@pytest.mark.parametrize("function", ["_send_request_headers", "_receive_response_headers", "stream"])
def test_an_interrupt_in_the_middle_of_a_request_does_not_show_the_token(caller: Caller, function: str) -> None:
    def trace(frame: FrameType, event: str, arg: object) -> Any:
        if frame.f_code.co_name == function and event == "return":
            raise KeyboardInterrupt
        return trace

    def interrupted() -> None:
        before = sys.gettrace()
        sys.settrace(trace)
        try:
            caller(lambda client: client.query(UUID, "SELECT 1"))
        finally:
            sys.settrace(before)

    caller.server.answers(Drop.READ)
    with pytest.raises(KeyboardInterrupt) as caught:
        interrupted()
    caller.server.script.clear()
    shown = texts_of(caught.value)
    assert TOKEN not in shown
    assert "d1ops/client/drivers.py" in shown


@pytest.mark.parametrize("kind", [D1Client, AsyncD1Client])
@pytest.mark.parametrize(
    ("token", "base_url"),
    [
        ("", DEFAULT_BASE_URL),
        (f"{TOKEN}\n", DEFAULT_BASE_URL),
        (f"{TOKEN} x", DEFAULT_BASE_URL),
        (f"{TOKEN}é", DEFAULT_BASE_URL),
        (TOKEN, "http://example.com/client/v4"),
    ],
)
def test_a_client_that_cannot_be_made_does_not_show_the_token(kind: Any, token: str, base_url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        kind(ACCOUNT, token, base_url=base_url)
    assert TOKEN not in texts_of(caught.value)
    assert caught.value.hint


def test_the_environment_is_asked_only_for_what_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ACCOUNT_ID", "API_TOKEN", "API_BASE_URL"):
        monkeypatch.delenv(f"CLOUDFLARE_{name}", raising=False)
    with pytest.raises(ConfigError) as no_account:
        D1Client.from_environment(token=TOKEN)
    assert no_account.value.key == "CLOUDFLARE_ACCOUNT_ID"
    assert TOKEN not in texts_of(no_account.value)
    monkeypatch.setenv("CLOUDFLARE_ACCOUNT_ID", "env-account")
    with pytest.raises(ConfigError) as no_token:
        D1Client.from_environment()
    assert no_token.value.key == "CLOUDFLARE_API_TOKEN"
    monkeypatch.setenv("CLOUDFLARE_API_TOKEN", TOKEN)
    with D1Client.from_environment() as client:
        assert (client.account_id, client.base_url) == ("env-account", DEFAULT_BASE_URL)
    monkeypatch.setenv("CLOUDFLARE_API_BASE_URL", "https://example.com/v4/")
    with D1Client.from_environment(account_id="mine") as client:
        assert (client.account_id, client.base_url) == ("mine", "https://example.com/v4")
        assert repr(client) == "D1Client(account_id='mine', base_url='https://example.com/v4')"
    with D1Client.from_environment(base_url="http://localhost:1") as client:
        assert client.base_url == "http://localhost:1"


def test_a_secret_gives_nothing_away() -> None:
    secret = Secret(TOKEN)
    for text in (repr(secret), str(secret), f"{secret}", f"{secret!s:>40}", repr([secret]), repr({"token": secret})):
        assert TOKEN not in text
        assert "***" in text
    assert not hasattr(secret, "__dict__")
    for leak in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError):
            leak(secret)
    assert secret.reveal() == TOKEN


@given(st.text(), st.text(min_size=1))
def test_redaction_leaves_no_trace(text: str, token: str) -> None:
    redacted = Secret(token).redact(f"{text}{token}{text}")
    assert token not in redacted or token in "***" or token in f"{text}***{text}"


def test_a_clients_parts_do_not_show_the_token() -> None:
    with D1Client(ACCOUNT, TOKEN) as client:
        todo: list[Any] = [client]
        known: set[int] = set()
        while todo:
            part = todo.pop()
            if id(part) in known or isinstance(part, Secret):
                continue
            known.add(id(part))
            assert TOKEN not in repr(part)
            if type(part).__module__.startswith(("d1ops", "httpx")):
                todo += list(getattr(part, "__dict__", {}).values())
        assert len(known) > 10


# -- presigned URLs --------------------------------------------------------------------------------------


def test_no_log_shows_a_signed_url(caller: Caller, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    url = f"{caller.server.url}/dump?X-Amz-Signature=open-sesame&b=1"
    caller.server.answers(envelope({"success": True, "signed_url": url}), Reply(200, b"SELECT 1;"))
    caller(lambda client: client.export(UUID, io.BytesIO()))
    assert "/dump" in caplog.text
    assert "open-sesame" not in caplog.text


def test_no_error_shows_a_signed_url(caller: Caller) -> None:
    url = f"{caller.server.url}/dump?X-Amz-Signature=open-sesame"
    caller.server.answers(envelope({"success": True, "signed_url": url}), Reply(403, b"<Error/>"))
    with pytest.raises(D1opsError) as caught:
        caller(lambda client: client.export(UUID, io.BytesIO()))
    assert "open-sesame" not in str(caught.value)


# -- the wire --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://api.cloudflare.com/client/v4/",
        "http://127.0.0.1:8787/client/v4",
        "http://[::1]:8787",
        "http://localhost",
    ],
)
def test_a_private_wire_is_taken(url: str) -> None:
    assert check_base_url(url) == url.rstrip("/")


@pytest.mark.parametrize(
    "url",
    [
        "http://api.cloudflare.com/client/v4",
        "http://127.0.0.1.example.com",
        "http://localhost.example.com",
        "http://10.0.0.1",
        "ftp://127.0.0.1",
        "//127.0.0.1",
        "127.0.0.1:8787",
        "https://",
        "https://api.cloudflare.com:port",
        "https://[::1",
        "https://user@api.cloudflare.com",
        "https://user:password@api.cloudflare.com",
        "https://api.cloudflare.com/client/v4?a=b",
        "https://api.cloudflare.com/#x",
        "",
    ],
)
def test_an_open_wire_is_refused(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        check_base_url(url)
    assert "password" not in str(caught.value)


def test_a_redirect_does_not_take_the_token_elsewhere(caller: Caller) -> None:
    elsewhere = Reply(307, b"", {"Location": f"{caller.server.url}/elsewhere"})
    caller.server.answers(elsewhere)
    with pytest.raises(D1opsError, match="redirect"):
        caller(lambda client: client.query(UUID, "SELECT 1"))
    assert caller.requests == 1


def test_no_proxy_of_the_environment_sees_what_is_for_this_machine(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:1")
    caller.server.answers(envelope([{"success": True}]))
    caller(lambda client: client.query(UUID, "SELECT 1"))
    assert caller.requests == 1
