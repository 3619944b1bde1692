"""The audit of foreign keys beside the real sqlite3 shell: a sample of `python -m tests.lint_agreement`."""

from __future__ import annotations

from collections import Counter

from tests.lint_agreement import compare, explain, schemas
from tests.support.schemas import HAND_MADE


def test_the_shell_is_never_right_where_the_audit_is_wrong() -> None:
    found = [compare(drawn) for drawn in schemas(60, seed=7)]
    wrong = [one for one in found if one.outcome == "only .lint is right"]
    assert not wrong, "\n".join(line for one in wrong for line in explain(one))
    seen = Counter(one.outcome for one in found)
    assert seen.total() == len(HAND_MADE) + 60
    assert min(seen["both right: indexed"], seen["both right: not indexed"]) >= 20, seen


def test_what_is_made_by_hand_is_judged_as_sqlite_does() -> None:
    for drawn in HAND_MADE:
        one = compare(drawn)
        assert one.ours == one.truth, "\n".join(explain(one))
