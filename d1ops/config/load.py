"""From files to `Settings`: `config/<env>.toml` first, else wrangler's own file.

An env without a file of ours comes from wrangler's file: `dev` is the local state that `wrangler dev` keeps,
any other name is the remote database of `env.<name>` and protected. The top level of wrangler's file is a
remote target only when a file of ours says so by name, because wrangler itself falls back to it on a
mistyped `--env`.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from d1ops.config.document import Document, nearest
from d1ops.config.model import ACCOUNT_ID, CatalogSettings, DatabaseSettings, EnvFile, Settings
from d1ops.config.target import ids_of_file, ids_of_wrangler, section_of_wrangler
from d1ops.config.wrangler import find_wrangler_file, read_wrangler_file
from d1ops.errors import ConfigError, UnknownEnv

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from d1ops.config.wrangler import Chosen, WranglerFile

LOCAL_ENV = "dev"
"""The default env, and the one that is local in a project that has only wrangler's file."""

ACCOUNT_VARIABLE = "CLOUDFLARE_ACCOUNT_ID"

_ENV_NAME = re.compile(r"[A-Za-z0-9_-]+")
_OURS = re.compile(rb"^\s*(\[\s*database\s*\]|database\s*[.=]|protected\s*=)", re.MULTILINE)


def find_project(start: Path) -> Path:
    """Return the nearest folder, from `start` upward, that holds a `config/*.toml` of ours or wrangler's file.

    Raises ConfigError when there is none.
    """
    start = start.absolute()
    for folder in (start, *start.parents):
        if find_wrangler_file(folder) or _files_like_ours(folder):
            return folder
    raise ConfigError(
        f"neither config/<env>.toml nor wrangler's file is in {start} or above it",
        hint="--project DIR, or write config/dev.toml (docs/configuration.md has an example)",
    )


def known_envs(project: Path) -> tuple[str, ...]:
    """Return the names that `load_settings` accepts, in alphabetical order."""
    return _known(project, read_wrangler_file(project))


def load_settings(project: Path, env: str, environ: Mapping[str, str], *, database: str | None = None) -> Settings:
    """Return everything that is known of an env before its target is asked.

    `project` is the folder that holds `config/` or wrangler's file. `database` is a binding or database_name
    of wrangler's file, for a section that has several. `environ` supplies CLOUDFLARE_ACCOUNT_ID.

    Raises UnknownEnv, and ConfigError with file and key for whatever cannot be used.
    """
    if not _ENV_NAME.fullmatch(env):
        raise ConfigError(f"{env!r} cannot be the name of an environment", key="env", hint="letters, digits, _ and -")
    project = project.absolute()
    file = _files(project).get(env)
    if file is not None:
        return _from_file(project, Document(file, f"config/{file.name}"), env, environ, database)
    wrangler = read_wrangler_file(project)
    if wrangler is not None and (env == LOCAL_ENV or env in wrangler.envs):
        return _from_wrangler(project, wrangler, env, environ, database)
    known = _known(project, wrangler)
    raise UnknownEnv(env, known, hint=_hint_for_env(env, known, wrangler))


# -- where envs are named --------------------------------------------------------------------------------


def _files(project: Path) -> dict[str, Path]:
    """Return the files `config/<env>.toml` by env, whoever they belong to."""
    found = sorted((project / "config").glob("*.toml"))
    return {file.stem: file for file in found if _ENV_NAME.fullmatch(file.stem) and file.is_file()}


def _files_like_ours(project: Path) -> dict[str, Path]:
    """Return those that look like ours: other tools keep a `config/*.toml` too."""
    return {env: file for env, file in _files(project).items() if _looks_like_ours(file)}


def _looks_like_ours(file: Path) -> bool:
    try:
        return _OURS.search(file.read_bytes()) is not None
    except OSError:
        return True  # whoever reads it for its settings says what is wrong with it


def _known(project: Path, wrangler: WranglerFile | None) -> tuple[str, ...]:
    names = set(_files_like_ours(project))
    if wrangler is not None:
        names |= {LOCAL_ENV, *(name for name in wrangler.envs if _ENV_NAME.fullmatch(name))}
    return tuple(sorted(names))


def _hint_for_env(env: str, known: Iterable[str], wrangler: WranglerFile | None) -> str:
    likely = nearest(env, {name: name for name in known})
    if likely is not None:
        return f"--env {likely}"
    top = wrangler.table.d1_databases if wrangler else ()
    if wrangler and top:
        return (
            f"if the top-level database of {wrangler.name} is meant, write config/{env}.toml:\n"
            f'  [database]\n  kind = "cloudflare"\n  wrangler = "{top[0].binding}"'
        )
    return f'write config/{env}.toml: [database] with kind = "sqlite", "workerd" or "cloudflare"'


# -- the two sources -------------------------------------------------------------------------------------


def _from_file(project: Path, document: Document, env: str, environ: Mapping[str, str], wanted: str | None) -> Settings:
    said = document.read(EnvFile)
    target = said.database
    wrangler = read_wrangler_file(project) if target.kind != "sqlite" else None
    chosen = section_of_wrangler(document, target, env, wrangler, wanted)
    if chosen is not None and wrangler is not None:
        ids = ids_of_wrangler(target.kind, wrangler, chosen)
    else:
        ids = ids_of_file(document, said, env)
    if target.kind == "cloudflare" and target.account_id is None:
        ids["account_id"] = _account(environ, wrangler, chosen.env if chosen else env)
    explicit = said.catalog.model_dump(exclude_unset=True)
    return Settings(
        env=env,
        project=project,
        source=document.path,
        protected=said.protected if said.protected is not None else target.kind == "cloudflare",
        state=said.state,
        token_command=said.token_command,
        database=target.model_copy(update=ids),
        catalog=_catalog(project, wrangler, chosen, explicit),
        backup=said.backup,
        audit=said.audit,
        prices=said.prices,
    )


def _from_wrangler(
    project: Path, wrangler: WranglerFile, env: str, environ: Mapping[str, str], wanted: str | None
) -> Settings:
    local = env == LOCAL_ENV
    chosen = wrangler.choose(env if env in wrangler.envs else None, wanted)
    target = DatabaseSettings(kind="workerd" if local else "cloudflare")
    ids = ids_of_wrangler(target.kind, wrangler, chosen)
    if not local:
        ids["account_id"] = _account(environ, wrangler, chosen.env)
    return Settings(
        env=env,
        project=project,
        source=wrangler.document.path,
        protected=not local,
        database=target.model_copy(update=ids),
        catalog=_catalog(project, wrangler, chosen, {}),
    )


# -- what both share -------------------------------------------------------------------------------------


def _account(environ: Mapping[str, str], wrangler: WranglerFile | None, section: str | None) -> str | None:
    """Return the account from the environment, else from wrangler's file, else None."""
    given = environ.get(ACCOUNT_VARIABLE, "").strip()
    if not given:
        return wrangler.account_id(section) if wrangler else None
    if not re.fullmatch(ACCOUNT_ID, given):
        raise ConfigError(
            f"{ACCOUNT_VARIABLE} holds a character that an account id does not have",
            key=ACCOUNT_VARIABLE,
            hint="npx wrangler whoami shows the id",
        )
    return given


def _catalog(
    project: Path, wrangler: WranglerFile | None, chosen: Chosen | None, explicit: dict[str, str]
) -> CatalogSettings:
    """Return the folders: what a file of ours says, else what wrangler's file says, else what is there."""
    if wrangler is None or chosen is None:
        return CatalogSettings.model_validate(explicit)
    entry = chosen.entry
    migrations = explicit.get("migrations") or entry.migrations_dir
    if migrations is None:
        migrations = _first_folder(project, "migrations", "db/migrations")
    pattern = entry.migrations_pattern
    if pattern not in (None, f"{migrations}/*.sql", f"{migrations}/*/migration.sql") and "migrations" not in explicit:
        raise wrangler.document.problem(
            f"{chosen.key}.migrations_pattern {pattern!r} names files that d1ops would not see: it reads the "
            f".sql files of one folder, or a migration.sql in each folder below it",
            key=f"{chosen.key}.migrations_pattern",
            hint="catalog.migrations in config/<env>.toml, naming that folder",
        )
    found = {
        "migrations": migrations,
        "rollbacks": _first_folder(project, "rollbacks", "db/rollbacks", f"{migrations}/rollbacks"),
        "queries": _first_folder(project, "db/queries", "queries"),
        "ledger": entry.migrations_table,
    }
    return CatalogSettings.model_validate({**found, **explicit})


def _first_folder(project: Path, *candidates: str) -> str:
    """Return the first that exists, else the first."""
    return next((folder for folder in candidates if (project / folder).is_dir()), candidates[0])
