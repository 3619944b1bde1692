"""Base URLs and path segments: what may be asked, and over which wire."""

from __future__ import annotations

from ipaddress import ip_address
from urllib.parse import quote, urlsplit

from d1ops.errors import ConfigError, UsageError

DEFAULT_BASE_URL = "https://api.cloudflare.com/client/v4"


def is_loopback(url: str) -> bool:
    """Return whether a URL points at this machine."""
    host = urlsplit(url).hostname or ""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def is_private(url: str) -> bool:
    """Return whether nobody on the way can read what is sent to a URL: https, or http to this machine."""
    try:
        parts = urlsplit(url)
        known = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
    return known and (parts.scheme == "https" or (parts.scheme == "http" and is_loopback(url)))


def check_base_url(url: str) -> str:
    """Return a base URL without a final slash.

    Raises ConfigError for plain http to another machine, which would show the token to the network, and for a URL
    with a user, a query or a fragment.
    """
    if not is_private(url):
        raise ConfigError(
            "the API's base URL is neither https nor http to this machine",
            key="CLOUDFLARE_API_BASE_URL",
            hint=f"use an https URL; the default is {DEFAULT_BASE_URL}",
        )
    parts = urlsplit(url)
    if parts.username is not None or parts.password is not None or parts.query or parts.fragment:
        raise ConfigError(
            "the API's base URL holds more than a host and a path",
            key="CLOUDFLARE_API_BASE_URL",
            hint=f"use a URL such as {DEFAULT_BASE_URL}",
        )
    return url.rstrip("/")


def segment(text: str, what: str) -> str:
    """Return an id or a name as one segment of a path. Raises UsageError for one that could change the path."""
    if text in ("", ".", ".."):
        raise UsageError(f"{text!r} is no {what}")
    return quote(text, safe="")
