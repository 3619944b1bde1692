"""Every error has an exit code and is rendered as two lines or one document, never as a traceback."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from d1ops import errors
from d1ops.cli.call import Call, Format
from d1ops.cli.failure import guarded
from d1ops.cli.reference import error_classes
from d1ops.errors import ExitCode
from tests.cli.conftest import TOKEN

if TYPE_CHECKING:
    from tests.cli.shell import Shell

EXAMPLES: list[tuple[errors.D1opsError, int]] = [
    (errors.UsageError("fact", hint="remedy"), 2),
    (errors.ConfigError("fact", file=Path("config/dev.toml"), key="a.b"), 2),
    (errors.UnknownEnv("prod", ["dev"]), 2),
    (errors.PrecisionLost("big", 3), 2),
    (errors.ScriptError("fact", path="a.sql", line=1, column=2), 2),
    (errors.StatementTooLong("fact", path="a.sql", line=1, column=2), 2),
    (errors.UnfinishedScript("fact", path="a.sql", line=1, column=2), 2),
    (errors.RefusedStatement("fact", path="a.sql", line=1, column=2), 2),
    (errors.CatalogError("fact"), 2),
    (errors.DuplicateNumber(7, ["a", "b"]), 2),
    (errors.UnpairedRollback("a", 7), 2),
    (errors.UnknownMigration("7", "6"), 2),
    (errors.NoRollbackScript("a", expected="b"), 2),
    (errors.AnswerIsNo("fact"), 1),
    (errors.DatabaseError("fact", code=1, status=500, ray="r"), 3),
    (errors.Unreachable("fact"), 3),
    (errors.Denied("fact"), 3),
    (errors.NotFound("fact"), 3),
    (errors.RateLimited("fact", retry_after_seconds=2.5), 3),
    (errors.UnexpectedResponse("fact"), 3),
    (errors.StatementRejected("fact", index=1, sql="SELECT", offset=2), 4),
    (errors.OutcomeUnknown("fact"), 6),
    (errors.GuardRefused("fact"), 5),
    (errors.LossRefused("fact", ["a", "b.c"]), 5),
    (errors.ConsentMissing("fact"), 5),
    (errors.LedgerRefused("fact"), 5),
    (errors.StructureRefused("fact"), 5),
    (errors.BackupRefused("fact"), 5),
    (errors.TargetMoved("fact", assertion="figures", subjects=["a"], expected=(0,), found=(-1,)), 5),
    (errors.TooLong("fact"), 5),
    (errors.NoPrefix("fact", nearest="a", differences=["table t is only on the target"]), 5),
    (errors.AmbiguousPrefix("fact", prefixes=["a", "b"]), 5),
    (errors.TargetMoved("fact", others=["migrate a by b"], actor="b", tool="c", at="d"), 5),
    (errors.NotAtomic("fact"), 5),
    (errors.PartialRun(["a"], "b", ["c"], errors.Unreachable("inner", hint="wait")), 6),
    (errors.PiecesLeft("a.sql", 1, 3, "7", errors.TargetMoved("fact")), 6),
    (errors.HumanNeeded("fact"), 6),
    (errors.Interrupted("fact"), 130),
]


def test_every_error_class_is_among_the_examples() -> None:
    assert {type(error) for error, _ in EXAMPLES} == {*error_classes()}
    assert {code for _, code in EXAMPLES} | {0} == {int(code) for code in ExitCode}


@pytest.mark.parametrize(("error", "code"), EXAMPLES, ids=lambda value: type(value).__name__)
def test_an_error_is_rendered_for_people_and_for_programs(empty: Shell, error: errors.D1opsError, code: int) -> None:
    def fail() -> ExitCode:
        raise error

    empty.capture.readouterr()
    assert guarded(Call(), fail) == code
    out, err = empty.capture.readouterr()
    assert out == ""
    assert err == f"error: {error}\n" + (f"try: {error.hint}\n" if error.hint else "")

    assert guarded(Call(format=Format.JSON), fail) == code
    out, again = empty.capture.readouterr()
    assert again == err
    document = json.loads(out)["error"]
    assert document["type"] == type(error).__name__
    assert document["message"] == str(error)
    assert document["hint"] == error.hint
    assert document["exit_code"] == code
    facts = set(vars(error)) - {"message", "hint"}
    assert facts <= set(document)


def test_the_cause_of_a_partial_run_is_a_document_of_its_own(empty: Shell) -> None:
    def fail() -> ExitCode:
        raise errors.PartialRun(["a"], "b", ["c"], errors.Unreachable("inner", hint="wait"))

    guarded(Call(format=Format.JSON), fail)
    cause = json.loads(empty.capture.readouterr().out)["error"]["cause"]
    assert (cause["type"], cause["message"], cause["hint"]) == ("Unreachable", "inner", "wait")


def test_the_token_of_the_environment_is_blotted_out_of_an_error(empty: Shell) -> None:
    def fail() -> ExitCode:
        raise errors.ConfigError(f"somebody repeats {TOKEN}", key=TOKEN, hint=f"use {TOKEN}")

    guarded(Call(format=Format.JSON), fail)
    out, err = empty.capture.readouterr()
    assert TOKEN not in out + err
    assert json.loads(out)["error"]["key"] == "***"
