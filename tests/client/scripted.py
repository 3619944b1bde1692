"""A real HTTP server on loopback that answers what a test has scripted, and clients of both kinds pointed at it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from d1ops.client import AsyncD1Client, Budget, D1Client, Settings

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

TOKEN = "s3cr3t-t0ken-of-the-tests"
ACCOUNT = "acc1"
UUID = "11111111-2222-3333-4444-555555555555"
DATABASE = f"/client/v4/accounts/{ACCOUNT}/d1/database/{UUID}"


class Drop(Enum):
    """A connection that ends without an answer."""

    UNREAD = "closed before the request was read"
    READ = "closed after the request was read"


@dataclass(frozen=True)
class Reply:
    """An answer. `cut` sends only so many bytes of the body that the header announces."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None


@dataclass(frozen=True)
class Seen:
    """A request as it arrived."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Script: TypeAlias = Reply | Drop | Callable[[Seen], Reply]


def envelope(result: Any, status: int = 200, **more: Any) -> Reply:
    body = {"success": True, "errors": [], "messages": [], "result": result, **more}
    return Reply(status, json.dumps(body).encode())


def failure(status: int, code: int, message: str, **headers: str) -> Reply:
    body = {"success": False, "errors": [{"code": code, "message": message}], "messages": [], "result": None}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, json.dumps(body).encode(), {"cf-ray": "ray-1", **named})


def rows(columns: list[str], *values: list[Any], **meta: Any) -> dict[str, Any]:
    return {"results": {"columns": columns, "rows": list(values)}, "success": True, "meta": meta}


class ScriptedServer:
    """Answers requests in the order of its script; anything beyond it is remembered as unexpected."""

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.script: deque[Script] = deque()
        self.unexpected = 0
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle(self) -> None:
                if outer.script and outer.script[0] is Drop.UNREAD:
                    outer.script.popleft()
                    return
                self.close_connection = True
                self.handle_one_request()

            def answer(self) -> None:
                url = urlsplit(self.path)
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                headers = {name.lower(): value for name, value in self.headers.items()}
                seen = Seen(self.command, url.path, tuple(parse_qsl(url.query, keep_blank_values=True)), headers, body)
                outer.seen.append(seen)
                entry: Script = outer.script.popleft() if outer.script else Drop.READ
                outer.unexpected += len(outer.seen) > outer.expected
                reply = entry(seen) if callable(entry) else entry
                if isinstance(reply, Reply):
                    self._send(reply)

            def _send(self, reply: Reply) -> None:
                self.send_response(reply.status)
                for name, value in {"Connection": "close", **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(reply.body)))
                self.end_headers()
                self.wfile.write(reply.body[: reply.cut])

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
                pass

        for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
            setattr(Handler, f"do_{method}", Handler.answer)
        self.expected = 0
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self.base_url = f"{self.url}/client/v4"

    def answers(self, *script: Script) -> None:
        self.script.extend(script)
        self.expected += sum(entry is not Drop.UNREAD for entry in script)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


class Time:
    """A clock that only sleeping moves, for both kinds of clients."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.sleeps: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now += seconds

    async def sleep_async(self, seconds: float) -> None:
        self.sleep(seconds)


class Caller:
    """A client of one kind at a scripted server; `caller(action)` gives what `action(client)` comes to."""

    def __init__(self, kind: str, server: ScriptedServer) -> None:
        self.kind = kind
        self.server = server
        self.time = Time()
        self.budget = Budget(clock=self.time)
        self.requests = 0

    def __call__(self, action: Callable[[Any], Any], **settings: Any) -> Any:
        return self.at(self.server.base_url, action, **settings)

    def at(self, base_url: str, action: Callable[[Any], Any], **more: Any) -> Any:
        sleep = self.time.sleep if self.kind == "sync" else self.time.sleep_async
        chosen = {"budget": self.budget, "clock": self.time, "sleep": sleep, "spread": lambda: 0.0, **more}
        settings = Settings(**chosen)
        if self.kind == "async":
            return asyncio.run(self._later(base_url, action, settings))
        with D1Client(ACCOUNT, TOKEN, base_url=base_url, settings=settings) as client:
            try:
                return action(client)
            finally:
                self.requests += client.requests

    async def _later(self, base_url: str, action: Callable[[Any], Any], settings: Settings) -> Any:
        async with AsyncD1Client(ACCOUNT, TOKEN, base_url=base_url, settings=settings) as client:
            try:
                return await action(client)
            finally:
                self.requests += client.requests
