"""Whether a target executes a batch all or nothing: asked of the target itself, once, and remembered with its id.

D1 documents it, one public report speaks against it. The probe fails the way a guard fails (objects and rows of our
own, at least 100 statements, then an error at run time) and must leave nothing behind. Its error also tells whether
`total_changes()` counts the batch's own rows and no others, which a guard relies on.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING

from d1ops.core.values import Statement
from d1ops.database.base import Atomicity
from d1ops.errors import D1opsError, NotAtomic, StatementRejected

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from d1ops.ops.workspace import Workspace

_TABLE = "d1ops_probe"
_MARK = "d1ops:probe:"
_ROWS = 120


def known(workspace: Workspace) -> Atomicity:
    """Return what is known of the target, from the adapter or from an earlier probe. Sends nothing."""
    stated = workspace.database.capabilities.atomic_batch
    if stated is not Atomicity.UNKNOWN:
        return stated
    return _remembered(workspace, "atomic_batch")


def _remembered(workspace: Workspace, name: str) -> Atomicity:
    try:
        return Atomicity(_facts(workspace)[name])
    except (ValueError, KeyError):
        return Atomicity.UNKNOWN


def _facts(workspace: Workspace) -> dict[str, str]:
    try:
        facts = json.loads(_file(workspace, workspace.state / "targets").read_bytes())
    except (OSError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def counts_changes(workspace: Workspace) -> bool:
    """Return whether `total_changes()` is known to count what a batch changes and nothing else. Sends nothing."""
    if workspace.database.capabilities.atomic_batch is Atomicity.PROVED:
        return True
    return _remembered(workspace, "counts_changes") is Atomicity.PROVED


def require_ingest(workspace: Workspace) -> None:
    """Raise NotAtomic unless an import of the target is known to be all or nothing. Where nobody knows it is asked, as
    `run` asks it of batches: six requests. An adapter whose batches are proved runs a file the same way."""
    if workspace.database.capabilities.atomic_batch is Atomicity.PROVED:
        return
    state = _remembered(workspace, "atomic_import")
    if state is Atomicity.UNKNOWN:
        state = _run_ingest(workspace)
    if state is Atomicity.REFUTED:
        raise NotAtomic(
            "an import of this target kept part of a file that failed: a guarded change is not possible on it",
            hint="report it to Cloudflare with the database id; d1ops doctor --probe repeats the probe",
        )


def _run_ingest(workspace: Workspace) -> Atomicity:
    rows = "".join(f"INSERT INTO {_TABLE} (n) VALUES ({n});\n" for n in range(120))
    failing = f"INSERT INTO {_TABLE} (n) SELECT json_extract('{{}}', 'd1ops:probe');\n"
    try:
        workspace.database.ingest(
            f"DROP TABLE IF EXISTS {_TABLE};\nCREATE TABLE {_TABLE} (n INTEGER PRIMARY KEY);\n{rows}{failing}"
        )
    except StatementRejected as error:
        if "d1ops:probe" not in error.text:
            raise
    else:
        raise D1opsError("the probe of the import did not fail as it must", hint="report this as a bug of d1ops")
    left = workspace.database.query("SELECT count(*) FROM sqlite_master WHERE name = ?1", (_TABLE,)).scalar()
    state = Atomicity.REFUTED if left else Atomicity.PROVED
    if left:
        workspace.database.query(f"DROP TABLE {_TABLE}")
    _remember(workspace, atomic_import=state)
    workspace.tell(
        f"probe: an import that fails leaves {'rows, which are dropped again' if left else 'nothing'} behind"
    )
    return state


def require_atomic(workspace: Workspace) -> None:
    """Raise NotAtomic unless the target is known to execute a batch all or nothing."""
    state = known(workspace)
    if state is Atomicity.PROVED:
        return
    if state is Atomicity.REFUTED:
        raise NotAtomic(
            "this target kept part of a batch that failed: a guarded change is not possible on it",
            hint="report it to Cloudflare with the database id; d1ops doctor repeats the probe",
        )
    raise NotAtomic(
        "nobody has proved yet that this target executes a batch all or nothing",
        hint="d1ops doctor --probe writes and removes a table of its own to find out",
    )


def run(workspace: Workspace) -> Atomicity:
    """Probe the target and remember the answer. A leftover is dropped and said.

    Costs two requests, three with a leftover. Raises what the database raises when it cannot be asked.
    """
    statements = [
        Statement(f"CREATE TABLE {_TABLE} (n INTEGER PRIMARY KEY, changes INTEGER)"),
        *(Statement(f"INSERT INTO {_TABLE} VALUES (?1, total_changes())", (n,)) for n in range(_ROWS)),
        Statement(
            f"SELECT CASE WHEN (SELECT count(*) FROM {_TABLE}) = 0 THEN 1 ELSE json_extract('{{}}',"
            f" concat('{_MARK}', total_changes() - (SELECT min(changes) FROM {_TABLE}), ';')) END"
        ),
    ]
    try:
        text = _fail_on_purpose(workspace, statements)
    except StatementRejected as error:
        if f"{_TABLE} already exists" not in error.text:
            raise
        workspace.database.query(f"DROP TABLE {_TABLE}")
        workspace.tell(f"probe: {_TABLE} was left behind by an earlier probe; it is dropped")
        text = _fail_on_purpose(workspace, statements)
    left = workspace.database.query("SELECT count(*) FROM sqlite_master WHERE name = ?1", (_TABLE,)).scalar()
    state = Atomicity.REFUTED if left else Atomicity.PROVED
    if left:
        workspace.database.query(f"DROP TABLE {_TABLE}")
        workspace.tell(f"probe: {_TABLE} was left behind by a batch that failed; it is dropped again")
    # What is known of imports is asked anew as well, when one is needed.
    counts = Atomicity.PROVED if f"{_MARK}{_ROWS};" in text else Atomicity.REFUTED
    _remember(workspace, atomic_batch=state, atomic_import=Atomicity.UNKNOWN, counts_changes=counts)
    workspace.tell(
        f"probe: a batch of {len(statements)} statements that fails leaves {'rows' if left else 'nothing'} behind"
    )
    return state


def _fail_on_purpose(workspace: Workspace, statements: Sequence[Statement]) -> str:
    """Send a batch whose last statement raises, and return its text; any other end of it is raised here."""
    try:
        workspace.database.batch(statements)
    except StatementRejected as error:
        if _MARK not in error.text:
            raise
        return error.text
    else:
        raise D1opsError("the atomicity probe did not fail as it must", hint="report this as a bug of d1ops")


def _file(workspace: Workspace, folder: Path) -> Path:
    target = workspace.database.target
    name = re.sub(r"[^A-Za-z0-9_-]", "_", f"{target.kind}-{target.id}")[:100]
    return folder / f"{name}.json"


def _remember(workspace: Workspace, **found: Atomicity) -> None:
    path = _file(workspace, workspace.state_folder("targets"))
    aside = path.with_suffix(".partial")
    facts = {
        **_facts(workspace),
        **{name: state.value for name, state in found.items()},
        "probed_at": workspace.timestamp(),
        "database_id": workspace.database.target.id,
    }
    with os.fdopen(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        json.dump(facts, file)
    aside.replace(path)
