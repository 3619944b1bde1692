"""SQL text: tokens, statements and names. SQLite itself says where a statement ends.

The lexer knows only what hides a semicolon (strings, quoted identifiers, comments) and asks SQLite's own
`sqlite3_complete` at a semicolon outside of these, so triggers need no grammar here. Nothing in this module
interprets SQL; what a statement does is learned by running it on a throw-away engine.

Source of the token rules: SQLite documentation, "SQL Language" (quoted identifiers in double quotes, grave
accents and square brackets; block comments may end with the text).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

import apsw

from d1ops.core import rules
from d1ops.errors import ScriptError

if TYPE_CHECKING:
    from collections.abc import Iterator

_TOKEN = re.compile(
    r"""
      (?P<space>\s+|\ufeff)
    | (?P<comment>--[^\n]*|/\*(?:.*?\*/|.*\Z))
    | (?P<string>'(?:[^']|'')*')
    | (?P<quoted>"(?:[^"]|"")*"|`(?:[^`]|``)*`|\[[^\]]*\])
    | (?P<open>['"`\[])
    | (?P<parameter>\?\d*|[:@$][A-Za-z_0-9]+)
    | (?P<number>\d\w*(?:\.\w*)?(?:(?<=[eE])[+-]\d+)?|\.\d\w*(?:(?<=[eE])[+-]\d+)?)
    | (?P<word>[^\W\d][\w$]*)
    | (?P<semicolon>;)
    | (?P<operator>->>|->|\|\||<=|>=|<>|!=|==|<<|>>|.)
    """,
    re.VERBOSE | re.DOTALL,
)

_UNCLOSED = {"'": "string", '"': "quoted identifier", "`": "quoted identifier", "[": "quoted identifier"}


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of SQL text. `kind` is space, comment, string, quoted, open (an opening quote that never
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


def quote_identifier(name: str) -> str:
    """Return `name` as a quoted SQL identifier. The only place where names enter SQL text.

    Raises ValueError for a name with a NUL, which SQL text cannot carry.
    """
    if "\0" in name:
        raise ValueError("an identifier cannot contain NUL")
    return '"' + name.replace('"', '""') + '"'


def quote_text(value: str) -> str:
    """Return `value` as an SQL string literal. Raises ValueError for a text with a NUL."""
    if "\0" in value:
        raise ValueError("a literal cannot contain NUL; bind it")
    return "'" + value.replace("'", "''") + "'"


def is_read(sql: str) -> bool:
    """Return whether a statement cannot change the database, by its verb alone.

    SELECT, VALUES and EXPLAIN never write. After WITH the verb is the first of SELECT, VALUES, INSERT, UPDATE,
    DELETE and REPLACE outside of parentheses. PRAGMA reads unless it is `optimize` or sets something.
    """
    depth = 0
    words = significant(sql)
    first = next(words, None)
    if first is None:
        return True
    match first.upper:
        case "SELECT" | "VALUES" | "EXPLAIN":
            return True
        case "PRAGMA":
            rest = [token.upper for token in words]
            return "=" not in rest and "OPTIMIZE" not in rest
        case "WITH":
            for token in words:
                depth += {"(": 1, ")": -1}.get(token.text, 0)
                if depth == 0 and token.kind == "word" and token.upper in _VERBS_AFTER_WITH:
                    return token.upper in ("SELECT", "VALUES")
            return False
        case _:
            return False


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
        token.text if token.kind in ("string", "quoted") else token.text.replace("\r\n", "\n")
        for token in tokens(text)
    )


def split(text: str, path: str = "<sql>") -> tuple[ScriptStatement, ...]:
    """Split a script into its statements, linear in its length.

    Comments before a statement stay with it; a script of comments alone has no statement. Line ends inside
    strings stay as they are. Raises ScriptError, with the place, for an unclosed string or identifier, a
    trigger without END, and text after the last semicolon: a cut file must never run as far as it goes.
    """
    starts = [0]
    starts += [match.end() for match in re.finditer("\n", text)]

    def place(offset: int) -> tuple[int, int]:
        line = bisect_right(starts, offset)
        return line, offset - starts[line - 1] + 1

    def problem(message: str, offset: int, hint: str) -> ScriptError:
        line, column = place(offset)
        return ScriptError(message, path=path, line=line, column=column, hint=hint)

    found: list[ScriptStatement] = []
    begin: int | None = None
    head: list[str] = []
    previous = ""
    for token in tokens(text):
        if token.kind in ("space", "comment"):
            if token.kind == "comment" and token.text.startswith("/*") and not token.text.endswith("*/"):
                raise problem("a comment opens here and never closes", token.start, "close it with */")
            continue
        if token.kind == "open":
            what = _UNCLOSED[token.text]
            raise problem(f"a {what} opens here and never closes", token.start, f"close the {what}")
        if begin is None:
            if token.kind == "semicolon":
                continue
            begin, head = token.start, []
        if token.kind == "semicolon":
            ends = not _is_trigger(head) or (previous == "END" and apsw.complete(text[begin : token.start + 1]))
            if ends:
                line, column = place(begin)
                found.append(ScriptStatement(normalise_newlines(text[begin : token.start]), path, line, column))
                begin = None
        elif len(head) < _TRIGGER_HEAD:
            head.append(token.upper)
        previous = token.upper
    if begin is not None:
        if _is_trigger(head):
            raise problem("a trigger begins here and has no final END;", begin, "finish it with END;")
        raise problem("the last statement has no final semicolon", begin, "finish the statement with ;")
    return tuple(found)


_TRIGGER_HEAD = 6


def _is_trigger(head: list[str]) -> bool:
    """Whether a statement's first words are those of CREATE [TEMP] TRIGGER, EXPLAIN before it included."""
    words = list(head)
    if words[:1] == ["EXPLAIN"]:
        words = words[3:] if words[1:3] == ["QUERY", "PLAN"] else words[1:]
    if words[:1] != ["CREATE"]:
        return False
    return "TRIGGER" in words[1:2] or (words[1:2] in (["TEMP"], ["TEMPORARY"]) and words[2:3] == ["TRIGGER"])


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
    hint = "remove the statement"
    if size > rules.MAX_STATEMENT_BYTES:
        message = f"the statement has {size:,} bytes, more than D1's {rules.MAX_STATEMENT_BYTES:,}"
        hint = "split it into smaller statements"
    elif first in rules.TRANSACTION_VERBS:
        message = f"D1 refuses {first}: every script already runs as one transaction"
    elif first in ("ATTACH", "DETACH", "VACUUM"):
        message = f"D1 refuses {first}"
    elif first == "CREATE" and words[1] in ("TEMP", "TEMPORARY"):
        message = "D1 refuses TEMP objects"
        hint = "create an ordinary object and drop it at the end of the script"
    if message is not None:
        raise ScriptError(message, path=statement.path, line=statement.line, column=statement.column, hint=hint)
