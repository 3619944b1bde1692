"""The pytest plugin, in a project that knows nothing else of d1ops."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

from tests.support.project import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

WRANGLER = """{
  // nothing of d1ops
  "name": "app", "compatibility_date": "2026-11-01",
  "d1_databases": [{ "binding": "DB", "database_name": "app", "database_id": "1" }]
}"""
TESTS = """
import os
import pytest
from d1ops import D1Client
from d1ops.errors import StatementRejected

@pytest.mark.parametrize("time", [1, 2])
def test_each_test_has_a_migrated_database_of_its_own(d1_database, time):
    assert d1_database.query("SELECT name FROM d1_migrations").rows == (("0001_first.sql",), ("0002_second.sql",))
    assert d1_database.query("SELECT count(*) FROM t").scalar() == 1
    d1_database.query("INSERT INTO t(a, b) VALUES(2, 'two')")
    with pytest.raises(StatementRejected, match="not authorized"):
        d1_database.query("PRAGMA journal_mode")

def test_the_server_is_where_the_environment_says(d1_server):
    with D1Client.from_environment() as api:
        id_ = d1_server.create_database("app")
        assert [each.uuid for each in api.list_databases()] == [id_]
        assert api.query(id_, "SELECT 1").scalar() == 1
    assert os.environ["CLOUDFLARE_API_BASE_URL"] == d1_server.base_url
    assert d1_server.request_count == 2

def test_the_environment_is_put_back():
    assert "CLOUDFLARE_API_BASE_URL" not in os.environ
"""


def test_both_fixtures_in_a_project_of_wranglers(tmp_path: Path) -> None:
    (tmp_path / "wrangler.jsonc").write_text(WRANGLER)
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "0001_first.sql").write_text("CREATE TABLE t(a INTEGER PRIMARY KEY);")
    (tmp_path / "migrations" / "0002_second.sql").write_text(
        "ALTER TABLE t ADD COLUMN b;\nINSERT INTO t VALUES(1, 'one');"
    )
    (tmp_path / "test_it.py").write_text(TESTS)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("CLOUDFLARE_")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "d1ops.testing", "--rootdir", str(tmp_path)],
        cwd=tmp_path,
        # The entry point loads the plugin where d1ops is installed; here it is named, and nothing else is loaded.
        env={**environment, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert (done.returncode, "4 passed" in done.stdout) == (0, True), done.stdout + done.stderr


def test_the_entry_point_names_the_plugin() -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"d1ops": "d1ops.testing"}


def test_the_plugin_costs_other_test_runs_nothing() -> None:
    heavy = "{'httpx', 'pydantic', 'starlette', 'uvicorn', 'apsw', 'typer'} & set(sys.modules)"
    code = f"import pytest, sys; before = {heavy}; import d1ops.testing; print(sorted({heavy} - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
