"""What loading costs, and who may load what."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import d1ops.client

HEAVY = ("httpx", "pydantic", "tenacity", "asyncio", "apsw", "ssl")
PACKAGE = Path(d1ops.client.__file__).parent


def loaded_by(code: str) -> set[str]:
    program = f"import sys\n{code}\nprint(*[name for name in {HEAVY!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import d1ops", set()),
        ("import d1ops.client", set()),
        ("from d1ops import D1Client, AsyncD1Client", {"apsw"}),
        ("from d1ops import D1Client; D1Client('a', 't')", {"apsw", "httpx", "tenacity", "ssl"}),
    ],
)
def test_a_step_loads_no_more_than_it_needs(code: str, expected: set[str]) -> None:
    assert loaded_by(code) == expected


def test_one_module_speaks_httpx() -> None:
    users = set()
    for path in PACKAGE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            users |= {path.name for name in names if name.split(".")[0] == "httpx"}
    assert users == {"transport.py"}


def test_every_exported_name_is_there() -> None:
    assert d1ops.client.__all__ == sorted(d1ops.client.__all__)
    for name in d1ops.client.__all__:
        assert getattr(d1ops.client, name).__module__.startswith(("d1ops.client", "collections", "typing")), name
    with pytest.raises(AttributeError):
        d1ops.client.nothing  # noqa: B018 - the access is what fails


def test_both_clients_have_the_same_operations() -> None:
    def public(kind: type) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_")}

    sync, later = public(d1ops.client.D1Client), public(d1ops.client.AsyncD1Client)
    assert sync - {"close"} == later - {"aclose"}
    for name in sync:
        assert getattr(d1ops.client.D1Client, name).__doc__, name
