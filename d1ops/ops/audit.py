"""Audit a target: at most two requests, nothing written, everything else answered in memory."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from d1ops.config.document import nearest
from d1ops.core.audit import report as core
from d1ops.core.audit import sift
from d1ops.core.audit.rules import RULES, unused_ignore
from d1ops.core.audit.sift import Ignore
from d1ops.core.audit.subject import examine
from d1ops.core.places import NOWHERE, find_places
from d1ops.errors import ConfigError, D1opsError, UsageError
from d1ops.ops import workspace
from d1ops.ops.survey import expected_schema, remote_plans, survey

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from d1ops.config.model import Settings
    from d1ops.core.audit.finding import Severity
    from d1ops.core.audit.report import Report
    from d1ops.core.audit.sift import Sifted
    from d1ops.core.catalog import Catalog
    from d1ops.core.places import Places
    from d1ops.core.queries import Query
    from d1ops.core.schema import Schema
    from d1ops.core.values import Row
    from d1ops.database.base import Database, Target


@dataclass(frozen=True, slots=True)
class Audited:
    """A report, the target it is about, what was read of it, and how many requests that took."""

    target: Target
    report: Report
    requests: int
    schema: Schema
    statistics: tuple[Row, ...]
    rows: Mapping[str, int]
    """The rows of the tables, as far as they are known."""
    expected: Schema | None = None
    """The schema that the applied migrations build, None where nobody can say."""


def audit(
    database: Database,
    queries: Sequence[Query],
    ledger: str,
    *,
    read_catalog: Callable[[], Catalog] | None = None,
    count: bool = False,
    with_remote_plans: bool = False,
    tell: Callable[[str], None] = lambda _: None,
) -> Audited:
    """Audit the schema of a target and the plans of `queries` on it.

    With `read_catalog` the target is compared with what its applied migrations build. `count` counts every row, which
    is billed; `with_remote_plans` asks the target for its own plans too: one more request each. Raises what
    `Database.batch` raises, and HumanNeeded when an object of the target's schema cannot be rebuilt.
    """
    before = database.requests
    seen = survey(database, ledger, count=count, tell=tell)
    subject = examine(
        seen.mirrored,
        seen.statistics,
        queries,
        known_rows=seen.known_rows,
        expected=expected_schema(seen, read_catalog, tell) if read_catalog else None,
    )
    if with_remote_plans:
        compiled = [planned.query for planned in subject.queries if planned.plan is not None]
        subject = replace(subject, remote_plans=remote_plans(database, compiled))
    requests = database.requests - before
    report = core.judge(subject)
    schema, rows = seen.mirrored.schema, subject.row_estimates
    return Audited(database.target, report, requests, schema, seen.statistics, rows, subject.expected)


# -- what is decided beside the target -------------------------------------------------------------------


MOST_STATEMENTS = 5_000
"""So many statements of migrations are run to find places, in about 3 seconds: SQLite looks through the whole schema at
each CREATE, so the time grows with the square."""

_IGNORE = re.compile(r"^[ \t]*\[\[[ \t]*audit[ \t]*\.[ \t]*ignore[ \t]*\]\]", re.MULTILINE)


def read_ignores(settings: Settings) -> tuple[Ignore, ...]:
    """Return what the configuration ignores, with the line of its file where each begins.

    Raises ConfigError for a rule that does not exist, or that cannot be ignored.
    """
    said = settings.audit.ignore
    if not said:
        return ()
    known = {rule: rule for rule in RULES if rule != unused_ignore.ID}
    for number, one in enumerate(said):
        if one.rule not in known:
            key = f"audit.ignore[{number}].rule"
            what = f"{settings.shown_source}: {key} {one.rule!r} is not a rule that can be ignored"
            hint = nearest(one.rule, known) or f"one of {', '.join(sorted(known))}"
            raise ConfigError(what, file=settings.source, key=key, hint=hint)
    text = settings.source.read_text(encoding="utf-8-sig")
    lines: list[int | None] = [text.count("\n", 0, found.start()) + 1 for found in _IGNORE.finditer(text)]
    if len(lines) != len(said):  # written as an array of inline tables
        lines = [None] * len(said)
    return tuple(
        Ignore(
            rule=one.rule,
            reason=one.reason,
            table=one.table,
            index=one.index,
            query=one.query,
            columns=one.columns,
            path=settings.shown_source,
            line=line,
        )
        for one, line in zip(said, lines, strict=True)
    )


def read_baseline_file(path: Path) -> dict[str, Severity]:
    """Read a baseline. Raises UsageError for a file that is not there or is not one."""
    try:
        data = path.read_bytes()
    except OSError as error:
        hint = f"d1ops audit --write-baseline {path}"
        raise UsageError(f"the baseline {path} cannot be read: {error.strerror}", hint=hint) from None
    return sift.read_baseline(data, str(path))


def places(settings: Settings, sifted: Sifted, tell: Callable[[str], None]) -> Places:
    """Return where the catalog makes what the findings are about.

    A catalog that cannot be read, or does not run, leaves findings without a place; `tell` hears why.
    """
    found = (*sifted.new, *sifted.known, *(finding for finding, _ in sifted.ignored))
    if all(finding.path is not None for finding in found):
        return NOWHERE
    folders = settings.catalog
    try:
        migrations = workspace.read_catalog(settings.project, folders.migrations, folders.rollbacks).migrations
        statements = sum(len(migration.script.statements) for migration in migrations)
        if statements <= MOST_STATEMENTS:
            return find_places(migrations)
        tell(f"where tables are made is not looked up: {statements:,} statements are too many to run")
    except D1opsError as error:
        tell(f"where tables are made is not known: {error}")
    return NOWHERE
