"""Where the tests find Node, wrangler and miniflare: the registries' own packages, never the machine's."""

from __future__ import annotations

import os
from pathlib import Path

from d1ops.database.workerd.process import find_node

MODULES = Path(__file__).resolve().parents[1] / "node" / "node_modules"
NODE = Path(find_node())
WRANGLER = MODULES / "wrangler" / "bin" / "wrangler.js"


def node_environment() -> dict[str, str]:
    """The environment for wrangler: no metrics, no prompts, no colour, this Node first on PATH."""
    return {
        **os.environ,
        "PATH": f"{NODE.parent}{os.pathsep}{os.environ.get('PATH', '')}",
        "WRANGLER_SEND_METRICS": "false",
        "CI": "1",
        "NO_COLOR": "1",
    }
