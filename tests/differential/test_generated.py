"""Generated schemas, rows and statements come to the same on the embedded engine and on workerd."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings

from tests.differential.grammar import cases

if TYPE_CHECKING:
    from tests.differential.cases import Case
    from tests.differential.compare import Pair

BUDGET = max(150, settings().max_examples)
"""Examples of an ordinary run; the profile `long` has more."""

everywhere = settings(
    max_examples=BUDGET, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)


@pytest.mark.timeout(3_600)
@given(case=cases())
@everywhere
def test_generated_statements_agree(pair: Pair, case: Case) -> None:
    pair.prepare(())
    difference = pair.compare("generated", case)
    assert difference is None, f"{difference}\n" + "\n--\n".join(
        ";\n".join(statement.sql for statement in request) for request in case.requests
    )
