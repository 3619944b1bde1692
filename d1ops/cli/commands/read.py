"""`query` and `history`: rows of the target, and what happened to it. They never write anything anywhere."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated

import typer

from d1ops.cli import diagnostics
from d1ops.cli.call import Call
from d1ops.cli.declare import command
from d1ops.errors import ExitCode, GuardRefused, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.ledger import Event
    from d1ops.core.values import Param


@command("history", "d1ops history", "d1ops history --limit 5 --env production")
def history(
    call: Call,
    limit: Annotated[int | None, typer.Option("--limit", min=1, show_default=False, help="Only the newest.")] = None,
) -> ExitCode:
    """Say what happened: migrations, rollbacks, restores.

    The newest comes last. Reads only.
    """
    from d1ops.cli.documents import event_document, target_document
    from d1ops.ops.look import look

    with call.open(catalog=False) as workspace:
        seen = look(workspace)
        events = seen.history[-limit:] if limit else seen.history
        call.note(
            target=target_document(workspace, seen.size_bytes),
            events=[event_document(event) for event in events],
        )
        call.answer(_history_lines(events) if events else ["the history is empty"])
    return ExitCode.DONE


@command(
    "query",
    'd1ops query "SELECT count(*) FROM users"',
    'd1ops query "SELECT * FROM artists WHERE user_id = ?1 LIMIT ?2" u_1 10 --env staging',
    'd1ops query "SELECT * FROM users WHERE id = ?1" \'"007"\' --format json',
)
def query(
    call: Call,
    sql: Annotated[str, typer.Argument(metavar="SQL", show_default=False, help="One statement that reads.")],
    params: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[PARAM]...",
            show_default=False,
            help='Values of ?1, ?2 and so on: numbers, null, true, false and "quoted text" as in JSON, all else as'
            " text. Put -- before one that begins with a dash.",
        ),
    ] = None,
) -> ExitCode:
    """Run one statement that reads, and print its rows.

    A write is refused: it belongs into a migration.
    """
    from dataclasses import asdict

    from d1ops.cli.documents import target_document, value_document
    from d1ops.cli.text import cell, columns, count
    from d1ops.core.sql import is_read
    from d1ops.core.values import Statement

    _require_text(sql, *(params or ()))
    values = tuple(_param(text) for text in params or ())
    with call.open(catalog=False) as workspace:
        if not is_read(sql):
            folder = call.settings().catalog.migrations
            raise GuardRefused(
                "query runs one statement that reads, and this is something else; nothing was sent",
                hint=f"write the change as a migration in {folder}, then: {call.command('migrate')}",
            )
        (result,) = workspace.database.batch((Statement(sql, values),), reads_only=True)
        call.note(
            target=target_document(workspace, result.meta.size_after_bytes),
            columns=list(result.columns),
            rows=[[value_document(value) for value in row] for row in result.rows],
            meta=asdict(result.meta),
        )
        call.answer(columns([result.columns, *([cell(value) for value in row] for row in result.rows)]))
        if not call.is_json:
            diagnostics.tell(count(len(result.rows), "row"))
    return ExitCode.DONE


def _history_lines(events: Sequence[Event]) -> list[str]:
    from d1ops.cli.text import table

    rows = [
        [
            event.at,
            event.kind,
            event.migration or "",
            event.actor,
            event.backup or "",
            event.bookmark or "",
            "rewound since" if event.rewound_by else "",
        ]
        for event in events
    ]
    return table(["at", "kind", "migration", "by", "backup", "bookmark before", ""], rows)


def _require_text(*words: str) -> None:
    try:
        "".join(words).encode()
    except UnicodeEncodeError:
        raise UsageError("the statement or a parameter is not valid text in this terminal's encoding") from None


def _param(text: str) -> Param:
    """Read a parameter: a JSON scalar (an integer of 64 bits at most), or else the text itself."""

    def refuse(name: str) -> None:
        raise ValueError(name)

    try:
        value = json.loads(text, parse_constant=refuse)
    except ValueError:
        return text
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return text
    return value if value is None or isinstance(value, bool | int | float | str) else text
