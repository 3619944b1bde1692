"""The hand-written pages: links lead somewhere, commands exist and run, and what is said of the code is so."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from typing import TYPE_CHECKING

import pytest

from d1ops.core.ledger import State
from d1ops.core.reversibility import Verdict
from tests.support.project import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path

DOCS = REPOSITORY / "docs"
PACKAGE = REPOSITORY / "d1ops"
PAGES = [REPOSITORY / "CHANGELOG.md", *sorted(DOCS.rglob("*.md"))]
DECISIONS = sorted((DOCS / "decisions").glob("*.md"))
PYPROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())


def prose(page: Path) -> str:
    """The text without blocks of code."""
    return re.sub(r"(?ms)^```.*?^```$", "", page.read_text(encoding="utf-8"))


def anchors(page: Path) -> set[str]:
    """The anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"(?m)^#+ (.+)$", prose(page))
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def name_of(page: Path) -> str:
    return page.relative_to(REPOSITORY).as_posix()


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_link_leads_somewhere(page: Path) -> None:
    broken = []
    for link in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"https?://", link):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        if not target.exists() or (anchor and anchor not in anchors(target)):
            broken.append(link)
    assert broken == []


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_every_command_that_is_named_exists(page: Path) -> None:
    known = re.findall(r"(?m)^## d1ops (.+)$", (DOCS / "commands.md").read_text())
    words = {command.partition(" ")[0] for command in known}
    text = page.read_text(encoding="utf-8")
    blocks = "".join(re.findall(r"(?ms)^```.*?^```$", text))
    named = re.findall(r"(?m)(?:`|^    )d1ops ([a-z]+)", text) + re.findall(r"(?m)^d1ops ([a-z]+)", blocks)
    assert set(named) <= words


# -- the quickstart --------------------------------------------------------------------------------------


def quickstart() -> list[str]:
    text = (DOCS / "index.md").read_text()
    block = re.search(r"(?s)## Quickstart.*?```sh\n(.+?)```", text)
    assert block is not None
    return block[1].splitlines()


def test_the_five_commands_of_the_quickstart_run_offline(tmp_path: Path) -> None:
    shutil.copytree(REPOSITORY / "db", tmp_path / "db")
    shutil.copytree(REPOSITORY / "config", tmp_path / "config")
    commands = quickstart()
    assert len(commands) == 5
    environ = {"PATH": os.defpath, "HOME": str(tmp_path), "PYTHONPATH": str(REPOSITORY)}
    said = []
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "d1ops"
        done = subprocess.run(
            [sys.executable, "-m", "d1ops", *arguments],
            cwd=tmp_path,
            env=environ,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        said.append(done.stdout + done.stderr)
    assert "clerk_id" in said[2]
    assert "structure proved" in said[2]
    assert re.search(r"(?m)^undo ", said[2])
    assert "29 of 29 foreign keys indexed" in said[4]


# -- what is said of the code ----------------------------------------------------------------------------


def imports_of(word: str) -> set[str]:
    pattern = re.compile(rf"(?m)^\s*(?:import|from) {word}\b")
    return {name_of(path) for path in PACKAGE.rglob("*.py") if pattern.search(path.read_text(encoding="utf-8"))}


def test_one_module_imports_httpx_and_two_open_sqlite() -> None:
    assert imports_of("httpx") == {"d1ops/client/transport.py"}
    assert imports_of("sqlite3") == set()
    opening = {name_of(p) for p in PACKAGE.rglob("*.py") if "apsw.Connection(" in p.read_text(encoding="utf-8")}
    assert opening == {"d1ops/core/engine.py", "d1ops/database/sqlite.py"}
    text = (DOCS / "architecture.md").read_text()
    assert all(f"`{name}`" in text for name in (*opening, "d1ops/client/transport.py"))


def test_the_layers_and_contracts_are_those_of_the_linter() -> None:
    contracts = PYPROJECT["tool"]["importlinter"]["contracts"]
    text = (DOCS / "architecture.md").read_text()
    listed = re.search(r"(?s)import-linter, from `pyproject.toml`:\n\n(.+?)\n\n", text)
    assert listed is not None
    assert listed[1].splitlines() == [f"* {contract['name']}" for contract in contracts]
    layers = [
        " and ".join(f"`{name.strip().removeprefix('d1ops.')}`" for name in layer.split("|"))
        for layer in contracts[0]["layers"]
    ]
    assert " over ".join(layers) in re.sub(r"\s+", " ", text)


def test_every_module_of_the_core_is_described_and_none_that_is_not_there() -> None:
    table = re.search(r"(?s)## The core\n\n(.+?)\n\n##", (DOCS / "architecture.md").read_text())
    assert table is not None
    described = {name for row in table[1].splitlines()[2:] for name in re.findall(r"`([a-z_]+)`", row.split("|")[1])}
    there = {
        path.stem for path in (PACKAGE / "core").iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()
    }
    assert described == there - {"__init__"}


def test_every_path_that_the_architecture_names_exists() -> None:
    text = (DOCS / "architecture.md").read_text()
    named = re.findall(r"`((?:core|client|ops|cli|database|config|docs)/[\w/.]+)`", text)
    assert len(named) > 10
    missing = [name for name in named if not (REPOSITORY / name).exists() and not (PACKAGE / name).exists()]
    assert missing == []


def test_the_states_and_verdicts_of_the_concepts_are_those_of_the_code() -> None:
    first_cells = re.findall(r"(?m)^\| `([a-z ]+)` \|", (DOCS / "concepts.md").read_text())
    assert sorted(first_cells) == sorted([*(state.value for state in State), *(verdict.value for verdict in Verdict)])


# -- decisions and changes -------------------------------------------------------------------------------


def test_decisions_are_numbered_listed_and_of_one_form() -> None:
    assert [int(page.name[:4]) for page in DECISIONS] == list(range(1, len(DECISIONS) + 1))
    listed = (DOCS / "architecture.md").read_text()
    for page in DECISIONS:
        text = page.read_text()
        assert text.startswith(f"# {page.name[:4]} ")
        assert re.findall(r"(?m)^## (.+)$", text) == ["Context", "Decision", "Consequences"]
        title = text.splitlines()[0].removeprefix("# ")
        assert f"[{title}](decisions/{page.name})" in listed


def test_every_dependency_beyond_the_given_four_has_its_reason() -> None:
    given = {"httpx", "pydantic", "tenacity", "typer"}
    project = PYPROJECT["project"]
    runtime = [*project["dependencies"], *project["optional-dependencies"]["workerd"]]
    names = {re.split(r"[<>=~!\[ ]", requirement)[0] for requirement in runtime}
    reasons = "\n".join(page.read_text() for page in DECISIONS)
    assert given < names
    assert [name for name in sorted(names - given) if f"`{name}`" not in reasons] == []


def test_the_changelog_keeps_its_form() -> None:
    text = (REPOSITORY / "CHANGELOG.md").read_text()
    assert text.startswith("# Changelog\n")
    assert re.findall(r"(?m)^## (.+)$", text)[0] == "[Unreleased]"
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"(?m)^### (.+)$", text)) <= kinds


def test_every_state_that_status_names_has_its_row() -> None:
    source = (PACKAGE / "ops" / "condition.py").read_text()
    named = {
        call.args[0].value
        for call in ast.walk(ast.parse(source))
        if isinstance(call, ast.Call)
        and isinstance(call.func, ast.Name)
        and call.func.id == "Condition"
        and isinstance(call.args[0], ast.Constant)
    }
    rows = re.findall(r"(?m)^\| `([a-z ]+)` \|", (DOCS / "recovery.md").read_text())
    assert set(rows) == named
    assert len(rows) == len(set(rows)) > 10
