"""Splitting, tokens, names and verdicts by verb: against SQLite itself, over generated scripts."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, TypeVar

import apsw
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from d1ops.core import rules
from d1ops.core.sql import (
    decode,
    ended,
    is_read,
    normalise_newlines,
    quote_identifier,
    quote_text,
    read_script,
    significant,
    split,
    tokens,
)
from d1ops.errors import ScriptError

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")

# -- generated scripts -----------------------------------------------------------------------------------------------

texts = st.text(
    st.characters(codec="utf-8", exclude_characters="\0") | st.sampled_from(";'\"`[]-/*\n\r éEND"), max_size=12
)
newlines = st.sampled_from(["\n", "\r\n"])
comments = st.one_of(
    texts.filter(lambda text: "\n" not in text).map(lambda text: f"--{text}\n"),
    texts.filter(lambda text: "*/" not in text and not text.endswith("*")).map(lambda text: f"/*{text}*/"),
)
gaps = st.lists(st.one_of(st.sampled_from([" ", "\t", "\n", "\r\n", "\f"]), comments), min_size=1, max_size=3).map(
    "".join
)
literals = st.one_of(
    texts.map(quote_text),
    st.integers(-(10**6), 10**6).map(str),
    st.binary(max_size=4).map(lambda data: f"x'{data.hex()}'"),
    st.sampled_from(["NULL", "1.5e-3", "0x1F", ".5", "current_date IS NULL"]),
)
names = texts.filter(lambda name: "]" not in name and not name.lower().startswith("sqlite_"))
quoted = st.one_of(
    names.map(quote_identifier),
    names.map(lambda name: "`" + name.replace("`", "``") + "`"),
    names.map(lambda name: f"[{name}]"),
)


def cased(word: str) -> st.SearchStrategy[str]:
    return st.sampled_from([word, word.lower(), word.title()])


@st.composite
def statements(draw: st.DrawFn) -> str:
    """One valid statement over the table `log(v)`, without its semicolon."""

    def gap() -> str:
        return draw(gaps)

    match draw(st.sampled_from(["insert", "select", "table", "trigger", "explained trigger"])):
        case "insert":
            return f"INSERT{gap()}INTO log{gap()}VALUES({draw(literals)}{gap()}){gap()}"
        case "select":
            return f"SELECT{gap()}CASE{gap()}WHEN 1 THEN {draw(literals)} END{gap()}AS {draw(quoted)}"
        case "table":
            return f"CREATE{gap()}TABLE IF NOT EXISTS {draw(quoted)}({draw(quoted)}{gap()}DEFAULT {draw(literals)})"
        case kind:
            explain = draw(st.sampled_from(["EXPLAIN ", f"explain{gap()}query plan "])) if "explained" in kind else ""
            body = "".join(
                f"{gap()}UPDATE log SET v = CASE{gap()}WHEN v = {draw(literals)} THEN {draw(literals)} END{gap()};"
                for _ in range(draw(st.integers(1, 3)))
            )
            return (
                f"{explain}{draw(cased('CREATE'))}{gap()}{draw(cased('TRIGGER'))}{gap()}IF NOT EXISTS {draw(quoted)} "
                f"AFTER INSERT ON log WHEN{gap()}new.v = 'never' {draw(cased('BEGIN'))}{body}{gap()}"
                f"{draw(cased('END'))}{gap()}"
            )


@st.composite
def scripts(draw: st.DrawFn) -> tuple[str, list[str]]:
    """A script, and the statements that it is made of."""
    parts = draw(st.lists(statements(), max_size=5))
    text = draw(gaps)
    for part in parts:
        text += part + ";" + draw(gaps) + draw(st.sampled_from(["", ";", "\n;"]))
    return text, parts


soups = st.lists(
    st.one_of(
        gaps,
        literals,
        quoted,
        st.sampled_from(
            [
                *";;;'\"`[]/*-.?",
                "--",
                "/*",
                "*/",
                " END;",
                ";END;",
                "CREATE",
                "TRIGGER",
                "TEMP",
                "EXPLAIN",
                "BEGIN",
                "x",
                "\0",
            ]
        ),
    ),
    max_size=14,
).map("".join)


def attempt(work: Callable[[], T]) -> T | ScriptError:
    try:
        return work()
    except ScriptError as error:
        return error


def is_inside(error: ScriptError, text: str) -> bool:
    """Whether the error names a place of the text, its end included."""
    lines = text.split("\n")
    line, column = error.line or 0, error.column or 0
    return 1 <= line <= len(lines) and 1 <= column <= len(lines[line - 1]) + 1


# -- splitting -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "end", ["", ";", " ; -- done", " -- by hand", " -- by hand\n", " /* by hand", " /*/", "/* a */", "--"]
)
def test_an_ended_definition_is_one_whole_statement(end: str) -> None:
    trigger = "CREATE TRIGGER g AFTER INSERT ON t BEGIN SELECT 1; END"
    for sql in ("CREATE INDEX i ON t (a)", trigger):
        (whole,) = split(ended(sql + end))
        assert next(tokens(whole.sql)).text == "CREATE"
        assert ended(ended(sql + end)) == ended(sql + end)


@given(scripts())
def test_split_gives_back_the_statements(script: tuple[str, list[str]]) -> None:
    text, parts = script
    assert [statement.sql for statement in split(text)] == [normalise_newlines(part) for part in parts]


@given(scripts())
def test_running_the_statements_is_running_the_script(script: tuple[str, list[str]]) -> None:
    text, _ = script

    def database_after(run: Callable[[apsw.Connection], object]) -> object:
        connection = apsw.Connection(":memory:")
        connection.execute("CREATE TABLE log(v)")
        answers: list[object] = []

        def look(cursor: apsw.Cursor, sql: str, bindings: object) -> bool:
            answers.append(cursor.get_description())
            return True

        connection.exec_trace = look
        try:
            run(connection)
        except apsw.Error as error:
            answers.append(str(error))
        connection.exec_trace = None
        return (
            [answer for answer in answers if answer != ()],
            list(connection.execute("SELECT type, name, sql FROM sqlite_schema")),
            list(connection.execute("SELECT typeof(v), v FROM log")),
        )

    def one_by_one(connection: apsw.Connection) -> None:
        for statement in split(text):
            list(connection.execute(statement.sql))

    whole = normalise_newlines(text)
    assert database_after(one_by_one) == database_after(lambda connection: list(connection.execute(whole)))


def split_by_asking_sqlite(text: str) -> list[str]:
    """The slow reference: at every semicolon, ask `sqlite3_complete` about everything since the last end."""
    found, start = [], 0
    for match in re.finditer(";", text):
        if apsw.complete(text[start : match.end()]):
            found.append(text[start : match.start()])
            start = match.end()
    return [piece for piece in found if next(significant(piece), None) is not None]


@given(soups)
@example("create trigger t begin select 1; end\x00;")
@example("[a]b]; x;")
@example("a\u00a0;b;")
@example("/*/;*/x;")
@example("CREATE TRIGGER$x; y;")
def test_split_ends_statements_where_sqlite_does(text: str) -> None:
    found = attempt(lambda: split(text))
    if isinstance(found, ScriptError):
        assert is_inside(found, text)
        return
    if "\0" not in text:  # sqlite3_complete stops at a NUL; a script file may not hold one.
        expected = [normalise_newlines(piece) for piece in split_by_asking_sqlite(text)]
        assert [list(significant(statement.sql)) for statement in found] == [
            [token._replace(start=token.start - first.start) for token in significant(piece)]
            for piece in expected
            for first in [next(significant(piece))]
        ]


@given(scripts())
def test_a_statement_is_where_it_says(script: tuple[str, list[str]]) -> None:
    text, _ = script
    lines = text.split("\n")
    for statement in split(text):
        first_line = statement.sql.split("\n")[0]
        assert lines[statement.line - 1][statement.column - 1 :].startswith(first_line)
        assert statement.place(0) == (statement.line, statement.column)


@given(scripts(), st.data())
def test_a_cut_script_never_runs_as_far_as_it_goes(script: tuple[str, list[str]], data: st.DataObject) -> None:
    text, parts = script
    cut = data.draw(st.integers(0, len(text)))
    found = attempt(lambda: split(text[:cut]))
    if isinstance(found, ScriptError):
        assert is_inside(found, text[:cut])
        return
    assert [statement.sql for statement in found] == [normalise_newlines(part) for part in parts][: len(found)]


@pytest.mark.parametrize(
    ("text", "line", "column", "problem"),
    [
        ("SELECT 1;\n  SELECT 'it''s;\n", 2, 10, "a string opens here and never closes"),
        ('SELECT "a;', 1, 8, "a quoted identifier opens here and never closes"),
        ("SELECT `a;", 1, 8, "a quoted identifier opens here and never closes"),
        ("SELECT [a;", 1, 8, "a quoted identifier opens here and never closes"),
        ("SELECT 1;\n/* never", 2, 1, "a comment opens here and never closes"),
        ("SELECT 1\r\n, é /*/;", 2, 5, "a comment opens here and never closes"),
        ("SELECT 1;\n\n\tSELECT 2", 3, 2, "the last statement has no final semicolon"),
        ("CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1;", 1, 1, "a trigger begins here and has no final END;"),
        ("-- é\ncreate /* ; */ trigger t begin select case when 1 then 2 end;", 2, 1, "a trigger begins here"),
    ],
)
def test_an_unfinished_script_names_the_place(text: str, line: int, column: int, problem: str) -> None:
    with pytest.raises(ScriptError, match=re.escape(problem)) as caught:
        split(text, "0007.sql")
    assert (caught.value.line, caught.value.column) == (line, column)
    assert str(caught.value).startswith(f"0007.sql:{line}:{column}: ")
    assert caught.value.hint


@pytest.mark.parametrize(
    "unit",
    [
        "INSERT INTO t VALUES ('a;b', 1.5e-3, \"x\");\n",
        "SELECT 1; ",
        "-- only a comment\n",
        "/* ; */;",
        "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; END;\n",
    ],
)
def test_split_is_linear_in_the_number_of_statements(unit: str) -> None:
    assert calls_of(lambda: split(unit * 400)) <= 2 * calls_of(lambda: split(unit * 200)) + 20


def test_split_is_linear_in_the_length_of_one_trigger() -> None:
    def trigger(steps: int) -> str:
        return f"CREATE TRIGGER t AFTER INSERT ON a BEGIN {'SELECT CASE WHEN 1 THEN 2 END; ' * steps}END;"

    assert len(split(trigger(200))) == 1
    assert calls_of(lambda: split(trigger(400))) <= 2 * calls_of(lambda: split(trigger(200))) + 20


def calls_of(work: Callable[[], object]) -> int:
    """Count the calls, of Python and of C, that `work` makes."""
    calls = 0

    def count(frame: object, event: str, argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        work()
    finally:
        sys.setprofile(None)
    return calls


# -- tokens and names ------------------------------------------------------------------------------------------------


@given(st.one_of(st.text(), soups))
def test_tokens_joined_are_the_text(text: str) -> None:
    found = list(tokens(text))
    assert "".join(token.text for token in found) == text
    assert [token.start for token in found] == [
        sum(len(before.text) for before in found[:index]) for index, _ in enumerate(found)
    ]


@given(
    st.lists(st.sampled_from(["a", "\u00a0", "é", "😀", "_", "$", "1", "\u017f", "\x85", "\ufeff"]), min_size=1).map(
        "".join
    )
)
def test_a_word_is_what_sqlite_takes_for_one_name(name: str) -> None:
    connection = apsw.Connection(":memory:")
    try:
        cursor = connection.execute(f"SELECT 1 AS {name}")
    except apsw.SQLError:
        taken = None
    else:
        taken = cursor.get_description()[0][0]
    words = list(significant(name))
    assert (words[0].text if len(words) == 1 and words[0].kind == "word" else None) == taken


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_any_name_survives_quoting(name: str) -> None:
    connection = apsw.Connection(":memory:")
    cursor = connection.execute(f"SELECT 1 AS {quote_identifier(name)}")
    assert cursor.get_description()[0][0] == name
    if not name.lower().startswith("sqlite_"):
        connection.execute(f"CREATE TABLE {quote_identifier(name)}({quote_identifier(name)})")
        assert connection.execute("SELECT name FROM sqlite_schema").get == name
        assert connection.execute("SELECT name FROM pragma_table_info(?)", (name,)).get == name


@given(st.text(st.characters(codec="utf-8", exclude_characters="\0")))
def test_any_text_survives_quoting(text: str) -> None:
    assert apsw.Connection(":memory:").execute(f"SELECT {quote_text(text)}").get == text


def test_what_sql_text_cannot_carry_is_refused() -> None:
    with pytest.raises(ValueError, match="NUL"):
        quote_identifier("a\0b")
    with pytest.raises(ValueError, match="bind it"):
        quote_text("a\0b")


# -- verdicts by verb ------------------------------------------------------------------------------------------------

VERDICTS = [
    "SELECT 1",
    "VALUES (1)",
    "WITH x(a) AS (SELECT ')') SELECT * FROM x",
    "WITH x AS MATERIALIZED (VALUES (1)) VALUES (2)",
    "WITH x AS (SELECT 1) INSERT INTO log SELECT * FROM x",
    "WITH x AS (SELECT 1) UPDATE log SET v = 1",
    "WITH x AS (SELECT 1) DELETE FROM log",
    "WITH x AS (SELECT 1) REPLACE INTO log SELECT * FROM x",
    "INSERT INTO log VALUES (1) RETURNING v",
    "REPLACE INTO log VALUES (1)",
    "UPDATE log SET v = 2",
    "DELETE FROM log",
    "CREATE TABLE other(a)",
    "CREATE TABLE IF NOT EXISTS log(v)",
    "DROP TABLE IF EXISTS missing",
    "ALTER TABLE log ADD COLUMN w",
    "ANALYZE",
    "REINDEX",
    "EXPLAIN DELETE FROM log",
    "EXPLAIN QUERY PLAN DELETE FROM log",
    "PRAGMA table_info(log)",
    "PRAGMA foreign_keys",
    "PRAGMA main.foreign_key_check",
]


@given(st.sampled_from(VERDICTS), gaps, st.sampled_from([str, str.lower]), st.sampled_from(["", ";", "; ;"]))
def test_is_read_agrees_with_sqlite(sql: str, gap: str, case: Callable[[str], str], end: str) -> None:
    text = gap + case(sql).replace(" ", gap, 1) + end
    connection = apsw.Connection(":memory:")
    connection.execute("CREATE TABLE log(v UNIQUE)")
    verdicts: list[bool] = []

    def look(cursor: apsw.Cursor, statement: str, bindings: object) -> bool:
        verdicts.append(cursor.is_readonly or cursor.is_explain > 0)
        return True

    connection.exec_trace = look
    list(connection.execute(text))
    assert is_read(text) == all(verdicts)


@pytest.mark.parametrize(
    "sql", ["PRAGMA optimize", "PRAGMA foreign_keys = ON", "SELECT 1; DELETE FROM log", "WITH x AS (SELECT 1)", "x"]
)
def test_in_doubt_it_is_no_read(sql: str) -> None:
    assert not is_read(sql)


def test_nothing_is_a_read() -> None:
    assert is_read("-- nothing")


# -- files -----------------------------------------------------------------------------------------------------------


@given(st.binary(max_size=40))
def test_a_file_decodes_or_names_the_byte(data: bytes) -> None:
    text = attempt(lambda: decode(data, "a.sql"))
    if isinstance(text, ScriptError):
        assert is_inside(text, data.removeprefix(b"\xef\xbb\xbf").decode(errors="replace"))
        return
    assert text.encode() == data.removeprefix(b"\xef\xbb\xbf")
    assert "\0" not in text


@pytest.mark.parametrize(
    ("data", "problem"),
    [
        (b"", "the script has no statement"),
        (b"-- nothing\n/* here */ ;\n", "the script has no statement"),
        (b"SELECT '\xff';", "0001.sql:1:9: byte 0xff is not UTF-8"),
        (b"SELECT 1;\n\0", "0001.sql:2:1: the file holds a NUL byte"),
        (b"BEGIN;", "0001.sql:1:1: D1 refuses BEGIN"),
        (b"SELECT 1;\n commit transaction;", "0001.sql:2:2: D1 refuses COMMIT"),
        (b"SAVEPOINT a;", "D1 refuses SAVEPOINT"),
        (b"attach 'x' AS y;", "D1 refuses ATTACH"),
        (b"VACUUM;", "D1 refuses VACUUM"),
        (b"CREATE /**/ TEMPORARY TABLE t(a);", "D1 refuses TEMP objects"),
        (b"SELECT '" + b"x" * rules.MAX_STATEMENT_BYTES + b"';", "more than D1's 100,000"),
        (b"SELECT 1;" + b" " * rules.MAX_SCRIPT_BYTES, "sent as one batch"),
    ],
)
def test_what_d1_refuses_in_any_file(data: bytes, problem: str) -> None:
    with pytest.raises(ScriptError, match=re.escape(problem)) as caught:
        read_script(data, "0001.sql")
    assert caught.value.hint


def test_a_file_from_windows() -> None:
    data = b"\xef\xbb\xbfCREATE TABLE t(\r\n  a TEXT DEFAULT 'x\r\ny'\r\n);\r\nCREATE;\r\n"
    table, odd = read_script(data, "0001.sql")
    assert table.sql == "CREATE TABLE t(\n  a TEXT DEFAULT 'x\r\ny'\n)"
    assert (table.verb, table.line, table.column) == ("CREATE", 1, 1)
    assert (odd.sql, odd.line, odd.column) == ("CREATE", 5, 1)


def test_a_byte_order_mark_does_not_hide_a_trigger() -> None:
    trigger = "CREATE TRIGGER t AFTER INSERT ON a BEGIN SELECT 1; SELECT 2; END"
    assert [statement.sql for statement in split(f"\ufeff{trigger};")] == [trigger]


def test_a_byte_offset_of_sqlite_becomes_a_place() -> None:
    (statement,) = split("\n  SELECT 'é',\n nope;")
    offset = "SELECT 'é',\n nope".encode().index(b"nope")
    assert statement.place(offset) == (3, 2)
    assert statement.place(len("SELECT 'é".encode())) == (2, 12)
