"""The newest stay, and the newest of days and weeks."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from d1ops.core.retention import Retention, kept

MONDAY = datetime(2026, 11, 23, 6, tzinfo=UTC)


def hours(*given: float) -> list[tuple[str, datetime]]:
    return [(str(hour), MONDAY + timedelta(hours=hour)) for hour in given]


def test_the_newest_of_each_day_and_week_stays() -> None:
    backups = hours(-24 * 8, -24 * 7, -30, -20, -1, 0, 1)
    assert kept(backups, Retention(last=2)) == {"0", "1"}
    assert kept(backups, Retention(daily=2)) == {"1", "-20"}
    assert kept(backups, Retention(weekly=2)) == {"1", "-20"}
    assert kept(backups, Retention(weekly=3)) == {"1", "-20", "-192"}
    assert kept(backups, Retention()) == frozenset()


@given(
    st.lists(st.integers(0, 2000), unique=True).map(sorted),
    st.integers(0, 5),
    st.integers(0, 5),
    st.integers(0, 5),
)
def test_what_stays_is_enough_and_not_more(at: list[int], last: int, daily: int, weekly: int) -> None:
    backups = hours(*at)
    staying = kept(backups, Retention(last, daily, weekly))
    assert len(staying) <= last + daily + weekly
    assert {backup for backup, _ in backups[len(backups) - min(last, len(backups)) :]} <= staying
    days = {when.date().toordinal(): backup for backup, when in backups}
    weeks = {when.isocalendar().year * 100 + when.isocalendar().week: backup for backup, when in backups}
    for count, newest in ((daily, days), (weekly, weeks)):
        wanted = [newest[each] for each in sorted(newest, reverse=True)[:count]]
        assert set(wanted) <= staying
