"""Statements that fail unless something holds, and what they carry back."""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from d1ops.core import assertions
from d1ops.core.assertions import GUARD_DDL, Assertion, Failure, Kind, failure_in, ledger_is, schema_is
from d1ops.core.engine import Engine, Rejected
from d1ops.core.ledger import ledger_ddl
from d1ops.core.mirror import schema_of

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def engine() -> Iterator[Engine]:
    with closing(Engine.memory()) as engine:
        engine.execute(ledger_ddl("d1_migrations"))
        engine.execute(GUARD_DDL)
        yield engine


def failure(engine: Engine, asserted: Assertion, *, as_insert: bool) -> Failure | None:
    """Run an assertion, and check that it leaves nothing of its own where it holds."""
    statement = asserted.insert() if as_insert else asserted.select()
    try:
        engine.run([statement])
    except Rejected as error:
        return failure_in(error.text)
    return None


@pytest.mark.parametrize("as_insert", [False, True])
@pytest.mark.parametrize(
    ("condition", "holds"), [("1", True), ("0", False), ("NULL", False), ("(SELECT 1 WHERE 0)", False), ("'x'", False)]
)
def test_what_is_not_true_fails(engine: Engine, condition: str, holds: bool, as_insert: bool) -> None:
    carried = "json_array('it''s \"quoted\"', 'd1ops:schema:[]', 'ä\n%')"
    found = failure(engine, Assertion(Kind.CHANGES, condition, carried), as_insert=as_insert)
    assert found == (None if holds else Failure(Kind.CHANGES, ['it\'s "quoted"', "d1ops:schema:[]", "ä\n%"]))


def test_a_message_that_was_cut_short_still_says_which_assertion_it_was() -> None:
    assert failure_in("bad JSON path: 'd1ops:content:\"user") == Failure(Kind.CONTENT, None)
    assert failure_in("no such table: d1ops_guard: SQLITE_ERROR") is None


@pytest.mark.parametrize("as_insert", [False, True])
@pytest.mark.parametrize("most_bytes", [1_500_000, 900])
def test_a_schema_of_any_size_is_compared_and_the_objects_named(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, most_bytes: int, as_insert: bool
) -> None:
    monkeypatch.setattr(assertions, "_MOST_SCHEMA_BYTES", most_bytes)
    for n in range(30):
        engine.execute(f"CREATE TABLE \"it's {n}\" (id INTEGER PRIMARY KEY, t TEXT DEFAULT 'ä\"\n' /* {'x' * 40} */)")
    text = schema_of(engine).users("d1_migrations").text()
    asserted = schema_is(text, "D1_migrations")
    assert len(asserted) == (1 if most_bytes > 10_000 else len(asserted))
    assert len(asserted) > 5 or most_bytes > 10_000

    def first() -> Failure | None:
        return next(filter(None, (failure(engine, each, as_insert=as_insert) for each in asserted)), None)

    assert first() is None
    engine.execute('ALTER TABLE "it\'s 7" ADD COLUMN more')
    assert first() == Failure(Kind.SCHEMA, ["table it's 7"])
    engine.execute('ALTER TABLE "it\'s 7" DROP COLUMN more')
    engine.execute('CREATE INDEX extra ON "it\'s 8" (t)')
    found = first()
    assert found is not None
    assert found.found == (["index extra"] if most_bytes > 10_000 else ["31 objects"])


def test_the_ledger_is_compared_in_order(engine: Engine) -> None:
    engine.execute("INSERT INTO d1_migrations (name) VALUES ('0001_a.sql'), ('0002_ü''.sql')")
    names = ["0001_a.sql", "0002_ü'.sql"]
    assert failure(engine, ledger_is(names, "d1_migrations"), as_insert=False) is None
    assert failure(engine, ledger_is(names[::-1], "d1_migrations"), as_insert=True) == Failure(Kind.LEDGER, names)
