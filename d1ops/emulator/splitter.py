"""How a text is cut into statements: as SQLite does it, or with the defects that the service was seen to have.

Reported of the service's `/query` (cloudflare/workers-sdk issues 14991, 15314, 15690 and others): a trigger whose body
has CRLF line ends, is written in lower case, or holds `CASE ... END` is cut at a semicolon inside, and the first piece
is refused with `incomplete input: SQLITE_ERROR`. Its source is not public; this is the simplest splitter that does all
three: it knows strings and comments, and takes `BEGIN` before a line feed or a space for the start and any `END` for
the end of a block, in upper case only.
"""

from __future__ import annotations

from itertools import pairwise

from d1ops.core.sql import Token, split, tokens
from d1ops.emulator.settings import Splitter
from d1ops.errors import ScriptError


def cut(text: str, splitter: Splitter) -> list[str]:
    """Return the statements of a text; the text itself where it holds one, or none, or cannot be read."""
    if splitter is Splitter.D1:
        pieces = _cut_as_the_service(text)
    else:
        try:
            pieces = [statement.sql.rstrip() for statement in split(f"{text}\n;")]
        except ScriptError:
            return [text]  # The engine says what is wrong with it, in its own words.
    if len(pieces) == 1 and text.rstrip().removesuffix(";").endswith(pieces[0]):
        return [text]  # Offsets in the engine's messages then are those of the text that was sent.
    return pieces or [text]


def _cut_as_the_service(text: str) -> list[str]:
    pieces: list[str] = []
    piece: list[Token] = []
    depth = 0
    for token, following in pairwise((*tokens(text), Token("semicolon", ";", len(text)))):
        piece.append(token)
        if token.kind == "word" and token.text == "BEGIN" and following.text[:1] in ("\n", " "):
            depth += 1
        elif token.kind == "word" and token.text == "END" and depth:
            depth -= 1
        elif token.kind == "semicolon" and depth == 0:
            pieces.append(_text(piece[:-1]))
            piece = []
    pieces.append(_text(piece))
    return [each for each in pieces if each]


def _text(piece: list[Token]) -> str:
    if all(token.kind in ("space", "comment", "semicolon") for token in piece):
        return ""
    return "".join(token.text for token in piece).strip()
