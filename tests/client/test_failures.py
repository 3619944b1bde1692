"""What an answer that is no success allows to conclude: pure tables and properties."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from d1ops.client.call import Answer, Envelope, Fault, FaultKind, Safety
from d1ops.client.failure import (
    MAYBE_EXECUTED,
    Failure,
    NotDone,
    Verdict,
    diagnose,
    diagnose_entry,
    diagnose_fault,
    diagnose_file,
    verdict_of_text,
)
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

ENGINE = "FOREIGN KEY constraint failed: SQLITE_CONSTRAINT (extended: SQLITE_CONSTRAINT_FOREIGNKEY)"


def answer(status: int, body: Any, headers: Mapping[str, str] | None = None) -> Answer:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Answer(status, headers or {}, data)


def said(status: int, code: int | None, message: str) -> Answer:
    return answer(status, {"success": False, "errors": [{"code": code, "message": message}], "result": None})


@pytest.mark.parametrize(
    ("status", "code", "message", "verdict"),
    [
        # the token and the address
        (401, 10000, "Authentication error", Verdict.DENIED),
        (403, 10000, "Authentication error", Verdict.DENIED),
        (400, 9109, "Invalid access token", Verdict.DENIED),
        (400, 6003, "Invalid request headers", Verdict.DENIED),
        (403, 7403, "The given account is not valid or is not authorized", Verdict.DENIED),
        (404, 7404, "The database x could not be found", Verdict.NOT_FOUND),
        (404, None, "", Verdict.NOT_FOUND),
        # limits
        (429, 7429, "D1 DB is overloaded. Requests queued for too long.", Verdict.LIMITED),
        (503, 7500, "D1 DB is overloaded. Too many requests queued.", Verdict.LIMITED),
        (429, 971, "Please wait and consider throttling your request speed", Verdict.LIMITED),
        (429, None, "", Verdict.LIMITED),
        (400, 10429, "limit", Verdict.LIMITED),
        (429, 7429, "a text of tomorrow", Verdict.LIMITED),
        # a limit met while working: nobody knows how far it came
        (429, 7429, "D1 DB exceeded its CPU time limit and was reset.", Verdict.OVERRUN),
        (429, 7429, "D1 DB's isolate exceeded its memory limit and was reset.", Verdict.OVERRUN),
        (
            429,
            7429,
            "D1 DB storage operation exceeded timeout which caused object to be reset.",
            Verdict.OVERRUN,
        ),
        (429, 7429, "the query timed out", Verdict.OVERRUN),
        # the request
        (400, 7400, "Invalid property: sql => Required", Verdict.MALFORMED),
        (400, 7502, "A database with that name already exists", Verdict.REFUSED),
        (400, 7406, "You have reached the limit of databases", Verdict.REFUSED),
        (413, None, "", Verdict.REFUSED),
        # the engine
        (400, 7500, "no such table: t: SQLITE_ERROR", Verdict.REJECTED),
        (400, 7500, ENGINE, Verdict.REJECTED),
        (500, 7500, ENGINE, Verdict.REJECTED),
        (200, 7500, "incomplete input: SQLITE_ERROR", Verdict.REJECTED),
        (400, 7500, "Wrong number of parameter bindings for SQL query.", Verdict.REJECTED),
        (400, 7500, "To execute a transaction, please use the state.storage.transaction() API", Verdict.REJECTED),
        (400, 7500, "out of memory: SQLITE_NOMEM", Verdict.REJECTED),
        # below the engine
        (500, 7500, "disk I/O error: SQLITE_IOERR", Verdict.LOST),
        (500, 7500, "internal error; reference = 8q3q8n0tvq", Verdict.LOST),
        (400, 7500, "internal error; reference = 8q3q8n0tvq", Verdict.LOST),
        (400, 7500, f"Durable Object was reset and rolled back because of {ENGINE}", Verdict.LOST),
        (400, 7500, "Network connection lost.", Verdict.LOST),
        (400, 7500, "D1 DB reset because its code was updated.", Verdict.LOST),
        (400, 7500, "Internal error in D1 DB storage caused object to be reset.", Verdict.LOST),
        (400, 7500, "Internal error while starting up D1 DB storage caused object to be reset.", Verdict.LOST),
        (400, 7500, "Cannot resolve D1 DB due to transient issue on remote node.", Verdict.LOST),
        (400, 7500, "Can't read from request stream because client disconnected.", Verdict.LOST),
        (504, 7009, "upstream unavailable", Verdict.LOST),
        (408, None, "", Verdict.LOST),
        (502, None, "Bad gateway", Verdict.LOST),
        (530, 1016, "Origin DNS error", Verdict.LOST),
        # busy: refused at the door
        (400, 7500, "Currently processing a long-running export.", Verdict.NOT_EXECUTED),
        (500, 7500, "Currently processing a long-running import.", Verdict.NOT_EXECUTED),
        # says no and does not say what
        (200, 7999, "something new", Verdict.GARBLED),
        (200, None, "", Verdict.GARBLED),
    ],
)
def test_status_code_and_text_are_read_together(status: int, code: int | None, message: str, verdict: Verdict) -> None:
    failure = diagnose(said(status, code, message))
    assert isinstance(failure, Failure)
    assert failure.verdict is verdict
    assert (failure.code, failure.status) == (code, status)
    assert message in failure.text


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (200, b"<html>captive portal</html>", Verdict.GARBLED),
        (200, b"", Verdict.GARBLED),
        (200, b'{"success": true, "result": [', Verdict.GARBLED),
        (200, b'{"success": true, "result": NaN}', Verdict.GARBLED),
        (200, b"[" * 100_000, Verdict.GARBLED),
        (200, b"[]", Verdict.GARBLED),
        (200, b'{"result": []}', Verdict.GARBLED),
        (200, b'{"success": "yes", "result": []}', Verdict.GARBLED),
        (500, b'{"success": true, "result": []}', Verdict.GARBLED),
        (400, b'{"success": true, "result": []}', Verdict.GARBLED),
        (302, b"", Verdict.GARBLED),
        (500, b"<html>", Verdict.LOST),
        (520, b"error code: 520", Verdict.LOST),
        (403, b"<html>", Verdict.DENIED),
        (404, b"<html>", Verdict.NOT_FOUND),
        (429, b"slow down", Verdict.LIMITED),
        (413, b"<html>", Verdict.REFUSED),
    ],
)
def test_a_body_that_is_no_envelope(status: int, body: bytes, verdict: Verdict) -> None:
    failure = diagnose(answer(status, body))
    assert isinstance(failure, Failure)
    assert failure.verdict is verdict
    assert failure.text
    assert failure.repeatable == (status != 302)


@pytest.mark.parametrize(
    ("body", "code", "text"),
    [
        ({"success": False, "errors": ["plain text"]}, None, "plain text"),
        ({"success": False, "error": "other shape", "code": 7400}, 7400, "other shape"),
        ({"success": False, "errors": {"code": 7404, "message": "no list"}}, 7404, "no list"),
        ({"success": False, "errors": [{"code": "7404", "message": "a"}, {"message": "b"}]}, 7404, "a; b"),
        (
            {
                "success": False,
                "errors": [
                    {
                        "code": 7500,
                        "message": "outer",
                        "error_chain": [{"code": 1, "message": "inner"}, {"code": 2}, "odd"],
                    }
                ],
            },
            7500,
            "outer; inner; odd",
        ),
        ({"success": False, "errors": [{"code": 7500}]}, 7500, "error 7500"),
        ({"success": False, "errors": [None, 3]}, None, "the answer does not say whether it worked (HTTP 400)"),
    ],
)
def test_errors_come_in_several_shapes(body: Any, code: int | None, text: str) -> None:
    failure = diagnose(answer(400, body))
    assert isinstance(failure, Failure)
    assert (failure.code, failure.text) == (code, text)


def test_success() -> None:
    assert diagnose(answer(200, {"success": True, "result": [1], "result_info": {"a": 2}})) == Envelope([1], {"a": 2})
    assert diagnose(answer(202, {"success": True})) == Envelope(None)
    assert diagnose(Answer(204, {})) == Envelope(None)


def test_a_challenge_is_a_denial_that_names_its_ray() -> None:
    challenged = answer(403, b"<html>", {"cf-mitigated": "challenge", "cf-ray": "abc"})
    failure = diagnose(challenged)
    assert isinstance(failure, Failure)
    error = failure.error(Safety.WRITE)
    assert isinstance(error, Denied)
    assert error.ray == "abc"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "17"}, 17.0),
        ({"retry-after": " 0 "}, 0.0),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon", "date": "Fri, 20 Nov 2026 10:00:00 GMT"}, None),
        ({"retry-after": "Fri, 20 Nov 2026 10:00:30 GMT"}, None),
        ({"retry-after": "Fri, 20 Nov 2026 10:00:30 GMT", "date": "Fri, 20 Nov 2026 10:00:00 GMT"}, 30.0),
        ({"retry-after": "Fri, 20 Nov 2026 09:00:00 GMT", "date": "Fri, 20 Nov 2026 10:00:00 GMT"}, 0.0),
        ({}, None),
    ],
)
def test_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    failure = diagnose(answer(429, b"", headers))
    assert isinstance(failure, Failure)
    assert failure.retry_after_seconds == seconds
    error = failure.error(Safety.WRITE)
    assert isinstance(error, RateLimited)
    assert error.retry_after_seconds == seconds


@pytest.mark.parametrize(
    ("verdict", "read", "write"),
    [
        (Verdict.NOT_EXECUTED, Unreachable, Unreachable),
        (Verdict.LIMITED, RateLimited, RateLimited),
        (Verdict.DENIED, Denied, Denied),
        (Verdict.NOT_FOUND, NotFound, NotFound),
        (Verdict.MALFORMED, UnexpectedResponse, UnexpectedResponse),
        (Verdict.REFUSED, DatabaseError, DatabaseError),
        (Verdict.REJECTED, StatementRejected, StatementRejected),
        (Verdict.LOST, Unreachable, OutcomeUnknown),
        (Verdict.GARBLED, UnexpectedResponse, OutcomeUnknown),
        (Verdict.OVERRUN, StatementRejected, OutcomeUnknown),
    ],
)
def test_every_verdict_has_its_error(verdict: Verdict, read: type[DatabaseError], write: type[DatabaseError]) -> None:
    failure = Failure(verdict, "text", code=1, status=2, ray="ray", index=3, offset=4)
    for safety, kind in ((Safety.READ, read), (Safety.IDEMPOTENT, write), (Safety.WRITE, write)):
        error = failure.error(safety)
        assert type(error) is kind
        assert (error.code, error.status, error.ray) == (1, 2, "ray")
        assert error.text.startswith("text")
        if isinstance(error, StatementRejected):
            assert (error.index, error.offset) == (3, 4)


def test_the_table_of_verdicts_is_complete() -> None:
    assert {type(Failure(verdict, "").error(Safety.READ)) for verdict in Verdict} >= {Unreachable, StatementRejected}
    unknown = {v for v in Verdict if isinstance(Failure(v, "").error(Safety.WRITE), OutcomeUnknown)}
    assert unknown == MAYBE_EXECUTED


@pytest.mark.parametrize("kind", FaultKind)
def test_only_a_fault_before_sending_is_harmless_to_a_write(kind: FaultKind) -> None:
    error = diagnose_fault(Fault(kind, "text")).error(Safety.WRITE)
    assert isinstance(error, OutcomeUnknown) == (kind is not FaultKind.NOT_SENT)


@pytest.mark.parametrize(
    ("text", "others", "verdict"),
    [
        (ENGINE, False, Verdict.REJECTED),
        ("who knows", False, Verdict.REJECTED),
        (ENGINE, True, Verdict.OVERRUN),
        ("Network connection lost.", False, Verdict.LOST),
        ("Network connection lost.", True, Verdict.LOST),
    ],
)
def test_a_failed_entry(text: str, others: bool, verdict: Verdict) -> None:
    failure = diagnose_entry(Answer(200, {}), NotDone(text, 2, others=others))
    assert (failure.verdict, failure.index) == (verdict, 2)


@pytest.mark.parametrize(("status", "again"), [(403, False), (404, False), (302, False), (429, True), (503, True)])
def test_storage_knows_nothing_of_tokens(status: int, again: bool) -> None:
    failure = diagnose_file(answer(status, b"<Error><Code>AccessDenied</Code></Error>"), "the download")
    assert failure.repeatable is again
    assert type(failure.error(Safety.READ)) is (Unreachable if again else UnexpectedResponse)


# -- properties ------------------------------------------------------------------------------------------

TEXTS = st.sampled_from(
    ["", "x", ENGINE, "Network connection lost.", "internal error; reference = a", "D1 DB is overloaded. x"]
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["success", "errors", "result", "code", "message", "error", "error_chain", "meta"]), inner
        )
    ),
    max_leaves=12,
)


@given(st.integers(100, 599), JSON | st.binary(max_size=40), st.sampled_from(list(Safety)))
def test_any_answer_is_an_envelope_or_a_failure_with_an_error(status: int, body: Any, safety: Safety) -> None:
    outcome = diagnose(answer(status, body))
    if isinstance(outcome, Failure):
        assert isinstance(outcome.error(safety), DatabaseError)
    else:
        assert status < 400


@given(st.text(max_size=30), st.sampled_from(["ERROR", "CONSTRAINT", "AUTH", "IOERR", "BUSY"]))
def test_a_rejection_is_concluded_from_the_engines_own_grammar_only(message: str, code: str) -> None:
    by_statement = code in ("ERROR", "CONSTRAINT", "AUTH")
    for text in (f"{message}: SQLITE_{code}", f"{message} at offset 3: SQLITE_{code} (extended: SQLITE_{code}_X)"):
        assert verdict_of_text(text) is (Verdict.REJECTED if by_statement else None)
    assert verdict_of_text(f"{message} lost answer, SQLITE_{code} somewhere in it") is None
