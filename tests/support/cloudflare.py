"""A stand-in for Cloudflare's D1 REST API: a real HTTP server on loopback over real databases.

It knows what the tests of the client and of the commands need: databases, statements, export, import, Time Travel, the
envelope and its codes. It remembers every request and can spoil any of them. Shapes and texts are those of
Cloudflare's API reference and of what was seen in the field; where D1's own answer is not known it says so.
"""

from __future__ import annotations

import hashlib
import json
import re
import socket
import threading
import uuid
from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from d1ops.core.sql import is_read, split
from d1ops.core.values import Bookmark
from d1ops.database.base import Database
from d1ops.errors import D1opsError, NotFound, ScriptError, StatementRejected, UsageError
from tests.support.wire import Refused, Reply, envelope, read_json, read_statements, success, write_entry, write_meta

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

ACCOUNT = "acc1"
EDIT_TOKEN = "token-that-may-edit"
READ_TOKEN = "token-that-may-read"
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_BASE = "/client/v4"


class Rewindable(Database, Protocol):
    """A database that also finds bookmarks by time."""

    def bookmark_at(self, when: datetime) -> Bookmark: ...


@dataclass(frozen=True)
class Request:
    """A request as it arrived, and the status of its answer; 0 when the connection was dropped."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes
    headers: dict[str, str]
    status: int

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Drop(Enum):
    """A connection that ends without an answer."""

    BEFORE = "before the request was carried out"
    AFTER = "after it was carried out"


Fault: TypeAlias = Drop | Reply


@dataclass
class Hosted:
    """A database and what the API tells of it."""

    id: str
    name: str
    database: Rewindable
    jurisdiction: str | None = None
    replication: str = "disabled"


class FakeCloudflare:
    """One account. Use it as a context manager; `base_url` is what the client gets.

    `open_database` makes the database of a new uuid; `tokens` says which of them may edit. A task of export or import
    answers `active_polls` times that it is still running.
    """

    def __init__(
        self,
        open_database: Callable[[str], Rewindable],
        *,
        tokens: Mapping[str, bool] | None = None,
        active_polls: int = 1,
    ) -> None:
        self.requests: list[Request] = []
        self.databases: dict[str, Hosted] = {}
        self._open_database = open_database
        self._tokens = {EDIT_TOKEN: True, READ_TOKEN: False} if tokens is None else dict(tokens)
        self._active_polls = active_polls
        self._faults: dict[int, Fault] = {}
        self._files: dict[str, bytes] = {}
        self._tasks: dict[str, list[dict[str, Any]]] = {}
        self._lock = threading.Lock()
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.01,))
        self.url = f"http://127.0.0.1:{self._http.server_port}"
        self.base_url = self.url + _BASE

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, frames: TracebackType | None
    ) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()
        for hosted in self.databases.values():
            hosted.database.close()

    def add(self, name: str, *, jurisdiction: str | None = None) -> Hosted:
        """Create a database without a request."""
        id_ = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{len(self.databases)}.{name}"))
        self.databases[id_] = Hosted(id_, name, self._open_database(id_), jurisdiction)
        return self.databases[id_]

    def inject(self, fault: Fault, *, nth: int = 1) -> None:
        """Spoil the `nth` request from now on. A `Reply` is sent without carrying the request out."""
        self._faults[len(self.requests) + nth] = fault

    # -- one request -------------------------------------------------------------------------------------------------

    def answer(self, method: str, target: str, headers: dict[str, str], body: bytes) -> Reply | None:
        """Answer a request, one at a time as a database does; None drops the connection."""
        url = urlsplit(target)
        query = dict(parse_qsl(url.query, keep_blank_values=True))
        with self._lock:
            fault = self._faults.pop(len(self.requests) + 1, None)
            reply: Reply | None = fault if isinstance(fault, Reply) else None
            if fault in (None, Drop.AFTER):
                reply = self._carry_out(method, url.path, query, headers, body)
            if isinstance(fault, Drop):
                reply = None
            self.requests.append(Request(method, url.path, query, body, headers, reply.status if reply else 0))
        if reply is None:
            return None
        return Reply(reply.status, reply.body, {"cf-ray": f"{len(self.requests):016x}-AMS", **reply.headers})

    def _carry_out(self, method: str, path: str, query: dict[str, str], headers: dict[str, str], body: bytes) -> Reply:
        if path.startswith("/files/"):
            return self._file(method, path.removeprefix("/files/"), headers, body)
        try:
            may_edit = self._permission(headers, path)
            rest = path.removeprefix(f"{_BASE}/accounts/{ACCOUNT}/d1/database").strip("/").split("/")
            return self._route(method, [part for part in rest if part], query, read_json(body), may_edit=may_edit)
        except Refused as refused:
            errors = [{"code": refused.code, "message": refused.message}]
            return envelope(refused.status, {"success": False, "errors": errors, "messages": [], "result": None})

    def _permission(self, headers: dict[str, str], path: str) -> bool:
        """Return whether the token may edit. Which refusal D1 gives for which fault of a token varies in the field."""
        token = headers.get("authorization", "").removeprefix("Bearer ")
        if token not in self._tokens:
            raise Refused(401, 10000, "Authentication error")
        if not path.startswith(f"{_BASE}/accounts/{ACCOUNT}/"):
            raise Refused(403, 7403, "The given account is not valid or is not authorized to access this service")
        return self._tokens[token]

    def _route(self, method: str, rest: list[str], query: dict[str, str], body: Any, *, may_edit: bool) -> Reply:
        match method, rest:
            case "GET", []:
                return self._list(query)
            case "GET", [key]:
                return success(self._describe(self._find(key), query.get("fields")))
            case "POST", [key, "query" | "raw" as form]:
                return self._run(self._by_id(key), form, body, may_edit=may_edit)
            case "GET", [key, "time_travel", "bookmark"]:
                return self._bookmark(self._by_id(key), query)
        if not may_edit:
            raise Refused(403, 10000, "Authentication error")
        match method, rest:
            case "POST", []:
                return self._create(body)
            case "PUT" | "PATCH", [key]:
                hosted = self._find(key)
                hosted.replication = body["read_replication"]["mode"]
                return success(self._describe(hosted))
            case "DELETE", [key]:
                self.databases.pop(self._find(key).id).database.close()
                return success(None)
            case "POST", [key, "export"]:
                return self._export(self._by_id(key), body)
            case "POST", [key, "import"]:
                return self._import(self._by_id(key), body)
            case "POST", [key, "time_travel", "restore"]:
                return self._restore(self._by_id(key), query)
        raise Refused(404, 7000, "No route for that URI")

    # -- databases ---------------------------------------------------------------------------------------------------

    def _find(self, key: str) -> Hosted:
        for hosted in self.databases.values():
            if key in (hosted.id, hosted.name):
                return hosted
        raise Refused(404, 7404, f"The database {key} could not be found")

    def _by_id(self, key: str) -> Hosted:
        if not _UUID.fullmatch(key):
            raise Refused(400, 7400, "Invalid property: databaseId => Invalid uuid")
        return self._find(key)

    def _describe(self, hosted: Hosted, fields: str | None = None) -> dict[str, Any]:
        tables = hosted.database.query("SELECT count(*) FROM sqlite_schema WHERE type = 'table'")
        facts = {
            "uuid": hosted.id,
            "name": hosted.name,
            "created_at": "2026-01-01T00:00:00.000Z",
            "version": "production",
            "num_tables": tables.scalar(),
            "file_size": tables.meta.size_after_bytes,
            "running_in_region": "WEUR",
            "read_replication": {"mode": hosted.replication},
            "jurisdiction": hosted.jurisdiction,
        }
        return {name: facts[name] for name in fields.split(",")} if fields else facts

    def _list(self, query: dict[str, str]) -> Reply:
        page, size = int(query.get("page", 1)), int(query.get("per_page", 10))
        found = [hosted for hosted in self.databases.values() if query.get("name", "") in hosted.name]
        shown = found[(page - 1) * size : page * size]
        info = {"page": page, "per_page": size, "count": len(shown), "total_count": len(found)}
        return success([self._describe(hosted) for hosted in shown], result_info=info)

    def _create(self, body: Any) -> Reply:
        name = body.get("name", "")
        if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", name):
            raise Refused(400, 7400, "Invalid property: name => Invalid")
        if any(hosted.name == name for hosted in self.databases.values()):
            raise Refused(400, 7502, f"A database with the name {name} already exists")
        return success(self._describe(self.add(name, jurisdiction=body.get("jurisdiction"))))

    # -- statements --------------------------------------------------------------------------------------------------

    def _run(self, hosted: Hosted, form: str, body: Any, *, may_edit: bool) -> Reply:
        statements = read_statements(body)
        if not may_edit and not all(is_read(statement.sql) for statement in statements):
            raise Refused(403, 10000, "Authentication error")
        try:
            results = hosted.database.batch(statements, lossy=True)
        except StatementRejected as error:
            raise Refused(400, 7500, error.text) from None
        except UsageError:  # The one thing that JSON parameters can have wrong.
            raise Refused(400, 7500, "Wrong number of parameter bindings for SQL query.") from None
        except D1opsError:
            raise Refused(500, 7500, f"internal error; reference = {len(self.requests):024x}") from None
        return success([write_entry(result, form) for result in results])

    # -- export and import -------------------------------------------------------------------------------------------

    def _export(self, hosted: Hosted, body: Any) -> Reply:
        options = body.get("dump_options") or {}
        if any(options.get(name) for name in ("no_schema", "no_data", "tables", "compatibility")):
            raise Refused(501, 7501, "this stand-in dumps whole databases only")
        if "current_bookmark" in body:
            return self._poll(body["current_bookmark"], "Not currently exporting anything.")
        dump = BytesIO()
        try:
            hosted.database.export(dump)
        except D1opsError as error:
            return self._start("export", {"status": "error", "success": False, "error": error.message})
        url = self._store(dump.getvalue())
        done = {"status": "complete", "result": {"filename": f"{hosted.name}.sql", "signed_url": url}}
        return self._start("export", done)

    def _import(self, hosted: Hosted, body: Any) -> Reply:
        match body:
            case {"action": "init", "etag": str(etag)} if etag not in self._files:
                return success({"success": True, "filename": etag, "upload_url": f"{self.url}/files/{etag}"})
            case {"action": "init" | "ingest", "etag": str(etag)} if etag in self._files:
                return self._ingest(hosted, self._files.pop(etag).decode())
            case {"action": "poll", "current_bookmark": str(task)}:
                return self._poll(task, "Not currently importing anything.")
        raise Refused(400, 7400, "Invalid property: action => Invalid input")

    def _ingest(self, hosted: Hosted, script: str) -> Reply:
        try:
            meta = write_meta(hosted.database.ingest(script))
        except (StatementRejected, ScriptError) as error:
            text = error.text if isinstance(error, StatementRejected) else "incomplete input: SQLITE_ERROR"
            return self._start("import", {"status": "error", "success": False, "error": text})
        bookmark = hosted.database.bookmark()
        counted = {"num_queries": len(split(script)), "final_bookmark": bookmark, "meta": meta}
        return self._start("import", {"status": "complete", "result": counted})

    def _start(self, kind: str, end: dict[str, Any]) -> Reply:
        task = f"{len(self._tasks):08x}-ffffffff-00000000-{'0' * 32}"
        about = {"success": True, "type": kind, "at_bookmark": task, "messages": []}
        self._tasks[task] = [{**about, "status": "active", "messages": ["Working"]}] * self._active_polls
        self._tasks[task].append({**about, **end})
        return self._poll(task, "")

    def _poll(self, task: str, otherwise: str) -> Reply:
        if not self._tasks.get(task):
            return success({"success": False, "error": otherwise, "messages": []})
        state = self._tasks[task].pop(0)
        return success(state, status=202 if state["status"] == "active" else 200)

    def _store(self, data: bytes) -> str:
        name = hashlib.md5(data, usedforsecurity=False).hexdigest()
        self._files[name] = data
        return f"{self.url}/files/{name}"

    def _file(self, method: str, name: str, headers: dict[str, str], body: bytes) -> Reply:
        """The presigned storage, which refuses a request that also carries a token."""
        if "authorization" in headers:
            return Reply(400, b"<Error><Code>InvalidArgument</Code></Error>")
        if method == "PUT":
            etag = self._store(body).rpartition("/")[2]
            return Reply(200, b"", {"ETag": f'"{etag}"'})
        data = self._files.pop(name, None)
        return Reply(404, b"<Error><Code>NoSuchKey</Code></Error>") if data is None else Reply(200, data)

    # -- Time Travel -------------------------------------------------------------------------------------------------

    def _bookmark(self, hosted: Hosted, query: dict[str, str]) -> Reply:
        return success({"bookmark": _bookmark_of(hosted, query)})

    def _restore(self, hosted: Hosted, query: dict[str, str]) -> Reply:
        wanted = query.get("bookmark")
        try:
            restored = hosted.database.restore(Bookmark(wanted) if wanted else _bookmark_of(hosted, query))
        except NotFound as error:  # D1's own text and code are not known.
            raise Refused(404, 7404, error.text) from None
        undo = restored.undo
        return success({"bookmark": restored.bookmark, "previous_bookmark": undo, "message": f"undo with {undo}"})


def _bookmark_of(hosted: Hosted, query: dict[str, str]) -> Bookmark:
    if "timestamp" not in query:
        return hosted.database.bookmark()
    try:
        return hosted.database.bookmark_at(datetime.fromisoformat(query["timestamp"]))
    except NotFound as error:  # D1's own text and code are not known.
        raise Refused(404, 7404, error.text) from None


def _handler_of(server: FakeCloudflare) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            headers = {name.lower(): value for name, value in self.headers.items()}
            reply = server.answer(self.command, self.path, headers, body)
            self.close_connection = True
            if reply is None:
                self.connection.shutdown(socket.SHUT_RDWR)
                return
            self.send_response(reply.status)
            for name, value in {**reply.headers, "Connection": "close"}.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(reply.body)))
            self.end_headers()
            self.wfile.write(reply.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is the base class's
            pass

    for method in ("GET", "POST", "PUT", "PATCH", "DELETE"):
        setattr(Handler, f"do_{method}", Handler.answer)
    return Handler


def paths(requests: Sequence[Request]) -> list[str]:
    """Return what was asked for, without the account: `POST <uuid>/raw`."""
    prefix = f"{_BASE}/accounts/{ACCOUNT}/d1/database"
    return [f"{request.method} {request.path.removeprefix(prefix).strip('/')}" for request in requests]
