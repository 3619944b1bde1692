"""How the time of `d1ops check` grows with the number of migrations.

    python -m bench check [--sizes 50 100 250 500]

Generated catalogs, three tables to five migrations: tables with foreign keys, columns, indexes, views, triggers,
renamed columns, reference rows, each with its rollback. Processor time, since that is what does not depend on who else
uses the machine; the exponent is the slope between two sizes on double logarithmic scales, 1 for linear growth.
"""

from __future__ import annotations

import argparse
import math
import time
from collections import Counter
from typing import TYPE_CHECKING

from d1ops.ops.check import check
from tests.support.catalogs import generated_catalog

if TYPE_CHECKING:
    from collections.abc import Sequence

SIZES = (50, 100, 250, 500)


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench check", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=SIZES, help="numbers of migrations")
    before: tuple[int, float] | None = None
    for size in parser.parse_args(arguments).sizes:
        catalog = generated_catalog(size, size * 3 // 5)
        wall, cpu = time.perf_counter(), time.process_time()
        done = check(catalog)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        verdicts = Counter(one.verdict.value for one in done.judged)
        alone = sum(one.alone is True for one in done.judged)
        exponent = math.log(cpu / before[1]) / math.log(size / before[0]) if before else None
        growth = "" if exponent is None else f", growth n^{exponent:.2f}"
        told = ", ".join(f"{count} {verdict}" for verdict, count in sorted(verdicts.items()))
        way = "holds" if done.way and done.way.holds else "does not hold"
        print(
            f"{size} migrations: {cpu:.1f} s of processor, {wall:.1f} s by the clock, {1000 * cpu / size:.0f} ms"
            f" each{growth}; {told}; {alone} alone; whole way {way}"
        )
        before = size, cpu
