"""Requests and answers as values, and programs made of them.

Nothing here reaches the network. An endpoint is a `Call`; a protocol of several requests is a generator that yields
steps and receives what came of each (`Steps`). The sync and the async driver run the same generators.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, BinaryIO, Generic, NamedTuple, TypeAlias, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")
"""What a call or a protocol gives in the end."""

BRIEF_SECONDS = 8.0


class Safety(Enum):
    """What repeating a request would do."""

    READ = "read"
    """It changes nothing; a lost answer says nothing about the database."""
    IDEMPOTENT = "idempotent"
    """It may change something, and doing it twice is the same as doing it once."""
    WRITE = "write"
    """Doing it twice is not doing it once: repeated only if it provably was not executed."""


class Envelope(NamedTuple):
    """The part of Cloudflare's envelope that a parser sees."""

    result: Any
    info: Any = None


@dataclass(frozen=True, slots=True)
class Call(Generic[T]):
    """One request to the API. `parse` raises ValueError for a result that is not an answer."""

    method: str
    path: str
    """Below the base URL, with every segment quoted."""
    parse: Callable[[Envelope], T]
    query: tuple[tuple[str, str], ...] = ()
    body: Mapping[str, object] | None = None
    safety: Safety = Safety.READ
    is_graphql: bool = False
    """Whether the answer is `{data, errors}`, without Cloudflare's envelope."""
    is_brief: bool = False
    """Whether the caller can do without: the answer is waited for `BRIEF_SECONDS`, and asked for once."""

    def content(self) -> bytes | None:
        """Return the body as JSON."""
        if self.body is None:
            return None
        return json.dumps(self.body, ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode()


@dataclass(frozen=True, slots=True)
class Upload:
    """A file put to a presigned URL, without the token. The URL is a secret of its own."""

    url: str = field(repr=False)
    source: BinaryIO
    start: int
    size_bytes: int
    md5: str
    """Hexadecimal. The answer's ETag must be this in double quotes."""
    method: str = "PUT"
    safety: Safety = Safety.READ
    """An upload alone does not touch the database."""

    def chunks(self) -> Iterator[bytes]:
        """Yield the file from its start; every attempt begins anew."""
        self.source.seek(self.start)
        while chunk := self.source.read(CHUNK_BYTES):
            yield chunk


@dataclass(frozen=True, slots=True)
class Download:
    """A file fetched from a presigned URL, without the token, into a sink. The URL is a secret of its own."""

    url: str = field(repr=False)
    sink: BinaryIO
    start: int | None
    """Where the sink stood, if it can go back there; a torn download into any other sink is not repeated."""
    max_bytes: int | None = None
    method: str = "GET"
    safety: Safety = Safety.READ

    def rewind(self) -> None:
        """Take back what a torn attempt wrote."""
        if self.start is not None and self.sink.tell() != self.start:
            self.sink.seek(self.start)
            self.sink.truncate()


CHUNK_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Pace:
    """Wait until `seconds` have passed since the last request was sent."""

    seconds: float


Request: TypeAlias = Call[Any] | Upload | Download
Step: TypeAlias = Request | Pace
Steps: TypeAlias = Generator[Step, Any, T]
"""A protocol: yields steps, receives their values (or has the error thrown in), returns a `T`."""


@overload
def send(step: Call[T]) -> Steps[T]: ...


@overload
def send(step: Upload | Pace) -> Steps[None]: ...


@overload
def send(step: Download) -> Steps[int]: ...


def send(step: Step) -> Steps[Any]:
    """Return the protocol of one step. A download gives the number of bytes that it wrote."""
    return (yield step)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. Names of headers are in lower case; the body of a finished download is in its sink."""

    status: int
    headers: Mapping[str, str]
    body: bytes = field(default=b"", repr=False)
    received_bytes: int = 0


class FaultKind(Enum):
    """Why there is no answer."""

    NOT_SENT = "not sent"
    """No connection: the request provably never left."""
    LOST = "lost"
    """It left, wholly or in part, and no whole answer came."""
    TORN = "torn"
    """A download stopped after its sink took bytes that cannot be taken back."""
    OVERSIZED = "oversized"
    """The answer is larger than its bound."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A request that got no answer."""

    kind: FaultKind
    text: str
