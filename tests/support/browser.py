"""A real Chromium for the tests, unpacked from the registry's own package: nothing of the machine's is used."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from playwright.sync_api import sync_playwright

from tests.support.node import MODULES, NODE

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser

FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def unpacked() -> Path:
    """The folder of the unpacked browser: made once for each version, by whoever comes first."""
    version = json.loads((MODULES / "@sparticuz" / "chromium" / "package.json").read_text())["version"]
    folder = MODULES / f".chromium-{version}"
    if folder.is_dir():
        return folder
    aside = Path(tempfile.mkdtemp(dir=MODULES, prefix=".chromium-aside-"))
    script = MODULES.parent / "unpack-chromium.mjs"
    subprocess.run([NODE, script], env={**os.environ, "TMPDIR": str(aside)}, check=True)
    (aside / "fonts.conf").write_text(
        f"<fontconfig><dir>{folder / 'fonts'}</dir><cachedir>{folder / 'fonts-cache'}</cachedir></fontconfig>"
    )
    try:
        aside.rename(folder)
    except OSError:
        shutil.rmtree(aside)  # another worker was first
    return folder


@contextmanager
def chromium() -> Iterator[Browser]:
    """A browser that reaches nothing, with a profile of its own that is thrown away."""
    folder = unpacked()
    environment: dict[str, str | float | bool] = {
        **os.environ,
        "LD_LIBRARY_PATH": str(folder / "al2023" / "lib"),
        "FONTCONFIG_FILE": str(folder / "fonts.conf"),
    }
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=folder / "chromium", args=list(FLAGS), env=environment, chromium_sandbox=False
        )
        try:
            yield browser
        finally:
            browser.close()
