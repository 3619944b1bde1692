"""`python -m tests.expert`: every query of every world, our advice beside `.expert`'s, and the totals."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.expert.compare import compare
from tests.expert.worlds import WORLDS


def main() -> int:
    queries = worse = better = ours = experts = 0
    totals = [0.0, 0.0, 0.0]
    for analyze in (False, True):
        for world in WORLDS:
            with tempfile.TemporaryDirectory() as folder:
                found = compare(world, Path(folder), analyze=analyze)
            print(f"\n{world.name}, {'with' if analyze else 'without'} statistics: rows read a run")
            print(f"{'none':>9} {'ours':>9} {'expert':>9}")
            for line in found.lines:
                shown = " ".join(line.query.split())
                mark = "<" if line.ours < line.experts else (">" if line.ours > line.experts else " ")
                print(f"{line.without:9.1f} {line.ours:9.1f} {line.experts:9.1f} {mark} {shown[:110]}")
                totals = [a + b for a, b in zip(totals, (line.without, line.ours, line.experts), strict=True)]
            print(f"indexes: ours {len(found.our_indexes)}, .expert {len(found.expert_indexes)}")
            for sql in found.our_indexes:
                print(f"    {sql}")
            queries += len(found.lines)
            worse += len(found.worse)
            better += len(found.better)
            ours += len(found.our_indexes)
            experts += len(found.expert_indexes)
    print(f"\n{queries} comparisons: fewer rows with ours {better}, more {worse}, equal {queries - better - worse}")
    print("rows read in total: none {:.0f}, ours {:.0f}, .expert {:.0f}".format(*totals))
    print(f"indexes in total: ours {ours}, .expert {experts}")
    return 1 if worse or ours > experts else 0


if __name__ == "__main__":
    sys.exit(main())
