"""`python -m tests.concurrency [--rounds 50] [--runners 16] [--engine sqlite|workerd]`: runners of `migrate` on one
database at once; prints who won, who was refused, and what went wrong."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from d1ops.emulator import EngineName
from tests.concurrency.race import RUNNERS, Race


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.concurrency")
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--runners", type=int, default=RUNNERS)
    parser.add_argument("--engine", type=EngineName, action="append", choices=list(EngineName))
    given = parser.parse_args(arguments)
    failed = 0
    for engine in given.engine or list(EngineName):
        began = time.monotonic()
        with tempfile.TemporaryDirectory() as folder, Race(Path(folder), engine).open() as race:
            rounds = [race.run(number, given.runners) for number in range(given.rounds)]
        for number, each in enumerate(rounds):
            for problem in each.wrong:
                print(f"FAILED {engine}, round {number}: {problem}")
        failed += sum(bool(each.wrong) for each in rounds)
        print(
            f"{engine}: {len(rounds)} rounds of {given.runners} runners: {sum(r.won for r in rounds)} runs applied"
            f" something and ended well, {sum(r.partial for r in rounds)} were overtaken after a step,"
            f" {sum(r.refused for r in rounds)} were refused, {sum(r.late for r in rounds)} found nothing to do,"
            f" {sum(bool(r.wrong) for r in rounds)} rounds failed, {time.monotonic() - began:.0f} s",
            flush=True,
        )
    print(f"rounds failed: {failed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
