"""Which database a configuration means. Pure: what the files say goes in, ids or a refusal come out.

The rule behind every refusal: a target is named in one place, and never guessed from another environment.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from d1ops.config.document import nearest

if TYPE_CHECKING:
    from d1ops.config.document import Document
    from d1ops.config.model import DatabaseSettings, EnvFile, Kind
    from d1ops.config.wrangler import Chosen, WranglerFile
    from d1ops.errors import ConfigError

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)

_OWN_NAMES = {"sqlite": ("kind",), "workerd": ("database_id",), "cloudflare": ("database_id", "database_name")}
"""The keys that name a database of each kind without wrangler's file."""

_WRANGLER_NAMES = ("wrangler", "wrangler_env")
KEYS_OF_KIND: dict[str, tuple[str, ...]] = {
    "sqlite": ("path",),
    "workerd": ("database_id", "binding", "persist", "node_modules", *_WRANGLER_NAMES),
    "cloudflare": ("account_id", "database_id", "database_name", *_WRANGLER_NAMES),
}


def section_of_wrangler(
    document: Document,
    target: DatabaseSettings,
    env: str,
    wrangler: WranglerFile | None,
    wanted: str | None,
) -> Chosen | None:
    """Return the database of wrangler's file that a file of ours means; None when it needs none.

    `wanted` is the operator's `--database`. Raises ConfigError for keys that the kind does not use, for a
    database named twice, and for one that cannot be found without a guess.
    """
    _refuse_idle_keys(document, target)
    own = _first_given(target, _OWN_NAMES[target.kind])
    asked = _first_given(target, _WRANGLER_NAMES)
    if target.wrangler and not own:
        own = _first_given(target, ("binding",))
    if own and asked:
        raise document.problem(
            f"database.{own} and database.{asked} name the database twice",
            key=f"database.{asked}",
            hint="keep one of them",
        )
    if own and wanted:
        raise document.problem(
            f"the database is named by database.{own}; --database chooses among those of wrangler's file",
            key=f"database.{own}",
            hint="leave --database out",
        )
    if own:
        return None
    if wrangler is None:
        if target.kind == "workerd" and not asked and not wanted:
            return None
        raise document.problem(
            "the database has no id, and there is no wrangler file to take one from",
            key=f"database.{asked or 'database_id'}",
            hint="database_id or database_name under [database]",
        )
    named = wanted or target.wrangler or target.binding
    return wrangler.choose(_environment(document, target, env, wrangler), named)


def ids_of_wrangler(kind: Kind, wrangler: WranglerFile, chosen: Chosen) -> dict[str, str | None]:
    """Return the fields of `[database]` that wrangler's file supplies. Raises ConfigError when it lacks them."""
    entry = chosen.entry
    shared = {"database_name": entry.database_name or None, "binding": entry.binding}
    if kind == "workerd":
        return {"database_id": entry.local_id, **shared}
    key = f"{chosen.key}.database_id"
    if entry.database_id:
        _refuse_non_uuid(wrangler.document, key, entry.database_id)
    elif not entry.database_name:
        raise wrangler.document.problem(
            f"{chosen.key} has neither database_id nor database_name", key=key, hint="npx wrangler d1 list"
        )
    return {"database_id": entry.database_id or None, **shared}


def ids_of_file(document: Document, said: EnvFile, env: str) -> dict[str, str | None]:
    """Return the fields of `[database]` that a file of ours leaves to the default."""
    target = said.database
    if target.kind == "sqlite":
        return {"path": target.path or f"{said.state}/{env}.sqlite"}
    if target.kind == "workerd":
        return {"database_id": target.database_id or target.binding or env}
    if target.database_id is not None:
        _refuse_non_uuid(document, "database.database_id", target.database_id)
    return {}


def _environment(document: Document, target: DatabaseSettings, env: str, wrangler: WranglerFile) -> str | None:
    """Return the environment of wrangler's file that is meant; None is its top level."""
    if target.wrangler_env == "":
        return None
    if target.wrangler_env is not None:
        if target.wrangler_env not in wrangler.envs:
            raise _no_such_environment(document, target.wrangler_env, wrangler)
        return target.wrangler_env
    if target.wrangler is not None:
        if env in wrangler.envs and wrangler.named(env, target.wrangler):
            raise document.problem(
                f"database.wrangler names the top level of {wrangler.name}, which has {target.wrangler!r} "
                f"in env.{env} too",
                key="database.wrangler",
                hint=f'wrangler_env = "{env}", or wrangler_env = "" for the top level',
            )
        return None
    if env in wrangler.envs:
        return env
    if target.kind == "workerd":
        return None
    top = wrangler.table.d1_databases
    raise document.problem(
        f"the database has no id, and {wrangler.name} has no env.{env} to take one from",
        key="database.database_id",
        hint=f'wrangler = "{top[0].binding}" for the top-level database of {wrangler.name}'
        if top
        else "database_id or database_name under [database]",
    )


def _no_such_environment(document: Document, given: str, wrangler: WranglerFile) -> ConfigError:
    likely = nearest(given, {name: name for name in wrangler.envs})
    return document.problem(
        f"{wrangler.name} has no environment {given!r}; it has {', '.join(wrangler.envs) or 'none'}",
        key="database.wrangler_env",
        hint=f'wrangler_env = "{likely}"' if likely else 'wrangler_env = "" is its top level',
    )


def _first_given(target: DatabaseSettings, keys: tuple[str, ...]) -> str | None:
    return next((key for key in keys if getattr(target, key) is not None), None)


def _refuse_idle_keys(document: Document, target: DatabaseSettings) -> None:
    """A key that another kind uses is a mistake in one of the two, and silence would hide which."""
    for key in sorted(target.model_fields_set - {"kind", *KEYS_OF_KIND[target.kind]}):
        kinds = [f'kind = "{kind}"' for kind, keys in KEYS_OF_KIND.items() if key in keys]
        raise document.problem(
            f'database.{key} means nothing with kind = "{target.kind}"',
            key=f"database.{key}",
            hint=f"remove it, or {' or '.join(kinds)}",
        )


def _refuse_non_uuid(document: Document, key: str, given: str) -> None:
    """D1 queries by uuid only; it answers a name with `Invalid uuid` (code 7400)."""
    if not _UUID.fullmatch(given):
        raise document.problem(
            f"{key} is not a uuid: {given!r}",
            key=key,
            hint="database_name, which is looked up, or the uuid that npx wrangler d1 list shows",
        )
