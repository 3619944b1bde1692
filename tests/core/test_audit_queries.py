"""Query files: names, parameters, several statements, and what is refused with its place."""

from __future__ import annotations

import apsw
import pytest
from hypothesis import given
from hypothesis import strategies as st

from d1ops.core.queries import Query, parse_queries
from d1ops.errors import ScriptError

INBOX = b"""-- The inbox page.
-- name: inbox of a user
-- params: ?1 user id, ?2 updated_at, of the last one seen
SELECT * FROM conversations -- name: not this one
WHERE owner = ?1 AND updated_at < ?2;
"""


def test_a_file_with_its_comments() -> None:
    (query,) = parse_queries(INBOX, "db/queries/inbox.sql")
    assert query.name == "inbox of a user"
    assert query.parameters == ("user id", "updated_at, of the last one seen")
    assert (query.path, query.line) == ("db/queries/inbox.sql", 4)
    assert query.sql.startswith("SELECT * FROM conversations")
    assert query.sql.endswith("< ?2")


def test_several_statements_have_their_own_comments() -> None:
    data = b"SELECT 1; -- name: second\nDELETE FROM t WHERE id = ?; ;\n/* no name */ -- params: none\nVALUES (2);\n"
    first, second, third = parse_queries(data, "db/queries/some.sql")
    assert (second.name, second.line, second.parameters) == ("second", 2, ("",))
    assert [(query.line, query.parameters) for query in (first, third)] == [(1, ()), (4, ())]
    front = b"SELECT 9;\nVALUES (2);\n-- again\nselect 1;\nSELECT 1;\n"
    _, *later = parse_queries(front, "db/queries/some.sql")
    assert [query.name for query in later] == [third.name, first.name, first.name], "a name moves with its statement"
    assert {query.name[:5] for query in (first, third)} == {"some "}


def test_windows_line_ends_and_a_byte_order_mark_change_nothing() -> None:
    (query,) = parse_queries(b"\xef\xbb\xbf" + INBOX.replace(b"\n", b"\r\n"), "inbox.sql")
    assert (query.name, query.line, query.parameters[0]) == ("inbox of a user", 4, "user id")


@pytest.mark.parametrize(
    ("data", "problem", "place"),
    [
        (b"", "the file has no statement", (None, None)),
        (b"-- name: nothing\n", "the file has no statement", (None, None)),
        (b"SELECT 1", "the last statement has no final semicolon", (1, 1)),
        (b"SELECT 'a;\n", "a string opens here and never closes", (1, 8)),
        (b"SELECT '\xff';", "byte 0xff is not UTF-8", (1, 9)),
        (b"SELECT 1;\n  CREATE TABLE t (a);", "CREATE is not a query", (2, 3)),
        (b"PRAGMA foreign_keys;", "PRAGMA is not a query", (1, 1)),
        (b"SELECT *\nFROM t WHERE a = :name;", "D1 has no named parameters: :name", (2, 18)),
        (b"SELECT ?1,\n ?99999999999;", "D1 takes 100 parameters at most, and this is number 99999999999", (2, 2)),
        (b"-- name: a\n-- name: b\nSELECT 1;", "the query has two `-- name:` comments", (3, 1)),
        (b"-- name: a\nSELECT 1;\n-- name: a\nSELECT 2;", "the name 'a' is used twice", (4, 1)),
        (b"-- params: artist\nSELECT ?1;", "the parameters read 'artist'", (2, 1)),
        (b"-- params: ?2 artist\nSELECT ?1;", "?2 is described, and the statement takes 1 parameters", (2, 1)),
        (b"-- params: ?0 artist\nSELECT ?1;", "?0 is described, and the statement takes 1 parameters", (2, 1)),
    ],
)
def test_what_is_refused(data: bytes, problem: str, place: tuple[int | None, int | None]) -> None:
    with pytest.raises(ScriptError) as refused:
        parse_queries(data, "db/queries/bad.sql")
    assert (refused.value.problem, (refused.value.line, refused.value.column)) == (problem, place)
    assert refused.value.hint


@given(st.lists(st.sampled_from(("?", "?1", "?3", "?7", "'?'", '"?9"', "/* ? */ 1", "x?")), min_size=1, max_size=8))
def test_parameters_are_counted_as_sqlite_counts_them(terms: list[str]) -> None:
    sql = f"SELECT {', '.join(term.replace('x?', '1+?') for term in terms)}"
    (query,) = parse_queries(f"{sql};".encode(), "q.sql")
    connection = apsw.Connection(":memory:")
    connection.execute('CREATE TABLE t ("?9"); INSERT INTO t VALUES (1)')
    cursor = connection.execute(f"{sql} FROM t", (None,) * len(query.parameters) or None)
    assert len(query.parameters) == cursor.bindings_count


PIECES = (
    "SELECT",
    " ",
    "\n",
    "\r\n",
    "1",
    "?",
    "?2",
    ";",
    "'",
    '"',
    "--",
    "-- name: a\n",
    "-- params: ?1 x\n",
    "/*",
    "*/",
    ":a",
)


def outcome(text: str) -> tuple[Query, ...] | ScriptError:
    try:
        return parse_queries(text.encode(), "q.sql")
    except ScriptError as error:
        return error


@given(st.lists(st.sampled_from(PIECES), max_size=30).map("".join))
def test_any_text_is_read_or_refused_with_a_hint(text: str) -> None:
    found = outcome(text)
    if isinstance(found, ScriptError):
        assert found.hint
    else:
        assert found
        assert all(text.splitlines()[query.line - 1].strip() for query in found)
