"""The object storage behind export and import: files behind signed URLs that expire.

Cloudflare keeps them in R2 and hands out presigned URLs: who has one needs no token, and one that comes with a token
is refused, because a request may be authorised in one way only.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from typing import TYPE_CHECKING
from urllib.parse import urlencode

from d1ops.emulator.wire import Reply, storage_error

if TYPE_CHECKING:
    from d1ops.emulator.registry import Registry
    from d1ops.emulator.settings import Settings
    from d1ops.emulator.wire import Request

PREFIX = "/r2/"
_PATH = re.compile(r"/r2/(?P<database>[0-9a-f-]{36})/(?P<name>[0-9A-Za-z_-]+\.sql)")


class Storage:
    """Signs URLs and serves what they name."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._secret = secrets.token_bytes(32)

    def url(self, request: Request, method: str, database: str, name: str) -> str:
        """Return a URL for one method on one file, reached as `request` reached the server."""
        path = f"{PREFIX}{database}/{name}"
        expires = int(self._settings.now().timestamp() + self._settings.url_seconds)
        query = {"X-Amz-Expires": str(expires), "X-Amz-Signature": self._signature(method, path, str(expires))}
        return f"{request.origin}{path}?{urlencode(query)}"

    def refusal(self, request: Request) -> Reply | None:
        """Return why a request is refused, or None. Asked before its body is read."""
        if "authorization" in request.headers:
            return storage_error(400, "InvalidArgument", "Only one auth mechanism allowed")
        expires = request.query.get("X-Amz-Expires", "")
        wanted = self._signature(request.method, request.path, expires)
        if not hmac.compare_digest(wanted.encode(), request.query.get("X-Amz-Signature", "").encode()):
            return storage_error(403, "SignatureDoesNotMatch", "The request signature does not match")
        if int(expires) < self._settings.now().timestamp():
            return storage_error(403, "AccessDenied", "Request has expired")
        return None

    def answer(self, request: Request, registry: Registry) -> Reply:
        """Take or give a file."""
        refusal = self.refusal(request)
        if refusal is not None:
            return refusal
        parts = _PATH.fullmatch(request.path)
        known = {hosted.record.uuid: hosted for hosted in registry.all()}
        if parts is None or parts["database"] not in known:
            return storage_error(404, "NoSuchKey", "The specified key does not exist.")
        file = known[parts["database"]].files / parts["name"]
        if request.method == "PUT":
            assert request.upload is not None
            request.upload.file.replace(file)
            return Reply(200, headers={"etag": f'"{request.upload.md5}"'})
        if not file.is_file():
            return storage_error(404, "NoSuchKey", "The specified key does not exist.")
        return Reply(200, headers={"content-type": "application/sql"}, file=file)

    def _signature(self, method: str, path: str, expires: str) -> str:
        text = f"{method}\n{path}\n{expires}".encode(errors="surrogatepass")
        return hmac.new(self._secret, text, hashlib.sha256).hexdigest()
