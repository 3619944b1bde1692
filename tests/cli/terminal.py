"""A person at a terminal: a process with a pseudo-terminal, read until it says something, then answered."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
import termios
from typing import TYPE_CHECKING, Any

from tests.cli.shell import REPOSITORY

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType
    from typing import Self

PATIENCE_SECONDS = 60


class Terminal:
    """`d1ops ARGV` with a terminal on all three streams; with `separate`, standard output goes to a pipe instead."""

    def __init__(self, root: Path, *argv: str, separate: bool = False) -> None:
        self._master, slave = pty.openpty()
        # Without echo what is typed does not come back as output.
        attributes = termios.tcgetattr(slave)
        attributes[3] &= ~termios.ECHO
        termios.tcsetattr(slave, termios.TCSANOW, attributes)
        self.text = ""
        self.process = subprocess.Popen(
            [sys.executable, "-m", "d1ops", *argv],
            cwd=root,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
            stdin=slave,
            stdout=subprocess.PIPE if separate else slave,
            stderr=slave,
            start_new_session=True,
        )
        os.close(slave)
        self._output = b""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        os.close(self._master)

    def until(self, text: str) -> str:
        """Read until the process has said `text`; return everything it said."""
        while text not in self.text:
            assert self._read(), f"ended without {text!r}:\n{self.text}"
        return self.text

    def type(self, line: str) -> None:
        self.press(f"{line}\n")

    def press(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def end(self) -> int:
        """Read to the end and return the exit code."""
        if self.process.stdout:
            self._output = self.process.stdout.read()
        while self._read():
            pass
        return self.process.wait(PATIENCE_SECONDS)

    def document(self) -> Any:
        return json.loads(self._output)

    def _read(self) -> bool:
        ready, _, _ = select.select([self._master], [], [], PATIENCE_SECONDS)
        assert ready, f"silent for {PATIENCE_SECONDS} s after:\n{self.text}"
        try:
            chunk = os.read(self._master, 65536)
        except OSError:  # Linux reports the end of a pseudo-terminal as an input/output error.
            chunk = b""
        self.text += chunk.decode(errors="replace").replace("\r\n", "\n")
        return bool(chunk)
