from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from pydantic import BaseModel

from d1ops.config.load import load_settings
from d1ops.config.model import EnvFile
from d1ops.config.target import KEYS_OF_KIND

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "configuration.md").read_text()
TABLE = TEXT.partition("\n## Keys\n")[2].partition("| kind |")[0]
DEFAULTS = dict(re.findall(r"^\| `([^`]+)` \| [^|]+ \| ([^|]+) \|", TABLE, re.MULTILINE))


def keys(model: type[BaseModel], prefix: str = "") -> Iterator[tuple[str, object]]:
    for attribute, field in model.model_fields.items():
        name = field.alias or attribute
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from keys(field.annotation, f"{prefix}{name}.")
        else:
            yield prefix + name, field.default


def test_every_key_is_documented_and_no_other() -> None:
    assert list(DEFAULTS) == [name for name, _ in keys(EnvFile)]


FIXED = [(name, default) for name, default in keys(EnvFile) if isinstance(default, str | int)]


@pytest.mark.parametrize(("name", "default"), FIXED)
def test_every_fixed_default_is_documented(name: str, default: object) -> None:
    assert DEFAULTS[name].startswith(f"`{default}`")


@pytest.mark.parametrize("kind", KEYS_OF_KIND)
def test_every_key_of_a_kind_is_documented(kind: str) -> None:
    (row,) = re.findall(rf"^\| `{kind}` \| (`.+`) \|$", TEXT, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", row)) == set(KEYS_OF_KIND[kind])


def test_every_example_is_read(tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "wrangler.jsonc").write_text('{"d1_databases": [{"binding": "DB", "database_name": "umbrella"}]}')
    examples = re.findall(r"```toml\n# (config/(\w+)\.toml)\n(.*?)```", TEXT, re.DOTALL)
    for file, _, text in examples:
        (tmp_path / file).write_text(text)
    targets = {env: load_settings(tmp_path, env, {}).database for _, env, _ in examples}
    assert {env: (target.kind, target.path or target.database_name) for env, target in targets.items()} == {
        "dev": ("sqlite", ".d1ops/dev.sqlite"),
        "staging": ("cloudflare", "umbrella-staging"),
        "production": ("cloudflare", "umbrella"),
        "local": ("workerd", "umbrella"),
    }
