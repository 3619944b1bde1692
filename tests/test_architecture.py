"""What import-linter cannot see: who opens SQLite, who reads a clock, and how long a module is."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import d1ops

if TYPE_CHECKING:
    from collections.abc import Iterator

PACKAGE = Path(d1ops.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))


def name_of(path: Path) -> str:
    return path.relative_to(PACKAGE).with_suffix("").as_posix().replace("/", ".")


def imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif (
            isinstance(node, ast.ImportFrom) and node.module and not all(a.name.startswith("Pure") for a in node.names)
        ):
            yield node.module.partition(".")[0]


def calls(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield ast.unparse(node.func)


def test_few_modules_start_processes() -> None:
    starting = {name_of(path) for path in MODULES if "subprocess" in set(imports(ast.parse(path.read_text())))}
    assert starting <= {"database.workerd.process", "config.login", "cli.tour"}


@pytest.mark.parametrize("path", [p for p in MODULES if name_of(p).startswith("core.")], ids=name_of)
def test_the_core_has_no_clock_no_file_and_no_chance(path: Path) -> None:
    tree = ast.parse(path.read_text())
    outside = {"os", "pathlib", "shutil", "tempfile", "time", "secrets", "socket", "sys", "subprocess"}
    at_runtime = ast.Module(
        [n for n in tree.body if not (isinstance(n, ast.If) and "TYPE_CHECKING" in ast.unparse(n.test))], []
    )
    assert not outside & set(imports(at_runtime))
    called = set(calls(tree))
    assert not {"open", "input", "print"} & called
    assert not {name for name in called if name.rpartition(".")[2] in ("now", "today", "utcnow")}


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_long_module_says_why(path: Path) -> None:
    text = path.read_text()
    lines = text.count("\n")
    assert lines <= 400 or "lines:" in text[:600], f"{path.name} has {lines} lines and gives no reason"
