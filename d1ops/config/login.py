"""The API token, the account and the address of the API. Nothing here is written, refreshed or shown.

Sources: wrangler 4.164 for the places of its login file and of its account cache.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from d1ops.client.address import DEFAULT_BASE_URL, check_base_url
from d1ops.client.secret import Secret
from d1ops.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from d1ops.config.model import Settings

TOKEN_VARIABLE = "CLOUDFLARE_API_TOKEN"  # noqa: S105 - the name of a variable, not a token
BASE_URL_VARIABLE = "CLOUDFLARE_API_BASE_URL"
TOKEN_COMMAND_SECONDS = 30.0


@dataclass(frozen=True, slots=True)
class Login:
    """A token, and where it came from in words that may be shown."""

    token: Secret
    source: str


def find_login(
    settings: Settings,
    environ: Mapping[str, str],
    *,
    now: datetime | None = None,
    platform: str = sys.platform,
    timeout_seconds: float = TOKEN_COMMAND_SECONDS,
) -> Login:
    """Return the token: CLOUDFLARE_API_TOKEN, else what `token_command` prints, else wrangler's own login.

    `now` (aware, default the clock) decides whether wrangler's login has expired; it is never refreshed,
    because its refresh token works once and belongs to wrangler.

    Raises ConfigError, which names no token and repeats no output, when none can be had.
    """
    if environ.get(TOKEN_VARIABLE, "").strip():
        return _checked(Secret(environ[TOKEN_VARIABLE].strip()), TOKEN_VARIABLE)
    if settings.token_command:
        return _from_command(settings, environ, timeout_seconds)
    folder = wrangler_home(environ, platform)
    if folder is not None:
        file = folder / "config" / "default.toml"
        if file.is_file():
            return _from_wrangler(file, now or datetime.now(UTC))
        if file.with_suffix(".enc").is_file():
            raise ConfigError(
                f"wrangler's login is encrypted ({file.with_suffix('.enc')}) and only wrangler can read it",
                file=file.with_suffix(".enc"),
                hint=f"set {TOKEN_VARIABLE}",
            )
    raise ConfigError(
        f"there is no API token for {settings.env}",
        key=TOKEN_VARIABLE,
        hint=f"set {TOKEN_VARIABLE} (permission D1 Edit; D1 Read suffices to look), or npx wrangler login",
    )


def find_account(settings: Settings, environ: Mapping[str, str]) -> str:
    """Return the account's id: from the settings (which hold CLOUDFLARE_ACCOUNT_ID and wrangler's account_id),
    else the one that wrangler chose last in this project.

    Raises ConfigError when none is named.
    """
    account = settings.database.account_id or _cached_account(settings.project, environ)
    if account is None:
        raise ConfigError(
            f"there is no account id for {settings.env}",
            file=settings.source,
            key="database.account_id",
            hint="set CLOUDFLARE_ACCOUNT_ID, or account_id under [database]; npx wrangler whoami shows it",
        )
    return account


def api_base_url(environ: Mapping[str, str]) -> str:
    """Return the address of the API: CLOUDFLARE_API_BASE_URL (with `/client/v4`), else Cloudflare's own.

    Raises ConfigError for an address that would carry the token unencrypted beyond this machine.
    """
    return check_base_url(environ.get(BASE_URL_VARIABLE, "").strip() or DEFAULT_BASE_URL)


def wrangler_home(environ: Mapping[str, str], platform: str = sys.platform) -> Path | None:
    """Return wrangler's own folder: `~/.wrangler` when it exists, else the platform's place for settings."""
    home = environ.get("USERPROFILE" if platform == "win32" else "HOME")
    if not home:
        return None
    legacy = Path(home) / ".wrangler"
    if legacy.is_dir():
        return legacy
    if configured := environ.get("XDG_CONFIG_HOME"):
        return Path(configured) / ".wrangler"
    if platform == "darwin":
        return Path(home) / "Library" / "Preferences" / ".wrangler"
    if platform == "win32":
        roaming = environ.get("APPDATA")
        base = Path(roaming) if roaming else Path(home) / "AppData" / "Roaming"
        return base / "xdg.config" / ".wrangler"
    return Path(home) / ".config" / ".wrangler"


def _checked(token: Secret, source: str) -> Login:
    """Refuse what a header cannot carry here, before an HTTP library repeats it in its own error."""
    token.check()
    return Login(token, source)


def _from_command(settings: Settings, environ: Mapping[str, str], timeout_seconds: float) -> Login:
    program = settings.token_command[0]
    problem, token = _run(settings.token_command, settings.project, environ, timeout_seconds)
    if problem is not None:
        raise ConfigError(
            f"token_command: {program} {problem}",
            file=settings.source,
            key="token_command",
            hint=f"run it by hand, or set {TOKEN_VARIABLE}",
        )
    return _checked(token, f"token_command ({program})")


def _run(
    argv: tuple[str, ...], folder: Path, environ: Mapping[str, str], timeout_seconds: float
) -> tuple[str | None, Secret]:
    """Return what went wrong, if anything, and the first line of the output.

    The exceptions of `subprocess` end here, because they carry the output.
    """
    import subprocess

    nothing = Secret("")
    try:
        done = subprocess.run(
            argv,
            cwd=folder,
            env=dict(environ),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=timeout_seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"gave no answer within {timeout_seconds:g} s", nothing
    except OSError as error:
        return f"cannot be run: {error.strerror}", nothing
    if done.returncode != 0:
        return f"ended with exit status {done.returncode}", nothing
    line = done.stdout.decode("utf-8", errors="replace").split("\n", 1)[0].strip()
    return (None, Secret(line)) if line else ("printed nothing on its first line", nothing)


def _from_wrangler(file: Path, now: datetime) -> Login:
    token, expires = _read_login(file)
    if token is None:
        raise ConfigError(f"{file} holds no login", file=file, hint="npx wrangler login")
    if expires is None or expires <= now:
        when = f"expired at {expires:%Y-%m-%dT%H:%M:%SZ}" if expires else "does not say when it expires"
        raise ConfigError(f"wrangler's login {when} ({file})", file=file, hint="npx wrangler login")
    return _checked(token, "wrangler's login")


def _read_login(file: Path) -> tuple[Secret | None, datetime | None]:
    """Return the token and when it expires. A file that cannot be read holds no login, as for wrangler; a
    parser's error would quote it.
    """
    import tomllib

    try:
        login = tomllib.loads(file.read_bytes().decode("utf-8"))
    except (OSError, ValueError):
        return None, None
    token = login.get("oauth_token")
    if not isinstance(token, str) or not token:
        return None, None
    return Secret(token), _moment(login.get("expiration_time"))


def _moment(value: object) -> datetime | None:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value)
        except ValueError:
            return None
    if not isinstance(value, datetime):
        return None
    return value.astimezone(UTC) if value.tzinfo else value.replace(tzinfo=UTC)


def _cached_account(project: Path, environ: Mapping[str, str]) -> str | None:
    """Return the account that wrangler keeps for this project, if it does."""
    import json

    for folder in _cache_folders(project, environ):
        try:
            cached = json.loads((folder / "wrangler-account.json").read_bytes())
            account = cached["account"]["id"]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if isinstance(account, str) and account:
            return account
    return None


def _cache_folders(project: Path, environ: Mapping[str, str]) -> list[Path]:
    if chosen := environ.get("WRANGLER_CACHE_DIR"):
        return [project / chosen]
    modules = next(
        (folder / "node_modules" for folder in (project, *project.parents) if (folder / "node_modules").is_dir()),
        None,
    )
    beside = [modules / ".cache" / "wrangler"] if modules else []
    return [*beside, project / ".wrangler" / "cache"]
