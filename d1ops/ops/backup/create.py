"""Taking a backup: what it would cost, reading, proving, packing, and the rename that makes it one."""

from __future__ import annotations

import errno
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import apsw

import d1ops
from d1ops.core.mirror import build_mirror
from d1ops.core.paging import Limits
from d1ops.core.reader import SMALLEST_ROW_BYTES
from d1ops.core.sql import fold
from d1ops.database.sqlite import no_room, unusable
from d1ops.errors import BackupRefused
from d1ops.ops.backup import files, partial
from d1ops.ops.backup.manifest import (
    ALL_TABLES,
    DATA,
    ENCRYPTED,
    FORMAT,
    KEY_RANGES,
    MANIFEST,
    ONE_BATCH,
    PACKED,
    Manifest,
)
from d1ops.ops.backup.progress import Progress
from d1ops.ops.backup.reading import Source
from d1ops.ops.backup.scope import Tables
from d1ops.ops.backup.seal import Seal
from d1ops.ops.backup.settle import Large, Settled, TooLarge, divide, settle
from d1ops.ops.backup.shelf import clear
from d1ops.ops.backup.verified import judge, made, private_folder, remember
from d1ops.ops.look import look

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from datetime import datetime
    from pathlib import Path

    from d1ops.core.reader import TableReader, Totals
    from d1ops.ops.backup.partial import Partial
    from d1ops.ops.backup.seal import Sealed
    from d1ops.ops.backup.verified import VerifiedBackup
    from d1ops.ops.look import Look
    from d1ops.ops.workspace import Workspace

PRICE_PER_MILLION = 0.001
"""US dollars for a million rows read beyond what the plan includes (D1 documentation, platform/pricing)."""

ROW_OVERHEAD_BYTES = 16
READINGS = 4
"""How often a row of a large table is read when nothing moves: counted, copied, proved, counted again."""


@dataclass
class _Run:
    """One run of `create`."""

    workspace: Workspace
    seen: Look
    source: Source
    tables: Tables
    readers: list[TableReader]
    scope: Sequence[str]
    needed: frozenset[str] | None
    """What the backup has to hold (folded); None where that is all. The rest is left out where it never settles."""
    folder: Path
    backup_id: str
    started: datetime
    requests: int


def create(
    workspace: Workspace,
    seen: Look | None = None,
    *,
    scope: Iterable[str] | None = None,
    needed: Iterable[str] | None = None,
    allow_unsettled: bool = False,
    over_budget: bool = False,
    fresh: bool = False,
    limits: Limits | None = None,
) -> tuple[VerifiedBackup, Look]:
    """Read the target as of one moment, write the backup, verify it, and copy it to the bucket if there is one.

    `seen` is a look just taken, if there is one. `scope` names tables: those and all that they reference are read,
    otherwise all. Tables that are written all the time cannot be read as of one moment: that refuses, or leaves them
    out with `allow_unsettled` (`covers` then says no). `over_budget` agrees to more than `backup_max_bytes`. What an
    interrupted run left is gone on with, unless `fresh`; what is left then goes.

    `needed` are the tables that a change depends on (`core.reach`). Where all tables are over the budget they are the
    scope, and what else never settles is left out: the backup holds at least them, or is refused.

    Returns the backup and the look of its own moment. Raises BackupRefused where the size is over the budget and
    nobody agrees, where schema or tables move, and for any difference that verification finds; UsageError for a
    scope that names no table; ConfigError for a recipient that is none; Unreachable where there is no room for it, and
    when the bucket does not take the copy, with the backup here whole and verified.
    """
    files.check_recipients(workspace.backup_recipients)
    limits = limits or Limits()
    started, requests = workspace.now(), workspace.database.requests
    seen = seen or look(workspace)
    mirror = build_mirror(seen.everything.objects)
    try:
        tables = Tables(mirror, seen.everything)
        held = None if needed is None else tables.within(needed, workspace.ledger)
        if held is not None and scope is None and seen.size_bytes > workspace.backup_max_bytes:
            scope = needed
        names = tables.stored if scope is None else tables.within(scope, workspace.ledger)
        readers = tables.readers(names)
    finally:
        mirror.close()
    run = _Run(
        workspace=workspace,
        seen=seen,
        source=Source(workspace.database, limits),
        tables=tables,
        readers=readers,
        scope=[] if len(names) == len(tables.stored) else names,
        needed=frozenset() if allow_unsettled else None if held is None else frozenset(map(fold, held)),
        folder=workspace.state_folder("backups", workspace.env),
        backup_id=f"{started.strftime('%Y%m%dT%H%M%SZ')}-{workspace.nonce()[:6]}",
        started=started,
        requests=requests,
    )
    totals = _weigh(run, over_budget=over_budget)
    if fresh:
        partial.discard(workspace, run.folder)
    with _room_in(run.folder):
        backup, snapshot = _take(run, totals)
    clear(workspace)
    manifest = backup.manifest
    workspace.tell(f"backup {backup.id}: {manifest.counted}, {manifest.rows:,} rows, restored and equal to the target")
    if workspace.bucket is not None:
        workspace.bucket.put(backup.folder, manifest)
        workspace.tell(f"backup {backup.id}: copied to {workspace.bucket.name}")
    return backup, snapshot


@contextmanager
def _room_in(folder: Path) -> Iterator[None]:
    """Raise Unreachable where the disk is full, whoever finds it out."""
    try:
        yield
    except (apsw.FullError, apsw.IOError) as error:
        raise unusable(folder, error) from None
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise
        raise no_room(error.filename or folder) from None


def _weigh(run: _Run, *, over_budget: bool) -> dict[str, Totals] | None:
    """Say what a large target costs, and refuse what is over the budget unless somebody agrees. Returns the figures of
    the tables where it took them to tell."""
    workspace, size = run.workspace, run.seen.size_bytes
    most = workspace.backup_max_bytes
    if size <= min(most, run.source.limits.one_batch_bytes):
        return None
    what, totals = f"{size:,} bytes", None
    if run.scope:
        what = f"{len(run.scope)} of {len(run.tables.stored)} tables of a database of {size:,} bytes"
    # Rowids may be far apart, so that they say less than the size does.
    rows = min(run.source.span(run.readers), size // SMALLEST_ROW_BYTES)
    cost = f"{what}, at most {rows:,} rows"
    if workspace.database.target.kind == "cloudflare":
        billed = rows * READINGS
        cost += f", billed as about {billed:,} rows read (${billed / 1e6 * PRICE_PER_MILLION:.3f} beyond the plan)"
    workspace.tell(f"to be read: {cost}")
    if over_budget or size <= most:
        return None
    if run.scope:
        # How much a part of a database is takes counting, which is one of the readings.
        totals = run.source.totals(run.readers)
        size = sum(each.size_bytes + ROW_OVERHEAD_BYTES * each.rows for each in totals.values())
        what = f"these tables have {size:,} bytes"
    else:
        what = f"the target has {size:,} bytes"
    if size <= most or workspace.agree(f"{what.capitalize()}, over the budget of {most:,}. Read all the same?"):
        return totals
    raise BackupRefused(
        f"{what}, more than the {most:,} that a backup may read without asking",
        hint="raise backup.max_bytes in config/<env>.toml"
        if run.scope
        else "d1ops backup create --over-budget, or raise backup.max_bytes in config/<env>.toml",
    )


def _take(run: _Run, totals: dict[str, Totals] | None) -> tuple[VerifiedBackup, Look]:
    """Read as one batch where the target is small, else in ranges; what a batch cannot carry goes in ranges too."""
    if run.seen.size_bytes <= run.source.limits.one_batch_bytes:
        aside = partial.begin(run.folder, run.backup_id, run.seen.everything, run.readers)
        try:
            return _fill(run, aside, run.readers, Large([]))
        except TooLarge:
            aside.remove()
        except BaseException:
            aside.remove()
            raise
    totals = totals or run.source.totals(run.readers)
    small = divide(run.readers, totals, run.source.limits)
    large = Large([reader for reader in run.readers if reader not in small], totals, run.needed)
    everything = run.seen.everything
    found = partial.adopt(run.workspace, run.folder, everything, run.scope, run.readers, totals)
    if found is not None:
        run.workspace.tell(f"going on with what {found.folder.name} holds already (--fresh throws it away)")
    aside = found or partial.begin(run.folder, run.backup_id, everything, run.readers)
    try:
        aside.keep(run.workspace, everything, run.scope, totals)
        return _fill(run, aside, small, large)
    except TooLarge as error:
        aside.remove()
        raise BackupRefused(
            f"the small tables of the target do not fit into one answer: {error.text}", hint="run the command again"
        ) from None
    except BackupRefused:
        aside.remove()
        raise
    finally:
        aside.close()


def _fill(run: _Run, aside: Partial, small: list[TableReader], large: Large) -> tuple[VerifiedBackup, Look]:
    objects, workspace = run.seen.everything.objects, run.workspace
    names = [reader.table for reader in run.readers]
    seal = Seal(aside, objects, workspace.ledger, names, workspace.backup_recipients)
    progress = Progress(workspace.show)
    try:
        settled = settle(workspace, run.source, seal, run.seen, small, large, progress)
    finally:
        progress.done()
    if settled.sealed is None:
        settled = _without_unsettled(run, seal, settled)
    manifest = _manifest(run, settled, is_ranged=bool(large.readers))
    return _complete(run, aside, manifest, settled.sealed or seal.now()), settled.look


def _without_unsettled(run: _Run, seal: Seal, settled: Settled) -> Settled:
    """Take out what kept moving, and the rest of a virtual table of which a part did."""
    out = set(settled.unsettled)
    for shadows in run.tables.shadows.values():
        if out.intersection(shadows):
            out.update(shadows)
    needed = out if run.needed is None else {name for name in out if fold(name) in run.needed}
    if needed or not settled.facts:
        listed = ", ".join(sorted(needed or out))
        raise BackupRefused(
            f"{listed} changed at every one of {settled.rounds} readings, so there is no moment to keep",
            hint="run it again when less is written; d1ops backup create leaves such tables out and says so",
        )
    by_name = {o.name: o for o in run.seen.everything.objects}
    copy = seal.reopen()
    for virtual, shadows in run.tables.shadows.items():
        if out.intersection(shadows):
            copy.empty(by_name[virtual])
    for reader in run.readers:
        if reader.table in settled.unsettled and not _is_shadow(run, reader.table):
            copy.clear(reader)
    run.workspace.tell(f"{', '.join(settled.unsettled)} changed at every reading and is not part of the backup")
    facts = tuple(each for each in settled.facts if each.table not in out)
    return replace(settled, facts=facts, unsettled=tuple(sorted(out)))


def _is_shadow(run: _Run, table: str) -> bool:
    return any(table in shadows for shadows in run.tables.shadows.values())


def _manifest(run: _Run, settled: Settled, *, is_ranged: bool) -> Manifest:
    """What is known before the files are packed."""
    workspace, target = run.workspace, run.workspace.database.target
    held = [facts.table for facts in settled.facts]
    left_out = tuple(name for name in run.tables.stored if name not in held and name not in settled.unsettled)
    scope = ALL_TABLES
    if left_out or settled.unsettled:
        scope = f"{len(held)} of {len(run.tables.stored)} tables"
    proof = "one batch, one snapshot"
    if is_ranged:
        proof = (
            f"large tables read twice with equal digests around one batch of the small ones, {settled.rounds} rounds"
        )
    return Manifest(
        format=FORMAT,
        id=run.backup_id,
        env=workspace.env,
        kind=target.kind,
        account=target.account,
        database=target.name,
        database_id=target.id,
        ledger=workspace.ledger,
        created_at=run.started.strftime("%Y-%m-%dT%H:%M:%SZ"),
        bookmark=settled.bookmark,
        bookmark_after=settled.after,
        method=KEY_RANGES if is_ranged else ONE_BATCH,
        scope=scope,
        proof_of_rest=proof,
        rounds=settled.rounds,
        schema_fingerprint=settled.look.schema.fingerprint(),
        tables=settled.facts,
        virtual_tables=run.tables.held_virtual(held),
        left_out=left_out,
        unsettled=settled.unsettled,
        data_sha256="",
        data_bytes=0,
        target_bytes=settled.look.size_bytes,
        requests=0,
        rows_read=run.source.rows_read or None,
        duration_seconds=0.0,
        recipients=tuple(workspace.backup_recipients),
        packed_file=ENCRYPTED if workspace.backup_recipients else PACKED,
        tool=f"d1ops {d1ops.__version__}",
        sqlite=apsw.sqlite_lib_version(),
    )


def _complete(run: _Run, aside: Partial, manifest: Manifest, sealed: Sealed) -> VerifiedBackup:
    """Judge the sealed copy, write the manifest, rename the folder. The unpacked file stays for this process."""
    workspace, folder, packed = run.workspace, run.folder / manifest.id, sealed.packed
    manifest = replace(
        manifest,
        violations=judge(sealed.inspected, manifest),
        data_sha256=packed.data_sha256,
        data_bytes=packed.data_bytes,
        packed_sha256=packed.packed_sha256,
        packed_bytes=packed.packed_bytes,
        requests=workspace.database.requests - run.requests,
        duration_seconds=round((workspace.now() - run.started).total_seconds(), 3),
    )
    (aside.folder / MANIFEST).unlink(missing_ok=True)
    files.write_private(aside.folder / MANIFEST, manifest.to_bytes())
    unpacked = private_folder(run.folder, manifest.id) / DATA
    aside.become(folder, unpacked)
    remember(folder, unpacked)
    return made(manifest, folder, workspace.backup_identity)
