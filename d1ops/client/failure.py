"""What an answer that is no success says, and what may be concluded about a write.

`diagnose` reads status, Cloudflare's code and text together, because none of them is enough: code 7500 is any SQL error
and also a generic internal one, 429 covers a queue that never took the request and an object that was reset while it
worked. Where texts and codes leave a doubt, the doubt is kept: for a write it ends as `OutcomeUnknown`.

Sources: Cloudflare's D1 documentation (observability/debug-d1, release notes), workerd's `sqlite.c++` for the grammar
of the engine's messages, and public reports of live answers.
"""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any

from d1ops.client.call import Answer, Envelope, Fault, FaultKind, Safety
from d1ops.core import quick_json
from d1ops.errors import (
    DatabaseError,
    Denied,
    NotFound,
    OutcomeUnknown,
    RateLimited,
    StatementRejected,
    UnexpectedResponse,
    Unreachable,
)

if TYPE_CHECKING:
    from collections.abc import Mapping


class Verdict(Enum):
    """What may be concluded from a failure."""

    NOT_EXECUTED = "refused before it was executed; asking again may help"
    LIMITED = "refused before it was executed, because of too many requests"
    DENIED = "the token may not do this"
    NOT_FOUND = "no such account or database"
    MALFORMED = "the API does not understand the request"
    REFUSED = "the API understood the request and says no"
    REJECTED = "the engine rejected a statement and rolled back"
    LOST = "no answer: it may have been executed"
    GARBLED = "an answer that cannot be read: it may have been executed"
    OVERRUN = "too large for the engine: asking again ends the same way, and it may have been executed"


_ERROR_OF_A_READ: dict[Verdict, type[DatabaseError]] = {
    Verdict.NOT_EXECUTED: Unreachable,
    Verdict.LIMITED: RateLimited,
    Verdict.DENIED: Denied,
    Verdict.NOT_FOUND: NotFound,
    Verdict.MALFORMED: UnexpectedResponse,
    Verdict.REFUSED: DatabaseError,
    Verdict.REJECTED: StatementRejected,
    Verdict.LOST: Unreachable,
    Verdict.GARBLED: UnexpectedResponse,
    Verdict.OVERRUN: StatementRejected,
}

MAYBE_EXECUTED = frozenset((Verdict.LOST, Verdict.GARBLED, Verdict.OVERRUN))
"""For anything but a read these end as `OutcomeUnknown`."""

_HINTS = {
    Verdict.DENIED: "check CLOUDFLARE_API_TOKEN: reading takes the permission D1 Read, changing D1 Edit",
    Verdict.NOT_FOUND: "check the account id and the database's id",
    Verdict.LIMITED: "wait a few minutes; one account may send 1,200 requests in 5 minutes",
    Verdict.OVERRUN: "split it into smaller statements",
}


@dataclass(frozen=True, slots=True)
class Success:
    """A request that was answered as asked."""

    value: Any


@dataclass(frozen=True, slots=True)
class Failure:
    """A request that was not. `index` and `offset` are those of `StatementRejected`."""

    verdict: Verdict
    text: str
    code: int | None = None
    status: int | None = None
    ray: str | None = None
    retry_after_seconds: float | None = None
    repeatable: bool = True
    """Whether asking again could end otherwise."""
    index: int | None = None
    offset: int | None = None

    def error(self, safety: Safety) -> DatabaseError:
        """Return the error that says this of a request of this safety."""
        facts: dict[str, Any] = {"code": self.code, "status": self.status, "ray": self.ray}
        if safety is not Safety.READ and self.verdict in MAYBE_EXECUTED:
            return OutcomeUnknown(
                f"{self.text}; the request was sent, and whether it was carried out is not known",
                hint="look at the database before sending it again",
                **facts,
            )
        kind = _ERROR_OF_A_READ[self.verdict]
        if issubclass(kind, RateLimited):
            facts["retry_after_seconds"] = self.retry_after_seconds
        if issubclass(kind, StatementRejected):
            facts.update(index=self.index, offset=self.offset)
        return kind(self.text, hint=_HINTS.get(self.verdict), **facts)


Outcome = Success | Failure


class NotDone(Exception):
    """An entry of an answer that says of itself that it failed, inside an envelope that says success.

    `others` tells whether the answer holds more entries: then nothing says that they were rolled back.
    """

    def __init__(self, text: str, index: int, *, others: bool) -> None:
        super().__init__(text)
        self.text = text
        self.index = index
        self.others = others


# -- the texts -------------------------------------------------------------------------------------------

_OVERRUN = re.compile(
    r"storage operation exceeded timeout|exceeded its memory limit|exceeded its CPU time limit", re.IGNORECASE
)
_WHILE_AT_WORK = re.compile(r"reset|exceeded|time(?:d )?out|memory|CPU", re.IGNORECASE)
"""Words that make a limit one that was met on the way."""
_LOST = re.compile(
    r"internal error; reference|internal error (?:in|while starting up) D1|Durable Object was reset|D1_RESET_DO"
    r"|Network connection lost|caused object to be reset|reset because its code was updated"
    r"|transient issue on remote node|client disconnected|Not currently importing",
    re.IGNORECASE,
)
_BUSY = re.compile(r"Currently processing a long-running|Not currently exporting", re.IGNORECASE)
_QUEUED = re.compile(r"overloaded\. (?:Requests queued for too long|Too many requests queued)", re.IGNORECASE)
_ENGINE = re.compile(r"(?: at offset (?P<offset>\d+))?: SQLITE_(?P<code>[A-Z]+)(?: \(extended: \w+\))?\s*\Z")
_ENGINE_SAYS_NO = frozenset(
    ("ERROR", "CONSTRAINT", "AUTH", "TOOBIG", "MISMATCH", "RANGE", "NOMEM", "READONLY", "FULL", "MISUSE", "SCHEMA")
)
"""Result codes that come from the statement itself. The others come from below it, where a commit may fail too."""


def verdict_of_text(text: str) -> Verdict | None:
    """Return what a message alone allows to conclude, or None.

    Texts of a reset object come before the engine's grammar: a deferred foreign key that fails at commit may end with
    it, and taking a lost answer for a rejection is the worse mistake.
    """
    for pattern, verdict in (
        (_OVERRUN, Verdict.OVERRUN),
        (_LOST, Verdict.LOST),
        (_BUSY, Verdict.NOT_EXECUTED),
        (_QUEUED, Verdict.LIMITED),
    ):
        if pattern.search(text):
            return verdict
    engine = _ENGINE.search(text)
    return Verdict.REJECTED if engine and engine["code"] in _ENGINE_SAYS_NO else None


_BY_CODE = {
    10000: Verdict.DENIED,
    9109: Verdict.DENIED,
    6003: Verdict.DENIED,
    7403: Verdict.DENIED,
    7404: Verdict.NOT_FOUND,
    7429: Verdict.LIMITED,
    971: Verdict.LIMITED,
    10429: Verdict.LIMITED,
    7400: Verdict.MALFORMED,
    7009: Verdict.LOST,
}

OVERLOADED_DATABASE = 7429
"""The code of a limit that belongs to one database, not to the account."""


def _verdict(status: int, code: int | None, text: str) -> Verdict:
    by_text = verdict_of_text(text)
    if by_text is not None:
        return by_text
    if code == OVERLOADED_DATABASE and _WHILE_AT_WORK.search(text):
        return Verdict.OVERRUN
    if code in _BY_CODE:
        return _BY_CODE[code]
    if status in (408, 499) or status >= 500:
        return Verdict.LOST
    if code == 7500:
        return Verdict.REJECTED
    by_status = {401: Verdict.DENIED, 403: Verdict.DENIED, 404: Verdict.NOT_FOUND, 429: Verdict.LIMITED}
    if status in by_status:
        return by_status[status]
    return Verdict.REFUSED if status >= 400 else Verdict.GARBLED


def diagnose(answer: Answer) -> Envelope | Failure:
    """Return the envelope of an answer that says success, or what its failure means."""
    if answer.headers.get("cf-mitigated") == "challenge":
        return _failure(answer, Verdict.DENIED, "Cloudflare's firewall stopped the request with a challenge")
    if answer.status in (204, 205) and not answer.body:
        return Envelope(None)
    try:
        body = quick_json.loads(answer.body)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        return _not_an_envelope(answer)
    success = body.get("success")
    if success is True and answer.status < 400:
        return Envelope(body.get("result"), body.get("result_info"))
    if success is True:
        return _failure(answer, Verdict.GARBLED, "the answer says success and its status says failure")
    code, text = _first_error(body)
    if code is None and not text:
        text = f"the answer does not say whether it worked (HTTP {answer.status})"
    return _failure(answer, _verdict(answer.status, code, text), text or f"error {code}", code=code)


def diagnose_graphql(answer: Answer) -> Envelope | Failure:
    """Return the data of a GraphQL answer, or what its failure means. What the query did wrong comes with HTTP 200."""
    try:
        body = quick_json.loads(answer.body)
    except (ValueError, RecursionError):
        body = None
    if not isinstance(body, dict):
        return _not_an_envelope(answer)
    if answer.status < 400 and isinstance(body.get("data"), dict) and not body.get("errors"):
        return Envelope(body["data"])
    code, text = _first_error(body)
    verdict = _verdict(answer.status, code, text)
    if answer.status < 400:
        verdict = Verdict.DENIED if _NOT_AUTHORIZED.search(text) else Verdict.GARBLED
    return _failure(answer, verdict, text or "the answer holds neither data nor an error", code=code, repeatable=False)


_NOT_AUTHORIZED = re.compile(r"not authori[sz]ed|does not have access|permission|authz", re.IGNORECASE)
"""How GraphQL refuses, in words alone: `not authorized for that account`."""


def _not_an_envelope(answer: Answer) -> Failure:
    excerpt = answer.body[:200].decode(errors="replace")
    text = f"the answer is not JSON of the API: {excerpt!r}" if excerpt else "the answer has no body"
    verdict = _verdict(answer.status, None, "")
    redirect = 300 <= answer.status < 400
    return _failure(answer, verdict, "the answer is a redirect" if redirect else text, repeatable=not redirect)


def diagnose_entry(answer: Answer, entry: NotDone) -> Failure:
    """Return what a failed entry inside a successful envelope means."""
    verdict = verdict_of_text(entry.text) or Verdict.REJECTED
    if verdict is Verdict.REJECTED and entry.others:
        verdict = Verdict.OVERRUN
    return _failure(answer, verdict, entry.text, index=entry.index)


def diagnose_fault(fault: Fault) -> Failure:
    """Return what a request without an answer means."""
    match fault.kind:
        case FaultKind.NOT_SENT:
            return Failure(Verdict.NOT_EXECUTED, fault.text)
        case FaultKind.LOST:
            return Failure(Verdict.LOST, fault.text)
        case FaultKind.TORN:
            return Failure(Verdict.LOST, fault.text, repeatable=False)
        case FaultKind.OVERSIZED:
            return Failure(Verdict.GARBLED, fault.text, repeatable=False)


def diagnose_file(answer: Answer, what: str) -> Failure:
    """Return what a presigned URL's refusal means; its storage knows nothing of tokens or databases."""
    again = answer.status == 429 or answer.status >= 500
    return _failure(answer, Verdict.LOST if again else Verdict.GARBLED, f"{what} was refused", repeatable=again)


def garbled(answer: Answer, problem: str) -> Failure:
    """Return the failure of an answer whose result is not what was asked for."""
    return _failure(answer, Verdict.GARBLED, f"the answer is not what was asked for: {problem}")


def _failure(
    answer: Answer,
    verdict: Verdict,
    text: str,
    *,
    code: int | None = None,
    repeatable: bool = True,
    index: int | None = None,
) -> Failure:
    engine = _ENGINE.search(text)
    return Failure(
        verdict,
        text,
        code=code,
        status=answer.status,
        ray=answer.headers.get("cf-ray"),
        retry_after_seconds=_retry_after(answer.headers),
        repeatable=repeatable,
        index=index,
        offset=int(engine["offset"]) if engine and engine["offset"] else None,
    )


def _first_error(body: Mapping[str, Any]) -> tuple[int | None, str]:
    """Return the first code and all texts of an error body, in any of the shapes that were seen."""
    code: int | None = None
    texts: list[str] = []
    todo: deque[object] = deque([body.get("errors") or [body]])
    while todo:
        match todo.popleft():
            case list(errors):
                todo.extendleft(reversed(errors))
            case dict(error):
                number = str(error.get("code", ""))
                if code is None and number.isdecimal() and len(number) < 10:
                    code = int(number)
                todo.extendleft((error.get("error_chain"), error.get("message") or error.get("error")))
            case str(text):
                texts.append(text)
    return code, "; ".join(texts)


def _retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the server's wish in seconds. A date counts from the answer's own Date, so no clock is asked."""
    wish = headers.get("retry-after", "").strip()
    if re.fullmatch(r"\d{1,9}", wish):
        return float(wish)
    if not wish or "date" not in headers:
        return None
    from email.utils import parsedate_to_datetime

    try:
        seconds = (parsedate_to_datetime(wish) - parsedate_to_datetime(headers["date"])).total_seconds()
    except (ValueError, TypeError):
        return None
    return max(seconds, 0.0)
