"""Bookmarks of files: their names, their order, and which are kept."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import apsw
import pytest

from d1ops.core.values import Bookmark
from d1ops.database.snapshots import SnapshotStore, taken_at
from d1ops.database.sqlite import SqliteDatabase, copy_database
from d1ops.errors import NotFound
from tests.support.clock import Clock

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def database(tmp_path: Path, clock: Clock) -> Iterator[SqliteDatabase]:
    with closing(SqliteDatabase(tmp_path / "state" / "dev.sqlite", now=clock)) as database:
        yield database


# -- copies ----------------------------------------------------------------------------------------------------------


def test_a_copy_holds_what_is_still_in_the_log(tmp_path: Path) -> None:
    source = tmp_path / "wal.sqlite"
    with closing(apsw.Connection(str(source))) as other:
        other.execute("PRAGMA journal_mode = WAL; CREATE TABLE t(a); INSERT INTO t VALUES (1)").fetchall()
        assert source.with_name("wal.sqlite-wal").stat().st_size > 0
        copy_database(source, tmp_path / "copy.sqlite")
        store = SnapshotStore(tmp_path / "marks", now=Clock())
        bookmark = store.take(source)
        other.execute("INSERT INTO t VALUES (2)")
        store.put_back(bookmark, source)
        assert other.execute("SELECT a FROM t").fetchall() == [(1,)]
    with closing(SqliteDatabase(tmp_path / "copy.sqlite", create=False)) as copied:
        assert copied.query("SELECT a FROM t").rows == ((1,),)


# -- bookmarks -------------------------------------------------------------------------------------------------------


def test_one_state_has_one_bookmark(database: SqliteDatabase, clock: Clock) -> None:
    database.query("CREATE TABLE t(a)")
    bookmark = database.bookmark()
    clock.move(hours=1)
    assert database.bookmark() == bookmark
    database.query("SELECT * FROM t")
    assert database.bookmark() == bookmark
    database.query("INSERT INTO t VALUES (1)")
    assert database.bookmark() > bookmark


def test_a_bookmark_tells_its_time(database: SqliteDatabase, clock: Clock) -> None:
    clock.move(microseconds=123456)
    bookmark = database.bookmark()
    assert taken_at(bookmark) == clock.now
    database.query("CREATE TABLE t(a)")
    clock.move(hours=1)
    later = database.bookmark()
    assert later[-32:] != bookmark[-32:]
    assert database.bookmark_at(clock.now) == later
    assert database.bookmark_at(clock.now - timedelta(microseconds=1)) == bookmark
    with pytest.raises(NotFound):
        database.bookmark_at(taken_at(bookmark) - timedelta(microseconds=1))


def test_a_clock_that_is_set_back_does_not_turn_the_order(database: SqliteDatabase, clock: Clock) -> None:
    found = []
    for number in range(5):
        database.query(f"CREATE TABLE t{number}(a)")
        found.append(database.bookmark())
        clock.move(days=-number)
    assert found == sorted(found)
    assert len(set(found)) == 5


def test_after_a_rewind_now_is_the_rewound_state(database: SqliteDatabase, clock: Clock) -> None:
    empty = database.bookmark()
    clock.move(minutes=1)
    database.query("CREATE TABLE t(a)")
    restored = database.restore(empty)
    clock.move(minutes=1)
    assert restored.bookmark == database.bookmark() == database.bookmark_at(clock.now)
    assert restored.bookmark[-32:] == empty[-32:]
    assert empty < restored.undo < restored.bookmark


@pytest.fixture
def grown(tmp_path: Path, clock: Clock) -> Iterator[tuple[SqliteDatabase, Path]]:
    path = tmp_path / "grown.sqlite"
    with closing(SqliteDatabase(path, now=clock)) as database:
        database.query("CREATE TABLE t(a)")
        yield database, path


def test_the_newest_are_kept(grown: tuple[SqliteDatabase, Path], tmp_path: Path, clock: Clock) -> None:
    database, path = grown
    store = SnapshotStore(tmp_path / "marks", keep=3, now=clock)
    taken: list[Bookmark] = []
    for number in range(6):
        database.query("INSERT INTO t VALUES (?)", (number,))
        taken.append(store.take(path, needed=taken[:1]))
    assert list(store.bookmarks()) == [taken[0], *taken[4:]]
    store.put_back(taken[0], path)
    assert database.query("SELECT a FROM t").rows == ((0,),)
    with pytest.raises(NotFound, match="is not kept"):
        store.put_back(taken[1], path)


def test_the_total_size_is_bounded_and_the_newest_always_kept(
    grown: tuple[SqliteDatabase, Path], tmp_path: Path, clock: Clock
) -> None:
    database, path = grown
    store = SnapshotStore(tmp_path / "marks", max_bytes=100_000, now=clock)
    for _ in range(8):
        database.query("INSERT INTO t VALUES (zeroblob(20000))")
        newest = store.take(path)
        kept = store.bookmarks()
        assert kept[-1] == newest
        assert len(kept) == 1 or sum(copy.stat().st_size for copy in (tmp_path / "marks").glob("*.sqlite")) <= 100_000
    assert kept == (newest,)


def test_a_needed_bookmark_that_is_gone_stops_before_anything_is_taken(
    grown: tuple[SqliteDatabase, Path], tmp_path: Path, clock: Clock
) -> None:
    store = SnapshotStore(tmp_path / "marks", now=clock)
    with pytest.raises(NotFound):
        store.take(grown[1], needed=(Bookmark("0" * 8),))
    assert not (tmp_path / "marks").exists()


def test_a_damaged_copy_is_not_put_back(grown: tuple[SqliteDatabase, Path], tmp_path: Path, clock: Clock) -> None:
    database, path = grown
    store = SnapshotStore(tmp_path / "marks", now=clock)
    bookmark = store.take(path)
    with (tmp_path / "marks" / f"{bookmark}.sqlite").open("r+b") as raw:
        raw.seek(-1, 2)
        raw.write(b"!")
    database.query("INSERT INTO t VALUES (1)")
    with pytest.raises(NotFound, match="is damaged"):
        store.put_back(bookmark, path)
    assert database.query("SELECT a FROM t").rows == ((1,),)


def test_what_a_killed_process_left_is_no_bookmark_and_goes_in_time(
    grown: tuple[SqliteDatabase, Path], tmp_path: Path
) -> None:
    folder = tmp_path / "marks"
    folder.mkdir()
    leftovers = [folder / "0123456789abcdef.partial", folder / "0123456789abcdef.partial-journal"]
    for leftover in leftovers:
        leftover.write_bytes(b"half")
    SnapshotStore(folder, now=lambda: datetime.now(UTC)).take(grown[1])
    assert all(leftover.exists() for leftover in leftovers)
    grown[0].query("CREATE TABLE u(a)")
    store = SnapshotStore(folder, now=lambda: datetime.now(UTC) + timedelta(hours=2))
    store.take(grown[1])
    assert not any(leftover.exists() for leftover in leftovers)
    assert len(store.bookmarks()) == 2
