"""Real wrangler and d1ops in turn on one local database, in a project that has only wrangler's file."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from tests.support.node import NODE, WRANGLER, node_environment
from tests.support.project import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

IDENTIFIER = "11111111-1111-1111-1111-111111111111"
MODULES = WRANGLER.parents[2]


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A project as `wrangler init` leaves it: wrangler.jsonc with comments, migrations beside it, nothing of ours."""
    (tmp_path / "wrangler.jsonc").write_text(
        "{\n  // the umbrella marketplace\n"
        '  "name": "umbrella", "compatibility_date": "2026-11-01",\n'
        '  "d1_databases": [{"binding": "DB", "database_name": "umbrella",'
        f' "database_id": "{IDENTIFIER}"}},],\n}}\n'
    )
    for source, folder in (("migrations", "migrations"), ("rollbacks", "rollbacks")):
        (tmp_path / folder).mkdir()
        for file in (REPOSITORY / "db" / source).iterdir():
            (tmp_path / folder / file.name).write_bytes(file.read_bytes())
    return tmp_path


def wrangler(root: Path, *arguments: str) -> str:
    done = subprocess.run(
        [str(NODE), str(WRANGLER), *arguments],
        cwd=root,
        env=node_environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def d1ops(root: Path, *arguments: str, expect: int = 0) -> Any:
    done = subprocess.run(
        [sys.executable, "-m", "d1ops", *arguments, "--format", "json"],
        cwd=root,
        env={**node_environment(), "D1OPS_NODE_MODULES": str(MODULES)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == expect, done.stdout + done.stderr
    return json.loads(done.stdout)


def states(root: Path) -> dict[str, str]:
    return {m["label"]: m["state"] for m in d1ops(root, "status")["migrations"]}


def test_status_and_plan_of_a_fresh_project_write_nothing(root: Path) -> None:
    before = sorted(path for path in root.rglob("*"))
    assert set(states(root).values()) == {"pending"}
    assert len(d1ops(root, "plan")["plan"]) == 12
    assert sorted(path for path in root.rglob("*")) == before


def test_both_tools_see_each_others_work(root: Path) -> None:
    d1ops(root, "migrate", "--to", "0005", "--yes")
    listed = wrangler(root, "d1", "migrations", "list", "umbrella", "--local")
    assert "0005_analytics.sql" not in listed
    assert "0006_delivery_queues.sql" in listed

    wrangler(root, "d1", "migrations", "apply", "umbrella", "--local")
    found = states(root)
    assert [found[n] for n in ("0005", "0006", "0012")] == ["applied", "unverified", "unverified"]

    wrangler(
        root,
        "d1",
        "execute",
        "umbrella",
        "--local",
        "--command",
        "INSERT INTO users (id, email, display_name, clerk_id) VALUES ('u1', 'a@b.c', 'A', 'clerk-1')",
    )
    done = d1ops(root, "rollback", "0007", "--yes")
    assert done["refused"] is None
    assert [(t["table"], t["rows_before"], t["rows_lost"]) for t in done["blast_radius"]] == [("users", 1, 0)]
    assert states(root)["0007"] == "rolled back"
    rows = json.loads(
        wrangler(root, "d1", "execute", "umbrella", "--local", "--json", "--command", "SELECT * FROM users")
    )
    assert rows[0]["results"][0]["email"] == "a@b.c"
    assert "clerk_id" not in rows[0]["results"][0]

    assert "0007_clerk_integration.sql" in wrangler(root, "d1", "migrations", "list", "umbrella", "--local")
    wrangler(root, "d1", "migrations", "apply", "umbrella", "--local")
    assert states(root)["0007"] == "unverified"
    d1ops(root, "rollback", "0012", "--yes")
    d1ops(root, "migrate", "--yes")
    assert states(root)["0012"] == "applied"
    assert "No migrations to apply" in wrangler(root, "d1", "migrations", "list", "umbrella", "--local")


def test_the_dangerous_rollback_is_refused_on_what_wrangler_made(root: Path) -> None:
    wrangler(root, "d1", "migrations", "apply", "umbrella", "--local")
    d1ops(root, "sample", "--rows", "5", "--seed", "1", "--yes")
    before = wrangler(root, "d1", "export", "umbrella", "--local", "--output", "before.sql")
    del before
    (root / "rollbacks" / "0012_rollback.sql").write_text(
        "DROP INDEX idx_reviews_reviewer_user_id;\nPRAGMA foreign_keys=OFF;\nDELETE FROM users;\n"
    )
    refused = d1ops(root, "rollback", "0012", "--yes", expect=5)
    assert "artists" in refused["refused"]["losses"]
    wrangler(root, "d1", "export", "umbrella", "--local", "--output", "after.sql")
    assert (root / "before.sql").read_text() == (root / "after.sql").read_text()


def test_an_env_that_wranglers_file_does_not_have_is_an_error(root: Path) -> None:
    answer = d1ops(root, "status", "--env", "production", expect=2)
    assert answer["error"]["type"] == "UnknownEnv"
