"""Real `wrangler dev`, whose local explorer answers D1's paths over workerd: a server that is not ours."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tests.support.node import NODE, WRANGLER, node_environment

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ID = "11111111-1111-1111-1111-111111111111"
API = "/cdn-cgi/local/explorer/api"
CONFIGURATION = {
    "name": "app",
    "main": "worker.mjs",
    "compatibility_date": "2026-11-01",
    "d1_databases": [{"binding": "DB", "database_name": "app", "database_id": ID}],
}


@contextmanager
def wrangler_dev(root: Path) -> Iterator[str]:
    """Serve a project in `root` and give the address; the explorer is below `API`."""
    (root / "wrangler.json").write_text(json.dumps(CONFIGURATION))
    (root / "worker.mjs").write_text("export default { fetch() { return new Response('ok'); } };\n")
    process = subprocess.Popen(
        [str(NODE), str(WRANGLER), "dev", "--port", "0", "--inspector-port", "0"],
        cwd=root,
        env={**node_environment(), "HOME": str(root)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    assert process.stdout is not None
    try:
        said = ""
        for line in process.stdout:
            said += line
            ready = re.search(r"Ready on http://localhost:(\d+)", line)
            if ready is not None:
                yield f"http://127.0.0.1:{ready[1]}"
                return
        raise AssertionError(said)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.stdout.close()
        process.wait()
