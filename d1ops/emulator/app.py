"""The ASGI edge: bytes in, `routes.answer`, bytes out, and the faults that spoil what goes over the wire.

The core runs in worker threads, so that a slow statement of one database does not hold up another.
"""

from __future__ import annotations

import asyncio
import hashlib
import sys
import tempfile
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import parse_qsl

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect
from starlette.requests import Request as HttpRequest
from starlette.responses import FileResponse, Response

from d1ops.emulator import faults, routes
from d1ops.emulator.faults import Fault, Hold
from d1ops.emulator.storage import PREFIX as STORAGE
from d1ops.emulator.wire import INVALID, Refused, Reply, Request, Upload

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send

    from d1ops.emulator.state import State

Observer: TypeAlias = Callable[[Request, int], None]
"""Called after every request with the status of its answer, 0 where the connection was dropped."""

Hangup: TypeAlias = Callable[["Scope"], None]
"""Closes the connection of a request."""

_MAX_QUERY_FIELDS = 100
_HOSTS = frozenset(("127.0.0.1", "localhost", "::1"))


class App:
    """An ASGI application over a `State`."""

    def __init__(self, state: State, hang_up: Hangup, observe: Observer | None = None) -> None:
        self._state = state
        self._hang_up = hang_up
        self._observe = observe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one HTTP request."""
        if scope["type"] != "http":
            return
        ray = f"{next(self._state.rays):016x}-AMS"
        # Numbered in the order of arrival, before anything waits.
        fault = self._state.next_fault(scope["path"])
        settings = self._state.settings
        try:
            request = await self._read(HttpRequest(scope, receive))
        except ClientDisconnect:
            return
        except Refused as refused:
            await _response(refused.reply(), ray)(scope, receive, send)
            return
        delay = settings.latency_seconds + (settings.faults.slow_seconds if fault is Fault.SLOW else 0)
        if delay:
            await asyncio.sleep(delay)
        reply = await self._carry_out(request, fault)
        if request.upload is not None:
            request.upload.file.unlink(missing_ok=True)
        if self._observe is not None:
            self._observe(request, reply.status if reply is not None else 0)
        if reply is None:
            await self._drop(scope, receive)
        elif fault is Fault.TRUNCATED:
            await self._truncate(reply, scope, receive, send)
        else:
            await _response(reply, ray)(scope, receive, send)

    async def _carry_out(self, request: Request, fault: Fault | Reply | Hold | None) -> Reply | None:
        """Return the answer that is sent; None where the connection is dropped."""
        if isinstance(fault, Reply):
            return fault
        if isinstance(fault, Hold):
            return await self._hold(request, fault)
        reply: Reply | None = None
        if fault is None or fault in faults.IS_CARRIED_OUT:
            reply = await run_in_threadpool(_answer, self._state, request, stuck=fault is Fault.STUCK_EXPORT)
        match fault:
            case Fault.DROP_BEFORE | Fault.DROP_AFTER:
                return None
            case Fault.TOO_MANY | Fault.INTERNAL | Fault.TIMEOUT | Fault.GARBAGE:
                return faults.canned(fault)
        return reply

    async def _hold(self, request: Request, hold: Hold) -> Reply | None:
        """Wait before the request is carried out, or between that and its answer."""
        if not hold.carried_out:
            await run_in_threadpool(hold.wait)
        reply = await self._carry_out(request, hold.fault)
        hold.ended.set()
        if hold.carried_out:
            await run_in_threadpool(hold.wait)
        return reply

    async def _read(self, request: HttpRequest) -> Request:
        if request.url.hostname not in _HOSTS:
            # A page of the web that lets its own name point here must not reach what is here.
            raise Refused(403, 10000, "Invalid Host header")
        read = Request(
            method=request.method,
            path=request.scope["path"],
            query=_query(request),
            headers=dict(request.headers),
            origin=f"{request.url.scheme}://{request.url.netloc}",
        )
        if read.path.startswith(STORAGE) and request.method == "PUT":
            if self._state.storage.refusal(read) is not None:
                return read
            return _with(read, upload=await self._upload(request))
        limit = self._state.settings.max_body_bytes
        body = bytearray()
        async for piece in request.stream():
            body += piece
            if len(body) > limit:
                raise Refused(413, INVALID, f"The request body is larger than {limit} bytes")
        return _with(read, body=bytes(body))

    async def _upload(self, request: HttpRequest) -> Upload:
        digest = hashlib.md5(usedforsecurity=False)
        with tempfile.NamedTemporaryFile(dir=self._state.incoming, delete=False) as file:
            path = Path(file.name)
            try:
                async for piece in request.stream():
                    digest.update(piece)
                    await run_in_threadpool(file.write, piece)
            except BaseException:
                path.unlink()
                raise
        return Upload(path, digest.hexdigest())

    async def _drop(self, scope: Scope, receive: Receive) -> None:
        self._hang_up(scope)
        while (await receive())["type"] != "http.disconnect":
            pass

    async def _truncate(self, reply: Reply, scope: Scope, receive: Receive, send: Send) -> None:
        body = reply.body or b" "
        length = (b"content-length", str(len(body) + 1).encode())
        await send({"type": "http.response.start", "status": reply.status, "headers": [length]})
        await send({"type": "http.response.body", "body": body[: len(body) // 2], "more_body": True})
        await self._drop(scope, receive)


def _answer(state: State, request: Request, *, stuck: bool) -> Reply:
    try:
        return routes.answer(state, request, stuck_export=stuck)
    except Exception:  # noqa: BLE001 - a defect of the emulator must reach its operator and answer the client
        traceback.print_exc(file=sys.stderr)
        return Refused(500, 7500, "internal error; reference = d1opsemulatordefect00000").reply()


def _response(reply: Reply, ray: str) -> Response:
    headers = {"cf-ray": ray, **reply.headers}
    if reply.file is not None:
        return FileResponse(reply.file, reply.status, headers)
    return Response(reply.body, reply.status, headers)


def _query(request: HttpRequest) -> dict[str, str]:
    raw = request.scope["query_string"].decode("latin-1")
    query: dict[str, str] = {}
    try:
        pairs = parse_qsl(raw, keep_blank_values=True, errors="replace", max_num_fields=_MAX_QUERY_FIELDS)
    except ValueError:
        return query
    for name, value in pairs:
        query[name] = f"{query[name]},{value}" if name in query else value
    return query


def _with(request: Request, *, body: bytes = b"", upload: Upload | None = None) -> Request:
    return Request(request.method, request.path, request.query, request.headers, body, request.origin, upload)
