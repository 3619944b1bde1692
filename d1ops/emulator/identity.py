"""Who asks, and whether they may: tokens, the account, and the requests that one token may send."""

from __future__ import annotations

from collections import deque
from datetime import timedelta
from math import ceil
from threading import Lock
from typing import TYPE_CHECKING, Any

from d1ops.emulator.wire import Refused, Reply, success

if TYPE_CHECKING:
    from datetime import datetime

    from d1ops.emulator.settings import Settings
    from d1ops.emulator.wire import Request

TOKEN_ID = "d10d10d10d10d10d10d10d10d10d10d2"  # noqa: S105 - the id of a token, not a token
USER_ID = "d10d10d10d10d10d10d10d10d10d10d3"
_PERMISSIONS = ("d1:read", "d1:write")
_SINCE = "2026-01-01T00:00:00.000000Z"


def credential(request: Request) -> str:
    """Return the token or the legacy key of a request, or an empty string."""
    return request.token or request.headers.get("x-auth-key", "")


def may_edit(settings: Settings, request: Request) -> bool:
    """Return whether the request may change anything. Raises Refused where it may not even read.

    Which status Cloudflare gives to which fault of a token varies in the field; code 10000 is common to them.
    """
    given = credential(request)
    known = [token for token in (settings.token, settings.read_token, settings.analytics_token) if token]
    if not given or (known and given not in known):
        raise Refused(401, 10000, "Authentication error")
    return given not in (settings.read_token, settings.analytics_token)


def may_analyse(settings: Settings, request: Request) -> bool:
    """Return whether the token has Account Analytics: Read."""
    return settings.analytics_token in (None, credential(request))


def refuse_readers(*, may_edit: bool) -> None:
    """Raise Refused for a token that may only read."""
    if not may_edit:
        raise Refused(403, 10000, "Authentication error")


def refuse_other_accounts(settings: Settings, account: str) -> None:
    """Raise Refused for an account that is not this emulator's."""
    if account != settings.account_id:
        raise Refused(403, 7403, "The given account is not valid or is not authorized to access this service")


class RateLimit:
    """A limit of requests for each token: who goes over it is refused for a whole window."""

    def __init__(self, settings: Settings) -> None:
        self._limit = settings.rate_limit
        self._window = timedelta(seconds=settings.rate_window_seconds)
        self._lock = Lock()
        self._times: dict[str, deque[datetime]] = {}
        self._until: dict[str, datetime] = {}

    def check(self, token: str, now: datetime) -> None:
        """Count a request. Raises Refused, with Retry-After, for one too many."""
        if self._limit is None:
            return
        with self._lock:
            times = self._times.setdefault(token, deque())
            while times and times[0] <= now - self._window:
                times.popleft()
            if len(times) >= self._limit and self._until.get(token, now) <= now:
                self._until[token] = now + self._window
            wait = self._until.get(token, now) - now
            if wait > timedelta(0):
                seconds = str(ceil(wait.total_seconds()))
                raise Refused(429, 971, "Please wait and consider throttling your request speed", _headers(seconds))
            times.append(now)


def _headers(seconds: str) -> dict[str, str]:
    return {"retry-after": seconds, "ratelimit": f'"default";r=0;t={seconds}'}


# -- what wrangler asks before it works ------------------------------------------------------------------------------


def account(settings: Settings) -> dict[str, Any]:
    """Describe the one account."""
    return {
        "id": settings.account_id,
        "name": "d1ops emulator",
        "type": "standard",
        "settings": {"enforce_twofactor": False, "abuse_contact_email": None},
        "created_on": _SINCE,
    }


def accounts(settings: Settings) -> Reply:
    """Answer `GET /accounts`."""
    return success([account(settings)], result_info=_one_page())


def memberships(settings: Settings) -> Reply:
    """Answer `GET /memberships`."""
    held = {
        "id": USER_ID,
        "status": "accepted",
        "api_access_enabled": None,
        "account": account(settings),
        "roles": ["Administrator"],
        "permissions": {name.partition(":")[0]: {"read": True, "write": True} for name in _PERMISSIONS},
    }
    return success([held], result_info=_one_page())


def user() -> Reply:
    """Answer `GET /user`."""
    return success(
        {
            "id": USER_ID,
            "email": "emulator@example.com",
            "first_name": None,
            "last_name": None,
            "two_factor_authentication_enabled": False,
            "suspended": False,
            "created_on": _SINCE,
            "modified_on": _SINCE,
        }
    )


def verify() -> Reply:
    """Answer `GET /user/tokens/verify` for a token that was let in."""
    message = {"code": 10000, "message": "This API Token is valid and active", "type": None}
    return success({"id": TOKEN_ID, "status": "active"}, messages=[message])


def _one_page() -> dict[str, int]:
    return {"page": 1, "per_page": 50, "count": 1, "total_count": 1, "total_pages": 1}
