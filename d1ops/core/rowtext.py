"""Rows as texts: SQL makes one text of a row, and the text can be hashed, carried by JSON and read back bit for bit.

A row is a JSON array with one element for each stored column, the rowid first where it is no column:

    123        INTEGER, as its digits             "r4503599627370496p-52"  REAL, as mantissa and power of two (1.0)
    null       NULL                               "r0" "r-0" "r+inf" "r-inf"
    "t..."     TEXT                               "b00FF"  BLOB as hexadecimal
    "T300000" "B300000"  a TEXT or a BLOB of so many bytes, which is read by pieces
    "x00FF"    TEXT as hexadecimal, where its bytes are not UTF-8

No REAL is ever written in decimals: of 6,012 doubles SQLite's own decimal text was wrong for 595. The mantissa has 53
bits whatever `log2` makes of the last place, so two engines write one text for one number. D1 answers bytes that are
no UTF-8 with U+FFFD; a page with that character is read again with `hexadecimal=True`, and `plain` turns it into the
form above. Seen to agree on workerd and apsw.

The digest of a table is SHA-256 over its rows in the order of their key, each as `json.dumps` writes it without spaces
and a line feed after it. SQLite writes the same text unless something is escaped; a row with a backslash is
written anew, so no version's habits of escaping are part of the digest.
"""

from __future__ import annotations

import json
import math
import re
from typing import TYPE_CHECKING, Any, TypeAlias

from d1ops.core import quick_json
from d1ops.core.lossless import RawText

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from d1ops.core.values import Value

Cell: TypeAlias = "int | str | None"
"""An element of a row's text."""

REPLACEMENT = "\ufffd"


# -- one cell, in SQL --------------------------------------------------------------------------------------


def cell_expression(c: str, *, inline_bytes: int | None = None, hexadecimal: bool = False) -> str:
    """Return the expression that makes the element of one column."""
    text = f"'x'||hex({c})" if hexadecimal else f"'t'||{c}"
    if inline_bytes is not None:
        length = f"octet_length({c})>{inline_bytes} THEN"
        text = f"CASE WHEN {length} 'T'||octet_length({c}) ELSE {text} END"
        blob = f"CASE WHEN {length} 'B'||octet_length({c}) ELSE 'b'||hex({c}) END"
    else:
        blob = f"'b'||hex({c})"
    real = f"'r'||{_real(c)}"
    return f"CASE typeof({c}) WHEN 'text' THEN {text} WHEN 'blob' THEN {blob} WHEN 'real' THEN {real} ELSE {c} END"


def _real(c: str) -> str:
    """Return the expression for a REAL: mantissa, `p`, power of two.

    m = c * 2^(53-e) with e = floor(log2(abs(c))) is a whole number of 54 bits, one more or one less where log2 rounds;
    products with powers of two are exact, and the power goes in two halves because 2^1127 is beyond a double. The
    limits keep SQLite from writing e and m out wherever they are named, and from computing them as often.
    """
    return (
        f"CASE WHEN {c}=0 THEN iif(atan2({c},-1)<0,'-0','0') WHEN {c}=9e999 THEN '+inf' WHEN {c}=-9e999 THEN '-inf'"
        " ELSE (SELECT CASE WHEN abs(m)>=18014398509481984 THEN CAST(m/4 AS INT)||'p'||(e-51)"
        " WHEN abs(m)>=9007199254740992 THEN CAST(m/2 AS INT)||'p'||(e-52) ELSE CAST(m AS INT)||'p'||(e-53) END"
        f" FROM (SELECT e,{c}*pow(2,(53-e)/2)*pow(2,53-e-(53-e)/2) AS m"
        f" FROM (SELECT CAST(floor(log2(abs({c}))) AS INT) AS e LIMIT 1) LIMIT 1)) END"
    )


# -- one text, in Python -----------------------------------------------------------------------------------


def cells_of(text: str) -> list[Cell]:
    """Return the elements of a row's text. Raises ValueError for what is none."""
    cells: Any = quick_json.loads(text)
    if not isinstance(cells, list):
        raise ValueError("a row's text is not a list")
    return cells


def value_of(cell: Cell) -> Value | RawText:
    """Return the value that an element stands for. Raises ValueError for anything else."""
    if cell is None or type(cell) is int:
        return cell
    if not isinstance(cell, str):
        raise ValueError(f"not an element of a row: {cell!r:.40}")
    kind, rest = cell[:1], cell[1:]
    if kind == "t":
        return rest
    if kind == "b":
        return bytes.fromhex(rest)
    if kind == "r":
        return _real_of(cell)
    if kind == "x":
        return RawText(bytes.fromhex(rest))
    raise ValueError(f"not an element of a row: {cell!r:.40}")


_REALS = {"0": 0.0, "-0": -0.0, "+inf": math.inf, "-inf": -math.inf}


def values_of(texts: Sequence[str]) -> tuple[list[tuple[Any, ...]], list[tuple[int, int]]]:
    """Return the values of rows, and at which (row, column) they are the bytes of a text that is not UTF-8.

    Raises ValueError for what is no row, and for rows of different lengths. This is `value_of` for many, which a large
    table spends its time in: column by column, since most have cells of one kind.
    """
    rows: list[Any] = quick_json.loads(f"[{','.join(texts)}]")
    if not {list}.issuperset(map(type, rows)) or [] in rows:
        raise ValueError("a row's text is not a list of elements")
    columns: list[Sequence[Any]] = []
    raw: list[tuple[int, int]] = []
    for number, cells in enumerate(zip(*rows, strict=True)):
        values, own = _values_of_column(cells)
        columns.append(values)
        raw += [(at, number) for at in own]
    return list(zip(*columns, strict=True)), sorted(raw)


def _values_of_column(cells: Sequence[Any]) -> tuple[Sequence[Any], Sequence[int]]:
    """Return the values, and which of them are the bytes of a text that is not UTF-8."""
    types = set(map(type, cells))
    if not types <= {str, int, type(None)}:
        raise ValueError("an element of a row is not text, integer or null")
    if str not in types:
        return cells, ()
    if len(types) == 1 and (values := _values_of_one_kind(cells)) is not None:
        return values, ()
    if {cell[:1] for cell in cells if type(cell) is str} == {"t"}:
        return [cell[1:] if type(cell) is str else cell for cell in cells], ()
    found = [value_of(cell) for cell in cells]
    raw = [at for at, value in enumerate(found) if isinstance(value, RawText)]
    return [value.data if isinstance(value, RawText) else value for value in found], raw


def _values_of_one_kind(cells: Sequence[str]) -> Sequence[Any] | None:
    """Return the values of cells that are all texts, or all REALs; None for others and for what holds the separator.

    Taken apart as one text, which is several times as fast as cell by cell.
    """
    joined = _SEPARATOR.join(cells)
    letter = joined[:1]
    if letter not in ("t", "r") or joined.count(_SEPARATOR) != len(cells) - 1:
        return None
    found = joined[1:].split(_SEPARATOR + letter)
    if len(found) != len(cells):
        return None
    if letter == "t":
        return found
    if joined.count("p") != len(cells):
        return None
    powers: dict[str, float] = {}
    values: list[float] = []
    for mantissa, power in [each.split("p") for each in found]:
        factor = powers.get(power)
        if factor is None:
            # A factor of 0 stands for powers that are no double, or whose products might not be exact.
            factor = powers[power] = 2.0 ** int(power) if _LEAST_POWER <= int(power) <= _MOST_POWER else 0.0
        values.append(float(mantissa) * factor if factor else math.ldexp(int(mantissa), int(power)))
    return values


_LEAST_POWER, _MOST_POWER = -1022, 971
_SEPARATOR = "\x01"


def _real_of(cell: str) -> float:
    mantissa, power, rest = cell[1:].partition("p")
    if power:
        return math.ldexp(int(mantissa), int(rest))
    if mantissa not in _REALS:
        raise ValueError(f"not an element of a row: {cell!r:.40}")
    return _REALS[mantissa]


def plain(cell: Cell) -> Cell:
    """Return an element that may hold text as hexadecimal in its one form: as text, if its bytes are UTF-8."""
    if not isinstance(cell, str) or not cell.startswith("x"):
        return cell
    try:
        return "t" + bytes.fromhex(cell[1:]).decode()
    except UnicodeDecodeError:
        return cell


def row_text(cells: Sequence[Cell]) -> str:
    """Return the one text of a row."""
    return json.dumps(cells, ensure_ascii=False, separators=(",", ":"))


_ESCAPE = re.compile(r"\\(u....|.)", re.DOTALL)
_OURS = frozenset(('"', "\\", *(json.dumps(chr(code))[2:-1] for code in range(0x20))))


def digestible(texts: Sequence[str]) -> bytes:
    """Return what the digest takes of these rows."""
    return digestible_lines("\n".join(texts)) if texts else b""


def digestible_lines(joined: str) -> bytes:
    """Return what the digest takes of rows that are one text, a line each: no row has a line feed of its own."""
    if "\\" in joined:
        # Quotes and backslashes have one way to be escaped; what else is escaped must be as `json.dumps` does it.
        only_quotes = "\\\\" not in joined and joined.count("\\") == joined.count('\\"')
        if not only_quotes and not _OURS.issuperset(_ESCAPE.findall(joined)):
            joined = "\n".join(row_text(cells_of(text)) if "\\" in text else text for text in joined.split("\n"))
    return f"{joined}\n".encode()


def is_suspect(texts: Iterable[str]) -> bool:
    """Return whether a row holds U+FFFD, which may stand for bytes that are not UTF-8."""
    return any(REPLACEMENT in text for text in texts)


def without_hexadecimal(texts: Iterable[str]) -> list[str]:
    """Return rows that were read with `hexadecimal` in their one form."""
    return [row_text([plain(cell) for cell in cells_of(text)]) for text in texts]
