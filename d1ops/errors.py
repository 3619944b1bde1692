"""Every error d1ops raises, and the exit code each one ends a command with.

More than 400 lines: the classes with their codes and facts are one contract, read as one list.

An error states a fact as its message, carries the facts as attributes, and may hold one remedy in `hint`
(printed as a second line, `try: ...`). The split below `DatabaseError` follows what may be concluded about
the target: `OutcomeUnknown` is the only one after which a change may have been made.

    D1opsError
    |- UsageError               ConfigError, UnknownEnv, PrecisionLost
    |  |- ScriptError           a script that cannot be read as SQL statements D1 would take
    |  `- CatalogError          DuplicateNumber, UnpairedRollback, UnknownMigration, NoRollbackScript
    |- AnswerIsNo               findings, drift, pending with --exit-code
    |- DatabaseError
    |  |- Unreachable           not sent, or refused before it was executed
    |  |- Denied, NotFound, RateLimited
    |  |- UnexpectedResponse    a read answered with something that is not an answer
    |  |- StatementRejected     the engine said no; the whole batch was rolled back
    |  `- OutcomeUnknown        sent, no answer: a write may have landed
    |- GuardRefused             LossRefused, ConsentMissing, LedgerRefused, StructureRefused, BackupRefused,
    |                           TargetMoved, NotAtomic, TooLong
    |  |- StructureRefused -- NoPrefix
    |  `- LedgerRefused -- AmbiguousPrefix
    |- PartialRun               some steps are applied, a later one is not
    |- PiecesLeft               a chunked migration is under way
    |- Interrupted              the user stopped the command
    `- HumanNeeded              a state that only a person can judge
"""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar, TypedDict

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path
    from typing import Unpack


class ExitCode(IntEnum):
    """What a command says to the shell. The numbers are a contract."""

    DONE = 0
    """Done, or nothing to do."""
    NO = 1
    """The answer is no: findings, drift, or pending migrations with `--exit-code`."""
    USAGE = 2
    """Usage, configuration, or a script that cannot be read; nothing changed."""
    UNREACHABLE = 3
    """Unreachable, denied or rate-limited; nothing changed."""
    REJECTED = 4
    """The database rejected a statement; nothing changed."""
    REFUSED = 5
    """Refused by a guard; nothing changed."""
    HUMAN = 6
    """A human must look."""
    INTERRUPTED = 130
    """Interrupted by the user."""


class D1opsError(Exception):
    """Base of every error of this package."""

    exit_code: ClassVar[ExitCode] = ExitCode.HUMAN

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


# -- usage, configuration, scripts -----------------------------------------------------------------------


class UsageError(D1opsError):
    """The command cannot be understood or carried out as asked."""

    exit_code = ExitCode.USAGE


class ConfigError(UsageError):
    """A configuration file, an environment variable or an installation is not usable."""

    def __init__(
        self,
        message: str,
        *,
        file: Path | None = None,
        key: str | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.file = file
        self.key = key


class UnknownEnv(ConfigError):
    """No configuration names this environment."""

    def __init__(self, env: str, known: Sequence[str], *, hint: str | None = None) -> None:
        listed = ", ".join(known) if known else "none"
        super().__init__(f"no environment is named {env!r}; known: {listed}", hint=hint)
        self.env = env
        self.known = tuple(known)


class PrecisionLost(UsageError):
    """A result holds a number that JSON cannot carry exactly (beyond 2^53-1 in size)."""

    def __init__(self, column: str, row: int) -> None:
        super().__init__(
            f"column {column!r} of row {row} holds an integer beyond 2^53, which D1's JSON answer rounds",
            hint=f"select CAST({column} AS TEXT) instead, which arrives exactly",
        )
        self.column = column
        self.row = row


class ScriptError(UsageError):
    """A script that cannot be read as statements that D1 would take.

    `line` and `column` count from 1, in characters of the file as it is on disk.
    """

    def __init__(
        self,
        message: str,
        *,
        path: str,
        line: int | None = None,
        column: int | None = None,
        hint: str | None = None,
    ) -> None:
        place = ":".join(str(part) for part in (path, line, column) if part is not None)
        super().__init__(f"{place}: {message}", hint=hint)
        self.path = path
        self.line = line
        self.column = column
        self.problem = message


class StatementTooLong(ScriptError):
    """A statement longer than D1 takes."""


class UnfinishedScript(ScriptError):
    """A script whose last statement has no end: it may have been cut off."""


class RefusedStatement(ScriptError):
    """A statement that D1 refuses whatever the schema: transaction control, ATTACH, VACUUM, TEMP objects."""


class CatalogError(UsageError):
    """The migration and rollback folders do not make a catalog."""


class DuplicateNumber(CatalogError):
    """Two files carry the same number."""

    def __init__(self, number: int, files: Sequence[str]) -> None:
        super().__init__(
            f"number {number} is used by {len(files)} files: {', '.join(files)}",
            hint="rename one of them; a file that is already applied keeps its name",
        )
        self.number = number
        self.files = tuple(files)


class UnpairedRollback(CatalogError):
    """A rollback script whose number no migration has."""

    def __init__(self, file: str, number: int) -> None:
        super().__init__(
            f"rollback script {file} has no migration numbered {number}",
            hint="rename it to its migration's number, or remove it",
        )
        self.file = file
        self.number = number


class UnknownMigration(CatalogError):
    """A number or name that the catalog does not hold."""

    def __init__(self, wanted: str, newest: str | None) -> None:
        known = f"the newest is {newest}" if newest else "the catalog is empty"
        super().__init__(f"no migration is numbered {wanted}; {known}", hint="d1ops status lists them")
        self.wanted = wanted


class NoRollbackScript(CatalogError):
    """The migration cannot be rolled back: no script, or one marked irreversible."""

    def __init__(self, name: str, *, expected: str, reason: str | None = None) -> None:
        if reason is None:
            super().__init__(f"{name} has no rollback script", hint=f"write {expected}")
        else:
            super().__init__(
                f"{name} is marked irreversible: {reason}",
                hint="d1ops restore rewinds the whole database to a bookmark or a backup",
            )
        self.name = name
        self.reason = reason


class AnswerIsNo(D1opsError):
    """The command worked and its answer is no."""

    exit_code = ExitCode.NO


# -- the database ----------------------------------------------------------------------------------------


class AnswerFacts(TypedDict, total=False):
    """The facts of an answer that every `DatabaseError` takes."""

    code: int | None
    status: int | None
    ray: str | None
    hint: str | None


class DatabaseError(D1opsError):
    """The target did not do what it was asked.

    `code` is Cloudflare's error code and `ray` the `cf-ray` of the answer, where there is one.
    """

    exit_code = ExitCode.UNREACHABLE

    def __init__(
        self,
        message: str,
        *,
        code: int | None = None,
        status: int | None = None,
        ray: str | None = None,
        hint: str | None = None,
    ) -> None:
        facts = [f"code {code}"] if code is not None else []
        facts += [f"HTTP {status}"] if status is not None else []
        facts += [f"cf-ray {ray}"] if ray else []
        super().__init__(f"{message} ({', '.join(facts)})" if facts else message, hint=hint)
        self.text = message
        self.code = code
        self.status = status
        self.ray = ray


class Unreachable(DatabaseError):
    """The request was not sent, or was refused before it was executed; repeating it is safe."""


class Denied(DatabaseError):
    """The token is missing, wrong, or may not do this."""


class NotFound(DatabaseError):
    """No such account or database."""


class RateLimited(DatabaseError):
    """Too many requests. `retry_after_seconds` is the server's wish, where it gave one."""

    def __init__(
        self,
        message: str,
        *,
        retry_after_seconds: float | None = None,
        **facts: Unpack[AnswerFacts],
    ) -> None:
        super().__init__(message, **facts)
        self.retry_after_seconds = retry_after_seconds


class UnexpectedResponse(DatabaseError):
    """A read was answered with something that is not an answer."""


class StatementRejected(DatabaseError):
    """The engine rejected a statement; everything of its batch was rolled back.

    `index` is the statement's position in the batch (from 0) and `offset` the byte offset in its text,
    where the engine names them. `on_rows` says that a throw-away engine compiled it and it failed on the rows that it
    found, so that on others it may run.
    """

    exit_code = ExitCode.REJECTED

    def __init__(
        self,
        message: str,
        *,
        index: int | None = None,
        sql: str | None = None,
        offset: int | None = None,
        on_rows: bool = False,
        **facts: Unpack[AnswerFacts],
    ) -> None:
        super().__init__(message, **facts)
        self.index = index
        self.sql = sql
        self.offset = offset
        self.on_rows = on_rows


class OutcomeUnknown(DatabaseError):
    """The request was sent and no usable answer came: a write may have landed."""

    exit_code = ExitCode.HUMAN


# -- guards ----------------------------------------------------------------------------------------------


class GuardRefused(D1opsError):
    """A guard said no; nothing was changed."""

    exit_code = ExitCode.REFUSED


class LossRefused(GuardRefused):
    """The change would lose rows or values that nobody named. `losses` are `table` or `table.column`."""

    def __init__(self, message: str, losses: Sequence[str], *, hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.losses = tuple(losses)


class ConsentMissing(GuardRefused):
    """Nobody agreed to the change."""


class LedgerRefused(GuardRefused):
    """The states of the migrations do not allow the change."""


class StructureRefused(GuardRefused):
    """The schema before or after the change is not the one that was proved."""


class BackupRefused(GuardRefused):
    """No verified backup could be made, or it does not cover the change."""


class TargetMoved(GuardRefused):
    """The target changed between the look and the batch; the batch refused itself.

    `assertion` names what did not hold (schema, ledger, content, figures, changes, progress), `subjects` the objects,
    files, tables or columns that it is about; `expected` and `found` are the figures, where it has any.
    `others` says what happened meanwhile, one fact each; `actor`, `tool` and `at` (UTC, RFC 3339) who did the last of
    it, where the history of the target tells.
    """

    def __init__(
        self,
        message: str,
        *,
        assertion: str = "",
        subjects: Sequence[str] = (),
        expected: object = None,
        found: object = None,
        hint: str | None = None,
        others: Sequence[str] = (),
        actor: str | None = None,
        tool: str | None = None,
        at: str | None = None,
    ) -> None:
        super().__init__(message, hint=hint)
        self.assertion = assertion
        self.subjects = tuple(subjects)
        self.expected = expected
        self.found = found
        self.others = tuple(others)
        self.actor = actor
        self.tool = tool
        self.at = at


class TooLong(GuardRefused):
    """The change does not fit into one batch, or into the time that the target gives one."""


class NoPrefix(StructureRefused):
    """No prefix of the migrations makes the schema of the target. `nearest` is the last file of the nearest one (None
    for no file at all), `differences` name each object and how the target differs."""

    def __init__(
        self, message: str, *, nearest: str | None, differences: Sequence[str], hint: str | None = None
    ) -> None:
        super().__init__(message, hint=hint)
        self.nearest = nearest
        self.differences = tuple(differences)


class AmbiguousPrefix(LedgerRefused):
    """Several prefixes of the migrations make the same schema. `prefixes` are the last files of each."""

    def __init__(self, message: str, *, prefixes: Sequence[str], hint: str | None = None) -> None:
        super().__init__(message, hint=hint)
        self.prefixes = tuple(prefixes)


class NotAtomic(GuardRefused):
    """The target does not execute a batch all or nothing, or nobody has proved that it does."""


# -- states for people -----------------------------------------------------------------------------------


class PartialRun(D1opsError):
    """A run is a prefix: `done` is applied, `failed` is not, `pending` was not tried."""

    exit_code = ExitCode.HUMAN

    def __init__(
        self,
        done: Sequence[str],
        failed: str,
        pending: Sequence[str],
        cause: D1opsError,
    ) -> None:
        super().__init__(
            f"{len(done)} done ({', '.join(done)}), then {failed} failed: {cause}",
            hint="fix the script and run the command again; what is done stays done"
            if isinstance(cause, StatementRejected)
            else "run the command again; what is done stays done",
        )
        self.done = tuple(done)
        self.failed = failed
        self.pending = tuple(pending)
        self.cause = cause


class PiecesLeft(D1opsError):
    """A chunked migration is under way: `done` of its `pieces` of this run are committed, up to the key `done_to`."""

    exit_code = ExitCode.HUMAN

    def __init__(self, migration: str, done: int, pieces: int, done_to: str, cause: D1opsError) -> None:
        super().__init__(
            f"{migration}: {done} of {pieces} pieces are committed, up to the key {done_to}; then: {cause}",
            hint="d1ops migrate goes on behind that key, and does nothing twice",
        )
        self.migration = migration
        self.done = done
        self.pieces = pieces
        self.done_to = done_to
        self.cause = cause


class Interrupted(D1opsError):
    """The user stopped the command. `done` are the steps that are committed, `pending` those that were not sent."""

    exit_code = ExitCode.INTERRUPTED

    def __init__(
        self, message: str, *, hint: str | None = None, done: Sequence[str] = (), pending: Sequence[str] = ()
    ) -> None:
        super().__init__(message, hint=hint)
        self.done = tuple(done)
        self.pending = tuple(pending)


class HumanNeeded(D1opsError):
    """A state that only a person can judge."""

    exit_code = ExitCode.HUMAN
