"""The only place that picks an adapter. Each is imported when it is needed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from d1ops.config.login import api_base_url, find_account, find_login
from d1ops.errors import ConfigError, NotFound

if TYPE_CHECKING:
    from collections.abc import Mapping

    from d1ops.client import D1Client
    from d1ops.client.models import DatabaseInfo
    from d1ops.config.model import Settings
    from d1ops.database.base import Database


def open_database(settings: Settings, environ: Mapping[str, str], *, create: bool) -> Database:
    """Return the target of an env; the caller closes it.

    Without `create` a local database that does not exist reads as an empty one and nothing is written: an in-memory
    stand-in with the target's name answers. A remote one is looked up (one request) when only its name is known.

    Raises ConfigError when the token, the account or the engine is missing, NotFound with the env and its file when
    the account has no database of that name, and what the adapter raises when it is opened.
    """
    match settings.database.kind:
        case "sqlite":
            return _open_sqlite(settings, create=create)
        case "workerd":
            return _open_workerd(settings, environ, create=create)
        case "cloudflare":
            return _open_cloudflare(settings, environ)


def _open_sqlite(settings: Settings, *, create: bool) -> Database:
    from d1ops.database.sqlite import SqliteDatabase

    path = settings.database.path
    assert path is not None
    return SqliteDatabase(settings.at(path), name=path, create=create)


def _open_workerd(settings: Settings, environ: Mapping[str, str], *, create: bool) -> Database:
    from d1ops.database.workerd import WorkerdDatabase, database_file, module_roots

    local_id = settings.database.database_id
    assert local_id is not None
    name = settings.database.database_name or settings.database.binding or local_id
    state = settings.at(settings.database.persist)
    file = database_file(state, local_id)
    if not create and not file.exists():
        from d1ops.database.base import Target
        from d1ops.database.sqlite import SqliteDatabase

        stand_in = SqliteDatabase(file, name=name, create=False)
        stand_in.target = Target("workerd", name, local_id)
        return stand_in
    configured = settings.database.node_modules
    modules = module_roots(settings.project, settings.at(configured) if configured else None, environ)
    return WorkerdDatabase(local_id, state, modules, name=name)


def _open_cloudflare(settings: Settings, environ: Mapping[str, str]) -> Database:
    from d1ops.client import D1Client
    from d1ops.database.http import HttpDatabase

    account = find_account(settings, environ)
    client = D1Client(account, find_login(settings, environ).token, base_url=api_base_url(environ))
    try:
        database_id, name = _identify(client, settings)
    except BaseException:
        client.close()
        raise
    return HttpDatabase(client, database_id, name=name)


def _identify(client: D1Client, settings: Settings) -> tuple[str, str]:
    """Return uuid and name as the API knows them; a name that belongs to another uuid is refused.

    D1 renames no database, so the name of a uuid is asked once and kept beside the other facts about targets.
    """
    database_id = settings.database.database_id
    if database_id is None:
        found = _look_up(client, settings)
        return found.uuid, found.name
    kept = settings.at(settings.state) / "targets" / f"cloudflare-{database_id}.name"
    name = kept.read_text() if kept.is_file() else client.get_database(database_id).name
    wanted = settings.database.database_name
    if wanted is not None and wanted != name:
        raise ConfigError(
            f"{settings.env}: database {database_id} is named {name!r},"
            f" and {settings.shown_source} calls it {wanted!r}",
            file=settings.source,
            key="database.database_name",
            hint="npx wrangler d1 list shows which is which",
        )
    if not kept.is_file() and kept.parent.is_dir():
        kept.write_text(name)
        kept.chmod(0o600)
    return database_id, name


def _look_up(client: D1Client, settings: Settings) -> DatabaseInfo:
    name = settings.database.database_name
    assert name is not None
    try:
        return client.get_database(name)
    except NotFound as error:
        raise NotFound(
            f"{settings.env}: account {client.account_id} has no database named {name!r}, "
            f"which {settings.shown_source} asks for",
            code=error.code,
            status=error.status,
            ray=error.ray,
            hint="npx wrangler d1 list shows the account's databases",
        ) from error
