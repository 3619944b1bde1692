"""An emulator on a loopback port: in the foreground for `d1ops emulate`, in a thread for tests."""

from __future__ import annotations

import socket
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from d1ops.emulator.app import App
from d1ops.emulator.routes import BASE
from d1ops.emulator.settings import Settings
from d1ops.emulator.state import State
from d1ops.errors import ConfigError

if TYPE_CHECKING:
    import asyncio
    from types import TracebackType
    from typing import Any, Self

    from starlette.types import Scope

    from d1ops.database.base import Database
    from d1ops.emulator.app import Observer
    from d1ops.emulator.faults import Fault, Hold
    from d1ops.emulator.wire import Reply

ANY_TOKEN = "emulator"  # noqa: S105 - any text is a token where none is set
HOST = "127.0.0.1"


class Emulator:
    """A D1 API of its own. A context manager that serves in a thread, or `serve` for the foreground.

    `port` 0 takes a free one. `observe` is called after every request. Raises ConfigError for a port that is taken and
    for a data folder that is not an emulator's.
    """

    def __init__(self, settings: Settings | None = None, *, port: int = 0, observe: Observer | None = None) -> None:
        self.settings = settings or Settings()
        with ExitStack() as stack:
            self._socket = stack.enter_context(_listen(port))
            self.state = State(self.settings)
            stack.pop_all()
        self.request_count = 0
        self._observe = observe
        self._server = uvicorn.Server(
            uvicorn.Config(
                App(self.state, self._hang_up, self._note),
                http=self._protocol(),
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_graceful_shutdown=5,
            )
        )
        self._thread = threading.Thread(target=self.serve, name="d1ops-emulator", daemon=True)
        self._transports: dict[Any, asyncio.Transport] = {}

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self._socket.getsockname()[1]}"

    @property
    def base_url(self) -> str:
        """What CLOUDFLARE_API_BASE_URL has to be."""
        return self.url + BASE

    def environment(self) -> dict[str, str]:
        """Return the variables that point Cloudflare's clients, and d1ops, here."""
        return {
            "CLOUDFLARE_API_BASE_URL": self.base_url,
            "CLOUDFLARE_ACCOUNT_ID": self.settings.account_id,
            "CLOUDFLARE_API_TOKEN": self.settings.token or ANY_TOKEN,
        }

    def create_database(self, name: str) -> str:
        """Create a database without a request and return its uuid."""
        made = self.state.registry.create(name, jurisdiction=None, location=None, replication="disabled")
        return made.record.uuid

    def database(self, database_id: str) -> Database:
        """Return the engine behind a database, to look at it without a request. It belongs to the emulator."""
        return self.state.registry.by_id(database_id).database

    def inject(self, fault: Fault | Reply | Hold, *, nth: int = 1) -> None:
        """Spoil the `nth` request from now on; a `Reply` is sent without carrying the request out, a `Hold` waits."""
        self.state.inject(fault, nth=nth)

    def inject_nothing(self) -> None:
        """Forget the faults that were injected and did not come to their turn."""
        self.state.inject_nothing()

    def serve(self) -> None:
        """Serve until `stop`, or in the main thread until SIGINT or SIGTERM."""
        self._server.run(sockets=[self._socket])

    def stop(self) -> None:
        """Let `serve` return."""
        self._server.should_exit = True

    def close(self) -> None:
        """Let go of the port, the engines and a temporary folder."""
        self._socket.close()
        self.state.close()

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        self.stop()
        self._thread.join()
        self.close()

    def _note(self, request: Any, status: int) -> None:
        self.request_count += 1
        if self._observe is not None:
            self._observe(request, status)

    def _protocol(self) -> type[H11Protocol]:
        """Return the protocol of uvicorn, which also remembers the connections, because ASGI cannot drop one."""
        emulator = self

        class Remembered(H11Protocol):
            def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
                emulator._transports[transport.get_extra_info("peername")] = transport
                super().connection_made(transport)

            def connection_lost(self, exc: Exception | None) -> None:
                emulator._transports.pop(self.transport.get_extra_info("peername"), None)
                super().connection_lost(exc)

        return Remembered

    def _hang_up(self, scope: Scope) -> None:
        transport = self._transports.get(tuple(scope["client"]))
        if transport is not None:
            transport.close()


def _listen(port: int) -> socket.socket:
    # asyncio turns Nagle's algorithm off only where the protocol is named; with it an answer takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
        listener.listen(128)
    except OSError as error:
        listener.close()
        raise ConfigError(
            f"port {port} of {HOST} cannot be used: {error.strerror}", hint="--port 0 takes a free one"
        ) from None
    return listener
