"""`python -m tests.undo [SEEDS]`: generate a rollback script for migrations of every kind, and make the round trip.

Prints for every kind how many scripts were proved, how many are proved but for rows that only the newer form allows,
and how many migrations were refused, with a reason.
"""

from __future__ import annotations

import sys
from collections import Counter

from tests.undo.kinds import KINDS, cases
from tests.undo.run import Result, run

COLUMNS = ("proved", "conditional", "irreversible", "unproven")


def main(arguments: list[str]) -> int:
    results = [run(case) for case in cases(range(int(arguments[0]) if arguments else 4))]
    print(f"{'kind':50} {'cases':>6}" + "".join(f"{name:>14}" for name in COLUMNS))
    for kind in KINDS:
        print(_line(kind.name, [result for result in results if result.case.kind is kind]))
    print(_line("all", results))
    wrong = [result for result in results if not result.is_right]
    for result in wrong:
        print(f"\n{result.case}: {result.rollback.standing.value}: {result.rollback.reasons} {result.differs}")
    unexplained = [r for r in results if not r.rollback.standing.is_proved and not r.rollback.reasons]
    print(f"\n{len(wrong)} wrong, {len(unexplained)} refused without a reason")
    return 1 if wrong or unexplained else 0


def _line(name: str, results: list[Result]) -> str:
    counts = Counter(result.rollback.standing.value for result in results)
    return f"{name:50} {len(results):6}" + "".join(f"{counts[column]:14}" for column in COLUMNS)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
