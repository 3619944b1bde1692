"""How a command ends when it does not end well: one error, one hint, one exit code, and no traceback for anything that
a user can cause."""

from __future__ import annotations

import os
import re
from itertools import pairwise
from typing import TYPE_CHECKING

from d1ops.cli import diagnostics, output, signals
from d1ops.cli.signals import Broken
from d1ops.errors import ConfigError, D1opsError, ExitCode, GuardRefused, HumanNeeded, Interrupted

if TYPE_CHECKING:
    from collections.abc import Callable

    from d1ops.cli.call import Call

TRACEBACK_VARIABLE = "D1OPS_TRACEBACK"
_TOKEN_VARIABLE = "CLOUDFLARE_API_TOKEN"  # noqa: S105 - the name of a variable, not a token


def guarded(call: Call, work: Callable[[], ExitCode]) -> int:
    """Do the work of a command and return its exit code, whatever happens."""
    return ended(call, _guarded(call, work))


def _guarded(call: Call, work: Callable[[], ExitCode]) -> int:
    try:
        return int(work())
    except KeyboardInterrupt as stop:
        return show(call, _interrupted(call, stop))
    except D1opsError as error:
        return show(call, _stopped(error) if signals.asked_to_stop() else error)
    except OSError as error:
        return show(call, _of_the_system(call, error))
    except Exception as error:  # noqa: BLE001 - the last resort: a mistake of this package
        return show_unexpected(call, error)


def ended(call: Call, code: int) -> int:
    """Return the exit code of a command that ended with `code`: never 0 where its answer could not be written."""
    problem = output.take_problem()
    if problem is None:
        return code
    is_changed = _has_sent(call)
    diagnostics.fail(
        f"standard output could not be written: {problem.strerror}; the command itself ended with {code}",
        call.command("status") if is_changed else "run it again where its output can be written",
    )
    return code or int(ExitCode.HUMAN if is_changed else ExitCode.USAGE)


def show(call: Call, error: D1opsError) -> int:
    """Report an error, and return its exit code."""
    message, hint = redacted(str(error)), redacted(error.hint) if error.hint else None
    if call.is_json:
        from d1ops.cli.documents import error_document

        document = _redacted(error_document(error, error.exit_code, hint=error.hint))
        if isinstance(error, GuardRefused) and "refused" in call.document:
            call.note(refused=document)
        output.write_json({**call.document, "error": document})
    diagnostics.fail(message, hint)
    if os.environ.get(TRACEBACK_VARIABLE):
        _traceback(error)
    return int(error.exit_code)


def show_unexpected(call: Call, error: Exception) -> int:
    """Report an error that is a mistake of this package: type, message and place, without the token."""
    where = _where(error)
    message = redacted(f"unexpected {type(error).__name__} at {where}: {error}; this is a bug of d1ops")
    sent = _what_was_sent(call)
    hint = f"{sent}; report it with the output of the same command under {TRACEBACK_VARIABLE}=1"
    if call.is_json:
        found = {
            "type": type(error).__name__,
            "message": message,
            "hint": hint,
            "exit_code": int(ExitCode.HUMAN),
            "where": where,
        }
        output.write_json({**call.document, "error": found})
    diagnostics.fail(message, hint)
    if os.environ.get(TRACEBACK_VARIABLE):
        _traceback(error)
    return int(ExitCode.HUMAN)


def _interrupted(call: Call, stop: KeyboardInterrupt) -> Interrupted:
    broken = stop.section if isinstance(stop, Broken) else None
    what = f"{_what_was_sent(call)}{f' ({broken})' if broken else ''}"
    return Interrupted(f"interrupted: {what}", hint=call.command("status") if _has_sent(call) else None)


def _stopped(error: D1opsError) -> Interrupted:
    """An error of a change whose end was waited for: it says what became of the change, and the user asked to stop."""
    if isinstance(error, Interrupted):
        return error
    return Interrupted(f"interrupted: {error}", hint=error.hint)


def _of_the_system(call: Call, error: OSError) -> D1opsError:
    """A file that cannot be written, a full disk: a person can mend it. Afterwards the target may be changed."""
    what = f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror or error)
    message = f"{what}; {_what_was_sent(call)}"
    return HumanNeeded(message, hint=call.command("status")) if _has_sent(call) else ConfigError(message)


def _what_was_sent(call: Call) -> str:
    """Say what the target may have seen of the command."""
    if not _has_sent(call):
        return "nothing was sent to change the target"
    if call.watched is not None and call.watched.is_sending:
        return "a change was being sent, so the target may or may not have it"
    return "changes were sent and answered, and the command was not at its end"


def _has_sent(call: Call) -> bool:
    return call.watched is not None and bool(call.watched.is_sending or call.watched.changes)


def redacted(text: str) -> str:
    """Return a text with tokens blotted out, in case somebody else's message repeats one: the environment's, and
    whatever follows `Bearer`."""
    token = os.environ.get(_TOKEN_VARIABLE, "").strip()
    text = text.replace(token, "***") if token else text
    return re.sub(r"\bBearer\s+[^\s'\"]+", "Bearer ***", text)


def _redacted(document: object) -> object:
    match document:
        case str():
            return redacted(document)
        case list():
            return [_redacted(item) for item in document]
        case dict():
            return {key: _redacted(item) for key, item in document.items()}
        case _:
            return document


def _where(error: Exception) -> str:
    """The innermost place in this package that the error went through, as `ops/change.py:120`."""
    from pathlib import Path

    import d1ops

    root = str(Path(d1ops.__file__).parent)
    place = "an unknown place"
    trace = error.__traceback__
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file.startswith(root):
            place = f"{file[len(root) + 1 :]}:{trace.tb_lineno}"
        trace = trace.tb_next
    return place


def _traceback(error: Exception) -> None:
    import traceback

    for line in redacted("".join(traceback.format_exception(error))).splitlines():
        diagnostics.tell(line)


def requested_json(argv: list[str]) -> bool:
    """Whether a command line asks for JSON, for an error that comes before it is understood."""
    return "--format=json" in argv or ("--format", "json") in pairwise(argv)
