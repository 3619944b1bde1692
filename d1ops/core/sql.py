"""SQL text: tokens, statements and names. SQLite itself says where a trigger ends.

The lexer knows only what hides a semicolon (strings, quoted identifiers, comments) and asks SQLite's own
`sqlite3_complete` at the END of a trigger, so triggers need no grammar here. Nothing in this module
interprets SQL; what a statement does is learned by running it on a throw-away engine.

Source of the token rules: SQLite documentation, "SQL Language" (quoted identifiers in double quotes, grave
accents and square brackets; block comments may end with the text), and its tokenizer: white space is six
ASCII characters and the byte order mark, and every other character outside of ASCII may be part of a name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import apsw

from d1ops.core import rules
from d1ops.errors import RefusedStatement, ScriptError, StatementTooLong, UnfinishedScript

if TYPE_CHECKING:
    from collections.abc import Iterator

# A letter, digit, _, $ or anything beyond ASCII, said by what it is not: the class of what it is compiles 40 times
# slower, which every start of the command would pay.
_IN_NAME = r"[^\x00-#%-/:-@\[-^`{-\x7f]"
_SPACE = r"(?:[ \t\n\f\r\v]|\ufeff)"
_COMMENT = r"(?>--[^\n]*|/\*.*?\*/)"
_GAP = rf"(?:{_SPACE}|{_COMMENT})"

_TOKEN = re.compile(
    rf"""
      (?P<space>{_SPACE}+)
    | (?P<comment>{_COMMENT}|/\*.*\Z)
    | (?P<string>'(?:[^']++|'')*+')
    | (?P<quoted>"(?:[^"]++|"")*+"|`(?:[^`]++|``)*+`|\[[^\]]*+\])
    | (?P<open>['"`\[].*)
    | (?P<parameter>\?[0-9]*|[:@$]{_IN_NAME}+)
    | (?P<number>0[xX]{_IN_NAME}+|(?:[0-9]{_IN_NAME}*(?:\.{_IN_NAME}*)?|\.[0-9]{_IN_NAME}*)(?:(?<=[eE])[+-][0-9]+)?)
    | (?P<word>(?![0-9$]){_IN_NAME}+)
    | (?P<semicolon>;)
    | (?P<operator>->>|->|\|\||<=|>=|<>|!=|==|<<|>>|.)
    """,
    re.VERBOSE | re.DOTALL,
)

_UNCLOSED = {"'": "string", '"': "quoted identifier", "`": "quoted identifier", "[": "quoted identifier"}


class Token(NamedTuple):
    """A piece of SQL text. `kind` is space, comment, string, quoted, open (all from an opening quote that never
    closes), parameter, number, word, semicolon or operator; `start` counts characters.
    """

    kind: str
    text: str
    start: int

    @property
    def upper(self) -> str:
        """The text in upper case (keywords compare so)."""
        return self.text.upper()


@dataclass(frozen=True, slots=True)
class ScriptStatement:
    """One statement of a script, without its semicolon, with its place in the file (from 1)."""

    sql: str
    path: str
    line: int
    column: int

    @property
    def verb(self) -> str:
        """The first keyword, in upper case."""
        first = next(significant(self.sql), None)
        return first.upper if first else ""

    def place(self, offset_bytes: int = 0) -> tuple[int, int]:
        """Return (line, column) of a byte offset in `sql`, as SQLite's messages count."""
        before = self.sql.encode()[:offset_bytes].decode(errors="ignore")
        newlines = before.count("\n")
        if newlines:
            return self.line + newlines, len(before) - before.rfind("\n")
        return self.line, self.column + len(before)


def tokens(text: str) -> Iterator[Token]:
    """Yield every token of `text`; joined, they are the text again."""
    for match in _TOKEN.finditer(text):
        yield Token(str(match.lastgroup), match.group(), match.start())


def significant(text: str) -> Iterator[Token]:
    """Yield the tokens that SQLite's parser sees: neither white space nor comments."""
    return (token for token in tokens(text) if token.kind not in ("space", "comment"))


OWN = "d1ops_own"
"""An alias in what d1ops asks of a user's table, by which its own statements are known in a query log."""


def quote_identifier(name: str) -> str:
    """Return `name` as a quoted SQL identifier. The only place where names enter SQL text.

    Raises ValueError for a name with a NUL, which SQL text cannot carry.
    """
    if "\0" in name:
        raise ValueError("an identifier cannot contain NUL")
    return '"' + name.replace('"', '""') + '"'


def fold(name: str) -> str:
    """Return `name` as SQLite compares it: letters of ASCII in lower case, all others as they are."""
    return name.lower() if name.isascii() else "".join(c.lower() if c.isascii() else c for c in name)


def quote_if_needed(name: str) -> str:
    """Return `name` as a person would write it: plain where SQLite takes it so, else quoted."""
    plain = re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) and name.upper() not in apsw.keywords
    return name if plain else quote_identifier(name)


def unquote(text: str) -> str:
    """Return the name that a quoted identifier (`"a"`, `[a]`, a grave accent or a string literal) stands for."""
    mark = text[0]
    return text[1:-1] if mark == "[" else text[1:-1].replace(mark * 2, mark)


def quote_text(value: str) -> str:
    """Return `value` as an SQL string literal. Raises ValueError for a text with a NUL."""
    if "\0" in value:
        raise ValueError("a literal cannot contain NUL; bind it")
    return "'" + value.replace("'", "''") + "'"


def ended(sql: str) -> str:
    """Return SQL with a semicolon at its end, which no comment hides: SQLite keeps the one that a definition ends with,
    closed or not."""
    found = list(tokens(sql))
    if [token.kind for token in found if token.kind not in ("space", "comment")][-1:] == ["semicolon"]:
        return sql
    last = found[-1].text if found and found[-1].kind == "comment" else ""
    if last.startswith("--"):
        return f"{sql}\n;"
    return f"{sql}*/;" if last and not _COMMENT_CLOSED.fullmatch(last) else f"{sql};"


def is_read(sql: str) -> bool:
    """Return whether a statement cannot change the database, by its verb alone.

    SELECT, VALUES and EXPLAIN never write. After WITH the verb is the first of SELECT, VALUES, INSERT, UPDATE,
    DELETE and REPLACE outside of parentheses. PRAGMA reads unless it is `optimize` or has an `=`. Several
    statements in one text do not count as a read.
    """
    words = significant(sql)
    first = next(words, None)
    verb = first.upper if first else ""
    if verb not in ("", "SELECT", "VALUES", "EXPLAIN", "PRAGMA", "WITH"):
        return False
    if verb in ("SELECT", "VALUES", "EXPLAIN") and ";" not in sql:
        return True
    rest = list(words)
    while rest and rest[-1].kind == "semicolon":
        rest.pop()
    if any(token.kind == "semicolon" for token in rest):
        return False
    if verb == "PRAGMA":
        return not any(token.upper in ("=", "OPTIMIZE") for token in rest)
    return verb != "WITH" or _verb_after_with(rest) in ("SELECT", "VALUES")


def is_about_rows(sql: str) -> bool:
    """Return whether a statement reads or writes rows and leaves every schema as it is, by its verb alone."""
    first = next(significant(sql), None)
    return first is not None and first.upper in ("SELECT", "VALUES", "WITH", "INSERT", "REPLACE", "UPDATE", "DELETE")


def _verb_after_with(words: list[Token]) -> str | None:
    depth = 0
    for token in words:
        depth += {"(": 1, ")": -1}.get(token.text, 0)
        if depth == 0 and token.kind == "word" and token.upper in _VERBS_AFTER_WITH:
            return token.upper
    return None


_VERBS_AFTER_WITH = frozenset(("SELECT", "VALUES", "INSERT", "UPDATE", "DELETE", "REPLACE"))


def decode(data: bytes, path: str) -> str:
    """Decode a script file: UTF-8, a leading byte order mark and NUL bytes considered.

    Raises ScriptError with the line and column of the first byte that is not UTF-8, or of a NUL.
    """
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = data[: error.start].decode("utf-8-sig", errors="replace")
        line, column = before.count("\n") + 1, len(before) - before.rfind("\n")
        raise ScriptError(
            f"byte 0x{data[error.start]:02x} is not UTF-8",
            path=path,
            line=line,
            column=column,
            hint="save the file as UTF-8",
        ) from None
    nul = text.find("\0")
    if nul >= 0:
        raise ScriptError(
            "the file holds a NUL byte",
            path=path,
            line=text.count("\n", 0, nul) + 1,
            column=nul - text.rfind("\n", 0, nul),
            hint="save the file as UTF-8 text",
        )
    return text


def normalise_newlines(text: str) -> str:
    """Turn CRLF into LF outside of strings and quoted identifiers, as wrangler does since 4.124."""
    if "\r" not in text:
        return text
    return "".join(
        token.text if token.kind in ("string", "quoted") else token.text.replace("\r\n", "\n") for token in tokens(text)
    )


def split(text: str, path: str = "<sql>") -> tuple[ScriptStatement, ...]:
    """Split a script into its statements, linear in its length.

    A statement begins at its first word; a script of comments alone has no statement. Line ends inside
    strings stay as they are. Raises ScriptError, with the place, for an unclosed string, identifier or comment,
    a trigger without END, and text after the last semicolon: a cut file must never run as far as it goes.
    """
    found: list[ScriptStatement] = []
    end, line, line_start = 0, 1, 0
    while True:
        begin = _end_of(_LEAD, text, end)
        newlines = text.count("\n", end, begin)
        if newlines:
            line, line_start = line + newlines, text.rindex("\n", end, begin) + 1
        if begin == len(text):
            return tuple(found)
        column = begin - line_start + 1
        end = _statement_end(text, begin)
        if end < 0:
            raise _unfinished(text[begin:], path, line, column)
        found.append(ScriptStatement(normalise_newlines(text[begin : end - 1]), path, line, column))
        newlines = text.count("\n", begin, end)
        if newlines:
            line, line_start = line + newlines, text.rindex("\n", begin, end) + 1


_LEAD = re.compile(rf"(?:{_GAP}|;)*+", re.DOTALL)
"""What may stand before a statement."""

_UP_TO_SEMICOLON = re.compile(
    rf"""(?:[^;'"`\[/-]++|'[^']*+'|"[^"]*+"|`[^`]*+`|\[[^\]]*+\]|{_COMMENT}|-|/(?!\*))*+;""", re.DOTALL
)
"""Text that ends with a semicolon which nothing hides. A doubled quote reads as two strings side by side."""

_TRIGGER = re.compile(
    rf"(?:EXPLAIN{_GAP}+(?:QUERY{_GAP}+PLAN{_GAP}+)?)?CREATE{_GAP}+(?:TEMP(?:ORARY)?{_GAP}+)?TRIGGER(?!{_IN_NAME})",
    re.DOTALL | re.IGNORECASE | re.ASCII,
)

_END = re.compile(rf"{_GAP}*+END{_GAP}*+;", re.DOTALL | re.IGNORECASE | re.ASCII)


def _end_of(pattern: re.Pattern[str], text: str, start: int) -> int:
    """Return where a match that begins at `start` ends, or -1."""
    match = pattern.match(text, start)
    return match.end() if match else -1


def semicolon_after(text: str, start: int) -> int:
    """Return the offset after the next semicolon that nothing hides, or -1. `start` is not inside of a token."""
    return _end_of(_UP_TO_SEMICOLON, text, start)


def _statement_end(text: str, begin: int) -> int:
    """Return the offset after the semicolon that ends the statement at `begin`, or -1 when none does."""
    end = semicolon_after(text, begin)
    if _TRIGGER.match(text, begin):
        # A trigger ends where END stands alone between two semicolons; the END of a CASE never does.
        while end >= 0 and not (_END.match(text, end) and apsw.complete(text[begin : _end_of(_END, text, end)])):
            end = semicolon_after(text, end)
        end = _end_of(_END, text, end) if end >= 0 else end
    return end


def _unfinished(rest: str, path: str, line: int, column: int) -> ScriptError:
    """Say what is wrong with the text of a statement that has no end. `line` and `column` are its start."""
    start = ScriptStatement(rest, path, line, column)

    def problem(message: str, offset: int, hint: str) -> UnfinishedScript:
        line, column = start.place(len(rest[:offset].encode()))
        return UnfinishedScript(message, path=path, line=line, column=column, hint=hint)

    for token in tokens(rest):
        if token.kind == "comment" and token.text.startswith("/*") and not _COMMENT_CLOSED.fullmatch(token.text):
            return problem("a comment opens here and never closes", token.start, "close it with */")
        if token.kind == "open":
            what = _UNCLOSED[token.text[0]]
            return problem(f"a {what} opens here and never closes", token.start, f"close the {what}")
    if _TRIGGER.match(rest):
        return problem("a trigger begins here and has no final END;", 0, "finish it with END;")
    return problem("the last statement has no final semicolon", 0, "finish the statement with ;")


_COMMENT_CLOSED = re.compile(_COMMENT, re.DOTALL)


def read_script(data: bytes, path: str) -> tuple[ScriptStatement, ...]:
    """Decode and split a migration or rollback file and refuse what D1 refuses in any file.

    Raises ScriptError for: not UTF-8, no statement, over `rules.MAX_SCRIPT_BYTES`, a statement over
    `rules.MAX_STATEMENT_BYTES`, transaction control, ATTACH, DETACH, VACUUM and TEMP objects.
    """
    if len(data) > rules.MAX_SCRIPT_BYTES:
        raise ScriptError(
            f"the script has {len(data):,} bytes, more than the {rules.MAX_SCRIPT_BYTES:,} that are sent as one batch",
            path=path,
            hint="split it into several migrations; load rows with wrangler d1 execute --file",
        )
    statements = split(decode(data, path), path)
    if not statements:
        raise ScriptError("the script has no statement", path=path, hint="write one, or remove the file")
    for statement in statements:
        _refuse_what_d1_refuses(statement)
    return statements


def _refuse_what_d1_refuses(statement: ScriptStatement) -> None:
    size = len(statement.sql.encode())
    words = [token.upper for _, token in zip(range(3), significant(statement.sql), strict=False)]
    first = words[0]
    message: str | None = None
    kind: type[ScriptError] = RefusedStatement
    hint = "remove the statement"
    if size > rules.MAX_STATEMENT_BYTES:
        message = f"the statement has {size:,} bytes, more than D1's {rules.MAX_STATEMENT_BYTES:,}"
        kind, hint = StatementTooLong, "split it into smaller statements"
    elif first in rules.TRANSACTION_VERBS:
        message = f"D1 refuses {first}: every script already runs as one transaction"
    elif first in ("ATTACH", "DETACH", "VACUUM"):
        message = f"D1 refuses {first}"
    elif first == "CREATE" and words[1:2] in (["TEMP"], ["TEMPORARY"]):
        message = "D1 refuses TEMP objects"
        hint = "create an ordinary object and drop it at the end of the script"
    if message is not None:
        raise kind(message, path=statement.path, line=statement.line, column=statement.column, hint=hint)
