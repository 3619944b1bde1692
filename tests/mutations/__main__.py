"""`python -m tests.mutations [NUMBER]`: put defects into rollback scripts and count those that the proof catches.

Without a number all of them; the seed is fixed, so every run tells the same.
"""

from __future__ import annotations

import sys
from collections import Counter

from tests.mutations.run import Result, run, sampled

SEED = 6


def main(arguments: list[str]) -> int:
    number = int(arguments[0]) if arguments else 1_000_000
    results = [run(subject, mutant) for subject, mutant in sampled(SEED, number)]
    kinds = sorted({result.mutant.kind for result in results})
    print(f"{'defect':44} {'seeded':>7} {'equal':>7} {'caught':>7}")
    for kind in kinds:
        print(_line(kind, [result for result in results if result.mutant.kind == kind]))
    print(_line("all", results))
    survivors = [result for result in results if result.survived]
    for result in survivors:
        print(f"\nsurvived ({result.truth}): {result.subject}, {result.mutant.kind}, {result.mutant.what}")
    truths = Counter(result.truth for result in results)
    print(f"\n{truths['reordered']} changed the order of columns alone; {len(survivors)} survived")
    return 1 if survivors else 0


def _line(name: str, results: list[Result]) -> str:
    equal = sum(result.truth == "equal" for result in results)
    caught = sum(result.truth != "equal" and result.caught is not None for result in results)
    return f"{name:44} {len(results):7} {equal:7} {caught:7}"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
