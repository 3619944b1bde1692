"""Every section of the corpus."""

from __future__ import annotations

from tests.differential import tables
from tests.differential.cases import CORPUS, read

SECTIONS = (
    *(read(path) for path in sorted(CORPUS.glob("*.sql"))),
    tables.functions(),
    tables.refused_functions(),
    tables.pragmas(),
    tables.limits(),
    tables.parameters(),
)
