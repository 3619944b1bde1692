"""The SQLite adapter as a file on a disk: what is made and what is found there."""

from __future__ import annotations

import resource
import stat
from contextlib import closing, contextmanager
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from d1ops.core.sql import split
from d1ops.core.values import Bookmark, Param, Statement
from d1ops.database.sqlite import SqliteDatabase, open_copy
from d1ops.errors import ConfigError, D1opsError, NotFound, ScriptError, StatementRejected, Unreachable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[SqliteDatabase]:
    with closing(SqliteDatabase(tmp_path / "state" / "dev.sqlite")) as database:
        yield database


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "state" / "dev.sqlite"


def test_an_export_has_every_definition_whole(database: SqliteDatabase) -> None:
    for sql in ("CREATE TABLE t (a TEXT)", "CREATE INDEX i ON t (a) -- by a", "CREATE INDEX j ON t (a)"):
        database.query(sql)
    sink = BytesIO()
    database.export(sink)
    assert [each.verb for each in split(sink.getvalue().decode())] == ["PRAGMA", "CREATE", "CREATE", "CREATE"]


# -- the file --------------------------------------------------------------------------------------------------------


def test_what_it_makes_is_private(database: SqliteDatabase, file: Path) -> None:
    database.query("CREATE TABLE t(a)")
    database.bookmark()
    assert mode(file) == 0o600
    assert mode(file.parent) == 0o700
    folder = file.with_name("dev.sqlite.bookmarks")
    assert mode(folder) == 0o700
    assert {mode(copy) for copy in folder.glob("*.sqlite")} == {0o600}
    assert (folder / ".gitignore").read_text() == "*\n"
    assert sorted(entry.name for entry in file.parent.iterdir()) == ["dev.sqlite", "dev.sqlite.bookmarks"]


def test_what_is_there_keeps_its_modes(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir(mode=0o755)
    (folder / "a.sqlite").touch(mode=0o644)
    SqliteDatabase(folder / "a.sqlite").close()
    assert (mode(folder), mode(folder / "a.sqlite")) == (0o755, 0o644)


def test_what_was_written_is_there_when_opened_again(file: Path) -> None:
    with closing(SqliteDatabase(file)) as database:
        database.query("CREATE TABLE t(a)")
        database.query("INSERT INTO t VALUES (1)")
    with closing(SqliteDatabase(str(file), create=False)) as database:
        result = database.query("SELECT * FROM t")
        assert result.rows == ((1,),)
        assert result.meta.size_after_bytes == file.stat().st_size


def test_a_missing_file_reads_as_empty_and_is_not_made(file: Path) -> None:
    with closing(SqliteDatabase(file, create=False)) as database:
        assert database.query("SELECT count(*) FROM sqlite_schema").scalar() == 0
        with pytest.raises(StatementRejected, match="no such table: t"):
            database.query("SELECT * FROM t")
        sink = BytesIO()
        assert database.export(sink).bytes_written == len(sink.getvalue())
        for write in (
            lambda: database.query("CREATE TABLE t(a)"),
            lambda: database.batch([Statement("SELECT 1"), Statement("DROP TABLE t")]),
            lambda: database.ingest("CREATE TABLE t(a);"),
            database.bookmark,
            lambda: database.restore(Bookmark("0" * 8)),
        ):
            with pytest.raises(NotFound, match="does not exist") as caught:
                write()
            assert caught.value.hint
    assert not file.parent.exists()


def test_who_it_is(tmp_path: Path) -> None:
    with (
        closing(SqliteDatabase(tmp_path / "a.sqlite")) as first,
        closing(SqliteDatabase(tmp_path / "b.sqlite")) as other,
    ):
        assert first.target.kind == "sqlite"
        assert first.target.name == str(tmp_path / "a.sqlite")
        assert first.target.id != other.target.id
    with closing(SqliteDatabase(tmp_path / "x" / ".." / "a.sqlite", name="dev")) as again:
        assert (again.target.name, again.target.id) == ("dev", first.target.id)


def test_two_of_them_on_one_file_see_each_other(file: Path) -> None:
    with closing(SqliteDatabase(file)) as first, closing(SqliteDatabase(file)) as second:
        first.query("CREATE TABLE t(a)")
        assert second.query("SELECT * FROM t").columns == ("a",)
        second.batch([Statement("ALTER TABLE t ADD COLUMN b"), Statement("INSERT INTO t VALUES (1, 2)")])
        result = first.query("SELECT * FROM t")
        assert (result.columns, result.rows) == (("a", "b"), ((1, 2),))


# -- what can be wrong with it ---------------------------------------------------------------------------------------


def refused(kind: type[D1opsError], work: Callable[[], object]) -> str:
    with pytest.raises(kind) as caught:
        work()
    assert caught.value.hint
    return str(caught.value)


def test_a_file_of_something_else(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("These are notes, and more of them than a header has bytes. " * 20)
    before = path.read_bytes()
    for create in (True, False):
        assert "is not a SQLite database" in refused(ConfigError, partial(SqliteDatabase, path, create=create))
    assert path.read_bytes() == before


def test_a_folder_in_its_place(tmp_path: Path) -> None:
    assert "cannot create" in refused(ConfigError, lambda: SqliteDatabase(tmp_path))
    assert "cannot open" in refused(ConfigError, lambda: SqliteDatabase(tmp_path, create=False))
    (tmp_path / "file").touch()
    assert "cannot create" in refused(ConfigError, lambda: SqliteDatabase(tmp_path / "file" / "a.sqlite"))


def test_a_file_that_another_program_has_locked(database: SqliteDatabase, file: Path) -> None:
    database.query("CREATE TABLE t(a)")
    other = apsw.Connection(str(file))
    other.execute("BEGIN EXCLUSIVE")
    with closing(other):
        problem = refused(Unreachable, lambda: SqliteDatabase(file, busy_timeout_seconds=0))
        assert "is locked by another program" in problem
    assert database.query("SELECT count(*) FROM t").scalar() == 0


def test_a_lock_that_comes_later(file: Path) -> None:
    with closing(SqliteDatabase(file, busy_timeout_seconds=0)) as database:
        database.query("CREATE TABLE t(a)")
        with closing(apsw.Connection(str(file))) as other:
            other.execute("BEGIN EXCLUSIVE")
            for work in (
                lambda: database.query("INSERT INTO t VALUES (1)"),
                lambda: database.query("SELECT * FROM t"),
                lambda: database.export(BytesIO()),
            ):
                assert "is locked by another program" in refused(Unreachable, work)
        assert database.query("INSERT INTO t VALUES (1) RETURNING a").scalar() == 1


def test_a_file_that_was_moved_away_is_not_written(database: SqliteDatabase, file: Path) -> None:
    database.query("CREATE TABLE t(a)")
    moved = file.rename(file.with_name("moved.sqlite"))
    assert "is read-only" in refused(Unreachable, lambda: database.query("INSERT INTO t VALUES (1)"))
    with closing(SqliteDatabase(moved)) as found:
        assert found.query("SELECT count(*) FROM t").scalar() == 0


@contextmanager
def files_of_at_most(size: int) -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_changes_nothing(database: SqliteDatabase) -> None:
    database.query("CREATE TABLE t(a)")
    insert = [Statement("INSERT INTO t VALUES (zeroblob(100000))")] * 60
    with files_of_at_most(1_000_000):
        assert "dev.sqlite" in refused(Unreachable, lambda: database.batch(insert))
    assert database.query("SELECT count(*) FROM t").scalar() == 0
    database.batch(insert)
    with files_of_at_most(1_000_000):
        assert ".partial" in refused(Unreachable, database.bookmark)
    assert database.restore(database.bookmark()).bookmark == database.bookmark()


def test_a_damaged_file(database: SqliteDatabase, file: Path) -> None:
    database.batch([Statement("CREATE TABLE t(a)"), *[Statement("INSERT INTO t VALUES (zeroblob(3000))")] * 20])
    database.close()
    with file.open("r+b") as raw:
        raw.seek(4096)
        raw.write(b"\xff" * 8192)
    with closing(SqliteDatabase(file)) as damaged:
        assert "is damaged" in refused(Unreachable, lambda: damaged.query("SELECT sum(length(a)) FROM t"))


# -- scripts and dumps -----------------------------------------------------------------------------------------------


def test_a_script_tells_what_it_did(database: SqliteDatabase) -> None:
    result = database.ingest("CREATE TABLE t(a INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2); DELETE FROM t;")
    assert (result.meta.changes, result.meta.last_row_id, result.meta.changed_db) == (4, 2, True)
    with pytest.raises(StatementRejected, match="No SQL statements detected"):
        database.ingest("-- nothing\n")
    with pytest.raises(ScriptError, match="1:1: the last statement has no final semicolon"):
        database.ingest("SELECT 1")


cells = st.one_of(
    st.none(),
    st.integers(-(2**63), 2**63 - 1),
    st.floats(width=32, allow_nan=False),
    st.text(st.characters(codec="utf-8")),
    st.binary(max_size=8),
)


@given(rows=st.lists(st.tuples(cells, cells, st.booleans()), max_size=6))
def test_a_dump_loads_back(rows: list[tuple[Param, Param, bool]], tmp_path_factory: pytest.TempPathFactory) -> None:
    folder = tmp_path_factory.mktemp("dump")
    look = Statement("SELECT typeof(a), quote(a), hex(a), typeof(b), quote(b), hex(b) FROM t")
    with closing(SqliteDatabase(folder / "a.sqlite")) as first, closing(SqliteDatabase(folder / "b.sqlite")) as second:
        inserts = [
            Statement(f"INSERT INTO t VALUES ({'CAST(? AS TEXT)' if as_text else '?'}, ?)", (a, b))
            for a, b, as_text in rows
        ]
        first.batch([Statement("CREATE TABLE t(a, b)"), *inserts])
        sink = BytesIO()
        first.export(sink)
        second.ingest(sink.getvalue().decode())
        assert first.batch([look])[0].rows == second.batch([look])[0].rows


# -- copies -----------------------------------------------------------------------------------------------------------


def test_a_copy_is_private_and_an_engine(tmp_path: Path) -> None:
    path = tmp_path / "backup" / "data.sqlite"
    with closing(open_copy(path)) as engine:
        engine.run([Statement("CREATE TABLE t(a)")])
        engine.ask_many("INSERT INTO t VALUES (?)", [(2**63 - 1,), (b"\xff",)])
    assert (mode(path), mode(path.parent)) == (0o600, 0o700)
    with closing(open_copy(path)) as engine:
        assert engine.ask("SELECT a FROM t") == [(2**63 - 1,), (b"\xff",)]
