"""`python -m tests.differential [SECTION...]`: run the corpus, print how far the engines agree and where not."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from tests.differential.compare import open_pair
from tests.differential.sections import SECTIONS


def main(names: list[str]) -> int:
    cases = 0
    found = []
    with tempfile.TemporaryDirectory() as folder, open_pair(Path(folder)) as pair:
        for section in SECTIONS:
            if not names or section.name in names:
                cases += len(section.cases)
                found += pair.differences(section)
    for difference in found:
        print(difference, end="\n\n")
    print(f"{cases - len(found)} of {cases} cases agree")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
