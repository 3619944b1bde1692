"""A fingerprint of rows, computed in SQL without hash functions: the same on every SQLite that D1's rules hold for.

D1 has no hash function and this tool may not send the rows again, so the content of a table is boiled down to three
numbers by arithmetic that a target and a local copy do alike:

* a cell becomes decimal digits that name its type, its length and its bytes (`hex(hex(x))` holds only decimal digits);
  a REAL becomes sign, exponent and mantissa, since its decimal text differs between versions of SQLite;
* the cells of a row are joined and cut into blocks, so that a long value is not copied for every step;
* a block is a polynomial over its digits, 16 at a time, under two moduli; the squares of the blocks are summed for the
  row and the squares of the rows for the table: the order of the rows does not matter, a cell that moved from one row
  to another does.

Moduli and bases are drawn anew for every run: nobody can prepare two rows that look alike, and two different tables do
so with a probability of about (digits / 16)^2 / 2^60. A text or blob over `CUT_BYTES` (less where a table has many
columns) counts with its length, its beginning and its end: a fingerprint must fit into D1's value limit.

Seen on workerd: equal to apsw for every class of value; `tests/core/test_fingerprint.py` draws more.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from d1ops.core.sql import quote_identifier

if TYPE_CHECKING:
    from collections.abc import Sequence

CUT_BYTES = 65_536
"""The longest text or blob that counts whole."""

_ROW_BYTES = 475_000
"""How much of a row may count: four digits a byte, and a value may have 2,000,000 bytes (D1 documentation, limits)."""

_BLOCK = 4_096
"""Digits of a block. Seen with apsw: a quarter makes rows of 64 KB three times slower, more gains nothing."""

_PIECE = 16
_PIECES_A_STEP = 4


@dataclass(frozen=True, slots=True)
class Salt:
    """Two moduli (primes below 2^31) and a base below each."""

    moduli: tuple[int, int]
    bases: tuple[int, int]

    @classmethod
    def of(cls, seed: str) -> Salt:
        """Return the salt that belongs to a seed; whoever calls draws the seed at random for every run."""
        digits = hashlib.sha256(seed.encode()).digest()
        words = [int.from_bytes(digits[at : at + 8]) for at in range(0, 32, 8)]
        one = _prime_from(2**30 + words[0] % 2**29)
        two = _prime_from(2**30 + 2**29 + words[1] % (2**29 - 1_000))
        return cls((one, two), (2**20 + words[2] % (one - 2**20), 2**20 + words[3] % (two - 2**20)))


def _prime_from(start: int) -> int:
    return next(n for n in range(start | 1, start + 2_000, 2) if _is_prime(n))


def _is_prime(n: int) -> bool:
    """Miller-Rabin, exact below 3,215,031,751 with these witnesses (Jaeschke 1993)."""
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for witness in (2, 3, 5, 7):
        x = pow(witness, odd, n)
        if x not in (1, n - 1) and not any((x := x * x % n) == n - 1 for _ in range(twos - 1)):
            return False
    return True


def content(table: str, columns: Sequence[str], salt: Salt, *, schema: str = "main", where: str = "") -> str:
    """Return the SELECT of one text: the number of rows and two sums over the cells of `columns`.

    `where` is a condition on the table's own columns. At most 100 columns; their names count once in the length of the
    statement, which has about 70 KB for 100 columns with short names.
    """
    names = [f"c{index}" for index in range(len(columns))]
    picked = ", ".join(f"{quote_identifier(c)} AS {name}" for c, name in zip(columns, names, strict=True))
    source = f"{schema}.{quote_identifier(table)}{f' WHERE {where}' if where else ''}"
    cut = min(CUT_BYTES, _ROW_BYTES // len(names))
    # D1 documents at most 32 arguments of a function.
    joined = [
        f"concat({','.join(_cell(name, cut) for name in names[at : at + 25])})" for at in range(0, len(names), 25)
    ]
    digits = joined[0] if len(joined) == 1 else f"concat({','.join(joined)})"
    (p, q), (a, b) = salt.moduli, salt.bases
    return (
        # Not materialized, the rows would be put together again for every step: 39 seconds instead of 0.6.
        f"WITH RECURSIVE d1_rows(n,d) AS MATERIALIZED (SELECT row_number() OVER (),CAST({digits} AS BLOB)"
        f" FROM (SELECT {picked} FROM {source})),"
        f"d1_blocks(n,j,d,x) AS (SELECT n,0,d,substr(d,1,{_BLOCK}) FROM d1_rows UNION ALL"
        f" SELECT n,j+1,d,substr(d,(j+1)*{_BLOCK}+1,{_BLOCK}) FROM d1_blocks WHERE (j+1)*{_BLOCK}<length(d)),"
        f"d1_sums(n,i,x,u,v) AS (SELECT n,1,x,((j+1)*{a}+length(x))%{p},((j+1)*{b}+length(x))%{q} FROM d1_blocks"
        f" UNION ALL SELECT n,i+{_PIECE * _PIECES_A_STEP},x,{_step('u', a, p)},{_step('v', b, q)} FROM d1_sums"
        " WHERE i<=length(x)) "
        f"SELECT concat(count(*),':',sum(u*u%{p}),':',sum(v*v%{q})) FROM (SELECT sum(u*u%{p})%{p} AS u,"
        f"sum(v*v%{q})%{q} AS v FROM d1_sums WHERE i>length(x) GROUP BY n)"
    )


def _step(name: str, base: int, modulus: int) -> str:
    """Four pieces of 16 digits further: below 2^31 times below 2^31 plus below 2^54 stays within 64 bits."""
    for at in range(0, _PIECE * _PIECES_A_STEP, _PIECE):
        name = f"({name}*{base}+CAST(substr(x,i+{at},{_PIECE}) AS INTEGER))%{modulus}"
    return name


def _cell(c: str, cut: int) -> str:
    """Digits that no other value has: a type in two digits, then what has a fixed length or says its own."""
    half = cut // 2
    data = (
        f"concat(10000000+octet_length({c}),iif(octet_length({c})<={cut},hex(hex({c})),"
        f"concat(hex(hex(substr(CAST({c} AS BLOB),1,{half}))),hex(hex(substr(CAST({c} AS BLOB),-{half}))))))"
    )
    # floor(log2(x)) may be off by one near a power of two; the outer SELECT puts that right.
    real = (
        "(SELECT CASE WHEN m>=2 THEN concat(2001+e,CAST(m*2251799813685248.0 AS INTEGER))"
        " WHEN m<1 THEN concat(1999+e,CAST(m*9007199254740992.0 AS INTEGER))"
        " ELSE concat(2000+e,CAST(m*4503599627370496.0 AS INTEGER)) END"
        f" FROM (SELECT e,abs({c})*pow(2.0,-(e/2))*pow(2.0,-(e-e/2)) AS m"
        f" FROM (SELECT CAST(floor(log2(abs({c}))) AS INTEGER) AS e)))"
    )
    return (
        f"CASE typeof({c}) WHEN 'null' THEN 10"
        f" WHEN 'integer' THEN concat(iif({c}<0,12,11),10+length(ltrim({c},'-')),ltrim({c},'-'))"
        f" WHEN 'real' THEN CASE {c} WHEN 9e999 THEN 17 WHEN -9e999 THEN 18"
        f" WHEN 0.0 THEN iif(atan2({c},-1.0)<0,16,15) ELSE concat(iif({c}<0,14,13),{real}) END"
        f" ELSE concat(iif(typeof({c})='text',19,20),{data}) END"
    )
