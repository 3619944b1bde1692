"""What is about to go, compared with the backup: which columns and ranges, and in which form."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from d1ops.core import contents as module
from d1ops.core.contents import Doomed, Form, contents, doomed, parts, warnings
from d1ops.core.engine import Engine
from d1ops.core.fingerprint import Salt
from d1ops.core.measure import ColumnLoss, TableLoss

if TYPE_CHECKING:
    from collections.abc import Sequence

    from d1ops.core.contents import Content

SALT = Salt.of("a run")


def filled(*statements: str) -> Engine:
    engine = Engine.memory()
    for sql in statements:
        engine.execute(sql)
    return engine


def asked(engine: Engine, *wanted: Doomed) -> list[Content]:
    return contents(engine, parts(engine, wanted, schema="main"), SALT, schema="main")


def failing(engine: Engine, of: Sequence[Content]) -> list[str]:
    """The parts whose answer is another one now."""
    return [c.doomed.name for c in of if engine.execute(c.select, c.params).rows != ((c.expected,),)]


def test_what_is_about_to_go_is_read_off_the_losses() -> None:
    losses = [
        TableLoss("lost", 5, 4, 1, (ColumnLoss("a", 1, dropped=False),)),
        TableLoss("empty", 0, 0, 0, exists_after=False),
        TableLoss("renamed", 3, 3, 0, exists_after=False, renamed_to="other"),
        TableLoss("cut", 3, 3, 0, (ColumnLoss("x", 0, dropped=True), ColumnLoss("y", 2, dropped=False))),
        TableLoss("moved", 3, 3, 0, (ColumnLoss("x", 0, dropped=True, renamed_to="z"),)),
    ]
    assert [each.name for each in doomed(losses)] == ["lost", "empty", "cut.x", "cut.y"]


@pytest.mark.parametrize(
    ("made", "change", "is_noticed"),
    [
        ("CREATE TABLE t (id INTEGER PRIMARY KEY, v, w)", "UPDATE t SET v = 'z' WHERE id = 1", True),
        ("CREATE TABLE t (id INTEGER PRIMARY KEY, v, w)", "UPDATE t SET v = 'a' || (3 - id)", True),
        ("CREATE TABLE t (id INTEGER PRIMARY KEY, v, w)", "UPDATE t SET w = 'other'", False),
        ("CREATE TABLE t (id INTEGER PRIMARY KEY, v, w)", "INSERT INTO t VALUES (9, NULL, 'new')", False),
        ("CREATE TABLE t (id INTEGER PRIMARY KEY, v, w)", "INSERT INTO t VALUES (9, '', 'new')", True),
        ("CREATE TABLE t (id INTEGER PRIMARY KEY, v, w)", "UPDATE t SET id = 7 WHERE id = 1", True),
        ("CREATE TABLE t (id TEXT, v, w, PRIMARY KEY (w, id)) WITHOUT ROWID", "UPDATE t SET w = w || 'x'", True),
        ("CREATE TABLE t (id, v, w)", "UPDATE t SET w = 'other'", False),
        ("CREATE TABLE t (id, v, w)", "UPDATE t SET v = 'a' || (3 - id)", True),
        ("CREATE TABLE t (id, v, w, rowid, _rowid_, oid)", "UPDATE t SET w = 'other'", True),
    ],
)
def test_a_column_counts_with_the_key_of_its_row(made: str, change: str, is_noticed: bool) -> None:
    engine = filled(made, "INSERT INTO t (id, v, w) VALUES (1, 'a1', 'w1'), (2, 'a2', 'w2'), (3, NULL, 'w3')")
    of = asked(engine, Doomed("t", "v"))
    assert failing(engine, of) == []
    engine.execute(change)
    assert failing(engine, of) == (["t.v"] if is_noticed else [])


def test_a_large_part_is_asked_by_ranges_and_every_row_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "RANGE_BYTES", 2_000)
    engine = filled("CREATE TABLE t (id TEXT PRIMARY KEY, v)")
    engine.ask_many("INSERT INTO t VALUES (?, ?)", [(str(n), "x" * (n % 50)) for n in range(300)])
    of = asked(engine, Doomed("t"), Doomed("t", "v"))
    assert len(of) > 10
    assert {content.form for content in of} == {Form.CONTENT}
    for key in ("0", "150", "299"):
        engine.execute("UPDATE t SET v = v || 'y' WHERE id = ?1", (key,))
        assert set(failing(engine, of)) == {"t", "t.v"}
        engine.execute("UPDATE t SET v = substr(v, 1, length(v) - 1) WHERE id = ?1", (key,))
        assert failing(engine, of) == []
    engine.execute("INSERT INTO t VALUES ('new', 'v')")
    assert set(failing(engine, of)) == {"t", "t.v"}


def test_what_is_too_large_for_content_is_compared_by_totals_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CONTENT_BYTES", 500)
    monkeypatch.setattr(module, "TOTALS_BYTES", 9_000)
    engine = filled("CREATE TABLE small (v)", "CREATE TABLE large (a, b)", "CREATE TABLE huge (v)")
    engine.execute("INSERT INTO small VALUES ('x')")
    engine.ask_many("INSERT INTO large VALUES (?, ?)", [(n, n / 3) for n in range(100)])
    engine.execute("INSERT INTO huge VALUES (zeroblob(10000))")
    found = parts(engine, [Doomed("small"), Doomed("large"), Doomed("huge")], schema="main")
    assert [(part.doomed.table, part.form) for part in found] == [
        ("small", Form.CONTENT),
        ("large", Form.TOTALS),
        ("huge", Form.TOO_LARGE),
    ]
    (warning,) = warnings(found)
    assert warning.startswith("large is too large")
    of = contents(engine, [part for part in found if part.form is not Form.TOO_LARGE], SALT, schema="main")
    assert failing(engine, of) == []
    for change in ("UPDATE large SET a = 12345 WHERE a = 7", "INSERT INTO large VALUES (NULL, NULL)"):
        engine.execute(change)
        assert failing(engine, of) == ["large"]
        engine.execute("DELETE FROM large WHERE a IS NULL")
        engine.execute("UPDATE large SET a = 7 WHERE a = 12345")
        assert failing(engine, of) == []


def test_a_hundred_columns_with_long_names_still_fit_into_a_statement() -> None:
    names = [f"{'long ' * 120}{n}" for n in range(100)]
    columns = ", ".join(f'"{name}"' for name in names)
    engine = filled(f"CREATE TABLE t ({columns})", "INSERT INTO t DEFAULT VALUES")
    (content,) = asked(engine, Doomed("t"))
    assert content.form is Form.TOTALS
    assert failing(engine, [content]) == []


def test_virtual_tables_and_generated_columns_are_compared_as_they_are_read() -> None:
    engine = filled(
        "CREATE VIRTUAL TABLE f USING fts5(title, body)",
        "INSERT INTO f VALUES ('one', 'two three'), ('four', NULL)",
        "CREATE TABLE g (a, b AS (a * 2), c AS (a * 3) STORED)",
        "INSERT INTO g VALUES (1), (2)",
    )
    of = asked(engine, Doomed("f"), Doomed("g"))
    assert failing(engine, of) == []
    engine.execute("UPDATE f SET body = 'two four' WHERE title = 'one'")
    engine.execute("UPDATE g SET a = 3 WHERE a = 1")
    assert failing(engine, of) == ["f", "g"] or failing(engine, of) == ["g", "f"]
