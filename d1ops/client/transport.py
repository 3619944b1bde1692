"""The only module that speaks httpx: it sends one request and says what came of it.

Senders return an `Answer` or a `Fault` and raise neither httpx's errors, whose requests hold the token, nor anything
else with httpx's frames in its traceback.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import TYPE_CHECKING, Any

import httpx

from d1ops import __version__
from d1ops.client.address import is_loopback
from d1ops.client.call import BRIEF_SECONDS, CHUNK_BYTES, Answer, Call, Download, Fault, FaultKind, Upload

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator

    from d1ops.client.call import Request
    from d1ops.client.secret import Secret
    from d1ops.client.session import Settings

_NOT_SENT = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)


@cache
def _tls(trust_env: bool) -> ssl.SSLContext:
    """Return httpx's own TLS settings, made once: reading the certificates takes longer than most requests."""
    return httpx.create_ssl_context(trust_env=trust_env)


class _Sender:
    """What both senders share: how a request is written down and its answer taken in."""

    def __init__(self, base_url: str, secret: Secret, settings: Settings) -> None:
        self._base_url = base_url
        self._secret = secret
        self._max_answer_bytes = settings.max_answer_bytes
        trust_env = not is_loopback(base_url)
        self._options: dict[str, Any] = {
            "headers": {"User-Agent": f"d1ops/{__version__}"},
            "timeout": httpx.Timeout(settings.read_timeout_seconds, connect=settings.connect_timeout_seconds),
            "follow_redirects": False,
            # Proxies are for the network, never for a server on this machine.
            "trust_env": trust_env,
            "verify": _tls(trust_env),
        }

    def _arguments(self, step: Request, content: Any) -> dict[str, Any]:
        """Return httpx's arguments. Callers keep them out of local variables: they hold the token."""
        if not isinstance(step, Call):
            headers = {"Content-Length": str(step.size_bytes)} if isinstance(step, Upload) else {}
            return {"method": step.method, "url": step.url, "headers": headers, "content": content}
        headers = {"Accept": "application/json", "Authorization": f"Bearer {self._secret.reveal()}"}
        if content is not None:
            headers["Content-Type"] = "application/json"
        url = httpx.URL(self._base_url + step.path, params=step.query) if step.query else self._base_url + step.path
        arguments = {"method": step.method, "url": url, "headers": headers, "content": content}
        return {**arguments, "timeout": BRIEF_SECONDS} if step.is_brief else arguments

    def _fault(self, step: Request, error: Exception) -> Fault:
        text = self._secret.redact(str(error)) or type(error).__name__
        if isinstance(error, _NOT_SENT):
            return Fault(FaultKind.NOT_SENT, f"no connection: {text}")
        torn = isinstance(step, Download) and step.start is None
        return Fault(FaultKind.TORN if torn else FaultKind.LOST, f"no whole answer: {text}")


class _Intake:
    """Takes an answer in, piece by piece: into memory, or into the sink of a download; never beyond its bound."""

    def __init__(self, step: Request, response: httpx.Response, max_answer_bytes: int) -> None:
        self._response = response
        self._sink = step.sink if isinstance(step, Download) and response.status_code == 200 else None
        self._bound = step.max_bytes if isinstance(step, Download) and self._sink else max_answer_bytes
        self._body = bytearray()
        self._received = 0

    def take(self, chunk: bytes) -> bool:
        """Take one piece, or return False because it goes beyond the bound."""
        self._received += len(chunk)
        if self._bound is not None and self._received > self._bound:
            return False
        if self._sink is None:
            self._body += chunk
        else:
            self._sink.write(chunk)
        return True

    def oversized(self) -> Fault:
        return Fault(FaultKind.OVERSIZED, f"the answer has more than {self._bound:,} bytes")

    def answer(self) -> Answer:
        headers = {name.lower(): value for name, value in self._response.headers.items()}
        return Answer(self._response.status_code, headers, bytes(self._body), self._received)


class SyncSender(_Sender):
    """Sends over `httpx.Client`; one pool of connections, safe to use from several threads."""

    def __init__(self, base_url: str, secret: Secret, settings: Settings) -> None:
        super().__init__(base_url, secret, settings)
        self._http = httpx.Client(**self._options)

    def send(self, step: Request) -> Answer | Fault:
        """Send one request once."""
        if isinstance(step, Download):
            step.rewind()
        content = step.chunks() if isinstance(step, Upload) else step.content() if isinstance(step, Call) else None
        try:
            with self._http.stream(**self._arguments(step, content)) as response:
                intake = _Intake(step, response, self._max_answer_bytes)
                for chunk in response.iter_bytes(CHUNK_BYTES):
                    if not intake.take(chunk):
                        return intake.oversized()
                return intake.answer()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return self._fault(step, error)
        except BaseException as error:
            _bare(error)
            raise

    def close(self) -> None:
        """Close all connections."""
        self._http.close()


class AsyncSender(_Sender):
    """Sends over `httpx.AsyncClient`. Files are read and written in the loop's own thread."""

    def __init__(self, base_url: str, secret: Secret, settings: Settings) -> None:
        super().__init__(base_url, secret, settings)
        self._http = httpx.AsyncClient(**self._options)

    async def send(self, step: Request) -> Answer | Fault:
        """Send one request once."""
        if isinstance(step, Download):
            step.rewind()
        content = _aiter(step) if isinstance(step, Upload) else step.content() if isinstance(step, Call) else None
        try:
            async with self._http.stream(**self._arguments(step, content)) as response:
                intake = _Intake(step, response, self._max_answer_bytes)
                async for chunk in response.aiter_bytes(CHUNK_BYTES):
                    if not intake.take(chunk):
                        return intake.oversized()
                return intake.answer()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            return self._fault(step, error)
        except BaseException as error:
            _bare(error)
            raise

    async def close(self) -> None:
        """Close all connections."""
        await self._http.aclose()


async def _aiter(step: Upload) -> AsyncIterator[bytes]:
    for chunk in step.chunks():
        yield chunk


def _bare(error: BaseException) -> None:
    """Take the frames of httpx, whose variables hold the token, out of an interrupt or an error of a sink."""
    error.__context__ = error.__cause__ = error.__traceback__ = None


class _HideSignatures(logging.Filter):
    """httpx logs every URL at INFO; a presigned one opens a whole dump to whoever reads the log."""

    def filter(self, record: logging.LogRecord) -> bool:
        if isinstance(record.args, tuple):
            record.args = tuple(
                arg.copy_with(query=None) if isinstance(arg, httpx.URL) and _is_signed(arg) else arg
                for arg in record.args
            )
        return True


def _is_signed(url: httpx.URL) -> bool:
    return any("signature" in name.lower() for name in url.params)


logging.getLogger("httpx").addFilter(_HideSignatures())
