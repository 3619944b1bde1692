"""`python -m tests.faults [--engine sqlite|workerd] [--scenario NAME] [--rows N] [--sample N --seed N]`: run the matrix
and print the cases run and failed."""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from pathlib import Path

from d1ops.emulator import EngineName
from tests.faults.matrix import Matrix
from tests.faults.scenarios import SCENARIOS


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.faults")
    parser.add_argument("--engine", type=EngineName, action="append", choices=list(EngineName))
    parser.add_argument("--scenario", action="append", choices=list(SCENARIOS))
    parser.add_argument("--rows", type=int, default=12, help="users in the database")
    parser.add_argument("--sample", type=int, help="so many cases a scenario instead of all")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    ran = failed = 0
    for engine in given.engine or list(EngineName):
        with tempfile.TemporaryDirectory() as folder, Matrix(Path(folder), engine, rows=given.rows).open() as matrix:
            for scenario in given.scenario or SCENARIOS:
                began = time.monotonic()
                cases = matrix.cases(scenario)
                if given.sample is not None:
                    dice = random.Random(f"{given.seed}:{scenario}")
                    cases = dice.sample(cases, min(given.sample, len(cases)))
                bad = 0
                for case in cases:
                    problems = matrix.run(case)
                    bad += bool(problems)
                    for problem in problems:
                        print(f"FAILED {engine}: {problem}", flush=True)
                seconds = time.monotonic() - began
                print(f"{engine}, {scenario}: {len(cases)} cases, {bad} failed, {seconds:.0f} s", flush=True)
                ran, failed = ran + len(cases), failed + bad
    print(f"cases run: {ran}, cases failed: {failed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
