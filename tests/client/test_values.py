"""Values there and back: parameters through the client, a real engine behind the server, results through the client."""

from __future__ import annotations

import json
import math
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from d1ops import D1Client
from d1ops.client import Budget, Settings
from d1ops.client.results import decode_meta, decode_results
from d1ops.core.engine import Engine, Rejected
from d1ops.core.values import SAFE_INTEGER, Meta, Statement
from d1ops.errors import PrecisionLost
from tests.client.scripted import ACCOUNT, TOKEN, UUID, ScriptedServer, envelope, failure

if TYPE_CHECKING:
    from collections.abc import Iterator

    from d1ops.core.values import Param, Value
    from tests.client.scripted import Reply, Seen


def as_json(value: Value) -> Any:
    """A cell as JavaScript's JSON carries it."""
    if isinstance(value, bytes):
        return list(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return None
        return int(value) if value.is_integer() and abs(value) < 1e21 else value
    if isinstance(value, int) and abs(value) > SAFE_INTEGER:
        return int(float(value))
    return value


class EngineBehindHttp:
    """Answers `/raw` by running it."""

    def __init__(self) -> None:
        self.engine = Engine.memory()

    def __call__(self, seen: Seen) -> Reply:
        body = seen.json
        items = body.get("batch", [body])
        statements = [Statement(item["sql"], tuple(item.get("params", ()))) for item in items]
        try:
            results = self.engine.run(statements)
        except Rejected as error:
            return failure(400, 7500, error.text)
        return envelope(
            [
                {
                    "success": True,
                    "results": {
                        "columns": list(result.columns),
                        "rows": [[as_json(cell) for cell in row] for row in result.rows],
                    },
                    "meta": {"changes": result.meta.changes},
                }
                for result in results
            ]
        )


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[ScriptedServer, EngineBehindHttp, D1Client]]:
    roomy = Settings(budget=Budget(10**6))
    behind = EngineBehindHttp()
    with ScriptedServer() as server, D1Client(ACCOUNT, TOKEN, base_url=server.base_url, settings=roomy) as client:
        yield server, behind, client
    behind.engine.close()


PARAMS: st.SearchStrategy[Param] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**63 - 1),
    st.integers(-SAFE_INTEGER - 2, -SAFE_INTEGER + 2),
    st.integers(SAFE_INTEGER - 2, SAFE_INTEGER + 2),
    st.floats(),
    st.text(st.characters(exclude_categories=["Cs"])),
    st.binary(),
)


@given(param=PARAMS)
@settings(max_examples=150)
def test_a_parameter_comes_back_as_it_was(
    served: tuple[ScriptedServer, EngineBehindHttp, D1Client], param: Param
) -> None:
    server, behind, client = served

    def ask(sql: str, *, lossy: bool = False) -> tuple[Value, ...]:
        server.answers(behind)
        return client.query(UUID, sql, [param], lossy=lossy).one()

    _, kind = ask("SELECT ?1, typeof(?1)", lossy=True)
    match param:
        case None:
            expected: Any = (None, "null")
        case float() if math.isnan(param):
            expected = (None, "null")
        case float() if math.isinf(param):
            expected = (None, "real")
        case float():
            expected = (param, "real")
        case bool() | int():
            expected = (int(param), "integer")
        case str():
            expected = (param, "text")
        case bytes():
            expected = (param, "blob")
    assert kind == expected[1]
    carried = as_json(expected[0])
    if isinstance(carried, int) and abs(carried) > SAFE_INTEGER:
        with pytest.raises(PrecisionLost):
            ask("SELECT ?1")
        if isinstance(param, int):
            assert ask("SELECT CAST(?1 AS TEXT)") == (str(param),)
    else:
        assert ask("SELECT ?1") == (expected[0],)


CELLS: st.SearchStrategy[Value] = st.one_of(
    st.none(),
    st.integers(-SAFE_INTEGER, SAFE_INTEGER),
    st.floats(allow_nan=False, allow_infinity=False).filter(lambda number: not number.is_integer()),
    st.text(),
    st.binary(max_size=20),
)


@given(st.integers(0, 4).flatmap(lambda width: st.lists(st.tuples(*[CELLS] * width), max_size=6)), st.data())
def test_a_table_is_decoded_cell_by_cell(table: list[tuple[Value, ...]], data: st.DataObject) -> None:
    width = len(table[0]) if table else 0
    columns = data.draw(st.lists(st.text(), min_size=width, max_size=width))
    entry = {"results": {"columns": columns, "rows": [[as_json(cell) for cell in row] for row in table]}}
    decoded = decode_results(json.loads(json.dumps([entry])), count=1)
    assert decoded.lost is None
    (result,) = decoded.results
    assert (result.columns, result.rows) == (tuple(columns), tuple(table))
    assert [[type(cell) for cell in row] for row in result.rows] == [[type(cell) for cell in row] for row in table]


@given(
    st.dictionaries(
        st.sampled_from(
            ["rows_read", "rows_written", "changes", "last_row_id", "size_after", "changed_db", "duration"]
        ),
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    )
    | st.none()
    | st.text()
)
def test_any_meta_is_read(meta: Any) -> None:
    decoded = decode_meta(meta)
    assert isinstance(decoded, Meta)
    assert math.isfinite(decoded.duration_seconds)


def test_json_may_carry_truth_values(served: tuple[ScriptedServer, EngineBehindHttp, D1Client]) -> None:
    server, _, client = served
    server.answers(envelope([{"success": True, "results": {"columns": ["a", "b"], "rows": [[True, False]]}}]))
    row = client.query(UUID, "SELECT 1, 0").one()
    assert [type(cell) for cell in row] == [int, int]
    assert row == (1, 0)
