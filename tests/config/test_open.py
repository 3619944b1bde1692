from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from d1ops.config.load import load_settings
from d1ops.config.open import open_database
from d1ops.database.base import Target
from d1ops.database.workerd import database_file
from d1ops.database.workerd.process import find_node
from d1ops.errors import ConfigError, Denied, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.config.model import Settings

REPOSITORY = Path(__file__).resolve().parents[2]
TOP = "11111111-1111-1111-1111-111111111111"


def settings_of(project: Path, env: str, lines: str) -> Settings:
    folder = project / "config"
    folder.mkdir(exist_ok=True)
    (folder / f"{env}.toml").write_text(f"[database]\n{lines}\n")
    return load_settings(project, env, {})


def files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and path.parent.name != "config")


# -- sqlite ----------------------------------------------------------------------------------------------


def test_a_sqlite_file_is_made_below_the_project(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "dev", 'kind = "sqlite"\npath = "var/dev.sqlite"')
    database = open_database(settings, {}, create=True)
    try:
        assert (database.target.kind, database.target.name) == ("sqlite", "var/dev.sqlite")
        assert database.query("SELECT 1").scalar() == 1
        assert files(tmp_path) == [tmp_path / "var" / "dev.sqlite"]
    finally:
        database.close()


@pytest.mark.parametrize(("kind", "local_id"), [("sqlite", None), ("workerd", "dev")])
def test_a_look_at_what_is_not_there_writes_nothing(tmp_path: Path, kind: str, local_id: str | None) -> None:
    settings = settings_of(tmp_path, "dev", f'kind = "{kind}"')
    database = open_database(settings, {}, create=False)
    try:
        assert database.target.kind == kind
        assert local_id is None or database.target == Target("workerd", local_id, local_id)
        assert database.query("SELECT count(*) FROM sqlite_master").scalar() == 0
        with pytest.raises(NotFound):
            database.query("CREATE TABLE t (a)")
    finally:
        database.close()
    assert [path for path in tmp_path.rglob("*") if path.parent != tmp_path / "config"] == [tmp_path / "config"]


# -- workerd ---------------------------------------------------------------------------------------------


def test_the_local_state_of_a_wrangler_project_is_opened(tmp_path: Path) -> None:
    (tmp_path / "wrangler.jsonc").write_text(
        json.dumps({"d1_databases": [{"binding": "DB", "database_name": "umbrella", "database_id": TOP}]})
    )
    settings = load_settings(tmp_path, "dev", {})
    environ = {"D1OPS_NODE_MODULES": str(REPOSITORY / "tests" / "node" / "node_modules")}
    database = open_database(settings, environ, create=True)
    try:
        assert database.target == Target("workerd", "umbrella", TOP)
        database.query("CREATE TABLE t (a)")
    finally:
        database.close()
    assert database_file(tmp_path / ".wrangler" / "state", TOP).is_file()
    again = open_database(settings, environ, create=False)
    try:
        assert again.query("SELECT name FROM sqlite_master WHERE name = 't'").scalar() == "t"
    finally:
        again.close()


def test_a_configured_folder_of_modules_is_used(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, "dev", 'kind = "workerd"\nnode_modules = "empty"')
    (tmp_path / "empty").mkdir()
    database = open_database(settings, {}, create=True)
    try:
        with pytest.raises(ConfigError, match=r"workerd was not found in .*/empty"):
            database.query("SELECT 1")
    finally:
        database.close()


@pytest.mark.parametrize(
    ("name", "text", "arguments"),
    [
        (
            "wrangler.jsonc",
            """{
              // a comment, and commas that JSON does not have
              "name": "app", "compatibility_date": "2026-01-01",
              "d1_databases": [{ "binding": "DB", "database_id": "%s", "preview_database_id": "seen-locally", }],
            }""",
            [],
        ),
        (
            "wrangler.json",
            """{
              "name": "app", "compatibility_date": "2026-01-01",
              "d1_databases": [{"binding": "DB", "database_id": "%s"}],
              "env": {"dev": {"d1_databases": [{"binding": "DB", "database_name": "app"}]}}
            }""",
            ["--env", "dev"],
        ),
        (
            "wrangler.toml",
            """
            name = "app"
            compatibility_date = "2026-01-01"
            [[d1_databases]]
            binding = "DB"
            database_name = "app"
            database_id = "%s"
            """,
            [],
        ),
    ],
)
def test_wrangler_opens_the_same_file(tmp_path: Path, name: str, text: str, arguments: list[str]) -> None:
    (tmp_path / name).write_text(text % TOP)
    wrangler = REPOSITORY / "tests" / "node" / "node_modules" / "wrangler" / "bin" / "wrangler.js"
    command = [find_node(), str(wrangler), "d1", "execute", "DB", "--local", "--command", "CREATE TABLE t (a)"]
    subprocess.run(
        [*command, *arguments],
        cwd=tmp_path,
        env={**os.environ, "HOME": str(tmp_path), "CI": "true", "WRANGLER_SEND_METRICS": "false"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
    )
    database = load_settings(tmp_path, "dev", {}).database
    assert database.database_id is not None
    file = database_file(tmp_path / database.persist, database.database_id)
    assert [found for found in file.parent.glob("*.sqlite") if found.stem != "metadata"] == [file]


# -- cloudflare ------------------------------------------------------------------------------------------


class Api(ThreadingHTTPServer):
    """Enough of D1's API to look a database up and to answer `SELECT 1`."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.seen: list[str] = []

    @property
    def environ(self) -> dict[str, str]:
        return {
            "CLOUDFLARE_API_BASE_URL": f"http://127.0.0.1:{self.server_port}/client/v4",
            "CLOUDFLARE_API_TOKEN": "t0ken",
        }


class Handler(BaseHTTPRequestHandler):
    server: Api

    def answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length", 0)))
        path = self.path.partition("?")[0].removeprefix("/client/v4/accounts/acc1/d1/database/")
        self.server.seen.append(f"{self.command} {path}")
        if self.headers["authorization"] != "Bearer t0ken":
            self.send(403, 10000, "Authentication error")
        elif path in ("umbrella", TOP):
            self.send(200, result={"uuid": TOP, "name": "umbrella"})
        elif path == f"{TOP}/raw":
            rows = {"results": {"columns": ["1"], "rows": [[1]]}, "success": True, "meta": {}}
            self.send(200, result=[rows])
        else:
            self.send(404, 7404, f"The database {path} could not be found")

    do_GET = answer  # noqa: N815 - the name that http.server asks for
    do_POST = answer  # noqa: N815 - the name that http.server asks for

    def send(self, status: int, code: int = 0, message: str = "", result: object = None) -> None:
        errors = [{"code": code, "message": message}] if message else []
        body = {"success": not errors, "errors": errors, "messages": [], "result": result}
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.send_header("cf-ray", "ray1")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        return


@pytest.fixture
def api() -> Iterator[Api]:
    with Api() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.parametrize(
    ("lines", "asked"),
    [
        (f'database_id = "{TOP}"', TOP),
        (f'database_id = "{TOP}"\ndatabase_name = "umbrella"', TOP),
        ('database_name = "umbrella"', "umbrella"),
    ],
)
def test_a_database_at_cloudflare_is_known_by_uuid_and_name(tmp_path: Path, api: Api, lines: str, asked: str) -> None:
    settings = settings_of(tmp_path, "staging", f'kind = "cloudflare"\naccount_id = "acc1"\n{lines}')
    database = open_database(settings, api.environ, create=False)
    try:
        assert api.seen == [f"GET {asked}"]
        assert database.target == Target("cloudflare", "umbrella", TOP, "acc1")
        assert database.query("SELECT 1").scalar() == 1
        assert api.seen == [f"GET {asked}", f"POST {TOP}/raw"]
    finally:
        database.close()
    assert not (tmp_path / ".d1ops").exists()


def test_the_name_of_a_uuid_is_asked_once_where_facts_about_targets_are_kept(tmp_path: Path, api: Api) -> None:
    settings = settings_of(tmp_path, "staging", f'kind = "cloudflare"\naccount_id = "acc1"\ndatabase_id = "{TOP}"')
    (tmp_path / ".d1ops" / "targets").mkdir(parents=True)
    for _ in range(3):
        database = open_database(settings, api.environ, create=False)
        assert database.target.name == "umbrella"
        database.close()
    assert api.seen == [f"GET {TOP}"]


def test_a_name_that_belongs_to_another_uuid_is_refused(tmp_path: Path, api: Api) -> None:
    lines = f'kind = "cloudflare"\naccount_id = "acc1"\ndatabase_id = "{TOP}"\ndatabase_name = "umbrella-staging"'
    with pytest.raises(ConfigError, match=r"is named 'umbrella', and config/staging.toml calls it 'umbrella-staging'"):
        open_database(settings_of(tmp_path, "staging", lines), api.environ, create=True)


def test_a_name_that_the_account_does_not_have_is_named_with_its_file(tmp_path: Path, api: Api) -> None:
    settings = settings_of(tmp_path, "staging", 'kind = "cloudflare"\naccount_id = "acc1"\ndatabase_name = "umbrela"')
    with pytest.raises(NotFound) as caught:
        open_database(settings, api.environ, create=True)
    assert caught.value.text == (
        "staging: account acc1 has no database named 'umbrela', which config/staging.toml asks for"
    )
    assert (caught.value.code, caught.value.status, caught.value.ray) == (7404, 404, "ray1")
    assert caught.value.hint == "npx wrangler d1 list shows the account's databases"
    assert api.seen == ["GET umbrela"]


def test_a_token_that_may_not_is_denied_and_not_shown(tmp_path: Path, api: Api) -> None:
    settings = settings_of(tmp_path, "staging", 'kind = "cloudflare"\naccount_id = "acc1"\ndatabase_name = "umbrella"')
    with pytest.raises(Denied) as caught:
        open_database(settings, {**api.environ, "CLOUDFLARE_API_TOKEN": "wr0ng"}, create=True)
    assert "wr0ng" not in f"{caught.value!r} {caught.value.hint}"


def test_without_an_account_or_a_token_nothing_is_sent(tmp_path: Path, api: Api) -> None:
    settings = settings_of(tmp_path, "staging", 'kind = "cloudflare"\ndatabase_name = "umbrella"')
    with pytest.raises(ConfigError, match="there is no account id for staging"):
        open_database(settings, api.environ, create=True)
    settings = settings_of(tmp_path, "staging", 'kind = "cloudflare"\naccount_id = "acc1"\ndatabase_name = "umbrella"')
    with pytest.raises(ConfigError, match="there is no API token for staging"):
        open_database(settings, {**api.environ, "CLOUDFLARE_API_TOKEN": ""}, create=True)
    assert api.seen == []


# -- start-up --------------------------------------------------------------------------------------------


def test_a_local_target_loads_no_http_and_no_json5(tmp_path: Path) -> None:
    settings_of(tmp_path, "dev", 'kind = "sqlite"')
    code = (
        "import os, sys; from pathlib import Path\n"
        "from d1ops.config.load import load_settings; from d1ops.config.open import open_database\n"
        "open_database(load_settings(Path(sys.argv[1]), 'dev', os.environ), os.environ, create=False).close()\n"
        "print(*sorted({'httpx', 'json5', 'tenacity', 'subprocess', 'http.client'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    assert done.stdout.split() == []
