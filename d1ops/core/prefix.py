"""Which migrations a schema shows to have run: files replayed one after the other on an empty engine, and compared.

SQLite is the judge: after every file the schema of the engine is compared with the target's, object by object. What
changes rows alone shows in no schema, so neighbouring candidates can be equal; who asks must then choose.
"""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.engine import Engine
from d1ops.core.mirror import schema_of
from d1ops.core.replay import run_script
from d1ops.core.schema import Difference, diff
from d1ops.errors import ScriptError, StatementRejected

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.catalog import Migration
    from d1ops.core.schema import Schema


@dataclass(frozen=True, slots=True)
class Candidate:
    """Migrations in the order in which they would have run, and how the target differs from what they make.

    `differences` read from what the files make to what the target has: missing, extra, different. `reordered` are the
    tables whose columns are in another order there, which counts as equal.
    """

    migrations: tuple[Migration, ...]
    schema: Schema
    differences: tuple[Difference, ...]
    reordered: tuple[str, ...]

    @property
    def matches(self) -> bool:
        """Whether the target has exactly this structure."""
        return not self.differences


@dataclass(frozen=True, slots=True)
class Candidates:
    """Every prefix that runs, the shortest first. `stopped` says where a file did not run any more, if one did not."""

    found: tuple[Candidate, ...]
    stopped: str | None

    @property
    def matching(self) -> tuple[Candidate, ...]:
        """Those that have the target's structure."""
        return tuple(candidate for candidate in self.found if candidate.matches)

    @property
    def nearest(self) -> Candidate:
        """The one with the fewest differences; of several the longest."""
        return min(reversed(self.found), key=lambda candidate: len(candidate.differences))


def candidates(sure: Sequence[Migration], open_ones: Sequence[Migration], target: Schema, ledger: str) -> Candidates:
    """Replay `sure`, then each of `open_ones`, and compare after `sure` and after each.

    `target` is the user's schema. A migration that does not run ends the list; where `sure` does not run the list is
    empty.
    """
    found: list[Candidate] = []
    ran: list[Migration] = []
    with closing(Engine.memory()) as engine:

        def compare() -> None:
            schema = schema_of(engine).users(ledger)
            differences = diff(schema, target)
            found.append(
                Candidate(
                    tuple(ran),
                    schema,
                    tuple(d for d in differences if d.change != "reordered"),
                    tuple(d.label for d in differences if d.change == "reordered"),
                )
            )

        try:
            for migration in sure:
                run_script(engine, migration.script.statements)
                ran.append(migration)
            compare()
            for migration in open_ones:
                run_script(engine, migration.script.statements)
                ran.append(migration)
                compare()
        except (StatementRejected, ScriptError) as error:
            return Candidates(tuple(found), error.message)
    return Candidates(tuple(found), None)
