"""The API token, in a wrapping that does not show it."""

from __future__ import annotations

import re
from typing import NoReturn

from d1ops.errors import ConfigError

_SENDABLE = re.compile(r"[\x21-\x7e]+")


class Secret:
    """A text that no repr, format, pickle or comparison gives away; only `reveal` does.

    Making one never raises, so that no traceback holds a frame with the bare text; `check` comes after.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return "Secret(***)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a secret is not written anywhere")

    def reveal(self) -> str:
        """Return the text. Keep it out of local variables: tracebacks may show these."""
        return self._text

    def check(self) -> None:
        """Raise ConfigError unless the text can be sent in a header."""
        if not _SENDABLE.fullmatch(self._text):
            raise ConfigError(
                "the API token is empty or holds characters that no token has",
                key="CLOUDFLARE_API_TOKEN",
                hint="set CLOUDFLARE_API_TOKEN to the token alone, without quotes, spaces or line ends",
            )

    def redact(self, text: str) -> str:
        """Return `text` with the secret blotted out."""
        return text.replace(self._text, "***") if self._text else text
