"""The program `d1ops`. `--version` is answered before anything that costs time is imported."""

from __future__ import annotations

import gc
import os
import sys

OBJECTS_BEFORE_COLLECTION = 50_000
"""The collector would walk every module while it is imported, and find nothing to collect."""


def main() -> None:
    """Run the command line of this process and end it with the command's exit code."""
    from d1ops.cli import streams

    streams.prepare()
    if sys.argv[1:] == ["--version"]:
        from d1ops import __version__
        from d1ops.cli import output
        from d1ops.cli.call import Call
        from d1ops.cli.failure import ended

        output.write(f"d1ops {__version__}")
        sys.exit(ended(Call(), 0))
    gc.set_threshold(OBJECTS_BEFORE_COLLECTION)
    # A plugin found in the environment would cost time, and has no business in a program that holds a token.
    os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
    try:
        from d1ops.cli.run import run

        code = run(sys.argv[1:])
    except KeyboardInterrupt:
        from d1ops.cli import diagnostics

        # Before the command began, or again while its end was being reported.
        diagnostics.fail("interrupted")
        code = 130
    sys.exit(code)


if __name__ == "__main__":
    main()
