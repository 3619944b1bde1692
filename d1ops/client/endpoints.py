"""The endpoints of D1's REST API, each as a function that returns a `Call`.

Source: Cloudflare's API reference for D1 and its TypeScript SDK. Time Travel's restore takes query parameters and no
body; `params` is left out rather than sent as null, which the API refuses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from d1ops.client.address import segment
from d1ops.client.call import Call, Safety
from d1ops.client.results import decode_results
from d1ops.core.values import Bookmark, Restored

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from datetime import datetime

    from d1ops.client.call import Envelope
    from d1ops.client.models import DatabaseInfo, Progress
    from d1ops.client.results import Decoded
    from d1ops.core.binding import WireParam

PAGE_SIZE = 100


class Page(NamedTuple):
    """One page of a list; `total` is None where the API does not tell it."""

    databases: tuple[DatabaseInfo, ...]
    total: int | None


class BoundStatement(NamedTuple):
    """A statement with its parameters as they travel."""

    sql: str
    params: tuple[WireParam, ...]

    def json(self) -> dict[str, object]:
        """Return it as the API takes it."""
        return {"sql": self.sql, "params": list(self.params)} if self.params else {"sql": self.sql}


def _databases(account: str) -> str:
    return f"/accounts/{segment(account, 'account id')}/d1/database"


def _database(account: str, database: str, *rest: str) -> str:
    return "/".join((_databases(account), segment(database, "database id"), *rest))


def list_databases(account: str, page: int, name: str | None) -> Call[Page]:
    """List one page of databases."""
    query = (("page", str(page)), ("per_page", str(PAGE_SIZE)), *((("name", name),) if name else ()))
    return Call("GET", _databases(account), _page, query)


def get_database(account: str, database: str) -> Call[DatabaseInfo]:
    """Ask for one database, by uuid or by name."""
    return Call("GET", _database(account, database), _info)


def create_database(account: str, body: Mapping[str, object]) -> Call[DatabaseInfo]:
    """Create a database."""
    return Call("POST", _databases(account), _info, body=body, safety=Safety.WRITE)


def update_database(account: str, database: str, body: Mapping[str, object]) -> Call[DatabaseInfo]:
    """Change the settings that are named, and no others."""
    return Call("PATCH", _database(account, database), _info, body=body, safety=Safety.IDEMPOTENT)


def delete_database(account: str, database: str) -> Call[None]:
    """Delete a database. A second attempt could not tell its own work from a wrong id, so there is none."""
    return Call("DELETE", _database(account, database), lambda envelope: None, safety=Safety.WRITE)


def raw(account: str, database: str, statement: BoundStatement, *, count: int | None, safety: Safety) -> Call[Decoded]:
    """Run one text, which holds `count` statements if that is known."""
    return _raw(account, database, statement.json(), count, safety)


def batch(account: str, database: str, statements: Sequence[BoundStatement], *, safety: Safety) -> Call[Decoded]:
    """Run statements as one batch, each an element of its own."""
    body = {"batch": [statement.json() for statement in statements]}
    return _raw(account, database, body, len(statements), safety)


def _raw(account: str, database: str, body: Mapping[str, Any], count: int | None, safety: Safety) -> Call[Decoded]:
    def parse(envelope: Envelope) -> Decoded:
        return decode_results(envelope.result, count=count)

    return Call("POST", _database(account, database, "raw"), parse, body=body, safety=safety)


def export(account: str, database: str, dump_options: Mapping[str, object], at: str | None = None) -> Call[Progress]:
    """Start an export, or ask how the one at a bookmark stands. Starting it again is harmless."""
    body = {"output_format": "polling", "dump_options": dump_options, **({"current_bookmark": at} if at else {})}
    return Call("POST", _database(account, database, "export"), _progress, body=body)


def import_(account: str, database: str, safety: Safety, **body: str) -> Call[Progress]:
    """Take the next step of an import: init, ingest or poll."""
    return Call("POST", _database(account, database, "import"), _progress, body=body, safety=safety)


def bookmark(account: str, database: str, at: datetime | None) -> Call[Bookmark]:
    """Ask for the present bookmark, or for the nearest at or before a time."""
    query = (("timestamp", _timestamp(at)),) if at else ()
    return Call("GET", _database(account, database, "time_travel", "bookmark"), _bookmark, query)


def restore(account: str, database: str, to: str | datetime) -> Call[Restored]:
    """Rewind to a bookmark or a time. Never repeated: a second rewind would name the first one's end as its undo."""
    query = (("bookmark", to),) if isinstance(to, str) else (("timestamp", _timestamp(to)),)
    path = _database(account, database, "time_travel", "restore")
    return Call("POST", path, _restored, query, safety=Safety.WRITE)


def _timestamp(at: datetime) -> str:
    """Return a time with a zone as RFC 3339 in UTC with milliseconds."""
    from datetime import UTC

    return at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


# -- parsers ---------------------------------------------------------------------------------------------


def _info(envelope: Envelope) -> DatabaseInfo:
    from d1ops.client import models

    return models.read(models.DatabaseInfo, envelope.result)


def _progress(envelope: Envelope) -> Progress:
    from d1ops.client import models

    return models.read(models.Progress, envelope.result)


def _page(envelope: Envelope) -> Page:
    from d1ops.client import models

    if not isinstance(envelope.result, list):
        raise ValueError("the result is not a list")
    total = envelope.info.get("total_count") if isinstance(envelope.info, dict) else None
    databases = tuple(models.read(models.DatabaseInfo, item) for item in envelope.result)
    return Page(databases, total if isinstance(total, int) else None)


def _text(result: object, name: str) -> str:
    value = result.get(name) if isinstance(result, dict) else None
    if not isinstance(value, str) or not value:
        raise ValueError(f"{name} is missing")
    return value


def _bookmark(envelope: Envelope) -> Bookmark:
    return Bookmark(_text(envelope.result, "bookmark"))


def _restored(envelope: Envelope) -> Restored:
    message = envelope.result.get("message") if isinstance(envelope.result, dict) else None
    return Restored(
        bookmark=Bookmark(_text(envelope.result, "bookmark")),
        undo=Bookmark(_text(envelope.result, "previous_bookmark")),
        message=message if isinstance(message, str) else "",
    )
