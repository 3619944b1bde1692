"""Drift: where the target's schema is not what the migrations in its ledger make."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.mirror import build_mirror, schema_of
from d1ops.core.replay import replay_without_rows, run_script
from d1ops.core.rules import is_reserved
from d1ops.core.schema import Schema, diff, if_not_exists
from d1ops.core.sql import ended, fold, quote_if_needed, split
from d1ops.errors import StatementRejected, StructureRefused
from d1ops.ops.rollback import require_files

if TYPE_CHECKING:
    from d1ops.core.schema import Difference
    from d1ops.ops.look import Look
    from d1ops.ops.workspace import Workspace


@dataclass(frozen=True, slots=True)
class Drift:
    """What a replay of the ledger and the target do not share. In every difference `before` is the text that the
    migrations make and `after` the target's: `missing` means that the target lacks the object, `extra` that no
    migration makes it. `reordered` are tables whose columns stand in another order, which nobody but `SELECT *` and
    `INSERT` without names sees."""

    expected: Schema
    differences: tuple[Difference, ...]
    reordered: tuple[Difference, ...]

    @property
    def is_clean(self) -> bool:
        """Whether the target is what its migrations make, the order of columns aside."""
        return not self.differences


def find(workspace: Workspace, seen: Look) -> Drift:
    """Replay the ledger's migrations, in the order in which they were applied, and compare with a look at the target.

    Raises LedgerRefused when an applied file is missing or changed, ScriptError for one that cannot be read, and
    StructureRefused when they do not run one after the other.
    """
    require_files(seen.statuses(workspace), "what the migrations make cannot be known")
    known = workspace.catalog.by_file()
    try:
        engine, _ = replay_without_rows(known[row.name] for row in seen.ledger)
    except StatementRejected as error:
        raise StructureRefused(
            f"the applied migrations do not run one after the other: {error.text}",
            hint="compare the order in d1ops status with the one in which they were written",
        ) from None
    with closing(engine):
        expected = schema_of(engine).users(workspace.ledger)
    found = diff(expected, seen.schema)
    return Drift(
        expected,
        tuple(difference for difference in found if difference.change != "reordered"),
        tuple(difference for difference in found if difference.change == "reordered"),
    )


@dataclass(frozen=True, slots=True)
class Mend:
    """A migration that brings a drifted target back, and does nothing where there is no drift. `left` are tables that
    differ or that no migration makes: somebody must decide about their rows, so it neither changes nor drops them."""

    statements: tuple[str, ...]
    left: tuple[str, ...]

    @property
    def text(self) -> str:
        """The migration as a file holds it."""
        heading = (
            "-- Brings a target that was changed by hand back to what the migrations make; elsewhere it does nothing.\n"
        )
        # The rule leaves a plain index alone, and an ignore that excuses nothing is a finding.
        if not all(sql.startswith(("DROP ", "CREATE INDEX ")) for sql in self.statements):
            heading += "-- d1ops: ignore if-not-exists it is meant to do nothing where nothing is missing\n"
        return heading + "\n" + "\n\n".join(map(ended, self.statements)) + "\n"


UNDOES_NOTHING = (
    "-- Undoes a migration that changes nothing on a target without drift: there is nothing to undo.\nSELECT 1;\n"
)
"""The rollback script of a `Mend`."""


def mend(found: Drift, target: Schema) -> Mend:
    """Write the migration that takes a drift away, and prove it: on the target's schema it leaves no difference but in
    what is `left`, on the expected schema it changes nothing.

    Raises StructureRefused when there is nothing that a migration can do, or it does not do it.
    """
    extra = [d for d in found.differences if d.change == "extra"]
    other = [d for d in found.differences if d.change != "extra"]
    left = tuple(
        d.label for d in found.differences if d.change in ("different", "extra") and d.label.startswith("table ")
    )
    # The indexes and triggers of a table that stays as it is are left to whoever decides about it.
    owners = {o.label: fold(o.table) for o in target.objects}
    foreign = {fold(label.removeprefix("table ")) for label in left if label in {d.label for d in extra}}
    extra = [d for d in extra if d.label not in left and owners[d.label] not in foreign]
    made = [d for d in other if d.label not in left]
    order = {kind: place for place, kind in enumerate(("trigger", "view", "index", "table"))}
    dropped = [*extra, *(d for d in made if d.change == "different")]
    statements = [_drop(d) for d in sorted(dropped, key=lambda d: order[d.label.partition(" ")[0]])]
    by_label = {d.label: d for d in made}
    statements += [if_not_exists(o) for o in found.expected.objects if o.label in by_label and o.sql]
    if not statements:
        raise StructureRefused(
            f"no migration that does nothing elsewhere brings this back: {', '.join(left) or 'there is no drift'}",
            hint="write one by hand, or adopt the target's form in a migration and run d1ops baseline",
        )
    repaired = Mend(tuple(statements), left)
    kept = {d.label for d in found.differences if owners.get(d.label) in foreign}
    for schema, allowed in ((target, kept | set(left)), (found.expected, set[str]())):
        changed = {d.label for d in diff(found.expected, _after(schema, repaired.text)) if d.change != "reordered"}
        if not changed <= allowed:
            raise StructureRefused(f"the migration does not bring everything back: {', '.join(sorted(changed))}")
    return repaired


def _after(schema: Schema, text: str) -> Schema:
    with closing(build_mirror(schema.objects)) as engine:
        try:
            run_script(engine, split(text, "the migration"))
        except StatementRejected as error:
            raise StructureRefused(f"the migration does not run: {error.text}") from None
        return Schema(tuple(o for o in schema_of(engine).objects if not is_reserved(o.name)))


def _drop(difference: Difference) -> str:
    kind, _, name = difference.label.partition(" ")
    return f"DROP {kind.upper()} IF EXISTS {quote_if_needed(name)}"
