"""What a person should know of a target and of the local state before trusting either. Reads only, but for the probe.

Each check states one fact. The target is asked once (up to three times where ledger and history are not there yet);
foreign key violations and the probe of atomic batches cost more and are asked for by name.
"""

from __future__ import annotations

import os
import re
import stat
from collections import Counter
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING

import apsw

from d1ops.core.engine import Engine
from d1ops.core.ledger import ADVICE, HISTORY, HISTORY_DDL, State, ledger_ddl
from d1ops.core.mirror import build_mirror, schema_of
from d1ops.core.schema import SELECT_OBJECTS, Schema, difference_of
from d1ops.core.sql import OWN, quote_text
from d1ops.core.values import Statement
from d1ops.database.base import Atomicity
from d1ops.errors import BackupRefused, D1opsError, HumanNeeded, StatementRejected
from d1ops.ops import probe as atomicity
from d1ops.ops.backup import backups_folder, read_manifest
from d1ops.ops.condition import PROBE, conditions, is_ours
from d1ops.ops.diagnosis import Check, Diagnosis, Health
from d1ops.ops.guard import GUARD
from d1ops.ops.look import Look, look

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import timedelta
    from pathlib import Path

    from d1ops.core.schema import SchemaObject
    from d1ops.core.values import Result
    from d1ops.database.base import Target
    from d1ops.ops.backup import Manifest
    from d1ops.ops.workspace import Workspace

__all__ = ["Check", "Diagnosis", "Health", "compare_sqlite", "examine"]

D1_SQLITE = (3, 53)
"""The SQLite of the D1 that this release was checked against: workerd 1.20261117.1."""


def examine(workspace: Workspace, *, probe: bool = False, foreign_keys: bool = False) -> Diagnosis:
    """Examine a target and the local state. What cannot be asked is a finding, never an exception of d1ops.

    `probe` writes and removes a table of d1ops's own to find out whether batches are atomic. `foreign_keys` counts the
    violations also on a remote target, where reading every child row may be billed.
    """
    database = workspace.database
    before = database.requests
    checks: list[Check] = []
    try:
        seen, refused = _look(workspace)
    except D1opsError as error:
        checks.append(Check("target", Health.PROBLEM, f"{_named(database.target)}: {error}", error.hint))
    else:
        checks += _target(workspace, seen)
        checks += _bookkeeping(workspace, seen.everything, refused)
        if refused is None:
            checks += _migrations(workspace, seen)
        checks += _conditions(workspace, seen)
        is_local = database.target.kind != "cloudflare"
        checks += _foreign_keys(workspace, seen.everything, count=is_local or foreign_keys)
        checks += _atomicity(workspace, seen.everything, probe=probe)
    checks += _backups(workspace)
    checks += _permissions(workspace.state)
    checks.append(compare_sqlite(apsw.sqlite_lib_version()))
    return Diagnosis(database.target, tuple(checks), database.requests - before)


def _look(workspace: Workspace) -> tuple[Look, StatementRejected | None]:
    """Look at the target; where ledger or history cannot be read, at its schema alone, with the reason."""
    try:
        return look(workspace), None
    except StatementRejected as error:
        result = workspace.database.query(SELECT_OBJECTS)
        schema = Schema.from_rows(result.rows)
        seen = Look(
            everything=schema,
            schema=schema.users(workspace.ledger),
            ledger=(),
            history=(),
            has_ledger=schema.has_table(workspace.ledger),
            has_history=schema.has_table(HISTORY),
            size_bytes=result.meta.size_after_bytes,
        )
        return seen, error


def _named(target: Target) -> str:
    account = f", account {target.account}" if target.account else ""
    return f"{target.kind} {target.name} ({target.id}{account})"


def _target(workspace: Workspace, seen: Look) -> Iterator[Check]:
    tables = len(seen.schema.tables())
    yield Check("target", Health.OK, f"{_named(workspace.database.target)}: reachable, {tables} tables")
    size, most = seen.size_bytes, workspace.backup_max_bytes
    if size > most:
        yield Check(
            "size",
            Health.WARNING,
            f"{size:,} bytes, more than the {most:,} that a backup may read without asking: changes get one in part",
            "raise backup.max_bytes in config/<env>.toml to have all of it; every row read is billed",
        )
    else:
        yield Check("size", Health.OK, f"{size:,} bytes; a backup may read {most:,}")


# -- ledger, history, migrations -------------------------------------------------------------------------


def _bookkeeping(workspace: Workspace, schema: Schema, refused: StatementRejected | None) -> Iterator[Check]:
    ledger = workspace.ledger
    for name, table, ddl in (("ledger", ledger, ledger_ddl(ledger)), ("history", HISTORY, HISTORY_DDL)):
        present = schema.by_key().get(("table", table.lower()))
        if present is None:
            yield Check(name, Health.OK, f"{table} is not there yet; the first change makes it")
        elif difference_of(present, _made_by(ddl, table)) != "different":
            yield Check(name, Health.OK, f"{table} has {'wrangler' if name == 'ledger' else 'd1ops'}'s shape")
        else:
            yield Check(
                name,
                Health.PROBLEM if refused else Health.WARNING,
                f"{table} has another shape than {'wrangler' if name == 'ledger' else 'd1ops'} gives it"
                + (f", and cannot be read: {refused.text}" if refused else ""),
                f"rebuild it as {' '.join(ddl.split())}",
            )


def _made_by(ddl: str, table: str) -> SchemaObject:
    with closing(Engine.memory()) as engine:
        engine.execute(ddl)
        return schema_of(engine).by_key()["table", table.lower()]


def _migrations(workspace: Workspace, seen: Look) -> Iterator[Check]:
    statuses = seen.statuses(workspace)
    counts = Counter(status.state for status in statuses)
    tally = ", ".join(f"{counts[state]} {state.value}" for state in State if counts[state])
    yield Check("migrations", Health.OK, tally or "none, neither in the folder nor in the ledger")
    for state in (State.CHANGED, State.MISSING, State.OUT_OF_ORDER, State.ROLLED_BACK):
        found = [status.file for status in statuses if status.state is state]
        if found:
            health = Health.PROBLEM if state.is_applied else Health.WARNING
            yield Check(f"migrations {state.value}", health, ", ".join(found), ADVICE[state])


def _conditions(workspace: Workspace, seen: Look) -> Iterator[Check]:
    """What a crash or another tool left behind."""
    for found in conditions(workspace, seen):
        remedy = f"d1ops {' '.join(found.command)}" if found.command else None
        yield Check(found.name, Health.PROBLEM if found.is_serious else Health.WARNING, found.fact, remedy)


# -- foreign keys ----------------------------------------------------------------------------------------


def _foreign_keys(workspace: Workspace, schema: Schema, *, count: bool) -> Iterator[Check]:
    try:
        mirror = build_mirror(schema.objects)
    except HumanNeeded as error:
        yield Check("foreign keys", Health.PROBLEM, str(error), error.hint)
        return
    with closing(mirror):
        children, broken = _children(mirror)
    for table, reason in broken.items():
        yield Check(
            "foreign keys mismatched",
            Health.PROBLEM,
            f"{table}: {reason}",
            "a write to either table fails; make the parent's column a PRIMARY KEY or UNIQUE",
        )
    if not count:
        yield Check(
            "foreign keys",
            Health.UNKNOWN,
            "violations were not counted: on this target it may read, and bill, every child row",
            "d1ops doctor --foreign-keys counts them",
        )
        return
    asked = [
        Statement(
            f"SELECT {quote_text(table)}, parent, count(*) AS {OWN} FROM pragma_foreign_key_check({quote_text(table)})"
            " GROUP BY parent ORDER BY parent"
        )
        for table in children
    ]
    try:
        answers: Sequence[Result] = workspace.database.batch(asked, reads_only=True) if asked else ()
    except D1opsError as error:
        yield Check("foreign keys", Health.UNKNOWN, f"violations cannot be counted: {error}", error.hint)
        return
    found = [f"{rows!s} of {child!s} towards {parent!s}" for a in answers for child, parent, rows in a.rows]
    if found:
        yield Check(
            "foreign keys",
            Health.PROBLEM,
            f"rows without their parent row: {', '.join(found)}",
            "delete or mend these rows; PRAGMA foreign_key_check names each",
        )
    else:
        yield Check("foreign keys", Health.OK, f"every row of {len(children)} child tables has its parent row")


def _children(mirror: Engine) -> tuple[list[str], dict[str, str]]:
    """The tables with foreign keys that can be checked, and those that cannot, with SQLite's reason."""
    rows = mirror.ask(
        "SELECT DISTINCT m.name FROM sqlite_master m, pragma_foreign_key_list(m.name) f"
        " WHERE m.type = 'table' ORDER BY m.name"
    )
    children: list[str] = []
    broken: dict[str, str] = {}
    for (cell,) in rows:
        table = str(cell)
        try:
            mirror.ask(f"SELECT 1 FROM pragma_foreign_key_check({quote_text(table)})")
            children.append(table)
        except apsw.SQLError as error:
            broken[table] = str(error)
    return children, broken


# -- atomicity -------------------------------------------------------------------------------------------


def _atomicity(workspace: Workspace, schema: Schema, *, probe: bool) -> Iterator[Check]:
    for table in schema.tables():
        if not is_ours(table):
            fact = f"{table} is not known to this version of d1ops; a newer one may have made it"
            yield Check("leftover", Health.WARNING, fact, "upgrade d1ops, or drop it if nothing else uses it")
    name = "atomic batches"
    try:
        if probe:
            for left in (PROBE, GUARD):
                if schema.has_table(left):
                    workspace.database.query(f"DROP TABLE {left}")
            atomicity.run(workspace)
        known = atomicity.known(workspace)
    except D1opsError as error:
        yield Check(name, Health.PROBLEM, f"the probe could not be made: {error}", error.hint)
        return
    match known:
        case Atomicity.PROVED:
            yield Check(name, Health.OK, "a batch is all or nothing")
        case Atomicity.REFUTED:
            yield Check(
                name,
                Health.PROBLEM,
                "this target kept part of a batch that failed: changes go as files through its import, if at all",
                "report it to Cloudflare with the database id; d1ops doctor --probe asks again",
            )
        case Atomicity.UNKNOWN:
            yield Check(
                name,
                Health.UNKNOWN,
                "nobody has proved yet that a batch on this target is all or nothing; changes are refused",
                "d1ops doctor --probe writes and removes a table of its own to find out",
            )


# -- the local state -------------------------------------------------------------------------------------


def _backups(workspace: Workspace) -> Iterator[Check]:
    folder = backups_folder(workspace)
    found: list[Manifest] = []
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if path.is_dir() and not path.name.startswith("."):
            try:
                manifest = read_manifest(path / "manifest.json")
                if (path / manifest.packed_file).stat().st_size != manifest.stored_bytes:
                    raise BackupRefused(f"{path / manifest.packed_file} has another size than when it was written")
                found.append(manifest)
            except (BackupRefused, OSError) as error:
                yield Check(
                    "damaged backup", Health.PROBLEM, f"{path.name}: {error}", "d1ops backup create takes a new one"
                )
    mine = [manifest for manifest in found if manifest.database_id == workspace.database.target.id]
    others = f", {len(found) - len(mine)} of other databases" if len(found) > len(mine) else ""
    if not mine:
        yield Check("backups", Health.OK, f"none of this database yet{others}; every rollback takes its own first")
        return
    age = _age(workspace.now() - datetime.fromisoformat(mine[-1].created_at))
    total = sum(manifest.stored_bytes for manifest in mine)
    yield Check(
        "backups",
        Health.OK,
        f"{len(mine)} of this database, {total:,} bytes{others}; the newest is {mine[-1].id}, {age} old",
    )


def _age(difference: timedelta) -> str:
    minutes = int(difference.total_seconds()) // 60
    if minutes < 120:
        return f"{minutes} minutes"
    return f"{minutes // 60} hours" if minutes < 48 * 60 else f"{minutes // (24 * 60)} days"


def _permissions(state: Path) -> Iterator[Check]:
    """Look for folders that are not 0700 and files that are not 0600; `.gitignore` holds nothing of anybody."""
    name = "permissions"
    if os.name != "posix" or not state.is_dir():
        yield Check(name, Health.OK, f"{state} is not there yet" if os.name == "posix" else "not kept by this system")
        return
    everything = [state, *(path for path in sorted(state.rglob("*")) if path.name != ".gitignore")]
    open_ones = [path for path in everything if stat.S_IMODE(path.lstat().st_mode) & 0o077 and not path.is_symlink()]
    if open_ones:
        listed = ", ".join(str(path) for path in open_ones[:3])
        more = f" and {len(open_ones) - 3} more" if len(open_ones) > 3 else ""
        yield Check(
            name,
            Health.WARNING,
            f"others on this machine may read {listed}{more}, which can hold people's data",
            f"chmod -R go-rwx {state}",
        )
    else:
        yield Check(name, Health.OK, f"only you can read {state}")


def compare_sqlite(version: str) -> Check:
    """Compare a version of SQLite (`3.54.1`) with D1's: an older one refuses what D1 accepts."""
    found = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    checked = ".".join(map(str, D1_SQLITE))
    fact = f"SQLite {version} here; this release was checked against D1's {checked}"
    if found < D1_SQLITE:
        return Check("sqlite", Health.PROBLEM, fact, "pip install --upgrade apsw")
    return Check("sqlite", Health.OK, fact)
