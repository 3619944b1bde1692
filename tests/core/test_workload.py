"""One query once, wherever it was found, with what the log says of it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from d1ops.core.queries import Query, parse_queries
from d1ops.core.sql import ScriptStatement
from d1ops.core.workload import Logged, Observed, merge, normalised


def queries(*texts: str, path: str = "q.sql") -> list[Query]:
    return [query for text in texts for query in parse_queries(f"{text};".encode(), path)]


def logged(text: str, executions: float, rows_read: float = 0.0) -> Logged:
    query = Query("log", ScriptStatement(text, "", 0, 0), ())
    return Logged(query, Observed(executions, rows_read, 0.0, 0.0, 31))


def test_forms_of_one_statement_are_one_query_with_all_its_places() -> None:
    first = queries("SELECT a FROM t WHERE b = ?1 AND c IN (?2, ?3)")
    second = queries("select a  from t -- often\nwhere b = ? and c in (?)", path="src/a.ts")
    (entry,) = merge([*first, *second]).entries
    assert entry.places == ("q.sql:1", "src/a.ts:1")
    assert entry.query is first[0]


def test_names_and_literals_tell_statements_apart() -> None:
    found = queries("SELECT a FROM t", "SELECT b FROM t", 'SELECT "A" FROM t', "SELECT a FROM t WHERE s = 'x'")
    assert len(merge(found).entries) == 4


def test_the_log_weighs_the_query_that_it_fits_and_adds_the_others() -> None:
    workload = merge(
        queries("SELECT a FROM t WHERE s = 'open'", "SELECT a FROM t WHERE s = 'done'", "SELECT 1 FROM u"),
        [
            logged("SELECT a FROM t WHERE s = ?", 100, 500),
            logged("SELECT z FROM t LIMIT ?", 7),
            logged("select 1 from u", 3),
        ],
        days=31,
    )
    shown = [(entry.query.sql, entry.observed and entry.observed.executions) for entry in workload.entries]
    assert shown == [
        ("SELECT a FROM t WHERE s = 'open'", 50),
        ("SELECT a FROM t WHERE s = 'done'", 50),
        ("SELECT 1 FROM u", 3),
        ("SELECT z FROM t LIMIT ?", 7),
    ]
    assert sum(entry.observed.rows_read for entry in workload.entries if entry.observed) == 500


def test_to_the_log_a_literal_that_is_put_together_is_one() -> None:
    found = queries("SELECT a FROM t WHERE s LIKE '%' || ? || '%'", "SELECT a FROM t WHERE s = 'of ' || ?")
    assert len(merge(found).entries) == 2
    log = [logged("SELECT a FROM t WHERE s LIKE ?", 3), logged("SELECT a FROM t WHERE s = ?", 4)]
    assert [entry.observed and entry.observed.executions for entry in merge(found, log).entries] == [3, 4]


@given(
    st.lists(st.tuples(st.sampled_from(["SELECT ? FROM t", "select 1 from T", "SELECT 2 FROM t"]), st.integers(1, 99)))
)
def test_no_execution_is_lost_or_made(log: list[tuple[str, int]]) -> None:
    workload = merge(queries("SELECT 5 FROM t", "SELECT 6 FROM t"), [logged(text, number) for text, number in log])
    total = sum(entry.observed.executions for entry in workload.entries if entry.observed)
    assert abs(total - sum(number for _, number in log)) < 1e-6


@given(st.text(" \n\t", min_size=1), st.booleans())
def test_white_space_and_case_do_not_count(space: str, lower: bool) -> None:
    text = "SELECT a , b FROM t WHERE c = ?1"
    other = text.replace(" ", space)
    assert normalised(other.lower() if lower else other) == normalised(text)
