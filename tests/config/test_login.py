from __future__ import annotations

import json
import pickle
import sys
import traceback
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from d1ops.client.secret import Secret
from d1ops.config.load import load_settings
from d1ops.config.login import Login, api_base_url, find_account, find_login, wrangler_home
from d1ops.errors import ConfigError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from d1ops.config.model import Settings

TOKEN = "v1.0-a-secret-that-nobody-sees"
NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)


def settings_of(project: Path, command: list[str] | None = None) -> Settings:
    folder = project / "config"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "staging.toml").write_text(
        f'token_command = {json.dumps(command or [])}\n[database]\nkind = "cloudflare"\ndatabase_name = "x"\n'
    )
    return load_settings(project, "staging", {})


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def wrangler_login(folder: Path, text: str) -> Path:
    file = folder / "config" / "default.toml"
    file.parent.mkdir(parents=True)
    file.write_text(text)
    return file


def logged_in(token: str = TOKEN, expires: str = "2026-11-22T13:00:00.000Z") -> str:
    return f'oauth_token = "{token}"\nrefresh_token = "r3fr3sh"\nexpiration_time = "{expires}"\nscopes = ["d1:write"]\n'


def refusal(settings: Settings, environ: Mapping[str, str], *, timeout_seconds: float = 30.0) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        find_login(settings, environ, now=NOW, platform="linux", timeout_seconds=timeout_seconds)
    assert caught.value.exit_code is ExitCode.USAGE
    seen = "".join(traceback.TracebackException.from_exception(caught.value, capture_locals=True).format())
    shown = seen.replace(repr(environ), "").replace(repr(dict(environ)), "")
    assert "s3cret" not in f"{caught.value.hint} {shown}"
    return caught.value


# -- where the token comes from --------------------------------------------------------------------------


def test_the_environment_goes_first(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, python("raise SystemExit('not asked')"))
    login = find_login(settings, {"CLOUDFLARE_API_TOKEN": f" {TOKEN}\n", "HOME": str(tmp_path)})
    assert (login.token.reveal(), login.source) == (TOKEN, "CLOUDFLARE_API_TOKEN")


def test_then_the_first_line_of_the_command(tmp_path: Path) -> None:
    wrangler_login(tmp_path / ".wrangler", logged_in("other"))
    command = python(f"import sys; print('{TOKEN}\\r'); print('more'); print('noise', file=sys.stderr)")
    login = find_login(settings_of(tmp_path, command), {"CLOUDFLARE_API_TOKEN": " ", "HOME": str(tmp_path)})
    assert (login.token.reveal(), login.source) == (TOKEN, f"token_command ({sys.executable})")


def test_then_the_login_of_wrangler_which_is_left_as_it_is(tmp_path: Path) -> None:
    file = wrangler_login(tmp_path / ".wrangler", logged_in())
    before = file.stat().st_mtime_ns, file.read_bytes(), sorted(tmp_path.rglob("*"))
    settings = settings_of(tmp_path / "project")
    login = find_login(settings, {"HOME": str(tmp_path)}, now=NOW, platform="linux")
    assert (login.token.reveal(), login.source) == (TOKEN, "wrangler's login")
    after = (
        file.stat().st_mtime_ns,
        file.read_bytes(),
        sorted(path for path in tmp_path.rglob("*") if "project" not in path.parts),
    )
    assert before == after


@pytest.mark.parametrize("environ", [{}, {"HOME": "/nonexistent"}])
def test_without_any_the_ways_to_get_one_are_named(tmp_path: Path, environ: dict[str, str]) -> None:
    error = refusal(settings_of(tmp_path), environ)
    assert error.message == "there is no API token for staging"
    assert error.key == "CLOUDFLARE_API_TOKEN"
    assert error.hint == (
        "set CLOUDFLARE_API_TOKEN (permission D1 Edit; D1 Read suffices to look), or npx wrangler login"
    )


# -- the token is never shown ----------------------------------------------------------------------------


@given(st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.").map(lambda token: f"x9.{token}"))
def test_a_login_does_not_show_its_token(token: str) -> None:
    login = Login(Secret(token), "CLOUDFLARE_API_TOKEN")
    assert token not in f"{login} {login!r}"
    with pytest.raises(TypeError):
        pickle.dumps(login)


@pytest.mark.parametrize("token", ["s3cret\nX-Evil: 1", "s3cret s3cret", "“s3cret”", "s3cret\x00"])
def test_a_token_that_no_header_carries_is_refused_unseen(tmp_path: Path, token: str) -> None:
    settings = settings_of(tmp_path)
    error = refusal(settings, {"CLOUDFLARE_API_TOKEN": token})
    assert error.message == "the API token is empty or holds characters that no token has"
    wrangler_login(tmp_path / ".wrangler", logged_in(json.dumps(token)[1:-1]))
    assert refusal(settings, {"HOME": str(tmp_path)}).message == error.message


@pytest.mark.parametrize(
    ("code", "problem"),
    [
        ("import sys; print('s3' + 'cret'); sys.exit(3)", "ended with exit status 3"),
        ("print(); print('s3' + 'cret')", "printed nothing on its first line"),
        ("import sys; sys.stderr.write('s3' + 'cret')", "printed nothing on its first line"),
        ("input()", "ended with exit status 1"),
    ],
)
def test_a_command_that_fails_is_named_without_its_output(tmp_path: Path, code: str, problem: str) -> None:
    settings = settings_of(tmp_path, python(code))
    error = refusal(settings, {})
    assert error.message == f"token_command: {sys.executable} {problem}"
    assert (error.file, error.key) == (settings.source, "token_command")
    assert error.hint == "run it by hand, or set CLOUDFLARE_API_TOKEN"


def test_a_command_that_does_not_end_is_ended(tmp_path: Path) -> None:
    code = "import threading; print('s3' + 'cret', flush=True); threading.Event().wait()"
    error = refusal(settings_of(tmp_path, python(code)), {}, timeout_seconds=0.5)
    assert error.message == f"token_command: {sys.executable} gave no answer within 0.5 s"


def test_a_command_that_is_not_there_is_named(tmp_path: Path) -> None:
    error = refusal(settings_of(tmp_path, [str(tmp_path / "op"), "read"]), {})
    assert error.message == f"token_command: {tmp_path / 'op'} cannot be run: No such file or directory"


def test_a_command_is_no_shell_and_runs_in_the_project(tmp_path: Path) -> None:
    code = "import os, sys; print(os.path.basename(os.getcwd()) + '|'.join(sys.argv[1:]) + os.environ['WHO'])"
    settings = settings_of(tmp_path / "here", [*python(code), "$HOME;echo", "*"])
    assert find_login(settings, {"WHO": "me"}).token.reveal() == "here$HOME;echo|*me"


# -- wrangler's login ------------------------------------------------------------------------------------


@given(st.integers(-10_000_000, 10_000_000))
def test_an_expired_login_is_never_used(tmp_path_factory: pytest.TempPathFactory, seconds: int) -> None:
    home = tmp_path_factory.mktemp("home")
    expires = NOW + timedelta(seconds=seconds)
    file = wrangler_login(home / ".wrangler", logged_in("s3cret", expires.strftime("%Y-%m-%dT%H:%M:%S.000Z")))
    settings = settings_of(home)
    if seconds > 0:
        login = find_login(settings, {"HOME": str(home)}, now=NOW, platform="linux")
        assert login.source == "wrangler's login"
    else:
        error = refusal(settings, {"HOME": str(home)})
        assert error.message == f"wrangler's login expired at {expires:%Y-%m-%dT%H:%M:%SZ} ({file})"
        assert (error.file, error.hint) == (file, "npx wrangler login")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "holds no login"),
        ('oauth_token = ""\n', "holds no login"),
        ("oauth_token = 3\n", "holds no login"),
        ('oauth_token = "s3cret\n', "holds no login"),
        ('oauth_token = "s3cret"\n', "does not say when it expires"),
        ('oauth_token = "s3cret"\nexpiration_time = "soon"\n', "does not say when it expires"),
        ('oauth_token = "s3cret"\nexpiration_time = 5\n', "does not say when it expires"),
        ('oauth_token = "s3cret"\nexpiration_time = 2026-11-22T11:59:59\n', "expired at 2026-11-22T11:59:59Z"),
        ('oauth_token = "s3cret"\nexpiration_time = "2026-11-22T13:59:59+02:00"\n', "expired at 2026-11-22T11:59:59Z"),
    ],
)
def test_a_login_that_is_none_is_refused_without_quoting_it(tmp_path: Path, text: str, words: str) -> None:
    file = wrangler_login(tmp_path / ".wrangler", text)
    error = refusal(settings_of(tmp_path), {"HOME": str(tmp_path)})
    assert words in error.message
    assert (error.file, error.hint) == (file, "npx wrangler login")


def test_an_encrypted_login_is_left_to_wrangler(tmp_path: Path) -> None:
    encrypted = tmp_path / ".wrangler" / "config" / "default.enc"
    encrypted.parent.mkdir(parents=True)
    encrypted.write_text("{}")
    error = refusal(settings_of(tmp_path), {"HOME": str(tmp_path)})
    assert error.message == f"wrangler's login is encrypted ({encrypted}) and only wrangler can read it"
    assert (error.file, error.hint) == (encrypted, "set CLOUDFLARE_API_TOKEN")


@pytest.mark.parametrize(
    ("platform", "environ", "expected"),
    [
        ("linux", {"HOME": "~"}, "~/.config/.wrangler"),
        ("linux", {"HOME": "~", "XDG_CONFIG_HOME": "~/xdg"}, "~/xdg/.wrangler"),
        ("darwin", {"HOME": "~"}, "~/Library/Preferences/.wrangler"),
        ("win32", {"USERPROFILE": "~", "HOME": "/other"}, "~/AppData/Roaming/xdg.config/.wrangler"),
        ("win32", {"USERPROFILE": "~", "APPDATA": "~/roam"}, "~/roam/xdg.config/.wrangler"),
        ("linux", {}, None),
    ],
)
def test_the_login_is_where_wrangler_keeps_it(
    tmp_path: Path, platform: str, environ: dict[str, str], expected: str | None
) -> None:
    environ = {name: value.replace("~", str(tmp_path)) for name, value in environ.items()}
    found = wrangler_home(environ, platform)
    assert (found and found.as_posix()) == (expected and expected.replace("~", str(tmp_path)))
    (tmp_path / ".wrangler").mkdir()
    assert wrangler_home(environ, platform) == (tmp_path / ".wrangler" if expected else None)


# -- the account -----------------------------------------------------------------------------------------


def cache(folder: Path, text: str) -> None:
    folder.mkdir(parents=True)
    (folder / "wrangler-account.json").write_text(text)


def test_the_account_that_wrangler_chose_last_is_the_last_resort(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "app")
    with pytest.raises(ConfigError) as caught:
        find_account(settings, {})
    assert caught.value.message == "there is no account id for staging"
    assert (caught.value.file, caught.value.key) == (settings.source, "database.account_id")
    assert caught.value.hint == (
        "set CLOUDFLARE_ACCOUNT_ID, or account_id under [database]; npx wrangler whoami shows it"
    )
    cache(tmp_path / "app" / ".wrangler" / "cache", '{"account": {"id": "third", "name": "x"}}')
    assert find_account(settings, {}) == "third"
    cache(tmp_path / "node_modules" / ".cache" / "wrangler", '{"account": {"id": "second"}}')
    assert find_account(settings, {}) == "second"
    cache(tmp_path / "app" / "elsewhere", '{"account": {"id": "first"}}')
    assert find_account(settings, {"WRANGLER_CACHE_DIR": "elsewhere"}) == "first"
    named = load_settings(settings.project, "staging", {"CLOUDFLARE_ACCOUNT_ID": "zeroth"})
    assert find_account(named, {}) == "zeroth"


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"account": null}', '{"account": {"id": ""}}', '{"account": {"id": 3}}']
)
def test_a_cache_that_names_no_account_is_ignored(tmp_path: Path, text: str) -> None:
    settings = settings_of(tmp_path)
    cache(tmp_path / ".wrangler" / "cache", text)
    with pytest.raises(ConfigError, match="there is no account id for staging"):
        find_account(settings, {})


# -- the address -----------------------------------------------------------------------------------------


def test_the_address_is_the_one_of_the_environment() -> None:
    assert api_base_url({}) == "https://api.cloudflare.com/client/v4"
    assert api_base_url({"CLOUDFLARE_API_BASE_URL": " "}) == "https://api.cloudflare.com/client/v4"
    assert api_base_url({"CLOUDFLARE_API_BASE_URL": "http://127.0.0.1:9/client/v4/"}) == "http://127.0.0.1:9/client/v4"


def test_an_address_that_shows_the_token_is_refused() -> None:
    with pytest.raises(ConfigError) as caught:
        api_base_url({"CLOUDFLARE_API_BASE_URL": "http://api.example.com/client/v4"})
    assert caught.value.key == "CLOUDFLARE_API_BASE_URL"
    assert caught.value.hint is not None
